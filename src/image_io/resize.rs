//! Bicubic enlargement and reduction by exactly 4, as torch computes them.
//!
//! They serve to check results and to compare an enlarged picture with its input, so they follow
//! `torch.nn.functional.interpolate` to rounding, not any image library. Pictures are `[H, W, C]`
//! f32, interleaved, of any number of channels; values are not clamped, and bicubic weights
//! overshoot near edges.

use rayon::prelude::*;

/// The one factor between the pictures this program reads and writes.
const FACTOR: usize = 4;

/// Enlarges `[H, W, C]` to `[4H, 4W, C]`.
///
/// Same as `interpolate(x, scale_factor=4, mode="bicubic", align_corners=False)`: cubic convolution
/// with A = -0.75, pixels beyond the edge repeat it.
///
/// # Panics
/// If `pixels` has not `width * height * channels` values.
pub fn bicubic_x4(pixels: &[f32], width: usize, height: usize, channels: usize) -> Vec<f32> {
    resize(pixels, width, height, channels, enlarging_taps)
}

/// Reduces `[H, W, C]` to `[H / 4, W / 4, C]`.
///
/// Same as `interpolate(x, scale_factor=0.25, mode="bicubic", align_corners=False,
/// antialias=True)`: cubic convolution with A = -0.5, stretched by 4, its weights scaled to sum to
/// 1 over the pixels inside the picture.
///
/// # Panics
/// If `pixels` has not `width * height * channels` values, or a side is not a multiple of 4.
pub fn reduce_x4(pixels: &[f32], width: usize, height: usize, channels: usize) -> Vec<f32> {
    assert!(
        width.is_multiple_of(FACTOR) && height.is_multiple_of(FACTOR),
        "sides must be multiples of {FACTOR}"
    );
    resize(pixels, width, height, channels, reducing_taps)
}

/// The source pixels, along one axis, that make up one output pixel: their indices and weights.
type Taps = Vec<(usize, f32)>;

/// Along rows, then along columns; `taps` gives the taps of every output pixel for an axis of the
/// given length.
fn resize(
    pixels: &[f32],
    width: usize,
    height: usize,
    channels: usize,
    taps: fn(usize) -> Vec<Taps>,
) -> Vec<f32> {
    assert_eq!(
        pixels.len(),
        width * height * channels,
        "pixels must be [H, W, C]"
    );
    if pixels.is_empty() {
        return Vec::new();
    }
    let (columns, rows) = (taps(width), taps(height));
    let row_length = columns.len() * channels;

    let mut widened = vec![0.0; row_length * height];
    let sources = pixels.par_chunks_exact(width * channels);
    widened
        .par_chunks_exact_mut(row_length)
        .zip(sources)
        .for_each(|(row, source)| {
            for (pixel, taps) in row.chunks_exact_mut(channels).zip(&columns) {
                for &(x, weight) in taps {
                    add_scaled(pixel, &source[x * channels..][..channels], weight);
                }
            }
        });

    let mut resized = vec![0.0; row_length * rows.len()];
    resized
        .par_chunks_exact_mut(row_length)
        .zip(&rows)
        .for_each(|(row, taps)| {
            for &(y, weight) in taps {
                add_scaled(row, &widened[y * row_length..][..row_length], weight);
            }
        });
    resized
}

fn add_scaled(sum: &mut [f32], values: &[f32], weight: f32) {
    for (sum, value) in sum.iter_mut().zip(values) {
        *sum += weight * value;
    }
}

fn enlarging_taps(length: usize) -> Vec<Taps> {
    const A: f64 = -0.75;
    let last = length - 1;
    (0..length * FACTOR)
        .map(|out| {
            // Pixel centres lie at halves; the source has its pixel `i` at `i` here.
            let centre = (out as f64 + 0.5) / FACTOR as f64 - 0.5;
            let before = centre.floor();
            (-1..=2)
                .map(|step| {
                    let place = before + f64::from(step);
                    (
                        place.clamp(0.0, last as f64) as usize,
                        cubic(place - centre, A) as f32,
                    )
                })
                .collect()
        })
        .collect()
}

fn reducing_taps(length: usize) -> Vec<Taps> {
    const A: f64 = -0.5;
    /// How far the stretched kernel reaches to either side, in source pixels.
    const REACH: usize = 2 * FACTOR;
    (0..length / FACTOR)
        .map(|out| {
            // The centre lies on the border before pixel `middle`.
            let middle = out * FACTOR + FACTOR / 2;
            let inside = middle.saturating_sub(REACH)..(middle + REACH).min(length);
            let weight = |i: usize| cubic((i as f64 + 0.5 - middle as f64) / FACTOR as f64, A);
            let total: f64 = inside.clone().map(weight).sum();
            inside.map(|i| (i, (weight(i) / total) as f32)).collect()
        })
        .collect()
}

/// Keys' cubic convolution kernel with parameter `a` (Keys 1981, "Cubic convolution
/// interpolation").
fn cubic(x: f64, a: f64) -> f64 {
    let x = x.abs();
    if x <= 1.0 {
        ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        ((x - 5.0) * x + 8.0) * x * a - 4.0 * a
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The largest difference to torch: both sum at most 32 products of numbers around 1 in f32, in
    /// their own order.
    const ROUNDING: f32 = 1e-6;

    /// `(torch.arange(n) ** 2 % 17) / 16`, as `[H, W, C]`.
    fn pattern(length: usize) -> Vec<f32> {
        (0..length).map(|i| (i * i % 17) as f32 / 16.0).collect()
    }

    fn assert_close(got: &[f32], expected: &[f32]) {
        assert_eq!(got.len(), expected.len());
        for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
            assert!(
                (got - expected).abs() < ROUNDING,
                "value {i}: {got}, torch has {expected}"
            );
        }
    }

    /// Made with torch 2.15.0:
    /// ```python
    /// x = (torch.arange(2 * 3 * 2) ** 2 % 17).float().reshape(1, 2, 3, 2).permute(0, 3, 1, 2) / 16
    /// y = F.interpolate(x, scale_factor=4, mode="bicubic", align_corners=False)
    /// print(y.permute(0, 2, 3, 1)[0, 3])
    /// ```
    #[test]
    fn enlarging_matches_torch() {
        let enlarged = bicubic_x4(&pattern(12), 3, 2, 2);
        assert_eq!(enlarged.len(), 8 * 12 * 2);
        #[rustfmt::skip]
        let row_3 = [
            0.0002578, 0.3476194, 0.0157836, 0.3580846, 0.0822595, 0.4094703, 0.1573502, 0.495791,
            0.248145, 0.5851803, 0.3724338, 0.6445272, 0.5367935, 0.6422464, 0.6865894, 0.5790959,
            0.8152443, 0.4866614, 0.9268227, 0.3977502, 1.0151454, 0.3442165, 1.035132, 0.3332583,
        ];
        assert_close(&enlarged[3 * 24..4 * 24], &row_3);
    }

    /// Made with torch 2.15.0:
    /// ```python
    /// x = (torch.arange(8 * 20 * 2) ** 2 % 17).float().reshape(1, 8, 20, 2).permute(0, 3, 1, 2) / 16
    /// y = F.interpolate(x, scale_factor=0.25, mode="bicubic", align_corners=False, antialias=True)
    /// print(y.permute(0, 2, 3, 1)[0])
    /// ```
    #[test]
    fn reducing_matches_torch() {
        #[rustfmt::skip]
        let expected = [
            0.4873669, 0.5381734, 0.502488, 0.4930063, 0.4957649, 0.5011827, 0.505519, 0.5037234, 0.4950538, 0.4670941,
            0.5456486, 0.521419, 0.4831191, 0.486214, 0.5133482, 0.5144245, 0.4888625, 0.486925, 0.4919247, 0.5128571,
        ];
        assert_close(&reduce_x4(&pattern(8 * 20 * 2), 20, 8, 2), &expected);
    }

    #[test]
    fn a_flat_picture_stays_flat_and_an_empty_one_empty() {
        for (width, height, channels) in [(4, 4, 3), (8, 4, 1), (28, 12, 4)] {
            let flat = vec![0.7; width * height * channels];
            assert_close(
                &bicubic_x4(&flat, width, height, channels),
                &vec![0.7; flat.len() * 16],
            );
            assert_close(
                &reduce_x4(&flat, width, height, channels),
                &vec![0.7; flat.len() / 16],
            );
        }
        assert!(bicubic_x4(&[], 0, 3, 3).is_empty() && reduce_x4(&[], 4, 0, 3).is_empty());
    }

    #[test]
    fn a_single_pixel_can_be_enlarged() {
        assert_close(&bicubic_x4(&[0.25, 0.5], 1, 1, 2), &[0.25, 0.5].repeat(16));
    }
}
