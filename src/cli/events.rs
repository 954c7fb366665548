//! `--json`: what happens, a line of JSON each on standard output. `docs/report.md` describes them.

use std::io::Write;

use serde_json::{Value, json};

use crate::job::{FileReport, JobEvent, Report, State};
use crate::pipeline::Event;

/// The version of the lines.
const VERSION: u32 = 1;

/// Where events go, if they are wanted.
pub struct Events {
    wanted: bool,
}

impl Events {
    /// `wanted`: whether anything is written.
    pub fn new(wanted: bool) -> Self {
        Events { wanted }
    }

    /// Whether anything is written.
    pub fn are_wanted(&self) -> bool {
        self.wanted
    }

    /// The job begins.
    pub fn begun(&self, report: &Report) {
        self.line(|| {
            json!({
                "event": "begun",
                "version": VERSION,
                "program": report.program,
                "files": report.files.len(),
                "model": report.model,
                "devices": report.devices,
                "settings": report.settings,
                "shard": report.shard,
            })
        });
    }

    /// Something happened; `file` is the picture's report, if its state changed.
    pub fn show(&self, event: &JobEvent, file: Option<&FileReport>) {
        if let Some(file) = file {
            let name = match file.state {
                State::Done => "done",
                State::Skipped => "skipped",
                _ => "failed",
            };
            return self.line(|| with_event(name, serde_json::to_value(file).unwrap_or_default()));
        }
        match event {
            JobEvent::Started { index, .. } => self.line(|| json!({"event": "started", "index": index})),
            JobEvent::Run {
                index,
                event: Event::Started { steps, particles, .. },
            } => self.line(|| {
                json!({"event": "sampling", "index": index, "steps": steps, "particles": particles})
            }),
            JobEvent::Run {
                index,
                event: Event::Step { index: step, .. },
            } => self.line(|| json!({"event": "step", "index": index, "step": step + 1})),
            JobEvent::Run {
                index,
                event: Event::Warning(text),
            } => self.line(|| json!({"event": "warning", "index": index, "text": text})),
            _ => (),
        }
    }

    /// The job has ended.
    pub fn ended(&self, report: &Report) {
        self.line(|| {
            json!({
                "event": "summary",
                "ended": report.ended,
                "seconds": report.seconds,
                "totals": report.totals,
            })
        });
    }

    /// One line.
    pub fn line(&self, value: impl FnOnce() -> Value) {
        if self.wanted {
            // A closed pipe is nobody's loss.
            let _ = writeln!(std::io::stdout(), "{}", value());
        }
    }
}

/// `value` with the event's name.
pub fn with_event(name: &str, mut value: Value) -> Value {
    if let Some(object) = value.as_object_mut() {
        object.insert("event".into(), name.into());
    }
    value
}
