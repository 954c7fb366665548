//! noise → [ model → scheduler.x0 → kds.steer → scheduler.step ] × S → select → decode → check.

mod canvas;
mod check;
mod color;
mod decode;
mod events;
mod field;
mod latents;
mod plan;
mod region;
mod tiling;

use std::borrow::Cow;
use std::sync::Arc;

use burn::tensor::{Tensor, TensorData};

pub use canvas::Canvas;
pub use events::{Cancel, Event, Rgb};
pub use latents::Latents;
pub use plan::{Ask, Cut, Estimator, Plan};
pub use region::{MARGIN, Region};
pub use tiling::{Tile, Tiling};

use crate::device::Budget;
use crate::error::{Error, Result, caught};
use crate::kds::{self, Choice, MeanShift};
use crate::model::{Model, SCALE};
use crate::noise;
use crate::scheduler::Scheduler;
use crate::settings::{Select, Settings};

/// Cells of a band of the canvas that a step handles at a time.
const BAND_CELLS: usize = 1 << 18;

/// One picture to enlarge.
#[derive(Clone, Debug)]
pub struct Request {
    /// The input.
    pub input: Arc<Rgb>,
    /// Start noise instead of the seed's own; of the canvas' size, see [`canvas`].
    pub start: Option<Latents>,
    /// What the run may take beyond the loaded model.
    pub memory: Budget,
    /// Most latent cells per network evaluation, if the memory's plan is not to be trusted.
    pub most_cells: Option<usize>,
    /// Whether the final latents are wanted.
    pub keep_latents: bool,
    /// Whether the result must resemble the input.
    pub check: bool,
    /// What is decoded, if that is settled beforehand rather than by the settings' `select`.
    pub choice: Option<Choice>,
    /// Which particles' previews steps come with.
    pub previews: Previews,
    /// The part of the input that is enlarged; all of it, if `None`. See [`grid`].
    pub region: Option<Region>,
    /// The number of the first particle, whose noise it has: 3 draws the fourth particle again.
    pub first_particle: u32,
}

/// Whose clean latents come as a quick picture at each step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Previews {
    /// Nobody's.
    #[default]
    None,
    /// The first particle's.
    First,
    /// Every particle's.
    All,
}

impl Request {
    /// All of `input`, from the seed's noise, checked, with nothing besides the picture.
    pub fn new(input: impl Into<Arc<Rgb>>) -> Self {
        Request {
            input: input.into(),
            start: None,
            memory: Budget::shared(u64::MAX),
            most_cells: None,
            keep_latents: false,
            check: true,
            choice: None,
            previews: Previews::None,
            region: None,
            first_particle: 0,
        }
    }
}

/// What became of it.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The final latents of all particles, where they were wanted.
    pub latents: Option<Latents>,
    /// What was decoded.
    pub choice: Choice,
    /// The results, four times the region's size: one, or one per particle.
    pub pictures: Vec<Rgb>,
    /// The part of the input that was enlarged: the region that was asked for, on the grid.
    pub region: Region,
    /// The side of the tiles that the network saw, where there was more than one.
    pub tile: Option<usize>,
}

/// The canvas of a picture of `width` × `height` for `model`.
pub fn canvas(model: &Model, width: usize, height: usize) -> Canvas {
    Canvas::new(width, height, model.unet().size_multiple())
}

/// The grid that regions of a picture lie on: multiples of the patches and of what the network halves.
pub fn grid(model: &Model, settings: &Settings) -> usize {
    grid_of(settings, model.unet().size_multiple())
}

/// [`grid`], for a network that needs multiples of `multiple`.
pub fn grid_of(settings: &Settings, multiple: usize) -> usize {
    let patch = settings.patch_size as usize;
    (1..=multiple)
        .map(|factor| factor * patch)
        .find(|step| step % multiple == 0)
        .unwrap_or(patch * multiple)
}

/// What of its input `request` enlarges, and what of it the network sees.
pub(crate) fn regions(model: &Model, settings: &Settings, request: &Request) -> (Region, Region) {
    let Some(region) = request.region else {
        let whole = Region::whole(&request.input);
        return (whole, whole);
    };
    let step = grid(model, settings);
    let shown = region.on_grid(step, &request.input);
    (shown, shown.with_surroundings(step, &request.input))
}

/// What `request` asks of a plan.
fn asked(settings: &Settings, request: &Request) -> Ask {
    let mut ask = Ask::of(settings, request.memory);
    if let Some(start) = &request.start {
        ask.particles = start.shape[0];
    }
    if settings.select == Select::All {
        ask.decodes = ask.particles;
    }
    ask.most_cells = request.most_cells;
    ask
}

/// Whether more of the machine's memory would change nothing about how `request` is run.
pub(crate) fn has_room(model: &Model, settings: &Settings, request: &Request) -> bool {
    let (_, seen) = regions(model, settings, request);
    let canvas = canvas(model, seen.width, seen.height);
    let estimator = Estimator::of(model);
    let ask = asked(settings, request);
    let plan = |memory| Plan::new(&estimator, &canvas, &Ask { memory, ..ask }).ok();
    let host = u64::MAX;
    plan(ask.memory) == plan(Budget { host, ..ask.memory })
}

/// Refuses settings that say of the input what `model` cannot be told.
pub fn check_told(model: &Model, settings: &Settings) -> Result<()> {
    if settings.clean && !model.unet().knows_clean() {
        let what = "this model cannot be told that its input is clean: leave --clean out";
        return Err(Error::Setting(what.into()));
    }
    Ok(())
}

/// The sampler that `settings` ask for on `model`; the error names a number of steps that fits.
pub fn scheduler(model: &Model, settings: &Settings) -> Result<Scheduler> {
    Scheduler::new(
        model.scheduler_config(),
        settings.solver,
        settings.steps as usize,
        settings.eta as f32,
        settings.scheduler,
    )
    .map_err(Error::Setting)
}

/// Enlarges one picture. Progress, previews and warnings go to `events`; `cancel` stops the run
/// before the next network evaluation, or the next round of what is done to the finished picture.
///
/// # Errors
/// [`Error::Setting`], [`Error::Memory`] before anything is computed; [`Error::Cancelled`];
/// [`Error::Compute`] or [`Error::DeviceLost`] if the device fails; [`Error::BadPicture`] if the result is implausible.
pub fn run(
    model: &Model,
    settings: &Settings,
    request: &Request,
    events: &mut dyn FnMut(Event),
    cancel: &Cancel,
) -> Result<Outcome> {
    caught(|| Run::new(model, settings, request, events, cancel)?.finish())
}

/// Decodes one particle of `latents`, the final ones of a run with the same settings and request: colours
/// fixed, checked where the request says so.
///
/// # Errors
/// Those of [`run`], and [`Error::Setting`] if the latents do not fit the request.
pub fn decode(
    model: &Model,
    settings: &Settings,
    request: &Request,
    latents: &Latents,
    particle: usize,
    cancel: &Cancel,
) -> Result<Rgb> {
    caught(|| {
        let mut ignore = |_| ();
        let mut run = Run::new(model, settings, request, &mut ignore, cancel)?;
        let shape = run.shape();
        if latents.shape[1..] != shape || particle >= latents.shape[0] {
            let what = "these latents are of another picture, region or model";
            return Err(Error::Setting(what.into()));
        }
        run.decode(latents.particle(particle))
    })
}

/// One particle of a run's final `latents` as a quick picture of what the run showed.
pub(crate) fn preview(
    model: &Model,
    latents: &Latents,
    particle: usize,
    shown: Region,
    seen: Region,
) -> Result<Rgb> {
    let [_, c, h, w] = latents.shape;
    let own = latents.particle(particle);
    caught(|| {
        let data = TensorData::new(own, [1, c, h, w]);
        let planes = read(model.preview(Tensor::from_data(data, model.device()))?)?;
        let picture = canvas(model, seen.width, seen.height).crop(&planes, SCALE);
        Ok(shown.enlarged_within(seen).cut(&picture))
    })
}

struct Run<'a> {
    model: &'a Model,
    settings: &'a Settings,
    request: &'a Request,
    events: &'a mut dyn FnMut(Event),
    cancel: &'a Cancel,
    /// What is enlarged, and what of the input the network sees.
    shown: Region,
    seen: Region,
    input: Cow<'a, Rgb>,
    canvas: Canvas,
    scheduler: Scheduler,
    plan: Plan,
    particles: usize,
    work_done: f64,
    work: f64,
}

impl<'a> Run<'a> {
    fn new(
        model: &'a Model,
        settings: &'a Settings,
        request: &'a Request,
        events: &'a mut dyn FnMut(Event),
        cancel: &'a Cancel,
    ) -> Result<Self> {
        let input = &request.input;
        if request.region.is_some() && request.start.is_some() {
            let what = "start noise belongs to a whole picture, not to a region";
            return Err(Error::Setting(what.into()));
        }
        check_told(model, settings)?;
        let (shown, seen) = regions(model, settings, request);
        let input: Cow<Rgb> = if seen == Region::whole(input) {
            Cow::Borrowed(input.as_ref())
        } else {
            Cow::Owned(seen.cut(input))
        };
        let canvas = canvas(model, input.width, input.height);
        let scheduler = scheduler(model, settings)?;
        let ask = asked(settings, request);
        let plan = Plan::new(&Estimator::of(model), &canvas, &ask)?;
        let evaluations = (settings.steps as usize * ask.particles) as f64;
        Ok(Run {
            work: evaluations * plan.evaluation + ask.decodes as f64 * plan.decode,
            work_done: 0.0,
            model,
            settings,
            request,
            events,
            cancel,
            shown,
            seen,
            input,
            canvas,
            scheduler,
            plan,
            particles: ask.particles,
        })
    }

    fn finish(mut self) -> Result<Outcome> {
        let latents = self.sample()?;
        let choice = match self.request.choice {
            Some(choice) => choice,
            None => latents.choose(self.settings.select),
        };
        let chosen = latents.chosen(choice);
        let latents = self.request.keep_latents.then_some(latents);
        let mut pictures = Vec::new();
        for z in chosen {
            pictures.push(self.decode(z)?);
        }
        Ok(Outcome {
            latents,
            choice,
            pictures,
            region: self.shown,
            tile: self.plan.cut.side,
        })
    }

    /// `[C, H, W]` of one particle.
    fn shape(&self) -> [usize; 3] {
        let [height, width] = self.canvas.padded;
        [self.model.vqvae().latent_channels(), height, width]
    }

    /// The sampling loop: the final latents.
    ///
    /// The canvas stays in the machine's memory. The device sees tiles of it, which the network's outputs are
    /// joined from, and bands of it for the sampler and the steering, which work on each patch for itself.
    fn sample(&mut self) -> Result<Latents> {
        let (shape, steps) = (self.shape(), self.scheduler.timesteps().len());
        let [_, height, width] = shape;
        let tile = self.plan.cut.network.largest();
        (self.events)(Event::Started {
            steps,
            particles: self.particles,
            batch: self.plan.batch,
            cells: tile[0] * tile[1],
        });
        if let Some((side, usual)) = self.plan.smaller {
            let usual = usual.map_or("at once".into(), |side| {
                format!("in tiles of {side} pixels")
            });
            (self.events)(Event::Warning(format!(
                "memory is short, so the network sees it in tiles of {side} pixels, not {usual}; with more \
                 memory the result would differ a little"
            )));
        }
        let low_res = self.canvas.extend(&self.input);
        let params = MeanShift::from_settings(self.settings);
        let mut sample = match &self.request.start {
            Some(start) => start.clone(),
            None => self.noise(noise::START, self.whole()),
        };
        let bands: Vec<Region> = self.bands().collect();
        // What a sampler remembers between steps is of one band.
        let mut schedulers = (bands.iter())
            .map(|_| scheduler(self.model, self.settings))
            .collect::<Result<Vec<_>>>()?;
        for i in 0..steps {
            let timestep = self.scheduler.timesteps()[i];
            let output = self.evaluate(&sample, &low_res, timestep)?;
            let gamma = self.settings.gamma(self.scheduler.time_fraction(i));
            let mut squares = 0.0;
            let shown = match self.request.previews {
                Previews::None => 0,
                Previews::First => 1,
                Previews::All => self.particles,
            };
            let mut previews = Latents::zeros([shown, 3, height * SCALE, width * SCALE]);
            for (&band, scheduler) in bands.iter().zip(&mut schedulers) {
                self.cancel.check()?;
                let everyone = 0..self.particles;
                let [before, output] = [&sample, &output].map(|field| {
                    self.part(field.cut(everyone.clone(), band), self.particles, band)
                });
                let prediction = scheduler.predict_x0(i, &before, output);
                let distance = kds::distance(&prediction.x0)?;
                squares += distance.powi(2) * band.height as f64;
                let ratio = scheduler.signal_to_noise(i);
                let prediction = kds::steer(prediction, &params, gamma, ratio);
                for particle in 0..shown {
                    let x0 = prediction.x0.clone().narrow(0, particle, 1);
                    let planes = read(self.model.preview(x0)?)?;
                    previews.put(particle, band.enlarged(), &planes);
                }
                let noise = (scheduler.needs_noise(i)).then(|| {
                    let noise = self.noise(i as u32 + 1, band);
                    self.part(noise.values, self.particles, band)
                });
                let after = scheduler.step_from_x0(i, before, prediction, noise);
                sample.put(0, band, &read(after)?);
            }
            let previews = (0..shown)
                .map(|particle| self.show(self.canvas.crop(&previews.particle(particle), SCALE)))
                .collect();
            (self.events)(Event::Step {
                index: i,
                timestep,
                gamma,
                distance: (squares / height as f64).sqrt(),
                previews,
            });
        }
        Ok(sample)
    }

    /// The network's word on all particles, tile by tile and a batch at a time.
    fn evaluate(&mut self, sample: &Latents, low_res: &[f32], timestep: usize) -> Result<Latents> {
        let mut output = Latents::zeros(sample.shape);
        let tiling = self.plan.cut.network.clone();
        let work = self.plan.evaluation / tiling.count() as f64;
        let clean = self.settings.clean;
        for tile in tiling.tiles() {
            let low_res = field::cut(low_res, self.canvas.padded, tile.place);
            let low_res = self.part(low_res, 1, tile.place);
            for start in (0..self.particles).step_by(self.plan.batch) {
                self.cancel.check()?;
                let end = self.particles.min(start + self.plan.batch);
                let batch = self.part(sample.cut(start..end, tile.place), end - start, tile.place);
                // Reading waits for the device, so that a run stops where it is told to.
                let values = read(self.model.predict(batch, &low_res, timestep, clean))?;
                output.add(start, &tile, &values);
                self.progress((end - start) as f64 * work);
            }
        }
        Ok(output)
    }

    /// The whole canvas.
    fn whole(&self) -> Region {
        let [height, width] = self.canvas.padded;
        Region {
            left: 0,
            top: 0,
            width,
            height,
        }
    }

    /// The canvas in bands of whole rows of patches.
    fn bands(&self) -> impl Iterator<Item = Region> + use<> {
        let whole = self.whole();
        let rows = band_rows(&self.canvas, self.settings.patch_size as usize);
        (0..whole.height).step_by(rows).map(move |top| Region {
            top,
            height: rows.min(whole.height - top),
            ..whole
        })
    }

    /// Decodes `z` `[C, H, W]`, fixes the colours and checks the result.
    fn decode(&mut self, z: Vec<f32>) -> Result<Rgb> {
        // A codebook would turn what is no number into a picture.
        check::latents(&z).map_err(bad_picture)?;
        let mut picture = self.decoded(&z)?;
        drop(z);
        let fix = self.settings.color_fix;
        color::fix(fix, &mut picture, &self.input, self.cancel)?;
        self.cancel.check()?;
        if self.request.check {
            check::picture(&picture, &self.input).map_err(bad_picture)?;
        }
        Ok(self.show(picture))
    }

    /// The part of an enlargement of what the network saw that was asked for.
    fn show(&self, picture: Rgb) -> Rgb {
        if self.shown == self.seen {
            return picture;
        }
        self.shown.enlarged_within(self.seen).cut(&picture)
    }

    fn progress(&mut self, work: f64) {
        self.work_done += work;
        (self.events)(Event::Progress(self.work_done / self.work));
    }

    /// The seed's noise for all particles at `step`, within `place`.
    fn noise(&self, step: u32, place: Region) -> Latents {
        let [c, ..] = self.shape();
        let shape = [c, place.height, place.width];
        let origin = [self.seen.top + place.top, self.seen.left + place.left];
        let first = self.request.first_particle;
        let values = (first..first + self.particles as u32)
            .flat_map(|i| noise::part(self.settings.seed, i, step, shape, origin))
            .collect();
        Latents {
            shape: [self.particles, c, place.height, place.width],
            values,
        }
    }

    /// A part of the canvas on the device: `count` times some channels within `place`.
    fn part(&self, values: Vec<f32>, count: usize, place: Region) -> Tensor<4> {
        let channels = values.len() / (count * place.height * place.width);
        let shape = [count, channels, place.height, place.width];
        Tensor::from_data(TensorData::new(values, shape), self.model.device())
    }
}

/// Rows of the bands that a step handles at a time: whole patches, about [`BAND_CELLS`] cells.
fn band_rows(canvas: &Canvas, patch_size: usize) -> usize {
    let [height, width] = canvas.padded;
    let rows = (BAND_CELLS / width).max(1).next_multiple_of(patch_size);
    rows.min(height)
}

fn read(tensor: Tensor<4>) -> Result<Vec<f32>> {
    tensor.try_into_vec_as::<f32>().map_err(Error::reading)
}

fn bad_picture(why: String) -> Error {
    Error::BadPicture(format!(
        "the result was not written, because {why}. Try other settings or another model; --no-check \
         writes it all the same unless it holds no numbers"
    ))
}
