//! How fast the mean shift is: the best of some rounds, one JSON object a line.
//!
//!     cargo bench --bench mean_shift -- [--device D] [--rounds N]

use std::hint::black_box;
use std::time::Instant;

use burn::tensor::{FloatDType, Tensor, TensorData};
use clap::Parser;
use minkds::device::{DeviceChoice, Place, Target};
use minkds::error::Result;
use minkds::kds::MeanShift;
use minkds::settings::Kernel;
use minkds::{noise, ops};
use serde_json::json;

const PARTICLES: [usize; 3] = [4, 10, 16];
/// Latent channels of the LDM-SR family and of the bundled model.
const CHANNELS: [usize; 2] = [3, 8];
const SIDE: usize = 128;
const PATCH_SIZE: usize = 4;
/// About the distance between two patches of unit noise, so that no weight is 0.
const BANDWIDTH: f64 = 10.0;

/// Times one mean shift of all particles
#[derive(Parser)]
struct Args {
    /// cpu, gpu[:N] or cuda[:N]
    #[arg(long, default_value = "cpu")]
    device: DeviceChoice,
    /// Timed runs of each shape, after one that warms up
    #[arg(long, default_value_t = 10)]
    rounds: usize,
    /// What `cargo bench` adds
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let target = Target::open(&Place::named(args.device)?, FloatDType::F32)?;
    // Waiting for a card costs a fixed time, which many shifts in a row share.
    let repeat = if target.is_cpu() { 1 } else { 20 };
    let params = MeanShift::new(PATCH_SIZE, BANDWIDTH, Kernel::Gaussian);
    for n in PARTICLES {
        for c in CHANNELS {
            let shape = [n, c, SIDE, SIDE];
            let x: Vec<f32> = (0..n as u32)
                .flat_map(|i| noise::field(0, i, noise::START, [c, SIDE, SIDE]))
                .collect();
            let x = Tensor::<4>::from_data(TensorData::new(x, shape), target.device());
            let run = || {
                for _ in 1..repeat {
                    ops::mean_shift(x.clone(), params);
                }
                let shift = ops::mean_shift(black_box(&x).clone(), params);
                target.finish(&shift)
            };
            run()?;
            let seconds = (0..args.rounds.max(1))
                .map(|_| {
                    let start = Instant::now();
                    run()?;
                    Ok(start.elapsed().as_secs_f64() / f64::from(repeat))
                })
                .collect::<Result<Vec<_>>>()?
                .into_iter()
                .fold(f64::INFINITY, f64::min);
            println!(
                "{}",
                json!({"what": "mean_shift", "shape": shape, "seconds": seconds})
            );
        }
    }
    Ok(())
}
