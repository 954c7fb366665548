//! Mean shift in tensor operations, for devices that take no kernels of ours (CUDA, SPIR-V, MSL).

use burn::tensor::Tensor;

use super::MeanShift;
use super::single::{DOWN, far, scale};

const MAX: f64 = f32::MAX as f64;

/// What [`super::cpu::mean_shift`] computes, of f32 `[N, C, H, W]`, one particle after the other:
/// differences are taken directly, so that equal particles give exactly 0.
pub fn mean_shift(x: Tensor<4>, params: &MeanShift) -> Tensor<4> {
    let [_, _, h, w] = x.dims();
    let p = params.patch_size;
    // Whole patches, then what is left at the right, at the bottom and in the corner.
    let cut = |size: usize| {
        let whole = size / p * p;
        let rest = (size > whole).then_some((whole, size - whole, size - whole));
        (whole > 0)
            .then_some((0, whole, p))
            .into_iter()
            .chain(rest)
            .collect::<Vec<_>>()
    };
    let rows = cut(h)
        .into_iter()
        .map(|(top, height, patch_height)| {
            let columns = cut(w)
                .into_iter()
                .map(|(left, width, patch_width)| {
                    let part = x.clone().narrow(2, top, height).narrow(3, left, width);
                    shift_grid(part, [patch_height, patch_width], scale(params))
                })
                .collect();
            Tensor::cat(columns, 3)
        })
        .collect();
    Tensor::cat(rows, 2)
}

/// Mean shift where every patch has the size `[ph, pw]`.
fn shift_grid(x: Tensor<4>, [ph, pw]: [usize; 2], scale: f64) -> Tensor<4> {
    let [n, c, h, w] = x.dims();
    let (down, across) = (h / ph, w / pw);
    // [N, patches, values]
    let patches: Tensor<3> = x
        .reshape([n, c, down, ph, across, pw])
        .permute([0, 2, 4, 1, 3, 5])
        .reshape([n, down * across, c * ph * pw])
        * DOWN;
    let far = far(scale);
    let mut sum = patches.zeros_like();
    let mut total = sum.clone().narrow(2, 0, 1);
    for j in 0..n {
        let difference = patches.clone().narrow(0, j, 1) - patches.clone();
        let near = difference.clone().clamp(-far, far) * scale.sqrt() * scale.sqrt();
        let weight = near.square().sum_dim(2).neg().exp();
        sum = sum + difference * weight.clone();
        total = total + weight;
    }
    let shift = (sum / total).clamp(-MAX * DOWN, MAX * DOWN) / DOWN;
    shift
        .reshape([n, down, across, c, ph, pw])
        .permute([0, 3, 1, 4, 2, 5])
        .reshape([n, c, h, w])
}
