//! Mean shift in plain Rust, in f64: the reference that every faster version must equal (`ops::flex` for
//! the processor, `shaders/mean_shift.wgsl` for graphics cards, `tensor_ops` for other compilers).

use rayon::prelude::*;

use super::MeanShift;

/// Two finite f32 may lie further apart than f32 reaches.
const MAX: f64 = f32::MAX as f64;

/// `m_i = Σ_j w_ij P_j / Σ_j w_ij - P_i` for every patch P of every particle i.
///
/// `x` and the result are `[N, C, H, W]`, row-major. Each latent is read a few times and written
/// once; beyond the result there is only one patch row per thread. Sums are taken in f64 and over
/// differences to particle i, so that equal particles give exactly 0 and no finite input overflows.
pub fn mean_shift(x: &[f32], shape: [usize; 4], params: &MeanShift) -> Vec<f32> {
    let [n, c, h, w] = shape;
    let mut shift = vec![0.0; x.len()];
    if x.is_empty() {
        return shift;
    }
    let p = params.patch_size;
    // One patch row of all particles and channels at a time: `[N, C, rows, W]`.
    let strips: Vec<Vec<f32>> = (0..h.div_ceil(p))
        .into_par_iter()
        .map(|strip| {
            let rows = strip * p..((strip + 1) * p).min(h);
            let mut out = vec![0.0; n * c * rows.len() * w];
            for left in (0..w).step_by(p) {
                let columns = left..(left + p).min(w);
                shift_patch(x, shape, &rows, &columns, params.inverse_width, &mut out);
            }
            out
        })
        .collect();
    for (strip, values) in strips.iter().enumerate() {
        let height = values.len() / (n * c * w);
        for (plane, rows) in values.chunks_exact(height * w).enumerate() {
            let start = (plane * h + strip * p) * w;
            shift[start..start + rows.len()].copy_from_slice(rows);
        }
    }
    shift
}

fn shift_patch(
    x: &[f32],
    [n, c, h, w]: [usize; 4],
    rows: &std::ops::Range<usize>,
    columns: &std::ops::Range<usize>,
    inverse_width: f64,
    out: &mut [f32],
) {
    // The patch of particle i, as its contiguous row segments.
    let segment = |i: usize, channel: usize, row: usize| {
        let start = ((i * c + channel) * h + row) * w;
        &x[start + columns.start..start + columns.end]
    };
    let mut weights = vec![1.0; n * n];
    for i in 0..n {
        for j in 0..i {
            let mut distance = 0.0;
            for channel in 0..c {
                for row in rows.clone() {
                    let pairs = segment(i, channel, row)
                        .iter()
                        .zip(segment(j, channel, row));
                    distance += pairs
                        .map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2))
                        .sum::<f64>();
                }
            }
            let weight = (-distance * inverse_width).exp();
            weights[i * n + j] = weight;
            weights[j * n + i] = weight;
        }
    }
    let mut sum = vec![0.0; columns.len()];
    for i in 0..n {
        let weights = &weights[i * n..(i + 1) * n];
        let total: f64 = weights.iter().sum();
        for channel in 0..c {
            for row in rows.clone() {
                let own = segment(i, channel, row);
                sum.fill(0.0);
                for (j, &weight) in weights.iter().enumerate() {
                    if weight == 0.0 {
                        continue;
                    }
                    for ((sum, &a), &b) in sum.iter_mut().zip(segment(j, channel, row)).zip(own) {
                        *sum += weight * (f64::from(a) - f64::from(b));
                    }
                }
                let start = ((i * c + channel) * rows.len() + row - rows.start) * w;
                let target = &mut out[start + columns.start..start + columns.end];
                for (target, sum) in target.iter_mut().zip(&sum) {
                    *target = (sum / total).clamp(-MAX, MAX) as f32;
                }
            }
        }
    }
}
