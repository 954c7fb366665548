//! What the worker says: events in order, and pictures of work in progress of which only the latest counts.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::app::raster::Raster;
use crate::kds::Choice;
use crate::pipeline::{Estimator, Region};
use crate::settings::{Patch, Settings};

/// What is drawn: the whole picture, or the part where settings are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Slot {
    /// "Enlarge picture".
    Whole,
    /// "Try here".
    Live,
}

/// One of the two runs that are compared: same noise, with steering and without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// As the settings say.
    Steered,
    /// The same particles left alone.
    Plain,
}

/// What was loaded, and what it costs.
#[derive(Clone, Debug)]
pub struct Ready {
    /// The model's name.
    pub name: String,
    /// The device's name.
    pub device: String,
    /// What the networks hold.
    pub precision: &'static str,
    /// Whether it is the model inside the program.
    pub is_bundled: bool,
    /// Whether it can be told that an input is clean.
    pub knows_clean: bool,
    /// What its makers recommend.
    pub own_settings: Patch,
    /// The settings that follow.
    pub recommended: Settings,
    /// For costs.
    pub estimator: Estimator,
    /// What the sides of a canvas are multiples of.
    pub multiple: usize,
    /// Operations per second.
    pub rate: f64,
    /// The devices of this machine: what `--device` calls them, and their names.
    pub devices: Vec<(String, String)>,
}

/// One step of a run.
#[derive(Clone, Debug)]
pub struct Step {
    /// From 0.
    pub index: usize,
    /// Where it stood, 1 (noise) to 0.
    pub time: f64,
    /// How strongly particles were steered.
    pub gamma: f64,
    /// How far they lay apart.
    pub distance: f64,
    /// A small picture of the first particle's clean latents.
    pub preview: Option<Arc<Raster>>,
}

/// A finished run.
#[derive(Clone, Debug)]
pub struct Drawn {
    /// What it is of.
    pub slot: Slot,
    /// The drawing's number.
    pub drawing: u64,
    /// With steering or without.
    pub side: Side,
    /// The part of the input that it covers.
    pub region: Region,
    /// Which particle it is.
    pub choice: Choice,
    /// The picture.
    pub picture: Arc<Raster>,
    /// The file that keeps it (steered runs only).
    pub file: Option<PathBuf>,
    /// Every particle as a quick picture.
    pub particles: Vec<Arc<Raster>>,
    /// All steps.
    pub curve: Arc<Vec<Step>>,
    /// Seconds that it took; `None` if it was there already.
    pub seconds: Option<f64>,
}

/// How far the particles that were left alone differ, as a picture of colours.
#[derive(Clone, Debug)]
pub struct Spread {
    /// The map.
    pub picture: Arc<Raster>,
    /// The standard deviation, of 255, that has the last colour.
    pub top: f32,
    /// The average over all pixels.
    pub mean: f32,
}

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Report {
    /// A word for the person.
    Note(String),
    /// A model is being fetched: the file, bytes so far, and in all.
    Download(String, u64, u64),
    /// Model and device are there.
    Ready(Box<Ready>),
    /// They are not.
    NotReady(String),
    /// A model is no longer being fetched, as was asked for.
    DownloadStopped,
    /// A run begins.
    Begun(Slot, u64, Side),
    /// Part of a run is done, 0..=1.
    Progress(Slot, u64, f64),
    /// A step is done.
    Step(Slot, u64, Side, Step),
    /// A run is done.
    Drawn(Box<Drawn>),
    /// One more particle was decoded.
    Decoded(Slot, u64, Side, usize, Arc<Raster>),
    /// How far particles differ.
    Spread(Slot, u64, Spread),
    /// Everything that was wished for is there.
    Finished(Slot, u64),
    /// It could not be made.
    Failed(Slot, u64, String),
    /// It was stopped.
    Stopped(Slot, u64),
    /// Operations per second, measured anew.
    Rate(f64),
    /// Something about the queue.
    Queue(QueueReport),
}

/// What happens to a queue of files.
#[derive(Clone, Debug)]
pub enum QueueReport {
    /// A file's turn has come.
    Started(usize),
    /// Part of it is done.
    Progress(usize, f64),
    /// It is done, as this file.
    Done(usize, PathBuf),
    /// Its result was there already, made with these settings if that is known and it was this model.
    Skipped(usize, PathBuf, Option<Box<Settings>>),
    /// It failed.
    Failed(usize, String),
    /// The queue is at its end, or (false) was stopped.
    Ended(bool),
}

/// Quick pictures of a run in progress, one per particle.
#[derive(Clone, Debug)]
pub struct Preview {
    /// The drawing's number.
    pub drawing: u64,
    /// The part of the input.
    pub region: Region,
    /// The particles' clean latents.
    pub particles: Vec<Arc<Raster>>,
}

/// Where reports wait until the window fetches them.
#[derive(Clone)]
pub struct Inbox(Arc<Shared>);

struct Shared {
    waiting: Mutex<Waiting>,
    wake: Box<dyn Fn() + Send + Sync>,
}

#[derive(Default)]
struct Waiting {
    reports: Vec<Report>,
    previews: HashMap<(Slot, Side), Preview>,
}

impl Inbox {
    /// `wake` is called, from any thread, when something has come.
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> Self {
        Inbox(Arc::new(Shared {
            waiting: Mutex::default(),
            wake: Box::new(wake),
        }))
    }

    /// Adds a report; never blocks for long.
    pub fn say(&self, report: Report) {
        {
            let mut waiting = self.lock();
            match (waiting.reports.last_mut(), &report) {
                // Of progress only the latest counts, too.
                (Some(Report::Progress(slot, drawing, part)), Report::Progress(s, d, p))
                    if (*slot, *drawing) == (*s, *d) =>
                {
                    *part = *p;
                }
                _ => waiting.reports.push(report),
            }
        }
        (self.0.wake)();
    }

    /// Puts a preview in the place of the one before.
    pub fn show(&self, slot: Slot, side: Side, preview: Preview) {
        self.lock().previews.insert((slot, side), preview);
        (self.0.wake)();
    }

    /// Everything that has come since, in order, and the latest previews.
    pub fn take(&self) -> (Vec<Report>, HashMap<(Slot, Side), Preview>) {
        let waiting = std::mem::take(&mut *self.lock());
        (waiting.reports, waiting.previews)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        // Nothing panics while it is held but for want of memory.
        self.0
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
