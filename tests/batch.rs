//! Batches, through the program itself: what it finds, where results go, and what nights do to it.

mod common;

#[path = "batch/going_on.rs"]
mod going_on;
#[path = "batch/inputs.rs"]
mod inputs;
#[path = "batch/killed.rs"]
mod killed;
#[path = "batch/machines.rs"]
mod machines;
#[path = "cli/program.rs"]
#[allow(dead_code)] // this test binary uses a part
mod program;
#[path = "batch/reports.rs"]
mod reports;
#[path = "batch/trouble.rs"]
mod trouble;
#[path = "batch/words.rs"]
mod words;

use program::Room;

/// The quickest run there is.
const QUICK: &str = "--no-gui --no-check --model MODEL --steps 1 --particles 1";

/// A room with small pictures in a tree, and things that are none.
fn room() -> Room {
    let room = Room::new();
    for folder in ["in", "in/sub", "in/sub/deep"] {
        std::fs::create_dir(room.path(folder)).unwrap();
    }
    for (i, name) in [
        "b.png",
        "a.jpg",
        "sub/c.png",
        "sub/deep/d.tif",
        "sub/e.webp",
    ]
    .iter()
    .enumerate()
    {
        room.picture(&format!("in/{name}"), 6 + i as u32, 5);
    }
    room.write("in/notes.txt", "no picture");
    room.write("in/.hidden.png", "no picture");
    room
}
