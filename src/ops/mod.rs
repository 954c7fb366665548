//! Own operations on tensors, one trait over burn's devices: models and pipeline call a function
//! and never know which device runs it.
//!
//! `flex` holds the CPU side, `cube` the graphics cards, `tensor` the same from burn's own operations.
//! What burn does well enough (matrix products, sums, concatenation) is taken from burn.

mod attention;
pub mod cube;
mod flex;
pub mod tensor;

use burn::backend::{Backend, Dispatch, backend_extension, tensor::FloatTensor};
use burn::tensor::Tensor;

pub use attention::attention;

use crate::kds::MeanShift;

/// Group normalisation's parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GroupNorm {
    /// Number of groups that the channels are split into.
    pub groups: usize,
    /// Added to the variance.
    pub eps: f64,
    /// Whether SiLU follows.
    pub silu: bool,
}

/// A convolution's geometry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv2d {
    /// Step between output pixels, in both directions.
    pub stride: usize,
    /// Zeros before the first row and column.
    pub pad_start: usize,
    /// Zeros after the last row and column.
    pub pad_end: usize,
}

impl Conv2d {
    /// The result's rows or columns.
    pub(crate) fn extent(&self, size: usize, kernel: usize) -> usize {
        (size + self.pad_start + self.pad_end).saturating_sub(kernel) / self.stride + 1
    }
}

/// The operations that each kind of device implements.
#[backend_extension(Cube, Flex)]
pub trait Ops: Backend {
    /// See [`mean_shift`](self::mean_shift).
    fn mean_shift(x: FloatTensor<Self>, params: MeanShift) -> FloatTensor<Self>;
    /// See [`group_norm`](self::group_norm).
    fn group_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        params: GroupNorm,
    ) -> FloatTensor<Self>;
    /// See [`conv2d`](self::conv2d).
    fn conv2d_bias(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        params: Conv2d,
    ) -> FloatTensor<Self>;
    /// See [`upsample_nearest_2x`](self::upsample_nearest_2x).
    fn upsample_nearest_2x(x: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// The mean shift of every patch of every particle; `x` and the result are `[N, C, H, W]`.
pub fn mean_shift(x: Tensor<4>, params: MeanShift) -> Tensor<4> {
    Tensor::from_dispatch(<Dispatch as Ops>::mean_shift(x.into_dispatch(), params))
}

/// `torch.nn.GroupNorm`, with SiLU after it where asked. `x` is `[N, C, H, W]`, `weight` and `bias`
/// are `[C]`.
pub fn group_norm(
    x: Tensor<4>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    params: GroupNorm,
) -> Tensor<4> {
    Tensor::from_dispatch(<Dispatch as Ops>::group_norm(
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        params,
    ))
}

/// `torch.nn.Conv2d` without dilation or groups. `x` is `[N, I, H, W]`, `weight` `[O, I, K, K]`,
/// `bias` `[O]`; where `x` and `weight` are f16, so is the result.
pub fn conv2d(x: Tensor<4>, weight: Tensor<4>, bias: Tensor<1>, params: Conv2d) -> Tensor<4> {
    Tensor::from_dispatch(<Dispatch as Ops>::conv2d_bias(
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        params,
    ))
}

/// Doubles height and width by repeating pixels.
pub fn upsample_nearest_2x(x: Tensor<4>) -> Tensor<4> {
    Tensor::from_dispatch(<Dispatch as Ops>::upsample_nearest_2x(x.into_dispatch()))
}

#[cfg(test)]
mod tests;
