//! A part of a picture, enlarged as it would come out within the whole: same noise, same patch grid, and
//! some of what surrounds it for the network to see.

use super::Rgb;
use crate::model::SCALE;

/// Pixels of the input that the network sees around a region. With the bundled model that brings a region
/// to within 1 of 255 of the same part of the whole, on average; 32 would halve the rest.
pub const MARGIN: usize = 16;

/// A rectangle of the input, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// First column.
    pub left: usize,
    /// First row.
    pub top: usize,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

impl Region {
    /// All of a picture.
    pub fn whole(picture: &Rgb) -> Self {
        Region {
            left: 0,
            top: 0,
            width: picture.width,
            height: picture.height,
        }
    }

    /// The smallest region on a grid of `step` pixels that holds what of this one lies in `picture`; at
    /// least one cell of the grid, cut at the picture's far edges.
    pub fn on_grid(self, step: usize, picture: &Rgb) -> Self {
        let start = |start: usize, size: usize| start.min(size.saturating_sub(1)) / step * step;
        let left = start(self.left, picture.width);
        let top = start(self.top, picture.height);
        let end = |start: usize, end: usize, size: usize| {
            end.max(start + 1).next_multiple_of(step).min(size)
        };
        let right = end(left, self.left.saturating_add(self.width), picture.width);
        let bottom = end(top, self.top.saturating_add(self.height), picture.height);
        Region {
            left,
            top,
            width: right - left,
            height: bottom - top,
        }
    }

    /// This region and its surroundings, on the same grid.
    pub(super) fn with_surroundings(self, step: usize, picture: &Rgb) -> Self {
        let (left, top) = (
            self.left.saturating_sub(MARGIN),
            self.top.saturating_sub(MARGIN),
        );
        Region {
            left,
            top,
            width: self.left + self.width + MARGIN - left,
            height: self.top + self.height + MARGIN - top,
        }
        .on_grid(step, picture)
    }

    /// This part of `picture`.
    pub fn cut(self, picture: &Rgb) -> Rgb {
        let rows = picture.values.chunks_exact(3 * picture.width);
        let values = rows
            .skip(self.top)
            .take(self.height)
            .flat_map(|row| &row[3 * self.left..3 * (self.left + self.width)]);
        Rgb {
            width: self.width,
            height: self.height,
            values: values.copied().collect(),
        }
    }

    /// Where this region of an input lies in its enlargement.
    pub(super) fn enlarged(self) -> Self {
        Region {
            left: self.left * SCALE,
            top: self.top * SCALE,
            width: self.width * SCALE,
            height: self.height * SCALE,
        }
    }

    /// Where this region lies in the enlargement of `seen`.
    pub(super) fn enlarged_within(self, seen: Region) -> Self {
        Region {
            left: self.left - seen.left,
            top: self.top - seen.top,
            ..self
        }
        .enlarged()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn picture(width: usize, height: usize) -> Rgb {
        Rgb {
            width,
            height,
            values: (0..width * height * 3).map(|v| v as f32).collect(),
        }
    }

    #[test]
    fn a_cut_has_the_pictures_values() {
        let part = Region {
            left: 1,
            top: 2,
            width: 2,
            height: 1,
        };
        let cut = part.cut(&picture(4, 3));
        assert_eq!((cut.width, cut.height), (2, 1));
        assert_eq!(cut.values, [27.0, 28.0, 29.0, 30.0, 31.0, 32.0]);
    }

    proptest! {
        #[test]
        fn a_snapped_region_lies_on_the_grid_and_in_the_picture(
            (w, h) in (1usize..200, 1usize..200),
            (left, top, width, height) in (0usize..300, 0usize..300, 0usize..300, 0usize..300),
            step in 1usize..40,
        ) {
            let picture = Rgb { width: w, height: h, values: Vec::new() };
            let asked = Region { left, top, width, height };
            let got = asked.on_grid(step, &picture);
            prop_assert!(got.left.is_multiple_of(step) && got.top.is_multiple_of(step));
            prop_assert!(got.width > 0 && got.height > 0);
            let (right, bottom) = (got.left + got.width, got.top + got.height);
            prop_assert!(right == w || (right < w && right.is_multiple_of(step)));
            prop_assert!(bottom == h || (bottom < h && bottom.is_multiple_of(step)));
            // What was asked for and is there, is in it.
            prop_assert!(got.left <= left.min(w - 1) && right >= (left + width).min(w));
            prop_assert!(got.top <= top.min(h - 1) && bottom >= (top + height).min(h));
            prop_assert_eq!(got.on_grid(step, &picture), got);
            let seen = got.with_surroundings(step, &picture);
            prop_assert!(seen.left <= got.left && seen.left + seen.width >= right);
        }
    }
}
