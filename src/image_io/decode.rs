//! From a file to a [`Picture`]: recognise, check, decode, turn upright.

use std::fs::{self, File};
use std::io::{self, Cursor, Read};
use std::path::Path;
use std::sync::Arc;

use image::codecs::bmp::BmpDecoder;
use image::codecs::jpeg::JpegDecoder;
use image::codecs::png::PngDecoder;
use image::codecs::tiff::TiffDecoder;
use image::codecs::webp::WebPDecoder;
use image::error::UnsupportedErrorKind;
use image::metadata::Orientation;
use image::{DynamicImage, ExtendedColorType, ImageDecoder, Limits};
use rayon::prelude::*;

use super::container::{self, Kind, Outline};
use super::metadata::Found;
use super::metadata::exif::Exif;
use super::profile::{self, Profile, Unusable};
use super::{DecodeProblem, Depth, ImageError, Picture, foreign};

/// The longest side in pixels that is read.
pub const MAX_SIDE: u32 = 65_535;

/// The most pixels in all that are read: 268 megapixels, 3 GiB as f32 RGB.
pub const MAX_PIXELS: u64 = 1 << 28;

/// The largest file that is read: twice what the largest picture takes uncompressed.
const MAX_FILE_BYTES: u64 = 2 * MAX_PIXELS * BYTES_PER_PIXEL;

/// Bytes of the largest pixel that is read: 16-bit RGBA.
const BYTES_PER_PIXEL: u64 = 8;

/// A picture and what the person should know about how it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    pub picture: Picture,
    /// Whole sentences without the path, for example that only the first frame of an animation was
    /// used.
    pub warnings: Vec<String>,
}

/// Reads a PNG, JPEG, WebP, TIFF, BMP, GIF or JPEG XL file, recognised by its content, turned upright as
/// its metadata says.
///
/// 8 bits a channel become `v / 255`, 16 bits `v / 65535`; palettes become RGB, grey is repeated in
/// all three channels, alpha is made straight. An alpha plane that hides nothing is dropped. Colours are
/// converted from the profile that the file embeds or names to sRGB (relative colorimetric), and what lies
/// beyond sRGB is kept beside them. A profile or metadata that make no sense are dropped with a warning.
///
/// # Errors
/// [`ImageError::Decode`] for a file that is missing, not such a picture, incomplete, damaged,
/// absurdly large, empty of pixels, or of a sort that is refused (CMYK, floating point, high dynamic range).
pub fn decode(path: &Path) -> Result<Decoded, ImageError> {
    read(path)
        .and_then(|(kind, bytes)| decode_bytes(kind, &bytes))
        .map_err(|problem| ImageError::Decode {
            path: path.into(),
            problem,
        })
}

/// Decodes a PNG in memory, the same way.
///
/// # Errors
/// Those of [`decode`], naming no file.
pub fn decode_png(bytes: &[u8]) -> Result<Picture, ImageError> {
    let decoded = decode_bytes(Kind::Png, bytes);
    decoded
        .map(|decoded| decoded.picture)
        .map_err(|problem| ImageError::Decode {
            path: "the program's own picture".into(),
            problem,
        })
}

/// Whether a picture of this size is worth an attempt: see [`MAX_SIDE`] and [`MAX_PIXELS`].
pub(super) fn size_is_sane(width: u32, height: u32) -> bool {
    width.max(height) <= MAX_SIDE && u64::from(width) * u64::from(height) <= MAX_PIXELS
}

/// The whole file and its kind; files of other kinds are not read beyond the first bytes.
fn read(path: &Path) -> Result<(Kind, Vec<u8>), DecodeProblem> {
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => DecodeProblem::Missing,
        io::ErrorKind::IsADirectory => DecodeProblem::Folder,
        _ => DecodeProblem::Unreadable(error),
    };
    if fs::metadata(path).map_err(unreadable)?.is_dir() {
        return Err(DecodeProblem::Folder);
    }
    let mut file = File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.by_ref()
        .take(container::HEAD as u64)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.is_empty() {
        return Err(DecodeProblem::Empty);
    }
    let kind = container::sniff(&bytes).ok_or_else(|| match container::sniff_foreign(&bytes) {
        Some(name) => DecodeProblem::Foreign(name),
        None => DecodeProblem::NotAPicture,
    })?;
    file.take(MAX_FILE_BYTES)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(DecodeProblem::FileTooLarge {
            limit: MAX_FILE_BYTES,
        });
    }
    Ok((kind, bytes))
}

fn decode_bytes(kind: Kind, bytes: &[u8]) -> Result<Decoded, DecodeProblem> {
    let outline = container::outline(kind, bytes)?;
    if let Some((width, height)) = outline.size {
        check_size(width, height)?;
    }
    if outline.floating_point {
        return Err(DecodeProblem::Float);
    }
    let mut warnings = Vec::new();
    let input = Cursor::new(bytes);
    let problem = |error| problem_of(kind, error);
    let mut found = Found::of(kind, bytes);
    let mut image = match kind {
        Kind::Png => {
            let mut limits = Limits::no_limits();
            limits.max_alloc = Some(MAX_PIXELS * BYTES_PER_PIXEL);
            let decoder = PngDecoder::with_limits(input, limits).map_err(problem)?;
            if decoder.is_apng().map_err(problem)? {
                warnings.push(FIRST_FRAME.into());
            }
            pixels(kind, decoder)
        }
        Kind::Jpeg => pixels(kind, JpegDecoder::new(input).map_err(problem)?),
        Kind::WebP => {
            let decoder = WebPDecoder::new(input).map_err(problem)?;
            if decoder.has_animation() {
                warnings.push(FIRST_FRAME.into());
            }
            pixels(kind, decoder)
        }
        Kind::Tiff => {
            if outline.pages > 1 {
                warnings.push(format!(
                    "it has {} pages; only the first is used",
                    outline.pages
                ));
            }
            match foreign::tiff(bytes)? {
                Some(image) => Ok(image),
                None => pixels(kind, TiffDecoder::new(input).map_err(problem)?),
            }
        }
        Kind::Bmp => pixels(kind, BmpDecoder::new(input).map_err(problem)?),
        Kind::Gif => {
            if outline.pages > 1 {
                warnings.push(FIRST_FRAME.into());
            }
            foreign::gif(bytes)
        }
        Kind::Jxl => foreign::jxl(bytes, &mut found, &mut warnings),
    }?;
    let colours = colours(&found, is_gray(&image), &mut warnings)?;
    let (mut origin, orientation) = found.origin(&mut warnings);
    // The decoder of JPEG XL has turned it already.
    if kind != Kind::Jxl {
        let orientation = Orientation::from_exif(orientation);
        image.apply_orientation(orientation.unwrap_or(Orientation::NoTransforms));
    }
    let mut picture = to_picture(image, &outline)?;
    if let Some((icc, profile)) = colours {
        from_profile(&mut picture, &profile);
        origin.icc = Some(icc);
    }
    picture.origin = Arc::new(origin);
    Ok(Decoded { picture, warnings })
}

const FIRST_FRAME: &str = "it is animated; only its first frame is used";

/// How the file was made, if this program made it: [`Saving::provenance`](super::Saving::provenance) of then,
/// from a PNG's text, XMP or EXIF.
///
/// # Errors
/// [`ImageError::Decode`] for a file that is missing, not a picture or incomplete; pixels are not looked at.
pub fn provenance(path: &Path) -> Result<Option<String>, ImageError> {
    let found = read(path).and_then(|(kind, bytes)| {
        container::outline(kind, &bytes)?;
        Ok(Found::of(kind, &bytes).provenance())
    });
    found.map_err(|problem| ImageError::Decode {
        path: path.into(),
        problem,
    })
}

/// Decodes the pixels as they lie in the file.
fn pixels(kind: Kind, mut decoder: impl ImageDecoder) -> Result<DynamicImage, DecodeProblem> {
    let problem = |error| problem_of(kind, error);
    let (width, height) = decoder.dimensions();
    check_size(width, height)?;
    if let ExtendedColorType::Cmyk8 | ExtendedColorType::Cmyk16 = decoder.original_color_type() {
        return Err(DecodeProblem::Cmyk);
    }
    let mut limits = Limits::default();
    limits.max_alloc = Some(2 * MAX_PIXELS * BYTES_PER_PIXEL);
    decoder.set_limits(limits).map_err(problem)?;
    DynamicImage::from_decoder(decoder).map_err(problem)
}

fn is_gray(image: &DynamicImage) -> bool {
    image.color().channel_count() < 3
}

/// The profile that a file's colours are in, and as ICC; `None` is sRGB. Where a file says it in several
/// ways, the order is that of PNG (third edition, section 4.3).
fn colours(
    found: &Found,
    is_gray: bool,
    warnings: &mut Vec<String>,
) -> Result<Option<(Vec<u8>, Profile)>, DecodeProblem> {
    let coded = found
        .code_points
        .map(|[primaries, transfer]| profile::of_code_points(primaries, transfer));
    let says_adobe = || Exif::parse(found.exif.as_deref()?).filter(Exif::is_adobe_rgb);
    let icc = match (coded, &found.icc) {
        (Some(Ok(icc)), _) => icc,
        (Some(Err(Unusable::Hdr(name))), _) => return Err(DecodeProblem::Hdr(name)),
        (_, Some(icc)) => Some(icc.clone()),
        (Some(Err(Unusable::Unknown(what))), None) => {
            warnings.push(dropped(&what));
            None
        }
        (None, None) if found.is_srgb => None,
        (None, None) if says_adobe().is_some() && !is_gray => profile::adobe_rgb(),
        // A curve for grey would need a profile of its own kind, and nobody writes one that is not sRGB's.
        (None, None) if is_gray => None,
        (None, None) => profile::of_gamma(found.gamma, found.chromaticities),
    };
    let Some(icc) = icc else { return Ok(None) };
    let problem = match Profile::parse(&icc) {
        Ok(profile) if profile.is_gray() == is_gray => return Ok(Some((icc, profile))),
        // Grey pictures with sRGB's profile are common, and nothing is lost.
        Ok(profile) if profile.is_srgb() => return Ok(None),
        Ok(_) if is_gray => "is one for colours, and the picture is grey".into(),
        Ok(_) => "is one for grey, and the picture has colours".into(),
        Err(Unusable::Hdr(name)) => return Err(DecodeProblem::Hdr(name)),
        Err(Unusable::Unknown(what)) => what,
    };
    warnings.push(dropped(&problem));
    Ok(None)
}

fn dropped(what: &str) -> String {
    format!("its colour profile {what}; it was dropped, and the colours are taken for sRGB")
}

/// Converts colours to sRGB, and keeps what lies beyond.
pub(super) fn from_profile(picture: &mut Picture, profile: &Profile) {
    /// Less than half a step of 16 bits is rounding.
    const ROUNDING: f32 = 0.5 / 65535.0;
    profile.to_srgb(&mut picture.rgb);
    let is_within = |&value: &f32| (-ROUNDING..=1.0 + ROUNDING).contains(&value);
    let within = |value: f32| value.clamp(0.0, 1.0);
    picture.beyond = (!picture.rgb.par_iter().all(is_within)).then(|| {
        let values = picture.rgb.par_iter();
        values.map(|&value| value - within(value)).collect()
    });
    picture
        .rgb
        .par_iter_mut()
        .for_each(|value| *value = within(*value));
}

pub(super) fn check_size(width: u32, height: u32) -> Result<(), DecodeProblem> {
    if width == 0 || height == 0 {
        Err(DecodeProblem::NoPixels { width, height })
    } else if !size_is_sane(width, height) {
        Err(DecodeProblem::TooLarge { width, height })
    } else {
        Ok(())
    }
}

/// Our words for a decoder's error.
fn problem_of(kind: Kind, error: image::ImageError) -> DecodeProblem {
    use image::ImageError as Error;
    match error {
        Error::IoError(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            DecodeProblem::Truncated(kind)
        }
        Error::Unsupported(error) => DecodeProblem::Unsupported {
            kind,
            detail: match error.kind() {
                UnsupportedErrorKind::Color(colour) => {
                    format!("its colours are stored as {colour:?}")
                }
                UnsupportedErrorKind::GenericFeature(feature) => feature,
                _ => error.to_string(),
            },
        },
        error => DecodeProblem::Corrupt {
            kind,
            detail: error.to_string(),
        },
    }
}

fn to_picture(image: DynamicImage, outline: &Outline) -> Result<Picture, DecodeProblem> {
    let (width, height) = (image.width() as usize, image.height() as usize);
    let (channels, depth, (rgb, alpha)) = match image {
        DynamicImage::ImageLuma8(image) => (1, Depth::Eight, planes(1, &image, 255.0)),
        DynamicImage::ImageLumaA8(image) => (2, Depth::Eight, planes(2, &image, 255.0)),
        DynamicImage::ImageRgb8(image) => (3, Depth::Eight, planes(3, &image, 255.0)),
        DynamicImage::ImageRgba8(image) => (4, Depth::Eight, planes(4, &image, 255.0)),
        DynamicImage::ImageLuma16(image) => (1, Depth::Sixteen, planes(1, &image, 65535.0)),
        DynamicImage::ImageLumaA16(image) => (2, Depth::Sixteen, planes(2, &image, 65535.0)),
        DynamicImage::ImageRgb16(image) => (3, Depth::Sixteen, planes(3, &image, 65535.0)),
        DynamicImage::ImageRgba16(image) => (4, Depth::Sixteen, planes(4, &image, 65535.0)),
        _ => return Err(DecodeProblem::Float),
    };
    let mut picture = Picture {
        width,
        height,
        rgb,
        beyond: None,
        alpha,
        depth,
        gray: channels < 3,
        origin: Arc::default(),
    };
    if outline.premultiplied {
        make_straight(&mut picture);
    }
    if picture
        .alpha
        .as_ref()
        .is_some_and(|alpha| alpha.iter().all(|&a| a == 1.0))
    {
        picture.alpha = None;
    }
    Ok(picture)
}

/// Splits interleaved samples of 1 to 4 channels into `[H, W, 3]` colours and `[H, W]` alpha,
/// divided by `max`.
fn planes<T: Copy + Into<f32>>(
    channels: usize,
    samples: &[T],
    max: f32,
) -> (Vec<f32>, Option<Vec<f32>>) {
    let value = |sample: T| sample.into() / max;
    let pixels = samples.chunks_exact(channels);
    let rgb = if channels < 3 {
        pixels
            .clone()
            .flat_map(|pixel| [value(pixel[0]); 3])
            .collect()
    } else {
        pixels
            .clone()
            .flat_map(|pixel| [value(pixel[0]), value(pixel[1]), value(pixel[2])])
            .collect()
    };
    let has_alpha = channels == 2 || channels == 4;
    (
        rgb,
        has_alpha.then(|| pixels.map(|pixel| value(pixel[channels - 1])).collect()),
    )
}

/// Undoes the multiplication of colours by alpha; where alpha is zero there is no colour to find.
fn make_straight(picture: &mut Picture) {
    let Some(alpha) = &picture.alpha else { return };
    for (pixel, &alpha) in picture.rgb.chunks_exact_mut(3).zip(alpha) {
        if alpha > 0.0 {
            pixel
                .iter_mut()
                .for_each(|value| *value = (*value / alpha).min(1.0));
        }
    }
}
