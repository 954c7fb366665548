//! Pictures made in tiles: nothing changes where there is one tile, and no seam shows where there are many.

mod common;

use burn::tensor::{Tensor, TensorData};
use common::{Arrays, fixture};
use minkds::device::{Budget, Target};
use minkds::model::{Model, ModelSource, Norms, Statistics};
use minkds::noise;
use minkds::pipeline::{
    self, Ask, Cancel, Canvas, Estimator, Event, Outcome, Plan, Request, Rgb, Tiling,
};
use minkds::settings::{ColorFix, Select, Settings, TileSize};

/// Pixels of the input.
const TILE: u32 = 48;
const OVERLAP: u32 = 16;

fn bundled() -> Model {
    Model::load(&ModelSource::Bundled, &Target::cpu(), &mut |_, _, _| Ok(())).unwrap()
}

/// The bundled model's own settings with few steps and particles, colours as they come.
fn settings(tile: TileSize) -> Settings {
    Settings {
        particles: 2,
        steps: 3,
        color_fix: ColorFix::None,
        tile,
        overlap: OVERLAP,
        ..Model::bundled_settings().unwrap()
    }
}

/// A photograph: the fixtures' crop, repeated by mirrors.
fn photo(width: usize, height: usize) -> Rgb {
    let arrays = Arrays::read(&fixture("bundled.safetensors"));
    let (planes, shape) = (arrays.values("low_res"), arrays.shape("low_res"));
    let (h, w) = (shape[1], shape[2]);
    let mirror = |i: usize, n: usize| match (i / n).is_multiple_of(2) {
        true => i % n,
        false => n - 1 - i % n,
    };
    picture(width, height, |y, x, c| {
        planes[(c * h + mirror(y, h)) * w + mirror(x, w)] * 0.5 + 0.5
    })
}

fn picture(width: usize, height: usize, value: impl Fn(usize, usize, usize) -> f32) -> Rgb {
    let values = (0..height * width * 3)
        .map(|i| value(i / 3 / width, i / 3 % width, i % 3))
        .collect();
    Rgb {
        width,
        height,
        values,
    }
}

fn run(model: &Model, settings: &Settings, input: &Rgb) -> Outcome {
    let request = Request {
        keep_latents: true,
        ..Request::new(input.clone())
    };
    pipeline::run(model, settings, &request, &mut |_| (), &Cancel::default()).unwrap()
}

fn rms(a: &[f32], b: &[f32]) -> f64 {
    let squares: f64 = (a.iter().zip(b))
        .map(|(a, b)| f64::from(a - b).powi(2))
        .sum();
    (squares / a.len() as f64).sqrt()
}

#[test]
fn a_picture_that_fits_one_tile_equals_the_untiled_run_exactly() {
    let (model, input) = (bundled(), photo(46, 30));
    let whole = run(&model, &settings(TileSize::Off), &input);
    for tile in [TileSize::Auto, TileSize::Side(TILE), TileSize::Side(4000)] {
        let tiled = run(&model, &settings(tile), &input);
        assert_eq!(tiled.tile, None);
        assert_eq!(tiled.latents, whole.latents, "{tile:?}");
        assert_eq!(tiled.pictures, whole.pictures, "{tile:?}");
    }
}

/// Another seed gives latents that lie `apart`; the same noise in tiles stays far below that. Noise of a
/// tile's own would be another seed's.
#[test]
fn tiling_changes_no_noise() {
    let (model, input) = (bundled(), photo(96, 72));
    let vanilla = |tile, seed| Settings {
        vanilla: true,
        seed,
        ..settings(tile)
    };
    let latents = |settings| run(&model, &settings, &input).latents.unwrap();
    let whole = latents(vanilla(TileSize::Off, 0));
    let tiled = latents(vanilla(TileSize::Side(TILE), 0));
    let other = latents(vanilla(TileSize::Off, 1));
    let (moved, apart) = (
        rms(&tiled.values, &whole.values),
        rms(&other.values, &whole.values),
    );
    println!("tiles move latents by {moved:.4}, another seed by {apart:.4}");
    assert!(moved < 0.35 * apart, "{moved} of {apart}");
}

#[test]
fn tiled_runs_repeat_exactly_whatever_the_memory() {
    let (model, input) = (bundled(), photo(90, 70));
    let settings = settings(TileSize::Side(TILE));
    let first = run(&model, &settings, &input);
    assert_eq!(first.tile, Some(TILE as usize));
    let request = Request {
        keep_latents: true,
        most_cells: Some(1),
        ..Request::new(input)
    };
    let again = pipeline::run(&model, &settings, &request, &mut |_| (), &Cancel::default());
    let again = again.unwrap();
    assert_eq!(again.latents, first.latents);
    assert_eq!(again.pictures, first.pictures);
}

/// With the whole's statistics and [`decoder_reach`](minkds::model::AutoencoderConfig::decoder_reach) cells
/// around it, a part is decoded as within the whole, but for the rounding of sums in another order.
#[test]
fn with_the_wholes_statistics_and_enough_context_a_part_is_exact() {
    let model = bundled();
    let (vqvae, [h, w]) = (model.vqvae(), [40usize, 60]);
    let reach = vqvae.config().decoder_reach().expect("a local decoder");
    let c = vqvae.latent_channels();
    let z = TensorData::new(noise::field(3, 0, 0, [c, h, w]), [1, c, h, w]);
    let z = Tensor::<4>::from_data(z, model.device());
    let norms = Norms::own().gathering([0.0, 1.0, 0.0, 1.0]);
    let whole = vqvae.decode_part(z.clone(), &norms);
    let mut statistics = Statistics::new();
    norms.add_to(&mut statistics).unwrap();
    let norms = Norms::given(statistics);

    let (from, to) = (20, 36);
    let part = |context: usize| {
        let seen = from - context..to + context;
        let part = vqvae.decode_part(z.clone().slice([0..1, 0..c, 0..h, seen]), &norms);
        let inner = part.slice([0..1, 0..3, 0..4 * h, 4 * context..4 * (context + to - from)]);
        let wanted = whole
            .clone()
            .slice([0..1, 0..3, 0..4 * h, 4 * from..4 * to]);
        (inner - wanted).abs().max().into_scalar::<f32>() * 0.5
    };
    let (exact, short) = (part(reach), part(reach - 4));
    println!("off by {exact} with {reach} cells of context, by {short} with four less");
    assert!(exact < 0.01 / 255.0 && short > exact, "{exact} {short}");
}

/// The same latents decoded whole and in tiles: what remains is the error of the statistics, which are
/// gathered in a few rounds. It is the same everywhere, so that it shows no edge.
#[test]
fn a_tiled_decode_is_close_to_the_whole_one() {
    let (model, input) = (bundled(), photo(120, 96));
    let settings = Settings {
        particles: 1,
        ..settings(TileSize::Off)
    };
    let whole = run(&model, &settings, &input);
    let latents = whole.latents.unwrap();
    for side in [48, 64] {
        let settings = Settings {
            tile: TileSize::Side(side),
            ..settings.clone()
        };
        let request = Request::new(input.clone());
        let tiled = pipeline::decode(&model, &settings, &request, &latents, 0, &Cancel::default());
        let tiled = tiled.unwrap();
        let pairs = tiled.values.iter().zip(&whole.pictures[0].values);
        let worst = pairs.fold(0f32, |worst, (a, b)| worst.max((a - b).abs())) * 255.0;
        let usual = rms(&tiled.values, &whole.pictures[0].values) * 255.0;
        println!("tiles of {side}: off by {worst:.3} of 255 at most, {usual:.4} rms");
        assert!(
            worst < 4.0 && usual < 0.8,
            "off by {worst} of 255 with tiles of {side}"
        );
    }
}

/// Mean squared step between neighbouring pixels, across the borders of tiles and elsewhere: 1 is no seam.
fn seam(picture: &Rgb, borders: &[usize]) -> f64 {
    let stride = picture.width * 3;
    let step = |x: usize| -> f64 {
        let rows = picture.values.chunks_exact(stride);
        rows.map(|row| {
            let pixel = |x: usize| &row[3 * x..3 * x + 3];
            let pairs = pixel(x - 1).iter().zip(pixel(x));
            pairs.map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>()
        })
        .sum()
    };
    let steps: Vec<f64> = (1..picture.width).map(step).collect();
    let mean = |columns: &mut dyn Iterator<Item = usize>| {
        let values: Vec<f64> = columns.map(|x| steps[x - 1]).collect();
        values.iter().sum::<f64>() / values.len() as f64
    };
    let across = mean(&mut borders.iter().copied());
    // Columns with the same place within their latent cell: those differ among themselves already.
    let elsewhere = mean(&mut (1..picture.width).filter(|x| {
        x % 4 == borders[0] % 4 && borders.iter().all(|border| x.abs_diff(*border) > 8)
    }));
    across / elsewhere
}

#[test]
fn no_seam_shows_on_flat_textured_and_real_pictures() {
    let model = bundled();
    let (width, height) = (136, 48);
    let texture = noise::field(5, 0, 0, [3, height, width]);
    let inputs = [
        ("real", photo(width, height)),
        (
            "flat",
            picture(width, height, |_, x, _| 0.5 + 0.001 * x as f32),
        ),
        (
            "textured",
            picture(width, height, |y, x, c| {
                (0.5 + 0.1 * texture[(c * height + y) * width + x]).clamp(0.0, 1.0)
            }),
        ),
    ];
    // Where one tile ends or the next begins.
    let tiling = Tiling::new([height, width], TILE as usize, OVERLAP as usize, 4);
    let mut borders: Vec<usize> = tiling
        .tiles()
        .flat_map(|tile| [tile.place.left, tile.place.left + tile.place.width])
        .filter(|&edge| edge > 0 && edge < width)
        .map(|edge| 4 * edge)
        .collect();
    borders.sort();
    borders.dedup();
    assert!(borders.len() >= 4);
    for (name, input) in inputs {
        let tiled = run(&model, &settings(TileSize::Side(TILE)), &input);
        let whole = run(&model, &settings(TileSize::Off), &input);
        let seams = [&tiled, &whole].map(|outcome| seam(&outcome.pictures[0], &borders));
        println!("{name}: {:.3} in tiles, {:.3} whole", seams[0], seams[1]);
        // The whole picture's own number says how far chance takes it.
        assert!(seams[0] < 1.25 * seams[1].max(1.0), "{name}: {seams:?}");
    }
}

#[test]
fn every_selection_and_size_works_in_tiles() {
    let model = bundled();
    for (width, height) in [(70, 5), (3, 70), (50, 50)] {
        let settings = Settings {
            steps: 1,
            select: Select::All,
            tile: TileSize::Side(32),
            overlap: 12,
            ..settings(TileSize::Auto)
        };
        let outcome = run(&model, &settings, &photo(width, height));
        assert_eq!(outcome.pictures.len(), 2);
        for picture in outcome.pictures {
            assert_eq!((picture.width, picture.height), (4 * width, 4 * height));
        }
    }
}

#[test]
fn short_memory_means_smaller_tiles_and_says_so() {
    let model = bundled();
    let settings = settings(TileSize::Auto);
    let canvas = Canvas::new(200, 160, 4);
    let plan = |memory| {
        let ask = Ask::of(&settings, Budget::shared(memory));
        Plan::new(&Estimator::of(&model), &canvas, &ask)
    };
    let roomy = plan(u64::MAX).unwrap();
    assert_eq!((roomy.cut.side, roomy.smaller), (None, None));
    let tight = plan(roomy.peak_bytes as u64 / 2).unwrap();
    let side = tight.cut.side.expect("tiles");
    assert_eq!(tight.smaller, Some((side, None)));
    assert!(tight.peak_bytes <= roomy.peak_bytes / 2.0);

    let input = photo(200, 160);
    let request = Request {
        memory: Budget::shared(tight.peak_bytes as u64),
        ..Request::new(input)
    };
    let mut warnings = Vec::new();
    let cancel = Cancel::default();
    let mut events = |event| match event {
        Event::Warning(text) => warnings.push(text),
        Event::Progress(_) => cancel.cancel(),
        _ => (),
    };
    let stopped = pipeline::run(&model, &settings, &request, &mut events, &cancel);
    assert!(stopped.is_err());
    assert!(
        warnings[0].contains(&format!("tiles of {side}")),
        "{warnings:?}"
    );
}

#[test]
fn a_large_picture_needs_little_memory() {
    let model = bundled();
    // 24 megapixels of output.
    let canvas = Canvas::new(1500, 1000, 4);
    let settings = Settings {
        particles: 4,
        ..settings(TileSize::Auto)
    };
    let plan = Plan::new(
        &Estimator::of(&model),
        &canvas,
        &Ask::of(&settings, Budget::shared(u64::MAX)),
    )
    .unwrap();
    let gibibytes = plan.peak_bytes / f64::from(1 << 30);
    println!(
        "{gibibytes:.2} GiB beside the model, in tiles of {:?}",
        plan.cut.side
    );
    assert!(gibibytes < 2.7, "{gibibytes}");
}

/// A finished picture lies in the machine's memory, whatever the card has, and what the network holds of a tile
/// on the card, whatever the machine has.
#[test]
fn a_card_needs_room_for_a_tile_and_the_machine_for_the_picture() {
    let model = bundled();
    let plan = |side, tile, host: u64, device: u64, shared| {
        let settings = Settings {
            particles: 4,
            ..settings(tile)
        };
        let budget = Budget {
            host: host << 30,
            device: device << 30,
            shared,
        };
        let ask = Ask::of(&settings, budget);
        Plan::new(&Estimator::of(&model), &Canvas::new(side, side, 4), &ask)
    };
    // 12 megapixels in tiles: far more on the machine than on the card.
    let large = |host, device, shared| plan(3500, TileSize::Auto, host, device, shared);
    let roomy = large(64, 64, true).unwrap();
    assert!(large(6, 6, true).is_err());
    assert_eq!(large(12, 6, false).unwrap().cut, roomy.cut);
    let error = large(6, 64, false).unwrap_err().to_string();
    assert!(error.contains("--memory-limit"), "{error}");
    let error = large(12, 0, false).unwrap_err().to_string();
    assert!(error.contains("--device cpu"), "{error}");
    // A network's look at one megapixel at once: the other way round.
    let whole = |host, device, shared| plan(1200, TileSize::Off, host, device, shared);
    assert!(whole(1, 64, false).is_ok() && whole(1, 64, true).is_err());
}

/// A band holds whole rows of patches: with large ones and a wide picture that is most of it.
#[test]
fn large_patches_need_larger_bands() {
    let model = bundled();
    let canvas = Canvas::new(6000, 128, 4);
    let bytes = |patch_size| {
        let settings = Settings {
            particles: 28,
            patch_size,
            ..settings(TileSize::Auto)
        };
        let ask = Ask::of(&settings, Budget::shared(u64::MAX));
        let plan = Plan::new(&Estimator::of(&model), &canvas, &ask).unwrap();
        plan.peak_bytes
    };
    assert!(bytes(128) > 1.5 * bytes(1), "{} {}", bytes(128), bytes(1));
}
