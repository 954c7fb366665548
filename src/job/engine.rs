//! A model on a device, and what is tried when the device fails: smaller batches, a device opened
//! anew, f32, and in the end the processor. A picture is given up only when that fails too.

use burn::tensor::FloatDType;

use crate::device::{Fault, Target, release_memory};
use crate::error::{Error, Result, caught};
use crate::model::{DownloadProgress, Model, ModelSource};
use crate::pipeline::{self, Cancel, Event, Latents, Outcome, Request, Rgb};
use crate::settings::Settings;

/// A device that failed so often, without a picture in between, is left alone.
const MAX_BREAKS: usize = 3;
/// Characters of a driver's words that a person is shown.
const LONGEST: usize = 160;

/// A loaded model that keeps going.
pub struct Engine {
    source: ModelSource,
    model: Model,
    /// The same model elsewhere, once it was needed.
    spare: Option<Model>,
    /// The device must be opened anew before it is used again.
    broken: bool,
    /// Failures since the last picture that the device made.
    breaks: usize,
    /// Latent cells per evaluation that did not run out of memory, once something did.
    most_cells: Option<usize>,
    /// What made the last picture.
    used: String,
}

/// What is tried on a model, its events passed on.
type Work<'a, T> = &'a mut dyn FnMut(&Model, &Request, &mut dyn FnMut(Event)) -> Result<T>;

/// One way of making a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Way {
    on_cpu: bool,
    floats: FloatDType,
    /// Most latent cells in one evaluation.
    most_cells: Option<usize>,
}

const CPU: Way = Way {
    on_cpu: true,
    floats: FloatDType::F32,
    most_cells: None,
};

/// What may go wrong on a card that may go right elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    /// The picture does not fit, which was known before.
    TooLarge,
    /// The device has not enough memory after all.
    OutOfMemory,
    /// The device is gone, or does what it should not.
    Broken,
    /// The result is no picture of the input.
    Implausible,
}

/// The next way after `way`, on which `batch` particles of `cells` each at a time failed; `None` is the end.
fn next(way: Way, batch: usize, cells: usize, failure: Failure) -> Option<Way> {
    if way.on_cpu {
        return None;
    }
    Some(match failure {
        Failure::Implausible if way.floats == FloatDType::F16 => Way {
            floats: FloatDType::F32,
            ..way
        },
        Failure::OutOfMemory | Failure::Broken if batch > 1 => Way {
            most_cells: Some(batch / 2 * cells),
            ..way
        },
        _ => CPU,
    })
}

impl Engine {
    /// Loads `source` to `target`; `progress` hears about downloads.
    ///
    /// # Errors
    /// Those of [`Model::load`].
    pub fn load(source: &ModelSource, target: &Target, progress: DownloadProgress) -> Result<Self> {
        Ok(Engine {
            source: source.clone(),
            model: caught(|| Model::load(source, target, progress))?,
            spare: None,
            broken: false,
            breaks: 0,
            most_cells: None,
            used: String::new(),
        })
    }

    /// What made the last picture, as a person calls it.
    pub fn used(&self) -> &str {
        &self.used
    }

    /// What the model was loaded from.
    pub fn source(&self) -> &ModelSource {
        &self.source
    }

    /// The model where it was asked for.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// [`pipeline::run`] with `request.memory` from the device and `limit`, the person's wish. What
    /// fails on a graphics card is tried again in humbler ways, each announced by a warning.
    ///
    /// # Errors
    /// Those of the last way.
    pub fn run(
        &mut self,
        settings: &Settings,
        request: Request,
        limit: Option<u64>,
        events: &mut dyn FnMut(Event),
        cancel: &Cancel,
    ) -> Result<Outcome> {
        self.run_beside(settings, request, limit, &mut || (), events, cancel)
    }

    /// [`Engine::run`] while other work in this process takes memory for a while: `wait` returns when it is done,
    /// and is called only where the run would have to make do with less than it can use.
    ///
    /// # Errors
    /// Those of [`Engine::run`].
    pub fn run_beside(
        &mut self,
        settings: &Settings,
        request: Request,
        limit: Option<u64>,
        wait: &mut dyn FnMut(),
        events: &mut dyn FnMut(Event),
        cancel: &Cancel,
    ) -> Result<Outcome> {
        self.tried(
            settings,
            request,
            limit,
            wait,
            events,
            &mut |model, request, events| pipeline::run(model, settings, request, events, cancel),
        )
    }

    /// [`pipeline::decode`], with the same ways out as [`Engine::run`].
    ///
    /// # Errors
    /// Those of the last way.
    #[allow(clippy::too_many_arguments)]
    pub fn decode(
        &mut self,
        settings: &Settings,
        request: Request,
        latents: &Latents,
        particle: usize,
        limit: Option<u64>,
        events: &mut dyn FnMut(Event),
        cancel: &Cancel,
    ) -> Result<Rgb> {
        self.tried(
            settings,
            request,
            limit,
            &mut || (),
            events,
            &mut |model, request, _| {
                pipeline::decode(model, settings, request, latents, particle, cancel)
            },
        )
    }

    /// What `work` returns on the first way on which it succeeds.
    fn tried<T>(
        &mut self,
        settings: &Settings,
        mut request: Request,
        limit: Option<u64>,
        wait: &mut dyn FnMut(),
        events: &mut dyn FnMut(Event),
        work: Work<T>,
    ) -> Result<T> {
        let own = self.model.target();
        let mut way = if own.is_cpu() || self.breaks >= MAX_BREAKS {
            CPU
        } else {
            Way {
                on_cpu: false,
                floats: own.floats(),
                most_cells: self.most_cells,
            }
        };
        loop {
            let model = match self.model_for(way) {
                Ok(model) => model,
                Err(error) if way.on_cpu => return Err(error),
                // A card that cannot be opened again.
                Err(error) => {
                    events(Event::Warning(format!(
                        "{error}; going on on the processor"
                    )));
                    way = CPU;
                    continue;
                }
            };
            let target = model.target().clone();
            request.most_cells = way.most_cells;
            request.memory = target.memory_budget(limit);
            if !pipeline::has_room(model, settings, &request) {
                wait();
                release_memory();
                request.memory = target.memory_budget(limit);
            }
            // Particles at a time, for as long as that matters: the decoder takes one after the other.
            let (mut batch, mut cells) = (1, 1);
            let mut pass_on = |event| {
                match &event {
                    Event::Started {
                        batch: of,
                        cells: each,
                        ..
                    } => (batch, cells) = (*of, *each),
                    Event::Step { index, .. } if *index + 1 == settings.steps as usize => batch = 1,
                    _ => (),
                }
                events(event);
            };
            let error = match work(model, &request, &mut pass_on) {
                Ok(outcome) => {
                    if !way.on_cpu {
                        self.breaks = 0;
                    }
                    self.used = target.place().name();
                    return Ok(outcome);
                }
                Err(error) => error,
            };
            let fault = target.take_fault();
            let failure = match &error {
                Error::Memory(_) => Failure::TooLarge,
                Error::BadPicture(_) => Failure::Implausible,
                Error::Compute(what) if fault == Some(Fault::OutOfMemory) || is_memory(what) => {
                    Failure::OutOfMemory
                }
                Error::Compute(_) | Error::DeviceLost(_) => Failure::Broken,
                _ => return Err(error),
            };
            let Some(following) = next(way, batch, cells, failure) else {
                return Err(error);
            };
            match failure {
                // Nothing that comes from this device can be trusted any more.
                Failure::Broken => {
                    self.spare = None;
                    self.broken = true;
                    self.breaks += 1;
                }
                // What the failed run held must not stand in the way of the next one.
                _ => target.clean_up(),
            }
            if failure == Failure::OutOfMemory {
                match following.most_cells {
                    Some(most) => self.most_cells = Some(most),
                    None => self.breaks += 1,
                }
            }
            let name = target.place().name();
            events(Event::Warning(announce(
                &name,
                &error,
                failure,
                fault,
                following,
                batch / 2,
            )));
            way = following;
        }
    }

    /// The model for `way`, loaded if it is not.
    fn model_for(&mut self, way: Way) -> Result<&Model> {
        let own = self.model.target();
        if !way.on_cpu && self.broken {
            let target = Target::open(own.place(), own.floats())?;
            self.model = self.load_again(&target)?;
            self.broken = false;
        }
        let own = self.model.target();
        let wanted =
            |target: &Target| target.is_cpu() == way.on_cpu && target.floats() == way.floats;
        if wanted(own) {
            return Ok(&self.model);
        }
        if !self
            .spare
            .as_ref()
            .is_some_and(|spare| wanted(spare.target()))
        {
            let target = if way.on_cpu {
                Target::cpu()
            } else {
                own.with_floats(way.floats)
            };
            self.spare = None;
            self.spare = Some(self.load_again(&target)?);
        }
        Ok(self.spare.as_ref().unwrap_or(&self.model))
    }

    fn load_again(&self, target: &Target) -> Result<Model> {
        caught(|| Model::load(&self.source, target, &mut |_, _, _| Ok(())))
    }
}

/// Whether burn's words, where wgpu's own error is not to be had, tell of memory.
fn is_memory(what: &str) -> bool {
    let what = what.to_lowercase();
    ["out of memory", "outofmemory", "buffertoobig"]
        .iter()
        .any(|word| what.contains(word))
}

/// What the person is told about a new way.
fn announce(
    name: &str,
    error: &Error,
    failure: Failure,
    fault: Option<Fault>,
    way: Way,
    batch: usize,
) -> String {
    let what = match (failure, fault) {
        (Failure::TooLarge, _) => format!("too large for {name}"),
        (Failure::Implausible, _) => format!("{name} made no picture of the input"),
        (Failure::OutOfMemory, _) => format!("{name} ran out of memory"),
        (Failure::Broken, Some(Fault::Other(what))) => format!("{name} failed ({})", brief(&what)),
        (Failure::Broken, _) => format!("{name} failed ({})", brief(&error.to_string())),
    };
    match way {
        Way { on_cpu: true, .. } => format!("{what}: making it on the processor"),
        Way {
            most_cells: Some(_),
            ..
        } => format!("{what}: trying again with {batch} at a time"),
        _ => format!("{what}: trying again in f32"),
    }
}

/// Drivers' words on one line of bearable length.
fn brief(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{} …", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ways taken when each of them fails.
    fn ways(floats: FloatDType, batch: usize, failure: Failure) -> Vec<(bool, bool, usize)> {
        let mut way = Way {
            on_cpu: false,
            floats,
            most_cells: None,
        };
        let mut ways = Vec::new();
        while let Some(following) = next(
            way,
            way.most_cells.map_or(batch, |most| most / 10),
            10,
            failure,
        ) {
            way = following;
            ways.push((
                way.on_cpu,
                way.floats == FloatDType::F16,
                way.most_cells.map_or(0, |most| most / 10),
            ));
            assert!(ways.len() < 20, "it never ends");
        }
        ways
    }

    #[test]
    fn every_failure_ends_on_the_processor_and_there() {
        use FloatDType::{F16, F32};
        let cpu = (true, false, 0);
        assert_eq!(ways(F32, 8, Failure::TooLarge), [cpu]);
        assert_eq!(ways(F32, 1, Failure::OutOfMemory), [cpu]);
        assert_eq!(
            ways(F16, 10, Failure::OutOfMemory),
            [(false, true, 5), (false, true, 2), (false, true, 1), cpu]
        );
        assert_eq!(ways(F32, 3, Failure::Broken), [(false, false, 1), cpu]);
        assert_eq!(ways(F16, 4, Failure::Implausible), [(false, false, 0), cpu]);
        assert_eq!(ways(F32, 4, Failure::Implausible), [cpu]);
    }
}
