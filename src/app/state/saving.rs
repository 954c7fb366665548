//! Results leave the window: as files, as a comparison, as a command line, into the clipboard.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Run, State};
use crate::app::compose::{self, Comparison, Half};
use crate::app::errands::SaveJob;
use crate::app::input::Input;
use crate::device::{DeviceChoice, Precision};
use crate::error::Error;
use crate::image_io::{Format, Saving};
use crate::job::{self, Protected, Task};
use crate::model::ModelSource;
use crate::pipeline::Region;
use crate::settings::{SchedulerVariant, Settings};

/// How files are written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Writing {
    /// How many times larger than the input, 1 to 4; as the model recommends without it.
    pub scale: Option<f64>,
    /// One of [`QUALITIES`](crate::image_io::QUALITIES), of JPEG (95 without it) and WebP (nothing is lost without it).
    pub quality: Option<u8>,
    /// The input's EXIF, XMP and IPTC are left out.
    pub strip_metadata: bool,
}

impl Writing {
    /// For files of `format`, which may have no quality.
    fn saving(&self, format: Format) -> Saving {
        Saving {
            quality: self.quality.filter(|_| format.has_quality()),
            ..self.saving_all()
        }
    }

    /// For files of any format.
    pub(super) fn saving_all(&self) -> Saving {
        Saving {
            quality: self.quality,
            strip_metadata: self.strip_metadata,
            ..Saving::default()
        }
    }
}

/// Something that is to be written.
pub enum ToSave {
    /// A run.
    Run(Box<SaveJob>),
    /// A comparison, as this file.
    Comparison(Comparison, PathBuf),
}

/// What two parts of a picture have in common.
fn common(a: Region, b: Region) -> Option<Region> {
    let (left, top) = (a.left.max(b.left), a.top.max(b.top));
    let right = (a.left + a.width).min(b.left + b.width);
    let bottom = (a.top + a.height).min(b.top + b.height);
    (left < right && top < bottom).then(|| Region {
        left,
        top,
        width: right - left,
        height: bottom - top,
    })
}

impl State {
    /// The whole result that saving means: the one that is shown, else the selected one.
    pub fn run_to_save(&self) -> Option<&Run> {
        let shown = self
            .whole
            .steered
            .as_ref()
            .and_then(|drawn| self.history.run(drawn.drawing));
        let selected = self.history.selected.and_then(|id| self.history.run(id));
        // Another picture's result is out of sight.
        let selected = selected.filter(|run| self.open_as(run).is_some());
        shown.or(selected).filter(|run| run.region.is_none())
    }

    /// Whether a run is being saved, or will be.
    pub fn is_being_saved(&self, id: u64) -> bool {
        let is_it = |save: &ToSave| matches!(save, ToSave::Run(job) if job.run.id == id);
        self.saves.iter().any(is_it)
    }

    /// Whether anything is being saved.
    pub fn is_saving(&self) -> bool {
        !self.saves.is_empty()
    }

    /// One after the other, for each needs much memory.
    fn add_save(&mut self, save: ToSave) {
        self.saves.push_back(save);
        if self.saves.len() == 1 {
            self.begin_save();
        }
    }

    fn begin_save(&self) {
        match self.saves.front() {
            Some(ToSave::Run(job)) => self.errands.save((**job).clone()),
            Some(ToSave::Comparison(comparison, path)) => {
                self.errands.compare(comparison.clone(), path.clone());
            }
            None => (),
        }
    }

    /// The first one is saved, or could not be.
    pub(super) fn save_ended(&mut self) {
        self.saves.pop_front();
        self.begin_save();
        if self.closes_when_saved && self.saves.is_empty() && !self.has_unsaved() {
            self.may_close = true;
        }
    }

    /// Saves beside the input (or where the command line said), under a name that is free.
    pub fn save(&mut self, id: u64) {
        let Some(run) = self.history.run(id).cloned() else {
            return;
        };
        if self.is_being_saved(id) {
            return;
        }
        let Some(input) = run.origin.place.path().map(Path::to_path_buf) else {
            return self.save_as(id);
        };
        let task = job::plan(
            &[input],
            self.output.as_deref(),
            Some(job::OnConflict::Unique),
        );
        self.save_as_planned(run, task);
    }

    /// Asks where to.
    pub fn save_as(&mut self, id: u64) {
        let Some(run) = self.history.run(id) else {
            return;
        };
        let name = match run.origin.place.path() {
            Some(path) => job::enlarged_name(path).to_string_lossy().into_owned(),
            None => "enlarged.png".to_string(),
        };
        let folder = self.folder_beside(run.origin.place.path());
        self.errands.ask_save(id, folder, name);
    }

    /// Saves as this file, whatever its name; one that is there is replaced.
    pub fn save_as_file(&mut self, id: u64, path: PathBuf) {
        let Some(run) = self.history.run(id).cloned() else {
            return;
        };
        let input = run.origin.place.path().map(Path::to_path_buf);
        let input = input.unwrap_or_else(|| "pasted picture.png".into());
        let path = compose::named(path);
        // A chosen name is a name, also with characters that are a pattern's on the command line.
        let task = Format::from_path(&path).map(|format| Task {
            label: input.clone(),
            input,
            output: path,
            format,
            on_conflict: job::OnConflict::Overwrite,
        });
        let task = task.map_err(Error::from).and_then(|task| {
            Protected::new([task.input.as_path()]).refuse(&task.output)?;
            Ok(vec![task])
        });
        self.save_as_planned(run, task);
    }

    fn save_as_planned(&mut self, run: Run, planned: Result<Vec<Task>, Error>) {
        match planned {
            Ok(tasks) => {
                for task in tasks {
                    self.add_save(ToSave::Run(Box::new(SaveJob {
                        saving: self.writing.saving(task.format),
                        input: self.open_as(&run),
                        settings: self.saved_settings(&run),
                        share: run.share(self.strength_of(&run)),
                        run: run.clone(),
                        task,
                    })));
                }
            }
            Err(error) => self.complain(error.to_string()),
        }
    }

    /// Where a dialog about a picture's results begins.
    fn folder_beside(&self, path: Option<&Path>) -> Option<PathBuf> {
        let folder = path.map(|path| job::folder_of(path).to_path_buf());
        folder.or(self.remembered.folder.clone())
    }

    /// A run is saved as strong as it is seen.
    fn strength_of(&self, run: &Run) -> f64 {
        let shown = self.whole.steered.as_ref().map(|drawn| drawn.drawing);
        match shown == Some(run.id) {
            true => self.settings.strength,
            false => run.settings.strength,
        }
    }

    /// The settings that a run's saved file will have been made with. One that is finished becomes no larger or stronger.
    fn saved_settings(&self, run: &Run) -> Settings {
        let (strength, scale) = (self.strength_of(run), self.scale());
        let made = run.finished.as_ref();
        Settings {
            strength: made.map_or(strength, |made| strength.min(made.strength)),
            scale: made.map_or(scale, |made| scale.min(made.scale)),
            ..run.settings.clone()
        }
    }

    /// How many times larger than their inputs files become.
    pub fn scale(&self) -> f64 {
        self.writing.scale.unwrap_or(self.settings.scale)
    }

    /// The command that makes a run's file without a window; an error says why there is none.
    ///
    /// # Errors
    /// A sentence, where the picture lies in no file.
    pub fn command_line(&self, run: &Run) -> Result<String, String> {
        if !run.is_told {
            return Err("the file was there already: how it was made is not known".into());
        }
        let Some(path) = run.origin.place.path() else {
            return Err("the picture lies in no file: save it first, and open that".into());
        };
        let mut words = vec!["minkds".to_string(), "--no-gui".to_string()];
        let text = |path: &Path| path.display().to_string();
        words.push(text(path));
        if let Some(saved) = &run.saved {
            words.extend(["-o".to_string(), text(saved)]);
        }
        if run.setup.model != ModelSource::Bundled {
            words.extend(["--model".to_string(), run.setup.model.to_string()]);
        }
        if run.setup.device != DeviceChoice::Auto {
            words.extend(["--device".to_string(), run.setup.device.to_string()]);
        }
        if run.setup.precision != Precision::Auto {
            let precision = match run.setup.precision {
                Precision::F16 => "f16",
                _ => "f32",
            };
            words.extend(["--precision".to_string(), precision.to_string()]);
        }
        if run.settings.scheduler == SchedulerVariant::Minkds {
            words.extend(["--preset".to_string(), "minkds".to_string()]);
        }
        let file = (run.saved.clone()).unwrap_or_else(|| job::enlarged_name(path).into());
        let format = Format::from_path(&file).unwrap_or(Format::Png);
        let saving = self.writing.saving(format);
        if let Some(quality) = saving.quality {
            words.extend(["--quality".to_string(), quality.to_string()]);
        }
        if saving.strip_metadata {
            words.push("--strip-metadata".to_string());
        }
        let quoted =
            shlex::try_join(words.iter().map(String::as_str)).map_err(|error| error.to_string())?;
        Ok(format!(
            "{quoted} {}",
            self.saved_settings(run).command_line()
        ))
    }

    /// Saves both halves of the comparison that is shown, side by side with a caption.
    pub fn save_comparison(&mut self) {
        let Some(input) = self.input.clone() else {
            return;
        };
        let halves: Vec<Half> = (self.panes().into_iter())
            .map(|pane| Half {
                title: self.title(pane),
                layers: self.layers(pane),
            })
            .collect();
        if halves.is_empty() {
            return self.note("this way of comparing has no halves: take another one".into());
        }
        let name = input.place.name();
        let caption = match self.settings_seen() {
            Some(settings) => format!("{name}, {}", settings.command_line()),
            None => name.clone(),
        };
        let comparison = Comparison {
            halves,
            region: self.region_compared(&input),
            caption,
        };
        let stem = Path::new(&name)
            .file_stem()
            .unwrap_or_default()
            .to_os_string();
        let name = format!("{}_comparison.png", stem.to_string_lossy());
        let folder = self.folder_beside(input.place.path());
        self.errands.ask_comparison(comparison, folder, name);
    }

    pub(super) fn compare_to(&mut self, comparison: Comparison, path: PathBuf) {
        self.add_save(ToSave::Comparison(comparison, path));
    }

    /// The part of the input that all halves of the comparison show: pinned runs may be of different ones.
    fn region_compared(&self, input: &Input) -> Region {
        let whole = Region::whole(&input.rgb);
        if self.compares_pins() {
            let pins = self.history.pins();
            let runs = pins.iter().flatten().filter_map(|id| self.history.run(*id));
            return runs
                .filter_map(|run| run.region)
                .reduce(|a, b| common(a, b).unwrap_or(whole))
                .unwrap_or(whole);
        }
        let drawn = self.front().steered.as_ref();
        drawn.map_or(whole, |drawn| drawn.region)
    }

    /// How the result that is shown was made, as strong as it is seen. Pinned runs have it in their titles.
    fn settings_seen(&self) -> Option<Settings> {
        let drawn = self.front().steered.as_ref()?;
        let run = self.history.run(drawn.drawing).filter(|run| run.is_told)?;
        (!self.compares_pins()).then(|| Settings {
            strength: self.settings.strength,
            ..run.settings.clone()
        })
    }

    /// Puts the result into the clipboard.
    pub fn copy(&mut self, context: &eframe::egui::Context) {
        let front = self.front();
        let Some(drawn) = &front.steered else {
            return self.note("there is no result to copy yet".into());
        };
        let half = Half {
            title: String::new(),
            layers: self.layers(super::Pane::Kds),
        };
        self.errands.copy(half, drawn.region, context.clone());
    }
}
