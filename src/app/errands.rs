//! Everything that waits for disks or for the person: opening, saving, dialogs. Each errand has a thread
//! of its own for as long as it takes; what it brings is fetched by the window's next frame.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use eframe::egui;

use super::compose::{self, Comparison, Half};
use super::input::{Input, Place};
use super::raster::Raster;
use super::state::Run;
use crate::error::{Error, Result, caught};
use crate::image_io::{self, Existing, Format, Saving, blend};
use crate::job::{self, Provenance, Task};
use crate::pipeline::Region;
use crate::settings::Settings;

/// Where it stands how the picture in a run's `file` was made.
pub fn provenance_file(file: &Path) -> PathBuf {
    file.with_extension("json")
}

/// Endings of files that are worth an attempt.
const ENDINGS: [&str; 9] = [
    "png", "jpg", "jpeg", "webp", "tif", "tiff", "bmp", "gif", "jxl",
];
/// A dialog that is gone after this long was never seen.
const UNSEEN: Duration = Duration::from_millis(150);
/// What the bundled model makes of the example with its own settings (see `assets/README.md`).
const EXAMPLE_RESULT: &[u8] = include_bytes!("../../assets/example_x4.png");

/// What an errand brought; errors are sentences.
pub enum Done {
    /// A picture was opened, by the number of the errand.
    Opened(u64, Result<Arc<Input>, String>),
    /// The picture of a run was opened again.
    Reopened(u64, Result<Arc<Input>, String>),
    /// Files or folders were chosen to be opened.
    Chosen(Vec<PathBuf>),
    /// The files that were found among them.
    Found(Vec<PathBuf>),
    /// A run's picture was read from its file.
    Loaded(u64, Result<Arc<Raster>, String>),
    /// A run is to be saved there.
    SaveTo(u64, PathBuf),
    /// It was, with these warnings.
    Saved(u64, Result<(PathBuf, Vec<String>), String>),
    /// A comparison is to be saved there.
    CompareTo(Comparison, PathBuf),
    /// It was, with a word about its size.
    Compared(Result<(PathBuf, String), String>),
    /// A model's folder was chosen.
    ModelFolder(PathBuf),
    /// A folder for the queue's results was chosen.
    QueueFolder(PathBuf),
    /// The result lies in the clipboard.
    Copied(Result<(), String>),
    /// There is nothing here that shows dialogs.
    NoDialog,
}

/// A run to be saved.
#[derive(Clone)]
pub struct SaveJob {
    /// The run.
    pub run: Run,
    /// Its picture, if that is open.
    pub input: Option<Arc<Input>>,
    /// The file it becomes.
    pub task: Task,
    /// With these settings it is finished then: mixed and sized.
    pub settings: Settings,
    /// How much of what lies in the run's file is in it then.
    pub share: f64,
    /// How it is written.
    pub saving: Saving,
}

/// Sends threads on errands.
#[derive(Clone)]
pub struct Errands {
    results: Sender<Done>,
    wake: Arc<dyn Fn() + Send + Sync>,
}

impl Errands {
    /// `wake` is called, from any thread, when something has been brought to the receiver.
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> (Self, Receiver<Done>) {
        let (results, receiver) = channel();
        let wake = Arc::new(wake);
        (Errands { results, wake }, receiver)
    }

    /// Opens a picture, reduced by `prescale`.
    pub fn open(&self, number: u64, place: Place, prescale: f64) {
        self.send(move || {
            Done::Opened(number, said(|| Input::open(place, prescale).map(Arc::new)))
        });
    }

    /// Opens a run's picture again.
    pub fn reopen(&self, run: &Run) {
        let (id, origin) = (run.id, run.origin.clone());
        self.send(move || Done::Reopened(id, said(|| origin.input())));
    }

    /// Looks for pictures in folders among `paths`.
    pub fn find(&self, paths: Vec<PathBuf>) {
        self.send(move || {
            let mut files = Vec::new();
            for path in paths {
                if path.is_dir() {
                    files.extend(pictures_in(&path));
                } else {
                    files.push(path);
                }
            }
            Done::Found(files)
        });
    }

    /// Reads a run's picture, in the size in which it was drawn.
    pub fn load_run(&self, run: &Run) {
        let (id, file, size) = (run.id, run.file.clone(), run.drawn_size());
        self.send(move || Done::Loaded(id, said(|| raster(&file, size))));
    }

    /// Puts the example's result into `file`, as if it had been drawn just now.
    pub fn example_result(&self, run: u64, file: PathBuf) {
        self.send(move || {
            let unpack = || {
                let picture = image_io::decode_png(EXAMPLE_RESULT)?;
                image_io::encode(&picture, &file, Format::Png, &Existing::Overwrite.into())?;
                Ok(Arc::new(Raster::from_picture(picture)))
            };
            Done::Loaded(run, said(unpack))
        });
    }

    /// Saves a run.
    pub fn save(&self, job: SaveJob) {
        self.send(move || {
            let save = || {
                let run = &job.run;
                let mut picture = image_io::decode(&run.file)?.picture;
                if job.share < 1.0 {
                    let input = match job.input {
                        Some(input) => input,
                        None => run.origin.input()?,
                    };
                    let region = run.region.unwrap_or(Region::whole(&input.rgb));
                    picture = picture.sized(run.drawn_size());
                    blend(&mut picture, &input.part(region).values, job.share);
                }
                let picture = picture.sized(run.finished_size(&job.settings));
                // The example's result has none.
                let told = match run.finished {
                    Some(_) => image_io::provenance(&run.file)?,
                    None => std::fs::read_to_string(provenance_file(&run.file)).ok(),
                };
                let mut saving = job.saving;
                if let Some(text) = told {
                    let mut made = Provenance::from_text(&text)?;
                    // What was done to it since then belongs to how it was made.
                    made.settings.strength = job.settings.strength;
                    made.settings.scale = job.settings.scale;
                    saving = made.told_in(saving);
                }
                job::save(&picture, &job.task, &saving)
            };
            Done::Saved(job.run.id, said(save))
        });
    }

    /// Asks which pictures to open.
    pub fn ask_open(&self, folder: Option<PathBuf>) {
        let dialog = in_folder(folder).set_title("Open pictures");
        let dialog = dialog.add_filter("pictures", &ENDINGS).pick_files();
        self.ask(dialog, |files| {
            Done::Chosen(files.iter().map(|file| file.path().to_path_buf()).collect())
        });
    }

    /// Asks for a model's folder.
    pub fn ask_model_folder(&self) {
        let dialog =
            rfd::AsyncFileDialog::new().set_title("A model's folder, with model_index.json");
        self.ask(dialog.pick_folder(), |folder| {
            Done::ModelFolder(folder.path().to_path_buf())
        });
    }

    /// Asks where the queue's results go.
    pub fn ask_queue_folder(&self, folder: Option<PathBuf>) {
        let dialog = in_folder(folder)
            .set_title("A folder for the results")
            .pick_folder();
        self.ask(dialog, |folder| {
            Done::QueueFolder(folder.path().to_path_buf())
        });
    }

    /// Asks where a run is to be saved.
    pub fn ask_save(&self, run: u64, folder: Option<PathBuf>, name: String) {
        let dialog = in_folder(folder)
            .set_title("Save the result")
            .set_file_name(name);
        self.ask(dialog.save_file(), move |file| {
            Done::SaveTo(run, file.path().to_path_buf())
        });
    }

    /// Asks where a comparison is to be saved.
    pub fn ask_comparison(&self, comparison: Comparison, folder: Option<PathBuf>, name: String) {
        let dialog = in_folder(folder)
            .set_title("Save the comparison")
            .set_file_name(name);
        self.ask(dialog.save_file(), move |file| {
            Done::CompareTo(comparison, file.path().to_path_buf())
        });
    }

    /// Saves a comparison.
    pub fn compare(&self, comparison: Comparison, path: PathBuf) {
        self.send(move || Done::Compared(said(|| comparison.save(&path))));
    }

    /// Puts a picture into the clipboard.
    pub fn copy(&self, half: Half, region: Region, context: egui::Context) {
        self.send(move || {
            let copy = || {
                let (width, height, pixels) = compose::whole_half(&half.layers, region)?;
                let bytes: Vec<u8> = pixels.into_flattened();
                let image = egui::ColorImage::from_rgba_unmultiplied([width, height], &bytes);
                context.copy_image(image);
                Ok(())
            };
            Done::Copied(said(copy))
        });
    }

    /// A thread for `work`.
    fn send(&self, work: impl FnOnce() -> Done + Send + 'static) {
        let (results, wake) = (self.results.clone(), self.wake.clone());
        let thread = std::thread::Builder::new().name("minkds-errand".into());
        let started = thread.spawn(move || {
            let _ = results.send(work());
            wake();
        });
        if let Err(error) = started {
            let what = format!("no thread can be started: {error}");
            let _ = self.results.send(Done::Copied(Err(what)));
        }
    }

    /// A thread that waits for a dialog; nothing follows if the person closes it.
    fn ask<T: Send + 'static>(
        &self,
        dialog: impl Future<Output = Option<T>> + Send + 'static,
        then: impl FnOnce(T) -> Done + Send + 'static,
    ) {
        let (results, wake) = (self.results.clone(), self.wake.clone());
        let thread = std::thread::Builder::new().name("minkds-dialog".into());
        let _ = thread.spawn(move || {
            let start = Instant::now();
            let done = match pollster::block_on(dialog) {
                Some(answer) => then(answer),
                // Nobody closes a dialog as quickly as that: there was none.
                None if start.elapsed() < UNSEEN => Done::NoDialog,
                None => return,
            };
            let _ = results.send(done);
            wake();
        });
    }
}

/// The pictures that lie in a folder, by name.
fn pictures_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| is_named_as_picture(path) && path.is_file())
        .filter(|path| !is_result(path))
        .collect();
    files.sort();
    files
}

/// Whether the file is a result of this program: it is called so, and says so.
fn is_result(path: &Path) -> bool {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    stem.contains("_x4") && matches!(image_io::provenance(path), Ok(Some(_)))
}

/// Whether a file's name is that of a picture, and not hidden.
fn is_named_as_picture(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    let ending = path.extension().and_then(|ending| ending.to_str());
    let is_picture = |ending: &str| ENDINGS.contains(&ending.to_ascii_lowercase().as_str());
    !name.starts_with(b".") && ending.is_some_and(is_picture)
}

/// The error in words; a panic becomes one.
fn said<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<T, String> {
    caught(work).map_err(|error| error.to_string())
}

fn raster(file: &Path, size: [usize; 2]) -> Result<Arc<Raster>> {
    let picture = image_io::decode(file)?.picture.sized(size);
    Ok(Arc::new(Raster::from_picture(picture)))
}

fn in_folder(folder: Option<PathBuf>) -> rfd::AsyncFileDialog {
    let dialog = rfd::AsyncFileDialog::new();
    match folder.filter(|folder| folder.is_dir()) {
        Some(folder) => dialog.set_directory(folder),
        None => dialog,
    }
}
