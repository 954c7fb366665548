//! From a [`Picture`] to a file.

use std::io;
use std::path::Path;

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::codecs::tiff::TiffEncoder;
use image::codecs::webp::WebPEncoder;
use image::{ExtendedColorType, ImageEncoder};
use rayon::prelude::*;

use super::alpha::over_white;
use super::atomic::{Sink, refuse_existing};
use super::{Depth, Existing, Format, ImageError, Picture, write_atomically};

/// Visually lossless for photos; the encoder keeps the full colour resolution (4:4:4).
const JPEG_QUALITY: u8 = 95;

/// How a picture is to be written.
#[derive(Clone, Debug, PartialEq)]
pub struct Saving {
    pub existing: Existing,
    /// 1 to 100, where the format has it ([`Format::has_quality`]). `None` is 95 for JPEG, and lossless for
    /// WebP.
    pub quality: Option<u8>,
    /// Write no EXIF, XMP and IPTC of the input's; colour profile and resolution stay.
    pub strip_metadata: bool,
    /// How the picture was made, one line of text, to be written into its metadata; see
    /// `provenance`.
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
/// Values are clamped to 0..=1 and rounded to the nearest step of 8 bits, or of 16 if
/// `picture.depth` asks for them and the format has them (PNG, TIFF). A `gray` picture becomes one
/// channel, the luma of its colours. Alpha is kept, except in JPEG, where the picture is laid over
/// white. WebP is lossless, JPEG has quality 95.
///
/// Returns warnings: whole sentences about what the format could not keep.
///
/// # Errors
/// [`ImageError::OutputSize`] if the format cannot hold the picture, [`ImageError::Write`] if the
/// file exists and may not be replaced, or cannot be written.
///
/// # Panics
/// If the lengths of `rgb` and `alpha` do not fit `width` and `height`, and in debug builds if a
/// value is not finite.
pub fn encode(
    picture: &Picture,
    path: &Path,
    format: Format,
    saving: &Saving,
) -> Result<Vec<String>, ImageError> {
    let (width, height) = (picture.width, picture.height);
    assert_eq!(
        picture.rgb.len(),
        width * height * 3,
        "rgb must be [H, W, 3]"
    );
    assert!(
        picture
            .alpha
            .as_ref()
            .is_none_or(|a| a.len() == width * height),
        "alpha must be [H, W]"
    );
    debug_assert!(
        picture.rgb.iter().all(|value| value.is_finite()),
        "the picture has values that are not finite"
    );

    format.check_size(width, height)?;
    refuse_existing(path, saving.existing)?;

    let mut warnings = Vec::new();
    if !format.holds_alpha()
        && picture
            .alpha
            .as_ref()
            .is_some_and(|alpha| alpha.iter().any(|&a| a < 1.0))
    {
        warnings.push(format!(
            "{format} has no transparency, so the picture was laid over white; PNG, TIFF and WebP keep it"
        ));
    }
    let layout = Layout::of(picture, format);
    let samples = layout.samples(picture);
    write_atomically(path, saving.existing, |sink| {
        // `check_size` has made sure of 32 bits.
        write(
            &samples,
            width as u32,
            height as u32,
            layout.colour_type(),
            format,
            sink,
        )
        .map_err(to_io)
    })?;
    Ok(warnings)
}

fn write(
    samples: &[u8],
    width: u32,
    height: u32,
    colours: ExtendedColorType,
    format: Format,
    sink: &mut Sink<'_>,
) -> image::ImageResult<()> {
    match format {
        Format::Png => PngEncoder::new(sink).write_image(samples, width, height, colours),
        Format::Jpeg => JpegEncoder::new_with_quality(sink, JPEG_QUALITY)
            .write_image(samples, width, height, colours),
        Format::WebP => {
            WebPEncoder::new_lossless(sink).write_image(samples, width, height, colours)
        }
        Format::Tiff => TiffEncoder::new(sink).write_image(samples, width, height, colours),
    }
}

/// Keeps the kind of an I/O error, from which the advice in the message follows.
fn to_io(error: image::ImageError) -> io::Error {
    match error {
        image::ImageError::IoError(error) => error,
        error => io::Error::other(error),
    }
}

/// How a pixel is stored in the file.
#[derive(Clone, Copy)]
struct Layout {
    gray: bool,
    alpha: bool,
    depth: Depth,
}

impl Layout {
    fn of(picture: &Picture, format: Format) -> Self {
        let alpha = picture.alpha.is_some() && format.holds_alpha();
        Self {
            // The TIFF encoder (and decoder) has no grey with alpha.
            gray: picture.gray && !(alpha && format == Format::Tiff),
            alpha,
            depth: if format.holds_sixteen_bits() {
                picture.depth
            } else {
                Depth::Eight
            },
        }
    }

    fn colour_type(self) -> ExtendedColorType {
        use ExtendedColorType::*;
        match (self.gray, self.alpha, self.depth) {
            (true, false, Depth::Eight) => L8,
            (true, true, Depth::Eight) => La8,
            (false, false, Depth::Eight) => Rgb8,
            (false, true, Depth::Eight) => Rgba8,
            (true, false, Depth::Sixteen) => L16,
            (true, true, Depth::Sixteen) => La16,
            (false, false, Depth::Sixteen) => Rgb16,
            (false, true, Depth::Sixteen) => Rgba16,
        }
    }

    /// The whole picture as interleaved samples, 16-bit ones in the machine's byte order.
    fn samples(self, picture: &Picture) -> Vec<u8> {
        let channels = if self.gray { 1 } else { 3 } + usize::from(self.alpha);
        let sample_bytes = match self.depth {
            Depth::Eight => 1,
            Depth::Sixteen => 2,
        };
        let pixel_bytes = channels * sample_bytes;
        let mut samples = vec![0; picture.width * picture.height * pixel_bytes];
        samples
            .par_chunks_exact_mut(picture.width * pixel_bytes)
            .enumerate()
            .for_each(|(y, row)| {
                for (x, stored) in row.chunks_exact_mut(pixel_bytes).enumerate() {
                    let (pixel, count) = self.pixel(picture, y * picture.width + x);
                    for (sample, value) in
                        stored.chunks_exact_mut(sample_bytes).zip(&pixel[..count])
                    {
                        match self.depth {
                            Depth::Eight => sample[0] = quantise(*value, 255.0) as u8,
                            Depth::Sixteen => {
                                sample.copy_from_slice(
                                    &(quantise(*value, 65535.0) as u16).to_ne_bytes(),
                                );
                            }
                        }
                    }
                }
            });
        samples
    }

    /// The values to store for pixel `i`, and how many of the four they are.
    fn pixel(self, picture: &Picture, i: usize) -> ([f32; 4], usize) {
        let mut colour = [
            picture.rgb[3 * i],
            picture.rgb[3 * i + 1],
            picture.rgb[3 * i + 2],
        ];
        let alpha = picture.alpha.as_ref().map_or(1.0, |alpha| alpha[i]);
        if !self.alpha {
            colour = over_white(colour, alpha);
        }
        let [r, g, b] = colour;
        match (self.gray, self.alpha) {
            (true, false) => ([luma(colour), 0.0, 0.0, 0.0], 1),
            (true, true) => ([luma(colour), alpha, 0.0, 0.0], 2),
            (false, false) => ([r, g, b, 0.0], 3),
            (false, true) => ([r, g, b, alpha], 4),
        }
    }
}

/// Rounds `picture` to what a lossless file of it holds: its depth, and one channel if it is grey.
pub(super) fn as_stored(picture: &mut Picture) {
    let max = match picture.depth {
        Depth::Eight => 255.0,
        Depth::Sixteen => 65535.0,
    };
    for pixel in picture.rgb.chunks_exact_mut(3) {
        if picture.gray {
            pixel.fill(luma([pixel[0], pixel[1], pixel[2]]));
        }
        for value in pixel {
            *value = quantise(*value, max) / max;
        }
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
