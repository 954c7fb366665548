//! The window, driven as a person drives it: real buttons and sliders, found by the names that a screen
//! reader says, a real worker with the bundled model on the processor, and pictures of what is seen.

mod common;

#[path = "window/comparing.rs"]
mod comparing;
#[path = "window/files.rs"]
mod files;
#[path = "window/looks.rs"]
mod looks;
#[path = "window/room.rs"]
mod room;
#[path = "window/together.rs"]
mod together;
#[path = "window/trying.rs"]
mod trying;
