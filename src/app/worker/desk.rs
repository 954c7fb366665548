//! The worker's desk: the latest wish of each kind lies there, newer ones replacing older ones, and what
//! is being worked on is stopped when nobody wants it any more.

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::reports::{Side, Slot};
use crate::app::input::Input;
use crate::device::{DeviceChoice, Precision};
use crate::job::Job;
use crate::model::ModelSource;
use crate::pipeline::{Cancel, Region};
use crate::settings::Settings;

/// Which model on which device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    /// The model.
    pub model: ModelSource,
    /// What computes.
    pub device: DeviceChoice,
    /// How exactly.
    pub precision: Precision,
    /// Bytes that the program may take, if limited.
    pub memory_limit: Option<u64>,
}

/// A picture, or part of one, that is to be drawn.
#[derive(Clone)]
pub struct Drawing {
    /// Another number means another sampling; the same one only other needs.
    pub id: u64,
    /// The picture.
    pub input: Arc<Input>,
    /// The part; all of it if `None`.
    pub region: Option<Region>,
    /// How.
    pub settings: Settings,
    /// Whether the result must resemble the input.
    pub check: bool,
    /// The file that keeps the steered result.
    pub file: PathBuf,
    /// What besides.
    pub needs: Needs,
}

/// What is wanted beside the steered picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// The same particle, left alone.
    pub plain: bool,
    /// How far the particles that are left alone differ.
    pub spread: bool,
    /// One more particle, decoded.
    pub particle: Option<(Side, usize)>,
}

impl Needs {
    /// Whether whoever has met these has met `other`, too.
    pub fn covers(self, other: Needs) -> bool {
        (self.plain || !other.plain)
            && (self.spread || !other.spread)
            && (other.particle.is_none() || self.particle == other.particle)
    }
}

/// Files to be enlarged one after the other.
#[derive(Clone)]
pub struct Queue {
    /// The files and where their results go.
    pub job: Job,
    /// How.
    pub settings: Settings,
}

/// What the worker does next.
pub enum Errand {
    /// Load this.
    Setup(Setup),
    /// Draw this.
    Draw(Slot, Drawing),
    /// Enlarge these files.
    Queue(Queue),
}

/// The desk; clones are the same desk.
#[derive(Clone, Default)]
pub struct Desk(Arc<Shared>);

#[derive(Default)]
struct Shared {
    wishes: Mutex<Wishes>,
    changed: Condvar,
}

#[derive(Default)]
struct Wishes {
    setup: Option<Setup>,
    whole: Wish,
    live: Wish,
    queue: Option<Queue>,
    running: Option<(Running, Cancel)>,
    paused: bool,
    closing: bool,
}

/// A drawing, and which of its needs were met, or given up, already.
#[derive(Default)]
struct Wish {
    drawing: Option<Drawing>,
    met: Option<(u64, Needs)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Running {
    Setup,
    Drawing(Slot, u64),
    Queue,
}

impl Wish {
    fn is_open(&self) -> bool {
        let drawing = self.drawing.as_ref();
        drawing.is_some_and(|drawing| self.met != Some((drawing.id, drawing.needs)))
    }
}

impl Wishes {
    fn wish(&mut self, slot: Slot) -> &mut Wish {
        match slot {
            Slot::Whole => &mut self.whole,
            Slot::Live => &mut self.live,
        }
    }

    /// Stops what runs if `unwanted` says so.
    fn stop_if(&self, unwanted: impl FnOnce(Running) -> bool) {
        if let Some((running, cancel)) = &self.running
            && unwanted(*running)
        {
            cancel.cancel();
        }
    }
}

impl Desk {
    /// Another model, device or precision. Whatever is drawn or downloaded is stopped; a model that is being
    /// read is finished first.
    pub fn load(&self, setup: Setup) {
        let mut wishes = self.lock();
        wishes.setup = Some(setup);
        wishes.stop_if(|_| true);
        self.0.changed.notify_all();
    }

    /// Gives up a download that is under way.
    pub fn stop_download(&self) {
        self.lock().stop_if(|running| running == Running::Setup);
    }

    /// Whether another setup waits for its turn.
    pub(super) fn has_setup(&self) -> bool {
        self.lock().setup.is_some()
    }

    /// What is to be drawn in `slot` from now on. A run for another drawing there is stopped, and so is
    /// trying things when the whole picture is wanted.
    pub fn draw(&self, slot: Slot, drawing: Drawing) {
        let mut wishes = self.lock();
        let id = drawing.id;
        wishes.wish(slot).drawing = Some(drawing);
        wishes.stop_if(|running| match running {
            Running::Drawing(Slot::Live, _) if slot == Slot::Whole => true,
            Running::Drawing(other, running) => other == slot && running != id,
            Running::Setup | Running::Queue => false,
        });
        self.0.changed.notify_all();
    }

    /// Nothing more is wanted in `slot`.
    pub fn stop(&self, slot: Slot) {
        let mut wishes = self.lock();
        wishes.wish(slot).drawing = None;
        wishes.stop_if(|running| matches!(running, Running::Drawing(other, _) if other == slot));
    }

    /// Files to be enlarged, before anything is tried further.
    pub fn enqueue(&self, queue: Queue) {
        let mut wishes = self.lock();
        wishes.queue = Some(queue);
        wishes.paused = false;
        wishes.stop_if(|running| matches!(running, Running::Drawing(Slot::Live, _)));
        self.0.changed.notify_all();
    }

    /// Gives the queue up after the last finished file; true if it had not even begun.
    pub fn stop_queue(&self) -> bool {
        let mut wishes = self.lock();
        wishes.paused = false;
        wishes.stop_if(|running| running == Running::Queue);
        self.0.changed.notify_all();
        wishes.queue.take().is_some()
    }

    /// Holds the queue before its next network evaluation, or lets it go on.
    pub fn pause(&self, paused: bool) {
        self.lock().paused = paused;
        self.0.changed.notify_all();
    }

    /// The worker is to end; true if it will at once, rather than when a model has been read.
    pub fn close(&self) -> bool {
        let mut wishes = self.lock();
        wishes.closing = true;
        wishes.paused = false;
        wishes.stop_if(|_| true);
        self.0.changed.notify_all();
        !matches!(wishes.running, Some((Running::Setup, _)))
    }

    /// The worker's next errand, and how it is told to stop; waits for one, `None` at the end. Without a
    /// model (`ready` is false) only a setup counts.
    pub(super) fn next(&self, ready: bool) -> Option<(Errand, Cancel)> {
        let mut wishes = self.lock();
        loop {
            wishes.running = None;
            if wishes.closing {
                return None;
            }
            let errand = if let Some(setup) = wishes.setup.take() {
                Some((Running::Setup, Errand::Setup(setup)))
            } else if !ready {
                None
            } else if let Some(drawing) = open(&wishes.whole) {
                let running = Running::Drawing(Slot::Whole, drawing.id);
                Some((running, Errand::Draw(Slot::Whole, drawing)))
            } else if let Some(queue) = wishes.queue.take() {
                Some((Running::Queue, Errand::Queue(queue)))
            } else if let Some(drawing) = open(&wishes.live) {
                let running = Running::Drawing(Slot::Live, drawing.id);
                Some((running, Errand::Draw(Slot::Live, drawing)))
            } else {
                None
            };
            if let Some((running, errand)) = errand {
                let cancel = Cancel::default();
                wishes.running = Some((running, cancel.clone()));
                return Some((errand, cancel));
            }
            wishes = self.wait(wishes);
        }
    }

    /// The worker is done with this drawing's needs, one way or the other.
    pub(super) fn met(&self, slot: Slot, id: u64, needs: Needs) {
        self.lock().wish(slot).met = Some((id, needs));
    }

    /// Whether the drawing is still the one that is wanted in `slot`.
    pub(super) fn is_wanted(&self, slot: Slot, id: u64) -> bool {
        let mut wishes = self.lock();
        let drawing = wishes.wish(slot).drawing.as_ref();
        drawing.is_some_and(|drawing| drawing.id == id)
    }

    /// Returns when nothing is paused, or `cancel` was raised.
    pub(super) fn wait_while_paused(&self, cancel: &Cancel) {
        let mut wishes = self.lock();
        while wishes.paused && !cancel.is_cancelled() {
            wishes = self.wait(wishes);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Wishes> {
        self.0.wishes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, wishes: MutexGuard<'a, Wishes>) -> MutexGuard<'a, Wishes> {
        let waited = self.0.changed.wait(wishes);
        waited.unwrap_or_else(PoisonError::into_inner)
    }
}

fn open(wish: &Wish) -> Option<Drawing> {
    wish.drawing.clone().filter(|_| wish.is_open())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::input::Place;
    use eframe::egui::{Color32, ColorImage};

    fn drawing(id: u64, needs: Needs) -> Drawing {
        let image = Arc::new(ColorImage::filled([4, 4], Color32::GRAY));
        Drawing {
            id,
            input: Arc::new(Input::open(Place::Clipboard(image), 1.0).unwrap()),
            region: None,
            settings: Settings::default(),
            check: true,
            file: PathBuf::new(),
            needs,
        }
    }

    fn queue() -> Queue {
        let job = Job::new(Vec::new());
        let settings = Settings::default();
        Queue { job, settings }
    }

    fn setup() -> Setup {
        Setup {
            model: ModelSource::Bundled,
            device: DeviceChoice::Cpu,
            precision: Precision::Auto,
            memory_limit: None,
        }
    }

    /// What is being worked on, and whether it is to be stopped.
    fn next(desk: &Desk) -> (String, Cancel) {
        let (errand, cancel) = desk.next(true).expect("an errand");
        let name = match errand {
            Errand::Setup(_) => "setup".to_string(),
            Errand::Draw(slot, drawing) => format!("{slot:?} {}", drawing.id),
            Errand::Queue(_) => "queue".to_string(),
        };
        (name, cancel)
    }

    #[test]
    fn a_newer_drawing_stops_the_older_one_and_other_needs_do_not() {
        let desk = Desk::default();
        desk.draw(Slot::Live, drawing(1, Needs::default()));
        let (name, cancel) = next(&desk);
        assert_eq!((name.as_str(), cancel.is_cancelled()), ("Live 1", false));
        let plain = Needs {
            plain: true,
            ..Needs::default()
        };
        desk.draw(Slot::Live, drawing(1, plain));
        assert!(!cancel.is_cancelled());
        desk.draw(Slot::Live, drawing(2, plain));
        assert!(cancel.is_cancelled());
        assert!(!desk.is_wanted(Slot::Live, 1));
        assert_eq!(next(&desk).0, "Live 2");
    }

    #[test]
    fn the_whole_and_the_queue_come_before_what_is_tried() {
        let desk = Desk::default();
        desk.draw(Slot::Live, drawing(1, Needs::default()));
        let (_, live) = next(&desk);
        desk.draw(Slot::Whole, drawing(2, Needs::default()));
        desk.enqueue(queue());
        assert!(live.is_cancelled());
        let (name, whole) = next(&desk);
        assert_eq!(name, "Whole 2");
        desk.draw(Slot::Live, drawing(3, Needs::default()));
        desk.enqueue(queue());
        assert!(!whole.is_cancelled());
        desk.met(Slot::Whole, 2, Needs::default());
        assert_eq!(next(&desk).0, "queue");
        assert_eq!(next(&desk).0, "Live 3");
    }

    #[test]
    fn a_queue_that_has_not_begun_is_taken_back() {
        let desk = Desk::default();
        desk.enqueue(queue());
        assert!(desk.stop_queue());
        assert!(!desk.stop_queue());
        desk.enqueue(queue());
        let (_, cancel) = next(&desk);
        assert!(!desk.stop_queue() && cancel.is_cancelled());
    }

    #[test]
    fn a_download_is_stopped_on_demand_and_by_another_setup() {
        let desk = Desk::default();
        desk.load(setup());
        let (name, cancel) = next(&desk);
        assert_eq!((name.as_str(), cancel.is_cancelled()), ("setup", false));
        desk.stop_download();
        assert!(cancel.is_cancelled() && !desk.has_setup());
        desk.load(setup());
        let (_, cancel) = next(&desk);
        desk.load(setup());
        assert!(cancel.is_cancelled() && desk.has_setup());
        // What is drawn is no download.
        next(&desk);
        desk.draw(Slot::Live, drawing(1, Needs::default()));
        let (_, cancel) = next(&desk);
        desk.stop_download();
        assert!(!cancel.is_cancelled());
    }

    #[test]
    fn closing_ends_the_work_and_a_pause() {
        let desk = Desk::default();
        desk.draw(Slot::Whole, drawing(1, Needs::default()));
        let (_, cancel) = next(&desk);
        desk.pause(true);
        let (own, held) = (desk.clone(), cancel.clone());
        let thread = std::thread::spawn(move || own.wait_while_paused(&held));
        assert!(desk.close() && cancel.is_cancelled());
        thread.join().expect("it goes on");
        assert!(desk.next(true).is_none());
    }
}
