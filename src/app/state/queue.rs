//! Files that are enlarged one after the other.

use std::collections::HashSet;
use std::path::PathBuf;

use super::{BUSY, State};
use crate::app::input::Place;
use crate::app::worker::{Queue, QueueReport};
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

/// A file.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Where it lies.
    pub path: PathBuf,
    /// How far it is.
    pub state: ItemState,
}

/// The queue.
#[derive(Clone, Debug, Default)]
pub struct QueueState {
    /// Its files.
    pub items: Vec<Item>,
    /// Which of them the worker has, in its order, and how it draws them.
    sent: Vec<usize>,
    pub(super) settings: Settings,
    /// When it was started.
    since: f64,
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
                });
            }
        }
    }

    fn set(&mut self, sent: usize, state: ItemState) {
        if let Some(item) = self
            .sent
            .get(sent)
            .and_then(|&index| self.items.get_mut(index))
        {
            item.state = state;
        }
    }

    /// What the worker says; something went wrong if there is an answer.
    pub(super) fn hear(&mut self, report: QueueReport) -> Option<String> {
        match report {
            QueueReport::Started(index) => self.set(index, ItemState::Running(0.0)),
            QueueReport::Progress(index, part) => self.set(index, ItemState::Running(part)),
            QueueReport::Done(index, path) => self.set(index, ItemState::Done(path)),
            QueueReport::Skipped(index, path) => self.set(index, ItemState::Skipped(path)),
            QueueReport::Failed(index, error) => {
                self.set(index, ItemState::Failed(error.clone()));
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
        if files.len() > 1 {
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
        self.opens_result = match item.state {
            ItemState::Done(result) | ItemState::Skipped(result) => {
                Some((item.path.clone(), result))
            }
            _ => None,
        };
        if self.opens_result.is_some() {
            self.settings.prescale = self.queue.settings.prescale;
        }
        self.open_file(item.path);
    }

    /// Enlarges everything that waits; results go into `folder`, else where the command line said, else
    /// beside their inputs.
    pub fn start_queue(&mut self, folder: Option<PathBuf>) {
        if self.queue.running || self.ready().is_none() {
            return;
        }
        let waiting = |item: &Item| item.state == ItemState::Waiting;
        let sent: Vec<usize> = (0..self.queue.items.len())
            .filter(|&index| waiting(&self.queue.items[index]))
            .collect();
        let paths: Vec<PathBuf> = sent
            .iter()
            .map(|&index| self.queue.items[index].path.clone())
            .collect();
        // With a separator at its end it names a folder, for a single file too.
        let folder = match folder {
            Some(folder) => Some(folder.join("")),
            None => self.output.clone(),
        };
        let tasks = match job::plan(&paths, folder.as_deref(), Some(OnConflict::Skip)) {
            Ok(tasks) => tasks,
            Err(error) => return self.complain(error.to_string()),
        };
        let job = Job {
            memory_limit: self.setup.memory_limit,
            check: self.check,
            saving: self.writing.saving_all(),
            ..Job::new(tasks)
        };
        self.queue.sent = sent;
        let settings = Settings {
            scale: self.scale(),
            ..self.settings.clone()
        };
        self.queue.settings = settings.clone();
        self.queue.running = true;
        self.queue.since = self.now;
        self.desk.enqueue(Queue { job, settings });
    }

    /// Seconds until the queue is done, once that can be told.
    pub fn queue_seconds_left(&self) -> Option<f64> {
        let (part, gone) = (self.queue.part(), self.now - self.queue.since);
        let can_tell = part > 0.0 && !self.queue.is_paused;
        can_tell.then(|| gone / part * (1.0 - part))
    }

    /// Holds the queue, or lets it go on.
    pub fn pause_queue(&mut self, paused: bool) {
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
