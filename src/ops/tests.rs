//! The own operations against burn's built-in ones, on every shape that the models use.

use burn::tensor::{Device, Tensor, TensorData, activation::silu, ops::ConvOptions};

use proptest::prelude::*;

use super::*;

fn random(shape: &[usize], salt: u32) -> TensorData {
    let count = shape.iter().product();
    let values: Vec<f32> = (0..count)
        .map(|i| crate::noise::normal(11, salt, 0, 0, (i / 4096) as u32, (i % 4096) as u32))
        .collect();
    TensorData::new(values, shape.to_vec())
}

fn assert_close(a: Tensor<4>, b: Tensor<4>, tolerance: f32, what: &str) {
    assert_eq!(a.dims(), b.dims(), "{what}");
    let worst = (a - b).abs().max().into_scalar::<f32>();
    assert!(worst <= tolerance, "{what}: off by {worst}");
}

#[test]
fn conv2d_equals_burns() {
    let device = Device::flex();
    for (n, i, o, k, h, w, stride, pad) in [
        (1, 3, 8, 3, 5, 7, 1, 1),
        (2, 16, 3, 3, 33, 65, 1, 1),
        (3, 8, 16, 3, 17, 9, 2, 1),
        (2, 5, 4, 1, 1, 1, 1, 0),
        (1, 40, 24, 1, 12, 31, 1, 0),
        (1, 2, 2, 3, 1, 1, 1, 1),
        (1, 64, 32, 3, 100, 100, 1, 1),
        (1, 7, 3, 3, 2, 40, 2, 1),
    ] {
        let x = Tensor::<4>::from_data(random(&[n, i, h, w], 1), &device);
        let weight = Tensor::<4>::from_data(random(&[o, i, k, k], 2), &device);
        let bias = Tensor::<1>::from_data(random(&[o], 3), &device);
        let options = ConvOptions::new([stride; 2], [pad; 2], [1; 2], 1);
        let want =
            burn::tensor::module::conv2d(x.clone(), weight.clone(), Some(bias.clone()), options);
        let params = Conv2d {
            stride,
            pad_start: pad,
            pad_end: pad,
        };
        // Sums of up to 576 products of unit normals: rounding grows with the square root.
        assert_close(conv2d(x, weight, bias, params), want, 1e-4, "conv2d");
    }
}

#[test]
fn conv2d_pads_one_side_as_the_encoder_does() {
    let device = Device::flex();
    let x = Tensor::<4>::from_data(random(&[1, 4, 10, 6], 1), &device);
    let weight = Tensor::<4>::from_data(random(&[4, 4, 3, 3], 2), &device);
    let bias = Tensor::<1>::from_data(random(&[4], 3), &device);
    let zeros = |h, w| Tensor::<4>::zeros([1, 4, h, w], &device);
    let padded = Tensor::cat(
        vec![Tensor::cat(vec![x.clone(), zeros(1, 6)], 2), zeros(11, 1)],
        3,
    );
    let options = ConvOptions::new([2; 2], [0; 2], [1; 2], 1);
    let want = burn::tensor::module::conv2d(padded, weight.clone(), Some(bias.clone()), options);
    let params = Conv2d {
        stride: 2,
        pad_start: 0,
        pad_end: 1,
    };
    assert_close(
        conv2d(x, weight, bias, params),
        want,
        1e-5,
        "one-sided padding",
    );
}

#[test]
fn conv2d_is_the_same_in_any_batch() {
    let device = Device::flex();
    let x = Tensor::<4>::from_data(random(&[3, 8, 40, 50], 1), &device);
    let weight = Tensor::<4>::from_data(random(&[16, 8, 3, 3], 2), &device);
    let bias = Tensor::<1>::from_data(random(&[16], 3), &device);
    let params = Conv2d {
        stride: 1,
        pad_start: 1,
        pad_end: 1,
    };
    let all = conv2d(x.clone(), weight.clone(), bias.clone(), params);
    for i in 0..3 {
        let one = conv2d(
            x.clone().narrow(0, i, 1),
            weight.clone(),
            bias.clone(),
            params,
        );
        assert_close(all.clone().narrow(0, i, 1), one, 0.0, "batch");
    }
}

#[test]
fn conv2d_is_the_same_on_any_number_of_threads() {
    let device = Device::flex();
    let x = Tensor::<4>::from_data(random(&[1, 40, 20, 30], 1), &device);
    let weight = Tensor::<4>::from_data(random(&[50, 40, 3, 3], 2), &device);
    let bias = Tensor::<1>::from_data(random(&[50], 3), &device);
    let params = Conv2d {
        stride: 1,
        pad_start: 1,
        pad_end: 1,
    };
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let run = || conv2d(x.clone(), weight.clone(), bias.clone(), params);
        pool.expect("threads start").install(run)
    };
    assert_close(on(1), on(7), 0.0, "threads");
}

#[test]
fn group_norm_follows_its_formula() {
    let device = Device::flex();
    for (n, c, groups, h, w, offset) in [
        (2, 8, 4, 5, 7, 0.0),
        (1, 48, 16, 33, 31, 100.0),
        (1, 4, 1, 1, 1, 3.0),
    ] {
        let x = Tensor::<4>::from_data(random(&[n, c, h, w], 1), &device) + offset;
        let weight = Tensor::<1>::from_data(random(&[c], 2), &device);
        let bias = Tensor::<1>::from_data(random(&[c], 3), &device);
        let (variance, mean) = x
            .clone()
            .reshape([n, groups, c / groups * h * w])
            .var_mean_bias(2);
        let normal =
            (x.clone().reshape([n, groups, c / groups * h * w]) - mean) / (variance + 1e-5).sqrt();
        let want = normal.reshape([n, c, h, w]) * weight.clone().reshape([1, c, 1, 1])
            + bias.clone().reshape([1, c, 1, 1]);
        for with_silu in [false, true] {
            let params = GroupNorm {
                groups,
                eps: 1e-5,
                silu: with_silu,
            };
            let got = group_norm(x.clone(), weight.clone(), bias.clone(), params);
            let want = if with_silu {
                silu(want.clone())
            } else {
                want.clone()
            };
            // An offset of 100 costs the f32 reference itself two digits.
            let tolerance = if offset > 10.0 { 2e-4 } else { 1e-5 };
            assert_close(got, want, tolerance, "group_norm");
        }
    }
}

#[test]
fn attention_in_chunks_equals_burns() {
    let device = Device::flex();
    for (batch, heads, length, head_dim) in [(1, 1, 4500, 8), (2, 4, 24, 8), (1, 2, 1, 3)] {
        let tensor =
            |salt| Tensor::<4>::from_data(random(&[batch, heads, length, head_dim], salt), &device);
        let (q, k, v) = (tensor(1), tensor(2), tensor(3));
        let want = burn::tensor::module::attention_fallback(
            q.clone(),
            k.clone(),
            v.clone(),
            None,
            None,
            Default::default(),
        );
        assert_close(attention(q, k, v), want, 1e-5, "attention");
    }
}

#[test]
fn upsampling_repeats_pixels() {
    let device = Device::flex();
    let x = Tensor::<4>::from_data(random(&[2, 3, 4, 5], 1), &device);
    let want = x
        .clone()
        .reshape([2, 3, 4, 1, 5, 1])
        .expand([2, 3, 4, 2, 5, 2])
        .reshape([2, 3, 8, 10]);
    assert_close(upsample_nearest_2x(x), want, 0.0, "upsample");
}

#[test]
fn the_formulations_in_tensor_operations_equal_the_kernels() {
    let device = Device::flex();
    let tensor = |shape: [usize; 4], salt| Tensor::<4>::from_data(random(&shape, salt), &device);
    let vector = |n: usize, salt| Tensor::<1>::from_data(random(&[n], salt), &device);
    for (stride, pad_start, pad_end) in [(1, 1, 1), (2, 1, 1), (2, 0, 1)] {
        let params = Conv2d {
            stride,
            pad_start,
            pad_end,
        };
        let part = || {
            (
                tensor([2, 5, 10, 6], 1),
                tensor([4, 5, 3, 3], 2),
                vector(4, 3),
            )
        };
        let ((x, w, b), (x2, w2, b2)) = (part(), part());
        assert_close(
            tensor::conv2d(x, w, b, params),
            conv2d(x2, w2, b2, params),
            1e-4,
            "conv2d",
        );
    }
    for silu in [false, true] {
        let params = GroupNorm {
            groups: 4,
            eps: 1e-5,
            silu,
        };
        let part = || (tensor([2, 8, 5, 7], 1), vector(8, 2), vector(8, 3));
        let ((x, w, b), (x2, w2, b2)) = (part(), part());
        let want = group_norm(x2, w2, b2, params);
        assert_close(
            tensor::group_norm(x, w, b, params),
            want,
            1e-5,
            "group_norm",
        );
    }
    let x = tensor([2, 3, 4, 5], 1);
    let want = upsample_nearest_2x(x.clone());
    assert_close(tensor::upsample_nearest_2x(x), want, 0.0, "upsample");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mean_shift_equals_its_plain_twin(
        (n, c, h, w, p) in (1usize..=64, 1usize..=4, 1usize..=9, 1usize..=9, 1usize..=12),
        exponent in -20i32..=38,
        near in -3.0f64..3.0,
        salt in 0u32..1000,
    ) {
        let shape = [n, c, h, w];
        let magnitude = 10f64.powi(exponent);
        let limit = |v: f32| (f64::from(v) * magnitude).clamp(-f64::from(f32::MAX), f64::from(f32::MAX)) as f32;
        let x: Vec<f32> = random(&shape, salt).try_into_vec::<f32>().unwrap().into_iter().map(limit).collect();
        let bandwidth = magnitude * 10f64.powf(near) * ((c * p * p) as f64).sqrt();
        let params = MeanShift::new(p, bandwidth, crate::settings::Kernel::Gaussian);
        let device = Device::flex();
        let tensor = Tensor::<4>::from_data(TensorData::new(x.clone(), shape), &device);
        let got = mean_shift(tensor, params).try_into_vec_as::<f32>().unwrap();
        let want = crate::kds::cpu::mean_shift(&x, shape, &params);
        let largest = x.iter().chain(&want).fold(0f32, |m, v| m.max(v.abs()));
        for (&a, &b) in got.iter().zip(&want) {
            // f32 sums against f64 ones.
            let error = (f64::from(a) - f64::from(b)).abs();
            prop_assert!(error <= 1e-5 * f64::from(largest), "{} instead of {} of {}", a, b, largest);
        }
    }
}
