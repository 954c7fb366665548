//! Tiles of a level, and where they lie on the screen.

use std::ops::Range;

use eframe::egui::{ColorImage, Rangef, TextureOptions};

use super::source::{Source, level_size};

/// Pixels along a side of a tile.
const TILE: usize = 512;

/// Pixels of its neighbours that a tile's texture has on every side: what linear filtering blends with at
/// the tile's edge, so that no seam shows.
const APRON: usize = 1;

/// How far, of 1, a scale may be off a round one by rounding.
pub const ROUNDING: f64 = 1e-3;

/// What is known of a tile by its texture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    pub source: u64,
    pub level: usize,
    /// Column and row of the tile in its level.
    pub at: [usize; 2],
    /// Its pixels are shown as squares.
    pub squares: bool,
}

impl Key {
    /// The tile of a coarser level that covers this one.
    pub fn coarser(self, levels: usize) -> Self {
        Key {
            level: self.level + levels,
            at: self.at.map(|i| i >> levels),
            squares: false,
            ..self
        }
    }

    /// What its texture holds: the pixels of the tile and its apron.
    pub fn image(self, source: &Source) -> ColorImage {
        let size = level_size(source.size(), self.level);
        let [left, top] = self.at.map(|i| (i * TILE) as isize - APRON as isize);
        let [columns, rows] = [0, 1].map(|axis| texels(self.at[axis], size[axis]));
        let pixels = source.pixels(self.level, left, top, columns, rows);
        ColorImage::from_rgba_unmultiplied([columns, rows], pixels.as_flattened())
    }

    pub fn options(self) -> TextureOptions {
        if self.squares {
            TextureOptions::NEAREST
        } else {
            TextureOptions::LINEAR
        }
    }
}

/// The length of the texture of tile `i` along an axis on which its level has `length` pixels.
fn texels(i: usize, length: usize) -> usize {
    TILE.min(length - i * TILE) + 2 * APRON
}

/// The level of which a pixel covers half a pixel of the screen to a whole one; level 0 if there is none.
/// `scale` is in pixels of the screen per pixel of level 0.
pub fn level_for(scale: f64, levels: usize) -> usize {
    let level = ((1.0 + ROUNDING) / scale).log2().max(0.0) as usize;
    level.min(levels - 1)
}

/// Which tiles of a level are seen through `clip` along one axis, when `length` pixels of level 0 fill
/// `place`.
pub fn tiles_seen(clip: Rangef, place: Rangef, length: usize, level: usize) -> Range<usize> {
    let scale = f64::from(place.span()) / length as f64;
    let pixel = |point: f32| (f64::from(point) - f64::from(place.min)) / scale;
    let (start, end) = (pixel(clip.min).max(0.0), pixel(clip.max).min(length as f64));
    if start < end {
        let span = (TILE << level) as f64;
        (start / span) as usize..(end / span).ceil() as usize
    } else {
        0..0
    }
}

/// Where tile `tile` of level `level` lies on the screen along one axis, and which part of the texture of
/// tile `drawn` (of its own level and index) belongs there.
pub fn placed(
    (level, i): (usize, usize),
    (drawn_level, drawn_i): (usize, usize),
    length: usize,
    place: Rangef,
) -> (Rangef, Rangef) {
    let scale = f64::from(place.span()) / length as f64;
    let span = TILE << level;
    let ends = [i * span, ((i + 1) * span).min(length)].map(|end| end as f64);
    // From the same number for both tiles at an edge, so that nothing shows between them.
    let [min, max] = ends.map(|end| (f64::from(place.min) + end * scale) as f32);

    let texels = texels(drawn_i, length.div_ceil(1 << drawn_level)) as f64;
    let [uv_min, uv_max] = ends.map(|end| {
        let pixel = end / (1_u64 << drawn_level) as f64 - (drawn_i * TILE) as f64;
        ((pixel + APRON as f64) / texels) as f32
    });
    (Rangef::new(min, max), Rangef::new(uv_min, uv_max))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::tiles::from_the_middle;
    use crate::app::tiles::source::tests::{picture, whole_level};

    #[test]
    fn a_pixel_of_the_level_covers_half_a_pixel_of_the_screen_to_a_whole_one() {
        for (scale, level) in [
            (64.0, 0),
            (1.0, 0),
            (0.51, 0),
            (0.5, 1),
            (0.49999, 1),
            (0.50001, 1),
            (0.26, 1),
            (0.25, 2),
            (0.1, 3),
            (0.001, 5),
        ] {
            assert_eq!(level_for(scale, 6), level, "{scale}");
        }
        assert_eq!(level_for(1e-30, 1), 0);
    }

    #[test]
    fn only_tiles_within_the_clip_rectangle_are_seen() {
        let clip = Rangef::new(100.0, 900.0);
        let seen = |place: (f32, f32), length, level| {
            tiles_seen(clip, Rangef::new(place.0, place.1), length, level)
        };
        assert_eq!(seen((100.0, 900.0), 800, 0), 0..2);
        assert_eq!(seen((-412.0, 2588.0), 3000, 0), 1..3);
        assert_eq!(seen((0.0, 1500.0), 3000, 0), 0..4);
        assert_eq!(seen((0.0, 1500.0), 3000, 1), 0..2);
        assert_eq!(seen((-4000.0, 100.0), 3000, 0), 0..0);
        assert_eq!(seen((901.0, 1901.0), 3000, 0), 0..0);
        assert_eq!(seen((899.0, 1899.0), 3000, 0), 0..1);
    }

    #[test]
    fn tiles_fill_the_place_without_gaps_and_show_what_lies_there() {
        let (length, place) = (3001, Rangef::new(-77.3, 1123.9));
        for level in 0..3 {
            let level_length: usize = 3001_usize.div_ceil(1 << level);
            let mut end = place.min;
            for i in 0..level_length.div_ceil(TILE) {
                let (screen, uv) = placed((level, i), (level, i), length, place);
                assert_eq!(screen.min, end, "tile {i} of level {level}");
                end = screen.max;
                let texels = texels(i, level_length) as f32;
                assert_eq!(uv.min * texels, 1.0);
                let pixels = 3001.0_f32.min((((i + 1) * TILE) << level) as f32)
                    / (1 << level) as f32
                    - (i * TILE) as f32;
                assert!((uv.max * texels - (1.0 + pixels)).abs() < 1e-3);

                // In its place, the same pixels of a coarser tile.
                let (there, uv) = placed((level, i), (level + 2, i >> 2), length, place);
                assert_eq!(there, screen);
                let coarser = 3001_usize.div_ceil(1 << (level + 2));
                let texels = self::texels(i >> 2, coarser) as f32;
                let first = ((i % 4) * TILE) as f32 / 4.0;
                assert!((uv.min * texels - (1.0 + first)).abs() < 1e-3);
                assert!((uv.max * texels - (1.0 + first + pixels / 4.0)).abs() < 1e-3);
            }
            assert!((end - place.max).abs() < 1e-3);
        }
    }

    #[test]
    fn tiles_put_together_are_the_picture() {
        let source = Source::Picture(picture(1100, 600));
        let whole = whole_level(&source, 0);
        for at in from_the_middle(0..3, 0..2) {
            let key = Key {
                source: 0,
                level: 0,
                at,
                squares: false,
            };
            let image = key.image(&source);
            let [columns, rows] = image.size;
            assert_eq!(columns, [514, 514, 78][at[0]]);
            assert_eq!(rows, [514, 90][at[1]]);
            for y in 1..rows - 1 {
                for x in 1..columns - 1 {
                    let there = (at[1] * TILE + y - 1) * 1100 + at[0] * TILE + x - 1;
                    assert_eq!(image.pixels[y * columns + x].to_array(), whole[there]);
                }
            }
            // The apron has what the neighbour shows.
            if at[0] < 2 {
                let there = at[1] * TILE * 1100 + (at[0] + 1) * TILE;
                assert_eq!(image.pixels[2 * columns - 1].to_array(), whole[there]);
            }
        }
    }
}
