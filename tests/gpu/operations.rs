//! Each kernel against its twin.

use burn::backend::wgpu::CubeBackend;
use burn::tensor::{Device, FloatDType, Tensor, TensorData};
use minkds::kds::{MeanShift, tensor_ops};
use minkds::ops::{self, Conv2d, GroupNorm, cube, tensor};
use minkds::settings::Kernel;
use minkds::{device::Target, noise};
use proptest::prelude::*;

use super::{gpu, gpu_f16};
use crate::common::{assert_close, read};

/// f32 sums in another order than the twin's, which partly sums in f64.
const TOLERANCE: f32 = 1e-5;
/// One rounding to f16.
const HALF: f32 = 1e-3;

/// Normal values, `[N, C, H, W]`.
fn normal([n, c, h, w]: [usize; 4], salt: u32) -> Vec<f32> {
    (0..n as u32)
        .flat_map(|particle| noise::field(5, particle, salt, [c, h, w]))
        .collect()
}

fn tensor4(values: &[f32], shape: [usize; 4], device: &Device) -> Tensor<4> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), device)
}

fn vector(n: usize, salt: u32, device: &Device) -> Tensor<1> {
    tensor4(&normal([1, 1, 1, n], salt), [1, 1, 1, n], device).reshape([n])
}

/// The largest difference relative to the largest input or result. Below `f32::MIN_POSITIVE` devices
/// may take values for 0.
fn assert_shifts(got: &[f32], want: &[f32], x: &[f32], what: &str) {
    let largest = x.iter().chain(want).fold(0f32, |m, v| m.max(v.abs()));
    let floor = f64::from(f32::MIN_POSITIVE) * 1e3;
    let allowed = f64::from(TOLERANCE) * f64::from(largest) + floor;
    for (i, (&a, &b)) in got.iter().zip(want).enumerate() {
        let error = (f64::from(a) - f64::from(b)).abs();
        assert!(
            error <= allowed,
            "{what}: {a:e} instead of {b:e} at {i} (largest {largest:e})"
        );
    }
    assert_eq!(got.len(), want.len());
}

fn check_mean_shift(x: &[f32], shape: [usize; 4], params: MeanShift) {
    let Some(target) = gpu() else { return };
    let want = minkds::kds::cpu::mean_shift(x, shape, &params);
    let on_device = || tensor4(x, shape, target.device());
    let what = format!("{shape:?} {params:?}");
    assert_shifts(&read(ops::mean_shift(on_device(), params)), &want, x, &what);
    // The formulation for other compilers, on burn's own kernels; slow with many particles.
    if shape[0] <= 5 {
        let got = read(tensor_ops::mean_shift(on_device(), &params));
        assert_shifts(&got, &want, x, &format!("tensor operations, {what}"));
    }
}

#[test]
fn mean_shift_for_every_number_of_particles() {
    for n in 1..=64 {
        let shape = [n, 1 + n % 4, 5 + n % 3, 9];
        let bandwidth = 0.3 * (2.0 * shape[1] as f64 * 4.0).sqrt();
        check_mean_shift(
            &normal(shape, 0),
            shape,
            MeanShift::new(2, bandwidth, Kernel::Gaussian),
        );
    }
}

#[test]
fn mean_shift_for_patches_from_one_pixel_to_larger_than_workgroup_memory() {
    for (shape, p) in [
        ([3, 8, 33, 17], 128),
        ([5, 3, 40, 41], 32),
        ([10, 3, 30, 50], 16),
        ([4, 8, 37, 50], 4),
        ([16, 3, 13, 9], 3),
        ([64, 4, 12, 11], 11),
        ([2, 8, 1, 70], 1),
        ([7, 3, 70, 1], 5),
    ] {
        for part in [0.1, 0.5, 3.0] {
            let bandwidth = part * ((shape[1] * p.min(shape[2]) * p.min(shape[3])) as f64).sqrt();
            check_mean_shift(
                &normal(shape, 1),
                shape,
                MeanShift::new(p, bandwidth, Kernel::Gaussian),
            );
        }
    }
}

#[test]
fn equal_particles_stay_where_they_are_exactly() {
    let Some(target) = gpu() else { return };
    let one = normal([1, 3, 9, 10], 2);
    let x = tensor4(&one.repeat(6), [6, 3, 9, 10], target.device()) * 1e30;
    let shift = ops::mean_shift(x, MeanShift::new(4, 0.7, Kernel::Gaussian));
    assert!(read(shift).iter().all(|&v| v == 0.0));
}

/// N, C, H, W, patch size, and values of any magnitude that f32 has.
fn particles() -> impl Strategy<Value = ([usize; 4], usize, Vec<f32>)> {
    let sizes = (1usize..=64, 1usize..=4, 1usize..=9, 1usize..=9, 1usize..=12);
    (sizes, -20i32..=38).prop_flat_map(|((n, c, h, w, p), exponent)| {
        let magnitude = (10f64.powi(exponent) as f32).min(f32::MAX);
        let values = prop::collection::vec(-magnitude..=magnitude, n * c * h * w);
        (Just([n, c, h, w]), Just(p), values)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mean_shift_for_any_shape_and_magnitude((shape, p, x) in particles(), near in -3.0f64..3.0, minkds in any::<bool>()) {
        // Bandwidths around the distance of two patches, where weights are neither 0 nor 1, and far off.
        let largest = x.iter().fold(0f64, |m, v| m.max(f64::from(v.abs())));
        let bandwidth = (largest * 10f64.powf(near) * ((shape[1] * p * p) as f64).sqrt()).max(1e-30);
        let kernel = if minkds { Kernel::Minkds } else { Kernel::Gaussian };
        check_mean_shift(&x, shape, MeanShift::new(p, bandwidth, kernel));
    }
}

/// Runs `compute` on the card and on the processor.
fn compare(
    target: &Target,
    tolerance: f32,
    what: &str,
    compute: impl Fn(&Device, FloatDType) -> Tensor<4>,
) {
    let got = compute(target.device(), target.floats()).cast(FloatDType::F32);
    let want = compute(&Device::flex(), FloatDType::F32);
    assert_eq!(got.dims(), want.dims(), "{what}");
    assert_close(&read(got), &read(want), tolerance, what);
}

fn check_networks_operations(target: &Target, tolerance: f32) {
    for (n, i, o, k, h, w, stride, start, end) in [
        (2, 16, 3, 3, 33, 65, 1, 1, 1),
        (3, 8, 16, 3, 17, 9, 2, 1, 1),
        (1, 8, 17, 3, 17, 9, 2, 0, 1),
        (1, 40, 24, 1, 12, 31, 1, 0, 0),
        (1, 64, 80, 3, 20, 20, 1, 1, 1),
        (2, 5, 4, 1, 1, 1, 1, 0, 0),
        (1, 2, 130, 3, 3, 70, 1, 1, 1),
    ] {
        let geometry = Conv2d {
            stride,
            pad_start: start,
            pad_end: end,
        };
        let parts = |device: &Device, floats: FloatDType| {
            let x = tensor4(&normal([n, i, h, w], 1), [n, i, h, w], device).cast(floats);
            let weight = tensor4(&normal([o, i, k, k], 2), [o, i, k, k], device).cast(floats);
            (x, weight, vector(o, 3, device))
        };
        let what = format!("convolution {n} {i} {o} {k} {h} {w} {geometry:?}");
        compare(target, tolerance, &what, |device, floats| {
            let (x, weight, bias) = parts(device, floats);
            ops::conv2d(x, weight, bias, geometry)
        });
        compare(
            target,
            10.0 * tolerance,
            &format!("burn's {what}"),
            |device, floats| {
                let (x, weight, bias) = parts(device, floats);
                tensor::conv2d(x, weight, bias, geometry)
            },
        );
        // Large ones are launched in pieces; here, nearly every tile is one.
        if target.floats() == FloatDType::F32 {
            let (x, weight, bias) = parts(target.device(), FloatDType::F32);
            let pieces = Tensor::<4>::from_primitive::<CubeBackend>(cube::conv2d_in_pieces(
                x.try_into_primitive::<CubeBackend>().unwrap(),
                weight.try_into_primitive::<CubeBackend>().unwrap(),
                bias.try_into_primitive::<CubeBackend>().unwrap(),
                geometry,
                1e5,
            ));
            let (x, weight, bias) = parts(target.device(), FloatDType::F32);
            let whole = ops::conv2d(x, weight, bias, geometry);
            assert_eq!(read(pieces), read(whole), "{what} in pieces");
        }
        // What burn leaves behind is no plain memory: kernels must read through that.
        compare(
            target,
            tolerance,
            &format!("{what} of a view"),
            |device, floats| {
                let (x, weight, bias) = parts(device, floats);
                ops::conv2d(x.swap_dims(2, 3), weight.swap_dims(2, 3), bias, geometry)
            },
        );
    }
    for (n, c, groups, h, w) in [
        (2, 8, 4, 5, 7),
        (1, 48, 16, 65, 63),
        (1, 16, 1, 130, 140),
        (1, 64, 1, 97, 101),
        // More planes than a device takes workgroups in one direction.
        (52, 1280, 32, 1, 2),
    ] {
        for silu in [false, true] {
            let params = GroupNorm {
                groups,
                eps: 1e-5,
                silu,
            };
            let parts = |device: &Device, floats: FloatDType| {
                // Far from 0, where a one-pass variance would lose its digits.
                let x = tensor4(&normal([n, c, h, w], 1), [n, c, h, w], device) + 8.0;
                (x.cast(floats), vector(c, 2, device), vector(c, 3, device))
            };
            let what = format!("normalisation {n} {c} {groups} {h} {w} {silu}");
            // The input's own rounding to f16 is 8 / 2048 there.
            let tolerance = if tolerance == HALF { 5e-3 } else { tolerance };
            compare(target, tolerance, &what, |device, floats| {
                let (x, weight, bias) = parts(device, floats);
                ops::group_norm(x, weight, bias, params)
            });
            compare(
                target,
                tolerance,
                &format!("burn's {what}"),
                |device, floats| {
                    let (x, weight, bias) = parts(device, floats);
                    tensor::group_norm(x, weight, bias, params)
                },
            );
        }
    }
    let x = |device: &Device, floats: FloatDType| {
        tensor4(&normal([2, 3, 5, 70], 1), [2, 3, 5, 70], device).cast(floats)
    };
    compare(target, tolerance.min(HALF), "doubling", |device, floats| {
        ops::upsample_nearest_2x(x(device, floats))
    });
    compare(
        target,
        tolerance.min(HALF),
        "burn's doubling",
        |device, floats| tensor::upsample_nearest_2x(x(device, floats)),
    );
}

#[test]
fn the_networks_operations_in_f32() {
    if let Some(target) = gpu() {
        check_networks_operations(target, TOLERANCE);
    }
}

#[test]
fn the_networks_operations_in_f16() {
    if let Some(target) = gpu_f16() {
        check_networks_operations(&target, HALF);
    }
}

#[test]
fn extreme_values_of_a_normalisation() {
    let Some(target) = gpu() else { return };
    let params = GroupNorm {
        groups: 2,
        eps: 1e-6,
        silu: true,
    };
    for scale in [1e-6f32, 1e6, 1e15] {
        compare(
            target,
            TOLERANCE,
            &format!("values of {scale}"),
            |device, _| {
                let x = tensor4(&normal([2, 4, 6, 7], 1), [2, 4, 6, 7], device) * scale;
                // Weights of 200: SiLU's exponential must not leave f32.
                ops::group_norm(
                    x,
                    vector(4, 2, device) * 200.0,
                    vector(4, 3, device),
                    params,
                )
            },
        );
    }
}

#[test]
fn attention_in_one_and_in_many_chunks() {
    let Some(target) = gpu() else { return };
    for (shape, tolerance) in [([2, 3, 90, 20], TOLERANCE), ([1, 1, 64, 512], TOLERANCE)] {
        compare(
            target,
            tolerance,
            &format!("attention {shape:?}"),
            |device, _| {
                let part = |salt| tensor4(&normal(shape, salt), shape, device);
                ops::attention(part(1), part(2), part(3))
            },
        );
    }
}
