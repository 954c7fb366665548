//! How far several pictures of the same thing differ at each pixel, as a picture of colours.

use std::sync::Arc;

use super::raster::Raster;
use super::worker::Spread;
use crate::pipeline::Rgb;

/// Of all pixels, this part lies below the last colour; the few above it share it.
const QUANTILE: f64 = 0.995;
/// The least range of colours, of 255: what is not there is not made visible.
const LEAST_TOP: f32 = 2.0;

/// Sums over pictures that are added one by one.
#[derive(Default)]
pub struct Moments {
    count: usize,
    width: usize,
    height: usize,
    mean: Vec<f32>,
    /// Sum of squared distances from the mean (Welford, 1962).
    squares: Vec<f32>,
}

impl Moments {
    /// One more picture of the same size.
    pub fn add(&mut self, picture: &Rgb) {
        if self.count == 0 {
            (self.width, self.height) = (picture.width, picture.height);
            self.mean = vec![0.0; picture.values.len()];
            self.squares = vec![0.0; picture.values.len()];
        }
        self.count += 1;
        let count = self.count as f32;
        let sums = self.mean.iter_mut().zip(&mut self.squares);
        for ((mean, squares), value) in sums.zip(&picture.values) {
            let before = value - *mean;
            *mean += before / count;
            *squares += before * (value - *mean);
        }
    }

    /// The standard deviation of each pixel, of 255: the root mean square over its three channels.
    pub fn deviations(&self) -> Vec<f32> {
        let scale = 3.0 * (self.count.max(2) - 1) as f32;
        let pixels = self.squares.chunks_exact(3);
        pixels
            .map(|pixel| (pixel.iter().sum::<f32>() / scale).sqrt() * 255.0)
            .collect()
    }

    /// The map.
    pub fn map(&self) -> Spread {
        let deviations = self.deviations();
        let mean = deviations.iter().sum::<f32>() / deviations.len().max(1) as f32;
        let mut sorted = deviations.clone();
        sorted.sort_unstable_by(f32::total_cmp);
        let at = (sorted.len().saturating_sub(1) as f64 * QUANTILE) as usize;
        let top = sorted.get(at).copied().unwrap_or(0.0).max(LEAST_TOP);
        let colors = deviations.iter().map(|deviation| {
            let [r, g, b] = color(deviation / top);
            [r, g, b, 255]
        });
        let raster = Raster::new(self.width, self.height, colors.collect());
        Spread {
            picture: Arc::new(raster),
            top,
            mean,
        }
    }
}

/// Colours for 0..=1 from black over violet and orange to pale yellow, evenly brighter: points of
/// matplotlib's "inferno" (CC0), joined by straight lines.
pub fn color(value: f32) -> [u8; 3] {
    const POINTS: [[u8; 3]; 9] = [
        [0, 0, 4],
        [31, 12, 72],
        [85, 15, 109],
        [136, 34, 106],
        [186, 54, 85],
        [227, 89, 51],
        [249, 140, 10],
        [249, 201, 50],
        [252, 255, 164],
    ];
    let value = if value.is_nan() {
        0.0
    } else {
        value.clamp(0.0, 1.0)
    };
    let place = value * (POINTS.len() - 1) as f32;
    let before = (place as usize).min(POINTS.len() - 2);
    let part = place - before as f32;
    std::array::from_fn(|c| {
        let (low, high) = (
            f32::from(POINTS[before][c]),
            f32::from(POINTS[before + 1][c]),
        );
        (low + part * (high - low)).round() as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(values: [f32; 6]) -> Rgb {
        Rgb {
            width: 2,
            height: 1,
            values: values.to_vec(),
        }
    }

    /// The sample standard deviation, by hand: 0, 0.2 and 0.4 deviate by 0.2 from their mean.
    #[test]
    fn it_is_the_sample_standard_deviation() {
        let mut moments = Moments::default();
        for value in [0.0, 0.2, 0.4] {
            moments.add(&picture([value, value, value, 0.5, 0.5, 0.5]));
        }
        let deviations = moments.deviations();
        assert!((deviations[0] - 0.2 * 255.0).abs() < 1e-3, "{deviations:?}");
        assert_eq!(deviations[1], 0.0);
        let map = moments.map();
        assert!((map.mean - 0.1 * 255.0).abs() < 1e-3);
        assert_eq!(map.picture.pixels()[1], [0, 0, 4, 255]);
    }

    #[test]
    fn colors_grow_brighter() {
        let brightness = |i: usize| {
            let [r, g, b] = color(i as f32 / 100.0).map(f32::from);
            0.2126 * r + 0.7152 * g + 0.0722 * b
        };
        assert!((1..=100).all(|i| brightness(i) > brightness(i - 1)));
        assert_eq!(color(f32::NAN), color(0.0));
    }
}
