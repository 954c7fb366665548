//! How a run is cut to fit the memory, and how its work is counted.

use bytesize::ByteSize;

use super::Canvas;
use crate::device::Limits;
use crate::error::{Error, Result};
use crate::model::{AutoencoderConfig, Model, SCALE, UNetConfig, cost};
use crate::settings::{Select, Settings};

/// Copies of all latents that a step holds: sample, prediction, noise, shift, history.
const LATENT_COPIES: f64 = 8.0;
/// Copies of the finished picture: planes, interleaved, and those of the colour fix and the check.
const PICTURE_COPIES: f64 = 6.0;

/// What must be known of a model and its device to say what a picture will cost.
#[derive(Clone, Debug)]
pub struct Estimator {
    unet: UNetConfig,
    vqvae: AutoencoderConfig,
    limits: Limits,
    device: String,
}

impl Estimator {
    /// For a loaded model.
    pub fn of(model: &Model) -> Self {
        Estimator {
            unet: model.unet().config().clone(),
            vqvae: model.vqvae().config().clone(),
            limits: model.target().limits(),
            device: model.target().place().name(),
        }
    }

    /// Work (floating-point operations) of sampling `settings` on `canvas` and decoding one result, or all
    /// where all are asked for.
    pub fn work(&self, canvas: &Canvas, settings: &Settings) -> f64 {
        let decodes = match settings.select {
            Select::All => settings.particles,
            _ => 1,
        };
        let evaluations = f64::from(settings.steps * settings.particles);
        evaluations * self.evaluation_work(canvas) + f64::from(decodes) * self.decode_work(canvas)
    }

    /// Work of one particle's network evaluation.
    pub fn evaluation_work(&self, canvas: &Canvas) -> f64 {
        let [height, width] = canvas.padded;
        cost::unet(&self.unet, height, width).flops
    }

    /// Work of decoding one result.
    pub fn decode_work(&self, canvas: &Canvas) -> f64 {
        let [height, width] = canvas.padded;
        cost::decoder(&self.vqvae, height, width).flops
    }
}

/// The plan for one picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan {
    /// Particles per network evaluation.
    pub batch: usize,
    /// Most bytes needed at a time, beyond the loaded model.
    pub peak_bytes: f64,
    /// Work of one particle's network evaluation.
    pub evaluation: f64,
    /// Work of one decode.
    pub decode: f64,
}

impl Plan {
    /// Fits `particles` on `canvas`, at most `most` at a time, into `budget` bytes and into what the
    /// device takes as one tensor; an error if even one at a time is too much.
    pub fn new(
        model: &Estimator,
        canvas: &Canvas,
        particles: usize,
        decodes: usize,
        budget: u64,
        most: Option<usize>,
    ) -> Result<Self> {
        let limits = model.limits;
        let [height, width] = canvas.padded;
        let unet = cost::unet(&model.unet, height, width);
        let decoder = cost::decoder(&model.vqvae, height, width);
        let cells = (height * width) as f64;
        let channels = model.vqvae.latent_channels as f64;
        let latents = 4.0 * cells * channels * particles as f64 * LATENT_COPIES;
        let pixels = cells * (SCALE * SCALE) as f64;
        let picture = 4.0 * 3.0 * pixels;
        let needed = |batch: usize| {
            // One after the other: sampling, decoding, and what is done to the finished picture.
            let sampling = unet.peak_bytes * batch as f64;
            let finishing = PICTURE_COPIES * picture;
            let work = sampling.max(decoder.peak_bytes).max(finishing);
            latents + work + decodes as f64 * picture
        };
        let largest = |batch: usize| {
            let all_latents = latents / LATENT_COPIES;
            let batch = unet.largest_bytes * batch as f64;
            batch.max(decoder.largest_bytes).max(all_latents)
        };
        let (budget, most_bytes) = (budget as f64, limits.largest as f64);
        let size = |bytes: f64| ByteSize::b(bytes as u64).display().iec().to_string();
        if largest(1) > most_bytes {
            return Err(Error::Memory(format!(
                "a picture of {} × {} pixels with {particles} particles needs tensors of {}, and {} \
                 takes {} at most: use a smaller picture, fewer particles, or --device cpu",
                canvas.picture[1],
                canvas.picture[0],
                size(largest(1)),
                model.device,
                size(most_bytes)
            )));
        }
        if needed(1) > budget {
            return Err(Error::Memory(format!(
                "a picture of {} × {} pixels with {particles} particles needs about {} of memory \
                 beside the loaded model, and {} is left: use a smaller picture, fewer particles, \
                 or a higher --memory-limit",
                canvas.picture[1],
                canvas.picture[0],
                size(needed(1)),
                size(budget)
            )));
        }
        let busy = limits.busy_cells.div_ceil(height * width).min(particles);
        let batch = (1..=busy.min(most.unwrap_or(busy)))
            .rev()
            .find(|&batch| needed(batch) <= budget && largest(batch) <= most_bytes)
            .unwrap_or(1);
        Ok(Plan {
            batch,
            peak_bytes: needed(batch),
            evaluation: unet.flops,
            decode: decoder.flops,
        })
    }
}
