//! What can be drawn, and the pixels of its mip pyramid.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;

use crate::app::raster::{Raster, halved};
use crate::image_io::resize::{Filter, enlarge_x4_part};
use crate::model::SCALE;

/// The levels of an enlargement that the input does not have: 4x and 2x.
const LEVELS_ADDED: usize = SCALE.ilog2() as usize;

/// A difference to a picture with no side longer than this is computed at once.
const QUICK_SIDE: usize = 512;

/// What can be drawn.
#[derive(Clone)]
pub enum Source {
    /// A picture as it is.
    Picture(Arc<Raster>),
    /// The plain enlargement of the input, made tile by tile when seen.
    Enlarged(Arc<Raster>, Filter),
    /// How much two pictures differ, per channel: opaque, and black where they do not.
    Difference {
        of: Arc<Raster>,
        from: Box<Source>,
        /// Where `of` lies within `from`: left and top, in pixels of `from`.
        at: [usize; 2],
        /// What the difference is multiplied by.
        gain: f32,
    },
}

impl Source {
    /// Width and height, in pixels of the output.
    pub fn size(&self) -> [usize; 2] {
        match self {
            Source::Picture(raster) | Source::Difference { of: raster, .. } => raster.size(),
            Source::Enlarged(input, _) => input.size().map(|side| side * SCALE),
        }
    }

    /// How many levels its mip pyramid has.
    pub fn levels(&self) -> usize {
        match self {
            Source::Picture(raster) => raster.levels(),
            Source::Enlarged(input, _) => input.levels() + LEVELS_ADDED,
            Source::Difference { of, from, .. } => of.levels().min(from.levels()),
        }
    }

    /// A rectangle of a level, row by row; outside the picture, its edges are repeated.
    ///
    /// # Panics
    /// If there is no such level.
    pub fn pixels(
        &self,
        level: usize,
        left: isize,
        top: isize,
        columns: usize,
        rows: usize,
    ) -> Vec<[u8; 4]> {
        let [width, height] = level_size(self.size(), level);
        let (across, down) = (inside(left, columns, width), inside(top, rows, height));
        let part = self.part(level, across.clone(), down.clone());
        let starts = [across.start as isize, down.start as isize];
        if (starts, across.len(), down.len()) == ([left, top], columns, rows) {
            return part;
        }
        let mut pixels = Vec::with_capacity(columns * rows);
        for y in (top..).take(rows) {
            let row = &part[offset(y, &down) * across.len()..][..across.len()];
            pixels.extend((left..).take(columns).map(|x| row[offset(x, &across)]));
        }
        pixels
    }

    /// A rectangle that lies within a level.
    fn part(&self, level: usize, across: Range<usize>, down: Range<usize>) -> Vec<[u8; 4]> {
        match self {
            Source::Picture(raster) => cut(raster, level, across, down),
            Source::Enlarged(input, _) if level >= LEVELS_ADDED => {
                cut(input, level - LEVELS_ADDED, across, down)
            }
            Source::Enlarged(input, filter) => {
                let [width, height] = input.size();
                let at = [across.start, down.start].map(|start| (start << level) as isize);
                let size = [across.len(), down.len()].map(|side| side << level);
                let part = enlarge_x4_part(input.pixels(), width, height, *filter, at, size);
                halved_times(part, size, level)
            }
            Source::Difference { of, from, at, gain } => {
                // Pictures that were reduced first hardly differ any more.
                let finer = level.saturating_sub(LEVELS_ADDED).min(1);
                let by = level - finer;
                let size = level_size(of.size(), finer);
                let [across, down] = [(across, size[0]), (down, size[1])]
                    .map(|(range, side)| range.start << by..(range.end << by).min(side));
                let left = (at[0] >> finer) + across.start;
                let top = (at[1] >> finer) + down.start;
                let size = [across.len(), down.len()];
                let other = from.pixels(finer, left as isize, top as isize, size[0], size[1]);
                let part = cut(of, finer, across, down)
                    .into_iter()
                    .zip(other)
                    .map(|(one, other)| difference(one, other, *gain))
                    .collect();
                halved_times(part, size, by)
            }
        }
    }

    /// The same for equal sources, and for no others.
    pub fn key(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }

    /// Whether a tile of a level takes no longer than a frame may.
    pub(super) fn is_quick(&self, level: usize) -> bool {
        let quick = match self {
            Source::Picture(_) => true,
            Source::Enlarged(..) => level >= LEVELS_ADDED,
            Source::Difference { of, .. } => of.size().iter().all(|side| *side <= QUICK_SIDE),
        };
        // The last level is a single small tile.
        quick || level + 1 == self.levels()
    }
}

impl Hash for Source {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::mem::discriminant(self).hash(state);
        match self {
            Source::Picture(raster) => raster.id().hash(state),
            Source::Enlarged(input, filter) => (input.id(), filter).hash(state),
            Source::Difference { of, from, at, gain } => {
                (of.id(), from, at, gain.to_bits()).hash(state);
            }
        }
    }
}

/// Width and height of a level of a picture.
pub fn level_size(size: [usize; 2], level: usize) -> [usize; 2] {
    size.map(|side| side.div_ceil(1 << level))
}

/// What of `count` pixels from `start` on lies within a row of this length; at least the nearest pixel.
fn inside(start: isize, count: usize, length: usize) -> Range<usize> {
    let first = start.clamp(0, length as isize - 1) as usize;
    let end = start.saturating_add_unsigned(count).max(0) as usize;
    first..end.clamp(first + 1, length)
}

/// How far into the range the pixel nearest to `i` lies.
fn offset(i: isize, range: &Range<usize>) -> usize {
    (i.max(range.start as isize) as usize).min(range.end - 1) - range.start
}

fn cut(raster: &Raster, level: usize, across: Range<usize>, down: Range<usize>) -> Vec<[u8; 4]> {
    let (pixels, width, _) = raster.level(level);
    let mut part = Vec::with_capacity(across.len() * down.len());
    for row in pixels[down.start * width..down.end * width].chunks_exact(width) {
        part.extend_from_slice(&row[across.clone()]);
    }
    part
}

/// Pixels of this size, halved so many times.
fn halved_times(mut pixels: Vec<[u8; 4]>, mut size: [usize; 2], times: usize) -> Vec<[u8; 4]> {
    for _ in 0..times {
        pixels = halved(&pixels, size[0], size[1]);
        size = size.map(|side| side.div_ceil(2));
    }
    pixels
}

fn difference(one: [u8; 4], other: [u8; 4], gain: f32) -> [u8; 4] {
    // The conversion clamps to 0..=255.
    let [r, g, b] = [0, 1, 2].map(|channel| {
        let apart = one[channel].abs_diff(other[channel]);
        (f32::from(apart) * gain + 0.5) as u8
    });
    [r, g, b, u8::MAX]
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Every pixel differs from its neighbours.
    pub fn picture(width: usize, height: usize) -> Arc<Raster> {
        let pixel = |i: usize| {
            let (x, y) = (i % width, i / width);
            [
                (x * 7 + y) as u8,
                (y * 5 + x / 3) as u8,
                (x * y / 2) as u8,
                255,
            ]
        };
        let pixels = (0..width * height).map(pixel).collect();
        Arc::new(Raster::new(width, height, pixels))
    }

    pub fn whole_level(source: &Source, level: usize) -> Vec<[u8; 4]> {
        let [width, height] = level_size(source.size(), level);
        source.pixels(level, 0, 0, width, height)
    }

    fn sources() -> Vec<Source> {
        let input = picture(300, 270);
        let enlarged = Source::Enlarged(Arc::clone(&input), Filter::Lanczos);
        vec![
            Source::Picture(Arc::clone(&input)),
            enlarged.clone(),
            Source::Difference {
                of: input,
                from: Box::new(enlarged),
                at: [64, 128],
                gain: 3.0,
            },
        ]
    }

    #[test]
    fn a_rectangle_is_that_part_of_its_level_with_its_edges_repeated() {
        for source in sources() {
            for level in 0..source.levels() {
                let whole = whole_level(&source, level);
                let [width, height] = level_size(source.size(), level);
                for (left, top, columns, rows) in [
                    (-3, -2, 9, 8),
                    (width as isize - 4, height as isize - 5, 9, 11),
                    (7, 9, 20, 13),
                    (-20, 5, 3, 4),
                    (5, height as isize + 7, 2, 2),
                ] {
                    let part = source.pixels(level, left, top, columns, rows);
                    assert_eq!(part.len(), columns * rows);
                    for (i, pixel) in part.iter().enumerate() {
                        let x = (left + (i % columns) as isize).clamp(0, width as isize - 1);
                        let y = (top + (i / columns) as isize).clamp(0, height as isize - 1);
                        assert_eq!(*pixel, whole[y as usize * width + x as usize]);
                    }
                }
            }
        }
    }

    #[test]
    fn the_levels_of_an_enlargement_halve_until_they_are_the_inputs() {
        let input = picture(300, 270);
        let source = Source::Enlarged(Arc::clone(&input), Filter::Bicubic);
        assert_eq!((source.size(), source.levels()), ([1200, 1080], 4));
        let finest = whole_level(&source, 0);
        let part = enlarge_x4_part(
            input.pixels(),
            300,
            270,
            Filter::Bicubic,
            [0, 0],
            [1200, 1080],
        );
        assert!(finest == part);
        assert!(whole_level(&source, 1) == halved(&finest, 1200, 1080));
        assert!(whole_level(&source, 2) == input.pixels());
        assert!(whole_level(&source, 3) == input.level(1).0);
    }

    #[test]
    fn a_difference_is_multiplied_opaque_and_black_where_there_is_none() {
        let from = picture(40, 30);
        let cut = |level| Source::Picture(Arc::clone(&from)).pixels(level, 6, 4, 20, 10);
        let mut pixels = cut(0);
        for value in &mut pixels[3] {
            *value ^= 16;
        }
        pixels[4][1] ^= 128;
        let source = Source::Difference {
            of: Arc::new(Raster::new(20, 10, pixels)),
            from: Box::new(Source::Picture(from)),
            at: [6, 4],
            gain: 2.5,
        };
        let mut expected = [[0, 0, 0, 255]; 200];
        expected[3] = [40, 40, 40, 255];
        expected[4] = [0, 255, 0, 255];
        assert_eq!(whole_level(&source, 0), expected);
    }

    #[test]
    fn every_level_is_compared_with_the_same_level_of_the_other_at_its_place() {
        let from = Source::Enlarged(picture(300, 270), Filter::Bicubic);
        let (columns, rows) = (520, 300);
        let pixels = from.pixels(0, 64, 128, columns, rows);
        let source = Source::Difference {
            of: Arc::new(Raster::new(columns, rows, pixels)),
            from: Box::new(from),
            at: [64, 128],
            gain: 9.0,
        };
        assert_eq!(source.levels(), 3);
        for level in 0..3 {
            let black = |pixel: &[u8; 4]| *pixel == [0, 0, 0, 255];
            assert!(whole_level(&source, level).iter().all(black));
        }
    }

    /// Whatever has the same mean as the input would be black otherwise.
    #[test]
    fn a_difference_in_details_is_seen_from_afar() {
        let input = Arc::new(Raster::new(80, 60, vec![[100, 100, 100, 255]; 80 * 60]));
        let checks = |i: usize| {
            if (i + i / 320).is_multiple_of(2) {
                90
            } else {
                110
            }
        };
        let pixels = (0..320 * 240).map(|i| [checks(i), checks(i), checks(i), 255]);
        let source = Source::Difference {
            of: Arc::new(Raster::new(320, 240, pixels.collect())),
            from: Box::new(Source::Enlarged(input, Filter::Bicubic)),
            at: [0, 0],
            gain: 8.0,
        };
        for level in 0..3 {
            let gray = |pixel: &[u8; 4]| *pixel == [80, 80, 80, 255];
            assert!(whole_level(&source, level).iter().all(gray), "{level}");
        }
    }

    #[test]
    fn sources_have_the_same_key_only_if_they_look_the_same() {
        let (one, other) = (picture(3, 2), picture(3, 2));
        let enlarged = |filter| Source::Enlarged(Arc::clone(&one), filter);
        let difference = |gain, at| Source::Difference {
            of: Arc::clone(&other),
            from: Box::new(enlarged(Filter::Bicubic)),
            at,
            gain,
        };
        let all = || {
            [
                Source::Picture(Arc::clone(&one)),
                Source::Picture(Arc::clone(&other)),
                enlarged(Filter::Bicubic),
                enlarged(Filter::Nearest),
                difference(1.0, [0, 0]),
                difference(2.0, [0, 0]),
                difference(2.0, [0, 4]),
            ]
            .map(|source| source.key())
        };
        let keys = all();
        assert_eq!(keys, all());
        for (i, key) in keys.iter().enumerate() {
            assert!(!keys[..i].contains(key), "{i}");
        }
    }
}
