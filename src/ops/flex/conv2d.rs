//! Direct convolution, a tile of output pixels at a time.
//!
//! A task copies the padded input of its tile, some channels at a time, and adds up their products
//! with the weights, which are used as PyTorch stores them. Every output value is one sum over
//! channels and taps in their order: batch, tiles and threads change no bit.

use std::cell::RefCell;

use rayon::prelude::*;

use super::microkernel::{Area, Products, ROWS};
use crate::ops::Conv2d;

/// Output pixels of a tile, and at most so many columns.
const TILE_PIXELS: usize = 512;
const TILE_COLUMNS: usize = 128;
/// Products per pass and output value: the weights of a block of outputs stay in the first cache,
/// the tile's input (50 KiB with a 3×3 kernel) in the second.
const DEPTH: usize = 144;
/// Tasks per thread that even out the threads' work; small pictures are shared out by channels too.
const TASKS_PER_THREAD: usize = 4;

#[derive(Default)]
struct Workspace {
    input: Vec<f32>,
    offsets: Vec<usize>,
    sums: Vec<f32>,
}

thread_local! {
    static WORKSPACE: RefCell<Workspace> = RefCell::default();
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
    let [out_height, out_width] = [height, width].map(|size| params.extent(size, kernel));
    let shape = [n, channels_out, out_height, out_width];
    let values = shape.iter().product();
    let mut out = Vec::<f32>::with_capacity(values);
    if values == 0 {
        return (out, shape);
    }
    let columns = out_width.min(TILE_COLUMNS);
    let rows = (TILE_PIXELS / columns).clamp(1, out_height);
    let (across, down) = (out_width.div_ceil(columns), out_height.div_ceil(rows));
    let tiles = n * down * across;
    let shares = (TASKS_PER_THREAD * rayon::current_num_threads()).div_ceil(tiles);
    let outputs = channels_out.div_ceil(shares).next_multiple_of(ROWS);
    let shares = channels_out.div_ceil(outputs);

    let target = SharedOut(out.as_mut_ptr());
    let input_size = channels_in * height * width;
    let depth = channels_in * kernel * kernel;
    (0..tiles * shares).into_par_iter().for_each(|task| {
        let (tile, first) = (task / shares, task % shares * outputs);
        let (picture, down) = (tile / across / down, tile / across % down);
        let (y, x_start) = (down * rows, tile % across * columns);
        let outputs = first..(first + outputs).min(channels_out);
        let tile = Tile {
            height,
            width,
            kernel,
            params,
            y,
            x: x_start,
            rows: rows.min(out_height - y),
            columns: columns.min(out_width - x_start),
        };
        WORKSPACE.with_borrow_mut(|workspace| {
            tile.convolve(
                &x[picture * input_size..][..input_size],
                &weight[outputs.start * depth..outputs.end * depth],
                &bias[outputs.clone()],
                workspace,
            );
            let area = tile.area();
            for (o, sums) in outputs.zip(workspace.sums.chunks_exact(area.size())) {
                for (row, sums) in sums.chunks(area.pitch).take(tile.rows).enumerate() {
                    let start = ((picture * channels_out + o) * out_height + y + row) * out_width;
                    // SAFETY: this row of this tile of output channel `o` is inside `out`, and no
                    // other task writes it.
                    unsafe { target.write(start + x_start, &sums[..tile.columns]) };
                }
            }
        });
    });
    // SAFETY: the tiles cover every row of every output channel.
    unsafe { out.set_len(values) };
    (out, shape)
}

/// A pointer that tasks share, each writing its own elements.
struct SharedOut(*mut f32);
// SAFETY: see the call site; no element is written by two tasks.
unsafe impl Sync for SharedOut {}

impl SharedOut {
    /// SAFETY: `start..start + values.len()` must lie inside the allocation and be nobody else's.
    unsafe fn write(&self, start: usize, values: &[f32]) {
        unsafe { std::ptr::copy_nonoverlapping(values.as_ptr(), self.0.add(start), values.len()) }
    }
}

/// Output pixels `y.., x..` of one picture.
struct Tile {
    height: usize,
    width: usize,
    kernel: usize,
    params: Conv2d,
    y: usize,
    x: usize,
    rows: usize,
    columns: usize,
}

impl Tile {
    /// The tile's pixels in the workspace, with room for a kernel's reach behind each row.
    fn area(&self) -> Area {
        Area {
            lines: self.rows,
            columns: self.columns,
            pitch: self.columns + (self.kernel - 1) / self.params.stride,
        }
    }

    /// Leaves the tile's results in `workspace.sums`, `[outputs, area.size()]`.
    fn convolve(&self, x: &[f32], weight: &[f32], bias: &[f32], workspace: &mut Workspace) {
        let Workspace {
            input,
            offsets,
            sums,
        } = workspace;
        let (stride, kernel) = (self.params.stride, self.kernel);
        let (taps, area) = (kernel * kernel, self.area());
        // Rows and columns of one remainder by the stride lie together, `[stride, stride, rows,
        // pitch]` per channel, so that a tap reads neighbours whatever the stride.
        let rows = self.rows + (kernel - 1) / stride;
        let place = |y: usize, x: usize| {
            ((y % stride * stride + x % stride) * rows + y / stride) * area.pitch + x / stride
        };
        let plane = stride * stride * rows * area.pitch;
        let block = (DEPTH / taps).max(1);

        offsets.clear();
        offsets.extend((0..block * taps).map(|k| {
            let (channel, tap) = (k / taps, k % taps);
            channel * plane + place(tap / kernel, tap % kernel)
        }));
        // The last pixels' farthest tap and the micro kernel's margin reach behind the last plane.
        input.resize(block * plane + kernel * area.pitch + area.size(), 0.0);
        sums.clear();
        for &bias in bias {
            sums.resize(sums.len() + area.size(), bias);
        }
        let channels = x.chunks_exact(self.height * self.width);
        let row_weights = channels.len() * taps;
        for first in (0..channels.len()).step_by(block) {
            let mut count = 0;
            for (x, planes) in channels
                .clone()
                .skip(first)
                .zip(input.chunks_mut(plane))
                .take(block)
            {
                self.copy(x, rows, area.pitch, planes);
                count += 1;
            }
            Products {
                weight: &weight[first * taps..],
                row_weights,
                values: input,
                offsets: &offsets[..count * taps],
                area,
            }
            .add_to(sums);
        }
    }

    /// Copies what the tile reads of one channel to `[stride, stride, rows, pitch]`.
    fn copy(&self, x: &[f32], rows: usize, pitch: usize, target: &mut [f32]) {
        let Conv2d {
            stride, pad_start, ..
        } = self.params;
        for (line, target) in target.chunks_exact_mut(pitch).enumerate() {
            let (phase, row) = (line / rows, line % rows);
            let (phase_y, phase_x) = (phase / stride, phase % stride);
            let y = ((self.y + row) * stride + phase_y).wrapping_sub(pad_start);
            if y >= self.height {
                target.fill(0.0);
                continue;
            }
            let source = &x[y * self.width..][..self.width];
            if stride == 1 {
                // Column i is input column x + i - pad_start.
                let before = pad_start.saturating_sub(self.x).min(pitch);
                let from = (self.x + before - pad_start).min(self.width);
                let inside = (pitch - before).min(self.width - from);
                target[..before].fill(0.0);
                target[before..before + inside].copy_from_slice(&source[from..from + inside]);
                target[before + inside..].fill(0.0);
            } else {
                for (i, target) in target.iter_mut().enumerate() {
                    let column = ((self.x + i) * stride + phase_x).wrapping_sub(pad_start);
                    *target = source.get(column).copied().unwrap_or(0.0);
                }
            }
        }
    }
}
