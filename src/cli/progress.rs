//! What a terminal shows: one bar with an estimate while pictures are made, and lines that stay.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::job::JobEvent;
use crate::pipeline::Event;

/// Parts of a picture's work that the bar counts.
const PARTS: u64 = 1000;

/// The person in front of the program.
pub struct Screen {
    quiet: bool,
    downloads: ProgressBar,
}

impl Screen {
    /// `quiet` shows errors only.
    pub fn new(quiet: bool) -> Self {
        let downloads = ProgressBar::with_draw_target(None, target(quiet));
        downloads.set_style(style(
            "{msg} {wide_bar} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left",
        ));
        Screen { quiet, downloads }
    }

    /// An error, whatever else is on the screen.
    pub fn error(&self, text: &str) {
        say(&format!("minkds: {text}"));
    }

    /// Something that takes a while, and why.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            say(&format!("minkds: {text}"));
        }
    }

    /// How far a download is.
    pub fn download(&self, file: &str, done: u64, total: u64) {
        self.downloads.set_length(total);
        self.downloads.set_message(file.to_string());
        self.downloads.set_position(done);
        if done == total {
            self.downloads.set_length(0);
            self.downloads.finish_and_clear();
            self.downloads.reset();
        }
    }

    /// A bar for a job of `pictures`.
    pub fn bar(&self, pictures: usize) -> Bar {
        let bar = ProgressBar::with_draw_target(Some(PARTS * pictures as u64), target(self.quiet));
        bar.set_style(style(
            "{msg} {wide_bar} {percent} %, {elapsed} gone, {eta} left",
        ));
        bar.enable_steady_tick(Duration::from_millis(250));
        Bar {
            bar,
            quiet: self.quiet,
            pictures,
            steps: 0,
            name: String::new(),
            base: 0,
        }
    }
}

/// A job's bar.
pub struct Bar {
    bar: ProgressBar,
    quiet: bool,
    pictures: usize,
    steps: usize,
    name: String,
    base: u64,
}

impl Bar {
    /// Shows one event.
    pub fn show(&mut self, event: JobEvent) {
        match event {
            JobEvent::Started { index, task } => {
                self.base = PARTS * index as u64;
                let file = task.input.file_name().unwrap_or(task.input.as_os_str());
                self.name = file.display().to_string();
                if self.pictures > 1 {
                    self.name = format!("{}/{} {}", index + 1, self.pictures, self.name);
                }
                self.bar.set_message(self.name.clone());
                self.bar.set_position(self.base);
            }
            JobEvent::Run(Event::Started { steps, .. }) => self.steps = steps,
            JobEvent::Run(Event::Progress(part)) => {
                self.bar
                    .set_position(self.base + (part * PARTS as f64) as u64);
            }
            JobEvent::Run(Event::Step { index, .. }) => {
                let message = format!("{}, step {} of {}", self.name, index + 1, self.steps);
                self.bar.set_message(message);
            }
            JobEvent::Run(Event::Warning(text)) => {
                self.line(&format!("minkds: {}: {text}", self.name));
            }
            JobEvent::Done { task, written } => {
                for (path, width, height) in written {
                    self.line(&format!(
                        "{} -> {} ({width} x {height})",
                        task.input.display(),
                        path.display()
                    ));
                }
                self.bar.set_position(self.base + PARTS);
            }
            JobEvent::Skipped { task, existing } => {
                self.line(&format!(
                    "{}: skipped, {} exists already",
                    task.input.display(),
                    existing.display()
                ));
                self.bar.set_position(self.base + PARTS);
            }
            JobEvent::Failed { task, error } => {
                self.bar
                    .suspend(|| say(&failure(&task.input.display().to_string(), error)));
                self.bar.set_position(self.base + PARTS);
            }
        }
    }

    /// Takes the bar off the screen.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }

    fn line(&self, text: &str) {
        if !self.quiet {
            self.bar.suspend(|| say(text));
        }
    }
}

/// The error with the input's name, which some errors hold already.
fn failure(input: &str, error: &crate::error::Error) -> String {
    let text = error.to_string();
    if text.contains(input) {
        format!("minkds: {text}")
    } else {
        format!("minkds: {input}: {text}")
    }
}

/// One line on standard error; a closed one is nobody's loss.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn target(quiet: bool) -> ProgressDrawTarget {
    if quiet || !std::io::stderr().is_terminal() {
        ProgressDrawTarget::hidden()
    } else {
        ProgressDrawTarget::stderr()
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
