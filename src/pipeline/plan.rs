//! How a run is cut to fit the memory, and how its work is counted.

use bytesize::ByteSize;

use super::Canvas;
use super::decode::{COLLAGE_SHARE, ROUNDS};
use super::tiling::Tiling;
use crate::device::{Budget, Limits};
use crate::error::{Error, Result};
use crate::model::{AutoencoderConfig, Model, SCALE, UNetConfig, cost};
use crate::settings::{Select, Settings, TileSize};

/// A picture of no more latent cells than this is shown to the network whole, where nothing else is said.
const WHOLE: usize = 512 * 512;
/// The sides that are tried for the tiles of a larger one, or where memory is short.
const SIDES: [usize; 6] = [384, 256, 192, 128, 96, 64];
/// Longest side of the tiles that the decoder takes, whose results are sixteen times their size.
const LONGEST_DECODED: usize = 192;
/// Copies of all latents that the machine holds: the sample and the networks' outputs.
const LATENT_COPIES: f64 = 2.0;
/// Copies of a band's latents that a step holds on the device: sample, prediction, noise, shift, history.
const BAND_COPIES: f64 = 8.0;
/// Copies of the finished picture: itself and a correction of its colours, while it is made, and some rows.
const PICTURE_COPIES: f64 = 2.5;

/// What must be known of a model and its device to say what a picture will cost.
#[derive(Clone, Debug)]
pub struct Estimator {
    unet: UNetConfig,
    vqvae: AutoencoderConfig,
    limits: Limits,
    device: String,
}

impl Estimator {
    /// For a loaded model.
    pub fn of(model: &Model) -> Self {
        Estimator {
            unet: model.unet().config().clone(),
            vqvae: model.vqvae().config().clone(),
            limits: model.target().limits(),
            device: model.target().place().name(),
        }
    }

    /// Work (floating-point operations) of sampling `settings` on `canvas` and decoding one result, or all
    /// where all are asked for; in the tiles that are taken where memory is plentiful.
    pub fn work(&self, canvas: &Canvas, settings: &Settings) -> f64 {
        let decodes = match settings.select {
            Select::All => settings.particles,
            _ => 1,
        };
        let side = (sides(settings.tile, canvas).first().copied()).unwrap_or(None);
        let cut = self.cut(canvas, side, settings.overlap as usize);
        let evaluations = f64::from(settings.steps * settings.particles);
        evaluations * self.tiles_work(&cut.network) + f64::from(decodes) * self.decode_work(&cut)
    }

    /// Work of one particle's network evaluation on `canvas` as a whole.
    pub fn evaluation_work(&self, canvas: &Canvas) -> f64 {
        let [height, width] = canvas.padded;
        cost::unet(&self.unet, height, width).flops
    }

    /// Work of one particle's network evaluation on all tiles.
    fn tiles_work(&self, tiling: &Tiling) -> f64 {
        let [height, width] = tiling.largest();
        tiling.count() as f64 * cost::unet(&self.unet, height, width).flops
    }

    /// Work of decoding one result.
    fn decode_work(&self, cut: &Cut) -> f64 {
        let [height, width] = cut.decoder.largest();
        let once = cost::decoder(&self.vqvae, height, width).flops;
        match cut.decoder.count() {
            1 => once,
            count => {
                let around = 2 * cut.context;
                let once = cost::decoder(&self.vqvae, height + around, width + around).flops;
                once * (ROUNDS * count as f64 + COLLAGE_SHARE)
            }
        }
    }

    /// The tiles of `side` on `canvas`.
    fn cut(&self, canvas: &Canvas, side: Option<usize>, overlap: usize) -> Cut {
        let multiple = self.unet.size_multiple();
        let whole = canvas.padded[0].max(canvas.padded[1]);
        let tile = side.unwrap_or(whole);
        // A small tile is mostly border already.
        let overlap = overlap.min(tile / 2);
        let network = Tiling::new(canvas.padded, tile, overlap, multiple);
        let (context, blend) = match self.vqvae.decoder_reach() {
            Some(reach) => (reach, 0),
            None => (overlap, overlap),
        };
        let decoded = match network.count() {
            1 => whole,
            _ => tile.min(LONGEST_DECODED),
        };
        Cut {
            side: (network.count() > 1).then_some(tile),
            decoder: Tiling::new(canvas.padded, decoded, blend.min(decoded / 2), 1),
            network,
            context,
        }
    }
}

/// A canvas in tiles.
#[derive(Clone, Debug, PartialEq)]
pub struct Cut {
    /// The tiles' longest side that was asked for; `None` where there is one.
    pub side: Option<usize>,
    /// What the denoising network sees.
    pub network: Tiling,
    /// What the decoder makes at a time …
    pub decoder: Tiling,
    /// … and how much of its surroundings it sees, in cells.
    pub context: usize,
}

/// What is asked of a plan besides the canvas.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// Particles drawn together.
    pub particles: usize,
    /// How many of them are decoded.
    pub decodes: usize,
    /// See [`Settings::patch_size`].
    pub patch_size: usize,
    /// See [`Settings::tile`].
    pub tile: TileSize,
    /// See [`Settings::overlap`].
    pub overlap: usize,
    /// What may be taken beyond the loaded model.
    pub memory: Budget,
    /// Most latent cells that one evaluation may hold, if the memory's plan is not to be trusted.
    pub most_cells: Option<usize>,
}

impl Ask {
    /// For a run of `settings`.
    pub fn of(settings: &Settings, memory: Budget) -> Self {
        let particles = settings.particles as usize;
        Ask {
            particles,
            decodes: match settings.select {
                Select::All => particles,
                _ => 1,
            },
            patch_size: settings.patch_size as usize,
            tile: settings.tile,
            overlap: settings.overlap as usize,
            memory,
            most_cells: None,
        }
    }
}

/// Most bytes needed at a time, beyond the loaded model.
#[derive(Clone, Copy, Debug)]
struct Need {
    /// Of the machine's memory.
    host: f64,
    /// Of the device's.
    device: f64,
    /// Of both together.
    both: f64,
}

impl Need {
    /// Of what happens one after the other, each with what it holds on the machine and on the device.
    fn of(stages: [[f64; 2]; 3]) -> Self {
        let most = |bytes: fn([f64; 2]) -> f64| stages.map(bytes).into_iter().fold(0.0, f64::max);
        Need {
            host: most(|[host, _]| host),
            device: most(|[_, device]| device),
            both: most(|[host, device]| host + device),
        }
    }

    /// What the machine holds, with what the device holds there.
    fn on_host(&self, budget: Budget) -> f64 {
        if budget.shared { self.both } else { self.host }
    }

    fn fits(&self, budget: Budget) -> bool {
        self.on_host(budget) <= budget.host as f64 && self.device <= budget.device as f64
    }
}

/// The plan for one picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The tiles.
    pub cut: Cut,
    /// Particles per network evaluation.
    pub batch: usize,
    /// Most bytes needed at a time, beyond the loaded model, of the machine's memory and the device's together.
    pub peak_bytes: f64,
    /// Work of one particle's network evaluation.
    pub evaluation: f64,
    /// Work of one decode.
    pub decode: f64,
    /// Set where memory or device enforced smaller tiles than usual: their side, and the usual one's (`None`
    /// is the whole picture).
    pub smaller: Option<(usize, Option<usize>)>,
}

/// The sides of tiles to try on `canvas`, best first; `None` is the whole picture at once.
fn sides(tile: TileSize, canvas: &Canvas) -> Vec<Option<usize>> {
    let [height, width] = canvas.padded;
    match tile {
        TileSize::Off => vec![None],
        TileSize::Side(side) => vec![Some(side as usize)],
        TileSize::Auto => {
            let whole = (height * width <= WHOLE).then_some(None);
            let smaller = SIDES.into_iter().filter(|&side| side < height.max(width));
            whole.into_iter().chain(smaller.map(Some)).collect()
        }
    }
}

impl Plan {
    /// Fits a run on `canvas` into what may be taken and what the device takes as one tensor.
    ///
    /// # Errors
    /// [`Error::Memory`] if even one particle at a time, in the smallest tiles that may be chosen, is too much.
    pub fn new(model: &Estimator, canvas: &Canvas, ask: &Ask) -> Result<Self> {
        let sides = sides(ask.tile, canvas);
        let mut last_error = None;
        for &side in &sides {
            match Plan::in_tiles(model, canvas, ask, side) {
                Ok(mut plan) => {
                    let smaller = side != sides[0];
                    plan.smaller = smaller
                        .then_some(side)
                        .flatten()
                        .map(|side| (side, sides[0]));
                    return Ok(plan);
                }
                Err(error) => last_error = Some(error),
            }
        }
        Err(last_error.unwrap_or_else(|| Error::Memory("there is nothing to enlarge".into())))
    }

    fn in_tiles(
        model: &Estimator,
        canvas: &Canvas,
        ask: &Ask,
        side: Option<usize>,
    ) -> Result<Self> {
        let cut = model.cut(canvas, side, ask.overlap);
        let Ask {
            particles, decodes, ..
        } = *ask;
        let limits = model.limits;
        let [height, width] = cut.network.largest();
        let tile_cells = height * width;
        let unet = cost::unet(&model.unet, height, width);
        let decoder = {
            let [height, width] = cut.decoder.largest();
            let around = if cut.decoder.count() > 1 {
                2 * cut.context
            } else {
                0
            };
            cost::decoder(&model.vqvae, height + around, width + around)
        };
        let cells = (canvas.padded[0] * canvas.padded[1]) as f64;
        let channels = model.vqvae.denoised_channels() as f64;
        let latents = 4.0 * channels * particles as f64;
        let rows = super::band_rows(canvas, ask.patch_size);
        let band = latents * (rows * canvas.padded[1]) as f64;
        let latents = latents * cells;
        let picture = 4.0 * 3.0 * cells * (SCALE * SCALE) as f64;
        let low_res = 4.0 * 3.0 * cells;
        let decoded = (decodes - 1) as f64 * picture;
        let needed = |batch: usize| {
            let evaluating = unet.peak_bytes * batch as f64;
            let sampling = [
                LATENT_COPIES * latents + low_res + decoded,
                evaluating.max(BAND_COPIES * band),
            ];
            let decoding = [latents + picture + decoded, decoder.peak_bytes];
            let finishing = [latents + PICTURE_COPIES * picture + decoded, 0.0];
            Need::of([sampling, decoding, finishing])
        };
        let largest = |batch: usize| {
            let batch = unet.largest_bytes * batch as f64;
            batch.max(decoder.largest_bytes).max(band)
        };
        let (budget, most_bytes) = (ask.memory, limits.largest as f64);
        let size = |bytes: f64| ByteSize::b(bytes as u64).display().iec().to_string();
        let what = format!(
            "a picture of {} × {} pixels with {particles} particles{}",
            canvas.picture[1],
            canvas.picture[0],
            match cut.side {
                Some(side) => format!(", in tiles of {side},"),
                None => String::new(),
            }
        );
        let way_out = match (ask.tile, cut.side) {
            (TileSize::Auto, _) => "use a smaller picture, fewer particles",
            (_, Some(_)) => "use a smaller --tile, fewer particles",
            (_, None) => "use --tile auto, fewer particles",
        };
        if largest(1) > most_bytes {
            return Err(Error::Memory(format!(
                "{what} needs tensors of {}, and {} takes {} at most: {way_out}, or --device cpu",
                size(largest(1)),
                model.device,
                size(most_bytes)
            )));
        }
        let least = needed(1);
        let on_host = least.on_host(budget);
        if on_host > budget.host as f64 {
            return Err(Error::Memory(format!(
                "{what} needs about {} of memory beside the loaded model, and {} is left: {way_out}, or a \
                 higher --memory-limit",
                size(on_host),
                size(budget.host as f64)
            )));
        }
        if !least.fits(budget) {
            return Err(Error::Memory(format!(
                "{what} needs about {} of the memory of {} beside the loaded model, and {} may be taken: \
                 {way_out}, or --device cpu",
                size(least.device),
                model.device,
                size(budget.device as f64)
            )));
        }
        let busy = limits.busy_cells.div_ceil(tile_cells).min(particles);
        let most = ask
            .most_cells
            .map_or(busy, |most| (most / tile_cells).max(1));
        let batch = (1..=busy.min(most))
            .rev()
            .find(|&batch| needed(batch).fits(budget) && largest(batch) <= most_bytes)
            .unwrap_or(1);
        Ok(Plan {
            batch,
            peak_bytes: needed(batch).both,
            evaluation: model.tiles_work(&cut.network),
            decode: model.decode_work(&cut),
            cut,
            smaller: None,
        })
    }
}
