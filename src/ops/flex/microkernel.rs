//! The inner loop of a convolution: sums of products, a few rows by a few vectors in registers.
//!
//! Written once over plain arrays; the compiler makes vectors of them for each kind of processor.

/// Rows of a block: with two vectors per row their sums fill the registers of AVX2.
pub const ROWS: usize = 6;
/// Values that may be read and written past the end of a run of columns.
pub const MARGIN: usize = 32;

/// `sums[row][p] += Σ_k weight[row][k] · values[offsets[k] + p]` at the positions `p` of an area.
///
/// Each sum is taken in the order of k, whatever the area and the processor's vectors.
pub struct Products<'a> {
    /// `[rows, row_weights]`, of which the first `offsets.len()` of each row count.
    pub weight: &'a [f32],
    /// From one row of `weight` to the next.
    pub row_weights: usize,
    /// What is multiplied, with [`MARGIN`] values behind the last that counts.
    pub values: &'a [f32],
    /// Where each factor of a sum lies.
    pub offsets: &'a [usize],
    /// The positions that count.
    pub area: Area,
}

/// Positions `line * pitch + column`; those between two lines and up to [`MARGIN`] behind the last
/// may be computed too, for nothing.
#[derive(Clone, Copy)]
pub struct Area {
    pub lines: usize,
    pub columns: usize,
    pub pitch: usize,
}

impl Area {
    /// Values of one row of sums.
    pub fn size(&self) -> usize {
        self.lines * self.pitch + MARGIN
    }
}

impl Products<'_> {
    /// Adds to `sums`, `[rows, area.size()]`.
    pub fn add_to(&self, sums: &mut [f32]) {
        let rows = sums.len() / self.area.size();
        let farthest = self
            .offsets
            .iter()
            .max()
            .map_or(0, |o| o + self.area.size());
        assert!(farthest <= self.values.len() && self.area.columns <= self.area.pitch);
        assert!(
            rows == 0 || (rows - 1) * self.row_weights + self.offsets.len() <= self.weight.len()
        );
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the features are there, and the bounds were checked above.
        unsafe {
            if is_x86_feature_detected!("avx512f") {
                self.add_avx512(rows, sums);
            } else if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                self.add_avx2(rows, sums);
            } else {
                self.add::<8, false>(rows, sums);
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        // SAFETY: the bounds were checked above.
        unsafe {
            self.add::<16, { cfg!(target_arch = "aarch64") }>(rows, sums);
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f")]
    unsafe fn add_avx512(&self, rows: usize, sums: &mut [f32]) {
        unsafe { self.add::<32, true>(rows, sums) }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn add_avx2(&self, rows: usize, sums: &mut [f32]) {
        unsafe { self.add::<16, true>(rows, sums) }
    }

    /// In blocks of [`ROWS`] rows and `WIDTH` positions.
    #[inline(always)]
    unsafe fn add<const WIDTH: usize, const FUSED: bool>(&self, rows: usize, sums: &mut [f32]) {
        const { assert!(WIDTH <= MARGIN) };
        let Area {
            lines,
            columns,
            pitch,
        } = self.area;
        // Lines of whole blocks are taken one by one, others with what lies between them.
        let (runs, length) = if columns % WIDTH == 0 {
            (lines, columns)
        } else {
            (1, lines * pitch)
        };
        for row in (0..rows).step_by(ROWS) {
            for run in 0..runs {
                for start in (run * pitch..run * pitch + length).step_by(WIDTH) {
                    // SAFETY: as the caller's.
                    unsafe {
                        match rows - row {
                            1 => self.block::<1, WIDTH, FUSED>(row, start, sums),
                            2 => self.block::<2, WIDTH, FUSED>(row, start, sums),
                            3 => self.block::<3, WIDTH, FUSED>(row, start, sums),
                            4 => self.block::<4, WIDTH, FUSED>(row, start, sums),
                            5 => self.block::<5, WIDTH, FUSED>(row, start, sums),
                            _ => self.block::<ROWS, WIDTH, FUSED>(row, start, sums),
                        }
                    }
                }
            }
        }
    }

    /// SAFETY: rows `row..row + HEIGHT` and positions `start..start + WIDTH` lie inside `sums`, and
    /// so does everything they are computed from.
    #[inline(always)]
    unsafe fn block<const HEIGHT: usize, const WIDTH: usize, const FUSED: bool>(
        &self,
        row: usize,
        start: usize,
        sums: &mut [f32],
    ) {
        let size = self.area.size();
        // SAFETY: see above.
        unsafe {
            let target = sums.as_mut_ptr().add(row * size + start);
            let weight = self.weight.as_ptr().add(row * self.row_weights);
            let values = self.values.as_ptr().add(start);
            let mut block = [[0f32; WIDTH]; HEIGHT];
            for (k, &offset) in self.offsets.iter().enumerate() {
                let values = values.add(offset).cast::<[f32; WIDTH]>().read();
                for (i, block) in block.iter_mut().enumerate() {
                    let weight = *weight.add(i * self.row_weights + k);
                    for (sum, value) in block.iter_mut().zip(values) {
                        *sum = if FUSED {
                            weight.mul_add(value, *sum)
                        } else {
                            weight * value + *sum
                        };
                    }
                }
            }
            for (i, block) in block.iter().enumerate() {
                let target = target.add(i * size).cast::<[f32; WIDTH]>();
                let mut sums = target.read();
                for (sum, block) in sums.iter_mut().zip(block) {
                    *sum += block;
                }
                target.write(sums);
            }
        }
    }
}
