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
    let blocks = blocks.reshape([n, 3, SCALE, SCALE, height, width]);
    // pixel_shuffle
    soften(soften(blocks, 2, 4), 3, 5)
        .permute([0, 1, 4, 2, 5, 3])
        .reshape([n, 3, height * SCALE, width * SCALE])
}

/// Mixes the first and last pixels of `blocks`, which lie along `inside`, with those across the seams to the
/// blocks beside, which lie along `beside`.
fn soften(blocks: Tensor<6>, inside: usize, beside: usize) -> Tensor<6> {
    let count = blocks.dims()[beside];
    if count == 1 {
        return blocks;
    }
    let pixels = |from, count| blocks.clone().narrow(inside, from, count);
    let (first, last) = (pixels(0, 1), pixels(SCALE - 1, 1));
    let part = |of: &Tensor<6>, from, count| of.clone().narrow(beside, from, count);
    // Beyond the picture's edges lies nothing else than there.
    let before = vec![part(&first, 0, 1), part(&last, 0, count - 1)];
    let after = vec![part(&first, 1, count - 1), part(&last, count - 1, 1)];
    let mixed = |own: Tensor<6>, across| own.clone() + (Tensor::cat(across, beside) - own) * ACROSS;
    let softened = vec![
        mixed(first, before),
        pixels(1, SCALE - 2),
        mixed(last, after),
    ];
    Tensor::cat(softened, inside)
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
