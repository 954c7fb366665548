//! A picture to look at, in 8 bits, with smaller and smaller copies of itself.

use std::sync::atomic::{AtomicU64, Ordering};

use eframe::egui::ColorImage;

use crate::image_io::Picture;
use crate::pipeline::Rgb;

/// The smallest copy has no side longer than this.
const SMALLEST: usize = 256;

/// An RGBA picture with straight alpha and its mip pyramid. Level 0 is the picture; every further level is
/// half as large, rounded up, down to one with no side longer than 256.
pub struct Raster {
    id: u64,
    /// At least one.
    levels: Vec<Level>,
}

struct Level {
    width: usize,
    height: usize,
    pixels: Vec<[u8; 4]>,
}

impl std::fmt::Debug for Raster {
    /// Not the pixels.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [width, height] = self.size();
        write!(f, "Raster {} of {width} × {height}", self.id)
    }
}

impl Raster {
    /// A picture of these pixels, row by row.
    ///
    /// # Panics
    /// If there are not `width * height` pixels, or none.
    pub fn new(width: usize, height: usize, pixels: Vec<[u8; 4]>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        assert_eq!(pixels.len(), width * height, "pixels must be [H, W]");
        assert!(!pixels.is_empty(), "a picture has pixels");
        let mut level = Level {
            width,
            height,
            pixels,
        };
        let mut levels = Vec::new();
        while level.width.max(level.height) > SMALLEST {
            let half = level.halved();
            levels.push(std::mem::replace(&mut level, half));
        }
        levels.push(level);
        Raster {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            levels,
        }
    }

    /// The 8-bit version of a picture whose values lie in 0..=1, as does its `[H, W]` alpha.
    ///
    /// # Panics
    /// If the picture has no pixels, or the alpha not as many.
    pub fn from_rgb(picture: &Rgb, alpha: Option<&[f32]>) -> Self {
        // The conversion clamps to 0..=255.
        let byte = |value: f32| (value * 255.0 + 0.5) as u8;
        let (colors, _) = picture.values.as_chunks::<3>();
        let mut pixels: Vec<[u8; 4]> = colors
            .iter()
            .map(|color| {
                let [r, g, b] = color.map(byte);
                [r, g, b, u8::MAX]
            })
            .collect();
        if let Some(alpha) = alpha {
            assert_eq!(alpha.len(), pixels.len(), "alpha must be [H, W]");
            for (pixel, alpha) in pixels.iter_mut().zip(alpha) {
                pixel[3] = byte(*alpha);
            }
        }
        Raster::new(picture.width, picture.height, pixels)
    }

    /// A picture as it is written to a file.
    pub fn from_picture(picture: Picture) -> Self {
        let rgb = Rgb {
            width: picture.width,
            height: picture.height,
            values: picture.rgb,
        };
        Raster::from_rgb(&rgb, picture.alpha.as_deref())
    }

    /// What no other raster of this process has.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Width and height.
    pub fn size(&self) -> [usize; 2] {
        [self.levels[0].width, self.levels[0].height]
    }

    /// The pixels of the picture itself, row by row.
    pub fn pixels(&self) -> &[[u8; 4]] {
        &self.levels[0].pixels
    }

    /// How many levels there are.
    pub fn levels(&self) -> usize {
        self.levels.len()
    }

    /// The pixels of a level, row by row, its width and its height.
    ///
    /// # Panics
    /// If there is no such level.
    pub fn level(&self, level: usize) -> (&[[u8; 4]], usize, usize) {
        let level = &self.levels[level];
        (&level.pixels, level.width, level.height)
    }

    /// A small copy with no side longer than `max_side` (at least one pixel); never a larger one.
    pub fn reduced_to(&self, max_side: usize) -> Raster {
        let max_side = max_side.max(1);
        let large_enough = |level: &&Level| level.width.max(level.height) >= max_side;
        let from = self.levels.iter().rev().find(large_enough);
        let small = from.unwrap_or(&self.levels[0]).reduced_to(max_side);
        Raster::new(small.width, small.height, small.pixels)
    }

    /// The picture itself, for a texture.
    pub fn to_color_image(&self) -> ColorImage {
        ColorImage::from_rgba_unmultiplied(self.size(), self.pixels().as_flattened())
    }
}

impl Level {
    fn halved(&self) -> Level {
        Level {
            width: self.width.div_ceil(2),
            height: self.height.div_ceil(2),
            pixels: halved(&self.pixels, self.width, self.height),
        }
    }

    /// Every pixel of the copy is the average of those it stands for.
    fn reduced_to(&self, max_side: usize) -> Level {
        let longest = self.width.max(self.height);
        let reduced = |side: usize| (side * max_side.min(longest) + longest / 2) / longest;
        let (width, height) = (reduced(self.width).max(1), reduced(self.height).max(1));
        let mut pixels = Vec::with_capacity(width * height);
        for y in 0..height {
            let rows = y * self.height / height..(y + 1) * self.height / height;
            for x in 0..width {
                let columns = x * self.width / width..(x + 1) * self.width / width;
                let mut sum = Sum::default();
                for row in rows.clone() {
                    for pixel in &self.pixels[row * self.width..][columns.clone()] {
                        sum.add(*pixel);
                    }
                }
                pixels.push(sum.average());
            }
        }
        Level {
            width,
            height,
            pixels,
        }
    }
}

/// Averages of 2 x 2 pixels; at an odd edge, of the one or two there are.
pub(super) fn halved(pixels: &[[u8; 4]], width: usize, height: usize) -> Vec<[u8; 4]> {
    let mut half = Vec::with_capacity(width.div_ceil(2) * height.div_ceil(2));
    for pair in pixels.chunks(2 * width) {
        let (upper, lower) = pair.split_at(width);
        let lower = if lower.is_empty() { upper } else { lower };
        for (upper, lower) in upper.chunks(2).zip(lower.chunks(2)) {
            half.push(average([
                upper[0],
                upper[upper.len() - 1],
                lower[0],
                lower[lower.len() - 1],
            ]));
        }
    }
    half
}

fn average(four: [[u8; 4]; 4]) -> [u8; 4] {
    if four.iter().all(|pixel| pixel[3] == u8::MAX) {
        // The usual case, and the quick one.
        return std::array::from_fn(|channel| {
            let sum: u16 = four.iter().map(|pixel| u16::from(pixel[channel])).sum();
            ((sum + 2) / 4) as u8
        });
    }
    let mut sum = Sum::default();
    for pixel in four {
        sum.add(pixel);
    }
    sum.average()
}

/// Adds up pixels. Colours count by their alpha: what is hidden must not show in the average.
#[derive(Default)]
struct Sum {
    count: u64,
    alpha: u64,
    color: [u64; 3],
    /// The colours, whatever their alpha.
    plain: [u64; 3],
}

impl Sum {
    fn add(&mut self, [r, g, b, alpha]: [u8; 4]) {
        let alpha = u64::from(alpha);
        self.count += 1;
        self.alpha += alpha;
        for (channel, value) in [r, g, b].into_iter().enumerate() {
            self.color[channel] += u64::from(value) * alpha;
            self.plain[channel] += u64::from(value);
        }
    }

    /// Of at least one pixel.
    fn average(&self) -> [u8; 4] {
        let rounded = |sum: u64, count: u64| ((sum + count / 2) / count) as u8;
        let [r, g, b] = if self.alpha == 0 {
            self.plain.map(|sum| rounded(sum, self.count))
        } else {
            self.color.map(|sum| rounded(sum, self.alpha))
        };
        [r, g, b, rounded(self.alpha, self.count)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gray(value: u8) -> [u8; 4] {
        [value, value, value, 255]
    }

    #[test]
    fn levels_halve_and_round_up_until_both_sides_are_small() {
        let sizes = |width, height| {
            let raster = Raster::new(width, height, vec![gray(1); width * height]);
            (0..raster.levels())
                .map(|level| {
                    let (pixels, width, height) = raster.level(level);
                    assert_eq!(pixels, vec![gray(1); width * height]);
                    (width, height)
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(sizes(256, 256), [(256, 256)]);
        assert_eq!(sizes(257, 1), [(257, 1), (129, 1)]);
        assert_eq!(
            sizes(1001, 300),
            [(1001, 300), (501, 150), (251, 75)],
            "rounded up, and by both sides"
        );
    }

    #[test]
    fn a_pixel_of_a_level_is_the_average_of_those_it_covers() {
        let row = [10, 20, 30].map(gray);
        let next = [12, 24, 40].map(gray);
        let half = halved(&[row, next, row].concat(), 3, 3);
        // 66 / 4 is rounded, 35 has only its column, 15 its row and 30 itself.
        assert_eq!(half, [17, 35, 15, 30].map(gray));
    }

    #[test]
    fn hidden_colours_do_not_show_in_averages() {
        let (hidden, seen) = ([255, 0, 9, 0], [0, 80, 40, 255]);
        assert_eq!(halved(&[hidden, seen], 2, 1), [[0, 80, 40, 128]]);
        assert_eq!(
            halved(&[hidden; 4], 2, 2),
            [hidden],
            "there is no better one"
        );
    }

    #[test]
    fn values_are_clamped_and_rounded_to_8_bits() {
        let picture = Rgb {
            width: 2,
            height: 1,
            values: vec![-1.0, 0.0, 1.0, 2.0, 0.5, f32::NAN],
        };
        let opaque = Raster::from_rgb(&picture, None);
        assert_eq!(opaque.pixels(), [[0, 0, 255, 255], [255, 128, 0, 255]]);
        let glass = Raster::from_rgb(&picture, Some(&[0.1, 1.5]));
        assert_eq!(glass.pixels(), [[0, 0, 255, 26], [255, 128, 0, 255]]);
        assert_ne!(opaque.id(), glass.id());
    }

    #[test]
    fn a_small_copy_fits_and_keeps_shape_and_brightness() {
        let (width, height) = (1200, 400);
        // Dark on the left, bright on the right.
        let pixels = (0..width * height).map(|i| gray(if i % width < 600 { 20 } else { 220 }));
        let raster = Raster::new(width, height, pixels.collect());
        let small = raster.reduced_to(90);
        assert_eq!(small.size(), [90, 30]);
        for row in small.pixels().chunks(90) {
            assert_eq!(row[..45], [gray(20); 45]);
            assert_eq!(row[45..], [gray(220); 45]);
        }
        assert_eq!(raster.reduced_to(1).pixels(), [gray(120)]);
        assert_eq!(
            raster.reduced_to(5000).size(),
            raster.size(),
            "never larger"
        );
        let line = Raster::new(1000, 1, vec![gray(7); 1000]);
        assert_eq!(line.reduced_to(64).size(), [64, 1]);
    }

    #[test]
    fn a_texture_gets_premultiplied_colours() {
        let raster = Raster::new(2, 1, vec![[200, 100, 0, 128], gray(9)]);
        let image = raster.to_color_image();
        assert_eq!(image.size, [2, 1]);
        assert_eq!(image.pixels[0].to_array(), [100, 50, 0, 128]);
        assert_eq!(image.pixels[1].to_array(), gray(9));
    }
}
