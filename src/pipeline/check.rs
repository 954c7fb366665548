//! The last look before a picture is written: is it plausible at all?
//!
//! Black and corrupt pictures are the commonest complaint about programs of this kind. The bounds
//! are wide: they let every honest result pass (see `docs/measurements.md`) and stop what a broken
//! device, an overflow or foreign weights produce.

use super::Rgb;
use crate::image_io::resize::reduce_x4;

/// The result, reduced four times, may differ from the input by this root mean square (of full
/// scale); honest results of the weakest settings stay below a third of it.
pub const MAX_DIFFERENCE: f64 = 0.15;
/// The reduced result must keep this share of the input's contrast (standard deviation).
pub const MIN_CONTRAST: f64 = 0.4;
/// Inputs with less contrast than this (two 8-bit steps) may come out flat.
const FLAT: f64 = 2.0 / 255.0;
/// A mean below this is black.
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
    let (mean_in, contrast_in) = statistics(&input.values);
    let (mean_out, contrast_out) = statistics(&reduced);
    if mean_out < BLACK && mean_in > 4.0 * BLACK {
        return Err("it is black, the input is not".into());
    }
    if contrast_in > FLAT && contrast_out < MIN_CONTRAST * contrast_in {
        return Err(format!(
            "it is flat: it has {:.0} % of the input's contrast",
            100.0 * contrast_out / contrast_in
        ));
    }
    let squares: f64 = reduced
        .iter()
        .zip(&input.values)
        .map(|(a, b)| f64::from(a - b).powi(2))
        .sum();
    let difference = (squares / reduced.len() as f64).sqrt();
    if difference > MAX_DIFFERENCE {
        return Err(format!(
            "reduced four times it differs from the input by {:.0} % of the range, more than the \
             {:.0} % that a sound result may",
            100.0 * difference,
            100.0 * MAX_DIFFERENCE
        ));
    }
    Ok(())
}

/// Mean and standard deviation.
fn statistics(values: &[f32]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / count;
    let variance = values
        .iter()
        .map(|&v| (f64::from(v) - mean).powi(2))
        .sum::<f64>()
        / count;
    (mean, variance.sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image_io::resize::bicubic_x4;

    fn input() -> Rgb {
        let values = (0..16 * 16 * 3).map(|i| 0.2 + 0.6 * ((i / 3) % 16) as f32 / 15.0);
        Rgb {
            width: 16,
            height: 16,
            values: values.collect(),
        }
    }

    fn result(change: impl Fn(f32) -> f32) -> Rgb {
        let enlarged = bicubic_x4(&input().values, 16, 16, 3);
        Rgb {
            width: 64,
            height: 64,
            values: enlarged.into_iter().map(change).collect(),
        }
    }

    #[test]
    fn an_honest_result_passes() {
        assert_eq!(picture(&result(|v| v), &input()), Ok(()));
        assert_eq!(picture(&result(|v| 0.9 * v + 0.08), &input()), Ok(()));
    }

    #[test]
    fn broken_results_are_named() {
        for (change, word) in [
            ((|_| 0.0) as fn(f32) -> f32, "black"),
            (|_| 0.5, "flat"),
            (|v| 0.5 + (v - 0.5) * 0.2, "flat"),
            (|v| 1.0 - v, "differs"),
            (|v| (v + 0.3).min(1.0), "differs"),
            (|v| if v > 0.7 { f32::NAN } else { v }, "numbers"),
        ] {
            let error = picture(&result(change), &input()).expect_err(word);
            assert!(error.contains(word), "{error}");
        }
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
