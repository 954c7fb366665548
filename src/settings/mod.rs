//! Every setting of a run, once: its type, range, default, explanation and JSON form.
//!
//! A [`Patch`] names some settings, the command line, a model's `minkds.json` and a preset being
//! patches. [`Settings`] names all of them; it is made by laying patches over the defaults and is
//! valid once [`Settings::resolve`] has returned it.

mod choices;
pub mod range;

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

pub use choices::{
    Bandwidth, ColorFix, Kernel, Preset, SchedulerVariant, Select, Solver, TileSize, Window,
};

use crate::error::{Error, Result};

/// All settings that decide how a picture comes out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// N, 1..=64.
    pub particles: u32,
    /// h.
    pub bandwidth: Bandwidth,
    /// p in latent cells, which are the input's pixels; 1..=128.
    pub patch_size: u32,
    /// gamma_0, 0..=1.
    pub gamma_0: f64,
    /// The weight function of the mean shift.
    pub kernel: Kernel,
    /// When steering acts.
    pub window: Window,
    /// Which particle becomes the picture.
    pub select: Select,
    /// Whether steering is off altogether.
    pub vanilla: bool,
    /// Whether the input is said to be clean. Written only where it is, as by versions that did not have it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub clean: bool,
    /// The sampler.
    pub solver: Solver,
    /// S, 1..=1000.
    pub steps: u32,
    /// DDIM's eta, 0..=1.
    pub eta: f64,
    /// What is done to the colours of the finished picture.
    pub color_fix: ColorFix,
    /// The side of the parts that the network sees of a large picture.
    pub tile: TileSize,
    /// By how many pixels of the input these parts overlap, 0..=512.
    pub overlap: u32,
    /// The input is reduced by this factor before anything else, 0.25..=1.
    pub prescale: f64,
    /// How much larger than the (reduced) input the result becomes, 1..=4.
    pub scale: f64,
    /// How much of the result is mixed with the plain enlargement, 0..=1; 1 is the result itself.
    pub strength: f64,
    /// Names the noise.
    pub seed: u64,
    /// Whose details the sampler follows; only a preset changes it.
    pub scheduler: SchedulerVariant,
}

impl Default for Settings {
    /// Sensible for the published LDM-SR checkpoints: the paper's kernel and selection on DDIM,
    /// with minKDS' best bandwidth and patch size, and its default particles and a middling gamma_0.
    fn default() -> Self {
        Settings {
            particles: 4,
            bandwidth: Bandwidth::Fixed(1.0),
            patch_size: 2,
            gamma_0: 0.3,
            kernel: Kernel::Gaussian,
            window: Window(0.0, 1.0),
            select: Select::NearestMean,
            vanilla: false,
            clean: false,
            solver: Solver::Ddim,
            steps: 50,
            eta: 0.0,
            color_fix: ColorFix::None,
            tile: TileSize::Auto,
            overlap: 32,
            prescale: 1.0,
            scale: 4.0,
            strength: 1.0,
            seed: 0,
            scheduler: SchedulerVariant::Diffusers,
        }
    }
}

/// Some settings: those that a command line, a model or a preset names.
#[derive(Args, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[command(next_help_heading = "Steering and sampling")]
pub struct Patch {
    #[arg(long, visible_alias = "num-particles", value_name = "N", allow_hyphen_values = true,
          value_parser = |s: &str| range::PARTICLES.parse(s), help = "Versions drawn together, 1 to 64",
          long_help = range::PARTICLES.help)]
    #[allow(missing_docs)]
    pub particles: Option<u32>,

    #[arg(long, visible_alias = "band-width", value_name = "H", allow_hyphen_values = true,
          help = "How alike versions must be to pull on each other, above 0",
          long_help = range::BANDWIDTH.help)]
    #[allow(missing_docs)]
    pub bandwidth: Option<Bandwidth>,

    #[arg(long, value_name = "P", allow_hyphen_values = true,
          value_parser = |s: &str| range::PATCH_SIZE.parse(s), help = "Side of the compared squares, 1 to 128 input pixels",
          long_help = range::PATCH_SIZE.help)]
    #[allow(missing_docs)]
    pub patch_size: Option<u32>,

    #[arg(long, value_name = "G", allow_hyphen_values = true,
          value_parser = |s: &str| range::GAMMA_0.parse(s), help = "Strength of the steering, 0 to 1",
          long_help = range::GAMMA_0.help)]
    #[allow(missing_docs)]
    pub gamma_0: Option<f64>,

    /// How the pull falls off with distance: the paper's, or the one of the Python program minKDS
    #[arg(long, value_enum)]
    pub kernel: Option<Kernel>,

    #[arg(long, value_name = "LO..HI", allow_hyphen_values = true,
          help = "When steering acts, in fractions of the time from 0 (finished) to 1 (noise)",
          long_help = range::WINDOW.help)]
    #[allow(missing_docs)]
    pub window: Option<Window>,

    /// Which version becomes the picture
    #[arg(long, value_enum)]
    pub select: Option<Select>,

    /// Plain sampling without steering, for comparison
    ///
    /// One version is drawn (number 0) unless --particles says otherwise.
    #[arg(long, num_args = 0, default_missing_value = "true")]
    pub vanilla: Option<bool>,

    /// The picture is clean: sharp, without noise or traces of JPEG
    ///
    /// As scans, renderings and pictures are that a computer has reduced. Nothing is mended then, and details come
    /// out a little finer; of a picture that is not clean, the flaws are enlarged, too. A model must have been taught the
    /// difference, as the bundled one was.
    #[arg(long, num_args = 0, default_missing_value = "true")]
    pub clean: Option<bool>,

    /// The sampler
    #[arg(long, value_enum)]
    pub solver: Option<Solver>,

    #[arg(long, value_name = "S", allow_hyphen_values = true,
          value_parser = |s: &str| range::STEPS.parse(s), help = "Refinement steps, 1 to 1000",
          long_help = range::STEPS.help)]
    #[allow(missing_docs)]
    pub steps: Option<u32>,

    #[arg(long, value_name = "E", allow_hyphen_values = true,
          value_parser = |s: &str| range::ETA.parse(s), help = "Fresh randomness per DDIM step, 0 to 1",
          long_help = range::ETA.help)]
    #[allow(missing_docs)]
    pub eta: Option<f64>,

    /// Keep the input's colours
    ///
    /// "adain" gives each channel the input's mean and contrast, "wavelet" takes everything coarser than 16
    /// pixels from the input, "consistency" corrects the result until, reduced four times, it equals the input;
    /// "robust" does so too, but where the result is smooth the input's noise is not put back.
    ///
    /// By default what the model recommends ("robust" for the bundled one); "none" for a model that
    /// recommends nothing, with --latents and with --preset.
    #[arg(long, value_enum)]
    pub color_fix: Option<ColorFix>,

    #[arg(long, value_name = "SIZE", allow_hyphen_values = true,
          help = "Side of the parts that the network sees of a large picture, in input pixels; auto or off",
          long_help = TileSize::HELP)]
    #[allow(missing_docs)]
    pub tile: Option<TileSize>,

    #[arg(long, value_name = "N", allow_hyphen_values = true,
          value_parser = |s: &str| range::OVERLAP.parse(s), help = "By how many input pixels these parts overlap",
          long_help = range::OVERLAP.help)]
    #[allow(missing_docs)]
    pub overlap: Option<u32>,

    #[arg(long, value_name = "X", allow_hyphen_values = true,
          value_parser = |s: &str| range::PRESCALE.parse(s), help = "Reduce a soft, oversized picture first, 0.25 to 1",
          long_help = range::PRESCALE.help)]
    #[allow(missing_docs)]
    pub prescale: Option<f64>,

    #[arg(long, value_name = "X", allow_hyphen_values = true,
          value_parser = |s: &str| range::SCALE.parse(s), help = "How many times larger the result becomes, 1 to 4",
          long_help = range::SCALE.help)]
    #[allow(missing_docs)]
    pub scale: Option<f64>,

    #[arg(long, value_name = "X", allow_hyphen_values = true,
          value_parser = |s: &str| range::STRENGTH.parse(s), help = "How much of the result, the rest being the plain enlargement, 0 to 1",
          long_help = range::STRENGTH.help)]
    #[allow(missing_docs)]
    pub strength: Option<f64>,

    /// Which randomness to use: the same seed gives the same picture
    #[arg(long, value_name = "U64", allow_hyphen_values = true,
          value_parser = |s: &str| s.parse::<u64>().map_err(|_| "use a whole number from 0 to 18446744073709551615"))]
    pub seed: Option<u64>,

    #[arg(skip)]
    #[serde(skip)]
    #[allow(missing_docs)]
    pub scheduler: Option<SchedulerVariant>,
}

impl Settings {
    /// The defaults under a model's recommendation, a preset and the user's own flags, validated.
    ///
    /// `keeps_colors`: whether the model's recommended colour fix counts (it does unless start latents are
    /// given); a preset starts from `none`.
    pub fn resolve(
        recommended: &Patch,
        preset: Option<Preset>,
        flags: &Patch,
        keeps_colors: bool,
    ) -> Result<Settings> {
        let mut settings = Settings::default();
        settings.apply(recommended);
        if let Some(preset) = preset {
            settings.apply(&preset.patch());
        }
        if preset.is_some() || !keeps_colors {
            settings.color_fix = ColorFix::None;
        }
        settings.apply(flags);
        if settings.vanilla && flags.particles.is_none() {
            settings.particles = 1;
        }
        settings.validate()?;
        Ok(settings)
    }

    fn apply(&mut self, patch: &Patch) {
        fn set<T: Clone>(target: &mut T, value: &Option<T>) {
            if let Some(value) = value {
                *target = value.clone();
            }
        }
        set(&mut self.particles, &patch.particles);
        set(&mut self.bandwidth, &patch.bandwidth);
        set(&mut self.patch_size, &patch.patch_size);
        set(&mut self.gamma_0, &patch.gamma_0);
        set(&mut self.kernel, &patch.kernel);
        set(&mut self.window, &patch.window);
        set(&mut self.select, &patch.select);
        set(&mut self.vanilla, &patch.vanilla);
        set(&mut self.clean, &patch.clean);
        set(&mut self.solver, &patch.solver);
        set(&mut self.steps, &patch.steps);
        set(&mut self.eta, &patch.eta);
        set(&mut self.color_fix, &patch.color_fix);
        set(&mut self.tile, &patch.tile);
        set(&mut self.overlap, &patch.overlap);
        set(&mut self.prescale, &patch.prescale);
        set(&mut self.scale, &patch.scale);
        set(&mut self.strength, &patch.strength);
        set(&mut self.seed, &patch.seed);
        set(&mut self.scheduler, &patch.scheduler);
    }

    /// Every range and contradiction, whoever set the values.
    pub fn validate(&self) -> Result<()> {
        let check = || -> Result<(), String> {
            range::PARTICLES.check(self.particles)?;
            self.bandwidth.check()?;
            range::PATCH_SIZE.check(self.patch_size)?;
            range::GAMMA_0.check(self.gamma_0)?;
            self.window.check()?;
            range::STEPS.check(self.steps)?;
            range::ETA.check(self.eta)?;
            range::OVERLAP.check(self.overlap)?;
            self.tile.check()?;
            range::PRESCALE.check(self.prescale)?;
            range::SCALE.check(self.scale)?;
            range::STRENGTH.check(self.strength)?;
            if self.eta > 0.0 && self.solver != Solver::Ddim {
                return Err("eta works with DDIM only: use --solver ddim or --eta 0".into());
            }
            Ok(())
        };
        check().map_err(Error::Setting)
    }

    /// The flags that ask for these settings, whatever the model recommends. A preset's `scheduler`
    /// has no flag.
    pub fn command_line(&self) -> String {
        fn name(choice: &impl ValueEnum) -> String {
            let value = choice.to_possible_value();
            value.map_or(String::new(), |value| value.get_name().to_string())
        }
        let mut words = vec![
            format!("--particles {}", self.particles),
            format!("--bandwidth {}", self.bandwidth.value()),
            format!("--patch-size {}", self.patch_size),
            format!("--gamma-0 {}", self.gamma_0),
            format!("--kernel {}", name(&self.kernel)),
            format!("--window {}..{}", self.window.0, self.window.1),
            format!("--select {}", name(&self.select)),
            format!("--solver {}", name(&self.solver)),
            format!("--steps {}", self.steps),
            format!("--eta {}", self.eta),
            format!("--color-fix {}", name(&self.color_fix)),
            format!("--tile {}", self.tile),
            format!("--overlap {}", self.overlap),
            format!("--prescale {}", self.prescale),
            format!("--scale {}", self.scale),
            format!("--strength {}", self.strength),
            format!("--seed {}", self.seed),
        ];
        if self.vanilla {
            words.push("--vanilla".into());
        }
        if self.clean {
            words.push("--clean".into());
        }
        words.join(" ")
    }

    /// gamma_t at a moment `t/T` of training time: gamma_0 inside the window, else 0.
    pub fn gamma(&self, time_fraction: f64) -> f64 {
        if !self.vanilla && self.window.contains(time_fraction) {
            self.gamma_0
        } else {
            0.0
        }
    }
}

#[cfg(test)]
mod tests;
