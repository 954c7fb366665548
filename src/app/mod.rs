//! The window. Three things that know little of each other: the worker's thread computes and reports
//! (`worker`), the state is a plain struct that reports and actions change (`state`), and the panels draw
//! it (`panels`). Pictures reach the screen as tiles (`raster`, `tiles`, `view`); whatever waits for disks
//! or dialogs has a thread of its own (`errands`).

mod actions;
mod compose;
mod errands;
mod input;
mod panels;
mod raster;
mod session;
mod spread;
mod state;
mod style;
mod tiles;
mod view;
mod worker;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use eframe::egui;

pub use self::actions::Action;
pub use self::state::{
    Cost, Item, ItemState, Layer, Look, Mode, Model, Pane, Phase, Reference, Remembered, Run,
    State, Writing,
};
pub use self::worker::{Setup, Side, Slot};

use self::errands::{Done, Errands};
use self::session::Session;
use self::tiles::Tiles;
use self::worker::{Inbox, Worker};
use crate::device::{DeviceChoice, Precision};
use crate::error::{Error, Result};
use crate::model::ModelSource;
use crate::settings::{Patch, Preset};

/// Under this name the window's state is stored.
const KEY: &str = "minkds";
/// How soon a frame looks again while settings come to rest.
const SOON: Duration = Duration::from_millis(50);

/// What the window begins with.
#[derive(Clone, Debug)]
pub struct Start {
    /// Pictures to open; several become a queue.
    pub inputs: Vec<PathBuf>,
    /// Where results are saved, if not beside their inputs.
    pub output: Option<PathBuf>,
    /// The model and the device.
    pub setup: Setup,
    /// Whether the model was named, rather than left to what was used last.
    pub names_model: bool,
    /// Settings to begin with.
    pub flags: Patch,
    /// And a named set of them.
    pub preset: Option<Preset>,
    /// Whether whole results must resemble their inputs.
    pub check: bool,
    /// How files are to be written; what it leaves open stays as it was.
    pub writing: Writing,
}

impl Default for Start {
    fn default() -> Self {
        Start {
            inputs: Vec::new(),
            output: None,
            setup: Setup {
                model: ModelSource::Bundled,
                device: DeviceChoice::Auto,
                precision: Precision::Auto,
                memory_limit: None,
            },
            names_model: false,
            flags: Patch::default(),
            preset: None,
            check: true,
            writing: Writing::default(),
        }
    }
}

/// Opens the window and returns when it is closed.
///
/// # Errors
/// [`Error::Setting`] with the advice to say `--no-gui` where there is no display, or nothing that draws.
pub fn run(start: Start) -> Result<()> {
    let viewport = egui::ViewportBuilder::default()
        .with_title("minkds")
        .with_app_id("minkds")
        .with_inner_size([1360.0, 860.0])
        .with_min_inner_size([720.0, 520.0])
        .with_drag_and_drop(true)
        .with_icon(style::icon());
    let options = eframe::NativeOptions {
        viewport,
        ..eframe::NativeOptions::default()
    };
    let cache = dirs::cache_dir().unwrap_or_else(std::env::temp_dir);
    let mut refused = None;
    let mut is_open = false;
    let open = |context: &eframe::CreationContext<'_>| {
        let stored = context.storage.and_then(|storage| storage.get_string(KEY));
        let remembered =
            stored.map_or_else(Remembered::default, |text| Remembered::from_text(&text));
        match Window::new(&context.egui_ctx, start, remembered, &cache) {
            Ok(window) => {
                is_open = true;
                Ok(Box::new(window) as Box<dyn eframe::App>)
            }
            Err(error) => {
                let text = error.to_string();
                refused = Some(error);
                Err(text.into())
            }
        }
    };
    let ran = catch_unwind(AssertUnwindSafe(|| {
        eframe::run_native("minkds", options, Box::new(open))
    }));
    if let Some(error) = refused {
        return Err(error);
    }
    let why = match ran {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) if is_open => {
            let what = format!("the window was lost: {}", one_line(&error.to_string()));
            return Err(Error::Device(what));
        }
        Ok(Err(error)) => error.to_string(),
        // The program's own fault, and not for want of a display.
        Err(panic) if is_open => std::panic::resume_unwind(panic),
        // A library that a window needs, such as xkbcommon, is looked for when it is opened.
        Err(panic) => crate::error::words_of(&*panic).to_string(),
    };
    Err(Error::Setting(format!(
        "no window can be opened ({}): say --no-gui and name the pictures, for example minkds \
         --no-gui photo.jpg",
        one_line(&why)
    )))
}

/// Others' words on one line, without a full stop, and without where in whose source they arose.
fn one_line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let said = match line.rsplit_once(".rs:") {
        Some((_, rest)) => rest
            .split_once(": ")
            .map_or(line.as_str(), |(_, said)| said),
        None => line.as_str(),
    };
    said.trim_end_matches('.').to_string()
}

/// The window's content.
pub struct Window {
    /// What it knows.
    pub state: State,
    inbox: Inbox,
    done: Receiver<Done>,
    tiles: Tiles,
    panels: panels::Panels,
    title: String,
    // Last, so that it ends when nothing listens any more.
    _worker: Worker,
}

impl Window {
    /// A window in `context`; finished runs are kept below `cache`.
    ///
    /// # Errors
    /// [`Error::Paths`] where nothing can be kept, [`Error::Device`] where no thread can be started.
    pub fn new(
        context: &egui::Context,
        mut start: Start,
        mut remembered: Remembered,
        cache: &Path,
    ) -> Result<Self> {
        style::apply(context);
        let waker = || {
            let context = context.clone();
            move || context.request_repaint()
        };
        let session = Session::open(cache)?;
        let inbox = Inbox::new(waker());
        let worker = Worker::start(inbox.clone())?;
        let (errands, done) = Errands::new(waker());
        if !start.names_model && !remembered.model.is_empty() {
            // A model that has gone since is no reason not to begin.
            start.setup.model =
                ModelSource::parse(&remembered.model).unwrap_or(ModelSource::Bundled);
        }
        if remembered.model != start.setup.model.to_string() {
            // Another model's settings mean nothing to this one.
            remembered.settings = None;
        }
        let desk = worker.desk().clone();
        Ok(Window {
            state: State::new(start, remembered, desk, errands, session),
            inbox,
            done,
            tiles: Tiles::new(waker()),
            panels: panels::Panels::default(),
            title: String::new(),
            _worker: worker,
        })
    }

    /// Takes in what has happened since the last frame.
    pub fn listen(&mut self, context: &egui::Context) {
        let (reports, previews) = self.inbox.take();
        self.state.hear(reports, previews);
        while let Ok(done) = self.done.try_recv() {
            self.state.done(done);
        }
        self.state.tick(context.input(|input| input.time));
        if !self.state.has_rested() {
            context.request_repaint_after(SOON);
        }
    }

    /// One frame.
    pub fn show(&mut self, ui: &mut egui::Ui) {
        let context = ui.ctx().clone();
        self.tiles.begin_frame(&context);
        let mut wanted = actions::of_keys(&context);
        self.take_files(&context);
        self.panels
            .show(ui, &mut self.state, &mut self.tiles, &mut wanted);
        for action in wanted {
            self.act(action, &context);
        }
        if context.input(|input| input.viewport().close_requested()) && !self.state.close() {
            context.send_viewport_cmd(egui::ViewportCommand::CancelClose);
        }
        if self.state.may_close {
            context.send_viewport_cmd(egui::ViewportCommand::Close);
        }
        let title = self.state.title_of_window();
        if title != self.title {
            context.send_viewport_cmd(egui::ViewportCommand::Title(title.clone()));
            self.title = title;
        }
    }

    /// Does what was asked for by key or button.
    pub fn act(&mut self, action: Action, context: &egui::Context) {
        self.panels.act(action);
        action.apply(&mut self.state, context);
    }

    /// Tiles that are on their way to the screen.
    pub fn pending_tiles(&self) -> usize {
        self.tiles.pending()
    }

    /// Tiles that lie on the graphics card.
    pub fn resident_tiles(&self) -> usize {
        self.tiles.resident()
    }

    /// Files that were dropped, and what was pasted.
    fn take_files(&mut self, context: &egui::Context) {
        let (dropped, pasted) = context.input(|input| {
            let files = input.raw.dropped_files.iter();
            let files: Vec<PathBuf> = files.map(|file| file.path().to_path_buf()).collect();
            let pasted = input.events.iter().find_map(|event| match event {
                egui::Event::PasteImage(image) => Some(image.clone()),
                _ => None,
            });
            (files, pasted)
        });
        if !dropped.is_empty() {
            self.state.add_files(dropped);
        }
        if let Some(image) = pasted {
            self.state.open_pasted(image);
        }
    }
}

impl eframe::App for Window {
    fn logic(&mut self, context: &egui::Context, _: &mut eframe::Frame) {
        self.listen(context);
    }

    fn ui(&mut self, ui: &mut egui::Ui, _: &mut eframe::Frame) {
        self.show(ui);
    }

    fn save(&mut self, storage: &mut dyn eframe::Storage) {
        storage.set_string(KEY, self.state.to_remember().to_text());
    }
}

#[cfg(test)]
mod tests {
    use super::one_line;

    #[test]
    fn errors_of_others_are_cut_to_what_they_say() {
        let long = "winit: os error at /home/x/.cargo/y/mod.rs:765: neither A\n nor B is set.";
        assert_eq!(one_line(long), "neither A nor B is set");
        assert_eq!(
            one_line("Library libX.so could not be loaded."),
            "Library libX.so could not be loaded"
        );
        assert_eq!(one_line("at lib.rs:7"), "at lib.rs:7");
    }
}
