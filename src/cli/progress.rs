//! What a terminal shows: one bar with an estimate while pictures are made, and lines that stay.

use std::collections::HashMap;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rayon::prelude::*;

use crate::image_io;
use crate::job::{Done, JobEvent, Report, Seconds, State, Task};
use crate::pipeline::Event;

/// Parts of the whole work that the bar counts.
const PARTS: u64 = 10_000;
/// Before this much of a second's work is done, an estimate would be a guess.
const WARM_UP: Duration = Duration::from_secs(2);

/// The person in front of the program.
pub struct Screen {
    quiet: bool,
    verbose: bool,
    downloads: ProgressBar,
}

impl Screen {
    /// `quiet` shows errors only, `verbose` also what is interesting once in a while.
    pub fn new(quiet: bool, verbose: bool) -> Self {
        let downloads = ProgressBar::with_draw_target(None, target(quiet));
        downloads.set_style(style(
            "{msg} {wide_bar} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left",
        ));
        Screen {
            quiet,
            verbose,
            downloads,
        }
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

    /// What only the curious want to know.
    pub fn detail(&self, text: &str) {
        if self.verbose {
            say(&format!("minkds: {text}"));
        }
    }

    /// How a batch went: its failures once more, where they are not lost among other lines.
    pub fn summary(&self, report: &Report) {
        if self.quiet {
            return;
        }
        let totals = &report.totals;
        let mut text = format!("{} enlarged", totals.done);
        for (count, what) in [
            (totals.skipped, "skipped"),
            (totals.failed, "failed"),
            (totals.waiting, "not begun or not finished"),
        ] {
            if count > 0 {
                text += &format!(", {count} {what}");
            }
        }
        text += &format!(", in {}", lasting(Duration::from_secs_f64(report.seconds)));
        let failed = report.files.iter().filter(|f| f.state == State::Failed);
        let failed: Vec<_> = failed.collect();
        if !failed.is_empty() {
            text += "; failed:";
        }
        say(&format!("minkds: {text}"));
        for file in failed {
            let error = file.error.as_deref().unwrap_or_default();
            say(&format!(
                "  {}",
                named(&file.input.display().to_string(), error)
            ));
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

    /// A bar for a job of `tasks`.
    pub fn bar(&self, tasks: &[Task]) -> Bar {
        let target = target(self.quiet);
        // Headers are read for the sake of the estimate only.
        let weights: Vec<u64> = match self.quiet {
            true => vec![1; tasks.len()],
            false => tasks.par_iter().map(weight).collect(),
        };
        let bar = ProgressBar::with_draw_target(Some(PARTS), target);
        bar.set_style(style(
            "{msg} {wide_bar} {percent} %, {elapsed} gone{prefix}",
        ));
        bar.enable_steady_tick(Duration::from_millis(250));
        Bar {
            bar,
            quiet: self.quiet,
            verbose: self.verbose,
            progress: Progress::new(weights),
            names: HashMap::new(),
            steps: HashMap::new(),
        }
    }
}

/// What a picture weighs in the estimate: its pixels.
fn weight(task: &Task) -> u64 {
    image_io::peek(&task.input).map_or(1, |(width, height)| u64::from(width) * u64::from(height))
}

/// How far a job is and how long it will still take. Time goes by pixels that the network has seen: pictures
/// whose results were there, and those that cannot be read, cost none and promise none.
struct Progress {
    weights: Vec<u64>,
    total: u64,
    /// How many pictures have ended …
    pictures: usize,
    /// … and their weight.
    ended: u64,
    /// Weight of those among them that were computed.
    computed: f64,
    /// Parts of pictures that are being computed, 0..=1.
    running: HashMap<usize, f64>,
    /// When the first one was begun.
    since: Option<Instant>,
}

impl Progress {
    fn new(weights: Vec<u64>) -> Self {
        Progress {
            total: weights.iter().sum(),
            weights,
            pictures: 0,
            ended: 0,
            computed: 0.0,
            running: HashMap::new(),
            since: None,
        }
    }

    fn weight(&self, index: usize) -> u64 {
        self.weights.get(index).copied().unwrap_or(0)
    }

    fn runs(&mut self, index: usize, part: f64) {
        self.since.get_or_insert_with(Instant::now);
        self.running.insert(index, part);
    }

    fn ends(&mut self, index: usize, computed: bool) {
        let weight = self.weight(index);
        self.running.remove(&index);
        self.pictures += 1;
        self.ended += weight;
        if computed {
            self.computed += weight as f64;
        }
    }

    /// Weight of what is being computed, as far as it is.
    fn under_way(&self) -> f64 {
        let parts = self.running.iter();
        parts
            .map(|(&index, part)| part * self.weight(index) as f64)
            .sum()
    }

    /// 0..=1.
    fn part(&self) -> f64 {
        (self.ended as f64 + self.under_way()) / self.total.max(1) as f64
    }

    /// What is still to come, `now`, once that can be told.
    fn left(&self, now: Instant) -> Option<Duration> {
        let gone = now.checked_duration_since(self.since?)?;
        let computed = self.computed + self.under_way();
        if gone < WARM_UP || computed <= 0.0 {
            return None;
        }
        let left = self.total.saturating_sub(self.ended) as f64 - self.under_way();
        let seconds = gone.as_secs_f64() / computed * left.max(0.0);
        Duration::try_from_secs_f64(seconds).ok()
    }

    /// Such as `3/20, about 5 min left`.
    fn words(&self, now: Instant) -> String {
        let (ended, all) = (self.pictures, self.weights.len());
        match self.left(now) {
            Some(left) if ended < all => format!("{ended}/{all}, about {} left", lasting(left)),
            _ => format!("{ended}/{all}"),
        }
    }
}

/// A job's bar.
pub struct Bar {
    bar: ProgressBar,
    quiet: bool,
    verbose: bool,
    progress: Progress,
    /// Of the pictures that are being computed.
    names: HashMap<usize, String>,
    steps: HashMap<usize, usize>,
}

impl Bar {
    /// Shows one event.
    pub fn show(&mut self, event: JobEvent) {
        match event {
            JobEvent::Started { index, task } => {
                let file = task.input.file_name().unwrap_or(task.input.as_os_str());
                let mut name = file.display().to_string();
                let pictures = self.progress.weights.len();
                if pictures > 1 {
                    name = format!("{}/{pictures} {name}", index + 1);
                }
                self.bar.set_message(name.clone());
                self.names.insert(index, name);
            }
            JobEvent::Run { index, event } => self.run(index, event),
            JobEvent::Done { index, task, done } => {
                self.ends(index, true);
                let so_far = self.so_far();
                for written in &done.written {
                    self.line(&format!(
                        "{so_far}{} -> {} ({} x {}){}",
                        task.input.display(),
                        written.path.display(),
                        written.width,
                        written.height,
                        self.timing(done)
                    ));
                }
            }
            JobEvent::Skipped {
                index,
                task,
                existing,
                known,
            } => {
                self.ends(index, false);
                let existing = existing.display();
                let why = match known {
                    true => format!("{existing} is finished"),
                    false => format!("{existing} exists already"),
                };
                // On every morning after, thousands of these would hide what is new.
                if !known || self.verbose || self.progress.weights.len() == 1 {
                    let (so_far, input) = (self.so_far(), task.input.display());
                    self.line(&format!("{so_far}{input}: skipped, {why}"));
                }
            }
            JobEvent::Failed { index, task, error } => {
                self.ends(index, false);
                let text = named(&task.input.display().to_string(), &error.to_string());
                let so_far = self.so_far();
                self.bar.suspend(|| say(&format!("minkds: {so_far}{text}")));
            }
        }
        self.update();
    }

    fn run(&mut self, index: usize, event: Event) {
        let name = self.names.get(&index).cloned().unwrap_or_default();
        match event {
            Event::Started { steps, .. } => {
                self.steps.insert(index, steps);
                self.progress.runs(index, 0.0);
            }
            Event::Progress(part) => self.progress.runs(index, part),
            Event::Step { index: step, .. } => {
                let steps = self.steps.get(&index).copied().unwrap_or(0);
                let message = format!("{name}, step {} of {steps}", step + 1);
                self.bar.set_message(message);
            }
            Event::Warning(text) => self.line(&format!("minkds: {name}: {text}")),
        }
    }

    fn ends(&mut self, index: usize, computed: bool) {
        self.progress.ends(index, computed);
        self.names.remove(&index);
        self.steps.remove(&index);
    }

    fn update(&self) {
        let part = (self.progress.part() * PARTS as f64) as u64;
        self.bar.set_position(part);
        let left = self.progress.left(Instant::now());
        let left = left.map(|left| format!(", about {} left", lasting(left)));
        self.bar.set_prefix(left.unwrap_or_default());
    }

    /// How far a batch is, where no bar shows it.
    fn so_far(&self) -> String {
        match self.bar.is_hidden() && self.progress.weights.len() > 1 {
            true => format!("[{}] ", self.progress.words(Instant::now())),
            false => String::new(),
        }
    }

    /// Where a picture's time went, for the curious.
    fn timing(&self, done: &Done) -> String {
        if !self.verbose {
            return String::new();
        }
        let Seconds {
            read,
            network,
            write,
        } = done.seconds;
        format!(
            ", read {read:.2} s, network {network:.2} s, write {write:.2} s, {}",
            done.device
        )
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
fn named(input: &str, error: &str) -> String {
    match error.contains(input) {
        true => error.to_string(),
        false => format!("{input}: {error}"),
    }
}

/// A duration as people say it.
pub fn lasting(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    let (minutes, hours) = ((seconds / 60.0).round() as u64, seconds / 3600.0);
    match seconds {
        s if s < 10.0 => format!("{s:.1} s"),
        s if s < 100.0 => format!("{s:.0} s"),
        _ if minutes < 100 => format!("{minutes} min"),
        _ if hours < 48.0 => format!("{hours:.1} h"),
        _ => format!("{:.1} days", hours / 24.0),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_estimate_goes_by_pixels_that_were_computed() {
        let mut progress = Progress::new(vec![100, 300, 600, 1000]);
        let now = Instant::now();
        assert_eq!(progress.left(now), None);
        // Results that were there cost nothing and say nothing about the speed.
        progress.ends(3, false);
        assert_eq!((progress.part(), progress.left(now)), (0.5, None));
        progress.runs(0, 0.0);
        progress.since = Some(now);
        progress.ends(0, true);
        progress.runs(1, 1.0 / 3.0);
        let soon = now + Duration::from_secs(1);
        assert_eq!(progress.left(soon), None, "too early to tell");
        // 200 of 1000 pixels in 10 seconds.
        let later = now + Duration::from_secs(10);
        assert_eq!(progress.left(later), Some(Duration::from_secs(40)));
        assert_eq!(progress.part(), 0.6);
        assert_eq!(progress.words(soon), "2/4");
        assert_eq!(progress.words(later), "2/4, about 40 s left");
        progress.ends(1, true);
        progress.ends(2, true);
        assert_eq!(progress.words(later), "4/4");
    }

    #[test]
    fn durations_are_said_shortly() {
        for (seconds, text) in [
            (0.25, "0.2 s"),
            (42.0, "42 s"),
            (130.0, "2 min"),
            (7300.0, "2.0 h"),
            (400_000.0, "4.6 days"),
        ] {
            assert_eq!(lasting(Duration::from_secs_f64(seconds)), text);
        }
    }
}
