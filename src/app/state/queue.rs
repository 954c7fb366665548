//! Files that are enlarged one after the other.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::{BUSY, State};
use crate::app::input::Place;
use crate::app::worker::{Queue, QueueReport, Setup};
use crate::job::{self, Job, OnConflict};
use crate::settings::Settings;

/// How far a file is.
#[derive(Clone, Debug, PartialEq)]
pub enum ItemState {
    /// Its turn has not come.
    Waiting,
    /// 0..=1.
    Running(f64),
    /// It became this file.
    Done(PathBuf),
    /// Its result was there already.
    Skipped(PathBuf),
    /// Why it could not be enlarged.
    Failed(String),
}

/// How a result was made.
#[derive(Clone, Debug, PartialEq)]
pub struct Made {
    /// With these settings, mixed and sized.
    pub settings: Settings,
    /// By which model, and where.
    pub setup: Setup,
}

/// A file.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Where it lies.
    pub path: PathBuf,
    /// How far it is.
    pub state: ItemState,
    /// How its result was made, as far as that is known.
    pub made: Option<Made>,
}

impl Item {
    /// The result, if there is one.
    pub fn result(&self) -> Option<&Path> {
        match &self.state {
            ItemState::Done(result) | ItemState::Skipped(result) => Some(result),
            _ => None,
        }
    }
}

/// The queue.
#[derive(Clone, Debug, Default)]
pub struct QueueState {
    /// Its files.
    pub items: Vec<Item>,
    /// Which of them the worker has, in its order.
    sent: Vec<usize>,
    /// How they are made, and the folder where results go, if it was chosen.
    makes: Option<(Made, Option<PathBuf>)>,
    /// When it was started, and for how many seconds it was held since.
    since: f64,
    held: f64,
    paused_at: f64,
    /// Whether it is held.
    pub is_paused: bool,
    running: bool,
}

impl QueueState {
    /// Whether the worker is at it.
    pub fn is_running(&self) -> bool {
        self.running
    }

    /// Files whose turn has not come.
    pub fn waiting(&self) -> usize {
        let waiting = |item: &&Item| item.state == ItemState::Waiting;
        self.items.iter().filter(waiting).count()
    }

    /// How much of all that was started is done, 0..=1.
    pub fn part(&self) -> f64 {
        let part = |index: &usize| match self.items.get(*index).map(|item| &item.state) {
            Some(ItemState::Running(part)) => *part,
            Some(ItemState::Waiting) | None => 0.0,
            Some(_) => 1.0,
        };
        self.sent.iter().map(part).sum::<f64>() / self.sent.len().max(1) as f64
    }

    /// Of the files that were started: how many have been drawn, and how many are still to be.
    fn drawn_and_left(&self) -> (f64, f64) {
        let (mut drawn, mut left) = (0.0, 0.0);
        let items = self.sent.iter().filter_map(|&index| self.items.get(index));
        for item in items {
            match item.state {
                ItemState::Done(_) => drawn += 1.0,
                ItemState::Running(part) => {
                    drawn += part;
                    left += 1.0 - part;
                }
                ItemState::Waiting => left += 1.0,
                ItemState::Skipped(_) | ItemState::Failed(_) => (),
            }
        }
        (drawn, left)
    }

    /// Whether files have come that the worker does not have.
    fn has_more(&self) -> bool {
        let is_new = |(index, item): (usize, &Item)| {
            item.state == ItemState::Waiting && !self.sent.contains(&index)
        };
        self.items.iter().enumerate().any(is_new)
    }

    fn add(&mut self, paths: &[PathBuf]) {
        let waiting = self
            .items
            .iter()
            .filter(|item| item.state == ItemState::Waiting);
        let mut waiting: HashSet<PathBuf> = waiting.map(|item| item.path.clone()).collect();
        for path in paths {
            if waiting.insert(path.clone()) {
                self.items.push(Item {
                    path: path.clone(),
                    state: ItemState::Waiting,
                    made: None,
                });
            }
        }
    }

    fn set(&mut self, sent: usize, state: ItemState, made: Option<Made>) {
        let index = self.sent.get(sent);
        if let Some(item) = index.and_then(|&index| self.items.get_mut(index)) {
            item.state = state;
            item.made = made;
        }
    }

    /// What the worker says; something went wrong if there is an answer.
    pub(super) fn hear(&mut self, report: QueueReport) -> Option<String> {
        match report {
            QueueReport::Started(index) => self.set(index, ItemState::Running(0.0), None),
            QueueReport::Progress(index, part) => self.set(index, ItemState::Running(part), None),
            QueueReport::Done(index, path) => {
                let made = self.makes.as_ref().map(|(made, _)| made.clone());
                self.set(index, ItemState::Done(path), made);
            }
            QueueReport::Skipped(index, path, settings) => {
                let own = self.makes.as_ref().map(|(made, _)| made);
                let made = own.zip(settings).map(|(own, settings)| Made {
                    settings: Settings {
                        // What stands there are the tiles that were taken, not those that were asked for.
                        tile: own.settings.tile,
                        ..*settings
                    },
                    setup: own.setup.clone(),
                });
                self.set(index, ItemState::Skipped(path), made);
            }
            QueueReport::Failed(index, error) => {
                self.set(index, ItemState::Failed(error.clone()), None);
                return Some(error);
            }
            QueueReport::Ended(_) => {
                self.running = false;
                self.is_paused = false;
                for item in &mut self.items {
                    if matches!(item.state, ItemState::Running(_)) {
                        item.state = ItemState::Waiting;
                    }
                }
            }
        }
        None
    }
}

impl State {
    /// Opens one file; several, or a folder's, go into the queue.
    pub fn add_files(&mut self, paths: Vec<PathBuf>) {
        self.opening = Some("files".into());
        self.errands.find(paths);
    }

    pub(super) fn found(&mut self, files: Vec<PathBuf>) {
        self.opening = None;
        if files.len() > 1 || self.queue.running {
            self.queue.add(&files);
        }
        match files.into_iter().next() {
            Some(first) => self.open_file(first),
            None => self.note("no picture was found there".into()),
        }
    }

    /// Opens a file to look at.
    pub fn open_file(&mut self, path: PathBuf) {
        if self.whole.is_busy() {
            return self.note(BUSY.into());
        }
        self.open_place(Place::File(path));
    }

    /// Opens a file of the queue; if it is finished, beside its result.
    pub fn open_item(&mut self, index: usize) {
        let Some(item) = self.queue.items.get(index).cloned() else {
            return;
        };
        if let Some(run) = self.run_of(&item) {
            return self.select(run);
        }
        if let Some(made) = &item.made {
            self.settings.prescale = made.settings.prescale;
        }
        self.open_file(item.path.clone());
        self.opens_item = item.result().is_some().then_some(item);
    }

    /// Enlarges everything that waits; results go into `folder`, else where the command line said, else
    /// beside their inputs.
    pub fn start_queue(&mut self, folder: Option<PathBuf>) {
        if self.queue.running || self.ready().is_none() {
            return;
        }
        let settings = Settings {
            scale: self.scale(),
            ..self.settings.clone()
        };
        let setup = self.setup.clone();
        self.send_queue(Made { settings, setup }, folder);
    }

    /// Files that have come meanwhile are enlarged like those before them.
    pub(super) fn go_on_with_queue(&mut self) {
        if let Some((made, folder)) = self.queue.makes.clone()
            && self.queue.has_more()
        {
            self.send_queue(made, folder);
        }
    }

    fn send_queue(&mut self, made: Made, folder: Option<PathBuf>) {
        let waiting = |item: &Item| item.state == ItemState::Waiting;
        let sent: Vec<usize> = (0..self.queue.items.len())
            .filter(|&index| waiting(&self.queue.items[index]))
            .collect();
        let paths: Vec<PathBuf> = sent
            .iter()
            .map(|&index| self.queue.items[index].path.clone())
            .collect();
        // With a separator at its end it names a folder, for a single file too.
        let place = match &folder {
            Some(folder) => Some(folder.join("")),
            None => self.output.clone(),
        };
        let tasks = match job::plan(&paths, place.as_deref(), Some(OnConflict::Skip)) {
            Ok(tasks) => tasks,
            Err(error) => return self.complain(error.to_string()),
        };
        let job = Job {
            memory_limit: self.setup.memory_limit,
            check: self.check,
            saving: self.writing.saving_all(),
            ..Job::new(tasks)
        };
        let settings = made.settings.clone();
        self.queue.sent = sent;
        self.queue.makes = Some((made, folder));
        self.queue.running = true;
        self.queue.since = self.now;
        self.queue.held = 0.0;
        self.desk.enqueue(Queue { job, settings });
    }

    /// Seconds until the queue is done, once that can be told.
    pub fn queue_seconds_left(&self) -> Option<f64> {
        let (drawn, left) = self.queue.drawn_and_left();
        let gone = self.now - self.queue.since - self.queue.held;
        let can_tell = drawn > 0.0 && !self.queue.is_paused;
        can_tell.then(|| gone / drawn * left)
    }

    /// Holds the queue, or lets it go on.
    pub fn pause_queue(&mut self, paused: bool) {
        match paused {
            true => self.queue.paused_at = self.now,
            false => self.queue.held += self.now - self.queue.paused_at,
        }
        self.queue.is_paused = paused;
        self.desk.pause(paused);
    }

    /// Takes a file out of the queue.
    pub fn drop_item(&mut self, index: usize) {
        if !self.queue.running && index < self.queue.items.len() {
            self.queue.items.remove(index);
        }
    }

    /// Takes everything that is done out of the queue.
    pub fn clear_done(&mut self) {
        if !self.queue.running {
            self.queue
                .items
                .retain(|item| item.state == ItemState::Waiting);
        }
    }
}
