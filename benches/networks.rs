//! How fast the networks are: the best of some rounds, one JSON object a line.
//!
//!     cargo bench --bench networks -- [MODEL-FOLDER] [--size HxW] [--rounds N]

use std::hint::black_box;
use std::path::PathBuf;
use std::time::Instant;

use burn::tensor::{Tensor, TensorData};
use clap::Parser;
use minkds::device::Target;
use minkds::model::{Model, ModelSource, cost};
use minkds::noise;
use serde_json::json;

/// Any moment of the noise schedule costs the same.
const TIMESTEP: usize = 500;

/// Times one UNet evaluation and one decode of a batch of one
#[derive(Parser)]
struct Args {
    /// A folder in diffusers' layout; the bundled model if left out
    model: Option<PathBuf>,
    /// The latents' height and width
    #[arg(long, default_value = "128x128", value_parser = size)]
    size: [usize; 2],
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

fn main() -> minkds::error::Result<()> {
    let args = Args::parse();
    let [height, width] = args.size;
    let target = Target::cpu();
    let source = args.model.map_or(ModelSource::Bundled, ModelSource::Folder);
    let model = Model::load(&source, &target, &mut |_, _, _| ())?;
    let random = |channels, salt| {
        let values = noise::field(0, 0, salt, [channels, height, width]);
        Tensor::<4>::from_data(
            TensorData::new(values, [1, channels, height, width]),
            target.device(),
        )
    };
    let latents = random(model.vqvae().latent_channels(), noise::START);
    let low_res = random(3, 1);

    let report = |what: &str, flops: f64, seconds: f64| {
        println!(
            "{}",
            json!({"what": what, "size": args.size, "seconds": seconds, "gflops": flops / seconds / 1e9})
        );
    };
    let unet = cost::unet(model.unet().config(), height, width).flops;
    report(
        "unet",
        unet,
        best(args.rounds, || {
            model.predict(latents.clone(), &low_res, TIMESTEP)
        }),
    );
    let decoder = cost::decoder(model.vqvae().config(), height, width).flops;
    report(
        "decode",
        decoder,
        best(args.rounds, || model.vqvae().decode(latents.clone())),
    );
    Ok(())
}

/// Seconds of the fastest of `rounds` runs, after one that warms up.
fn best(rounds: usize, run: impl Fn() -> Tensor<4>) -> f64 {
    black_box(run());
    (0..rounds.max(1))
        .map(|_| {
            let start = Instant::now();
            black_box(run());
            start.elapsed().as_secs_f64()
        })
        .fold(f64::INFINITY, f64::min)
}
