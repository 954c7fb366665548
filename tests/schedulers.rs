//! Both samplers equal diffusers' own `step()` on made-up network outputs, step by step.

mod common;

use burn::tensor::{Device, Tensor, TensorData};
use common::{assert_close, floats, json, read};
use minkds::scheduler::{Scheduler, SchedulerConfig};
use minkds::settings::{SchedulerVariant, Solver};
use serde_json::Value;

/// Rounding of f32 scalars and sums; a wrong formula or table is off by 1e-3 or more.
const TOLERANCE: f32 = 2e-5;

fn replay(case: &Value, solver: Solver, variant: SchedulerVariant) {
    let name = case["name"].as_str().unwrap();
    let config: SchedulerConfig = serde_json::from_value(case["config"].clone()).unwrap();
    config.validate().unwrap();
    let steps = case["num_inference_steps"].as_u64().unwrap() as usize;
    let eta = case["eta"].as_f64().unwrap_or(0.0) as f32;
    let mut scheduler = Scheduler::new(&config, solver, steps, eta, variant).expect(name);
    let expected: Vec<usize> = floats(&case["timesteps"])
        .iter()
        .map(|&t| t as usize)
        .collect();
    assert_eq!(scheduler.timesteps(), expected, "{name}: timesteps");

    let device = Device::flex();
    let tensor = |values: &Value| -> Tensor<4> {
        Tensor::from_data(TensorData::new(floats(values), [1, 1, 2, 3]), &device)
    };
    let mut sample = tensor(&case["sample0"]);
    for i in 0..steps {
        let prediction = scheduler.predict_x0(i, &sample, tensor(&case["model_outputs"][i]));
        let x0 = read(prediction.x0.clone());
        assert_close(
            &x0,
            &floats(&case["pred_x0"][i]),
            TOLERANCE,
            &format!("{name}: x0 of step {i}"),
        );
        let noise = scheduler.needs_noise(i).then(|| tensor(&case["noises"][i]));
        sample = scheduler.step_from_x0(i, sample, prediction, noise);
        let got = read(sample.clone());
        assert_close(
            &got,
            &floats(&case["samples"][i]),
            TOLERANCE,
            &format!("{name}: sample after step {i}"),
        );
        // Errors do not accumulate over steps: each starts from the reference.
        sample = tensor(&case["samples"][i]);
    }
}

#[test]
fn every_schedule_and_step_equals_diffusers() {
    let fixture = json("schedulers.json");
    let cases = fixture["cases"].as_array().unwrap();
    assert!(cases.len() > 50);
    for case in cases {
        if unsupported(case["name"].as_str().unwrap()) {
            let config: SchedulerConfig = serde_json::from_value(case["config"].clone()).unwrap();
            let error = config
                .validate()
                .expect_err("an option that is not implemented");
            assert!(error.contains("not supported"), "{error}");
            continue;
        }
        let solver = match case["scheduler_class"].as_str().unwrap() {
            "DDIMScheduler" => Solver::Ddim,
            _ => Solver::DpmSolver,
        };
        replay(case, solver, SchedulerVariant::Diffusers);
    }
}

/// Cases for options that this program refuses by name.
fn unsupported(name: &str) -> bool {
    ["thresholding", "trained-betas", "zero-snr"]
        .iter()
        .any(|option| name.contains(option))
}

#[test]
fn the_minkds_variant_ends_at_timestep_zero_without_clipping() {
    for case in json("schedulers.json")["minkds_steps"].as_array().unwrap() {
        replay(case, Solver::Ddim, SchedulerVariant::Minkds);
    }
}

#[test]
fn impossible_numbers_of_steps_are_refused_with_advice() {
    let config = SchedulerConfig {
        num_train_timesteps: 20,
        ..SchedulerConfig::default()
    };
    for (solver, steps) in [
        (Solver::Ddim, 0),
        (Solver::Ddim, 21),
        (Solver::DpmSolver, 20),
    ] {
        let error =
            Scheduler::new(&config, solver, steps, 0.0, SchedulerVariant::Diffusers).unwrap_err();
        assert!(error.contains("use"), "{error}");
    }
}
