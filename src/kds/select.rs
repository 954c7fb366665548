//! Choosing one particle at the end, on the final latents.

use crate::settings::Select;

/// What is decoded.
#[derive(Clone, Debug, PartialEq)]
pub enum Choice {
    /// One particle.
    Particle(usize),
    /// The average of all latents, `[C, H, W]`.
    Mean(Vec<f32>),
    /// Every particle.
    All,
}

/// Chooses among `latents` `[N, C, H, W]`; ties go to the lower index.
pub fn choose(select: Select, latents: &[f32], n: usize) -> Choice {
    let particles = || latents.chunks_exact(latents.len() / n);
    match select {
        Select::First => Choice::Particle(0),
        Select::All => Choice::All,
        Select::Mean => Choice::Mean(mean(latents, n).iter().map(|&v| v as f32).collect()),
        Select::NearestMean => {
            let mean = mean(latents, n);
            Choice::Particle(smallest(particles().map(|particle| {
                particle
                    .iter()
                    .zip(&mean)
                    .map(|(&v, m)| (f64::from(v) - m).powi(2))
                    .sum()
            })))
        }
        // minKDS' `choose_last_latent` means over features, not over particles.
        Select::LowestVariance => Choice::Particle(smallest(particles().map(|particle| {
            let count = particle.len() as f64;
            let mean = particle.iter().map(|&v| f64::from(v)).sum::<f64>() / count;
            particle
                .iter()
                .map(|&v| (f64::from(v) - mean).powi(2))
                .sum::<f64>()
                / count
        }))),
    }
}

fn mean(latents: &[f32], n: usize) -> Vec<f64> {
    let mut mean = vec![0.0; latents.len() / n];
    for particle in latents.chunks_exact(mean.len()) {
        for (mean, &v) in mean.iter_mut().zip(particle) {
            *mean += f64::from(v);
        }
    }
    mean.iter_mut().for_each(|m| *m /= n as f64);
    mean
}

/// Index of the first smallest value; NaN never wins.
fn smallest(values: impl Iterator<Item = f64>) -> usize {
    let mut best = (0, f64::INFINITY);
    for (i, value) in values.enumerate() {
        if value < best.1 {
            best = (i, value);
        }
    }
    best.0
}
