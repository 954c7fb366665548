//! Enlargement and reduction by exactly 4, without a network.
//!
//! [`bicubic_x4`] and [`reduce_x4`] serve to check results and to compare an enlarged picture with its
//! input, so they follow `torch.nn.functional.interpolate` to rounding, not any image library. Their
//! pictures are `[H, W, C]` f32, interleaved, of any number of channels; values are not clamped, and
//! bicubic weights overshoot near edges.
//!
//! [`enlarge_x4_part`] makes what is looked at: a part of the enlargement, in 8 bits.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// The one factor between the pictures this program reads and writes.
pub(super) const FACTOR: usize = 4;

/// The parameter of the cubic kernel that torch enlarges with.
const ENLARGING_A: f64 = -0.75;

/// How a picture can be enlarged without a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Filter {
    /// Every pixel becomes a square.
    Nearest,
    /// Cubic convolution, as [`bicubic_x4`] has it.
    Bicubic,
    /// A sinc, windowed by its own middle: three zeros to either side.
    Lanczos,
}

/// Enlarges `[H, W, C]` to `[4H, 4W, C]`.
///
/// Same as `interpolate(x, scale_factor=4, mode="bicubic", align_corners=False)`: cubic convolution
/// with A = -0.75, pixels beyond the edge repeat it.
///
/// # Panics
/// If `pixels` has not `width * height * channels` values.
pub fn bicubic_x4(pixels: &[f32], width: usize, height: usize, channels: usize) -> Vec<f32> {
    let (columns, rows) = (enlarging_taps(width), enlarging_taps(height));
    resize(pixels, width, height, channels, &columns, &rows)
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
    let (columns, rows) = (reducing_taps(width), reducing_taps(height));
    resize(pixels, width, height, channels, &columns, &rows)
}

/// Reduces `[H, W, C]` to `[size[1], size[0], C]` by a Lanczos filter of three zeros, stretched by as much as
/// each side shrinks, its weights scaled to sum to 1 inside the picture: as Pillow's `LANCZOS` does.
///
/// # Panics
/// If `pixels` has not `width * height * channels` values.
pub fn lanczos(
    pixels: &[f32],
    width: usize,
    height: usize,
    channels: usize,
    size: [usize; 2],
) -> Vec<f32> {
    if size == [width, height] {
        return pixels.to_vec();
    }
    let (columns, rows) = (lanczos_taps(width, size[0]), lanczos_taps(height, size[1]));
    resize(pixels, width, height, channels, &columns, &rows)
}

/// A part of the enlargement of an 8-bit picture to `4 * width` x `4 * height`: `size` (columns and rows)
/// pixels from `at` (left and top, in pixels of the enlargement).
///
/// The pixels are RGBA with straight alpha, and the four channels are enlarged alike. Pixels beyond the
/// input's edge repeat it; where the part reaches outside the enlargement, it repeats the edge of that.
/// All of it happens on the caller's thread.
///
/// # Panics
/// If `pixels` has not `width * height` pixels, or none.
pub fn enlarge_x4_part(
    pixels: &[[u8; 4]],
    width: usize,
    height: usize,
    filter: Filter,
    at: [isize; 2],
    size: [usize; 2],
) -> Vec<[u8; 4]> {
    assert_eq!(pixels.len(), width * height, "pixels must be [H, W]");
    assert!(!pixels.is_empty(), "there must be pixels to enlarge");
    let input = Input {
        pixels,
        width,
        height,
    };
    match filter {
        Filter::Nearest => part_of(&input, &[[1.0]; FACTOR], at, size),
        Filter::Bicubic => {
            let kernel = |x| cubic(x, ENLARGING_A);
            part_of(&input, &phase_weights::<4>(kernel), at, size)
        }
        Filter::Lanczos => part_of(&input, &phase_weights::<6>(lanczos3), at, size),
    }
}

/// An 8-bit picture with at least one pixel.
struct Input<'a> {
    pixels: &'a [[u8; 4]],
    width: usize,
    height: usize,
}

/// Along rows, then along columns, only where `size` pixels from `at` need it; `weights` belong to the
/// four phases.
fn part_of<const TAPS: usize>(
    input: &Input,
    weights: &[[f32; TAPS]; FACTOR],
    at: [isize; 2],
    size: [usize; 2],
) -> Vec<[u8; 4]> {
    let columns = places::<TAPS>(at[0], size[0], input.width);
    let rows = places::<TAPS>(at[1], size[1], input.height);
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
        return Vec::new();
    };

    let needed = first.start..last.start + TAPS as isize;
    let mut widened = Vec::with_capacity(needed.clone().count() * columns.len());
    for y in needed {
        let row = &input.pixels[inside(y, input.height) * input.width..][..input.width];
        widened.extend(columns.iter().map(|place| {
            let mut sum = [0.0; 4];
            for (x, weight) in (place.start..).zip(weights[place.phase]) {
                add_scaled(
                    &mut sum,
                    &row[inside(x, input.width)].map(f32::from),
                    weight,
                );
            }
            sum
        }));
    }

    let mut part = Vec::with_capacity(columns.len() * rows.len());
    let mut row = vec![[0.0_f32; 4]; columns.len()];
    for place in &rows {
        row.fill([0.0; 4]);
        let above = (place.start - first.start) as usize;
        for (y, weight) in (above..).zip(weights[place.phase]) {
            let source = &widened[y * columns.len()..][..columns.len()];
            add_scaled(row.as_flattened_mut(), source.as_flattened(), weight);
        }
        // The conversion clamps to 0..=255.
        part.extend(row.iter().map(|pixel| pixel.map(|v| (v + 0.5) as u8)));
    }
    part
}

/// Where along an axis a pixel of the enlargement comes from.
struct Place {
    /// Which of the pixels that a pixel of the input becomes it is.
    phase: usize,
    /// The first source pixel; it may lie outside.
    start: isize,
}

/// The places of `count` pixels of the enlargement from `first` on; outside it, those of its edges.
fn places<const TAPS: usize>(first: isize, count: usize, length: usize) -> Vec<Place> {
    (first..)
        .take(count)
        .map(|out| {
            let out = inside(out, length * FACTOR);
            let phase = out % FACTOR;
            Place {
                phase,
                start: (out / FACTOR) as isize + first_tap::<TAPS>(phase),
            }
        })
        .collect()
}

/// The first source pixel of a phase, as steps from the pixel it lies in: half the taps lie to either side
/// of its centre, which is left of that pixel's in the first half of the phases.
fn first_tap<const TAPS: usize>(phase: usize) -> isize {
    if TAPS == 1 {
        return 0;
    }
    let right = phase >= FACTOR / 2;
    isize::from(right) - (TAPS / 2) as isize
}

/// The weights of the source pixels in every phase; they sum to 1.
fn phase_weights<const TAPS: usize>(kernel: impl Fn(f64) -> f64) -> [[f32; TAPS]; FACTOR] {
    std::array::from_fn(|phase| {
        // Pixel centres lie at halves; the source has its pixel `i` at `i` here.
        let centre = (phase as f64 + 0.5) / FACTOR as f64 - 0.5;
        let start = first_tap::<TAPS>(phase) as f64;
        let weights: [f64; TAPS] = std::array::from_fn(|tap| kernel(start + tap as f64 - centre));
        let total: f64 = weights.iter().sum();
        weights.map(|weight| (weight / total) as f32)
    })
}

/// The index nearest to `i` that a row of this length has.
fn inside(i: isize, length: usize) -> usize {
    i.clamp(0, length as isize - 1) as usize
}

/// The source pixels, along one axis, that make up one output pixel: their indices and weights.
type Taps = Vec<(usize, f32)>;

/// Along rows, then along columns, by the taps of every output column and row.
fn resize(
    pixels: &[f32],
    width: usize,
    height: usize,
    channels: usize,
    columns: &[Taps],
    rows: &[Taps],
) -> Vec<f32> {
    assert_eq!(
        pixels.len(),
        width * height * channels,
        "pixels must be [H, W, C]"
    );
    if pixels.is_empty() {
        return Vec::new();
    }
    let row_length = columns.len() * channels;

    let mut widened = vec![0.0; row_length * height];
    let sources = pixels.par_chunks_exact(width * channels);
    widened
        .par_chunks_exact_mut(row_length)
        .zip(sources)
        .for_each(|(row, source)| {
            for (pixel, taps) in row.chunks_exact_mut(channels).zip(columns) {
                for &(x, weight) in taps {
                    add_scaled(pixel, &source[x * channels..][..channels], weight);
                }
            }
        });

    let mut resized = vec![0.0; row_length * rows.len()];
    resized
        .par_chunks_exact_mut(row_length)
        .zip(rows)
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
    let last = length.saturating_sub(1);
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
                        cubic(place - centre, ENLARGING_A) as f32,
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

fn lanczos_taps(length: usize, size: usize) -> Vec<Taps> {
    let scale = length as f64 / size as f64;
    let stretch = scale.max(1.0);
    (0..size)
        .map(|out| {
            let centre = (out as f64 + 0.5) * scale;
            let reach = ZEROS * stretch;
            let first = (centre - reach).floor().max(0.0) as usize;
            let inside = first..((centre + reach).ceil() as usize).min(length);
            let weight = |i: usize| lanczos3((i as f64 + 0.5 - centre) / stretch);
            let total: f64 = inside.clone().map(weight).sum();
            inside
                .map(|i| (i, (weight(i) / total) as f32))
                .filter(|&(_, weight)| weight != 0.0)
                .collect()
        })
        .collect()
}

/// Zeros of the Lanczos kernel to either side.
const ZEROS: f64 = 3.0;

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

/// The Lanczos kernel of three zeros to either side.
fn lanczos3(x: f64) -> f64 {
    let sinc = |x: f64| {
        let angle = std::f64::consts::PI * x;
        if x == 0.0 { 1.0 } else { angle.sin() / angle }
    };
    if x.abs() < ZEROS {
        sinc(x) * sinc(x / ZEROS)
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::imageops::{self, FilterType};

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

    const FILTERS: [Filter; 3] = [Filter::Nearest, Filter::Bicubic, Filter::Lanczos];

    /// Hard edges in all four channels, so that every kernel overshoots somewhere.
    fn blocks(width: usize, height: usize) -> Vec<[u8; 4]> {
        (0..width * height)
            .map(|i| {
                [1, 3, 7, 11].map(|factor| {
                    let (x, y) = (i % width, i / width);
                    ((x * x * factor + y * (y + factor)) % 5 * 63) as u8
                })
            })
            .collect()
    }

    /// Parts that lie at every corner, in the middle, and partly or wholly outside, of an enlargement of
    /// 9 x 7 pixels.
    const PARTS: [([isize; 2], [usize; 2]); 7] = [
        ([0, 0], [36, 28]),
        ([13, 6], [11, 13]),
        ([-3, -5], [9, 7]),
        ([30, 22], [12, 14]),
        ([-2, 20], [40, 20]),
        ([50, -20], [3, 2]),
        ([17, 9], [1, 1]),
    ];

    #[test]
    fn a_bicubic_part_is_that_part_of_the_whole() {
        let (width, height) = (9, 7);
        let picture = blocks(width, height);
        let values: Vec<f32> = picture.as_flattened().iter().map(|&v| v.into()).collect();
        let whole = bicubic_x4(&values, width, height, 4);
        for (at, size) in PARTS {
            let part = enlarge_x4_part(&picture, width, height, Filter::Bicubic, at, size);
            assert_eq!(part.len(), size[0] * size[1]);
            for (i, pixel) in part.iter().enumerate() {
                let x = inside(at[0] + (i % size[0]) as isize, 4 * width);
                let y = inside(at[1] + (i / size[0]) as isize, 4 * height);
                for (channel, &got) in pixel.iter().enumerate() {
                    let exact = whole[(y * 4 * width + x) * 4 + channel].clamp(0.0, 255.0);
                    // Rounding to 8 bits, and the f32 sums' own in units of 255.
                    assert!(
                        (f32::from(got) - exact).abs() <= 0.5 + 1e-3,
                        "part {at:?} {size:?}, pixel {x}, {y}: {got}, the whole has {exact}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_part_does_not_depend_on_what_else_is_asked_for() {
        let picture = blocks(9, 7);
        for filter in FILTERS {
            let whole = enlarge_x4_part(&picture, 9, 7, filter, [0, 0], [36, 28]);
            for (at, size) in PARTS {
                let part = enlarge_x4_part(&picture, 9, 7, filter, at, size);
                for (i, pixel) in part.iter().enumerate() {
                    let x = inside(at[0] + (i % size[0]) as isize, 36);
                    let y = inside(at[1] + (i / size[0]) as isize, 28);
                    assert_eq!(*pixel, whole[y * 36 + x], "{filter:?} {at:?}: {x}, {y}");
                }
            }
            assert!(enlarge_x4_part(&picture, 9, 7, filter, [3, 3], [0, 5]).is_empty());
            assert!(enlarge_x4_part(&picture, 9, 7, filter, [3, 3], [5, 0]).is_empty());
        }
    }

    /// Both clamp and round to 8 bits only at the end, but `image` computes its weights in f32, so that a
    /// value close to a half may round the other way. At the edges it leaves out what is outside instead of
    /// repeating it.
    #[test]
    fn lanczos_agrees_with_the_image_crate_inside() {
        const REACH: usize = 3 * FACTOR;
        let (width, height) = (17, 13);
        let picture = blocks(width, height);
        let size = [width * FACTOR, height * FACTOR];
        let ours = enlarge_x4_part(&picture, width, height, Filter::Lanczos, [0, 0], size);
        let image = image::RgbaImage::from_raw(
            width as u32,
            height as u32,
            picture.as_flattened().to_vec(),
        );
        let [columns, rows] = size.map(|side| side as u32);
        let theirs = imageops::resize(&image.unwrap(), columns, rows, FilterType::Lanczos3);
        for y in REACH..size[1] - REACH {
            for x in REACH..size[0] - REACH {
                let theirs = theirs.get_pixel(x as u32, y as u32).0;
                for (ours, theirs) in ours[y * size[0] + x].iter().zip(theirs) {
                    assert!(ours.abs_diff(theirs) <= 1, "{x}, {y}: {ours} {theirs}");
                }
            }
        }
    }

    /// The `image` crate sums in f32, too, in another order, and clamps to 0..=1, which overshoot does not
    /// reach here.
    #[test]
    fn lanczos_reduces_like_the_image_crate() {
        let (width, height) = (37, 23);
        let pattern = pattern(width * height * 3).into_iter();
        let pixels: Vec<f32> = pattern.map(|v| 0.5 + 0.1 * v).collect();
        let buffer = image::Rgb32FImage::from_raw(37, 23, pixels.clone()).unwrap();
        for size in [[37, 23], [36, 22], [19, 12], [10, 6], [1, 1]] {
            let got = lanczos(&pixels, width, height, 3, size);
            let [w, h] = size.map(|side| side as u32);
            let expected = imageops::resize(&buffer, w, h, FilterType::Lanczos3);
            let worst = (got.iter().zip(expected.as_raw()))
                .fold(0f32, |worst, (a, b)| worst.max((a - b).abs()));
            assert!(worst < 2e-5, "{size:?}: {worst}");
        }
    }

    #[test]
    fn every_filter_keeps_a_flat_picture() {
        let flat = [[3, 128, 255, 77]; 6];
        for filter in FILTERS {
            let part = enlarge_x4_part(&flat, 3, 2, filter, [-1, -1], [14, 10]);
            assert_eq!(part, [flat[0]; 140], "{filter:?}");
        }
    }

    #[test]
    fn nearest_repeats_every_pixel() {
        let picture = blocks(5, 3);
        let enlarged = enlarge_x4_part(&picture, 5, 3, Filter::Nearest, [0, 0], [20, 12]);
        for (i, pixel) in enlarged.iter().enumerate() {
            assert_eq!(*pixel, picture[i / 20 / 4 * 5 + i % 20 / 4]);
        }
    }
}
