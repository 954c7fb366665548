//! A card that fails in the middle of a run costs time, not the picture. The failures are real ones: a
//! destroyed device, and tensors larger than the device takes.

use burn::tensor::FloatDType;
use minkds::device::Target;
use minkds::job::Engine;
use minkds::model::{Model, ModelSource};
use minkds::pipeline::{self, Cancel, Event, Rgb};

use super::place;
use super::runs::{request, settings};
use crate::common::fixture;

fn source() -> ModelSource {
    ModelSource::Folder(fixture("models/ldm-like"))
}

/// The processor's picture.
fn wanted() -> Rgb {
    let model = Model::load(&source(), &Target::cpu(), &mut |_, _, _| Ok(())).unwrap();
    pipeline::run(
        &model,
        &settings(),
        &request(),
        &mut |_| (),
        &Cancel::default(),
    )
    .unwrap()
    .pictures
    .remove(0)
}

#[test]
fn a_device_that_is_lost_in_the_middle_of_a_run_is_opened_again() {
    let Some(place) = place() else { return };
    let target = Target::open(&place, FloatDType::F32).unwrap();
    let mut engine = Engine::load(&source(), &target, &mut |_, _, _| Ok(())).unwrap();
    let mut warnings = Vec::new();
    let mut losses = 0;
    let device = target.wgpu_device().unwrap().clone();
    let outcome = engine.run(
        &settings(),
        request(),
        None,
        &mut |event| match event {
            Event::Step { index: 0, .. } if losses == 0 => {
                losses += 1;
                device.destroy();
            }
            Event::Warning(text) => warnings.push(text),
            _ => (),
        },
        &Cancel::default(),
    );
    let picture = outcome.unwrap().pictures.remove(0);
    assert_eq!(losses, 1);
    assert!(
        warnings.len() == 1 && warnings[0].contains("failed"),
        "{warnings:?}"
    );
    let want = wanted();
    let worst =
        (picture.values.iter().zip(&want.values)).fold(0f32, |m, (a, b)| m.max((a - b).abs()));
    assert!(worst <= 1.0 / 255.0, "off by {}", worst * 255.0);

    // The next picture is made on a device that works.
    let mut warnings = Vec::new();
    let mut watch = |event| {
        if let Event::Warning(text) = event {
            warnings.push(text);
        }
    };
    engine
        .run(&settings(), request(), None, &mut watch, &Cancel::default())
        .unwrap();
    assert!(warnings.is_empty(), "{warnings:?}");
    assert!(!engine.model().target().is_cpu());
}

#[test]
fn what_is_too_large_for_a_device_is_made_on_the_processor() {
    let Some(place) = place() else { return };
    let target = Target::open(&place, FloatDType::F32).unwrap();
    let target = target.with_largest(1000);
    let mut engine = Engine::load(&source(), &target, &mut |_, _, _| Ok(())).unwrap();
    let mut warnings = Vec::new();
    let mut watch = |event| {
        if let Event::Warning(text) = event {
            warnings.push(text);
        }
    };
    let outcome = engine.run(&settings(), request(), None, &mut watch, &Cancel::default());
    assert_eq!(outcome.unwrap().pictures.remove(0), wanted());
    let told = warnings.len() == 1 && warnings[0].contains("too large");
    assert!(told && warnings[0].contains("processor"), "{warnings:?}");
}
