//! How time and memory grow with a picture's size, in tiles: `cargo bench --bench large [-- MEGAPIXELS]`.
//!
//! Each size is made with the bundled model, one step and two particles, in the tiles that are usual; the last
//! column is the time per megapixel of output, which should not grow. Without an argument the largest output
//! has 16 megapixels.

use std::time::Instant;

use minkds::device::{Budget, Target};
use minkds::model::{Model, ModelSource};
use minkds::noise;
use minkds::pipeline::{self, Ask, Cancel, Estimator, Plan, Request, Rgb};
use minkds::settings::Settings;

fn main() {
    // cargo passes --bench.
    let mut numbers = std::env::args().filter_map(|word| word.parse::<f64>().ok());
    let most = numbers.next().unwrap_or(16.0);
    let model = Model::load(&ModelSource::Bundled, &Target::cpu(), &mut |_, _, _| Ok(()));
    let model = model.expect("the bundled model");
    let settings = Settings {
        steps: 1,
        particles: 2,
        ..Model::bundled_settings().expect("its settings")
    };
    println!(
        "   output    tiles  estimated      time   per megapixel   peak of the program so far"
    );
    for width in [400, 800, 1000, 1600, 2400, 4000] {
        let height = width / 4 * 3;
        let megapixels = (16 * width * height) as f64 / 1e6;
        if megapixels > most {
            break;
        }
        let input = picture(width, height);
        let canvas = pipeline::canvas(&model, width, height);
        let plan = Plan::new(
            &Estimator::of(&model),
            &canvas,
            &Ask::of(&settings, Budget::shared(u64::MAX)),
        );
        let plan = plan.expect("a plan");
        let request = Request {
            check: false,
            ..Request::new(input)
        };
        let start = Instant::now();
        pipeline::run(&model, &settings, &request, &mut |_| (), &Cancel::default())
            .expect("a picture");
        let seconds = start.elapsed().as_secs_f64();
        println!(
            "{megapixels:6.1} Mpx  {:5}  {:5.2} GiB  {seconds:7.1} s  {:11.2} s   {}",
            plan.cut.network.count(),
            plan.peak_bytes / f64::from(1 << 30),
            seconds / megapixels,
            peak()
        );
    }
}

/// Something between flat and busy.
fn picture(width: usize, height: usize) -> Rgb {
    let grain = noise::field(1, 0, 0, [1, height, width]);
    let values = (0..width * height * 3).map(|i| {
        let (x, y) = (i / 3 % width, i / 3 / width);
        let waves = (x as f32 / 23.0).sin() * (y as f32 / 17.0).cos();
        (0.5 + 0.2 * waves + 0.03 * grain[i / 3]).clamp(0.0, 1.0)
    });
    Rgb {
        width,
        height,
        values: values.collect(),
    }
}

/// The most memory that this process has held, where Linux says it.
fn peak() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or("unknown".into(), |peak| peak.trim().to_string())
}
