//! The cheap preview: each latent vector gives its block of pixels by a linear map; their seams are softened.

use burn::tensor::{Device, Tensor, TensorData};

use super::{Autoencoder, PreviewMap, SCALE};
use crate::error::{Error, Result};
use crate::noise;

/// Side of the test picture that the map is fitted on, in pixels.
const SIDE: usize = 128;
/// Added to the diagonal, relative to its mean, so that unused latents do no harm.
const RIDGE: f64 = 1e-4;
/// This much of what lies across a seam is mixed into the pixels beside it. On photographs, blocks of the
/// bundled map step 1.7 times as far at their seams as within; so it is 1.1 times, and the error is less, too.
const ACROSS: f32 = 1.0 / 6.0;

/// Latents `[N, C, H, W]` to pictures `[N, 3, fH, fW]`.
pub fn apply(map: &PreviewMap, latents: Tensor<4>) -> Tensor<4> {
    let [n, channels, height, width] = latents.dims();
    let device = latents.device();
    let outputs = map.bias.len();
    let weight = Tensor::<2>::from_data(
        TensorData::new(map.weight.concat(), [outputs, channels]),
        &device,
    );
    let bias = Tensor::<1>::from_data(TensorData::new(map.bias.clone(), [outputs]), &device);
    let flat: Tensor<3> = latents.reshape([n, channels, height * width]);
    let blocks: Tensor<3> = weight.unsqueeze::<3>().matmul(flat) + bias.reshape([1, outputs, 1]);
    // pixel_shuffle
    let picture = blocks
        .reshape([n, 3, SCALE, SCALE, height, width])
        .permute([0, 1, 4, 2, 5, 3])
        .reshape([n, 3, height * SCALE, width * SCALE]);
    soften(soften(picture, 2), 3)
}

/// Mixes pixels on both sides of the seams between blocks along `dim`.
fn soften(picture: Tensor<4>, dim: usize) -> Tensor<4> {
    let size = picture.dims()[dim];
    let part = |from, count| picture.clone().narrow(dim, from, count);
    // Each pixel's neighbours; edges are repeated.
    let before = Tensor::cat(vec![part(0, 1), part(0, size - 1)], dim);
    let after = Tensor::cat(vec![part(1, size - 1), part(size - 1, 1)], dim);
    let mut shape = [1; 4];
    shape[dim] = size;
    let share = |place: usize| {
        let shares: Vec<f32> = (0..size)
            .map(|i| if i % SCALE == place { ACROSS } else { 0.0 })
            .collect();
        Tensor::<4>::from_data(TensorData::new(shares, shape), &picture.device())
    };
    picture.clone()
        + (before - picture.clone()) * share(0)
        + (after - picture.clone()) * share(SCALE - 1)
}

/// Fits the map by ridge regression from the encoder's latents of a synthetic picture.
pub fn fit(vqvae: &Autoencoder, device: &Device) -> Result<PreviewMap> {
    let picture = test_picture();
    let pixels =
        Tensor::<4>::from_data(TensorData::new(picture.clone(), [1, 3, SIDE, SIDE]), device);
    let latents = vqvae
        .encode(pixels)
        .try_into_vec_as::<f32>()
        .map_err(|e| Error::Compute(e.to_string()))?;
    let cells = SIDE / SCALE;
    let channels = vqvae.latent_channels();
    let outputs = 3 * SCALE * SCALE;
    // Normal equations over [latents, 1].
    let size = channels + 1;
    let mut gram = vec![0f64; size * size];
    let mut moments = vec![0f64; size * outputs];
    for cell in 0..cells * cells {
        let (y, x) = (cell / cells, cell % cells);
        let feature = |i: usize| match i {
            i if i == channels => 1.0,
            i => f64::from(latents[i * cells * cells + cell]),
        };
        for i in 0..size {
            for j in 0..size {
                gram[i * size + j] += feature(i) * feature(j);
            }
            for output in 0..outputs {
                let (c, dy, dx) = (
                    output / (SCALE * SCALE),
                    output / SCALE % SCALE,
                    output % SCALE,
                );
                let place = (c * SIDE + y * SCALE + dy) * SIDE + x * SCALE + dx;
                moments[i * outputs + output] += feature(i) * f64::from(picture[place]);
            }
        }
    }
    let trace: f64 = (0..size).map(|i| gram[i * size + i]).sum();
    for i in 0..size {
        gram[i * size + i] += RIDGE * trace / size as f64;
    }
    solve(&mut gram, &mut moments, size, outputs);
    let value = |i: usize, output: usize| moments[i * outputs + output] as f32;
    let map = PreviewMap {
        weight: (0..outputs)
            .map(|output| (0..channels).map(|i| value(i, output)).collect())
            .collect(),
        bias: (0..outputs).map(|output| value(channels, output)).collect(),
    };
    let finite = map
        .bias
        .iter()
        .chain(map.weight.iter().flatten())
        .all(|v| v.is_finite());
    if finite {
        Ok(map)
    } else {
        Err(Error::Compute("the encoder gave no finite latents".into()))
    }
}

/// Smooth colours with edges and grain, `[3, SIDE, SIDE]` in -1..1: something of everything that
/// photographs hold, the same every time.
fn test_picture() -> Vec<f32> {
    let mut picture = vec![0.0; 3 * SIDE * SIDE];
    for c in 0..3u32 {
        for y in 0..SIDE {
            for x in 0..SIDE {
                // Noise at four scales, coarse ones strongest; blocks of each scale have edges.
                let value: f32 = [32, 8, 2, 1]
                    .iter()
                    .enumerate()
                    .map(|(octave, &size)| {
                        let shared = noise::normal(
                            1,
                            octave as u32,
                            0,
                            3,
                            (y / size) as u32,
                            (x / size) as u32,
                        );
                        let own = noise::normal(
                            1,
                            octave as u32,
                            0,
                            c,
                            (y / size) as u32,
                            (x / size) as u32,
                        );
                        (0.7 * shared + 0.4 * own) * 0.35 / (octave + 1) as f32
                    })
                    .sum();
                picture[(c as usize * SIDE + y) * SIDE + x] = value.clamp(-1.0, 1.0);
            }
        }
    }
    picture
}

/// Gaussian elimination on a symmetric positive matrix; `right` becomes the solution.
fn solve(matrix: &mut [f64], right: &mut [f64], size: usize, columns: usize) {
    for pivot in 0..size {
        for row in 0..size {
            if row == pivot {
                continue;
            }
            let factor = matrix[row * size + pivot] / matrix[pivot * size + pivot];
            for k in pivot..size {
                matrix[row * size + k] -= factor * matrix[pivot * size + k];
            }
            for k in 0..columns {
                right[row * columns + k] -= factor * right[pivot * columns + k];
            }
        }
    }
    for row in 0..size {
        for k in 0..columns {
            right[row * columns + k] /= matrix[row * size + row];
        }
    }
}
