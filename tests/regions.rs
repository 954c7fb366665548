//! A region of a picture comes out as it does within the whole, and runs say how far particles agree.

mod common;

use common::{Arrays, fixture};
use minkds::device::Target;
use minkds::kds;
use minkds::model::{Model, ModelSource};
use minkds::pipeline::{self, Cancel, Event, Outcome, Previews, Region, Request, Rgb, grid};
use minkds::settings::{ColorFix, Select, Settings};

fn model() -> Model {
    Model::load(&ModelSource::Bundled, &Target::cpu(), &mut |_, _, _| Ok(())).unwrap()
}

/// The bundled model's own settings, with few steps and particles to be quick.
fn settings() -> Settings {
    Settings {
        particles: 2,
        steps: 3,
        ..Model::bundled_settings().unwrap()
    }
}

/// A photograph of 96 × 72 pixels: the fixtures' crop, repeated by mirrors.
fn photo() -> Rgb {
    let arrays = Arrays::read(&fixture("bundled.safetensors"));
    let (planes, shape) = (arrays.values("low_res"), arrays.shape("low_res"));
    let (h, w) = (shape[1], shape[2]);
    let mirror = |i: usize, n: usize| {
        if (i / n).is_multiple_of(2) {
            i % n
        } else {
            n - 1 - i % n
        }
    };
    let (width, height) = (96, 72);
    let values = (0..height * width * 3).map(|i| {
        let (y, x) = (mirror(i / 3 / width, h), mirror(i / 3 % width, w));
        planes[(i % 3 * h + y) * w + x] * 0.5 + 0.5
    });
    Rgb {
        width,
        height,
        values: values.collect(),
    }
}

fn run(model: &Model, settings: &Settings, request: &Request) -> Outcome {
    pipeline::run(model, settings, request, &mut |_| (), &Cancel::default()).unwrap()
}

fn mean_difference(a: &Rgb, b: &Rgb) -> f32 {
    assert_eq!((a.width, a.height), (b.width, b.height));
    let pairs = a.values.iter().zip(&b.values);
    pairs.map(|(a, b)| (a - b).abs()).sum::<f32>() / a.values.len() as f32
}

#[test]
fn a_region_predicts_the_whole_picture() {
    let (model, input) = (model(), photo());
    for color_fix in [ColorFix::None, ColorFix::Consistency] {
        let settings = Settings {
            color_fix,
            select: Select::First,
            ..settings()
        };
        let whole = run(&model, &settings, &Request::new(input.clone()));
        let whole = &whole.pictures[0];
        for (left, top, width, height) in [(30, 20, 30, 30), (0, 0, 20, 20), (70, 50, 26, 22)] {
            let asked = Region {
                left,
                top,
                width,
                height,
            };
            let request = Request {
                region: Some(asked),
                ..Request::new(input.clone())
            };
            let outcome = run(&model, &settings, &request);
            let (picture, got) = (&outcome.pictures[0], outcome.region);
            assert_eq!(got, asked.on_grid(grid(&model, &settings), &input));
            assert_eq!(
                (picture.width, picture.height),
                (4 * got.width, 4 * got.height)
            );
            let place = Region {
                left: 4 * got.left,
                top: 4 * got.top,
                width: 4 * got.width,
                height: 4 * got.height,
            };
            // The network's normalisation sees the whole, which a region cannot.
            let difference = 255.0 * mean_difference(picture, &place.cut(whole));
            assert!(
                difference < 2.0,
                "{asked:?}: off by {difference} of 255 on average"
            );
            // Another place, or other noise, is no prediction at all.
            let elsewhere = Region {
                left: 4 * ((got.left + 24) % 64),
                ..place
            };
            if elsewhere.left + elsewhere.width <= whole.width {
                let other = 255.0 * mean_difference(picture, &elsewhere.cut(whole));
                assert!(other > 3.0 * difference, "{other} against {difference}");
            }
        }
    }
}

#[test]
fn the_whole_as_a_region_is_the_whole_bit_for_bit() {
    let (model, input) = (model(), photo());
    let region = Region::whole(&input);
    let request = Request {
        region: Some(region),
        ..Request::new(input.clone())
    };
    let a = run(&model, &settings(), &request);
    let b = run(&model, &settings(), &Request::new(input));
    assert_eq!((a.pictures, a.region), (b.pictures, b.region));
}

#[test]
fn any_particle_can_be_drawn_again_alone() {
    let (model, input) = (model(), photo());
    let vanilla = Settings {
        particles: 3,
        vanilla: true,
        select: Select::All,
        ..settings()
    };
    let region = Some(Region {
        left: 8,
        top: 16,
        width: 16,
        height: 16,
    });
    let all = Request {
        region,
        ..Request::new(input)
    };
    let all_pictures = run(&model, &vanilla, &all).pictures;
    let alone = Request {
        first_particle: 2,
        ..all
    };
    let one = Settings {
        particles: 1,
        ..vanilla
    };
    assert_eq!(run(&model, &one, &alone).pictures[0], all_pictures[2]);
}

#[test]
fn steps_tell_how_far_particles_lie_apart_and_what_each_looks_like() {
    let (model, input) = (model(), photo());
    let distances = |settings: &Settings| {
        let request = Request {
            previews: Previews::All,
            ..Request::new(input.clone())
        };
        let mut distances = Vec::new();
        let mut watch = |event| {
            if let Event::Step {
                distance, previews, ..
            } = event
            {
                assert_eq!(previews.len(), 3);
                assert_ne!(previews[0], previews[1]);
                distances.push(distance);
            }
        };
        pipeline::run(&model, settings, &request, &mut watch, &Cancel::default()).unwrap();
        distances
    };
    // Three steps are few to come together in: so many as the model recommends.
    let steered = Settings {
        particles: 3,
        gamma_0: 1.0,
        steps: 5,
        ..settings()
    };
    let vanilla = Settings {
        vanilla: true,
        ..steered.clone()
    };
    let (steered, vanilla) = (distances(&steered), distances(&vanilla));
    assert_eq!(
        steered[0], vanilla[0],
        "before the first steering they are the same"
    );
    let (s, v) = (steered.last().unwrap(), vanilla.last().unwrap());
    assert!(s < &(0.8 * v), "steered {s}, vanilla {v}");
}

#[test]
fn the_distance_is_that_of_all_pairs() {
    let shape = [5, 3, 4, 7];
    let particles: Vec<Vec<f32>> = (0..5)
        .map(|i| minkds::noise::field(1, i, 0, [3, 4, 7]))
        .collect();
    let mut squares = 0.0;
    let mut pairs = 0.0;
    for i in 0..5 {
        for j in 0..i {
            let terms = particles[i].iter().zip(&particles[j]);
            squares += terms.map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>();
            pairs += 84.0;
        }
    }
    let data = burn::tensor::TensorData::new(particles.concat(), shape);
    let tensor = burn::tensor::Tensor::<4>::from_data(data, Target::cpu().device());
    let got = kds::distance(&tensor).unwrap();
    assert!((got - (squares / pairs).sqrt()).abs() < 1e-6, "{got}");
    assert_eq!(kds::distance(&tensor.narrow(0, 0, 1)).unwrap(), 0.0);
}
