//! Whole runs on a card.

use burn::tensor::FloatDType;
use minkds::device::Target;
use minkds::doctor;
use minkds::kds::Choice;
use minkds::model::{Model, ModelSource};
use minkds::pipeline::{self, Cancel, Outcome, Request, Rgb};
use minkds::settings::{Bandwidth, ColorFix, Settings};

use super::{gpu, gpu_f16, place};
use crate::common::{assert_close, fixture};

/// Latents, relative to the largest, and pictures, of full scale: f32 sums in another order over three
/// steps and some forty layers each.
const LATENTS: f32 = 1e-3;
const PICTURE: f32 = 1.0 / 255.0;

pub fn input() -> Rgb {
    let (width, height) = (7, 5);
    let wave = |i: usize| 0.5 + 0.4 * ((i * i) as f32 * 0.013).sin();
    Rgb {
        width,
        height,
        values: (0..width * height * 3).map(wave).collect(),
    }
}

pub fn request() -> Request {
    Request {
        keep_latents: true,
        check: false,
        ..Request::new(input())
    }
}

pub fn settings() -> Settings {
    Settings {
        particles: 3,
        steps: 2,
        patch_size: 4,
        bandwidth: Bandwidth::Fixed(11.3),
        color_fix: ColorFix::None,
        ..Settings::default()
    }
}

fn run(target: &Target, source: &ModelSource, request: &Request) -> Outcome {
    let model = Model::load(source, target, &mut |_, _, _| Ok(())).unwrap();
    pipeline::run(
        &model,
        &settings(),
        request,
        &mut |_| (),
        &Cancel::default(),
    )
    .unwrap()
}

fn check(target: &Target, source: &ModelSource) {
    let [got, want] = [target, &Target::cpu()].map(|target| run(target, source, &request()));
    assert_eq!(got.choice, want.choice);
    assert!(matches!(got.choice, Choice::Particle(_)));
    let [a, b] = [&got, &want].map(|outcome| &outcome.latents.as_ref().unwrap().values);
    assert_close(a, b, LATENTS, &format!("latents of {source:?}"));
    let pairs = got.pictures[0].values.iter().zip(&want.pictures[0].values);
    let worst = pairs.fold(0f32, |worst, (a, b)| worst.max((a - b).abs()));
    assert!(
        worst <= PICTURE,
        "{source:?}: off by {} of 255",
        worst * 255.0
    );
}

#[test]
fn every_kind_of_network_makes_the_processors_picture() {
    let Some(target) = gpu() else { return };
    check(target, &ModelSource::Bundled);
    for name in ["ldm-like", "scale-shift"] {
        check(
            target,
            &ModelSource::Folder(fixture(&format!("models/{name}"))),
        );
    }
}

#[test]
fn runs_and_batches_change_no_bit() {
    let Some(target) = gpu() else { return };
    let source = ModelSource::Folder(fixture("models/ldm-like"));
    let first = run(target, &source, &request());
    let again = run(target, &source, &request());
    assert_eq!(first.latents, again.latents);
    assert_eq!(first.pictures, again.pictures);
    for batch in [1, 2] {
        let request = Request {
            most_cells: Some(batch * 16 * 16),
            ..request()
        };
        assert_eq!(
            run(target, &source, &request).latents,
            first.latents,
            "{batch} at a time"
        );
    }
}

#[test]
fn half_precision_makes_nearly_the_same_picture() {
    let Some(target) = gpu_f16() else { return };
    let source = ModelSource::Bundled;
    let [half, full] = [&target, &Target::cpu()].map(|target| run(target, &source, &request()));
    let (half, full) = (&half.pictures[0].values, &full.pictures[0].values);
    let pairs = half.iter().zip(full);
    let mean = pairs.map(|(a, b)| (a - b).abs()).sum::<f32>() / full.len() as f32;
    assert!(
        mean <= 1.0 / 255.0,
        "off by {} of 255 on average",
        mean * 255.0
    );
    assert_ne!(half, full, "f16 was not used");
}

#[test]
fn the_doctor_finds_the_adapter_sound() {
    let Some(place) = place() else { return };
    let verdict = doctor::examine(&place, FloatDType::F32);
    assert!(verdict.passed(), "{:?} {verdict:?}", verdict.complaint());
    assert!(verdict.checks.len() > 10 && verdict.speed.is_some());
}
