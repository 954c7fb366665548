//! How far the particles lie apart.

use burn::tensor::Tensor;

use crate::error::{Error, Result};

/// The root mean square distance of two particles of `x` `[N, C, H, W]`, per value; 0 with one particle.
///
/// From the distances to the mean: the squared distances of all pairs add up to N times those.
///
/// # Errors
/// [`Error::Compute`], [`Error::DeviceLost`].
pub fn distance(x: &Tensor<4>) -> Result<f64> {
    let [n, c, h, w] = x.dims();
    if n < 2 {
        return Ok(0.0);
    }
    let squares = (x.clone() - x.clone().mean_dim(0)).square();
    // One axis after the other keeps f32 accurate.
    let total = squares.sum_dim(3).sum_dim(2).sum_dim(1).sum();
    let total = total.try_into_vec_as::<f32>().map_err(Error::reading)?;
    let values = ((n - 1) * c * h * w) as f64;
    Ok((2.0 * f64::from(total[0]) / values).sqrt())
}
