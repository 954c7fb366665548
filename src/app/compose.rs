//! Pictures that are made of what the screen shows: a comparison in one file, a copy for the clipboard.

use std::path::{Path, PathBuf};

use ab_glyph::{Font, FontRef, PxScale, ScaleFont, point};
use eframe::egui::FontDefinitions;

use super::errands::Half;
use super::state::Layer;
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

/// Columns, rows, and pixels with straight alpha.
type Pixels = (usize, usize, Vec<[u8; 4]>);

/// What `layers` show of `region` of the input, four times as large.
pub fn half(layers: &[Layer], region: Region) -> Pixels {
    let (width, height) = (region.width * SCALE, region.height * SCALE);
    let origin = [region.left * SCALE, region.top * SCALE];
    let mut pixels = vec![[0, 0, 0, 255]; width * height];
    for (index, layer) in layers.iter().enumerate() {
        let first = [layer.at[0].max(origin[0]), layer.at[1].max(origin[1])];
        let end =
            |axis: usize, side: usize| (layer.at[axis] + layer.size[axis]).min(origin[axis] + side);
        let (right, bottom) = (end(0, width), end(1, height));
        if first[0] >= right || first[1] >= bottom {
            continue;
        }
        let [own_width, own_height] = layer.source.size();
        // Quick pictures may be smaller than the place they stand for.
        let columns: Vec<usize> = (first[0]..right)
            .map(|x| (x - layer.at[0]) * own_width / layer.size[0])
            .collect();
        for y in first[1]..bottom {
            let own_y = (y - layer.at[1]) * own_height / layer.size[1];
            let (from, to) = (columns[0], columns[columns.len() - 1]);
            let row = layer
                .source
                .pixels(0, from as isize, own_y as isize, to - from + 1, 1);
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

/// Saves `halves` beside each other, each under its title, with `caption` below.
///
/// # Errors
/// [`Error::Image`] if the file cannot be written.
pub fn save(halves: &[Half], region: Region, caption: &str, path: &Path) -> Result<PathBuf> {
    let path = match path.extension() {
        Some(_) => path.to_path_buf(),
        None => path.with_extension("png"),
    };
    let format = Format::from_path(&path)?;
    let fonts = FontDefinitions::default();
    let font = fonts.font_data.get("Ubuntu-Light");
    let font = font.and_then(|data| FontRef::try_from_slice(data.font.as_ref().as_ref()).ok());
    let font = font.ok_or_else(|| Error::Compute("the program's own font is damaged".into()))?;

    let pictures: Vec<Pixels> = halves
        .iter()
        .map(|part| half(&part.layers, region))
        .collect();
    let (columns, rows) = (region.width * SCALE, region.height * SCALE);
    let width = pictures.len() * (columns + GAP) - GAP;
    let lines = wrapped(&font, caption, width.saturating_sub(2 * GAP));
    let height = LINE + rows + GAP + lines.len() * LINE;
    let mut sheet = Sheet {
        width,
        pixels: vec![PAPER; width * height],
    };
    for (index, (part, picture)) in halves.iter().zip(&pictures).enumerate() {
        let left = index * (columns + GAP);
        sheet.write(
            &font,
            &part.title,
            left + GAP,
            0,
            columns.saturating_sub(GAP),
        );
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
        let (width, height, pixels) = half(&layers, region());
        assert_eq!((width, height), (160, 32));
        assert_eq!(pixels[0][0], 100);
        assert_eq!(pixels[4 * 160 + 4][0], 150);
        assert_eq!(pixels[11 * 160 + 11][0], 150);
        assert_eq!(pixels[12 * 160 + 4][0], 100);
    }

    #[test]
    fn a_comparison_has_both_halves_titles_and_a_caption() {
        let folder = tempfile::tempdir().unwrap();
        let halves = [80, 160].map(|shade| Half {
            title: format!("shade {shade}"),
            layers: vec![layer([0, 0], [400, 400], shade, 1.0)],
        });
        let path = save(
            &halves,
            region(),
            "a caption of several words",
            &folder.path().join("x"),
        )
        .unwrap();
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
