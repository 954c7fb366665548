//! Convolution as one matrix product per tile of output pixels.
//!
//! The weights `[O, I·K·K]` are used as PyTorch stores them; each tile's input values are laid out
//! as `[I·K·K, pixels]` by copying runs of rows (im2col), and the product lands in the NCHW result
//! directly. Tiles are cut per picture, so the batch size changes no bit.

use std::cell::RefCell;

use rayon::prelude::*;

use crate::ops::Conv2d;

/// Input values laid out per tile: 2 MiB per thread, which stays in the caches.
const TILE_VALUES: usize = 1 << 19;
/// Multiple of every vector width, so that only a picture's last tile has a remainder.
const TILE_ALIGN: usize = 64;

thread_local! {
    static COLUMNS: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// Returns the values and the shape `[N, O, H', W']`.
pub fn conv2d(
    x: &[f32],
    [n, channels_in, height, width]: [usize; 4],
    weight: &[f32],
    [channels_out, weight_in, kernel, _]: [usize; 4],
    bias: &[f32],
    params: Conv2d,
) -> (Vec<f32>, [usize; 4]) {
    assert_eq!(
        channels_in, weight_in,
        "input and weight disagree on the channels"
    );
    let padding = params.pad_start + params.pad_end;
    let extent = |size: usize| (size + padding).saturating_sub(kernel) / params.stride + 1;
    let (out_height, out_width) = (extent(height), extent(width));
    let pixels = out_height * out_width;
    let geometry = Geometry {
        height,
        width,
        kernel,
        out_width,
        params,
    };
    let depth = channels_in * kernel * kernel;
    let tile = (TILE_VALUES / depth / TILE_ALIGN).max(1) * TILE_ALIGN;
    // No more than a few tiles per thread, but at least one each.
    let share = pixels
        .div_ceil(rayon::current_num_threads())
        .next_multiple_of(TILE_ALIGN);
    let tile = if n == 1 { tile.min(share) } else { tile };

    let mut out = vec![0f32; n * channels_out * pixels];
    let target = SharedOut(out.as_mut_ptr());
    let tiles = pixels.div_ceil(tile);
    (0..n * tiles).into_par_iter().for_each(|task| {
        let (picture, start) = (task / tiles, task % tiles * tile);
        let length = tile.min(pixels - start);
        let x = &x[picture * channels_in * height * width..][..channels_in * height * width];
        COLUMNS.with_borrow_mut(|columns| {
            columns.resize(depth * length, 0.0);
            geometry.im2col(x, start, length, columns);
            let base = picture * channels_out * pixels + start;
            // SAFETY: task (picture, start) alone writes the elements
            // `base + o * pixels .. + length` of every output channel o, all inside `out`; the
            // matrix product reads `weight` [O, depth] and `columns` [depth, length] within bounds.
            unsafe {
                for (o, &bias) in bias.iter().enumerate().take(channels_out) {
                    let row = target.at(base + o * pixels);
                    std::slice::from_raw_parts_mut(row, length).fill(bias);
                }
                gemm::gemm(
                    channels_out,
                    length,
                    depth,
                    target.at(base),
                    1,
                    pixels as isize,
                    true,
                    weight.as_ptr(),
                    1,
                    depth as isize,
                    columns.as_ptr(),
                    1,
                    length as isize,
                    1.0,
                    1.0,
                    false,
                    false,
                    false,
                    gemm::Parallelism::None,
                );
            }
        });
    });
    (out, [n, channels_out, out_height, out_width])
}

/// A pointer that tasks share, each writing its own elements.
struct SharedOut(*mut f32);
// SAFETY: see the call site; no element is written by two tasks.
unsafe impl Sync for SharedOut {}

impl SharedOut {
    /// SAFETY: `offset` must lie inside the allocation.
    unsafe fn at(&self, offset: usize) -> *mut f32 {
        unsafe { self.0.add(offset) }
    }
}

struct Geometry {
    height: usize,
    width: usize,
    kernel: usize,
    out_width: usize,
    params: Conv2d,
}

impl Geometry {
    /// Lays out what output pixels `start..start + length` read: `columns` is
    /// `[I, K, K, length]`.
    fn im2col(&self, x: &[f32], start: usize, length: usize, columns: &mut [f32]) {
        let taps = self.kernel * self.kernel;
        for (row, target) in columns.chunks_exact_mut(length).enumerate() {
            let (channel, ky, kx) = (
                row / taps,
                row % taps / self.kernel,
                row % taps % self.kernel,
            );
            let plane = &x[channel * self.height * self.width..][..self.height * self.width];
            let mut done = 0;
            while done < length {
                let (oy, ox) = (
                    (start + done) / self.out_width,
                    (start + done) % self.out_width,
                );
                let run = (self.out_width - ox).min(length - done);
                self.copy_run(plane, oy, ox, ky, kx, &mut target[done..done + run]);
                done += run;
            }
        }
    }

    /// One tap's values for output pixels `ox..` of row `oy`, zero outside the picture.
    fn copy_run(
        &self,
        plane: &[f32],
        oy: usize,
        ox: usize,
        ky: usize,
        kx: usize,
        target: &mut [f32],
    ) {
        let Conv2d {
            stride, pad_start, ..
        } = self.params;
        let y = (oy * stride + ky).wrapping_sub(pad_start);
        if y >= self.height {
            return target.fill(0.0);
        }
        let row = &plane[y * self.width..][..self.width];
        if stride == 1 {
            // Output column o reads input column o + kx - pad_start.
            let before = pad_start.saturating_sub(ox + kx).min(target.len());
            let from = ox + kx + before - pad_start.min(ox + kx + before);
            let inside = target.len() - before;
            let inside = inside.min(self.width.saturating_sub(from));
            target[..before].fill(0.0);
            target[before..before + inside].copy_from_slice(&row[from.min(self.width)..][..inside]);
            target[before + inside..].fill(0.0);
        } else {
            for (i, target) in target.iter_mut().enumerate() {
                let column = ((ox + i) * stride + kx).wrapping_sub(pad_start);
                *target = row.get(column).copied().unwrap_or(0.0);
            }
        }
    }
}
