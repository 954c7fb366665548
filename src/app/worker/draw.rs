//! One drawing with everything that was wished for beside it. What is there from before is not made
//! again: the run without steering does not change with the steering's settings.

use std::collections::HashMap;
use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use super::desk::Drawing;
use super::reports::{Drawn, Inbox, Preview, Report, Side, Slot, Spread, Step};
use crate::app::errands::provenance_file;
use crate::app::raster::Raster;
use crate::app::spread;
use crate::error::Result;
use crate::image_io::{self, Existing, Format, ImageError, write_atomically};
use crate::job::{Engine, Provenance};
use crate::kds::Choice;
use crate::model::{Model, SCALE};
use crate::pipeline::{self, Cancel, Event, Latents, Previews, Region, Request, Rgb};
use crate::settings::{ColorFix, Select, Settings};

/// Pixels of an enlargement up to which its steps, and quick pictures of its particles, are shown.
const MOST_SHOWN: usize = 16 << 20;
/// Longest side of a particle's quick picture.
const QUICK_SIDE: usize = 1024;
/// Steps of a run whose previews are kept for looking at later, at most.
const MOST_KEPT: usize = 64;
/// Longest side of such a preview, of few steps and of many.
const KEPT_SIDE: usize = 512;
const MANY_KEPT_SIDE: usize = 256;
/// So many are many.
const MANY: u32 = 16;

/// What was drawn last, for each slot and side.
#[derive(Default)]
pub struct Studio {
    held: HashMap<(Slot, Side), Held>,
}

/// A finished run.
struct Held {
    key: Key,
    region: Region,
    /// See [`Outcome::tile`](crate::pipeline::Outcome::tile).
    tile: Option<usize>,
    latents: Latents,
    /// What was chosen at the end, by which selection.
    choice: (Select, Choice),
    curve: Arc<Vec<Step>>,
    particles: Vec<Arc<Raster>>,
    /// By particle (`None`: the average) and colour fix.
    decoded: HashMap<(Option<usize>, ColorFix), Arc<Raster>>,
    spread: Option<Spread>,
}

/// What decides where the particles end; which one is shown, and in which colours, comes after.
#[derive(Clone, Debug, PartialEq)]
struct Key {
    input: u64,
    regions: (Region, Region),
    settings: Settings,
}

/// One errand's surroundings.
struct Errand<'a> {
    engine: &'a mut Engine,
    slot: Slot,
    drawing: &'a Drawing,
    memory_limit: Option<u64>,
    inbox: &'a Inbox,
    cancel: &'a Cancel,
}

impl Studio {
    /// Makes whatever of `drawing` is not there yet, and reports all of it.
    ///
    /// # Errors
    /// Those of [`Engine::run`], and of writing the result's file.
    pub fn draw(
        &mut self,
        engine: &mut Engine,
        slot: Slot,
        drawing: &Drawing,
        memory_limit: Option<u64>,
        inbox: &Inbox,
        cancel: &Cancel,
    ) -> Result<()> {
        let mut errand = Errand {
            engine,
            slot,
            drawing,
            memory_limit,
            inbox,
            cancel,
        };
        // Another picture's particles are of no use any more.
        self.held
            .retain(|_, held| held.key.input == drawing.input.id);
        let needs = drawing.needs;
        let choice = self.side(&mut errand, Side::Steered, None)?;
        let inspects_plain = matches!(needs.particle, Some((Side::Plain, _)));
        if needs.plain || needs.spread || inspects_plain {
            self.side(&mut errand, Side::Plain, Some(choice))?;
        }
        if let Some((side, particle)) = needs.particle
            && let Some(held) = self.held.get_mut(&(slot, side))
        {
            let picture = held.look_at(&mut errand, side, particle)?;
            inbox.say(Report::Decoded(slot, drawing.id, side, particle, picture));
        }
        if needs.spread
            && let Some(held) = self.held.get_mut(&(slot, Side::Plain))
        {
            let spread = held.spread(&mut errand)?;
            inbox.say(Report::Spread(slot, drawing.id, spread));
        }
        Ok(())
    }

    /// One side's picture: from before, or drawn now. `choice` is the particle to be shown, if that is
    /// settled; returned is the one that is.
    fn side(&mut self, errand: &mut Errand, side: Side, choice: Option<Choice>) -> Result<Choice> {
        let place = (errand.slot, side);
        let key = errand.key(side);
        let mut seconds = None;
        if self.held.get(&place).is_none_or(|held| held.key != key) {
            // The old run's memory is needed for the new one.
            self.held.remove(&place);
            let start = Instant::now();
            let held = errand.run(side, key, choice)?;
            seconds = Some(start.elapsed().as_secs_f64());
            self.held.insert(place, held);
        }
        let Some(held) = self.held.get_mut(&place) else {
            return Ok(Choice::Particle(0));
        };
        let select = errand.settings(side).select;
        let shown = match choice {
            Some(choice) => choice,
            None if held.choice.0 == select => held.choice.1,
            None => held.latents.choose(select),
        };
        held.choice = (select, shown);
        let picture = held.decode(errand, side, particle_of(shown))?;
        let file = (side == Side::Steered).then(|| errand.drawing.file.clone());
        errand.inbox.say(Report::Drawn(Box::new(Drawn {
            slot: errand.slot,
            drawing: errand.drawing.id,
            side,
            region: held.region,
            choice: shown,
            picture,
            file,
            particles: held.particles.clone(),
            curve: held.curve.clone(),
            seconds,
        })));
        Ok(shown)
    }
}

/// The particle that is decoded; `None` stands for the average.
fn particle_of(choice: Choice) -> Option<usize> {
    match choice {
        Choice::Particle(particle) => Some(particle),
        Choice::Mean => None,
        Choice::All => Some(0),
    }
}

impl Errand<'_> {
    /// What is asked of the pipeline for one side.
    fn settings(&self, side: Side) -> Settings {
        let asked = &self.drawing.settings;
        Settings {
            vanilla: asked.vanilla || side == Side::Plain,
            // The window shows every particle anyway; it decodes one.
            select: match asked.select {
                Select::All => Select::NearestMean,
                select => select,
            },
            strength: 1.0,
            ..asked.clone()
        }
    }

    fn request(&self) -> Request {
        Request {
            region: self.drawing.region,
            ..Request::new(self.drawing.input.rgb.clone())
        }
    }

    fn key(&self, side: Side) -> Key {
        let settings = self.settings(side);
        let regions = pipeline::regions(self.engine.model(), &settings, &self.request());
        let like = Settings::default();
        let settings = Settings {
            select: like.select,
            color_fix: like.color_fix,
            ..settings
        };
        let settings = if settings.vanilla {
            // Of the steering, nothing matters but where the patch grid puts the region.
            Settings {
                bandwidth: like.bandwidth,
                patch_size: like.patch_size,
                gamma_0: like.gamma_0,
                kernel: like.kernel,
                window: like.window,
                ..settings
            }
        } else {
            settings
        };
        Key {
            input: self.drawing.input.id,
            regions,
            settings,
        }
    }

    /// Draws all particles of one side, decodes `choice` or what the settings select, and keeps the file.
    fn run(&mut self, side: Side, key: Key, choice: Option<Choice>) -> Result<Held> {
        let settings = self.settings(side);
        let (slot, id, inbox) = (self.slot, self.drawing.id, self.inbox);
        let (shown, seen) = key.regions;
        let pixels = shown.width * shown.height * SCALE * SCALE;
        let is_quick = slot == Slot::Live && pixels * settings.particles as usize <= MOST_SHOWN;
        let previews = match pixels {
            _ if is_quick => Previews::All,
            pixels if pixels <= MOST_SHOWN => Previews::First,
            _ => Previews::None,
        };
        let request = Request {
            keep_latents: true,
            check: self.drawing.check && (slot, side) == (Slot::Whole, Side::Steered),
            choice,
            previews,
            ..self.request()
        };
        let (estimator, canvas, train_steps) = {
            let model = self.engine.model();
            (
                pipeline::Estimator::of(model),
                pipeline::canvas(model, seen.width, seen.height),
                model.scheduler_config().num_train_timesteps as f64,
            )
        };
        inbox.say(Report::Begun(slot, id, side));
        let kept_every = (settings.steps as usize).div_ceil(MOST_KEPT);
        let kept_side = if settings.steps > MANY {
            MANY_KEPT_SIDE
        } else {
            KEPT_SIDE
        };
        let mut curve = Vec::new();
        let mut pass_on = |event| match event {
            Event::Started { .. } => curve.clear(),
            Event::Progress(part) => inbox.say(Report::Progress(slot, id, part)),
            Event::Warning(text) => inbox.say(Report::Note(text)),
            Event::Step {
                index,
                timestep,
                gamma,
                distance,
                previews,
            } => {
                let rasters: Vec<_> = (previews.iter())
                    .map(|picture| Arc::new(Raster::from_rgb(picture, None)))
                    .collect();
                let first = rasters.first().filter(|_| index % kept_every == 0);
                let step = Step {
                    index,
                    time: timestep as f64 / train_steps,
                    gamma,
                    distance,
                    preview: first.map(|raster| Arc::new(raster.reduced_to(kept_side))),
                };
                curve.push(step.clone());
                if !rasters.is_empty() {
                    let preview = Preview {
                        drawing: id,
                        region: shown,
                        particles: rasters,
                    };
                    inbox.show(slot, side, preview);
                }
                inbox.say(Report::Step(slot, id, side, step));
            }
        };
        let start = Instant::now();
        let outcome = self.engine.run(
            &settings,
            request,
            self.memory_limit,
            &mut pass_on,
            self.cancel,
        )?;
        let work = estimator.work(&canvas, &settings);
        inbox.say(Report::Rate(work / start.elapsed().as_secs_f64().max(1e-6)));

        let latents = outcome.latents.unwrap_or(Latents {
            shape: [0; 4],
            values: Vec::new(),
        });
        let mut decoded = HashMap::new();
        if let Some(result) = outcome.pictures.into_iter().next() {
            let raster = self.keep(side, result, outcome.region, outcome.tile)?;
            let fix = self.drawing.settings.color_fix;
            decoded.insert((particle_of(outcome.choice), fix), raster);
        }
        let particles = if pixels <= MOST_SHOWN {
            // On a device that failed in between there are none, and the result is what counts.
            quick_pictures(self.engine.model(), &latents, shown, seen).unwrap_or_default()
        } else {
            Vec::new()
        };
        Ok(Held {
            key,
            region: outcome.region,
            tile: outcome.tile,
            latents,
            choice: (settings.select, outcome.choice),
            curve: Arc::new(curve),
            particles,
            decoded,
            spread: None,
        })
    }

    /// The picture for the screen; a steered one is written to the drawing's file, too, unless that holds
    /// one already.
    fn keep(
        &self,
        side: Side,
        result: Rgb,
        region: Region,
        tile: Option<usize>,
    ) -> Result<Arc<Raster>> {
        let picture = self.drawing.input.finished(result, region);
        if side == Side::Steered && !self.drawing.file.exists() {
            let made = Provenance::new(self.engine, &self.settings(side), tile)?;
            // Beside the file rather than in it: what is saved from it is as if it had been made just then.
            let text = provenance_file(&self.drawing.file);
            write_atomically(&text, Existing::Overwrite, |sink| {
                sink.write_all(made.to_text().as_bytes())
            })
            .map_err(ImageError::from)?;
            let saving = Existing::Overwrite.into();
            image_io::encode(&picture, &self.drawing.file, Format::Png, &saving)?;
        }
        Ok(Arc::new(Raster::from_picture(picture)))
    }
}

impl Held {
    /// One particle (`None`: the average) as a picture; the steered one that is shown lies in the
    /// drawing's file afterwards.
    fn decode(
        &mut self,
        errand: &mut Errand,
        side: Side,
        particle: Option<usize>,
    ) -> Result<Arc<Raster>> {
        let place = (particle, errand.drawing.settings.color_fix);
        let has_file = side == Side::Plain || errand.drawing.file.exists();
        if let Some(picture) = self.decoded.get(&place)
            && has_file
        {
            return Ok(picture.clone());
        }
        let result = self.decode_rgb(errand, side, particle)?;
        let picture = errand.keep(side, result, self.region, self.tile)?;
        self.decoded.insert(place, picture.clone());
        Ok(picture)
    }

    /// Another particle, for looking at.
    fn look_at(&mut self, errand: &mut Errand, side: Side, particle: usize) -> Result<Arc<Raster>> {
        let place = (Some(particle), errand.drawing.settings.color_fix);
        if let Some(picture) = self.decoded.get(&place) {
            return Ok(picture.clone());
        }
        let result = self.decode_rgb(errand, side, Some(particle))?;
        let picture = Arc::new(Raster::from_picture(
            errand.drawing.input.finished(result, self.region),
        ));
        self.decoded.insert(place, picture.clone());
        Ok(picture)
    }

    fn decode_rgb(&self, errand: &mut Errand, side: Side, particle: Option<usize>) -> Result<Rgb> {
        let settings = errand.settings(side);
        let request = Request {
            check: false,
            ..errand.request()
        };
        let mean;
        let (latents, index) = match particle {
            Some(index) => (&self.latents, index),
            None => {
                mean = self.latents.mean();
                (&mean, 0)
            }
        };
        let inbox = errand.inbox;
        let mut events = |event| {
            if let Event::Warning(text) = event {
                inbox.say(Report::Note(text));
            }
        };
        errand.engine.decode(
            &settings,
            request,
            latents,
            index,
            errand.memory_limit,
            &mut events,
            errand.cancel,
        )
    }

    /// How far the particles differ, each decoded.
    fn spread(&mut self, errand: &mut Errand) -> Result<Spread> {
        if let Some(spread) = &self.spread {
            return Ok(spread.clone());
        }
        let count = self.latents.shape[0];
        let mut moments = spread::Moments::default();
        for particle in 0..count {
            let picture = self.decode_rgb(errand, Side::Plain, Some(particle))?;
            moments.add(&picture);
            let part = (particle + 1) as f64 / count as f64;
            let (slot, id) = (errand.slot, errand.drawing.id);
            errand.inbox.say(Report::Progress(slot, id, part));
        }
        let spread = moments.map();
        self.spread = Some(spread.clone());
        Ok(spread)
    }
}

/// Every particle by the model's linear preview, cut to what is shown.
fn quick_pictures(
    model: &Model,
    latents: &Latents,
    shown: Region,
    seen: Region,
) -> Result<Vec<Arc<Raster>>> {
    let picture = |particle: usize| {
        let picture = pipeline::preview(model, latents, particle, shown, seen)?;
        let raster = Raster::from_rgb(&picture, None);
        let [width, height] = raster.size();
        Ok(Arc::new(if width.max(height) > QUICK_SIDE {
            raster.reduced_to(QUICK_SIDE)
        } else {
            raster
        }))
    };
    (0..latents.shape[0]).map(picture).collect()
}
