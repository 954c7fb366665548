//! How fast a model computes where it is loaded.

use std::time::Instant;

use burn::tensor::{Tensor, TensorData};

use crate::error::Result;
use crate::model::Model;
use crate::pipeline::{Canvas, Estimator};

/// Side of the latents that the speed is measured on.
const TRIAL: usize = 64;
/// How often.
const TRIALS: usize = 6;

/// Operations per second of a small network evaluation, the best of a few: the first one compiles shaders.
///
/// # Errors
/// [`Error::Compute`](crate::error::Error::Compute) or
/// [`Error::DeviceLost`](crate::error::Error::DeviceLost) if the device fails.
pub fn speed(model: &Model, estimator: &Estimator) -> Result<f64> {
    let side = TRIAL.next_multiple_of(model.unet().size_multiple());
    let zeros = |channels: usize| {
        let values = vec![0f32; channels * side * side];
        Tensor::<4>::from_data(
            TensorData::new(values, [1, channels, side, side]),
            model.device(),
        )
    };
    let (latents, low_res) = (zeros(model.vqvae().latent_channels()), zeros(3));
    let mut seconds = f64::INFINITY;
    for _ in 0..TRIALS {
        let start = Instant::now();
        let output = model.predict(latents.clone(), &low_res, 1, false);
        model.target().finish(&output)?;
        seconds = seconds.min(start.elapsed().as_secs_f64());
    }
    let canvas = Canvas::new(side, side, model.unet().size_multiple());
    Ok(estimator.evaluation_work(&canvas) / seconds.max(1e-6))
}
