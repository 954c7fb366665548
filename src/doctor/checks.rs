//! Comparing a device with the processor.

use std::time::Instant;

use burn::tensor::{Device, FloatDType, Tensor, TensorData};

use super::{Check, Verdict};
use crate::device::{Place, Target};
use crate::error::{Error, Result, caught};
use crate::kds::MeanShift;
use crate::model::{Model, ModelSource, cost};
use crate::noise;
use crate::ops;
use crate::pipeline::{self, Cancel, Request, Rgb};
use crate::settings::{ColorFix, Kernel, Settings};

/// Operations in f32: sums in another order. What is broken is off by 1e-2 or more.
const OPERATION: f64 = 1e-5;
/// Operations on f16: what is given is rounded, and the result once more, by 2^-11 each; normalisation
/// enlarges the former.
const HALF_OPERATION: f64 = 5e-3;
/// A run's latents in f32, over some forty layers and two steps.
const RUN: f64 = 1e-3;
/// A run's latents in f16: each layer rounds, which a picture does not show (see docs/performance.md).
const HALF_RUN: f64 = 3e-2;

/// The small run: side of the input in pixels.
const SIDE: usize = 7;
/// The timed evaluations: sides in latent cells.
const SIDES: [usize; 3] = [16, 64, 128];
/// Seconds of an evaluation that tell enough.
const LONG: f64 = 0.1;

/// Examines `place` in `floats`. A device that crashes takes the program with it: see
/// [`examine_apart`](super::examine_apart).
pub fn examine(place: &Place, floats: FloatDType) -> Verdict {
    let target = match Target::open(place, floats) {
        Ok(target) => target,
        Err(error) => return Verdict::failed(error.to_string()),
    };
    let mut checks = operations(&target);
    if checks.iter().all(Check::passed) {
        checks.push(run(&target));
    }
    let speed = if checks.iter().all(Check::passed) {
        measure(&target).ok()
    } else {
        None
    };
    Verdict {
        checks,
        failure: None,
        speed,
    }
}

/// Billions of floating-point operations a second in the bundled network, once warm. Pictures grow
/// until an evaluation takes [`LONG`]: small ones do not keep a card busy.
///
/// # Errors
/// What the device says when it fails.
pub fn measure(target: &Target) -> Result<f64> {
    caught(|| {
        let model = Model::load(&ModelSource::Bundled, target, &mut |_, _, _| Ok(()))?;
        let mut speed = 0.0;
        for side in SIDES {
            let shape = [model.vqvae().latent_channels(), side, side];
            let latents = tensor(noise::field(1, 0, 0, shape), shape, target.device());
            let low_res = noise::field(2, 0, 0, [3, side, side]);
            let low_res = tensor(low_res, [3, side, side], target.device());
            let evaluate = || -> Result<f64> {
                let start = Instant::now();
                read(model.predict(latents.clone(), &low_res, 500, false))?;
                Ok(start.elapsed().as_secs_f64())
            };
            evaluate()?;
            let mut seconds = evaluate()?;
            if seconds < LONG {
                for _ in 0..2 {
                    seconds = seconds.min(evaluate()?);
                }
            }
            speed = cost::unet(model.unet().config(), side, side).flops / seconds / 1e9;
            if seconds >= LONG {
                break;
            }
        }
        Ok(speed)
    })
}

/// Own operations, on shapes with ragged edges.
fn operations(target: &Target) -> Vec<Check> {
    let mut checks = Vec::new();
    let half = target.floats() == FloatDType::F16;
    let limit = if half { HALF_OPERATION } else { OPERATION };
    for (n, c, h, w, p) in [
        (4, 8, 37, 50, 4),
        (10, 3, 33, 18, 64),
        (64, 2, 9, 7, 2),
        (1, 3, 8, 8, 2),
    ] {
        let params = MeanShift::new(p, (2.0 * (c * p * p) as f64).sqrt(), Kernel::Gaussian);
        let name = format!("mean shift of {n} particles in squares of {p}");
        checks.push(compare(&name, OPERATION, target, |device, _| {
            ops::mean_shift(random([n, c, h, w], 1, device), params)
        }));
    }
    for (n, i, o, k, h, w, stride) in [
        (2, 11, 48, 3, 21, 34, 1),
        (1, 48, 8, 3, 16, 16, 1),
        (3, 40, 24, 1, 9, 31, 1),
        (1, 16, 32, 3, 18, 11, 2),
    ] {
        let pad = k / 2;
        let geometry = ops::Conv2d {
            stride,
            pad_start: pad,
            pad_end: pad,
        };
        let name = format!("convolution {k}×{k} from {i} to {o} channels");
        checks.push(compare(&name, limit, target, |device, floats| {
            let x = random([n, i, h, w], 1, device).cast(floats);
            let weight = random([o, i, k, k], 2, device).cast(floats);
            let bias = random([1, 1, 1, o], 3, device).reshape([o]);
            ops::conv2d(x, weight, bias, geometry).cast(FloatDType::F32)
        }));
    }
    for (n, c, groups, h, w) in [(2, 8, 4, 5, 7), (1, 48, 16, 65, 63), (1, 16, 1, 50, 41)] {
        let params = ops::GroupNorm {
            groups,
            eps: 1e-5,
            silu: true,
        };
        let name = format!("group normalisation of {c} channels in {groups} groups");
        checks.push(compare(&name, limit, target, |device, floats| {
            let x = (random([n, c, h, w], 1, device) + 3.0).cast(floats);
            let weight = random([1, 1, 1, c], 2, device).reshape([c]);
            let bias = random([1, 1, 1, c], 3, device).reshape([c]);
            ops::group_norm(x, weight, bias, params).cast(FloatDType::F32)
        }));
    }
    checks.push(compare("doubling", limit, target, |device, floats| {
        let x = random([2, 3, 5, 70], 1, device).cast(floats);
        ops::upsample_nearest_2x(x).cast(FloatDType::F32)
    }));
    checks.push(compare("attention", OPERATION, target, |device, _| {
        let part = |salt| random([2, 3, 90, 20], salt, device);
        ops::attention(part(1), part(2), part(3))
    }));
    checks
}

/// A whole steered run on the bundled model.
fn run(target: &Target) -> Check {
    let half = target.floats() == FloatDType::F16;
    let limit = if half { HALF_RUN } else { RUN };
    check("a whole run", limit, || {
        let got = latents(target)?;
        Ok((got, latents(&Target::cpu())?))
    })
}

fn latents(target: &Target) -> Result<Vec<f32>> {
    let model = Model::load(&ModelSource::Bundled, target, &mut |_, _, _| Ok(()))?;
    let settings = Settings {
        particles: 2,
        steps: 2,
        color_fix: ColorFix::None,
        ..Model::bundled_settings()?
    };
    let wave = |i: usize| 0.5 + 0.4 * ((i * i) as f32 * 0.013).sin();
    let request = Request {
        keep_latents: true,
        ..Request::new(Rgb {
            width: SIDE,
            height: SIDE,
            values: (0..SIDE * SIDE * 3).map(wave).collect(),
        })
    };
    let cancel = Cancel::default();
    let outcome = pipeline::run(&model, &settings, &request, &mut |_| (), &cancel)?;
    // The picture, too, so that the decoder is looked at.
    let mut values = outcome.latents.map_or(Vec::new(), |latents| latents.values);
    values.extend(outcome.pictures.iter().flat_map(|picture| &picture.values));
    Ok(values)
}

/// `compute` on the device against the processor, which always holds f32.
fn compare(
    name: &str,
    limit: f64,
    target: &Target,
    compute: impl Fn(&Device, FloatDType) -> Tensor<4>,
) -> Check {
    check(name, limit, || {
        let got = read(compute(target.device(), target.floats()))?;
        let want = read(compute(Target::cpu().device(), FloatDType::F32))?;
        Ok((got, want))
    })
}

fn check(name: &str, limit: f64, results: impl Fn() -> Result<(Vec<f32>, Vec<f32>)>) -> Check {
    let start = Instant::now();
    let results = caught(results);
    let seconds = start.elapsed().as_secs_f64();
    let (error, failure) = match results {
        Ok((got, want)) => (relative_error(&got, &want), None),
        Err(error) => (None, Some(error.to_string())),
    };
    Check {
        name: name.into(),
        error,
        limit,
        failure,
        seconds,
    }
}

/// The largest difference, relative to the largest wanted value; none where something is no number.
fn relative_error(got: &[f32], want: &[f32]) -> Option<f64> {
    if got.len() != want.len() || !got.iter().all(|v| v.is_finite()) {
        return None;
    }
    let largest = want.iter().fold(0f32, |m, v| m.max(v.abs()));
    let pairs = got.iter().zip(want);
    let worst = pairs.fold(0f32, |m, (a, b)| m.max((a - b).abs()));
    Some(f64::from(worst) / f64::from(largest.max(f32::MIN_POSITIVE)))
}

fn read(x: Tensor<4>) -> Result<Vec<f32>> {
    x.try_into_vec_as::<f32>().map_err(Error::reading)
}

fn tensor(values: Vec<f32>, [c, h, w]: [usize; 3], device: &Device) -> Tensor<4> {
    Tensor::from_data(TensorData::new(values, [1, c, h, w]), device)
}

/// Normal values that depend on place and `salt` only.
fn random([n, c, h, w]: [usize; 4], salt: u32, device: &Device) -> Tensor<4> {
    let values = (0..n as u32)
        .flat_map(|particle| noise::field(7, particle, salt, [c, h, w]))
        .collect();
    Tensor::from_data(TensorData::new(values, [n, c, h, w]), device)
}
