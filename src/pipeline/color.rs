//! Colour fixes on the finished picture.

use rayon::prelude::*;

use super::{Cancel, Rgb};
use crate::error::Result;
use crate::image_io::resize::{bicubic_x4, reduce_x4};
use crate::settings::ColorFix;

/// Octaves that "wavelet" tells apart: from the last on, everything coarser than 2⁴ pixels is the input's.
const LEVELS: u32 = 5;

/// `robust` counts noise this many times when it weighs a place's structure against it …
const DOUBT: f32 = 4.0;
/// … believes this much of the input where the network has drawn structure, which is worth something, too …
const MOST: f32 = 0.6;
/// … takes what exceeds the noise this many times for structure …
const OUTSTANDING: f32 = 4.0;
/// … calls noise at most this many times what there is all around …
const EVEN: f32 = 2.0;
/// … and never more than this energy, a standard deviation of 15 of 255: what is louder is a pattern.
const LOUDEST: f32 = (15.0 / 255.0) * (15.0 / 255.0);
/// `robust` measures noise over this many octaves: about fifteen pixels around.
const NOISE_OCTAVES: u32 = 5;

/// Rounds of back-projection at most; typical pictures need three to six.
const MAX_ROUNDS: usize = 30;
/// Half a step of 8-bit values: what the input itself was rounded to.
const CLOSE_ENOUGH: f32 = 0.5 / 255.0;

/// What `fix` does to `result`, four times the size of `input`.
///
/// # Errors
/// [`Error::Cancelled`](crate::error::Error::Cancelled), with the work half done.
pub fn fix(fix: ColorFix, result: &mut Rgb, input: &Rgb, cancel: &Cancel) -> Result<()> {
    match fix {
        ColorFix::None => {}
        ColorFix::Adain => adain(result, input),
        ColorFix::Wavelet => wavelet(result, input, cancel)?,
        ColorFix::Consistency => consistency(result, input, cancel)?,
        ColorFix::Robust => robust(result, input, cancel)?,
    }
    Ok(())
}

/// Gives each channel the mean and standard deviation that the input's bicubic enlargement has (Huang and
/// Belongie, 2017, on pixels, as StableSR does).
pub fn adain(result: &mut Rgb, input: &Rgb) {
    let style = bicubic_x4(&input.values, input.width, input.height, 3);
    for channel in 0..3 {
        let statistics = |values: &[f32]| {
            let values = || {
                values
                    .iter()
                    .skip(channel)
                    .step_by(3)
                    .map(|&v| f64::from(v))
            };
            let count = (values().count() as f64).max(1.0);
            let mean = values().sum::<f64>() / count;
            let variance = values().map(|v| (v - mean).powi(2)).sum::<f64>() / count;
            (mean, (variance + 1e-5 / (255.0 * 255.0)).sqrt())
        };
        let (mean, deviation) = statistics(&result.values);
        let (wanted_mean, wanted_deviation) = statistics(&style);
        let scale = wanted_deviation / deviation;
        for value in result.values.iter_mut().skip(channel).step_by(3) {
            let moved = (f64::from(*value) - mean) * scale + wanted_mean;
            *value = (moved as f32).clamp(0.0, 1.0);
        }
    }
}

/// Keeps the result's fine detail and takes everything coarser from the input's bicubic enlargement, told
/// apart by à-trous blurs of 1 2 1 at distances 1 to 16 (as StableSR does).
pub fn wavelet(result: &mut Rgb, input: &Rgb, cancel: &Cancel) -> Result<()> {
    let (width, height) = (result.width, result.height);
    // One channel after the other: blurring holds three copies of what it blurs.
    for channel in 0..3 {
        let plane: Vec<f32> = (input.values.iter().skip(channel).step_by(3).copied()).collect();
        let mut coarse = bicubic_x4(&plane, input.width, input.height, 1);
        let own = result.values.iter().skip(channel).step_by(3);
        for (coarse, own) in coarse.iter_mut().zip(own) {
            // Blurring is linear, so the difference is blurred once.
            *coarse -= own;
        }
        for level in 0..LEVELS {
            cancel.check()?;
            coarse = blurred::<1>(&coarse, width, height, 1 << level);
        }
        let own = result.values.iter_mut().skip(channel).step_by(3);
        for (value, correction) in own.zip(coarse) {
            *value = (*value + correction).clamp(0.0, 1.0);
        }
    }
    Ok(())
}

/// `[H, W, C]` blurred by 1/4 1/2 1/4 at `distance` pixels in both directions; edges are repeated.
fn blurred<const C: usize>(
    values: &[f32],
    width: usize,
    height: usize,
    distance: usize,
) -> Vec<f32> {
    let stride = width * C;
    let mut columns = vec![0f32; values.len()];
    (columns.par_chunks_exact_mut(stride).enumerate()).for_each(|(y, out)| {
        let row = |y: usize| &values[y * stride..][..stride];
        let [above, here, below] = [
            row(y.saturating_sub(distance)),
            row(y),
            row((y + distance).min(height - 1)),
        ];
        for (x, out) in out.iter_mut().enumerate() {
            *out = 0.25 * (above[x] + below[x]) + 0.5 * here[x];
        }
    });
    let mut out = vec![0f32; values.len()];
    (out.par_chunks_exact_mut(stride))
        .zip(columns.par_chunks_exact(stride))
        .for_each(|(out, row)| {
            for x in 0..width {
                let [left, right] = [x.saturating_sub(distance), (x + distance).min(width - 1)];
                for c in 0..C {
                    out[C * x + c] =
                        0.25 * (row[C * left + c] + row[C * right + c]) + 0.5 * row[C * x + c];
                }
            }
        });
    out
}

/// Corrects the result until, reduced four times, it equals `input`.
pub fn consistency(result: &mut Rgb, input: &Rgb, cancel: &Cancel) -> Result<()> {
    back_project(result, &input.values, cancel)
}

/// As `consistency`, but to what of the input is believed, so that its noise is not put back.
pub fn robust(result: &mut Rgb, input: &Rgb, cancel: &Cancel) -> Result<()> {
    let reduced = reduce_x4(&result.values, result.width, result.height, 3);
    let wanted = believed(&reduced, &input.values, input.width, input.height);
    back_project(result, &wanted, cancel)
}

/// What of the `input` a result that reduces to `reduced` ought to reduce to, `[H, W, 3]` all.
///
/// That is all that is coarse, and what is fine where the result has structure or the input more than
/// noise. Noise is what fine energy the input has more than the result, if it is about the same all around,
/// and little: a star that the network missed stands out from it, and a dither pattern is too loud. The
/// weight of the input's detail is Wiener's, structure / (structure + noise), with the noise counted
/// [`DOUBT`]-fold; the result's own structure speaks for it with [`MOST`], since it may well be blurred in the
/// input and sharp in the result.
fn believed(reduced: &[f32], input: &[f32], width: usize, height: usize) -> Vec<f32> {
    let local_mean = |values: &[f32]| local_mean::<1>(values, width, height);
    let coarse = [reduced, input].map(|values| self::local_mean::<3>(values, width, height));
    let less = |a: &[f32], b: &[f32]| -> Vec<f32> { a.iter().zip(b).map(|(a, b)| a - b).collect() };
    let fine = [less(reduced, &coarse[0]), less(input, &coarse[1])];
    let lacking = less(&fine[1], &fine[0]);
    let energies = [&fine[0], &fine[1], &lacking].map(|values| local_mean(&energy(values)));
    let excess: Vec<f32> = (energies[1].iter().zip(&energies[0]))
        .map(|(input, result)| (input - result).max(0.0))
        .collect();
    let mut around = excess.clone();
    for octave in 0..NOISE_OCTAVES {
        around = blurred::<1>(&around, width, height, 1 << octave);
    }
    let structure = less(&local_mean(&energy(reduced)), &energy(&coarse[0]));
    let belief = |pixel: usize| {
        let noise = excess[pixel].min(EVEN * around[pixel]).min(LOUDEST);
        let outstanding = (energies[2][pixel] - OUTSTANDING * noise).max(0.0);
        let structure = structure[pixel].max(0.0);
        let believed = MOST * structure + outstanding;
        // The last term stands for nothing but 0 / 0: a thousandth of an 8-bit step.
        believed / (structure + outstanding + DOUBT * noise + 1e-10)
    };
    (0..reduced.len())
        .map(|i| (coarse[1][i] + fine[0][i] + belief(i / 3) * lacking[i]).clamp(0.0, 1.0))
        .collect()
}

/// The mean square over the channels of `[H, W, 3]`.
fn energy(values: &[f32]) -> Vec<f32> {
    (values.chunks_exact(3))
        .map(|pixel| pixel.iter().map(|v| v * v).sum::<f32>() / 3.0)
        .collect()
}

/// `[H, W, C]` blurred by 1 4 6 4 1 in both directions.
fn local_mean<const C: usize>(values: &[f32], width: usize, height: usize) -> Vec<f32> {
    let once = blurred::<C>(values, width, height, 1);
    blurred::<C>(&once, width, height, 1)
}

/// Back-projection (Irani and Peleg, 1991): what the result, reduced four times, lacks or has too
/// much of against `wanted` is enlarged and added, until every value agrees within half an 8-bit
/// step, or clipping at black and white lets it come no closer.
fn back_project(result: &mut Rgb, wanted: &[f32], cancel: &Cancel) -> Result<()> {
    let [width, height] = [result.width / 4, result.height / 4];
    let mut last = f32::INFINITY;
    for _ in 0..MAX_ROUNDS {
        cancel.check()?;
        let mut missing = reduce_x4(&result.values, result.width, result.height, 3);
        let mut worst = 0f32;
        for (missing, &wanted) in missing.iter_mut().zip(wanted) {
            *missing = wanted - *missing;
            worst = worst.max(missing.abs());
        }
        if worst <= CLOSE_ENOUGH || worst >= last {
            break;
        }
        last = worst;
        let correction = bicubic_x4(&missing, width, height, 3);
        for (value, correction) in result.values.iter_mut().zip(correction) {
            *value = (*value + correction).clamp(0.0, 1.0);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::normal;

    fn picture(side: usize, contrast: f32) -> Rgb {
        let values = (0..side * side * 3)
            .map(|i| (0.5 + contrast * normal(5, 0, 0, 0, 0, i as u32)).clamp(0.0, 1.0))
            .collect();
        Rgb {
            width: side,
            height: side,
            values,
        }
    }

    fn gray(side: usize) -> Rgb {
        Rgb {
            width: side,
            height: side,
            values: vec![0.5; side * side * 3],
        }
    }

    fn reduced(picture: &Rgb) -> Rgb {
        Rgb {
            width: picture.width / 4,
            height: picture.height / 4,
            values: reduce_x4(&picture.values, picture.width, picture.height, 3),
        }
    }

    fn fixed(what: ColorFix, result: &mut Rgb, input: &Rgb) {
        fix(what, result, input, &Cancel::default()).unwrap();
    }

    #[test]
    fn the_result_reduced_equals_the_input() {
        // A result without any relation to the input: the hardest case.
        let (mut result, input) = (picture(64, 0.1), picture(16, 0.1));
        fixed(ColorFix::Consistency, &mut result, &input);
        let reduced = reduce_x4(&result.values, 64, 64, 3);
        let worst = reduced
            .iter()
            .zip(&input.values)
            .fold(0f32, |m, (a, b)| m.max((a - b).abs()));
        assert!(worst <= CLOSE_ENOUGH, "off by {} of 255", worst * 255.0);
    }

    #[test]
    fn adain_gives_each_channel_the_inputs_mean_and_contrast() {
        let (mut result, input) = (picture(64, 0.02), picture(16, 0.05));
        result
            .values
            .iter_mut()
            .skip(1)
            .step_by(3)
            .for_each(|v| *v += 0.2);
        adain(&mut result, &input);
        let style = bicubic_x4(&input.values, 16, 16, 3);
        for channel in 0..3 {
            let [got, wanted] = [&result.values, &style].map(|values| {
                let values: Vec<f64> = (values.iter().skip(channel).step_by(3))
                    .map(|&v| f64::from(v))
                    .collect();
                let mean = values.iter().sum::<f64>() / values.len() as f64;
                let squares = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>();
                (mean, (squares / values.len() as f64).sqrt())
            });
            // The small number that keeps flat channels from dividing by nothing.
            assert!((got.0 - wanted.0).abs() < 1e-4, "{got:?} {wanted:?}");
            assert!((got.1 - wanted.1).abs() < 1e-4, "{got:?} {wanted:?}");
        }
    }

    #[test]
    fn wavelet_takes_what_is_coarse_from_the_input_and_keeps_what_is_fine() {
        let input = gray(32);
        let fine = |i: usize| {
            if (i / 3 + i / 3 / 128).is_multiple_of(2) {
                0.05
            } else {
                -0.05
            }
        };
        // A shifted colour and a slow change over the picture, under a checkerboard.
        let slow = |i: usize| 0.1 * ((i / 3 % 128) as f32 / 128.0);
        let mut result = Rgb {
            width: 128,
            height: 128,
            values: (0..128 * 128 * 3)
                .map(|i| 0.4 + slow(i) + fine(i))
                .collect(),
        };
        fixed(ColorFix::Wavelet, &mut result, &input);
        for y in 0..128 {
            // Blurs repeat the edge, so a change that reaches it is only followed inside.
            for x in 32..96 {
                let i = (y * 128 + x) * 3;
                let wanted = 0.5 + fine(i);
                assert!(
                    (result.values[i] - wanted).abs() < 2e-3,
                    "{x} {y}: {}",
                    result.values[i]
                );
            }
        }
    }

    #[test]
    fn robust_leaves_noise_out_and_keeps_what_stands_out_of_it() {
        let mut input = picture(64, 0.03);
        let star = (20 * 64 + 20) * 3;
        input.values[star..star + 3].fill(1.0);
        let mut result = gray(256);
        fixed(ColorFix::Robust, &mut result, &input);
        let reduced = reduce_x4(&result.values, 256, 256, 3);
        assert!(reduced[star] > 0.85, "the star is {}", reduced[star]);
        let away = |i: &usize| (i / 3 / 64).abs_diff(20) > 8 || (i / 3 % 64).abs_diff(20) > 8;
        let deviation = |values: &[f32]| {
            let values: Vec<f32> = (0..values.len()).filter(away).map(|i| values[i]).collect();
            (values.iter().map(|v| (v - 0.5).powi(2)).sum::<f32>() / values.len() as f32).sqrt()
        };
        // Of white noise 1 4 6 4 1 twice leaves 0.27.
        assert!(deviation(&reduced) < 0.35 * deviation(&input.values));
    }

    #[test]
    fn a_pattern_is_no_noise() {
        let value = |i: usize| ((i / 3 + i / 3 / 16) % 2) as f32;
        let input = Rgb {
            width: 16,
            height: 16,
            values: (0..16 * 16 * 3).map(value).collect(),
        };
        let gray = gray(64);
        let (mut robustly, mut consistently) = (gray.clone(), gray);
        fixed(ColorFix::Robust, &mut robustly, &input);
        fixed(ColorFix::Consistency, &mut consistently, &input);
        let pairs = robustly.values.iter().zip(&consistently.values);
        let worst = pairs.fold(0f32, |worst, (a, b)| worst.max((a - b).abs()));
        assert!(worst < 0.05, "{worst}");
    }

    #[test]
    fn robust_is_nearly_consistency_where_the_result_is_as_lively_as_the_input() {
        let original = picture(256, 0.1);
        let input = reduced(&original);
        // The same picture, in wrong colours and with detail of its own.
        let other = picture(512, 0.1);
        let values = original.values.iter().zip(&other.values[3 * 512 * 100..]);
        let mut result = Rgb {
            values: values.map(|(a, b)| 0.9 * a + 0.3 * (b - 0.5)).collect(),
            ..original
        };
        fixed(ColorFix::Robust, &mut result, &input);
        let reduced = reduce_x4(&result.values, 256, 256, 3);
        let difference = |a: &[f32], b: &[f32]| {
            let sum: f32 = a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum();
            (sum / a.len() as f32).sqrt()
        };
        let contrast = difference(&input.values, &vec![0.5; input.values.len()]);
        let off = difference(&reduced, &input.values);
        // 0.4 of what it was off in fine detail.
        assert!(off < 0.2 * contrast, "off by {off} of {contrast}");
    }

    /// What `tools/train/fix.py` believes, in PyTorch: training and program mean the same.
    #[test]
    fn believed_as_in_training() {
        let bytes = include_bytes!("../../tests/fixtures/color.safetensors");
        let file = safetensors::SafeTensors::deserialize(bytes).unwrap();
        let values = |name: &str| -> Vec<f32> {
            let data = file.tensor(name).unwrap().data();
            data.as_chunks()
                .0
                .iter()
                .map(|&b| f32::from_le_bytes(b))
                .collect()
        };
        let (reduced, input, wanted) = (values("reduced"), values("input"), values("believed"));
        let got = believed(&reduced, &input, 40, 24);
        // Sums of 25 products in another order, and a quotient of differences of squares.
        for (got, wanted) in got.iter().zip(wanted) {
            assert!((got - wanted).abs() < 2e-5, "{got} {wanted}");
        }
    }

    #[test]
    fn a_consistent_result_is_left_alone() {
        let result = picture(64, 0.1);
        let input = reduced(&result);
        let mut same = result.clone();
        fixed(ColorFix::Consistency, &mut same, &input);
        assert_eq!(same, result);
    }
}
