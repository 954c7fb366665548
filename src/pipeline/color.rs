//! Colour fixes on the finished picture.

use super::Rgb;
use crate::image_io::resize::{bicubic_x4, reduce_x4};

/// Rounds of back-projection at most; typical pictures need three to six.
const MAX_ROUNDS: usize = 30;
/// Half a step of 8-bit values: what the input itself was rounded to.
const CLOSE_ENOUGH: f32 = 0.5 / 255.0;

/// Back-projection (Irani and Peleg, 1991): what the result, reduced four times, lacks or has too
/// much of against `input` is enlarged and added, until every value agrees within half an 8-bit
/// step, or clipping at black and white lets it come no closer.
pub fn consistency(result: &mut Rgb, input: &Rgb) {
    let mut last = f32::INFINITY;
    for _ in 0..MAX_ROUNDS {
        let mut missing = reduce_x4(&result.values, result.width, result.height, 3);
        let mut worst = 0f32;
        for (missing, &wanted) in missing.iter_mut().zip(&input.values) {
            *missing = wanted - *missing;
            worst = worst.max(missing.abs());
        }
        if worst <= CLOSE_ENOUGH || worst >= last {
            break;
        }
        last = worst;
        let correction = bicubic_x4(&missing, input.width, input.height, 3);
        for (value, correction) in result.values.iter_mut().zip(correction) {
            *value = (*value + correction).clamp(0.0, 1.0);
        }
    }
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

    #[test]
    fn the_result_reduced_equals_the_input() {
        // A result without any relation to the input: the hardest case.
        let (mut result, input) = (picture(64, 0.1), picture(16, 0.1));
        consistency(&mut result, &input);
        let reduced = reduce_x4(&result.values, 64, 64, 3);
        let worst = reduced
            .iter()
            .zip(&input.values)
            .fold(0f32, |m, (a, b)| m.max((a - b).abs()));
        assert!(worst <= CLOSE_ENOUGH, "off by {} of 255", worst * 255.0);
    }

    #[test]
    fn a_consistent_result_is_left_alone() {
        let result = picture(64, 0.1);
        let input = Rgb {
            width: 16,
            height: 16,
            values: reduce_x4(&result.values, 64, 64, 3),
        };
        let mut fixed = result.clone();
        consistency(&mut fixed, &input);
        assert_eq!(fixed, result);
    }
}
