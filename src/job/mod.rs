//! A list of pictures in, a list of bigger pictures out: what the command line and the window ask for.

mod engine;
mod outputs;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use engine::Engine;
pub use outputs::{OnConflict, Task, plan};

pub(crate) use self::outputs::{enlarged_name, folder_of, refuse_missing_folder};
use self::outputs::{is_same, refuse_no_file, refuse_over_inputs, with_suffix};
use crate::error::{Error, Result};
use crate::image_io::{self, Existing, ImageError, Picture, WriteError, bleed_under_alpha, blend};
use crate::model::{Model, SCALE};
use crate::pipeline::{self, Cancel, Event, Latents, Request, Rgb};
use crate::settings::{Select, Settings};

/// Everything but model and settings.
#[derive(Clone, Debug)]
pub struct Job {
    /// The pictures and their results, see [`plan`].
    pub tasks: Vec<Task>,
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
}

/// Something that happened while a job runs.
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
    Run(Event),
    /// The picture is finished.
    Done {
        /// Which one.
        task: &'a Task,
        /// The files written, with their widths and heights.
        written: &'a [(PathBuf, usize, usize)],
    },
    /// The result existed already, and that is fine.
    Skipped {
        /// Which one.
        task: &'a Task,
        /// The file that exists.
        existing: &'a Path,
    },
    /// The picture failed; the others go on.
    Failed {
        /// Which one.
        task: &'a Task,
        /// Why.
        error: &'a Error,
    },
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

impl Job {
    /// What can be known to be wrong before anything is computed.
    pub fn check(&self, model: &Model, settings: &Settings) -> Result<()> {
        pipeline::scheduler(model, settings)?;
        if self.tasks.len() > 1 && (self.latents.is_some() || self.save_latents.is_some()) {
            return Err(Error::Paths(
                "--latents and --save-latents belong to one picture: name one input".into(),
            ));
        }
        if let Some(path) = &self.save_latents {
            let inputs = self.tasks.iter().map(|task| task.input.as_path());
            refuse_over_inputs(path, inputs.chain(self.latents.as_deref()))?;
            refuse_no_file(path)?;
            let mut targets = (self.tasks.iter())
                .flat_map(|task| targets(task, settings, settings.particles as usize));
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

    /// Enlarges every picture; one that fails does not stop the others.
    ///
    /// # Errors
    /// [`Error::Cancelled`], or what [`Job::check`] says.
    pub fn run(
        &self,
        engine: &mut Engine,
        settings: &Settings,
        events: &mut dyn FnMut(JobEvent),
        cancel: &Cancel,
    ) -> Result<Summary> {
        self.check(engine.model(), settings)?;
        let mut summary = Summary::default();
        for (index, task) in self.tasks.iter().enumerate() {
            if cancel.is_cancelled() {
                return Err(Error::Cancelled);
            }
            events(JobEvent::Started { index, task });
            match self.enlarge(engine, settings, task, events, cancel) {
                Ok(End::Written(written)) => {
                    summary.done += 1;
                    let written = &written;
                    events(JobEvent::Done { task, written });
                }
                Ok(End::Exists(existing)) => {
                    summary.skipped += 1;
                    let existing = &existing;
                    events(JobEvent::Skipped { task, existing });
                }
                Err(Error::Cancelled) => return Err(Error::Cancelled),
                Err(error) => {
                    summary.failed += 1;
                    let error = &error;
                    events(JobEvent::Failed { task, error });
                }
            }
        }
        Ok(summary)
    }

    /// One picture.
    fn enlarge(
        &self,
        engine: &mut Engine,
        settings: &Settings,
        task: &Task,
        events: &mut dyn FnMut(JobEvent),
        cancel: &Cancel,
    ) -> Result<End> {
        let mut warn = |text: String| events(JobEvent::Run(Event::Warning(text)));
        let image_io::Decoded {
            mut picture,
            warnings,
        } = image_io::decode(&task.input)?;
        warnings.into_iter().for_each(&mut warn);
        task.format
            .check_size(picture.width * SCALE, picture.height * SCALE)?;
        bleed_under_alpha(&mut picture);

        let (start, particles) = self.start(engine.model(), settings, &picture)?;
        let targets = targets(task, settings, particles);
        let existing = targets.iter().find(|path| path.symlink_metadata().is_ok());
        match (existing, task.on_conflict) {
            (Some(path), OnConflict::Skip) => return Ok(End::Exists(path.clone())),
            (Some(path), OnConflict::Error) => {
                return Err(Error::Paths(format!(
                    "{} exists already: say --on-conflict skip, unique or overwrite, or choose \
                     another name with -o",
                    path.display()
                )));
            }
            _ => {}
        }
        if task.on_conflict == OnConflict::Overwrite {
            for path in &targets {
                refuse_no_file(path)?;
                let inputs = self.tasks.iter().map(|task| task.input.as_path());
                refuse_over_inputs(path, inputs)?;
            }
        }

        let input = Arc::new(Rgb {
            width: picture.width,
            height: picture.height,
            values: std::mem::take(&mut picture.rgb),
        });
        let request = Request {
            start,
            keep_latents: self.save_latents.is_some(),
            check: self.check && self.latents.is_none(),
            ..Request::new(input.clone())
        };
        let mut pass_on = |event| events(JobEvent::Run(event));
        let outcome = engine.run(settings, request, self.memory_limit, &mut pass_on, cancel)?;

        make_folder(task)?;
        let pictures = outcome.pictures.into_iter().map(|result| {
            let mut picture = picture.enlarged(result.values);
            blend(&mut picture, &input.values, settings.strength);
            picture
        });
        let mut written = Vec::new();
        let mut fresh = Vec::new();
        let write_all = || -> Result<()> {
            for (target, picture) in targets.iter().zip(pictures) {
                let is_new = target.symlink_metadata().is_err();
                let (path, warnings) = write(&picture, target, task)?;
                if is_new || path != *target {
                    fresh.push(path.clone());
                }
                written.push((path, picture.width, picture.height));
                for warning in warnings {
                    events(JobEvent::Run(Event::Warning(warning)));
                }
            }
            match (&self.save_latents, &outcome.latents) {
                (Some(path), Some(latents)) => latents.write(path, &outcome.choice),
                _ => Ok(()),
            }
        };
        if let Err(error) = write_all() {
            // All of a picture's files or none; what cannot be removed is not ours to mend.
            for path in fresh {
                let _ = std::fs::remove_file(path);
            }
            return Err(error);
        }
        Ok(End::Written(written))
    }

    /// The start noise from the latents file, if there is one, and how many particles will be drawn.
    fn start(
        &self,
        model: &Model,
        settings: &Settings,
        picture: &Picture,
    ) -> Result<(Option<Latents>, usize)> {
        let given = settings.particles as usize;
        let Some(path) = &self.latents else {
            return Ok((None, given));
        };
        let [height, width] = pipeline::canvas(model, picture.width, picture.height).padded;
        let shape = [model.vqvae().latent_channels(), height, width];
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

/// How one picture ended.
enum End {
    /// These files were written, with their widths and heights.
    Written(Vec<(PathBuf, usize, usize)>),
    /// This file existed and was left alone.
    Exists(PathBuf),
}

/// The files of a task's results: one, or one per particle.
fn targets(task: &Task, settings: &Settings, particles: usize) -> Vec<PathBuf> {
    if settings.select != Select::All {
        return vec![task.output.clone()];
    }
    (0..particles)
        .map(|i| with_suffix(&task.output, &format!("_p{i}")))
        .collect()
}

/// The folder of a task's result is made if it is missing; the one that it lies in must exist.
fn make_folder(task: &Task) -> Result<()> {
    let folder = folder_of(&task.output);
    if folder.exists() {
        return Ok(());
    }
    std::fs::create_dir(folder)
        .map_err(|e| Error::Paths(format!("cannot create {}: {e}", folder.display())))
}

/// Writes `result` as `task` says: its file, and what the format could not keep.
///
/// # Errors
/// [`Error::Image`] if it cannot be written.
pub(crate) fn save(result: &Picture, task: &Task) -> Result<(PathBuf, Vec<String>)> {
    make_folder(task)?;
    write(result, &task.output, task)
}

/// Writes the result under its name, or, where asked, under the first free name with a number.
fn write(result: &Picture, target: &Path, task: &Task) -> Result<(PathBuf, Vec<String>)> {
    let existing = match task.on_conflict {
        OnConflict::Overwrite => Existing::Overwrite,
        _ => Existing::Refuse,
    };
    let mut path = target.to_path_buf();
    let mut number = 1;
    loop {
        match image_io::encode(result, &path, task.format, &existing.into()) {
            Ok(warnings) => return Ok((path, warnings)),
            Err(ImageError::Write(WriteError::Exists { .. }))
                if task.on_conflict == OnConflict::Unique =>
            {
                number += 1;
                path = with_suffix(target, &format!("_{number}"));
            }
            Err(error) => return Err(error.into()),
        }
    }
}
