//! The operations on the CPU, over burn-flex' tensors: f32, row-major, parallel by rayon.

mod conv2d;
mod group_norm;
mod mean_shift;
mod microkernel;

use burn::backend::{Flex, flex::FlexTensor};
use burn::tensor::TensorData;
use rayon::prelude::*;

use super::{Conv2d, GroupNorm, Ops};
use crate::kds::MeanShift;

impl Ops for Flex {
    fn mean_shift(x: FlexTensor, params: MeanShift) -> FlexTensor {
        let x = x.to_contiguous();
        let shape = dims4(&x);
        tensor(mean_shift::mean_shift(values(&x), shape, &params), &shape)
    }

    fn group_norm(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        params: GroupNorm,
    ) -> FlexTensor {
        let (weight, bias) = (weight.to_contiguous(), bias.to_contiguous());
        let (weight, bias) = (values(&weight), values(&bias));
        let mut x = if x.is_contiguous() {
            x
        } else {
            x.to_contiguous()
        };
        let shape = dims4(&x);
        let whole = |values: &&mut [f32]| values.len() == shape.iter().product::<usize>();
        // What nobody else holds is normalised where it is.
        if let Some(values) = x.try_storage_mut().filter(whole) {
            group_norm::group_norm(None, values, shape, weight, bias, params);
            return x;
        }
        let x = values(&x);
        let mut out = vec![0.0; x.len()];
        group_norm::group_norm(Some(x), &mut out, shape, weight, bias, params);
        tensor(out, &shape)
    }

    fn conv2d_bias(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        params: Conv2d,
    ) -> FlexTensor {
        let (x, weight, bias) = (
            x.to_contiguous(),
            weight.to_contiguous(),
            bias.to_contiguous(),
        );
        let (out, shape) = conv2d::conv2d(
            values(&x),
            dims4(&x),
            values(&weight),
            dims4(&weight),
            values(&bias),
            params,
        );
        tensor(out, &shape)
    }

    fn upsample_nearest_2x(x: FlexTensor) -> FlexTensor {
        let x = x.to_contiguous();
        let [n, c, h, w] = dims4(&x);
        tensor(upsample_nearest_2x(values(&x), w), &[n, c, 2 * h, 2 * w])
    }
}

/// Doubles planes of `w` columns.
fn upsample_nearest_2x(x: &[f32], w: usize) -> Vec<f32> {
    let mut out = vec![0.0; 4 * x.len()];
    out.par_chunks_mut(4 * w)
        .zip(x.par_chunks(w))
        .for_each(|(two_rows, row)| {
            let (first, second) = two_rows.split_at_mut(2 * w);
            for (pair, &value) in first.chunks_exact_mut(2).zip(row) {
                pair.fill(value);
            }
            second.copy_from_slice(first);
        });
    out
}

fn dims4(x: &FlexTensor) -> [usize; 4] {
    let shape = x.layout().shape();
    [shape[0], shape[1], shape[2], shape[3]]
}

/// The values of a contiguous f32 tensor, which is what every caller in this program passes.
fn values(x: &FlexTensor) -> &[f32] {
    x.as_slice::<f32>()
        .expect("own operations work on contiguous f32 tensors")
}

fn tensor(values: Vec<f32>, shape: &[usize]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape.to_vec()))
}
