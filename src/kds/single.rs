//! How the mean shift stays within f32, which every version but the plain twin computes in.
//!
//! Values are scaled by [`DOWN`]; the weight of a pair is `exp(-Σ (scale t)²)` over the differences t of
//! scaled values, clamped to ±[`far`].

use super::MeanShift;

/// Scaled by this, the difference of any two values, and the sum of 64 differences, stay in f32.
pub const DOWN: f64 = 1.0 / 128.0;
/// From this exponent on a weight is 0: `exp(-100)` is nothing beside a particle's own weight of 1.
pub const CUTOFF: f64 = 100.0;
/// Differences are clamped where their part of the exponent is the square of this, far beyond [`CUTOFF`].
const FAR: f64 = 1e4;

/// What turns a difference of scaled values into the root of its part of the exponent. It is applied as
/// its root, twice, so that neither factor is subnormal, and bounded so that [`far`] is not: particles
/// that differ by less than 1e-30 count as equal.
pub fn scale(params: &MeanShift) -> f64 {
    (params.inverse_width.sqrt() / DOWN).clamp(1e-60, 1e34)
}

/// Where differences are clamped.
pub fn far(scale: f64) -> f64 {
    (FAR / scale).min(f64::from(f32::MAX))
}
