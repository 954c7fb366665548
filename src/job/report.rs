//! What became of a job, as JSON: for files and for streams. `docs/report.md` describes it.

use std::path::PathBuf;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use super::journal::Recipe;
use super::{JobEvent, Seconds, Task, Written, json_path};
use crate::device::peak_memory;
use crate::error::Result;
use crate::pipeline::Event;

/// The version of the schema.
const VERSION: u32 = 1;

/// Everything about a job.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The version of this schema.
    pub report: u32,
    /// Name and version of the program.
    pub program: String,
    /// Seconds since 1970.
    pub started: u64,
    /// How long it took.
    pub seconds: f64,
    /// How it ended.
    pub ended: Ended,
    /// The model's name.
    pub model: String,
    /// What was to compute.
    pub devices: Vec<String>,
    /// All settings, and the model's fingerprint as `model`.
    pub settings: Recipe,
    /// Which part of all inputs this was, as `I/N`.
    pub shard: Option<String>,
    /// Sums.
    pub totals: Totals,
    /// One for each picture, in the job's order.
    pub files: Vec<FileReport>,
    #[serde(skip)]
    begun: Instant,
}

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// It has not.
    Running,
    /// Every picture had its turn.
    Completed,
    /// A person, or a failure that was to stop everything, ended it.
    Interrupted,
    /// Something was wrong before the first picture.
    Refused,
}

/// Sums over all pictures.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Totals {
    /// Pictures.
    pub files: usize,
    /// Those that were enlarged,
    pub done: usize,
    /// whose results were there,
    pub skipped: usize,
    /// that failed,
    pub failed: usize,
    /// and whose turn never came or was not finished.
    pub waiting: usize,
    /// Pixels of enlarged inputs.
    pub input_pixels: u64,
    /// Pixels of their results.
    pub output_pixels: u64,
    /// Bytes of their results.
    pub output_bytes: u64,
    /// Seconds, phases of different pictures overlapping.
    pub seconds: Seconds,
    /// The most bytes that the process held; absent where the system does not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_peak: Option<u64>,
}

/// How far a picture came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Its turn never came, or was not finished.
    #[default]
    Waiting,
    /// It was enlarged.
    Done,
    /// Its result was there already.
    Skipped,
    /// It could not be enlarged.
    Failed,
}

/// One picture.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FileReport {
    /// Its number, from 0.
    pub index: usize,
    /// The file.
    #[serde(serialize_with = "json_path::serialize")]
    pub input: PathBuf,
    /// The result that was planned.
    #[serde(serialize_with = "json_path::serialize")]
    pub output: PathBuf,
    /// How far it came.
    pub state: State,
    /// The files that were written, or one that was there.
    pub files: Vec<OutputReport>,
    /// The input's width, once it is known …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<usize>,
    /// … and its height.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height: Option<usize>,
    /// How long it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<Seconds>,
    /// What computed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// The most bytes that the process had held when it was finished.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_peak: Option<u64>,
    /// What the person should know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A result's file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OutputReport {
    /// Where.
    #[serde(serialize_with = "json_path::serialize")]
    pub path: PathBuf,
    /// Its size, if it was written now.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub size: Option<OutputSize>,
}

/// The size of a result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OutputSize {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Bytes of the file.
    pub bytes: u64,
}

impl From<&Written> for OutputReport {
    fn from(written: &Written) -> Self {
        OutputReport {
            path: written.path.clone(),
            size: Some(OutputSize {
                width: written.width,
                height: written.height,
                bytes: written.bytes,
            }),
        }
    }
}

impl FileReport {
    fn new(index: usize, task: &Task) -> Self {
        FileReport {
            index,
            input: task.input.clone(),
            output: task.output.clone(),
            state: State::Waiting,
            files: Vec::new(),
            width: None,
            height: None,
            seconds: None,
            device: None,
            memory_peak: None,
            warnings: Vec::new(),
            error: None,
        }
    }
}

impl Report {
    /// Of a job for `tasks` that begins now.
    pub fn new(tasks: &[Task]) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let files = tasks.iter().enumerate();
        Report {
            report: VERSION,
            program: format!("minkds {}", env!("CARGO_PKG_VERSION")),
            started: since.map_or(0, |since| since.as_secs()),
            seconds: 0.0,
            ended: Ended::Running,
            model: String::new(),
            devices: Vec::new(),
            settings: Recipe::new(),
            shard: None,
            totals: Totals::default(),
            files: files
                .map(|(index, task)| FileReport::new(index, task))
                .collect(),
            begun: Instant::now(),
        }
    }

    /// Takes note of an event; the file's own report, if that has changed its state.
    pub fn hear(&mut self, event: &JobEvent) -> Option<&FileReport> {
        let index = match event {
            JobEvent::Started { index, .. }
            | JobEvent::Run { index, .. }
            | JobEvent::Done { index, .. }
            | JobEvent::Skipped { index, .. }
            | JobEvent::Failed { index, .. } => *index,
        };
        let file = self.files.get_mut(index)?;
        match event {
            JobEvent::Started { .. } => return None,
            JobEvent::Run { event, .. } => {
                if let Event::Warning(text) = event {
                    file.warnings.push(text.clone());
                }
                return None;
            }
            JobEvent::Done { done, .. } => {
                file.state = State::Done;
                file.files = done.written.iter().map(OutputReport::from).collect();
                (file.width, file.height) = (Some(done.input.0), Some(done.input.1));
                file.seconds = Some(done.seconds);
                file.device = Some(done.device.clone());
                file.memory_peak = peak_memory();
            }
            JobEvent::Skipped { existing, .. } => {
                file.state = State::Skipped;
                let path = existing.to_path_buf();
                file.files = vec![OutputReport { path, size: None }];
            }
            JobEvent::Failed { error, .. } => {
                file.state = State::Failed;
                file.error = Some(error.to_string());
            }
        }
        Some(file)
    }

    /// Adds everything up, the job having ended as `ended`.
    pub fn end(&mut self, ended: Ended) {
        self.ended = ended;
        self.seconds = self.begun.elapsed().as_secs_f64();
        let mut totals = Totals {
            files: self.files.len(),
            memory_peak: peak_memory(),
            ..Totals::default()
        };
        for file in &self.files {
            match file.state {
                State::Waiting => totals.waiting += 1,
                State::Done => totals.done += 1,
                State::Skipped => totals.skipped += 1,
                State::Failed => totals.failed += 1,
            }
            let pixels = file.width.unwrap_or(0) * file.height.unwrap_or(0);
            totals.input_pixels += pixels as u64;
            for size in file.files.iter().filter_map(|file| file.size.as_ref()) {
                totals.output_pixels += (size.width * size.height) as u64;
                totals.output_bytes += size.bytes;
            }
            let seconds = file.seconds.unwrap_or_default();
            totals.seconds.read += seconds.read;
            totals.seconds.network += seconds.network;
            totals.seconds.write += seconds.write;
        }
        self.totals = totals;
    }

    /// As JSON, for people too.
    ///
    /// # Errors
    /// None that can happen; serde's form asks for it.
    pub fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec_pretty(self)
    }
}
