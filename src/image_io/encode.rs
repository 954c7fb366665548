//! From a [`Picture`] to a file.

use std::cell::RefCell;
use std::ops::RangeInclusive;
use std::path::Path;

use rayon::prelude::*;

use super::alpha::over_white;
use super::atomic::refuse_existing;
use super::decode::from_profile;
use super::metadata::Metadata;
use super::profile::Profile;
use super::{Depth, Existing, Format, ImageError, Picture, write, write_atomically};

/// What a file's quality may be, where its format has one ([`Format::has_quality`]).
pub const QUALITIES: RangeInclusive<u8> = 1..=100;

/// How a picture is to be written.
#[derive(Clone, Debug, PartialEq)]
pub struct Saving {
    pub existing: Existing,
    /// One of [`QUALITIES`], where the format has it. `None` is 95 for JPEG, and lossless for WebP.
    pub quality: Option<u8>,
    /// Write no EXIF, XMP and IPTC of the input's; colour profile and resolution stay.
    pub strip_metadata: bool,
    /// How the picture was made, one line of text, to be written into its metadata; see
    /// [`provenance`](super::provenance).
    pub provenance: Option<String>,
}

impl Default for Saving {
    /// Nothing is replaced, nothing is lost, nothing is added.
    fn default() -> Self {
        Existing::Refuse.into()
    }
}

impl From<Existing> for Saving {
    fn from(existing: Existing) -> Self {
        Self {
            existing,
            quality: None,
            strip_metadata: false,
            provenance: None,
        }
    }
}

/// Writes `picture` to `path` as `format`, whole or not at all (see [`write_atomically`]).
///
/// Colours are converted to the profile of the picture's origin, which is embedded, and clipped to what it
/// holds. Values are rounded to the nearest step of 8 bits, or of 16 if `picture.depth` asks for them and the
/// format has them (PNG, TIFF). A `gray` picture becomes one channel, the luma of its colours, except in WebP,
/// which has colours only. Alpha is kept, except in JPEG, where the picture is laid over white. Metadata is
/// brought up to date: the picture stands upright, has its present size and no thumbnail.
///
/// Rows are converted as they are written. Only WebP needs the whole picture in 8 bits.
///
/// Returns warnings: whole sentences about what the format could not keep.
///
/// # Errors
/// [`ImageError::OutputSize`] if the format cannot hold the picture, [`ImageError::Write`] if the
/// file exists and may not be replaced, or cannot be written.
///
/// # Panics
/// If the lengths of `rgb`, `beyond` and `alpha` do not fit `width` and `height`, and in debug builds if a
/// value is not finite.
pub fn encode(
    picture: &Picture,
    path: &Path,
    format: Format,
    saving: &Saving,
) -> Result<Vec<String>, ImageError> {
    let pixels = picture.width * picture.height;
    let (beyond, alpha) = (&picture.beyond, &picture.alpha);
    assert_eq!(picture.rgb.len(), pixels * 3, "rgb must be [H, W, 3]");
    assert!(
        beyond.as_ref().is_none_or(|b| b.len() == pixels * 3),
        "beyond must be [H, W, 3]"
    );
    assert!(
        alpha.as_ref().is_none_or(|a| a.len() == pixels),
        "alpha must be [H, W]"
    );
    debug_assert!(
        picture.rgb.iter().all(|value| value.is_finite()),
        "the picture has values that are not finite"
    );

    format.check_size(picture.width, picture.height)?;
    refuse_existing(path, saving.existing)?;

    let mut warnings = Vec::new();
    if !format.holds_alpha()
        && alpha
            .as_ref()
            .is_some_and(|alpha| alpha.iter().any(|&a| a < 1.0))
    {
        warnings.push(format!(
            "{format} has no transparency, so the picture was laid over white; PNG, TIFF and WebP keep it"
        ));
    }
    let rows = Rows::of(picture, format);
    let metadata = Metadata::of(picture, saving, rows.icc());
    write_atomically(path, saving.existing, |sink| match format {
        Format::Png => write::png(&rows, &metadata, sink),
        Format::Jpeg => write::jpeg(&rows, &metadata, saving.quality, sink, &mut warnings),
        Format::WebP => write::webp(&rows, &metadata, saving.quality, sink, &mut warnings),
        Format::Tiff => write::tiff(&rows, &metadata, sink),
    })?;
    Ok(warnings)
}

/// Rows that are converted at once, on all threads.
const BAND: usize = 64;

/// The rows of a picture as a file stores them, converted when they are asked for.
pub(super) struct Rows<'a> {
    source: Source<'a>,
    pub layout: Layout,
    /// The number of a band, and its rows.
    band: RefCell<(usize, Vec<u8>)>,
}

/// What rows are made of.
struct Source<'a> {
    picture: &'a Picture,
    layout: Layout,
    /// The profile that is written.
    profile: Option<Profile>,
}

impl<'a> Rows<'a> {
    fn of(picture: &'a Picture, format: Format) -> Self {
        let layout = Layout::of(picture, format);
        let profile = profile_of(picture).filter(|profile| profile.is_gray() == layout.gray);
        Self {
            source: Source {
                picture,
                layout,
                profile,
            },
            layout,
            band: RefCell::new((usize::MAX, Vec::new())),
        }
    }

    /// The profile to embed.
    fn icc(&self) -> Option<Vec<u8>> {
        let icc = self.source.picture.origin.icc.as_ref();
        icc.filter(|_| self.source.profile.is_some()).cloned()
    }

    pub fn width(&self) -> usize {
        self.source.picture.width
    }

    pub fn height(&self) -> usize {
        self.source.picture.height
    }

    pub fn row_bytes(&self) -> usize {
        self.width() * self.layout.channels() * self.layout.sample_bytes()
    }

    /// Calls `read` with row `y`: interleaved samples, 16-bit ones in the machine's byte order.
    pub fn with<T>(&self, y: usize, read: impl FnOnce(&[u8]) -> T) -> T {
        let mut band = self.band.borrow_mut();
        if band.0 != y / BAND {
            band.0 = y / BAND;
            let first = band.0 * BAND;
            let count = BAND.min(self.height() - first);
            band.1.resize(count * self.row_bytes(), 0);
            let rows = band.1.par_chunks_exact_mut(self.row_bytes()).enumerate();
            let source = &self.source;
            rows.for_each(|(i, row)| source.convert(first + i, row));
        }
        read(&band.1[y % BAND * self.row_bytes()..][..self.row_bytes()])
    }

    /// All rows.
    pub fn all(&self) -> Vec<u8> {
        let mut samples = vec![0; self.height() * self.row_bytes()];
        let rows = samples.par_chunks_exact_mut(self.row_bytes()).enumerate();
        let source = &self.source;
        rows.for_each(|(y, row)| source.convert(y, row));
        samples
    }
}

impl Source<'_> {
    fn convert(&self, y: usize, row: &mut [u8]) {
        let width = self.picture.width;
        let pixels = y * width..(y + 1) * width;
        let layout = self.layout;
        let mut colours = in_file(
            self.picture,
            pixels.clone(),
            layout.gray,
            !layout.alpha,
            self.profile.as_ref(),
        );
        let (colours, _) = colours.as_chunks_mut::<3>();
        let max = max_of(layout.depth);
        let stored = row.chunks_exact_mut(layout.channels() * layout.sample_bytes());
        for ((stored, colour), i) in stored.zip(colours).zip(pixels) {
            let alpha = self.picture.alpha.as_ref().map_or(1.0, |alpha| alpha[i]);
            let [r, g, b] = *colour;
            let values = match layout.gray {
                true => [r, alpha, 0.0, 0.0],
                false => [r, g, b, alpha],
            };
            for (sample, value) in stored.chunks_exact_mut(layout.sample_bytes()).zip(values) {
                let step = quantise(value, max);
                match layout.depth {
                    Depth::Eight => sample[0] = step as u8,
                    Depth::Sixteen => sample.copy_from_slice(&(step as u16).to_ne_bytes()),
                }
            }
        }
    }
}

/// The profile of a picture's origin.
fn profile_of(picture: &Picture) -> Option<Profile> {
    let icc = picture.origin.icc.as_deref();
    icc.and_then(|icc| Profile::parse(icc).ok())
}

/// The colours `[N, 3]` of some pixels as a file of this profile has them, not rounded.
fn in_file(
    picture: &Picture,
    pixels: std::ops::Range<usize>,
    gray: bool,
    flat: bool,
    profile: Option<&Profile>,
) -> Vec<f32> {
    let values = 3 * pixels.start..3 * pixels.end;
    let mut colours = picture.rgb[values.clone()].to_vec();
    for value in &mut colours {
        *value = value.clamp(0.0, 1.0);
    }
    if let Some(profile) = profile
        && let Some(beyond) = &picture.beyond
        && !profile.is_srgb()
    {
        let beyond = &beyond[values];
        (colours.iter_mut().zip(beyond)).for_each(|(value, beyond)| *value += beyond);
    }
    let (triples, _) = colours.as_chunks_mut::<3>();
    if let Some(alpha) = picture.alpha.as_ref().filter(|_| flat) {
        for (colour, &alpha) in triples.iter_mut().zip(&alpha[pixels]) {
            *colour = over_white(*colour, alpha);
        }
    }
    if gray {
        triples
            .iter_mut()
            .for_each(|colour| *colour = [luma(*colour); 3]);
    }
    if let Some(profile) = profile {
        profile.to_file(&mut colours);
    }
    colours
}

/// How a pixel is stored in the file.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    pub gray: bool,
    pub alpha: bool,
    pub depth: Depth,
}

impl Layout {
    fn of(picture: &Picture, format: Format) -> Self {
        let alpha = picture.alpha.is_some() && format.holds_alpha();
        Self {
            gray: picture.gray && format != Format::WebP,
            alpha,
            depth: if format.holds_sixteen_bits() {
                picture.depth
            } else {
                Depth::Eight
            },
        }
    }

    pub fn channels(self) -> usize {
        (if self.gray { 1 } else { 3 }) + usize::from(self.alpha)
    }

    pub fn sample_bytes(self) -> usize {
        match self.depth {
            Depth::Eight => 1,
            Depth::Sixteen => 2,
        }
    }
}

/// Pixels that [`as_stored`] handles at a time.
const PART: usize = 1 << 16;

/// Rounds `picture` to what a lossless file of it holds: its profile, its depth, and one channel if it is grey.
pub(super) fn as_stored(picture: &mut Picture) {
    let max = max_of(picture.depth);
    let profile = profile_of(picture).filter(|profile| profile.is_gray() == picture.gray);
    let pixels = picture.width * picture.height;
    // A part at a time, so that the whole picture is not there twice.
    for first in (0..pixels).step_by(PART) {
        let part = first..(first + PART).min(pixels);
        let gray = picture.gray;
        let mut colours = in_file(picture, part.clone(), gray, false, profile.as_ref());
        for value in &mut colours {
            *value = quantise(*value, max) / max;
        }
        picture.rgb[3 * part.start..3 * part.end].copy_from_slice(&colours);
    }
    picture.beyond = None;
    if let Some(profile) = profile {
        from_profile(picture, &profile);
    }
}

fn max_of(depth: Depth) -> f32 {
    match depth {
        Depth::Eight => 255.0,
        Depth::Sixteen => 65535.0,
    }
}

/// The brightness of a colour, weighted as in ITU-R BT.709. Three equal channels give their own
/// value.
fn luma([r, g, b]: [f32; 3]) -> f32 {
    if r == g && g == b {
        r
    } else {
        0.2126 * r + 0.7152 * g + 0.0722 * b
    }
}

/// The nearest of the steps `0..=max` to `value * max`.
fn quantise(value: f32, max: f32) -> f32 {
    (value.clamp(0.0, 1.0) * max + 0.5).floor()
}
