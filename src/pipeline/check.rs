//! The last look before a picture is written: is it plausible at all?
//!
//! Black and corrupt pictures are the commonest complaint about programs of this kind. The bounds
//! are wide: they let every honest result pass (see `docs/measurements.md`) and stop what a broken
//! device, an overflow or foreign weights produce.

use super::Rgb;
use crate::image_io::resize::reduce_x4;

/// Compared with the input is the result reduced four times. Its values must follow the input's with at
/// least this correlation …
const MIN_CORRELATION: f64 = 0.5;
/// … and may differ by this root mean square (of full scale), unless they follow it as closely as
/// [`CLOSE_CORRELATION`]: single-pixel patterns lose contrast, and nothing else.
const MAX_DIFFERENCE: f64 = 0.25;
/// See [`MAX_DIFFERENCE`].
const CLOSE_CORRELATION: f64 = 0.8;
/// The mean of a channel may then shift by this much.
const MAX_SHIFT: f64 = 0.2;
/// In every block of the input of this side …
const BLOCK: usize = 8;
/// … the mean of a channel may be off by this much: a part that went missing is not hidden by the rest.
const MAX_BLOCK_SHIFT: f64 = 0.35;
/// The share of the input's contrast (standard deviation) that must be left.
const MIN_CONTRAST: f64 = 0.1;
/// Inputs with less contrast than this (four 8-bit steps) may come out flat or otherwise.
const FLAT: f64 = 4.0 / 255.0;
/// A picture whose channels all have a mean below this is black.
const BLACK: f64 = 1.0 / 255.0;

/// Whether `latents` can be decoded at all.
pub fn latents(latents: &[f32]) -> Result<(), String> {
    if latents.iter().all(|v| v.is_finite()) {
        Ok(())
    } else {
        Err("the network produced values that are no numbers".into())
    }
}

/// Whether `result` resembles `input`, a quarter of its size.
pub fn picture(result: &Rgb, input: &Rgb) -> Result<(), String> {
    if !result.values.iter().all(|v| v.is_finite()) {
        return Err("it holds values that are no numbers".into());
    }
    let reduced = reduce_x4(&result.values, result.width, result.height, 3);
    let (means_in, contrast_in) = statistics(&input.values);
    let (means_out, contrast_out) = statistics(&reduced);
    let brightest = |means: [f64; 3]| means.into_iter().fold(0.0, f64::max);
    if brightest(means_out) < BLACK && brightest(means_in) > 4.0 * BLACK {
        return Err("it is black, the input is not".into());
    }
    let share = contrast_out / contrast_in;
    if contrast_in > FLAT && share < MIN_CONTRAST {
        let percent = 100.0 * share;
        return Err(format!(
            "it is flat: it has {percent:.0} % of the input's contrast"
        ));
    }
    let mut covariance = 0.0;
    let mut squares = 0.0;
    for (out, wanted) in reduced.chunks_exact(3).zip(input.values.chunks_exact(3)) {
        for c in 0..3 {
            let (a, b) = (f64::from(out[c]), f64::from(wanted[c]));
            covariance += (a - means_out[c]) * (b - means_in[c]);
            squares += (a - b).powi(2);
        }
    }
    let count = reduced.len() as f64;
    let correlation = covariance / count / (contrast_in * contrast_out);
    let difference = (squares / count).sqrt();
    let shift = (0..3).fold(0f64, |shift, c| {
        shift.max((means_out[c] - means_in[c]).abs())
    });
    let follows = contrast_in <= FLAT || correlation >= MIN_CORRELATION;
    let close = contrast_in > FLAT && correlation >= CLOSE_CORRELATION && shift <= MAX_SHIFT;
    if !(follows && (close || difference <= MAX_DIFFERENCE)) {
        return Err(format!(
            "it does not resemble the input: reduced four times it differs by {:.0} % of the \
             range, with a correlation of {correlation:.2}",
            100.0 * difference
        ));
    }
    match strange_block(&reduced, input) {
        Some([row, column]) => Err(format!(
            "the part around row {row}, column {column} of the input came out in another colour"
        )),
        None => Ok(()),
    }
}

/// The middle of the first block whose colour is far from the input's: row and column.
fn strange_block(reduced: &[f32], input: &Rgb) -> Option<[usize; 2]> {
    for top in (0..input.height).step_by(BLOCK) {
        for left in (0..input.width).step_by(BLOCK) {
            let rows = top..(top + BLOCK).min(input.height);
            let columns = left..(left + BLOCK).min(input.width);
            let mut sums = [0.0; 3];
            for row in rows.clone() {
                for column in columns.clone() {
                    let pixel = (row * input.width + column) * 3;
                    for (c, sum) in sums.iter_mut().enumerate() {
                        *sum += f64::from(reduced[pixel + c] - input.values[pixel + c]);
                    }
                }
            }
            let pixels = (rows.len() * columns.len()) as f64;
            if sums
                .iter()
                .any(|sum| (sum / pixels).abs() > MAX_BLOCK_SHIFT)
            {
                return Some([
                    rows.start + rows.len() / 2,
                    columns.start + columns.len() / 2,
                ]);
            }
        }
    }
    None
}

/// The mean of each channel, and the standard deviation from these means.
fn statistics(values: &[f32]) -> ([f64; 3], f64) {
    let pixels = values.len() as f64 / 3.0;
    let mut means = [0.0; 3];
    for pixel in values.chunks_exact(3) {
        for (mean, &v) in means.iter_mut().zip(pixel) {
            *mean += f64::from(v) / pixels;
        }
    }
    let mut squares = 0.0;
    for pixel in values.chunks_exact(3) {
        for (mean, &v) in means.iter().zip(pixel) {
            squares += (f64::from(v) - mean).powi(2);
        }
    }
    (means, (squares / values.len() as f64).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image_io::resize::bicubic_x4;

    const SIDE: usize = 32;

    fn input() -> Rgb {
        let brightness = |i: usize| 0.2 + 0.6 * ((i / 3) % SIDE) as f32 / (SIDE - 1) as f32;
        Rgb {
            width: SIDE,
            height: SIDE,
            values: (0..SIDE * SIDE * 3).map(brightness).collect(),
        }
    }

    fn result(change: impl Fn(f32) -> f32) -> Rgb {
        let enlarged = bicubic_x4(&input().values, SIDE, SIDE, 3);
        Rgb {
            width: 4 * SIDE,
            height: 4 * SIDE,
            values: enlarged.into_iter().map(change).collect(),
        }
    }

    #[test]
    fn an_honest_result_passes() {
        assert_eq!(picture(&result(|v| v), &input()), Ok(()));
        assert_eq!(picture(&result(|v| 0.9 * v + 0.08), &input()), Ok(()));
        // What a single-pixel pattern becomes: the same, with a third of its contrast.
        assert_eq!(
            picture(&result(|v| 0.5 + (v - 0.5) * 0.3), &input()),
            Ok(())
        );
    }

    #[test]
    fn broken_results_are_named() {
        for (change, word) in [
            ((|_| 0.0) as fn(f32) -> f32, "black"),
            (|_| 0.5, "flat"),
            (|v| 0.5 + (v - 0.5) * 0.05, "flat"),
            (|v| 1.0 - v, "resemble"),
            (|v| v + 0.3, "resemble"),
            (|v| (v * 40.0).fract(), "resemble"),
            (|v| if v < 0.6 { 0.0 } else { v }, "resemble"),
            (|v| if v > 0.7 { f32::NAN } else { v }, "numbers"),
        ] {
            let error = picture(&result(change), &input()).expect_err(word);
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn a_part_that_went_missing_is_found() {
        let mut broken = result(|v| v);
        for row in broken.values.chunks_mut(4 * SIDE * 3).take(32) {
            row[64 * 3..96 * 3].fill(0.0);
        }
        let error = picture(&broken, &input()).unwrap_err();
        assert!(error.contains("row 4, column 20"), "{error}");
    }

    #[test]
    fn black_and_flat_inputs_may_stay_so() {
        for level in [0.0, 0.5, 1.0] {
            let flat = |side: usize| Rgb {
                width: side,
                height: side,
                values: vec![level; side * side * 3],
            };
            assert_eq!(picture(&flat(64), &flat(16)), Ok(()));
        }
    }
}
