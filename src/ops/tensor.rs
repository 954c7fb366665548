//! The operations from burn's own ones, for devices that take no kernels of ours. Slower than the
//! kernels, equal to them up to rounding.

use burn::tensor::{
    DType, FloatDType, Tensor, activation::silu, module, ops::ConvOptions, ops::PadMode,
};

use super::{Conv2d, GroupNorm};

/// See [`super::group_norm`]; statistics in f32.
pub fn group_norm(
    x: Tensor<4>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    params: GroupNorm,
) -> Tensor<4> {
    let [n, c, h, w] = x.dims();
    let dtype = x.dtype();
    let groups: Tensor<5> =
        x.cast(FloatDType::F32)
            .reshape([n, params.groups, c / params.groups, h, w]);
    // One axis after the other: burn's sums of very long rows lose digits on some devices.
    let mean = |x: Tensor<5>| x.mean_dim(4).mean_dim(3).mean_dim(2);
    let centred = groups.clone() - mean(groups);
    let deviation = (mean(centred.clone().square()) + params.eps).sqrt();
    let normal: Tensor<4> = (centred / deviation).reshape([n, c, h, w]);
    let y = normal * weight.reshape([1, c, 1, 1]) + bias.reshape([1, c, 1, 1]);
    let y = if params.silu { silu(y) } else { y };
    match dtype {
        DType::F16 => y.cast(FloatDType::F16),
        _ => y,
    }
}

/// See [`super::conv2d`].
pub fn conv2d(x: Tensor<4>, weight: Tensor<4>, bias: Tensor<1>, params: Conv2d) -> Tensor<4> {
    let (start, end) = (params.pad_start, params.pad_end);
    let (x, padding) = if start == end {
        (x, start)
    } else {
        (x.pad((start, end, start, end), PadMode::Constant(0.0)), 0)
    };
    let bias = match x.dtype() {
        DType::F16 => bias.cast(FloatDType::F16),
        _ => bias,
    };
    let options = ConvOptions::new([params.stride; 2], [padding; 2], [1; 2], 1);
    module::conv2d(x, weight, Some(bias), options)
}

/// See [`super::upsample_nearest_2x`].
pub fn upsample_nearest_2x(x: Tensor<4>) -> Tensor<4> {
    let [n, c, h, w] = x.dims();
    x.reshape([n, c, h, 1, w, 1])
        .expand([n, c, h, 2, w, 2])
        .reshape([n, c, 2 * h, 2 * w])
}
