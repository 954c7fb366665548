//! The canvas that the networks see: the picture, extended by reflection at the right and the
//! bottom to what the UNet needs. The patch grid and the noise start at the top-left corner, so the
//! extension moves nothing.

use super::Rgb;

/// The sizes of a picture and of its canvas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Canvas {
    /// The picture's size in pixels: rows, columns.
    pub picture: [usize; 2],
    /// The canvas' size: the next multiples.
    pub padded: [usize; 2],
}

impl Canvas {
    /// For a picture of `width` × `height` and a UNet that needs multiples of `multiple`.
    pub fn new(width: usize, height: usize, multiple: usize) -> Self {
        Canvas {
            picture: [height, width],
            padded: [
                height.next_multiple_of(multiple),
                width.next_multiple_of(multiple),
            ],
        }
    }

    /// `[3, H, W]` of the canvas in -1..1, from the picture.
    pub fn extend(&self, picture: &Rgb) -> Vec<f32> {
        let ([height, width], [rows, columns]) = (self.picture, self.padded);
        let mut planes = Vec::with_capacity(3 * rows * columns);
        for channel in 0..3 {
            for y in 0..rows {
                let row = reflect(y, height) * width;
                planes.extend(
                    (0..columns).map(|x| {
                        picture.values[(row + reflect(x, width)) * 3 + channel] * 2.0 - 1.0
                    }),
                );
            }
        }
        planes
    }

    /// The picture's part of `planes` `[3, f·H, f·W]` around -1..1, as values in 0..=1.
    pub fn crop(&self, planes: &[f32], factor: usize) -> Rgb {
        let ([height, width], [rows, columns]) = (self.picture, self.padded);
        let plane = rows * columns * factor * factor;
        let mut values = Vec::with_capacity(height * width * factor * factor * 3);
        for y in 0..height * factor {
            for x in 0..width * factor {
                for channel in 0..3 {
                    let value = planes[channel * plane + y * columns * factor + x];
                    values.push((value * 0.5 + 0.5).clamp(0.0, 1.0));
                }
            }
        }
        Rgb {
            width: width * factor,
            height: height * factor,
            values,
        }
    }
}

/// Mirrors `i` into `0..n` without repeating the edge (`abcd` goes on `cba`), as often as needed.
fn reflect(i: usize, n: usize) -> usize {
    if n == 1 {
        return 0;
    }
    let period = 2 * (n - 1);
    let i = i % period;
    i.min(period - i)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reflection_mirrors_without_repeating_the_edge() {
        let extended: Vec<usize> = (0..9).map(|i| reflect(i, 3)).collect();
        assert_eq!(extended, [0, 1, 2, 1, 0, 1, 2, 1, 0]);
        assert_eq!(reflect(7, 1), 0);
    }

    #[test]
    fn the_picture_comes_back_from_its_canvas() {
        let picture = Rgb {
            width: 5,
            height: 3,
            values: (0..45).map(|v| v as f32 / 45.0).collect(),
        };
        let canvas = Canvas::new(5, 3, 4);
        assert_eq!(canvas.padded, [4, 8]);
        let planes = canvas.extend(&picture);
        assert_eq!(planes.len(), 3 * 4 * 8);
        let back = canvas.crop(&planes, 1);
        assert_eq!((back.width, back.height), (5, 3));
        let pairs = back.values.iter().zip(&picture.values);
        assert!(pairs.into_iter().all(|(a, b)| (a - b).abs() < 1e-6));
    }
}
