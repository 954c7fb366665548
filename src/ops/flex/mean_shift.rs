//! Mean shift as the processor likes it: a patch of all particles side by side in f32, each pair of
//! particles once. `kds::cpu` is its plain twin.

use rayon::prelude::*;

use crate::kds::{MeanShift, single};

/// Partial sums side by side, so that sums vectorise and round less.
const LANES: usize = 16;
const DOWN: f32 = single::DOWN as f32;
const CUTOFF: f32 = single::CUTOFF as f32;

/// A patch's place: rows, columns.
#[derive(Clone, Copy)]
struct Patch {
    top: usize,
    left: usize,
    height: usize,
    width: usize,
}

/// What a thread works in.
#[derive(Default)]
struct Workspace {
    /// `[N, D]`, scaled.
    values: Vec<f32>,
    /// `[N, D]`, sums of weighted differences.
    sums: Vec<f32>,
    /// `[N]`.
    totals: Vec<f32>,
}

/// `x` and the result are `[N, C, H, W]`; see [`crate::kds::cpu::mean_shift`].
pub fn mean_shift(x: &[f32], shape: [usize; 4], params: &MeanShift) -> Vec<f32> {
    let [n, c, h, w] = shape;
    let mut out = vec![0.0; x.len()];
    if x.is_empty() || n == 1 {
        return out;
    }
    let p = params.patch_size;
    let scale = single::scale(params);
    let kernel = Kernel {
        root_scale: scale.sqrt() as f32,
        far: single::far(scale) as f32,
    };
    let patches: Vec<Patch> = (0..h)
        .step_by(p)
        .flat_map(|top| {
            (0..w).step_by(p).map(move |left| Patch {
                top,
                left,
                height: p.min(h - top),
                width: p.min(w - left),
            })
        })
        .collect();
    let target = Target(out.as_mut_ptr());
    patches
        .par_iter()
        .for_each_init(Workspace::default, |work, &patch| {
            // Row `row` of channel `channel` of particle i's patch starts here, in x and in the result.
            let start = |i: usize, channel: usize, row: usize| {
                ((i * c + channel) * h + patch.top + row) * w + patch.left
            };
            let rows = || {
                (0..n).flat_map(move |i| {
                    (0..c).flat_map(move |channel| {
                        (0..patch.height).map(move |row| (i, channel, row))
                    })
                })
            };
            work.values.clear();
            for (i, channel, row) in rows() {
                let start = start(i, channel, row);
                let row = &x[start..start + patch.width];
                work.values.extend(row.iter().map(|v| v * DOWN));
            }
            shift(work, n, kernel);
            for ((i, channel, row), sums) in rows().zip(work.sums.chunks(patch.width)) {
                // SAFETY: patches do not overlap, and each is one task's.
                unsafe { target.write(start(i, channel, row), sums) };
            }
        });
    out
}

/// The result's memory, written by several threads in different places.
#[derive(Clone, Copy)]
struct Target(*mut f32);

// SAFETY: see where it is written.
unsafe impl Send for Target {}
unsafe impl Sync for Target {}

impl Target {
    /// # Safety
    /// `start..start + values.len()` lies in the result and is written by nobody else.
    unsafe fn write(self, start: usize, values: &[f32]) {
        unsafe { std::ptr::copy_nonoverlapping(values.as_ptr(), self.0.add(start), values.len()) };
    }
}

/// `w = exp(-Σ (root_scale² t)²)` over differences t, which are clamped to ±`far`.
#[derive(Clone, Copy)]
struct Kernel {
    root_scale: f32,
    far: f32,
}

/// Turns `work.values` into `work.sums`, which then hold the shifts.
fn shift(work: &mut Workspace, n: usize, kernel: Kernel) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        // SAFETY: the features were just found.
        return unsafe { shift_avx2(work, n, kernel) };
    }
    shift_anywhere(work, n, kernel);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn shift_avx2(work: &mut Workspace, n: usize, kernel: Kernel) {
    shift_anywhere(work, n, kernel);
}

#[inline(always)]
fn shift_anywhere(work: &mut Workspace, n: usize, kernel: Kernel) {
    let length = work.values.len() / n;
    work.sums.clear();
    work.sums.resize(work.values.len(), 0.0);
    work.totals.clear();
    work.totals.resize(n, 1.0);
    for j in 1..n {
        for i in 0..j {
            let pair = [i, j].map(|k| &work.values[k * length..][..length]);
            let exponent = exponent(pair, kernel);
            if exponent >= CUTOFF {
                continue;
            }
            let weight = (-exponent).exp();
            work.totals[i] += weight;
            work.totals[j] += weight;
            let (before, from_j) = work.sums.split_at_mut(j * length);
            let (to_i, to_j) = (&mut before[i * length..][..length], &mut from_j[..length]);
            for (((to_i, to_j), &a), &b) in to_i.iter_mut().zip(to_j).zip(pair[0]).zip(pair[1]) {
                let pull = weight * (b - a);
                *to_i += pull;
                *to_j -= pull;
            }
        }
    }
    let most = f32::MAX * DOWN;
    for (sums, total) in work.sums.chunks_mut(length).zip(&work.totals) {
        for sum in sums {
            *sum = (*sum / total).clamp(-most, most) / DOWN;
        }
    }
}

#[inline(always)]
fn exponent([a, b]: [&[f32]; 2], kernel: Kernel) -> f32 {
    let square = |a: f32, b: f32| {
        let t = (b - a).clamp(-kernel.far, kernel.far) * kernel.root_scale * kernel.root_scale;
        t * t
    };
    let mut lanes = [0f32; LANES];
    let ((a, rest_a), (b, rest_b)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (a, b) in a.iter().zip(b) {
        for ((lane, &a), &b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += square(a, b);
        }
    }
    let rest: f32 = rest_a.iter().zip(rest_b).map(|(&a, &b)| square(a, b)).sum();
    lanes.iter().sum::<f32>() + rest
}
