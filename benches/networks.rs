//! How fast the networks are: the best of some rounds, one JSON object a line.
//!
//!     cargo bench --bench networks -- [MODEL-FOLDER] [--device D] [--precision P] [--size HxW] [--batch N]

use std::path::PathBuf;
use std::time::Instant;

use burn::tensor::{FloatDType, Tensor, TensorData};
use clap::Parser;
use minkds::device::{DeviceChoice, Place, Precision, Target};
use minkds::error::Result;
use minkds::model::{Model, ModelSource, cost};
use minkds::noise;
use serde_json::json;

/// Any moment of the noise schedule costs the same.
const TIMESTEP: usize = 500;

/// Times one UNet evaluation of a batch and one decode
#[derive(Parser)]
struct Args {
    /// A folder in diffusers' layout; the bundled model if left out
    model: Option<PathBuf>,
    /// The latents' height and width
    #[arg(long, default_value = "128x128", value_parser = size)]
    size: [usize; 2],
    /// Pictures of a UNet evaluation
    #[arg(long, default_value_t = 1)]
    batch: usize,
    /// cpu, gpu[:N] or cuda[:N]
    #[arg(long, default_value = "cpu")]
    device: DeviceChoice,
    /// f32 or f16
    #[arg(long, value_enum, default_value = "f32")]
    precision: Precision,
    /// Timed runs of each network, after one that warms up
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// What `cargo bench` adds
    #[arg(long, hide = true)]
    bench: bool,
}

fn size(text: &str) -> Result<[usize; 2], String> {
    let (height, width) = text.split_once('x').ok_or("use a size such as 128x128")?;
    let number = |text: &str| {
        text.parse()
            .map_err(|_| format!("{text} is no whole number"))
    };
    Ok([number(height)?, number(width)?])
}

fn main() -> Result<()> {
    let args = Args::parse();
    let [height, width] = args.size;
    let floats = match args.precision {
        Precision::F16 => FloatDType::F16,
        _ => FloatDType::F32,
    };
    let target = Target::open(&Place::named(args.device)?, floats)?;
    let source = args.model.map_or(ModelSource::Bundled, ModelSource::Folder);
    let model = Model::load(&source, &target, &mut |_, _, _| Ok(()))?;
    let random = |n: usize, channels, salt| {
        let values: Vec<f32> = (0..n as u32)
            .flat_map(|i| noise::field(0, i, salt, [channels, height, width]))
            .collect();
        let shape = [n, channels, height, width];
        Tensor::<4>::from_data(TensorData::new(values, shape), target.device())
    };
    let latents = random(args.batch, model.vqvae().latent_channels(), noise::START);
    let low_res = random(1, 3, 1);
    let one = latents.clone().narrow(0, 0, 1);

    let report = |what: &str, batch: usize, flops: f64, seconds: f64| {
        let gflops = flops * batch as f64 / seconds / 1e9;
        println!(
            "{}",
            json!({"what": what, "size": args.size, "batch": batch, "seconds": seconds, "gflops": gflops})
        );
    };
    let unet = cost::unet(model.unet().config(), height, width).flops;
    let evaluate = || target.finish(&model.predict(latents.clone(), &low_res, TIMESTEP, false));
    report("unet", args.batch, unet, best(args.rounds, evaluate)?);
    let decoder = cost::decoder(model.vqvae().config(), height, width).flops;
    let decode = || target.finish(&model.vqvae().decode(one.clone()));
    report("decode", 1, decoder, best(args.rounds, decode)?);
    Ok(())
}

/// Seconds of the fastest of `rounds` runs, after one that warms up.
fn best(rounds: usize, run: impl Fn() -> Result<()>) -> Result<f64> {
    run()?;
    let mut best = f64::INFINITY;
    for _ in 0..rounds.max(1) {
        let start = Instant::now();
        run()?;
        best = best.min(start.elapsed().as_secs_f64());
    }
    Ok(best)
}
