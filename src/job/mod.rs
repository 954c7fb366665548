//! A list of pictures in, a list of bigger pictures out: what the command line and the window ask for.
//!
//! [`arrange`] finds the pictures and plans their results, [`Job::run`] makes them, `lanes` being how they
//! run through it, and the journal remembers what is finished.

mod arrange;
mod engine;
mod forecast;
mod inputs;
pub mod journal;
mod json_path;
mod lanes;
mod outputs;
mod parts;
mod protected;
mod provenance;
mod report;
mod room;
mod shard;
mod speed;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Instant;

use serde::Serialize;
use serde_json::Value;

pub use arrange::{Arranged, Order, arrange};
pub use engine::Engine;
pub use forecast::Forecast;
pub use inputs::{Found, Input, LeftOut, Reading, find};
pub use json_path::value as path_in_json;
pub use outputs::{OnConflict, Plan, Task, plan, plan_all};
pub use parts::Written;
pub(crate) use parts::save;
pub use protected::Protected;
pub use provenance::Provenance;
pub use report::{Ended, FileReport, OutputReport, OutputSize, Report, State, Totals};
pub use shard::Shard;
pub use speed::speed;

use self::journal::{Journal, Known, Recipe, Stamp, Standing, differences};
use self::lanes::{BYTES_AHEAD, Message, Shared, What, lane};
use self::outputs::with_suffix;
pub(crate) use self::outputs::{enlarged_name, folder_of, refuse_missing_folder, refuse_no_file};
use self::parts::{Part, encode, make_folder, place, remove, unnamed};
use self::protected::is_same;
use crate::error::{Error, Result};
use crate::image_io::{self, Existing, Picture, Saving, bleed_under_alpha, blend};
use crate::kds::Choice;
use crate::model::Model;
use crate::pipeline::{self, Cancel, Canvas, Event, Latents, Outcome, Request, Rgb};
use crate::settings::{Select, Settings};

/// Everything but model and settings.
#[derive(Clone, Debug)]
pub struct Job {
    /// The pictures and their results, see [`arrange`] and [`plan`].
    pub tasks: Vec<Task>,
    /// What no result may replace.
    pub protected: Arc<Protected>,
    /// Start noise from this file (one picture only).
    pub latents: Option<PathBuf>,
    /// The number of particles was asked for, so a latents file must hold just as many.
    pub particles_given: bool,
    /// Where the final latents go (one picture only).
    pub save_latents: Option<PathBuf>,
    /// Bytes that the whole program may hold, if limited.
    pub memory_limit: Option<u64>,
    /// Whether results must resemble their inputs.
    pub check: bool,
    /// How results are written.
    pub saving: Saving,
    /// Whether results say how they were made.
    pub provenance: bool,
    /// The only particle that is decoded, whatever the settings select.
    pub only: Option<usize>,
    /// The folder of the journal, if there is one.
    pub journal: Option<PathBuf>,
    /// Whether results that a journal there knows are left alone.
    pub resume: bool,
    /// Whether such results may be replaced if they were made with other settings.
    pub force: bool,
    /// Whether nothing more is begun after a failure.
    pub fail_fast: bool,
}

/// Something that happened while a job runs. Pictures overlap: one may be done after the next one's turn
/// has come.
#[derive(Debug)]
pub enum JobEvent<'a> {
    /// A picture's turn has come.
    Started {
        /// Its number, from 0.
        index: usize,
        /// Which one.
        task: &'a Task,
    },
    /// The pipeline's own events.
    Run {
        /// Its number.
        index: usize,
        /// What the pipeline says.
        event: Event,
    },
    /// The picture is finished.
    Done {
        /// Its number.
        index: usize,
        /// Which one.
        task: &'a Task,
        /// What became of it.
        done: &'a Done,
    },
    /// The result existed already, and that is fine.
    Skipped {
        /// Its number.
        index: usize,
        /// Which one.
        task: &'a Task,
        /// The file that exists.
        existing: &'a Path,
        /// It is the very result, as the journal knows.
        known: bool,
    },
    /// The picture failed; the others go on.
    Failed {
        /// Its number.
        index: usize,
        /// Which one.
        task: &'a Task,
        /// Why.
        error: &'a Error,
    },
}

/// A finished picture.
#[derive(Clone, Debug)]
pub struct Done {
    /// Its files: one, or one per particle.
    pub written: Vec<Written>,
    /// The input's width and height.
    pub input: (usize, usize),
    /// What computed it.
    pub device: String,
    /// How long that took.
    pub seconds: Seconds,
}

/// Seconds that a picture took. Those of one overlap with those of others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Seconds {
    /// Reading and decoding.
    pub read: f64,
    /// Everything on the device.
    pub network: f64,
    /// Finishing, encoding and writing.
    pub write: f64,
}

/// How a job ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Pictures enlarged.
    pub done: usize,
    /// Pictures whose results existed.
    pub skipped: usize,
    /// Pictures that failed.
    pub failed: usize,
}

/// What reading must know of the model.
#[derive(Clone, Copy, Debug)]
struct Context {
    latent_channels: usize,
    size_multiple: usize,
}

impl Context {
    fn of(model: &Model) -> Self {
        Context {
            latent_channels: model.vqvae().latent_channels(),
            size_multiple: model.unet().size_multiple(),
        }
    }
}

/// A picture that was read.
enum Read {
    /// Its result exists and stays.
    Exists { existing: PathBuf, known: bool },
    /// It waits for the network.
    Ready(Box<Prepared>),
}

/// A picture on its way.
struct Prepared {
    /// The file's size.
    width: usize,
    height: usize,
    /// What the network sees.
    input: Arc<Rgb>,
    /// What the picture holds besides.
    picture: Picture,
    /// The results' width and height.
    result: [usize; 2],
    /// How they were made, once they are.
    provenance: Option<Provenance>,
    start: Option<Latents>,
    /// The files of its results, and which of them are ours to replace.
    targets: Vec<PathBuf>,
    ours: HashSet<PathBuf>,
    /// What the file held; none where there is no journal or no ordinary file.
    stamp: Option<Stamp>,
    warnings: Vec<String>,
    /// How long reading took.
    seconds: f64,
}

impl Job {
    /// A job for `tasks` with nothing special about it: checked results, no journal.
    pub fn new(tasks: Vec<Task>) -> Self {
        let protected = Protected::new(tasks.iter().map(|task| task.input.as_path()));
        Job {
            tasks,
            protected: Arc::new(protected),
            latents: None,
            particles_given: true,
            save_latents: None,
            memory_limit: None,
            check: true,
            saving: Saving::default(),
            provenance: true,
            only: None,
            journal: None,
            resume: true,
            force: false,
            fail_fast: false,
        }
    }

    /// What can be known to be wrong before anything is computed.
    pub fn check(&self, model: &Model, settings: &Settings) -> Result<()> {
        pipeline::check_told(model, settings)?;
        pipeline::scheduler(model, settings)?;
        if self.tasks.len() > 1 && (self.latents.is_some() || self.save_latents.is_some()) {
            return Err(Error::Paths(
                "--latents and --save-latents belong to one picture: name one input".into(),
            ));
        }
        if let Some(path) = &self.save_latents {
            self.protected.refuse(path)?;
            Protected::new(self.latents.as_deref()).refuse(path)?;
            refuse_no_file(path)?;
            let mut targets = (self.tasks.iter())
                .flat_map(|task| targets(task, settings, settings.particles as usize, self.only));
            if let Some(target) = targets.find(|target| is_same(target, path)) {
                return Err(Error::Paths(format!(
                    "{} would be both the picture and --save-latents: choose two names",
                    target.display()
                )));
            }
            refuse_missing_folder(path, "--save-latents")?;
        }
        Ok(())
    }

    /// What decides how this job's pictures come out.
    ///
    /// # Errors
    /// If the model's files cannot be read any more.
    pub fn recipe(&self, model: &Model, settings: &Settings) -> Result<Recipe> {
        let mut recipe = match serde_json::to_value(settings) {
            Ok(Value::Object(recipe)) => recipe,
            _ => Recipe::new(),
        };
        recipe.insert("model".into(), model.fingerprint()?.into());
        recipe.insert("quality".into(), self.saving.quality.into());
        recipe.insert("strip-metadata".into(), self.saving.strip_metadata.into());
        recipe.insert("provenance".into(), self.provenance.into());
        if let Some(path) = &self.latents {
            // What cannot be read is told by whoever needs it.
            let hash = journal::hash(path).unwrap_or_default();
            recipe.insert("latents".into(), hash.into());
        }
        Ok(recipe)
    }

    /// What earlier runs left. Other settings than theirs are an error, unless that is [`Job::force`]d.
    ///
    /// # Errors
    /// [`Error::Setting`], naming what has changed; those of [`Known::read`].
    pub fn known(&self, recipe: &Recipe) -> Result<Known> {
        // Latents that are to be saved must be made.
        let folder = match &self.journal {
            Some(folder) if self.resume && self.save_latents.is_none() => folder,
            _ => return Ok(Known::default()),
        };
        let known = Known::read(folder)?;
        if self.force {
            return Ok(known);
        }
        let outputs = self.tasks.iter().map(|task| &task.output);
        let others: Vec<_> = outputs
            .filter_map(|output| Some((output, known.other_recipe(output, recipe)?)))
            .collect();
        let Some((first, other)) = others.first() else {
            return Ok(known);
        };
        let files = match others.len() {
            1 => format!("{} was", first.display()),
            n => format!("{n} results, {} among them, were", first.display()),
        };
        Err(Error::Setting(format!(
            "{files} made with other settings ({}): say --force to make them anew, or choose another \
             output with -o",
            differences(other, recipe).join(", ")
        )))
    }

    /// Enlarges every picture; one that fails does not stop the others.
    ///
    /// # Errors
    /// [`Error::Cancelled`], or what [`Job::check`] and [`Job::known`] say.
    pub fn run(
        &self,
        engine: &mut Engine,
        settings: &Settings,
        events: &mut dyn FnMut(JobEvent),
        cancel: &Cancel,
    ) -> Result<Summary> {
        self.run_on(std::slice::from_mut(engine), settings, events, cancel)
    }

    /// [`Job::run`] on several devices, which hold the same model and take pictures from one queue.
    ///
    /// # Errors
    /// Those of [`Job::run`].
    pub fn run_on(
        &self,
        engines: &mut [Engine],
        settings: &Settings,
        events: &mut dyn FnMut(JobEvent),
        cancel: &Cancel,
    ) -> Result<Summary> {
        let Some(first) = engines.first() else {
            return Err(Error::Device("there is no device to compute on".into()));
        };
        let model = first.model();
        self.check(model, settings)?;
        let context = Context::of(model);
        let recipe = match &self.journal {
            Some(_) => self.recipe(model, settings)?,
            None => Recipe::new(),
        };
        let shared = self.shared(settings, context, recipe, engines.len(), cancel)?;
        let networks = engines.iter_mut().map(|engine| {
            |prepared: &mut Prepared, wait: &mut dyn FnMut(), events: &mut dyn FnMut(Event)| {
                self.compute(engine, settings, prepared, wait, events, cancel)
            }
        });
        self.run_lanes(&shared, networks.collect(), events)
    }

    /// What the lanes share; what dead runs left unfinished is removed.
    fn shared<'a>(
        &'a self,
        settings: &'a Settings,
        context: Context,
        recipe: Recipe,
        lanes: usize,
        cancel: &'a Cancel,
    ) -> Result<Shared<'a>> {
        let known = self.known(&recipe)?;
        let folders = self.tasks.iter().map(|task| folder_of(&task.output));
        known.clean(&folders.collect());
        let journal = (self.journal.as_deref()).map(|folder| Journal::new(folder, recipe.clone()));
        Ok(Shared {
            job: self,
            settings,
            context,
            recipe,
            known,
            journal: Mutex::new(journal),
            cancel,
            stop: AtomicBool::new(false),
            next: AtomicUsize::new(0),
            lanes,
        })
    }

    /// One lane per network: the only one on this thread, several on one each.
    fn run_lanes<N>(
        &self,
        shared: &Shared,
        mut networks: Vec<N>,
        events: &mut dyn FnMut(JobEvent),
    ) -> Result<Summary>
    where
        N: FnMut(
                &mut Prepared,
                &mut dyn FnMut(),
                &mut dyn FnMut(Event),
            ) -> Result<(Outcome, String)>
            + Send,
    {
        let mut summary = Summary::default();
        let mut tell = |message| {
            self.tell(message, &mut summary, events);
            if self.fail_fast && summary.failed > 0 {
                shared.stop.store(true, Ordering::Relaxed);
            }
        };
        if let [network] = networks.as_mut_slice() {
            lane(shared, network, &mut tell);
        } else {
            let (sender, messages) = mpsc::channel();
            thread::scope(|scope| {
                for mut network in networks {
                    let sender = sender.clone();
                    let mut say = move |message| drop(sender.send(message));
                    scope.spawn(move || lane(shared, &mut network, &mut say));
                }
                drop(sender);
                messages.into_iter().for_each(&mut tell);
            });
        }
        let ended = summary.done + summary.skipped + summary.failed;
        if shared.cancel.is_cancelled() && ended < self.tasks.len() {
            return Err(Error::Cancelled);
        }
        Ok(summary)
    }

    /// Passes a message on, and counts.
    fn tell(&self, message: Message, summary: &mut Summary, events: &mut dyn FnMut(JobEvent)) {
        let Message { index, what } = message;
        let Some(task) = self.tasks.get(index) else {
            return;
        };
        match what {
            What::Started => events(JobEvent::Started { index, task }),
            What::Run(event) => events(JobEvent::Run { index, event }),
            What::Done(done) => {
                summary.done += 1;
                let done = &*done;
                events(JobEvent::Done { index, task, done });
            }
            What::Skipped { existing, known } => {
                summary.skipped += 1;
                let existing = &existing;
                events(JobEvent::Skipped {
                    index,
                    task,
                    existing,
                    known,
                });
            }
            What::Failed(error) => {
                summary.failed += 1;
                let error = &error;
                events(JobEvent::Failed { index, task, error });
            }
        }
    }

    /// The first step of a picture: read it, unless its result is there. `wait` returns when no result is being
    /// written.
    fn read(&self, shared: &Shared, task: &Task, wait: &dyn Fn()) -> Result<Read> {
        let start = Instant::now();
        // The content is hashed before it is decoded: what changes in between is noticed next time.
        let stamp = match self.journal {
            Some(_) => Stamp::of(&task.input, &task.input).ok(),
            None => None,
        };
        let content = stamp.as_ref().map_or("", |stamp| &stamp.sha256);
        let standing = shared.known.standing(content, &task.output, &shared.recipe);
        if let Standing::Finished(mut files) = standing {
            let existing = files.pop().unwrap_or_default();
            return Ok(Read::Exists {
                existing,
                known: true,
            });
        }
        room::check_memory(&task.input, self.memory_limit, wait)?;
        let image_io::Decoded {
            mut picture,
            warnings,
        } = image_io::decode(&task.input)?;
        let (width, height) = (picture.width, picture.height);
        let [reduced, result] = sizes(shared.settings, width, height);
        task.format.check_size(result[0], result[1])?;
        room::check(task, &picture, result)?;
        bleed_under_alpha(&mut picture);
        if reduced != [width, height] {
            picture = picture.resized(reduced[0], reduced[1]);
        }
        let (start_noise, particles) = self.start(shared.context, shared.settings, &picture)?;
        let (targets, ours) = self.places(shared, task, standing, particles);
        let taken = |path: &&PathBuf| !ours.contains(*path) && path.symlink_metadata().is_ok();
        match (targets.iter().find(taken), task.on_conflict) {
            (Some(path), OnConflict::Skip) => {
                return Ok(Read::Exists {
                    existing: path.clone(),
                    known: false,
                });
            }
            (Some(path), OnConflict::Error) => {
                return Err(Error::Paths(format!(
                    "{} exists already: say --on-conflict skip, unique or overwrite, or choose \
                     another name with -o",
                    path.display()
                )));
            }
            _ => {}
        }
        for path in &targets {
            if task.on_conflict == OnConflict::Overwrite || ours.contains(path) {
                refuse_no_file(path)?;
                self.protected.refuse(path)?;
            }
        }
        // Nothing is computed that cannot be written down.
        make_folder(task)?;
        if let Some(journal) = &mut *shared.journal() {
            journal.begin()?;
        }
        targets
            .iter()
            .try_for_each(|path| unnamed(path).map(drop))?;
        Ok(Read::Ready(Box::new(Prepared {
            width,
            height,
            input: Arc::new(Rgb {
                width: picture.width,
                height: picture.height,
                values: std::mem::take(&mut picture.rgb),
            }),
            picture,
            result,
            provenance: None,
            start: start_noise,
            targets,
            ours,
            stamp,
            warnings,
            seconds: start.elapsed().as_secs_f64(),
        })))
    }

    /// The files that the results become, and those among them that an earlier run wrote.
    fn places(
        &self,
        shared: &Shared,
        task: &Task,
        standing: Standing,
        particles: usize,
    ) -> (Vec<PathBuf>, HashSet<PathBuf>) {
        let planned = targets(task, shared.settings, particles, self.only);
        match standing {
            // Under whatever names they got.
            Standing::OtherInput(files) | Standing::OtherRecipe(files)
                if files.len() == planned.len() =>
            {
                (files.clone(), files.into_iter().collect())
            }
            _ => {
                let is_ours = |path: &&PathBuf| shared.known.is_ours(&task.output, path);
                let ours = planned.iter().filter(is_ours).cloned().collect();
                (planned, ours)
            }
        }
    }

    /// The second step: the network's. The result, and what computed it. `wait` returns when no result is being
    /// written.
    fn compute(
        &self,
        engine: &mut Engine,
        settings: &Settings,
        prepared: &mut Prepared,
        wait: &mut dyn FnMut(),
        events: &mut dyn FnMut(Event),
        cancel: &Cancel,
    ) -> Result<(Outcome, String)> {
        let request = Request {
            start: prepared.start.take(),
            keep_latents: self.save_latents.is_some(),
            check: self.check && self.latents.is_none(),
            choice: self.only.map(Choice::Particle),
            ..Request::new(prepared.input.clone())
        };
        // Beside this picture another one may be read.
        let ahead = if self.tasks.len() > 1 { BYTES_AHEAD } else { 0 };
        let limit = self.memory_limit.map(|limit| limit.saturating_sub(ahead));
        let outcome = engine.run_beside(settings, request, limit, wait, events, cancel)?;
        let device = engine.used().to_string();
        if self.provenance {
            prepared.provenance = Some(Provenance::new(engine, settings, outcome.tile)?);
        }
        Ok((outcome, device))
    }

    /// The third step: alpha and strength, encoding, and the files' names.
    fn write(
        &self,
        shared: &Shared,
        task: &Task,
        prepared: Prepared,
        outcome: Outcome,
        warn: &mut dyn FnMut(String),
    ) -> Result<Vec<Written>> {
        let Outcome {
            pictures,
            latents,
            choice,
            ..
        } = outcome;
        let mut parts = Vec::new();
        let results = finished(&prepared, pictures, shared.settings);
        for (i, (target, picture)) in prepared.targets.iter().zip(results).enumerate() {
            let mut saving = self.saving.clone();
            if let Some(mut made) = prepared.provenance.clone() {
                if shared.settings.select == Select::All {
                    made.particle = Some(self.only.unwrap_or(i));
                }
                saving = made.told_in(saving);
            }
            let (file, warnings) = encode(&picture, target, task, &saving)?;
            warnings.into_iter().for_each(&mut *warn);
            let existing = match task.on_conflict {
                OnConflict::Overwrite => Existing::Overwrite,
                _ if prepared.ours.contains(target) => Existing::Overwrite,
                _ => Existing::Refuse,
            };
            parts.push(Part {
                file: Some(file),
                target: target.clone(),
                existing,
                size: (picture.width, picture.height),
            });
        }
        let announce = |parts: &[Part]| match (&mut *shared.journal(), &prepared.stamp) {
            (Some(journal), Some(input)) => {
                let stamps = parts.iter().filter_map(Part::stamp);
                let stamps = stamps.collect::<Result<Vec<_>>>()?;
                journal.finishing(&task.output, input.clone(), &stamps)
            }
            _ => Ok(()),
        };
        let (placed, fresh) = place(parts, task.on_conflict, &announce)?;
        if let (Some(path), Some(latents)) = (&self.save_latents, &latents)
            && let Err(error) = latents.write(path, &choice)
        {
            remove(&fresh);
            return Err(error);
        }
        if let (Some(journal), Some(_)) = (&mut *shared.journal(), &prepared.stamp) {
            journal.finished(&task.output)?;
        }
        Ok(placed)
    }

    /// The start noise from the latents file, if there is one, and how many particles will be drawn.
    fn start(
        &self,
        context: Context,
        settings: &Settings,
        picture: &Picture,
    ) -> Result<(Option<Latents>, usize)> {
        let given = settings.particles as usize;
        let Some(path) = &self.latents else {
            return Ok((None, given));
        };
        let canvas = Canvas::new(picture.width, picture.height, context.size_multiple);
        let [height, width] = canvas.padded;
        let shape = [context.latent_channels, height, width];
        let particles = self.particles_given.then_some(given);
        let first_only = settings.vanilla && !self.particles_given;
        let latents = Latents::read(path)?.fit(path, particles, shape, first_only)?;
        let count = latents.shape[0];
        crate::settings::range::PARTICLES
            .check(count as u32)
            .map_err(|what| Error::latents(path, what))?;
        Ok((Some(latents), count))
    }
}

/// The files of a task's results: one, or one per particle.
fn targets(
    task: &Task,
    settings: &Settings,
    particles: usize,
    only: Option<usize>,
) -> Vec<PathBuf> {
    if settings.select != Select::All || only.is_some() {
        return vec![task.output.clone()];
    }
    (0..particles)
        .map(|i| with_suffix(&task.output, &format!("_p{i}")))
        .collect()
}

/// The results as they are written: with all that the input holds besides, mixed and in the size that
/// `settings` say.
fn finished<'a>(
    prepared: &'a Prepared,
    results: Vec<Rgb>,
    settings: &'a Settings,
) -> impl Iterator<Item = Picture> + 'a {
    results.into_iter().map(move |result| {
        let mut picture = prepared.picture.enlarged(result.values);
        blend(&mut picture, &prepared.input.values, settings.strength);
        picture.sized(prepared.result)
    })
}

/// What a picture of `width` × `height` is reduced to for the network, and what its result's size is.
pub fn sizes(settings: &Settings, width: usize, height: usize) -> [[usize; 2]; 2] {
    let size = [width, height];
    let reduce = |side| reduced(side, settings.prescale);
    let result = |side| resulting(side as f64 * settings.prescale, settings.scale);
    [size.map(reduce), size.map(result)]
}

/// What a side of `side` pixels, whole ones or not, is in a result of `scale`.
pub fn resulting(side: f64, scale: f64) -> usize {
    ((side * scale).round() as usize).max(1)
}

/// What a side of a picture is reduced to by `prescale`.
pub fn reduced(side: usize, prescale: f64) -> usize {
    ((side as f64 * prescale).ceil() as usize).max(1)
}

#[cfg(test)]
mod tests;
