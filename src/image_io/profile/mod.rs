//! Colour profiles: from a file's colours to sRGB, continued beyond its range, and back.
//!
//! `moxcms` parses profiles. What they say is computed here, in f64 and without clipping on the way, because
//! libraries clip to the range of what they convert to, and then the way there and back loses colours. The
//! intent is relative colorimetric without black point compensation, littleCMS's default.

mod curve;
mod describe;
mod tables;

use moxcms::{ColorProfile, DataColorSpace, TransferCharacteristics, Xyzd};
use rayon::prelude::*;

use curve::Curve;
pub(super) use describe::{adobe_rgb, of_code_points, of_gamma};
use tables::Tables;

/// Three by three, rows of columns.
type Matrix = [[f64; 3]; 3];

/// The largest profile that is looked at; tables for print take a few MiB.
const MAX_BYTES: usize = 8 << 20;

/// Values that one thread handles at a time.
const CHUNK: usize = 3 * 4096;

/// White of the connection space, CIE D50 as ICC rounds it.
const D50: [f64; 3] = [0.9642, 1.0, 0.8249];

/// From linear sRGB to the connection space: sRGB's primaries and white (D65, x 0.3127, y 0.3290), adapted to D50
/// as Bradford has it. Rows sum to [`D50`] exactly: what is grey in a sound profile is grey in sRGB.
const SRGB_COLORANTS: Matrix = [
    [0.436_041_25, 0.385_112_91, 0.143_045_84],
    [0.222_484_54, 0.716_905_08, 0.060_610_38],
    [0.013_920_19, 0.097_067_24, 0.713_912_57],
];

/// Why a profile is not used.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unusable {
    /// High dynamic range, by the name of its curve.
    Hdr(&'static str),
    /// Damaged, or of a sort that nothing is known of: what it is, after "its colour profile".
    Unknown(String),
}

impl Unusable {
    fn damaged(what: impl std::fmt::Display) -> Self {
        Self::Unknown(format!("is damaged ({what})"))
    }
}

/// A usable profile.
pub(super) struct Profile(Way);

enum Way {
    /// So close to sRGB that values stay as they are.
    Same,
    Colorants {
        curves: [Curve; 3],
        /// From linear values of the profile to linear values of sRGB.
        to_srgb: Matrix,
        from_srgb: Matrix,
    },
    Gray {
        curve: Curve,
        /// The curve gives CIE L* (over 100) instead of light.
        lightness: bool,
    },
    Tables(Box<Tables>),
}

impl Profile {
    /// Parses an ICC profile.
    ///
    /// # Errors
    /// [`Unusable`].
    pub fn parse(icc: &[u8]) -> Result<Self, Unusable> {
        if icc.len() > MAX_BYTES {
            return Err(Unusable::Unknown("is absurdly large".into()));
        }
        let parsed = ColorProfile::new_from_slice(icc).map_err(Unusable::damaged)?;
        if let Some(name) = hdr(&parsed) {
            return Err(Unusable::Hdr(name));
        }
        let mut profile = Profile(match parsed.color_space {
            DataColorSpace::Rgb => match Tables::of(&parsed)? {
                Some(tables) => Way::Tables(Box::new(tables)),
                None => colorants(&parsed)?,
            },
            DataColorSpace::Gray => Way::Gray {
                curve: Curve::of(parsed.gray_trc.as_ref())?,
                lightness: parsed.pcs == DataColorSpace::Lab,
            },
            other => {
                return Err(Unusable::Unknown(format!("is one for {other:?} colours")));
            }
        });
        if !profile.is_gray() && profile.changes_little() {
            profile.0 = Way::Same;
        }
        Ok(profile)
    }

    /// Whether it is a profile for pictures of one channel.
    pub fn is_gray(&self) -> bool {
        matches!(self.0, Way::Gray { .. })
    }

    /// Whether values stay as they are: the profile is sRGB, as nearly as such profiles are.
    pub fn is_srgb(&self) -> bool {
        matches!(self.0, Way::Same)
    }

    /// Turns `[N, 3]` values of the file, in 0..=1, into sRGB's encoding, continued beyond 0..=1.
    pub fn to_srgb(&self, pixels: &mut [f32]) {
        if !self.is_srgb() {
            let chunks = pixels.par_chunks_mut(CHUNK);
            chunks.for_each(|pixels| self.convert(pixels, |pixel| self.pixel_to_srgb(pixel)));
        }
    }

    /// Turns `[N, 3]` values as [`Profile::to_srgb`] makes them into those of the file, in 0..=1. What the
    /// profile cannot hold is clipped; a profile of grey takes the first channel.
    ///
    /// What `to_srgb` made becomes what it was, to a few 10⁻⁷ in linear light: f32's rounding beside bright
    /// channels. Tables lose no more, except where they are level.
    pub fn to_file(&self, pixels: &mut [f32]) {
        if !self.is_srgb() {
            let chunks = pixels.par_chunks_mut(CHUNK);
            chunks.for_each(|pixels| self.convert(pixels, |pixel| self.pixel_to_file(pixel)));
        }
    }

    /// Runs of equal pixels, of which pictures have many, are computed once.
    fn convert(&self, pixels: &mut [f32], one: impl Fn([f64; 3]) -> [f64; 3]) {
        let (triples, _) = pixels.as_chunks_mut::<3>();
        let mut last = ([f32::NAN; 3], [0.0; 3]);
        for pixel in triples {
            if *pixel != last.0 {
                last = (*pixel, one(pixel.map(f64::from)).map(|value| value as f32));
            }
            *pixel = last.1;
        }
    }

    fn pixel_to_srgb(&self, pixel: [f64; 3]) -> [f64; 3] {
        match &self.0 {
            Way::Same => pixel,
            Way::Colorants {
                curves, to_srgb, ..
            } => {
                let linear = [0, 1, 2].map(|c| curves[c].forth(pixel[c]));
                times(to_srgb, linear).map(encoded)
            }
            Way::Gray { curve, lightness } => {
                let value = curve.forth(pixel[0]);
                let light = if *lightness {
                    tables::light(100.0 * value)
                } else {
                    value
                };
                [encoded(light); 3]
            }
            Way::Tables(tables) => tables.to_srgb(pixel),
        }
    }

    fn pixel_to_file(&self, pixel: [f64; 3]) -> [f64; 3] {
        match &self.0 {
            Way::Same => pixel,
            Way::Colorants {
                curves, from_srgb, ..
            } => {
                let own = times(from_srgb, pixel.map(linear));
                [0, 1, 2].map(|c| curves[c].back(own[c]))
            }
            Way::Gray { curve, lightness } => {
                let light = linear(pixel[0]);
                let value = if *lightness {
                    tables::lightness(light) / 100.0
                } else {
                    light
                };
                [curve.back(value); 3]
            }
            Way::Tables(tables) => tables.to_file(pixel),
        }
    }

    /// Whether no colour differs from sRGB's by more than profiles that are called sRGB differ from one another:
    /// one step and a half of 8 bits, in dark channels beside bright ones.
    fn changes_little(&self) -> bool {
        const MOST: f32 = 2.0 / 255.0;
        const STEPS: usize = 17;
        let value = |i: usize| (i % STEPS) as f32 / (STEPS - 1) as f32;
        let cube = (0..STEPS.pow(3)).flat_map(|i| [i, i / STEPS, i / STEPS / STEPS].map(value));
        let greys = (0..256).flat_map(|i| [i as f32 / 255.0; 3]);
        let colours: Vec<f32> = cube.chain(greys).collect();
        let mut converted = colours.clone();
        self.to_srgb(&mut converted);
        let pairs = colours.iter().zip(&converted);
        pairs.into_iter().all(|(a, b)| (a - b).abs() < MOST)
    }
}

/// A profile of three colorants and three curves.
fn colorants(parsed: &ColorProfile) -> Result<Way, Unusable> {
    let trcs = [&parsed.red_trc, &parsed.green_trc, &parsed.blue_trc];
    let [red, green, blue] = trcs.map(|trc| Curve::of(trc.as_ref()));
    let columns = [
        &parsed.red_colorant,
        &parsed.green_colorant,
        &parsed.blue_colorant,
    ];
    let row = |of: fn(&Xyzd) -> f64| columns.map(of);
    let to_connection = [row(|xyz| xyz.x), row(|xyz| xyz.y), row(|xyz| xyz.z)];
    let singular = || Unusable::damaged("its colorants are no three colours");
    let from_connection = inverse(&SRGB_COLORANTS).ok_or_else(singular)?;
    let to_srgb = product(&from_connection, &to_connection);
    Ok(Way::Colorants {
        curves: [red?, green?, blue?],
        from_srgb: inverse(&to_srgb).ok_or_else(singular)?,
        to_srgb,
    })
}

/// The name of the curve of a profile for high dynamic range.
fn hdr(profile: &ColorProfile) -> Option<&'static str> {
    use TransferCharacteristics::{Hlg, Smpte2084};
    const PQ_NAME: &str = "PQ (SMPTE ST 2084)";
    const HLG_NAME: &str = "HLG (ARIB STD-B67)";
    let description = profile.description.as_ref().map(describe::text);
    let description = description.unwrap_or_default();
    let word = |word: &str| {
        let mut words = description.split(|c: char| !c.is_alphanumeric());
        words.any(|w| w.eq_ignore_ascii_case(word))
    };
    let coded = profile.cicp.map(|cicp| cicp.transfer_characteristics);
    let curves = [&profile.green_trc, &profile.gray_trc];
    let curves = curves.into_iter().flatten().map(Some).map(Curve::of);
    let bends_like = |light: TransferCharacteristics| {
        curves.clone().flatten().any(|curve| {
            [0.25, 0.5, 0.75].into_iter().all(|x| {
                let (own, theirs) = (curve.forth(x), light.linearize(x) / light.linearize(1.0));
                (own - theirs).abs() < 0.05 * theirs
            })
        })
    };
    if coded == Some(Smpte2084) || word("PQ") || word("2084") || bends_like(Smpte2084) {
        Some(PQ_NAME)
    } else if coded == Some(Hlg) || word("HLG") || bends_like(Hlg) {
        Some(HLG_NAME)
    } else {
        None
    }
}

/// sRGB's encoding of a linear value (IEC 61966-2-1), continued beyond 0..=1: its curve above, and the same
/// mirrored at zero below.
fn encoded(value: f64) -> f64 {
    let size = value.abs();
    let code = if size <= 0.003_130_8 {
        12.92 * size
    } else {
        1.055 * size.powf(1.0 / 2.4) - 0.055
    };
    code.copysign(value)
}

/// The inverse of [`encoded`].
fn linear(code: f64) -> f64 {
    let size = code.abs();
    let value = if size <= 0.040_449_936 {
        size / 12.92
    } else {
        ((size + 0.055) / 1.055).powf(2.4)
    };
    value.copysign(code)
}

fn times(matrix: &Matrix, vector: [f64; 3]) -> [f64; 3] {
    matrix.map(|row| row[0] * vector[0] + row[1] * vector[1] + row[2] * vector[2])
}

fn product(a: &Matrix, b: &Matrix) -> Matrix {
    a.map(|row| [0, 1, 2].map(|column| (0..3).map(|i| row[i] * b[i][column]).sum()))
}

/// `None` for a matrix that has none, or nearly so.
fn inverse(m: &Matrix) -> Option<Matrix> {
    let cofactor = |r: usize, c: usize| {
        let (r1, r2, c1, c2) = ((r + 1) % 3, (r + 2) % 3, (c + 1) % 3, (c + 2) % 3);
        m[r1][c1] * m[r2][c2] - m[r1][c2] * m[r2][c1]
    };
    let determinant: f64 = (0..3).map(|c| m[0][c] * cofactor(0, c)).sum();
    let sane = determinant.is_finite() && determinant.abs() > 1e-6;
    sane.then(|| [0, 1, 2].map(|r| [0, 1, 2].map(|c| cofactor(c, r) / determinant)))
}

#[cfg(test)]
mod tests;
