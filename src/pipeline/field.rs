//! Latents of all particles in the machine's own memory: parts go to the device and come back.

use std::ops::Range;

use rayon::prelude::*;

use super::tiling::Tile;
use super::{Latents, Region};

impl Latents {
    /// Nothing but zeros, `[N, C, H, W]`.
    pub(super) fn zeros(shape: [usize; 4]) -> Self {
        Latents {
            shape,
            values: vec![0.0; shape.iter().product()],
        }
    }

    /// `[n, C, h, w]` of some particles within `place`.
    pub(super) fn cut(&self, particles: Range<usize>, place: Region) -> Vec<f32> {
        let [_, c, h, w] = self.shape;
        let planes = &self.values[particles.start * c * h * w..particles.end * c * h * w];
        cut(planes, [h, w], place)
    }

    /// Sets values within `place` from `[n, C, h, w]`, the first of them for particle `first`.
    pub(super) fn put(&mut self, first: usize, place: Region, values: &[f32]) {
        let [_, c, h, w] = self.shape;
        let planes = self.values[first * c * h * w..].chunks_exact_mut(h * w);
        for (plane, values) in planes.zip(values.chunks_exact(place.height * place.width)) {
            for (y, row) in values.chunks_exact(place.width).enumerate() {
                plane[(place.top + y) * w + place.left..][..place.width].copy_from_slice(row);
            }
        }
    }

    /// Adds a tile's share of `[n, C, h, w]`, the first of them for particle `first`.
    pub(super) fn add(&mut self, first: usize, tile: &Tile, values: &[f32]) {
        let [_, c, h, w] = self.shape;
        let Region {
            left,
            top,
            width,
            height,
        } = tile.place;
        self.values[first * c * h * w..]
            .par_chunks_exact_mut(h * w)
            .zip(values.par_chunks_exact(height * width))
            .for_each(|(plane, values)| {
                let rows = values.chunks_exact(width).zip(tile.rows);
                for (y, (values, row)) in rows.enumerate() {
                    let sums = &mut plane[(top + y) * w + left..][..width];
                    for ((sum, value), column) in sums.iter_mut().zip(values).zip(tile.columns) {
                        *sum += value * (row * column);
                    }
                }
            });
    }

    /// One particle: `[C, H, W]`.
    pub(super) fn particle(&self, i: usize) -> Vec<f32> {
        let [_, c, h, w] = self.shape;
        self.values[i * c * h * w..][..c * h * w].to_vec()
    }
}

/// The part of planes of `[height, width]` within `place`.
pub(super) fn cut(planes: &[f32], [height, width]: [usize; 2], place: Region) -> Vec<f32> {
    let mut values =
        Vec::with_capacity(planes.len() / (height * width) * place.height * place.width);
    for plane in planes.chunks_exact(height * width) {
        for row in plane.chunks_exact(width).skip(place.top).take(place.height) {
            values.extend_from_slice(&row[place.left..place.left + place.width]);
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::tiling::Tiling;

    #[test]
    fn what_is_cut_and_put_back_changes_nothing_and_tiles_add_up_to_the_whole() {
        let mut field = Latents::zeros([2, 3, 12, 20]);
        for (i, value) in field.values.iter_mut().enumerate() {
            *value = (i * 37 % 101) as f32 - 50.0;
        }
        let original = field.clone();
        let place = Region {
            left: 4,
            top: 2,
            width: 7,
            height: 5,
        };
        let part = field.cut(0..2, place);
        assert_eq!(part.len(), 2 * 3 * 7 * 5);
        assert_eq!(part[0], field.values[2 * 20 + 4]);
        field.put(0, place, &part);
        assert_eq!(field, original);

        let mut sum = Latents::zeros(field.shape);
        for tile in Tiling::new([12, 20], 8, 4, 4).tiles() {
            for particle in 0..2 {
                let values = field.cut(particle..particle + 1, tile.place);
                sum.add(particle, &tile, &values);
            }
        }
        let pairs = sum.values.iter().zip(&field.values);
        assert!(pairs.into_iter().all(|(a, b)| (a - b).abs() < 1e-4));
    }
}
