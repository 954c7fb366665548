//! Pictures that are made of what the screen shows: a comparison in one file, a copy for the clipboard.

use std::path::{Path, PathBuf};

use ab_glyph::{Font, FontRef, PxScale, ScaleFont, point};
use eframe::egui::FontDefinitions;

use super::state::Layer;
use super::tiles::level_size;
use crate::error::{Error, Result};
use crate::image_io::{self, Existing, Format, Picture};
use crate::model::SCALE;
use crate::pipeline::Region;

/// Pixels between two halves.
const GAP: usize = 8;
/// Height of a line of text, and of the letters in it.
const LINE: usize = 26;
const LETTERS: f32 = 17.0;
const PAPER: [u8; 4] = [24, 24, 26, 255];
const INK: [u8; 4] = [224, 224, 224, 255];

/// Pixels that the halves of a comparison, or a copy, have in all, at most: each takes about twenty bytes.
const MOST: usize = 100_000_000;

/// Columns, rows, and pixels with straight alpha.
type Pixels = (usize, usize, Vec<[u8; 4]>);

/// One picture of a comparison.
#[derive(Clone)]
pub struct Half {
    /// What it is called.
    pub title: String,
    /// Its pictures, the lowest first.
    pub layers: Vec<Layer>,
}

/// Pictures beside each other.
#[derive(Clone)]
pub struct Comparison {
    /// From left to right.
    pub halves: Vec<Half>,
    /// The part of the input that they show.
    pub region: Region,
    /// What stands below.
    pub caption: String,
}

/// What `layers` show of `region` of the input, four times as large.
///
/// # Errors
/// [`Error::Paths`] if that would be too much.
pub fn whole_half(layers: &[Layer], region: Region) -> Result<Pixels> {
    match level_for(region, 1) {
        0 => Ok(half(layers, region, 0)),
        _ => Err(Error::Paths(
            "the result is too large for the clipboard: save it instead".into(),
        )),
    }
}

/// How often `count` halves must be halved so that all of them can be held.
fn level_for(region: Region, count: usize) -> usize {
    let pixels = |level: usize| {
        let sides = [region.width, region.height].map(|side| (side * SCALE) >> level);
        sides[0] * sides[1] * count
    };
    (0..).find(|level| pixels(*level) <= MOST).unwrap_or(0)
}

/// `path` with an ending, that of PNG if it has none.
pub fn named(path: PathBuf) -> PathBuf {
    match path.extension() {
        Some(_) => path,
        None => path.with_extension("png"),
    }
}

/// What `layers` show of `region` of the input, four times as large, halved `level` times.
fn half(layers: &[Layer], region: Region, level: usize) -> Pixels {
    let sized = |side: usize| side.div_ceil(1 << level);
    let (width, height) = (sized(region.width * SCALE), sized(region.height * SCALE));
    let origin = [region.left, region.top].map(|start| (start * SCALE) >> level);
    let mut pixels = vec![[0, 0, 0, 255]; width * height];
    for (index, layer) in layers.iter().enumerate() {
        let (at, size) = (layer.at.map(|at| at >> level), layer.size.map(sized));
        let first = [at[0].max(origin[0]), at[1].max(origin[1])];
        let end = |axis: usize, side: usize| (at[axis] + size[axis]).min(origin[axis] + side);
        let (right, bottom) = (end(0, width), end(1, height));
        if first[0] >= right || first[1] >= bottom {
            continue;
        }
        // Quick pictures may be smaller than the place they stand for.
        let sizes = |level: usize| level_size(layer.source.size(), level);
        let own_level = (0..=level.min(layer.source.levels() - 1))
            .rev()
            .find(|level| sizes(*level)[0] >= size[0])
            .unwrap_or(0);
        let [own_width, own_height] = sizes(own_level);
        let columns: Vec<usize> = (first[0]..right)
            .map(|x| (x - at[0]) * own_width / size[0])
            .collect();
        for y in first[1]..bottom {
            let own_y = (y - at[1]) * own_height / size[1];
            let (from, to) = (columns[0], columns[columns.len() - 1]);
            let row =
                layer
                    .source
                    .pixels(own_level, from as isize, own_y as isize, to - from + 1, 1);
            let start = (y - origin[1]) * width + first[0] - origin[0];
            for (place, &x) in pixels[start..].iter_mut().zip(&columns) {
                let over = row[x - from];
                let strength = if index == 0 { 1.0 } else { layer.strength };
                for (below, over) in place.iter_mut().zip(over) {
                    let below_f = f32::from(*below);
                    *below = (below_f + strength * (f32::from(over) - below_f)).round() as u8;
                }
            }
        }
    }
    (width, height, pixels)
}

impl Comparison {
    /// Saves all halves beside each other, each under its title, with the caption below; a word says if
    /// they were too large to be saved in full.
    ///
    /// # Errors
    /// [`Error::Image`] if the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(PathBuf, String)> {
        let level = level_for(self.region, self.halves.len());
        let (caption, size) = match level {
            0 => (self.caption.clone(), String::new()),
            _ => {
                let size = format!(", reduced to 1/{}", 1 << level);
                (format!("{}{size}", self.caption), size)
            }
        };
        let halves: Vec<(&str, Pixels)> = (self.halves.iter())
            .map(|part| (&*part.title, half(&part.layers, self.region, level)))
            .collect();
        Ok((save(&halves, &caption, path)?, size))
    }
}

fn save(pictures: &[(&str, Pixels)], caption: &str, path: &Path) -> Result<PathBuf> {
    let path = named(path.to_path_buf());
    let format = Format::from_path(&path)?;
    let fonts = FontDefinitions::default();
    let font = fonts.font_data.get("Ubuntu-Light");
    let font = font.and_then(|data| FontRef::try_from_slice(data.font.as_ref().as_ref()).ok());
    let font = font.ok_or_else(|| Error::Compute("the program's own font is damaged".into()))?;

    let (columns, rows) = pictures
        .first()
        .map_or((0, 0), |(_, half)| (half.0, half.1));
    let width = pictures.len() * (columns + GAP) - GAP;
    let lines = wrapped(&font, caption, width.saturating_sub(2 * GAP));
    let height = LINE + rows + GAP + lines.len() * LINE;
    let mut sheet = Sheet {
        width,
        pixels: vec![PAPER; width * height],
    };
    for (index, (title, picture)) in pictures.iter().enumerate() {
        let left = index * (columns + GAP);
        sheet.write(&font, title, left + GAP, 0, columns.saturating_sub(GAP));
        for (y, row) in picture.2.chunks_exact(columns).enumerate() {
            let start = (LINE + y) * width + left;
            sheet.pixels[start..start + columns].copy_from_slice(row);
        }
    }
    for (index, line) in lines.iter().enumerate() {
        let top = LINE + rows + GAP / 2 + index * LINE;
        sheet.write(&font, line, GAP, top, width.saturating_sub(GAP));
    }
    let value = |v: u8| f32::from(v) / 255.0;
    let colours = sheet
        .pixels
        .iter()
        .flat_map(|p| [value(p[0]), value(p[1]), value(p[2])]);
    let picture = Picture::srgb(width, height, colours.collect());
    image_io::encode(&picture, &path, format, &Existing::Overwrite.into())?;
    Ok(path)
}

/// Words in lines of `width` pixels at most; a word that is longer has a line of its own.
fn wrapped(font: &FontRef, text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if length(font, &format!("{line} {word}")) <= width as f32 => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_string()),
        }
    }
    lines
}

fn length(font: &FontRef, text: &str) -> f32 {
    let font = font.as_scaled(PxScale::from(LETTERS));
    text.chars().map(|c| font.h_advance(font.glyph_id(c))).sum()
}

struct Sheet {
    width: usize,
    pixels: Vec<[u8; 4]>,
}

impl Sheet {
    /// Writes a line of `room` pixels at most; what does not fit is left out.
    fn write(&mut self, font: &FontRef, text: &str, left: usize, top: usize, room: usize) {
        let scaled = font.as_scaled(PxScale::from(LETTERS));
        let base = top as f32 + (LINE as f32 + scaled.ascent() + scaled.descent()) / 2.0;
        let end = (left + room).min(self.width) as f32;
        let mut x = left as f32;
        for character in text.chars() {
            let id = scaled.glyph_id(character);
            if x + scaled.h_advance(id) > end {
                break;
            }
            let glyph = id.with_scale_and_position(LETTERS, point(x, base));
            x += scaled.h_advance(id);
            let Some(outline) = font.outline_glyph(glyph) else {
                continue;
            };
            let bounds = outline.px_bounds();
            outline.draw(|dx, dy, cover| {
                let (x, y) = (
                    bounds.min.x as i64 + i64::from(dx),
                    bounds.min.y as i64 + i64::from(dy),
                );
                if (0..self.width as i64).contains(&x)
                    && let Ok(place) = usize::try_from(y * self.width as i64 + x)
                    && let Some(pixel) = self.pixels.get_mut(place)
                {
                    for (value, ink) in pixel.iter_mut().zip(INK) {
                        let below = f32::from(*value);
                        *value = (below + cover.min(1.0) * (f32::from(ink) - below)).round() as u8;
                    }
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::app::raster::Raster;
    use crate::app::tiles::Source;

    fn layer(at: [usize; 2], size: [usize; 2], shade: u8, strength: f32) -> Layer {
        let pixels = vec![[shade, shade, shade, 255]; size[0] * size[1]];
        Layer {
            source: Source::Picture(Arc::new(Raster::new(size[0], size[1], pixels))),
            at,
            size,
            strength,
        }
    }

    fn region() -> Region {
        Region {
            left: 1,
            top: 1,
            width: 40,
            height: 8,
        }
    }

    #[test]
    fn layers_lie_at_their_places_as_strong_as_they_should() {
        let layers = [
            layer([0, 0], [400, 400], 100, 1.0),
            layer([8, 8], [8, 8], 200, 0.5),
        ];
        let (width, height, pixels) = half(&layers, region(), 0);
        assert_eq!((width, height), (160, 32));
        assert_eq!(pixels[0][0], 100);
        assert_eq!(pixels[4 * 160 + 4][0], 150);
        assert_eq!(pixels[11 * 160 + 11][0], 150);
        assert_eq!(pixels[12 * 160 + 4][0], 100);
        let (width, height, pixels) = half(&layers, region(), 1);
        assert_eq!((width, height), (80, 16));
        let shades = [0, 2 * 80 + 2, 5 * 80 + 5, 6 * 80 + 2].map(|at| pixels[at][0]);
        assert_eq!(shades, [100, 150, 150, 100]);
    }

    #[test]
    fn what_is_too_large_is_halved_until_it_is_not() {
        let of = |width, height| Region {
            left: 0,
            top: 0,
            width,
            height,
        };
        assert_eq!(level_for(of(1500, 1000), 2), 0);
        assert_eq!(level_for(of(4000, 3000), 2), 1);
        assert_eq!(level_for(of(8000, 6000), 3), 3);
        assert!(whole_half(&[], of(8000, 6000)).is_err());
    }

    #[test]
    fn a_comparison_has_both_halves_titles_and_a_caption() {
        let folder = tempfile::tempdir().unwrap();
        let halves = [80, 160].map(|shade| Half {
            title: format!("shade {shade}"),
            layers: vec![layer([0, 0], [400, 400], shade, 1.0)],
        });
        let comparison = Comparison {
            halves: halves.to_vec(),
            region: region(),
            caption: "a caption of several words".into(),
        };
        let (path, size) = comparison.save(&folder.path().join("x")).unwrap();
        assert_eq!(size, "");
        let picture = image_io::decode(&path).unwrap().picture;
        assert_eq!(picture.width, 2 * 160 + GAP);
        let row = |y: usize| &picture.rgb[y * picture.width * 3..][..picture.width * 3];
        let middle = row(LINE + 16);
        assert!((middle[3 * 80] * 255.0 - 80.0).abs() < 0.5);
        assert!((middle[3 * 248] * 255.0 - 160.0).abs() < 0.5);
        let has_ink =
            |y: std::ops::Range<usize>| y.into_iter().any(|y| row(y).iter().any(|&v| v > 0.7));
        assert!(has_ink(0..LINE), "no title");
        assert!(has_ink(LINE + 32 + GAP / 2..picture.height), "no caption");
    }
}
