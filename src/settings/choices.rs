//! The settings that are not plain numbers.

use std::fmt::{Display, Formatter};
use std::str::FromStr;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::{Patch, range};

/// The bandwidth h of the mean shift, in the units of the latents.
///
/// An enum, because a bandwidth that adapts to the particles is to come.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Bandwidth {
    /// The same h for every patch and step.
    Fixed(f64),
}

impl Bandwidth {
    /// h as a number.
    pub fn value(self) -> f64 {
        let Bandwidth::Fixed(h) = self;
        h
    }

    pub(super) fn check(self) -> Result<(), String> {
        range::BANDWIDTH.check(self.value()).map(|_| ())
    }
}

impl FromStr for Bandwidth {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        range::BANDWIDTH.parse(text).map(Bandwidth::Fixed)
    }
}

/// The weight of particle j on particle i at squared distance d².
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Kernel {
    /// exp(-d² / 2h²): the paper's
    Gaussian,
    /// exp(-d² / 2h⁴): what minKDS computes
    Minkds,
}

/// When steering acts: while LO < t/T <= HI.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Window(
    /// LO, a fraction of the training steps.
    pub f64,
    /// HI, likewise.
    pub f64,
);

impl Window {
    /// Whether steering acts at `t/T`.
    pub fn contains(self, time_fraction: f64) -> bool {
        self.0 < time_fraction && time_fraction <= self.1
    }

    pub(super) fn check(self) -> Result<(), String> {
        range::WINDOW.check(self.0)?;
        range::WINDOW.check(self.1)?;
        if self.0 > self.1 {
            return Err(format!(
                "window is {}..{}: the first number must not be above the second",
                self.0, self.1
            ));
        }
        Ok(())
    }
}

impl FromStr for Window {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let form = || "use two numbers from 0 to 1 with two dots between, such as 0.3..1";
        let (low, high) = text.split_once("..").ok_or_else(form)?;
        let end = |s: &str| s.trim().parse::<f64>().map_err(|_| form());
        let window = Window(end(low)?, end(high)?);
        window.check()?;
        Ok(window)
    }
}

/// Which particle becomes the picture; chosen on the final latents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Select {
    /// The version nearest to the average of all (the paper's choice)
    NearestMean,
    /// The version with the smallest variance of its own values (minKDS' choice)
    LowestVariance,
    /// The average of all versions
    Mean,
    /// Version 0
    First,
    /// Every version, as {stem}_p0, {stem}_p1 and so on
    All,
}

/// The sampler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
pub enum Solver {
    /// DDIM
    #[serde(rename = "ddim")]
    #[value(name = "ddim")]
    Ddim,
    /// DPM-Solver++ (2M), made for few steps
    #[serde(rename = "dpm++")]
    #[value(name = "dpm++")]
    DpmSolver,
}

/// What is done to the colours of the finished picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum ColorFix {
    /// Nothing
    None,
    /// Give each channel the input's mean and contrast
    Adain,
    /// Take everything coarser than 16 pixels from the input
    Wavelet,
    /// Correct the result until, reduced four times, it equals the input
    Consistency,
    /// As consistency, but without putting the input's noise and compression back
    Robust,
}

/// How large the parts are that the network sees of a picture at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "TileWord", into = "TileWord")]
pub enum TileSize {
    /// The whole picture if it is small, else parts of a size that the memory holds.
    Auto,
    /// The whole picture, however large.
    Off,
    /// Parts of this side, in pixels of the input; a smaller picture is one part.
    Side(u32),
}

impl TileSize {
    /// What it does, in words for people.
    pub const HELP: &str = "How large the parts are that the network sees of a large picture, in pixels of \
        the input. They overlap (--overlap), and are joined at every step, so that no seam is left; noise and \
        steering belong to the whole picture. \"auto\" shows the network pictures of up to 512 × 512 pixels \
        whole and larger ones in parts of 384, or less where memory is short; \"off\" shows every picture whole";

    pub(super) fn check(self) -> Result<(), String> {
        match self {
            TileSize::Side(side) => range::TILE.check(side).map(|_| ()),
            _ => Ok(()),
        }
    }
}

impl FromStr for TileSize {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim() {
            "auto" => Ok(TileSize::Auto),
            "off" => Ok(TileSize::Off),
            text => match range::TILE.parse(text) {
                Ok(side) => Ok(TileSize::Side(side)),
                Err(what) => Err(format!("{what}, \"auto\" or \"off\"")),
            },
        }
    }
}

impl Display for TileSize {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            TileSize::Auto => f.write_str("auto"),
            TileSize::Off => f.write_str("off"),
            TileSize::Side(side) => write!(f, "{side}"),
        }
    }
}

/// [`TileSize`] in JSON: a number or a word.
#[derive(Clone, Serialize, Deserialize)]
#[serde(untagged)]
enum TileWord {
    Side(u32),
    Word(String),
}

impl From<TileSize> for TileWord {
    fn from(tile: TileSize) -> Self {
        match tile {
            TileSize::Side(side) => TileWord::Side(side),
            word => TileWord::Word(word.to_string()),
        }
    }
}

impl TryFrom<TileWord> for TileSize {
    type Error = String;
    fn try_from(word: TileWord) -> Result<Self, String> {
        match word {
            TileWord::Side(side) => Ok(TileSize::Side(side)),
            TileWord::Word(word) => word.parse(),
        }
    }
}

/// Whose details the sampler follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SchedulerVariant {
    /// diffusers, from the checkpoint's scheduler config.
    Diffusers,
    /// minKDS: no eta, no `clip_sample`, and the last step goes to `alphas_cumprod[0]`.
    Minkds,
}

/// A named set of settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Preset {
    /// The Python program minKDS, exactly, with its README's best settings
    Minkds,
}

impl Preset {
    /// The settings that the preset stands for.
    pub fn patch(self) -> Patch {
        match self {
            Preset::Minkds => Patch {
                particles: Some(10),
                bandwidth: Some(Bandwidth::Fixed(1.0)),
                patch_size: Some(2),
                gamma_0: Some(0.3),
                kernel: Some(Kernel::Minkds),
                window: Some(Window(0.3, 1.0)),
                select: Some(Select::LowestVariance),
                vanilla: None,
                clean: None,
                solver: Some(Solver::Ddim),
                steps: Some(50),
                eta: Some(0.0),
                color_fix: None,
                tile: None,
                overlap: None,
                prescale: None,
                scale: None,
                strength: None,
                seed: None,
                scheduler: Some(SchedulerVariant::Minkds),
            },
        }
    }
}
