//! noise → [ model → scheduler.x0 → kds.steer → scheduler.step ] × S → select → decode → check.

mod canvas;
mod check;
mod color;
mod events;
mod latents;
mod plan;
mod region;

use std::borrow::Cow;
use std::sync::Arc;

use burn::tensor::{Tensor, TensorData};

pub use canvas::Canvas;
pub use events::{Cancel, Event, Rgb};
pub use latents::Latents;
pub use plan::{Estimator, Plan};
pub use region::{MARGIN, Region};

use crate::error::{Error, Result, caught};
use crate::kds::{self, Choice, MeanShift};
use crate::model::{Model, SCALE};
use crate::noise;
use crate::scheduler::Scheduler;
use crate::settings::{ColorFix, Select, Settings};

/// One picture to enlarge.
#[derive(Clone, Debug)]
pub struct Request {
    /// The input.
    pub input: Arc<Rgb>,
    /// Start noise instead of the seed's own; of the canvas' size, see [`canvas`].
    pub start: Option<Latents>,
    /// Bytes that the run may take beyond the loaded model.
    pub memory: u64,
    /// Most particles per network evaluation, if the memory's plan is not to be trusted.
    pub batch: Option<usize>,
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
            memory: u64::MAX,
            batch: None,
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
/// before the next network evaluation.
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
        let values = shape.iter().product::<usize>();
        if latents.shape[1..] != shape || particle >= latents.shape[0] {
            let what = "these latents are of another picture, region or model";
            return Err(Error::Setting(what.into()));
        }
        let own = latents.values[particle * values..][..values].to_vec();
        let [c, h, w] = shape;
        let one = run.tensor(own, [1, c, h, w]);
        run.decode(one).map(|mut pictures| pictures.swap_remove(0))
    })
}

/// What `select` chooses among the final `latents` of a run.
///
/// # Errors
/// [`Error::Compute`] or [`Error::DeviceLost`] if the device fails.
pub fn choose(model: &Model, select: Select, latents: &Latents) -> Result<Choice> {
    let data = TensorData::new(latents.values.clone(), latents.shape);
    caught(|| kds::choose(select, &Tensor::from_data(data, model.device())))
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
    let own = latents.values[particle * c * h * w..][..c * h * w].to_vec();
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
        let (shown, seen) = regions(model, settings, request);
        let input: Cow<Rgb> = if seen == Region::whole(input) {
            Cow::Borrowed(input.as_ref())
        } else {
            Cow::Owned(seen.cut(input))
        };
        let canvas = canvas(model, input.width, input.height);
        let scheduler = scheduler(model, settings)?;
        let particles = match &request.start {
            Some(start) => start.shape[0],
            None => settings.particles as usize,
        };
        let decodes = if settings.select == Select::All {
            particles
        } else {
            1
        };
        let plan = Plan::new(
            &Estimator::of(model),
            &canvas,
            particles,
            decodes,
            request.memory,
            request.batch,
        )?;
        let evaluations = (settings.steps as usize * particles) as f64;
        Ok(Run {
            work: evaluations * plan.evaluation + decodes as f64 * plan.decode,
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
            particles,
        })
    }

    fn finish(mut self) -> Result<Outcome> {
        let latents = self.sample()?;
        let choice = match self.request.choice {
            Some(choice) => choice,
            None => kds::choose(self.settings.select, &latents)?,
        };
        let pictures = self.decode(choice.of(&latents))?;
        let latents = if self.request.keep_latents {
            Some(Latents {
                shape: latents.dims(),
                values: read(latents)?,
            })
        } else {
            None
        };
        Ok(Outcome {
            latents,
            choice,
            pictures,
            region: self.shown,
        })
    }

    /// `[C, H, W]` of one particle.
    fn shape(&self) -> [usize; 3] {
        let [height, width] = self.canvas.padded;
        [self.model.vqvae().latent_channels(), height, width]
    }

    /// The sampling loop: the final latents.
    fn sample(&mut self) -> Result<Tensor<4>> {
        let steps = self.scheduler.timesteps().len();
        (self.events)(Event::Started {
            steps,
            particles: self.particles,
            batch: self.plan.batch,
        });
        let [_, height, width] = self.shape();
        let low_res = self.canvas.extend(&self.input);
        let low_res = self.tensor(low_res, [1, 3, height, width]);
        let params = MeanShift::from_settings(self.settings);
        let mut sample = match &self.request.start {
            Some(start) => self.tensor(start.values.clone(), start.shape),
            None => self.noise(noise::START),
        };
        for i in 0..steps {
            let timestep = self.scheduler.timesteps()[i];
            let output = self.evaluate(&sample, &low_res, timestep)?;
            let prediction = self.scheduler.predict_x0(i, &sample, output);
            let gamma = self.settings.gamma(self.scheduler.time_fraction(i));
            let distance = kds::distance(&prediction.x0)?;
            let prediction = kds::steer(
                prediction,
                &params,
                gamma,
                self.scheduler.signal_to_noise(i),
            );
            let shown = match self.request.previews {
                Previews::None => 0,
                Previews::First => 1,
                Previews::All => self.particles,
            };
            let previews = (0..shown)
                .map(|particle| self.preview(prediction.x0.clone().narrow(0, particle, 1)))
                .collect::<Result<_>>()?;
            let noise = (self.scheduler.needs_noise(i)).then(|| self.noise(i as u32 + 1));
            sample = self.scheduler.step_from_x0(i, sample, prediction, noise);
            (self.events)(Event::Step {
                index: i,
                timestep,
                gamma,
                distance,
                previews,
            });
        }
        Ok(sample)
    }

    /// The network's word on all particles, a batch at a time.
    fn evaluate(
        &mut self,
        sample: &Tensor<4>,
        low_res: &Tensor<4>,
        timestep: usize,
    ) -> Result<Tensor<4>> {
        let mut outputs = Vec::new();
        for start in (0..self.particles).step_by(self.plan.batch) {
            self.cancel.check()?;
            let count = self.plan.batch.min(self.particles - start);
            let batch = sample.clone().narrow(0, start, count);
            let output = self.model.predict(batch, low_res, timestep);
            // Waiting for each evaluation lets a run stop where it is told to.
            self.model.target().finish(&output)?;
            outputs.push(output);
            self.progress(count as f64 * self.plan.evaluation);
        }
        Ok(Tensor::cat(outputs, 0))
    }

    /// Decodes `chosen` `[K, C, H, W]`, fixes the colours and checks the results.
    fn decode(&mut self, chosen: Tensor<4>) -> Result<Vec<Rgb>> {
        let [count, ..] = chosen.dims();
        let mut pictures = Vec::new();
        for i in 0..count {
            self.cancel.check()?;
            let z = chosen.clone().narrow(0, i, 1);
            // A codebook would turn what is no number into a picture.
            check::latents(&read(z.clone())?).map_err(bad_picture)?;
            let planes = read(self.model.vqvae().decode(z))?;
            if !planes.iter().all(|v| v.is_finite()) {
                return Err(bad_picture(
                    "the decoder produced values that are no numbers".into(),
                ));
            }
            let mut picture = self.canvas.crop(&planes, SCALE);
            if self.settings.color_fix == ColorFix::Consistency {
                color::consistency(&mut picture, &self.input);
            }
            if self.request.check {
                check::picture(&picture, &self.input).map_err(bad_picture)?;
            }
            pictures.push(self.show(picture));
            self.progress(self.plan.decode);
        }
        Ok(pictures)
    }

    fn preview(&self, x0: Tensor<4>) -> Result<Rgb> {
        let planes = read(self.model.preview(x0)?)?;
        Ok(self.show(self.canvas.crop(&planes, SCALE)))
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

    /// The seed's noise for all particles at `step`.
    fn noise(&self, step: u32) -> Tensor<4> {
        let [c, h, w] = self.shape();
        let origin = [self.seen.top, self.seen.left];
        let first = self.request.first_particle;
        let values = (first..first + self.particles as u32)
            .flat_map(|i| noise::part(self.settings.seed, i, step, [c, h, w], origin))
            .collect();
        self.tensor(values, [self.particles, c, h, w])
    }

    fn tensor(&self, values: Vec<f32>, shape: [usize; 4]) -> Tensor<4> {
        Tensor::from_data(TensorData::new(values, shape), self.model.device())
    }
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
