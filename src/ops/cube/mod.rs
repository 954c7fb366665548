//! The operations on graphics cards. Where shaders are WGSL, burn launches the kernels in `shaders/`
//! (so that order, memory and errors stay burn's); under other compilers (SPIR-V, MSL, CUDA) the
//! same is done by burn's own operations, which use tensor cores there.
//!
//! Values are f32 or f16, sums always f32.

mod kernel;

use burn::backend::wgpu::{CubeBackend, CubeTensor, into_contiguous};
use burn::tensor::{DType, Shape, Tensor};

pub use kernel::{
    Kernel, MOST_FLOPS, conv2d_kernels, group_norm_kernels, mean_shift_kernel,
    upsample_nearest_2x_kernel,
};

use super::{Conv2d, GroupNorm, Ops, tensor};
use crate::kds::{MeanShift, tensor_ops};

impl Ops for CubeBackend {
    fn mean_shift(x: CubeTensor, params: MeanShift) -> CubeTensor {
        if !takes_wgsl(&x) {
            return untensor(tensor_ops::mean_shift(as_tensor(x), &params));
        }
        let x = into_contiguous(x);
        let shape = dims4(&x);
        let out = like(&x, &shape, x.dtype);
        mean_shift_kernel(shape, &params).launch(&[&x], &[&out]);
        out
    }

    fn group_norm(
        x: CubeTensor,
        weight: CubeTensor,
        bias: CubeTensor,
        params: GroupNorm,
    ) -> CubeTensor {
        if !takes_wgsl(&x) {
            let [weight, bias] = [weight, bias].map(as_tensor);
            return untensor(tensor::group_norm(as_tensor(x), weight, bias, params));
        }
        let [x, weight, bias] = [x, weight, bias].map(into_contiguous);
        let shape = dims4(&x);
        let (statistics, apply) = group_norm_kernels(shape, params, x.dtype);
        let [parts, groups, _] = statistics.groups().map(|n| n as usize);
        let sums = like(&x, &[groups, parts, 2], DType::F32);
        statistics.launch(&[&x], &[&sums]);
        let out = like(&x, &shape, x.dtype);
        apply.launch(&[&x, &sums, &weight, &bias], &[&out]);
        out
    }

    fn conv2d_bias(
        x: CubeTensor,
        weight: CubeTensor,
        bias: CubeTensor,
        params: Conv2d,
    ) -> CubeTensor {
        if !takes_wgsl(&x) {
            let (weight, bias) = (as_tensor(weight), as_tensor(bias));
            return untensor(tensor::conv2d(as_tensor(x), weight, bias, params));
        }
        conv2d_in_pieces(x, weight, bias, params, MOST_FLOPS)
    }

    fn upsample_nearest_2x(x: CubeTensor) -> CubeTensor {
        if !takes_wgsl(&x) {
            return untensor(tensor::upsample_nearest_2x(as_tensor(x)));
        }
        let x = into_contiguous(x);
        let shape = dims4(&x);
        let [n, c, h, w] = shape;
        let out = like(&x, &[n, c, 2 * h, 2 * w], x.dtype);
        upsample_nearest_2x_kernel(shape, x.dtype).launch(&[&x], &[&out]);
        out
    }
}

/// The convolution by our kernel, launched in pieces of about `most` operations.
pub fn conv2d_in_pieces(
    x: CubeTensor,
    weight: CubeTensor,
    bias: CubeTensor,
    params: Conv2d,
    most: f64,
) -> CubeTensor {
    let [x, weight, bias] = [x, weight, bias].map(into_contiguous);
    let (shape, filters) = (dims4(&x), dims4(&weight));
    let [out_h, out_w] = [shape[2], shape[3]].map(|size| params.extent(size, filters[2]));
    let out = like(&x, &[shape[0], filters[0], out_h, out_w], x.dtype);
    for kernel in conv2d_kernels(shape, filters, params, x.dtype, most) {
        kernel.launch(&[&x, &weight, &bias], &[&out]);
    }
    out
}

fn takes_wgsl(x: &CubeTensor) -> bool {
    x.client.name() == "wgpu<wgsl>"
}

fn as_tensor<const D: usize>(x: CubeTensor) -> Tensor<D> {
    Tensor::from_primitive::<CubeBackend>(x)
}

fn untensor(x: Tensor<4>) -> CubeTensor {
    x.try_into_primitive::<CubeBackend>()
        .expect("tensors stay on their device")
}

fn dims4(x: &CubeTensor) -> [usize; 4] {
    let shape = x.meta.shape();
    [shape[0], shape[1], shape[2], shape[3]]
}

/// A new tensor of `shape` where `x` lies.
fn like(x: &CubeTensor, shape: &[usize], dtype: DType) -> CubeTensor {
    let shape = Shape::from(shape.to_vec());
    let bytes = shape.num_elements() * dtype.size();
    let handle = x.client.empty(bytes);
    CubeTensor::new_contiguous(x.client.clone(), x.device.clone(), shape, handle, dtype)
}
