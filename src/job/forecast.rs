//! What a job would do, from the pictures' headers.

use rayon::prelude::*;

use super::journal::{Standing, hash};
use super::{Job, OnConflict, Task, sizes, speed, targets};
use crate::error::Result;
use crate::image_io;
use crate::model::Model;
use crate::pipeline::{Ask, Canvas, Estimator, Plan};
use crate::settings::Settings;

/// What would become of a picture.
#[derive(Clone, Debug, PartialEq)]
pub enum Forecast {
    /// It would be enlarged.
    Enlarged {
        /// The input's width and height, before it is turned upright.
        size: (u32, u32),
        /// How long it would take; rough.
        seconds: f64,
        /// Bytes that it would need beside the loaded model.
        memory: u64,
    },
    /// Its result is there.
    Skipped(String),
    /// Why it would fail, as far as can be told.
    Refused(String),
}

/// Less work than this is done before one has read how long it takes, wherever it runs.
const LITTLE_WORK: f64 = 2e13;

impl Job {
    /// About how many seconds the pictures take that are not known to be finished, from their headers; `None` where
    /// that is little. That an input has changed is not looked for.
    ///
    /// # Errors
    /// If the device fails.
    pub fn duration(&self, model: &Model, settings: &Settings) -> Result<Option<f64>> {
        let estimator = Estimator::of(model);
        let multiple = model.unet().size_multiple();
        let work = |task: &Task| {
            let (width, height) = image_io::peek(&task.input)?;
            let [[width, height], _] = sizes(settings, width as usize, height as usize);
            Some(estimator.work(&Canvas::new(width, height, multiple), settings))
        };
        // What is wrong with the journals is told by whoever goes on from them.
        let recipe = self.recipe(model, settings)?;
        let known = self.known(&recipe).unwrap_or_default();
        let left = (self.tasks.par_iter()).filter(|task| !known.has(&task.output, &recipe));
        let work: f64 = left.filter_map(work).sum();
        if work < LITTLE_WORK {
            return Ok(None);
        }
        Ok(Some(work / speed(model, &estimator)?))
    }

    /// What would become of each task. Nothing but headers is read, and, of pictures that have a result in the
    /// journal, the content.
    ///
    /// # Errors
    /// Those of [`Job::check`] and [`Job::known`], and if the device fails.
    pub fn forecast(&self, model: &Model, settings: &Settings) -> Result<Vec<Forecast>> {
        self.check(model, settings)?;
        let recipe = self.recipe(model, settings)?;
        let known = self.known(&recipe)?;
        let estimator = Estimator::of(model);
        let rate = speed(model, &estimator)?;
        let multiple = model.unet().size_multiple();
        let budget = model.target().memory_budget(self.memory_limit);
        let forecast = |task: &Task| {
            let content = match known.is_known(&task.output) {
                true => hash(&task.input).unwrap_or_default(),
                false => String::new(),
            };
            let standing = known.standing(&content, &task.output, &recipe);
            if let Standing::Finished(_) = standing {
                return Forecast::Skipped(format!("{} is finished", task.output.display()));
            }
            let mut planned =
                targets(task, settings, settings.particles as usize, self.only).into_iter();
            let taken = planned.find(|path| path.symlink_metadata().is_ok());
            if let (Standing::Unknown, Some(path)) = (standing, taken) {
                match task.on_conflict {
                    OnConflict::Error => {
                        return Forecast::Refused(format!("{} exists already", path.display()));
                    }
                    OnConflict::Skip => {
                        return Forecast::Skipped(format!("{} exists already", path.display()));
                    }
                    _ => (),
                }
            }
            let size = match image_io::peek(&task.input) {
                Some(size) => size,
                // Some formats say it at the end only.
                None => match image_io::decode(&task.input) {
                    Ok(decoded) => (decoded.picture.width as u32, decoded.picture.height as u32),
                    Err(error) => return Forecast::Refused(error.to_string()),
                },
            };
            let (width, height) = (size.0 as usize, size.1 as usize);
            let [reduced, result] = sizes(settings, width, height);
            if let Err(error) = task.format.check_size(result[0], result[1]) {
                return Forecast::Refused(error.to_string());
            }
            let canvas = Canvas::new(reduced[0], reduced[1], multiple);
            match Plan::new(&estimator, &canvas, &Ask::of(settings, budget)) {
                Ok(plan) => Forecast::Enlarged {
                    size,
                    seconds: estimator.work(&canvas, settings) / rate,
                    memory: plan.peak_bytes as u64,
                },
                Err(error) => Forecast::Refused(error.to_string()),
            }
        };
        Ok(self.tasks.par_iter().map(forecast).collect())
    }
}
