//! Whole runs equal a reference loop over diffusers' networks and schedulers, from given noise to
//! the decoded picture, for tiny models and for the bundled one.

mod common;

use std::path::Path;

use burn::tensor::Device;
use common::{Arrays, assert_close, copy_folder, fixture, json};
use minkds::device::{Budget, Target};
use minkds::kds::Choice;
use minkds::model::{Model, ModelSource};
use minkds::pipeline::{
    self, Ask, Cancel, Estimator, Event, Latents, Outcome, Plan, Previews, Request, Rgb,
};
use minkds::settings::{
    Bandwidth, ColorFix, Kernel, SchedulerVariant, Select, Settings, Solver, Window,
};
use serde_json::Value;

/// Latents, relative to the largest: f32 sums in another order over up to 15 evaluations.
const LATENTS: f32 = 1e-4;
/// Pictures: a third of one 8-bit step.
const PICTURE: f32 = 0.3 / 255.0;

fn load(source: ModelSource) -> Model {
    Model::load(&source, &Target::cpu(), &mut |_, _, _| Ok(())).unwrap()
}

/// The tiny model `name`, with `overrides` laid over its scheduler config.
fn tiny(name: &str, overrides: &Value) -> Model {
    let folder = tempfile::tempdir().unwrap();
    copy_folder(&fixture(&format!("models/{name}")), folder.path());
    let path = folder.path().join("scheduler/scheduler_config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    if let Some(overrides) = overrides.as_object() {
        for (key, value) in overrides {
            config[key] = value.clone();
        }
    }
    std::fs::write(&path, config.to_string()).unwrap();
    load(ModelSource::Folder(folder.path().to_path_buf()))
}

/// `[3, H, W]` in -1..1 as a picture.
fn picture(arrays: &Arrays, name: &str) -> Rgb {
    let (planes, shape) = (arrays.values(name), arrays.shape(name));
    let (height, width) = (shape[1], shape[2]);
    let value = |i: usize| planes[i % 3 * height * width + i / 3] * 0.5 + 0.5;
    Rgb {
        width,
        height,
        values: (0..planes.len()).map(value).collect(),
    }
}

fn settings(case: &Value) -> Settings {
    let kds = &case["kds"];
    let number = |value: &Value, default: f64| value.as_f64().unwrap_or(default);
    Settings {
        particles: case["particles"].as_u64().unwrap() as u32,
        bandwidth: Bandwidth::Fixed(number(&kds["bandwidth"], 1.0)),
        patch_size: number(&kds["patch_size"], 1.0) as u32,
        gamma_0: number(&kds["gamma_0"], 0.0),
        kernel: match kds["kernel"].as_str() {
            Some("minkds") => Kernel::Minkds,
            _ => Kernel::Gaussian,
        },
        window: Window(
            number(&kds["window"][0], 0.0),
            number(&kds["window"][1], 1.0),
        ),
        select: serde_json::from_value(case["select"].clone()).unwrap(),
        vanilla: kds.is_null(),
        clean: case["clean"].as_bool().unwrap_or(false),
        solver: serde_json::from_value(case["solver"].clone()).unwrap(),
        steps: case["steps"].as_u64().unwrap() as u32,
        eta: number(&case["eta"], 0.0),
        color_fix: ColorFix::None,
        scheduler: match case["minkds"].as_bool() {
            Some(true) => SchedulerVariant::Minkds,
            _ => SchedulerVariant::Diffusers,
        },
        ..Settings::default()
    }
}

fn request(input: Rgb, start: Option<Latents>) -> Request {
    Request {
        start,
        memory: Budget::shared(1 << 32),
        keep_latents: true,
        check: false,
        ..Request::new(input)
    }
}

fn run(model: &Model, settings: &Settings, request: &Request) -> Outcome {
    pipeline::run(model, settings, request, &mut |_| (), &Cancel::default()).unwrap()
}

/// The final latents.
fn latents(model: &Model, settings: &Settings, request: &Request) -> Latents {
    run(model, settings, request)
        .latents
        .expect("latents are kept")
}

fn compare(outcome: &Outcome, arrays: &Arrays, name: &str, selected: &Value) {
    let finals = format!("{name}.final");
    let latents = outcome.latents.as_ref().expect("latents are kept");
    assert_eq!(latents.shape, arrays.shape4(&finals), "{name}");
    assert_close(&latents.values, arrays.values(&finals), LATENTS, &finals);
    match selected.as_u64() {
        Some(index) => assert_eq!(outcome.choice, Choice::Particle(index as usize), "{name}"),
        None => assert_eq!(outcome.choice, Choice::Mean, "{name}"),
    }
    // The reference is [3, H, W] in 0..1.
    let (want, got) = (
        arrays.values(&format!("{name}.picture")),
        &outcome.pictures[0],
    );
    let pixels = got.width * got.height;
    assert_eq!(want.len(), got.values.len());
    let worst = got.values.iter().enumerate().fold(0f32, |worst, (i, v)| {
        worst.max((v - want[i % 3 * pixels + i / 3]).abs())
    });
    assert!(
        worst <= PICTURE,
        "{name}: picture off by {} of 255",
        worst * 255.0
    );
}

#[test]
fn tiny_models_equal_the_reference_loop() {
    let arrays = Arrays::read(&fixture("pipelines.safetensors"));
    let cases = json("pipelines.json")["cases"].clone();
    let mut compared = 0;
    for case in cases.as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        if case["eta"].as_f64() > Some(0.0) {
            // This program's noise has its own source; `schedulers.rs` replays eta.
            continue;
        }
        let model = tiny(
            case["model"].as_str().unwrap(),
            &case["scheduler_overrides"],
        );
        let start = format!("{name}.start");
        let start = Latents {
            shape: arrays.shape4(&start),
            values: arrays.values(&start).to_vec(),
        };
        let input = picture(&arrays, &format!("{name}.low_res"));
        let outcome = run(&model, &settings(case), &request(input, Some(start)));
        compare(&outcome, &arrays, name, &case["selected"]);
        compared += 1;
    }
    assert!(compared >= 12, "{compared} cases");
}

#[test]
fn the_bundled_model_equals_the_reference_loop() {
    let arrays = Arrays::read(&fixture("bundled.safetensors"));
    let model = load(ModelSource::Bundled);
    for case in json("bundled.json")["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let settings = settings(case);
        let particles = settings.particles as usize;
        let [_, c, h, w] = arrays.shape4("start");
        let start = Latents {
            shape: [particles, c, h, w],
            values: arrays.values("start")[..particles * c * h * w].to_vec(),
        };
        let input = picture(&arrays, "low_res");
        let outcome = run(&model, &settings, &request(input, Some(start)));
        compare(&outcome, &arrays, name, &case["selected"]);
    }
}

/// The bundled model's crop at its recommended settings, with few steps to be quick.
fn quick() -> (Model, Settings, Rgb) {
    let model = load(ModelSource::Bundled);
    let arrays = Arrays::read(&fixture("bundled.safetensors"));
    let mut settings = Settings::resolve(
        &model.recommended().settings,
        None,
        &Default::default(),
        true,
    )
    .unwrap();
    settings.steps = 3;
    settings.particles = 3;
    (model, settings, picture(&arrays, "low_res"))
}

#[test]
fn without_steering_the_sampler_is_vanilla_bit_for_bit() {
    let (model, settings, input) = quick();
    let request = request(input, None);
    let vanilla = Settings {
        vanilla: true,
        ..settings.clone()
    };
    let want = latents(&model, &vanilla, &request);
    for (name, off) in [
        (
            "gamma 0",
            Settings {
                gamma_0: 0.0,
                ..settings.clone()
            },
        ),
        (
            "a window that never opens",
            Settings {
                window: Window(0.5, 0.5),
                ..settings.clone()
            },
        ),
    ] {
        assert_eq!(latents(&model, &off, &request), want, "{name}");
    }
    assert_ne!(
        latents(&model, &settings, &request),
        want,
        "steering does something"
    );
    let single = Settings {
        particles: 1,
        ..settings.clone()
    };
    let single = latents(&model, &single, &request);
    assert_eq!(
        single.values,
        want.values[..single.values.len()],
        "one particle"
    );
}

#[test]
fn batches_and_memory_change_no_bit() {
    let (model, settings, large) = quick();
    let settings = Settings {
        particles: 8,
        ..settings
    };
    // So small that eight particles at a time need more than the decode does.
    let values = large
        .values
        .chunks(large.width * 3)
        .take(16)
        .flat_map(|row| &row[..16 * 3]);
    let input = Rgb {
        width: 16,
        height: 16,
        values: values.copied().collect(),
    };
    let canvas = pipeline::canvas(&model, 16, 16);
    let plan = |memory| {
        let ask = Ask::of(&settings, Budget::shared(memory));
        Plan::new(&Estimator::of(&model), &canvas, &ask)
    };
    let roomy = plan(1 << 32).unwrap();
    let tight = plan(roomy.peak_bytes as u64 - 1).unwrap();
    assert!(roomy.batch == 8 && tight.batch < 8, "{roomy:?} {tight:?}");
    let mut outcomes = [roomy, tight].map(|plan| {
        let memory = Budget::shared(plan.peak_bytes as u64 + 1);
        let request = Request {
            memory,
            ..request(input.clone(), None)
        };
        let mut batches = Vec::new();
        let mut events = |event| {
            if let Event::Started { batch, .. } = event {
                batches.push(batch);
            }
        };
        let outcome = pipeline::run(&model, &settings, &request, &mut events, &Cancel::default());
        assert_eq!(batches, [plan.batch]);
        outcome.unwrap().latents.expect("latents are kept")
    });
    let [roomy, tight] = &mut outcomes;
    assert_eq!(roomy, tight);

    let request = Request {
        memory: Budget::shared(1 << 20),
        ..request(input, None)
    };
    let error = pipeline::run(&model, &settings, &request, &mut |_| (), &Cancel::default());
    let error = error.unwrap_err().to_string();
    assert!(error.contains("memory") && error.contains("MiB"), "{error}");
}

#[test]
fn eta_uses_its_own_noise_and_more_particles_change_none() {
    let (model, settings, input) = quick();
    let eta = Settings {
        eta: 1.0,
        solver: Solver::Ddim,
        vanilla: true,
        ..settings
    };
    let request = request(input, None);
    let three = latents(&model, &eta, &request);
    let two = Settings {
        particles: 2,
        ..eta.clone()
    };
    let two = latents(&model, &two, &request);
    assert_eq!(three.values[..two.values.len()], two.values);
    let none = latents(&model, &Settings { eta: 0.0, ..eta }, &request);
    assert_ne!(three.values, none.values);
}

#[test]
fn a_run_says_what_it_does_and_stops_when_told() {
    let (model, settings, input) = quick();
    let request = Request {
        previews: Previews::First,
        ..request(input.clone(), None)
    };
    let (mut progress, mut steps) = (Vec::new(), 0);
    let mut last_preview = None;
    let mut events = |event| match event {
        Event::Started {
            steps, particles, ..
        } => assert_eq!((steps, particles), (3, 3)),
        Event::Progress(part) => progress.push(part),
        Event::Step {
            index,
            distance,
            mut previews,
            ..
        } => {
            assert!(distance > 0.0);
            assert_eq!(index, steps);
            steps += 1;
            last_preview = previews.pop();
            assert!(previews.is_empty());
        }
        Event::Warning(text) => panic!("{text}"),
    };
    let outcome =
        pipeline::run(&model, &settings, &request, &mut events, &Cancel::default()).unwrap();
    assert!(progress.windows(2).all(|pair| pair[0] < pair[1]));
    assert!((progress.last().unwrap() - 1.0).abs() < 1e-9 && steps == 3);
    // The linear preview of the last step resembles the decoded picture of particle 0.
    let first = Settings {
        select: Select::First,
        color_fix: ColorFix::None,
        ..settings.clone()
    };
    let decoded = run(&model, &first, &request).pictures.remove(0);
    let preview = last_preview.expect("previews were asked for");
    assert_eq!(
        (preview.width, preview.height),
        (4 * input.width, 4 * input.height)
    );
    let mean: f32 = preview
        .values
        .iter()
        .zip(&decoded.values)
        .map(|(a, b)| (a - b).abs())
        .sum::<f32>()
        / decoded.values.len() as f32;
    assert!(mean < 0.04, "preview differs by {mean} on average");
    drop(outcome);

    let cancel = Cancel::default();
    let flag = cancel.clone();
    let mut evaluations = 0;
    let mut stop = |event| {
        if let Event::Progress(_) = event {
            evaluations += 1;
            flag.cancel();
        }
    };
    let error = pipeline::run(&model, &settings, &request, &mut stop, &cancel).unwrap_err();
    assert!(matches!(error, minkds::error::Error::Cancelled));
    assert_eq!(
        evaluations, 1,
        "nothing is evaluated after the flag is raised"
    );

    // What follows the last evaluation is stopped, too, whatever that is.
    for color_fix in [ColorFix::None, ColorFix::Robust] {
        let settings = Settings {
            color_fix,
            ..settings.clone()
        };
        let cancel = Cancel::default();
        let flag = cancel.clone();
        let mut stop = |event| match event {
            Event::Progress(part) if part > 1.0 - 1e-9 => flag.cancel(),
            _ => (),
        };
        let error = pipeline::run(&model, &settings, &request, &mut stop, &cancel).unwrap_err();
        assert!(matches!(error, minkds::error::Error::Cancelled));
    }
}

#[test]
fn any_size_comes_out_four_times_as_large() {
    let (model, mut settings, _) = quick();
    settings.steps = 1;
    for (width, height) in [(1, 1), (5, 7), (16, 4), (9, 13)] {
        let input = Rgb {
            width,
            height,
            values: vec![0.5; width * height * 3],
        };
        let outcome = run(&model, &settings, &request(input, None));
        let result = &outcome.pictures[0];
        assert_eq!((result.width, result.height), (4 * width, 4 * height));
        assert_eq!(result.values.len(), 16 * width * height * 3);
    }
}

#[test]
fn select_all_decodes_every_particle() {
    let (model, mut settings, input) = quick();
    settings.select = Select::All;
    let all = run(&model, &settings, &request(input.clone(), None));
    assert_eq!((all.pictures.len(), &all.choice), (3, &Choice::All));
    settings.select = Select::First;
    let first = run(&model, &settings, &request(input, None));
    assert_eq!(all.pictures[0], first.pictures[0]);
    assert_ne!(all.pictures[0], all.pictures[1]);
}

#[test]
fn a_preview_shows_no_raster_of_blocks() {
    let model = load(ModelSource::Bundled);
    let latents =
        Arrays::read(&fixture("bundled.safetensors")).tensor("kds.final", &Device::flex());
    let preview = model.preview(latents).unwrap();
    let [_, _, height, width] = preview.dims();
    let values = common::read(preview);
    // How far neighbours lie apart, by where in a block of four the left or upper one stands.
    let mut steps = [[0.0; 4]; 2];
    for (i, value) in values.iter().enumerate() {
        let (y, x) = (i / width % height, i % width);
        if x + 1 < width {
            steps[0][x % 4] += (value - values[i + 1]).abs();
        }
        if y + 1 < height {
            steps[1][y % 4] += (value - values[i + width]).abs();
        }
    }
    for [a, b, c, seam] in steps {
        let ratio: f32 = 3.0 * seam / (a + b + c);
        // Without softened seams it is 1.5 across and 1.6 down; in photographs it is 1.
        assert!(
            (0.7..1.3).contains(&ratio),
            "steps at seams are {ratio} times those within"
        );
    }
}

#[test]
fn the_fitted_preview_resembles_the_bundled_models_own() {
    let folder = tempfile::tempdir().unwrap();
    copy_folder(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/model"),
        folder.path(),
    );
    std::fs::remove_file(folder.path().join("minkds.json")).unwrap();
    let fitted = load(ModelSource::Folder(folder.path().to_path_buf()));
    let own = load(ModelSource::Bundled);
    assert!(own.recommended().preview.is_some() && fitted.recommended().preview.is_none());
    let arrays = Arrays::read(&fixture("bundled.safetensors"));
    let latents = arrays.tensor("kds.final", &Device::flex());
    let [a, b] = [&own, &fitted].map(|model| common::read(model.preview(latents.clone()).unwrap()));
    let mean = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).sum::<f32>() / a.len() as f32;
    // Values are in -1..1.
    assert!(mean < 0.05, "previews differ by {mean} on average");
}
