//! What the window knows: the picture, the settings, what was drawn and what is being drawn. A plain
//! struct: the person's actions, the worker's reports and the errands' results change it, and it lays
//! wishes on the worker's desk. Widgets only read it and call its methods.

mod changes;
mod cost;
mod history;
mod news;
mod panes;
mod queue;
mod remembered;
mod saving;
mod shown;
mod wishes;

use std::collections::VecDeque;
use std::sync::Arc;

pub use self::cost::Cost;
pub use self::history::{History, Run};
pub use self::panes::{Layer, Look, Mode, Pane, Particle, Reference, filter_name};
pub use self::queue::{Item, ItemState, Made, QueueState};
pub use self::remembered::Remembered;
pub use self::saving::{ToSave, Writing};
pub use self::shown::{Phase, Shown};

use super::errands::Errands;
use super::input::{Input, Place};
use super::session::Session;
use super::view::View;
use super::worker::{Desk, Ready, Setup, Side, Slot};
use crate::app::Start;
use crate::pipeline::Region;
use crate::settings::{Patch, Preset, Settings};

/// Seconds that settings must rest before they are tried.
const REST: f64 = 0.25;
/// Said when something would stop the whole picture.
const BUSY: &str = "the whole picture is being drawn: wait for it, or cancel it (Escape)";
/// Said when something would have to wait for all files of the queue.
const QUEUE_BUSY: &str = "the queue is running: wait for its end, or stop it";
/// Notes that are kept.
const MOST_NOTES: usize = 50;
/// A run for comparison that takes longer than this many seconds is made only when it is asked for.
pub const QUICK: f64 = 30.0;

/// Whether there is something to compute with.
#[derive(Clone, Debug)]
pub enum Model {
    /// It is being loaded.
    Loading,
    /// It is being fetched; the text says how far.
    Downloading(String),
    /// It is there.
    Ready(Box<Ready>),
    /// It is not, and why.
    Failed(String),
}

/// Something the person was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// What.
    pub text: String,
    /// Whether it went wrong.
    pub is_error: bool,
}

/// Everything that the window knows.
pub struct State {
    /// The picture that is looked at.
    pub input: Option<Arc<Input>>,
    /// What is being opened.
    pub opening: Option<String>,
    /// The number of the errand that opens it.
    opens: u64,
    /// A finished file of the queue that is being opened.
    opens_item: Option<Item>,
    /// A run whose picture is being read.
    selecting: Option<u64>,
    /// Model and device.
    pub model: Model,
    /// Which they are, or are to be.
    pub setup: Setup,
    /// As the sliders stand.
    pub settings: Settings,
    /// How files are written.
    pub writing: Writing,
    /// Whether changes are tried at once.
    pub is_live: bool,
    /// Where they are tried, before it is snapped to the grid.
    pub region: Option<Region>,
    /// How pictures are compared.
    pub mode: Mode,
    /// Details of that.
    pub look: Look,
    /// Zoom and place.
    pub view: View,
    /// Another zoom, about the middle of the view, in the next frame.
    pub zoom_to: Option<f64>,
    /// The whole enlargement.
    pub whole: Shown,
    /// The part where settings are tried.
    pub live: Shown,
    /// Finished runs.
    pub history: History,
    /// Files waiting to be enlarged.
    pub queue: QueueState,
    /// What the person was told, latest last.
    pub notes: Vec<Note>,
    /// What is kept from window to window.
    pub remembered: Remembered,
    /// A particle that was clicked.
    pub inspected: Option<(Side, usize)>,
    /// The person wants to leave, and results are not saved.
    pub asks_to_close: bool,
    /// Nothing stands in the way of closing.
    pub may_close: bool,
    /// As soon as everything is saved, nothing does.
    closes_when_saved: bool,
    /// What is being saved, and what comes after it.
    saves: VecDeque<ToSave>,
    desk: Desk,
    errands: Errands,
    session: Session,
    flags: Patch,
    preset: Option<Preset>,
    check: bool,
    output: Option<std::path::PathBuf>,
    /// Settings as they last rested, and those before and after (undo and redo).
    rested: Settings,
    past: Vec<Settings>,
    future: Vec<Settings>,
    changed_at: f64,
    now: f64,
    next_id: u64,
}

impl State {
    /// For `start`; what it asks for is laid on `desk`, files are opened through `errands`.
    pub fn new(
        start: Start,
        remembered: Remembered,
        desk: Desk,
        errands: Errands,
        session: Session,
    ) -> Self {
        let settings = remembered.settings.clone().unwrap_or_default();
        let mut writing = remembered.writing.clone();
        writing.scale = start.writing.scale.or(writing.scale);
        writing.quality = start.writing.quality.or(writing.quality);
        writing.strip_metadata |= start.writing.strip_metadata;
        let mut state = State {
            input: None,
            opening: None,
            opens: 0,
            opens_item: None,
            selecting: None,
            model: Model::Loading,
            setup: start.setup.clone(),
            rested: settings.clone(),
            settings,
            writing,
            is_live: remembered.is_live,
            region: None,
            mode: remembered.mode,
            look: remembered.look.clone(),
            view: View::default(),
            zoom_to: None,
            whole: Shown::default(),
            live: Shown::default(),
            history: History::default(),
            queue: QueueState::default(),
            notes: Vec::new(),
            remembered,
            inspected: None,
            asks_to_close: false,
            may_close: false,
            closes_when_saved: false,
            saves: VecDeque::new(),
            desk,
            errands,
            session,
            flags: start.flags,
            preset: start.preset,
            check: start.check,
            // For several pictures it names a folder, also if that is still to be made.
            output: match start.inputs.len() {
                0 | 1 => start.output,
                _ => start.output.map(|folder| folder.join("")),
            },
            past: Vec::new(),
            future: Vec::new(),
            changed_at: f64::NEG_INFINITY,
            now: 0.0,
            next_id: 1,
        };
        state.desk.load(start.setup);
        if start.inputs.is_empty() {
            state.open_place(Place::Example);
        } else {
            state.add_files(start.inputs);
        }
        state
    }

    /// Lets time pass: `now` in seconds since any moment. Settings that rest are tried.
    pub fn tick(&mut self, now: f64) {
        self.now = now;
        if self.has_rested() {
            self.rest();
            let waits = self.opening.is_some() || self.selecting.is_some() || self.whole.is_busy();
            if let Some(input) = &self.input
                && self.is_to_be_reduced()
                && !waits
            {
                self.open_place(input.place.clone());
            }
        }
        self.wish();
    }

    /// Whether settings lie still; until they do, somebody must look again.
    pub fn has_rested(&self) -> bool {
        self.now - self.changed_at >= REST
    }

    /// What is loaded, if it is.
    pub fn ready(&self) -> Option<&Ready> {
        match &self.model {
            Model::Ready(ready) => Some(ready),
            _ => None,
        }
    }

    /// Another model, device or precision.
    pub fn set_setup(&mut self, setup: Setup) {
        if self.whole.is_busy() {
            return self.note(BUSY.into());
        }
        if self.queue.is_running() {
            return self.note(QUEUE_BUSY.into());
        }
        if setup.model != self.setup.model {
            // Its latents have other units: the old one's settings mean nothing to it.
            self.remembered.settings = None;
            self.flags = Patch::default();
            self.preset = None;
            self.past.clear();
            self.future.clear();
            self.whole.forget();
        } else if self.ready().is_some() {
            self.remembered.settings = Some(self.settings.clone());
        }
        self.model = Model::Loading;
        self.desk.stop(Slot::Whole);
        self.desk.stop(Slot::Live);
        self.whole.stop();
        self.live.forget();
        self.setup = setup.clone();
        self.desk.load(setup);
    }

    /// Gives up fetching the model; the worker says when it has.
    pub fn stop_download(&self) {
        self.desk.stop_download();
    }

    fn slot(&mut self, slot: Slot) -> &mut Shown {
        match slot {
            Slot::Whole => &mut self.whole,
            Slot::Live => &mut self.live,
        }
    }

    fn new_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id - 1
    }

    fn open(&mut self, input: Arc<Input>) {
        self.opening = None;
        for warning in &input.warnings {
            self.note(format!("{}: {warning}", input.place.name()));
        }
        self.desk.stop(Slot::Whole);
        self.desk.stop(Slot::Live);
        self.whole.forget();
        self.live.forget();
        self.inspected = None;
        self.selecting = None;
        self.look.wants_whole = false;
        self.history.unpin();
        let before = self.input.as_ref();
        match before.filter(|before| before.place == input.place) {
            // The same picture, reduced otherwise: the same place of it.
            Some(before) => {
                let ratio = input.rgb.width as f64 / before.rgb.width as f64;
                self.view = self.view.scaled(ratio);
                self.region = self.region.map(|region| scaled(region, ratio));
            }
            None => {
                self.view = View::default();
                self.region = None;
            }
        }
        if let Some(path) = input.place.path() {
            self.remembered.opened(path);
        }
        self.input = Some(input);
        self.show_ready_example();
    }

    /// Reads a picture, reduced as the settings say; any other that is being opened is given up.
    pub(super) fn open_place(&mut self, place: Place) {
        self.opening = Some(place.name());
        self.opens += 1;
        self.errands.open(self.opens, place, self.settings.prescale);
    }

    /// Whether the picture is to be reduced otherwise than it was.
    pub(super) fn is_to_be_reduced(&self) -> bool {
        let input = self.input.as_ref();
        input.is_some_and(|input| input.prescale != self.settings.prescale)
    }

    /// Asks which pictures to open.
    pub fn ask_open(&self) {
        self.errands.ask_open(self.remembered.folder.clone());
    }

    /// Asks for another model's folder.
    pub fn ask_model(&self) {
        self.errands.ask_model_folder();
    }

    /// Asks where the queue's results shall go.
    pub fn ask_queue_folder(&self) {
        self.errands
            .ask_queue_folder(self.remembered.folder.clone());
    }

    /// Opens what was pasted.
    pub fn open_pasted(&mut self, image: Arc<eframe::egui::ColorImage>) {
        if self.whole.is_busy() {
            return self.note(BUSY.into());
        }
        self.open_place(Place::Clipboard(image));
    }

    /// The window's title: the picture, and how far it is.
    pub fn title_of_window(&self) -> String {
        let Some(input) = &self.input else {
            return "minkds".into();
        };
        let progress = match (&self.whole.phase, self.queue.is_running()) {
            (_, true) => format!(", queue {:.0} %", 100.0 * self.queue.part()),
            (Phase::Running { part, .. }, _) => format!(", {:.0} %", 100.0 * part),
            (Phase::Waiting, _) => ", waiting".into(),
            (Phase::Failed(_), _) => ", failed".into(),
            (Phase::Idle, _) if self.whole.is_current() => match self.run_to_save() {
                Some(run) if run.saved.is_some() => ", saved".into(),
                Some(_) => ", enlarged".into(),
                None => String::new(),
            },
            _ => String::new(),
        };
        format!("{}{progress} - minkds", input.place.name())
    }

    /// An ordinary word.
    pub fn note(&mut self, text: String) {
        self.add_note(text, false);
    }

    /// Something went wrong.
    pub fn complain(&mut self, text: String) {
        self.add_note(text, true);
    }

    fn add_note(&mut self, text: String, is_error: bool) {
        let note = Note { text, is_error };
        if self.notes.last() == Some(&note) {
            return;
        }
        self.notes.push(note);
        if self.notes.len() > MOST_NOTES {
            self.notes.remove(0);
        }
    }

    /// Whether a whole result would be lost by closing.
    pub fn has_unsaved(&self) -> bool {
        self.unsaved().next().is_some()
    }

    /// Whole results that are neither saved nor being saved.
    pub fn unsaved(&self) -> impl Iterator<Item = &Run> {
        let runs = self.history.unsaved();
        runs.filter(|run| !self.is_being_saved(run.id))
    }

    /// The person wants to leave: true if nothing would be lost.
    pub fn close(&mut self) -> bool {
        let works = self.queue.is_running() || self.whole.is_busy();
        if self.may_close {
            return true;
        }
        if works || self.has_unsaved() {
            self.asks_to_close = true;
        } else if self.saves.is_empty() {
            return true;
        } else {
            self.closes_when_saved = true;
            self.note("the window closes as soon as everything is saved".into());
        }
        false
    }

    /// Do not leave after all.
    pub fn stay(&mut self) {
        self.asks_to_close = false;
        self.closes_when_saved = false;
    }

    /// Leave without saving.
    pub fn close_anyway(&mut self) {
        self.may_close = true;
    }

    /// Saves what is unsaved, then leaves.
    pub fn save_all_and_close(&mut self) {
        self.closes_when_saved = true;
        let unsaved: Vec<u64> = self.unsaved().map(|run| run.id).collect();
        for run in unsaved {
            self.save(run);
        }
    }

    /// What is to be kept for the next window.
    pub fn to_remember(&self) -> Remembered {
        Remembered {
            mode: self.mode,
            look: self.look.clone(),
            is_live: self.is_live,
            writing: self.writing.clone(),
            settings: match self.ready() {
                Some(_) => Some(self.settings.clone()),
                None => self.remembered.settings.clone(),
            },
            model: self.setup.model.to_string(),
            folder: self.remembered.folder.clone(),
            recent: self.remembered.recent.clone(),
            ..Remembered::default()
        }
    }
}

/// The same part of a picture that is `ratio` times as large.
fn scaled(region: Region, ratio: f64) -> Region {
    let scaled = |side: usize| (side as f64 * ratio).round() as usize;
    Region {
        left: scaled(region.left),
        top: scaled(region.top),
        width: scaled(region.width).max(1),
        height: scaled(region.height).max(1),
    }
}
