//! Mean shift and selection equal a dense f64 formulation, and have the properties that any
//! implementation must have.

mod common;

use burn::tensor::Device;
use common::{Arrays, assert_close, fixture, json, read};
use minkds::kds::{self, Choice, MeanShift, cpu::mean_shift, tensor_ops};
use minkds::pipeline::Latents;
use minkds::settings::{Kernel, Select};
use proptest::prelude::*;

fn kernel(name: &str) -> Kernel {
    match name {
        "gaussian" => Kernel::Gaussian,
        _ => Kernel::Minkds,
    }
}

#[test]
fn mean_shift_equals_the_dense_reference() {
    let arrays = Arrays::read(&fixture("kds.safetensors"));
    let cases = json("kds.json")["mean_shift"].clone();
    assert!(cases.as_array().unwrap().len() > 25);
    for case in cases.as_array().unwrap() {
        let (x, m) = (case["x"].as_str().unwrap(), case["m"].as_str().unwrap());
        let params = MeanShift::new(
            case["patch_size"].as_u64().unwrap() as usize,
            case["bandwidth"].as_f64().unwrap(),
            kernel(case["kernel"].as_str().unwrap()),
        );
        let got = mean_shift(arrays.values(x), arrays.shape4(x), &params);
        // Both sum in f64 and round once: half a unit in the last place of the largest value.
        assert_close(&got, arrays.values(m), 1e-6, m);
    }
}

#[test]
fn selection_equals_the_reference() {
    let arrays = Arrays::read(&fixture("kds.safetensors"));
    for case in json("kds.json")["selection"].as_array().unwrap() {
        let name = case["x"].as_str().unwrap();
        for (select, key) in [
            (Select::NearestMean, "nearest_mean"),
            (Select::LowestVariance, "lowest_variance"),
        ] {
            let want = case[key].as_u64().unwrap() as usize;
            let particles = arrays.shape4(name)[0];
            let got = kds::choose(select, arrays.values(name), particles);
            assert_eq!(got, Choice::Particle(want), "{name}, {key}");
        }
    }
}

#[test]
fn the_other_selections_do_what_they_say() {
    let latents = Latents {
        shape: [2, 1, 1, 2],
        values: vec![1f32, 2.0, 3.0, 6.0],
    };
    for (select, choice, chosen) in [
        (Select::First, Choice::Particle(0), vec![1.0, 2.0]),
        (Select::All, Choice::All, vec![1.0, 2.0, 3.0, 6.0]),
        (Select::Mean, Choice::Mean, vec![2.0, 4.0]),
        // Two particles are always equally far from their mean.
        (Select::NearestMean, Choice::Particle(0), vec![1.0, 2.0]),
        (Select::LowestVariance, Choice::Particle(0), vec![1.0, 2.0]),
    ] {
        let got = latents.choose(select);
        assert_eq!((got, latents.chosen(got).concat()), (choice, chosen));
    }
}

#[test]
fn tensor_operations_equal_the_plain_twin() {
    let arrays = Arrays::read(&fixture("kds.safetensors"));
    for case in json("kds.json")["mean_shift"].as_array().unwrap() {
        let (x, m) = (case["x"].as_str().unwrap(), case["m"].as_str().unwrap());
        let params = MeanShift::new(
            case["patch_size"].as_u64().unwrap() as usize,
            case["bandwidth"].as_f64().unwrap(),
            kernel(case["kernel"].as_str().unwrap()),
        );
        let got = tensor_ops::mean_shift(arrays.tensor(x, &Device::flex()), &params);
        // f32 sums of up to a few thousand squares.
        assert_close(&read(got), arrays.values(m), 1e-5, m);
    }
}

/// N, C, H, W, patch size and values; sizes that leave ragged edges as often as not.
fn particles(magnitude: f32) -> impl Strategy<Value = ([usize; 4], usize, Vec<f32>)> {
    (1usize..=6, 1usize..=4, 1usize..=9, 1usize..=9, 1usize..=12).prop_flat_map(
        move |(n, c, h, w, p)| {
            let values = prop::collection::vec(-magnitude..magnitude, n * c * h * w);
            (Just([n, c, h, w]), Just(p), values)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn permuting_particles_permutes_shifts((shape, p, x) in particles(3.0), turn in 0usize..6) {
        let params = MeanShift::new(p, 1.5, Kernel::Gaussian);
        let one = x.len() / shape[0];
        let turn = turn % shape[0] * one;
        let mut turned = x.clone();
        turned.rotate_left(turn);
        let mut want = mean_shift(&x, shape, &params);
        want.rotate_left(turn);
        let got = mean_shift(&turned, shape, &params);
        // Sums run in another order.
        prop_assert!(got.iter().zip(&want).all(|(a, b)| (a - b).abs() <= 1e-6));
    }

    #[test]
    fn a_constant_added_to_all_particles_changes_no_shift((shape, p, x) in particles(3.0), constant in -4i32..4) {
        let params = MeanShift::new(p, 1.5, Kernel::Gaussian);
        // Multiples of 2^-12 up to 16 add exactly in f32.
        let exact: Vec<f32> = x.iter().map(|v| (v * 4096.0).round() / 4096.0).collect();
        let moved: Vec<f32> = exact.iter().map(|v| v + constant as f32).collect();
        prop_assert_eq!(mean_shift(&exact, shape, &params), mean_shift(&moved, shape, &params));
    }

    #[test]
    fn a_huge_bandwidth_goes_to_the_mean_and_a_tiny_one_nowhere((shape, p, x) in particles(3.0)) {
        let (n, one) = (shape[0], x.len() / shape[0]);
        let wide = mean_shift(&x, shape, &MeanShift::new(p, 1e6, Kernel::Gaussian));
        for (i, &shift) in wide.iter().enumerate() {
            let mean = (0..n).map(|j| f64::from(x[j * one + i % one])).sum::<f64>() / n as f64;
            prop_assert!((f64::from(shift) - (mean - f64::from(x[i]))).abs() < 1e-6);
        }
        let narrow = mean_shift(&x, shape, &MeanShift::new(p, 1e-9, Kernel::Gaussian));
        prop_assert!(narrow.iter().all(|&m| m == 0.0));
    }

    #[test]
    fn any_finite_input_gives_finite_shifts((shape, p, x) in particles(f32::MAX), h in prop::sample::select(vec![f64::MIN_POSITIVE, 1e-3, 1.0, 1e6, f64::MAX])) {
        for kernel in [Kernel::Gaussian, Kernel::Minkds] {
            let shift = mean_shift(&x, shape, &MeanShift::new(p, h, kernel));
            prop_assert!(shift.iter().all(|m| m.is_finite()));
        }
    }

    #[test]
    fn equal_particles_do_not_move((shape, p, x) in particles(f32::MAX)) {
        let one = x.len() / shape[0];
        let same: Vec<f32> = x[..one].repeat(shape[0]);
        let shift = mean_shift(&same, shape, &MeanShift::new(p, 0.5, Kernel::Gaussian));
        prop_assert!(shift.iter().all(|&m| m == 0.0));
    }

    #[test]
    fn patches_do_not_see_each_other((shape, p, x) in particles(3.0)) {
        // The first patch alone gives the same shift as inside the picture.
        let [n, c, h, w] = shape;
        let (ph, pw) = (p.min(h), p.min(w));
        let mut cut = Vec::new();
        for plane in x.chunks(h * w) {
            for row in plane.chunks(w).take(ph) {
                cut.extend_from_slice(&row[..pw]);
            }
        }
        let params = MeanShift::new(p, 1.5, Kernel::Gaussian);
        let whole = mean_shift(&x, shape, &params);
        let alone = mean_shift(&cut, [n, c, ph, pw], &params);
        for (plane, alone) in whole.chunks(h * w).zip(alone.chunks(ph * pw)) {
            for (row, alone) in plane.chunks(w).zip(alone.chunks(pw)) {
                prop_assert_eq!(&row[..pw], alone);
            }
        }
    }
}
