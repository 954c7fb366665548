//! Steps 3 to 6 of one KDS step: shift x0 and the noise that goes with it.

use crate::{ops, scheduler::Prediction};

use super::MeanShift;

/// `x0 ← x0 + gamma m` and `epsilon ← epsilon - (alpha_t / sigma_t) gamma m`.
///
/// With one particle or `gamma` 0 the prediction comes back untouched, bit for bit. The noise is
/// moved rather than recomputed, so that a clipped x0 keeps the sampler's own treatment.
pub fn steer(
    prediction: Prediction,
    params: &MeanShift,
    gamma: f64,
    signal_to_noise: f32,
) -> Prediction {
    let [particles, ..] = prediction.x0.dims();
    if particles == 1 || gamma == 0.0 {
        return prediction;
    }
    let step = ops::mean_shift(prediction.x0.clone(), *params) * gamma as f32;
    Prediction {
        x0: prediction.x0 + step.clone(),
        epsilon: prediction.epsilon - step * signal_to_noise,
    }
}
