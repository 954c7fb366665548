//! Choosing one particle at the end, on the final latents and on their device.

use burn::tensor::Tensor;

use crate::error::{Error, Result};
use crate::settings::Select;

/// Scores nearer than this, relative to the best, are a tie: with two particles `nearest-mean` always
/// is one, up to rounding.
const TIE: f32 = 1e-5;

/// What is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// One particle.
    Particle(usize),
    /// The average of all latents.
    Mean,
    /// Every particle.
    All,
}

impl Choice {
    /// The chosen latents out of `latents` `[N, C, H, W]`: `[1, C, H, W]`, or all of them.
    pub fn of(self, latents: &Tensor<4>) -> Tensor<4> {
        let latents = latents.clone();
        match self {
            Choice::Particle(i) => latents.narrow(0, i, 1),
            Choice::Mean => latents.mean_dim(0),
            Choice::All => latents,
        }
    }
}

/// Chooses among `latents` `[N, C, H, W]`; ties go to the lower index. Only N numbers leave the device.
///
/// # Errors
/// [`Error::Compute`] where the device failed.
pub fn choose(select: Select, latents: &Tensor<4>) -> Result<Choice> {
    let scores = match select {
        Select::First => return Ok(Choice::Particle(0)),
        Select::All => return Ok(Choice::All),
        Select::Mean => return Ok(Choice::Mean),
        Select::NearestMean => sums((latents.clone() - latents.clone().mean_dim(0)).square()),
        // minKDS' `choose_last_latent` means over features, not over particles.
        Select::LowestVariance => {
            let [n, c, h, w] = latents.dims();
            let mean = sums(latents.clone()).reshape([n, 1, 1, 1]) / (c * h * w) as f32;
            sums((latents.clone() - mean).square())
        }
    };
    let scores = scores.try_into_vec_as::<f32>().map_err(Error::reading)?;
    Ok(Choice::Particle(smallest(&scores)))
}

/// The sum over each particle, row by row and then over rows, which keeps f32 accurate.
pub(super) fn sums(x: Tensor<4>) -> Tensor<1> {
    let [n, ..] = x.dims();
    x.sum_dim(3).sum_dim(2).sum_dim(1).reshape([n])
}

/// Index of the first of the smallest values; NaN never wins.
fn smallest(values: &[f32]) -> usize {
    let least = values.iter().copied().fold(f32::INFINITY, f32::min);
    let wins = |value: &f32| *value <= least * (1.0 + TIE);
    values.iter().position(wins).unwrap_or(0)
}
