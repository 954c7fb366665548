//! The numeric settings in one table: name, range, and a sentence that explains each. The command
//! line, the model's recommendations and the window's sliders all check against it.

use std::fmt::Display;
use std::str::FromStr;

/// A number with a meaning: its flag, its allowed range, and its explanation.
#[derive(Clone, Copy, Debug)]
pub struct Range<T> {
    /// The command line's name without dashes, and the key in JSON with underscores.
    pub name: &'static str,
    /// Smallest allowed value.
    pub min: T,
    /// Largest allowed value.
    pub max: T,
    /// Whether `min` itself is excluded and there is no bound above but finiteness.
    pub open: bool,
    /// What it does, in a sentence that a photographer understands.
    pub help: &'static str,
}

impl<T: PartialOrd + Copy + Display + FromStr> Range<T> {
    const fn new(name: &'static str, min: T, max: T, help: &'static str) -> Self {
        Range {
            name,
            min,
            max,
            open: false,
            help,
        }
    }

    /// Whether `value` may be used; the error says what may.
    pub fn check(&self, value: T) -> Result<T, String> {
        let above = if self.open {
            value > self.min
        } else {
            value >= self.min
        };
        // NaN fails both comparisons.
        if above && value <= self.max {
            Ok(value)
        } else {
            Err(format!("{} is {value}: use {}", self.name, self.allowed()))
        }
    }

    /// Reads a value as it was typed.
    pub fn parse(&self, text: &str) -> Result<T, String> {
        match text.trim().parse::<T>() {
            Ok(value) => self.check(value),
            Err(_) => Err(format!("use {}", self.allowed())),
        }
    }

    /// "a number from 0 to 1".
    pub fn allowed(&self) -> String {
        let whole = "1.5".parse::<T>().is_err();
        match (self.open, whole) {
            (true, _) => format!("a finite number above {}", self.min),
            (false, true) => format!("a whole number from {} to {}", self.min, self.max),
            (false, false) => format!("a number from {} to {}", self.min, self.max),
        }
    }
}

/// `--particles`.
pub const PARTICLES: Range<u32> = Range::new(
    "particles",
    1,
    64,
    "How many versions of the picture are drawn together and compared. More are steadier and \
     slower; with 1 there is nothing to agree with, so nothing is steered",
);

/// `--bandwidth`.
pub const BANDWIDTH: Range<f64> = Range {
    name: "bandwidth",
    min: 0.0,
    max: f64::MAX,
    open: true,
    help: "How alike two versions of a patch must be to pull on each other: small values only let \
           near twins agree, large ones pull every version towards the average",
};

/// `--patch-size`.
pub const PATCH_SIZE: Range<u32> = Range::new(
    "patch-size",
    1,
    128,
    "Side of the squares that are compared between the versions, in pixels of the input. Small \
     squares judge fine detail one by one, large ones whole structures",
);

/// `--gamma-0`.
pub const GAMMA_0: Range<f64> = Range::new(
    "gamma-0",
    0.0,
    1.0,
    "How far each version is moved towards agreement at every step: 0 not at all, 1 all the way",
);

/// `--steps`.
pub const STEPS: Range<u32> = Range::new(
    "steps",
    1,
    1000,
    "How many times the network refines the picture. More take proportionally longer",
);

/// `--eta`.
pub const ETA: Range<f64> = Range::new(
    "eta",
    0.0,
    1.0,
    "How much fresh randomness DDIM adds at every step: 0 none, 1 as much as in training",
);

/// `--tile`, where it is a number.
pub const TILE: Range<u32> = Range::new(
    "tile",
    32,
    8192,
    "Side of the parts that the network sees of a large picture, in pixels of the input",
);

/// `--overlap`.
pub const OVERLAP: Range<u32> = Range::new(
    "overlap",
    0,
    512,
    "By how many pixels of the input the parts of a large picture overlap, at most half a part. More \
     hides their borders better and takes longer",
);

/// `--prescale`.
pub const PRESCALE: Range<f64> = Range::new(
    "prescale",
    0.25,
    1.0,
    "By which factor the picture is reduced before the network sees it (Lanczos). For photos that are \
     large but soft: with 0.25 the result has the picture's own size",
);

/// `--scale`.
pub const SCALE: Range<f64> = Range::new(
    "scale",
    1.0,
    4.0,
    "How many times larger the result becomes. The network always enlarges four times; a smaller number \
     reduces its result (Lanczos)",
);

/// `--strength`.
pub const STRENGTH: Range<f64> = Range::new(
    "strength",
    0.0,
    1.0,
    "How much of the result is shown: 1 all of it, 0 only the plain enlargement of the input, between \
     them a mixture of both",
);

/// The ends of `--window`, fractions of the training steps.
pub const WINDOW: Range<f64> = Range::new(
    "window",
    0.0,
    1.0,
    "When steering acts, as LO..HI on the way from 1 (pure noise) to 0 (finished): while LO < t/T <= HI",
);
