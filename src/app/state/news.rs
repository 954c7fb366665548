//! What the worker reports and what errands bring.

use std::collections::HashMap;

use super::{BUSY, Model, State};
use crate::app::errands::Done;
use crate::app::worker::{Preview, QueueReport, Ready, Report, Setup, Side, Slot};
use crate::model::ModelSource;
use crate::settings::{Patch, Settings};

impl State {
    /// What the worker said, and its latest pictures of work in progress.
    pub fn hear(&mut self, reports: Vec<Report>, previews: HashMap<(Slot, Side), Preview>) {
        let now = self.now;
        for ((slot, side), preview) in previews {
            self.slot(slot).preview(side, preview);
        }
        for report in reports {
            match report {
                Report::Note(text) => self.note(text),
                Report::Download(_, done, total) if done == total && total > 0 => {
                    self.model = Model::Loading;
                }
                Report::Download(file, done, total) => {
                    let percent = 100 * done / total.max(1);
                    self.model = Model::Downloading(format!("downloading {file}: {percent} %"));
                }
                Report::DownloadStopped => {
                    let text = "The download was stopped. Next time it goes on from there.";
                    self.model = Model::Failed(text.into());
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
                    let went_through = matches!(report, QueueReport::Ended(true));
                    if let Some(note) = self.queue.hear(report) {
                        self.complain(note);
                    }
                    if went_through {
                        self.go_on_with_queue();
                    }
                }
            }
        }
    }

    pub(super) fn is_ready(&mut self, ready: Box<Ready>) {
        // Kept settings count for the model they were made with.
        let own = Patch::default();
        let kept = self.remembered.settings.take();
        let flags = std::mem::take(&mut self.flags);
        let preset = self.preset.take();
        let settings = match kept.filter(|_| preset.is_none() && flags == own) {
            Some(kept) => Ok(kept),
            None => Settings::resolve(&ready.own_settings, preset, &flags, true),
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
                if let Some(input) = &self.input {
                    self.settings.prescale = input.prescale;
                }
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
            Done::SaveTo(run, path) => self.save_as_file(run, path),
            Done::Saved(run, Ok((path, warnings))) => {
                warnings.into_iter().for_each(|warning| self.note(warning));
                self.note(format!("saved as {}", path.display()));
                self.history.saved(run, path);
                self.save_ended();
            }
            Done::Compared(Ok((path, size))) => {
                self.note(format!("comparison saved as {}{size}", path.display()));
                self.save_ended();
            }
            Done::Saved(_, Err(error)) | Done::Compared(Err(error)) => {
                self.stay();
                self.save_ended();
                self.complain(error);
            }
            Done::CompareTo(comparison, path) => self.compare_to(comparison, path),
            Done::NoDialog => self.complain(
                "no file dialog can be shown here: install xdg-desktop-portal or zenity, or drag files into the window"
                    .into(),
            ),
            Done::ModelFolder(folder) => {
                let setup = Setup {
                    model: ModelSource::Folder(folder),
                    ..self.setup.clone()
                };
                self.set_setup(setup);
            }
            Done::QueueFolder(folder) => self.start_queue(Some(folder)),
            Done::Copied(Ok(())) => self.note("the result is in the clipboard".into()),
            Done::Copied(Err(error)) => self.complain(error),
        }
    }
}
