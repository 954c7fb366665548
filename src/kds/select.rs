//! Choosing one particle at the end, on the final latents.

use rayon::prelude::*;

use crate::settings::Select;

/// Scores nearer than this, relative to the best, are a tie: with two particles `nearest-mean` always
/// is one, up to rounding.
const TIE: f64 = 1e-5;

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

/// Chooses among the latents of `particles`, one after the other in `latents`; ties go to the lower index.
pub fn choose(select: Select, latents: &[f32], particles: usize) -> Choice {
    let size = (latents.len() / particles.max(1)).max(1);
    let score: &(dyn Fn(&[f32]) -> f64 + Sync) = match select {
        Select::First => return Choice::Particle(0),
        Select::All => return Choice::All,
        Select::Mean => return Choice::Mean,
        Select::NearestMean => {
            let mut mean = vec![0f32; size];
            mean.par_iter_mut().enumerate().for_each(|(i, mean)| {
                let values = latents.iter().skip(i).step_by(size);
                *mean = (values.map(|&v| f64::from(v)).sum::<f64>() / particles as f64) as f32;
            });
            &move |particle| {
                let pairs = particle.iter().zip(&mean);
                pairs.map(|(a, b)| f64::from(a - b).powi(2)).sum()
            }
        }
        // minKDS' `choose_last_latent` means over features, not over particles.
        Select::LowestVariance => &|particle| {
            let mean = particle.iter().map(|&v| f64::from(v)).sum::<f64>() / particle.len() as f64;
            particle
                .iter()
                .map(|&v| (f64::from(v) - mean).powi(2))
                .sum()
        },
    };
    let scores: Vec<f64> = latents.par_chunks_exact(size).map(score).collect();
    Choice::Particle(smallest(&scores))
}

/// Index of the first of the smallest values; NaN never wins.
fn smallest(values: &[f64]) -> usize {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let wins = |value: &f64| *value <= least * (1.0 + TIE);
    values.iter().position(wins).unwrap_or(0)
}
