//! A canvas cut into overlapping tiles, and what each tile counts where several lie.
//!
//! Along each axis a tile's weight falls smoothly to nothing across its overlap with the next, and the
//! weights of all tiles sum to 1 everywhere: the cut leaves no edge, and one tile alone counts fully.

use super::Region;

/// Tiles along both axes.
#[derive(Clone, Debug, PartialEq)]
pub struct Tiling {
    rows: Vec<Span>,
    columns: Vec<Span>,
}

/// One tile's extent along one axis.
#[derive(Clone, Debug, PartialEq)]
struct Span {
    start: usize,
    /// What the tile counts at each of its cells, 0..=1.
    weights: Vec<f32>,
}

/// A tile on its canvas, in cells.
#[derive(Clone, Debug, PartialEq)]
pub struct Tile<'a> {
    /// Where it lies.
    pub place: Region,
    /// Its weights by row and by column; a cell's is their product.
    pub rows: &'a [f32],
    /// See `rows`.
    pub columns: &'a [f32],
}

impl Tiling {
    /// Cuts a canvas of `[height, width]` into tiles of at most `tile` cells a side that overlap by at
    /// least `overlap`, or by as much as leaves something of a tile; everything is a multiple of
    /// `multiple`, as the canvas must be.
    pub fn new([height, width]: [usize; 2], tile: usize, overlap: usize, multiple: usize) -> Self {
        Tiling {
            rows: spans(height, tile, overlap, multiple),
            columns: spans(width, tile, overlap, multiple),
        }
    }

    /// All tiles, row by row.
    pub fn tiles(&self) -> impl Iterator<Item = Tile<'_>> {
        self.rows.iter().flat_map(move |row| {
            self.columns.iter().map(move |column| Tile {
                place: Region {
                    left: column.start,
                    top: row.start,
                    width: column.weights.len(),
                    height: row.weights.len(),
                },
                rows: &row.weights,
                columns: &column.weights,
            })
        })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.rows.len() * self.columns.len()
    }

    /// The largest tile: rows, columns.
    pub fn largest(&self) -> [usize; 2] {
        [&self.rows, &self.columns].map(|spans| {
            spans
                .iter()
                .map(|span| span.weights.len())
                .max()
                .unwrap_or(0)
        })
    }

    /// Cells of all tiles together.
    pub fn cells(&self) -> usize {
        let [rows, columns] = [&self.rows, &self.columns]
            .map(|spans| spans.iter().map(|span| span.weights.len()).sum::<usize>());
        rows * columns
    }
}

/// Equal tiles along one axis, as few as cover it.
fn spans(length: usize, tile: usize, overlap: usize, multiple: usize) -> Vec<Span> {
    let tile = (tile / multiple).max(1) * multiple;
    if length <= tile {
        return vec![Span {
            start: 0,
            weights: vec![1.0; length],
        }];
    }
    let overlap = overlap.next_multiple_of(multiple).min(tile - multiple);
    let count = (length - overlap).div_ceil(tile - overlap);
    // The same number of tiles, each as small as it may be.
    let size = (length + (count - 1) * overlap)
        .div_ceil(count)
        .next_multiple_of(multiple);
    let last = length - size;
    let start = |i: usize| last * i / (count - 1) / multiple * multiple;
    let starts: Vec<usize> = (0..count).map(start).collect();
    let mut weights: Vec<Vec<f64>> = (0..count)
        .map(|i| {
            let fade_in = if i == 0 {
                0
            } else {
                starts[i - 1] + size - starts[i]
            };
            let fade_out = if i + 1 == count {
                0
            } else {
                starts[i] + size - starts[i + 1]
            };
            (0..size)
                .map(|x| fade(x, fade_in) * fade(size - 1 - x, fade_out))
                .collect()
        })
        .collect();
    // Where more than two tiles meet, fades do not complete each other.
    let mut sums = vec![0f64; length];
    for (start, weights) in starts.iter().zip(&weights) {
        for (x, weight) in weights.iter().enumerate() {
            sums[start + x] += weight;
        }
    }
    for (start, weights) in starts.iter().zip(&mut weights) {
        for (x, weight) in weights.iter_mut().enumerate() {
            *weight /= sums[start + x];
        }
    }
    starts
        .into_iter()
        .zip(weights)
        .map(|(start, weights)| Span {
            start,
            weights: weights.into_iter().map(|weight| weight as f32).collect(),
        })
        .collect()
}

/// The weight of the cell `x` cells from a tile's edge that fades in over `length` cells: a squared sine,
/// which two tiles complete to 1.
fn fade(x: usize, length: usize) -> f64 {
    if x >= length {
        return 1.0;
    }
    let part = (x as f64 + 0.5) / length as f64;
    (part * std::f64::consts::FRAC_PI_2).sin().powi(2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_canvas_that_fits_is_one_tile_that_counts_fully() {
        let tiling = Tiling::new([20, 24], 24, 8, 4);
        assert_eq!(tiling.count(), 1);
        let tile = tiling.tiles().next().unwrap();
        assert_eq!((tile.place.height, tile.place.width), (20, 24));
        assert!(
            tile.rows
                .iter()
                .chain(tile.columns)
                .all(|&weight| weight == 1.0)
        );
    }

    proptest! {
        #[test]
        fn tiles_cover_everything_overlap_enough_and_sum_to_one(
            (rows, columns) in (1usize..150, 1usize..150),
            tile in 1usize..20,
            overlap in 0usize..3,
            multiple in prop::sample::select(vec![1usize, 4, 8]),
        ) {
            let (tile, overlap) = (tile * multiple, overlap * multiple);
            let least = overlap.min(tile - multiple);
            let [height, width] = [rows * multiple, columns * multiple];
            let tiling = Tiling::new([height, width], tile, overlap, multiple);
            let mut sums = vec![0f64; height * width];
            let mut cells = 0;
            for Tile { place, rows, columns } in tiling.tiles() {
                prop_assert!(place.width <= tile && place.height <= tile);
                for edge in [place.left, place.top, place.width, place.height] {
                    prop_assert!(edge.is_multiple_of(multiple));
                }
                prop_assert!(place.left + place.width <= width && place.top + place.height <= height);
                cells += place.width * place.height;
                for (y, row) in rows.iter().enumerate() {
                    for (x, column) in columns.iter().enumerate() {
                        prop_assert!(row * column >= 0.0);
                        sums[(place.top + y) * width + place.left + x] += f64::from(row * column);
                    }
                }
            }
            prop_assert_eq!(cells, tiling.cells());
            prop_assert!(sums.iter().all(|sum| (sum - 1.0).abs() < 1e-6));
            for spans in [&tiling.rows, &tiling.columns] {
                for pair in spans.windows(2) {
                    prop_assert!(pair[0].start + pair[0].weights.len() >= pair[1].start + least);
                }
            }
        }
    }
}
