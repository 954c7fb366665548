//! What the window knows: the picture, the settings, what was drawn and what is being drawn. A plain
//! struct: the person's actions, the worker's reports and the errands' results change it, and it lays
//! wishes on the worker's desk. Widgets only read it and call its methods.

mod cost;
mod history;
mod panes;
mod queue;
mod remembered;
mod shown;

use std::collections::HashMap;
use std::sync::Arc;

pub use self::cost::Cost;
pub use self::history::{History, Run};
pub use self::panes::{Layer, Look, Mode, Pane, Particle, Reference, filter_name};
pub use self::queue::{Item, ItemState, QueueState};
pub use self::remembered::Remembered;
pub use self::shown::{Phase, Shown};

use super::errands::{Done, Errands};
use super::input::Input;
use super::session::Session;
use super::view::View;
use super::worker::{Desk, Drawing, Needs, Preview, QueueReport, Ready, Report, Setup, Side, Slot};
use crate::app::Start;
use crate::pipeline::Region;
use crate::settings::{Patch, Preset, Settings};

/// Seconds that settings must rest before they are tried.
const REST: f64 = 0.25;
/// Said when something would stop the whole picture.
const BUSY: &str = "the whole picture is being drawn: wait for it, or cancel it (Escape)";
/// Notes that are kept.
const MOST_NOTES: usize = 50;
/// A run for comparison that takes longer than this many seconds is made only when it is asked for.
pub const QUICK: f64 = 30.0;

/// Whether there is something to compute with.
#[derive(Clone, Debug)]
pub enum Model {
    /// It is being loaded; the text says how far.
    Loading(String),
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
    /// A file of the queue that is being opened, and its result.
    opens_result: Option<(std::path::PathBuf, std::path::PathBuf)>,
    /// A run whose picture is being read.
    selecting: Option<u64>,
    /// Model and device.
    pub model: Model,
    /// Which they are, or are to be.
    pub setup: Setup,
    /// As the sliders stand.
    pub settings: Settings,
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
        let mut state = State {
            input: None,
            opening: None,
            opens: 0,
            opens_result: None,
            selecting: None,
            model: Model::Loading("loading the model".into()),
            setup: start.setup.clone(),
            rested: settings.clone(),
            settings,
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
            state.errands.open_example(0);
        } else {
            state.add_files(start.inputs);
        }
        state
    }

    /// Lets time pass: `now` in seconds since any moment. Settings that rest are tried.
    pub fn tick(&mut self, now: f64) {
        self.now = now;
        if self.settings != self.rested && self.has_rested() {
            self.future.clear();
            self.past
                .push(std::mem::replace(&mut self.rested, self.settings.clone()));
        }
        self.wish();
    }

    /// Whether settings lie still; until they do, somebody must look again.
    pub fn has_rested(&self) -> bool {
        self.now - self.changed_at >= REST
    }

    /// The sliders moved (`settings` is already what it shall be).
    pub fn settings_moved(&mut self) {
        self.changed_at = self.now;
    }

    /// Other settings at once, as one step of undo.
    pub fn set_settings(&mut self, settings: Settings) {
        if settings != self.rested {
            self.future.clear();
            self.past
                .push(std::mem::replace(&mut self.rested, settings.clone()));
        }
        self.settings = settings;
        self.changed_at = f64::NEG_INFINITY;
    }

    /// Whether there is something to undo, and to redo.
    pub fn can_undo_redo(&self) -> (bool, bool) {
        (
            !self.past.is_empty() || self.settings != self.rested,
            !self.future.is_empty(),
        )
    }

    /// Back to the settings before.
    pub fn undo(&mut self) {
        if self.settings != self.rested {
            // Not even rested: back to where they did.
            self.future.push(self.settings.clone());
        } else if let Some(before) = self.past.pop() {
            self.future
                .push(std::mem::replace(&mut self.rested, before));
        }
        self.settings = self.rested.clone();
        self.changed_at = f64::NEG_INFINITY;
    }

    /// Forward again.
    pub fn redo(&mut self) {
        if let Some(after) = self.future.pop() {
            self.past.push(std::mem::replace(&mut self.rested, after));
            self.settings = self.rested.clone();
            self.changed_at = f64::NEG_INFINITY;
        }
    }

    /// The model's own settings; the program's where none is loaded.
    pub fn recommended(&self) -> Settings {
        match &self.model {
            Model::Ready(ready) => ready.recommended.clone(),
            _ => Settings::default(),
        }
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
        if setup.model != self.setup.model {
            // Its latents have other units: the old one's settings mean nothing to it.
            self.remembered.settings = None;
            self.flags = Patch::default();
            self.preset = None;
            self.whole.forget();
        } else {
            self.remembered.settings = Some(self.settings.clone());
        }
        self.model = Model::Loading("loading the model".into());
        self.desk.stop(Slot::Whole);
        self.desk.stop(Slot::Live);
        self.whole.stop();
        self.live.forget();
        self.setup = setup.clone();
        if self.desk.load(setup) {
            self.queue.hear(QueueReport::Ended(false));
        }
    }

    /// The whole picture with the settings as they stand.
    pub fn enlarge_all(&mut self) {
        let Some(input) = self.input.clone() else {
            return;
        };
        if self.ready().is_none() || self.whole.is_busy() {
            return;
        }
        if let Some(refused) = self.cost().and_then(|cost| cost.refused) {
            return self.complain(refused);
        }
        let is_same = self.whole.is_of(&input, None, &self.settings);
        if is_same && self.whole.is_current() && !self.whole.curves.is_empty() {
            return self.note("this is the whole picture with these settings already".into());
        }
        self.set_settings(self.settings.clone());
        let id = self.new_id();
        self.whole.want(id, input, None, self.settings.clone());
        self.wish();
    }

    /// Stops what takes time: the whole picture or the queue, else what is being tried.
    pub fn cancel(&mut self) {
        let whole_runs = matches!(self.whole.phase, Phase::Running { .. });
        if self.queue.is_running() && !whole_runs {
            if self.desk.stop_queue() {
                self.queue.hear(QueueReport::Ended(false));
            }
        } else if self.whole.is_busy() {
            self.desk.stop(Slot::Whole);
            self.whole.stop();
        } else if self.live.is_busy() {
            self.desk.stop(Slot::Live);
            self.live.halt();
        }
    }

    /// Tries settings at once from now on, or no longer.
    pub fn set_live(&mut self, is_live: bool) {
        self.is_live = is_live;
        if is_live {
            // What was cancelled is tried again.
            self.live.stop();
        } else {
            self.desk.stop(Slot::Live);
            self.live.halt();
        }
    }

    /// Whether something is being computed that [`State::cancel`] would stop.
    pub fn is_busy(&self) -> bool {
        self.queue.is_running() || self.whole.is_busy() || self.live.is_busy()
    }

    /// Puts the place where settings are tried around a point of the input.
    pub fn try_at(&mut self, x: f64, y: f64) {
        if let Some(region) = self.region_around(x, y) {
            self.region = Some(region);
            self.changed_at = f64::NEG_INFINITY;
        }
    }

    /// A particle of the picture that is shown is to be looked at.
    pub fn inspect(&mut self, side: Side, particle: usize) {
        self.inspected = Some((side, particle));
    }

    /// Lays on the desk whatever is missing.
    fn wish(&mut self) {
        if self.ready().is_none() {
            return;
        }
        let needs = self.needs();
        let whole_needs = if self.whole_is_quick() || self.look.wants_whole {
            // A run from the history has no curves, and none are drawn for their own sake.
            let shows_curves = self.look.shows_curves && !self.whole.curves.is_empty();
            Needs {
                plain: self.mode.needs_plain(&self.look) || shows_curves,
                ..needs
            }
        } else {
            Needs::default()
        };
        if self.whole.is_wanted() {
            self.lay(Slot::Whole, whole_needs);
        }
        if !self.is_live || !self.has_rested() {
            return;
        }
        let Some(input) = self.input.clone() else {
            return;
        };
        let covered = self.whole.is_of(&input, None, &self.settings);
        if covered && self.live.is_busy() {
            self.desk.stop(Slot::Live);
            self.live.stop();
        }
        let waits = self.selecting.is_some() || self.whole.is_busy() || self.queue.is_running();
        if covered || waits {
            return;
        }
        if self.region.is_none() {
            let [x, y] = [input.rgb.width, input.rgb.height].map(|side| side as f64 / 2.0);
            self.region = self.region_around(x, y);
        }
        let Some(region) = self.snapped_region() else {
            return;
        };
        if !self.live.is_of(&input, Some(region), &self.settings) {
            let id = self.new_id();
            self.live
                .want(id, input, Some(region), self.settings.clone());
        }
        self.lay(Slot::Live, needs);
    }

    /// Lays what is wanted in `slot` on the desk, unless just that lies there.
    fn lay(&mut self, slot: Slot, needs: Needs) {
        let check = self.check;
        let shown = self.slot(slot);
        let particles = shown
            .settings()
            .map_or(0, |settings| settings.particles as usize);
        let particle = needs.particle.filter(|(_, index)| *index < particles);
        let needs = Needs { particle, ..needs };
        if let Some(wish) = shown.wish(needs) {
            let (id, input, region, settings) = wish;
            let file = self.session.file(id);
            let drawing = Drawing {
                id,
                input,
                region,
                settings,
                check,
                file,
                needs,
            };
            self.desk.draw(slot, drawing);
        }
    }

    /// What the way of comparing needs beside the steered picture.
    fn needs(&self) -> Needs {
        Needs {
            plain: self.mode.needs_plain(&self.look) || self.look.shows_curves,
            spread: self.mode == Mode::Spread,
            particle: self.inspected.filter(|_| self.mode == Mode::Particles),
        }
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

    /// What the worker said, and its latest pictures of work in progress.
    pub fn hear(&mut self, reports: Vec<Report>, previews: HashMap<(Slot, Side), Preview>) {
        let now = self.now;
        for ((slot, side), preview) in previews {
            self.slot(slot).preview(side, preview);
        }
        for report in reports {
            match report {
                Report::Note(text) => self.note(text),
                Report::Download(file, done, total) => {
                    let percent = 100 * done / total.max(1);
                    self.model = Model::Loading(format!("downloading {file}: {percent} %"));
                }
                Report::Ready(ready) => self.is_ready(ready),
                Report::NotReady(error) => {
                    self.complain(error.clone());
                    self.model = Model::Failed(error);
                }
                Report::Begun(slot, id, side) => self.slot(slot).begun(id, side, now),
                Report::Progress(slot, id, part) => self.slot(slot).progress(id, part, now),
                Report::Step(slot, id, side, step) => self.slot(slot).step(id, side, step),
                Report::Drawn(drawn) => {
                    self.remember(&drawn);
                    self.slot(drawn.slot).drawn(*drawn);
                }
                Report::Decoded(slot, id, side, particle, picture) => {
                    self.slot(slot).decoded(id, side, particle, picture);
                }
                Report::Spread(slot, id, spread) => self.slot(slot).spread(id, spread),
                Report::Finished(slot, id) => self.slot(slot).finished(id),
                Report::Failed(slot, id, error) => {
                    self.complain(error.clone());
                    self.slot(slot).failed(id, error);
                }
                Report::Stopped(slot, id) if self.slot(slot).is_wanted_id(id) => match slot {
                    Slot::Whole => self.whole.stop(),
                    Slot::Live => self.live.halt(),
                },
                Report::Stopped(..) => (),
                Report::Rate(rate) => {
                    if let Model::Ready(ready) = &mut self.model {
                        ready.rate = rate;
                    }
                }
                Report::Queue(report) => {
                    if let Some(note) = self.queue.hear(report) {
                        self.complain(note);
                    }
                }
            }
        }
    }

    fn is_ready(&mut self, ready: Box<Ready>) {
        // Kept settings count for the model they were made with.
        let own = Patch::default();
        let kept = self.remembered.settings.take();
        let flags = std::mem::take(&mut self.flags);
        let preset = self.preset.take();
        let settings = match kept.filter(|_| preset.is_none() && flags == own) {
            Some(kept) => Ok(kept),
            None => {
                let (model, keeps_colors) = (&ready.own_settings, ready.is_bundled);
                Settings::resolve(model, preset, &flags, keeps_colors)
            }
        };
        match settings {
            Ok(settings) => {
                self.settings = settings.clone();
                self.rested = settings;
            }
            Err(error) => self.complain(error.to_string()),
        }
        self.model = Model::Ready(ready);
        self.show_ready_example();
    }

    /// What an errand brought.
    pub fn done(&mut self, done: Done) {
        match done {
            // Something else was opened since.
            Done::Opened(number, _) if number != self.opens => (),
            Done::Opened(_, Ok(_)) if self.whole.is_busy() => {
                self.opening = None;
                self.note(BUSY.into());
            }
            Done::Opened(_, Ok(input)) => {
                self.open(input);
                self.show_result_of_queue();
            }
            Done::Opened(_, Err(error)) => {
                self.opening = None;
                self.complain(error);
            }
            Done::Reopened(run, Ok(input)) => self.run_reopened(run, input),
            Done::Reopened(_, Err(error)) => self.complain(error),
            Done::Chosen(paths) => self.add_files(paths),
            Done::Found(files) => self.found(files),
            Done::Loaded(run, Ok(picture)) => self.run_loaded(run, picture),
            Done::Loaded(_, Err(error)) => {
                self.selecting = None;
                self.complain(error);
            }
            Done::SaveTo(run, path) => self.save_to(run, path),
            Done::Saved(run, Ok((path, warnings))) => {
                warnings.into_iter().for_each(|warning| self.note(warning));
                self.note(format!("saved as {}", path.display()));
                self.history.saved(run, path);
                if self.closes_when_saved && !self.has_unsaved() {
                    self.may_close = true;
                }
            }
            Done::Saved(_, Err(error)) => {
                self.asks_to_close = false;
                self.closes_when_saved = false;
                self.complain(error);
            }
            Done::Compared(Ok(path)) => {
                self.note(format!("comparison saved as {}", path.display()))
            }
            Done::Compared(Err(error)) => self.complain(error),
            Done::ModelFolder(folder) => {
                let setup = Setup {
                    model: crate::model::ModelSource::Folder(folder),
                    ..self.setup.clone()
                };
                self.set_setup(setup);
            }
            Done::QueueFolder(folder) => self.start_queue(Some(folder)),
            Done::Copied(Ok(())) => self.note("the result is in the clipboard".into()),
            Done::Copied(Err(error)) => self.complain(error),
        }
    }

    fn open(&mut self, input: Arc<Input>) {
        self.opening = None;
        for warning in &input.warnings {
            self.note(format!("{}: {warning}", input.name));
        }
        self.desk.stop(Slot::Whole);
        self.desk.stop(Slot::Live);
        self.whole.forget();
        self.live.forget();
        self.region = None;
        self.inspected = None;
        self.selecting = None;
        self.look.wants_whole = false;
        self.view = View::default();
        self.history.unpin();
        if let Some(path) = &input.path {
            self.remembered.opened(path);
        }
        self.input = Some(input);
        self.show_ready_example();
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
        self.opening = Some("the pasted picture".into());
        self.opens += 1;
        self.errands.open_pasted(self.opens, image);
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
        format!("{}{progress} - minkds", input.name)
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
        self.history.unsaved().next().is_some()
    }

    /// The person wants to leave: true if nothing would be lost.
    pub fn close(&mut self) -> bool {
        let works = self.queue.is_running() || self.whole.is_busy();
        if self.may_close || (!self.has_unsaved() && !works) {
            return true;
        }
        self.asks_to_close = true;
        false
    }

    /// Leave without saving.
    pub fn close_anyway(&mut self) {
        self.may_close = true;
    }

    /// Saves what is unsaved, then leaves.
    pub fn save_all_and_close(&mut self) {
        self.closes_when_saved = true;
        let unsaved: Vec<u64> = self.history.unsaved().map(|run| run.id).collect();
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
