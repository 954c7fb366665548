//! Decoding in tiles, so that what the decoder holds does not grow with the picture.
//!
//! Two things make a decoder's tile differ from the same part of the whole. What surrounds it, which is given
//! to it as context; and the statistics of its group normalisations, which are those of the whole picture.
//! These are gathered: first from a collage of small parts, then from all tiles, normalised with what is known so far.

use burn::tensor::Tensor;

use super::tiling::Tile;
use super::{Region, Rgb, Run, bad_picture, field, read};
use crate::error::Result;
use crate::model::{Norms, SCALE, Statistics};

/// How often statistics are gathered from all tiles, first at the latents' own resolution only, where it is
/// cheap and a third of them are …
const HEADS: usize = 2;
/// … then everywhere. Each round makes one more normalisation exact and brings the others closer. These
/// numbers leave errors of 1 to 3 of 255 at most, without edges; 8 and 3 leave a third of 255 and take twice
/// as long (`docs/measurements.md`).
const REFINEMENTS: usize = 1;
/// What a round at the latents' resolution costs of a whole one.
const HEAD_SHARE: f64 = 0.3;
/// How often the picture's tiles are decoded in all.
pub(super) const ROUNDS: f64 = HEADS as f64 * HEAD_SHARE + REFINEMENTS as f64 + 1.0;
/// The collage's work, in tiles.
pub(super) const COLLAGE_SHARE: f64 = 1.0;
/// Side of the collage's parts, in cells.
const PATCH: usize = 32;

impl Run<'_> {
    /// The picture of `z` `[C, H, W]`, values in 0..=1 (or no numbers).
    pub(super) fn decoded(&mut self, z: &[f32]) -> Result<Rgb> {
        if self.plan.cut.decoder.count() == 1 {
            self.cancel.check()?;
            let planes = read(
                self.model
                    .vqvae()
                    .decode(self.part(z.to_vec(), 1, self.whole())),
            )?;
            let finite = planes.iter().all(|v| v.is_finite());
            self.progress(self.plan.decode);
            return match finite {
                true => Ok(self.canvas.crop(&planes, SCALE)),
                false => Err(no_numbers()),
            };
        }
        let cut = self.plan.cut.clone();
        let work = self.plan.decode / (ROUNDS * cut.decoder.count() as f64 + COLLAGE_SHARE);

        let mut statistics = self.collage(z)?;
        self.progress(work * COLLAGE_SHARE);
        for round in 0..HEADS + REFINEMENTS {
            let head = round < HEADS;
            let mut refined = Statistics::new();
            for tile in cut.decoder.tiles() {
                self.cancel.check()?;
                let seen = self.around(tile.place);
                let norms = Norms::given(statistics.clone()).gathering(within(tile.place, seen));
                // The result itself is not needed, but what was measured on the way is.
                let part = self.part_of(z, seen);
                match head {
                    true => self.model.vqvae().decode_head(part, &norms),
                    false => drop(self.model.vqvae().decode_part(part, &norms)),
                }
                norms.add_to(&mut refined)?;
                self.progress(if head { HEAD_SHARE * work } else { work });
            }
            // A head says nothing of what follows it.
            refined.extend(statistics.drain(refined.len()..));
            statistics = refined;
        }

        let [height, width] = self.canvas.picture.map(|side| side * SCALE);
        let mut picture = Rgb {
            width,
            height,
            values: vec![0.0; height * width * 3],
        };
        let norms = Norms::given(statistics);
        for tile in cut.decoder.tiles() {
            self.cancel.check()?;
            let seen = self.around(tile.place);
            let planes = self
                .model
                .vqvae()
                .decode_part(self.part_of(z, seen), &norms);
            add(&mut picture, &tile, seen, &read(planes)?)?;
            self.progress(work);
        }
        for value in &mut picture.values {
            *value = value.clamp(0.0, 1.0);
        }
        Ok(picture)
    }

    /// A part of `z` on the device.
    fn part_of(&self, z: &[f32], place: Region) -> Tensor<4> {
        self.part(field::cut(z, self.canvas.padded, place), 1, place)
    }

    /// `place` with the context that the decoder needs around it.
    fn around(&self, place: Region) -> Region {
        let context = self.plan.cut.context;
        let [height, width] = self.canvas.padded;
        let span = |start: usize, size: usize, length: usize| {
            let first = start.saturating_sub(context);
            (first, length.min(start + size + context) - first)
        };
        let (left, width) = span(place.left, place.width, width);
        let (top, height) = span(place.top, place.height, height);
        Region {
            left,
            top,
            width,
            height,
        }
    }

    /// Statistics of small parts of `z` from all over it, decoded side by side as one picture.
    fn collage(&self, z: &[f32]) -> Result<Statistics> {
        let [height, width] = self.canvas.padded;
        // As large as what the decoder sees of a tile.
        let around = 2 * self.plan.cut.context;
        let largest = self.plan.cut.decoder.largest();
        let [seen_height, seen_width] = [
            (largest[0] + around).min(height),
            (largest[1] + around).min(width),
        ];
        let patch = PATCH.min(seen_height).min(seen_width);
        let [rows, columns] = [seen_height / patch, seen_width / patch];
        let mut collage =
            super::Latents::zeros([1, z.len() / (height * width), rows * patch, columns * patch]);
        let spread = |i: usize, count: usize, length: usize| {
            // The middles of `count` equal parts.
            ((2 * i + 1) * length / (2 * count))
                .saturating_sub(patch / 2)
                .min(length - patch)
        };
        for row in 0..rows {
            for column in 0..columns {
                let side = |left, top| Region {
                    left,
                    top,
                    width: patch,
                    height: patch,
                };
                let from = side(spread(column, columns, width), spread(row, rows, height));
                let to = side(column * patch, row * patch);
                collage.put(0, to, &field::cut(z, [height, width], from));
            }
        }
        let norms = Norms::own().gathering([0.0, 1.0, 0.0, 1.0]);
        let [_, _, h, w] = collage.shape;
        let place = Region {
            left: 0,
            top: 0,
            width: w,
            height: h,
        };
        self.model
            .vqvae()
            .decode_part(self.part(collage.values, 1, place), &norms);
        let mut statistics = Statistics::new();
        norms.add_to(&mut statistics)?;
        Ok(statistics)
    }
}

/// Where `place` lies within `seen`, as fractions of it.
fn within(place: Region, seen: Region) -> [f64; 4] {
    let at = |offset: usize, size: usize| offset as f64 / size as f64;
    let (top, left) = (place.top - seen.top, place.left - seen.left);
    [
        at(top, seen.height),
        at(top + place.height, seen.height),
        at(left, seen.width),
        at(left + place.width, seen.width),
    ]
}

/// Adds a tile's share of `planes` `[3, 4h, 4w]` (around -1..1, of what was `seen`) to `picture`.
fn add(picture: &mut Rgb, tile: &Tile, seen: Region, planes: &[f32]) -> Result<()> {
    if !planes.iter().all(|v| v.is_finite()) {
        return Err(no_numbers());
    }
    let (place, seen_pixels) = (tile.place.enlarged(), seen.enlarged());
    let plane = seen_pixels.width * seen_pixels.height;
    // The canvas may reach beyond the picture.
    let bottom = picture.height.min(place.top + place.height);
    let right = picture.width.min(place.left + place.width);
    for y in place.top..bottom {
        let row = tile.rows[(y - place.top) / SCALE];
        let source = (y - seen_pixels.top) * seen_pixels.width;
        for x in place.left..right {
            let weight = row * tile.columns[(x - place.left) / SCALE];
            for channel in 0..3 {
                let value = planes[channel * plane + source + x - seen_pixels.left];
                picture.values[(y * picture.width + x) * 3 + channel] +=
                    weight * (value * 0.5 + 0.5);
            }
        }
    }
    Ok(())
}

fn no_numbers() -> crate::error::Error {
    bad_picture("the decoder produced values that are no numbers".into())
}
