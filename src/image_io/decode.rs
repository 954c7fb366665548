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

use super::container::{self, Kind, Outline};
use super::{DecodeProblem, Depth, ImageError, Picture};

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

/// Reads a PNG, JPEG, WebP, TIFF or BMP file, recognised by its content, turned upright as its
/// metadata says.
///
/// 8 bits a channel become `v / 255`, 16 bits `v / 65535`; palettes become RGB, grey is repeated in
/// all three channels, alpha is made straight. An alpha plane that hides nothing is dropped.
///
/// # Errors
/// [`ImageError::Decode`] for a file that is missing, not such a picture, incomplete, damaged,
/// absurdly large, empty of pixels, or of a sort that is refused (CMYK, floating point).
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
    let kind = container::sniff(&bytes).ok_or(DecodeProblem::NotAPicture)?;
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
    let image = match kind {
        Kind::Png => {
            let mut limits = Limits::no_limits();
            limits.max_alloc = Some(MAX_PIXELS * BYTES_PER_PIXEL);
            let decoder = PngDecoder::with_limits(input, limits).map_err(problem)?;
            if decoder.is_apng().map_err(problem)? {
                warnings.push(FIRST_FRAME.into());
            }
            upright(kind, decoder)
        }
        Kind::Jpeg => upright(kind, JpegDecoder::new(input).map_err(problem)?),
        Kind::WebP => {
            let decoder = WebPDecoder::new(input).map_err(problem)?;
            if decoder.has_animation() {
                warnings.push(FIRST_FRAME.into());
            }
            upright(kind, decoder)
        }
        Kind::Tiff => {
            if outline.pages > 1 {
                warnings.push(format!(
                    "it has {} pages; only the first is used",
                    outline.pages
                ));
            }
            upright(kind, TiffDecoder::new(input).map_err(problem)?)
        }
        Kind::Bmp => upright(kind, BmpDecoder::new(input).map_err(problem)?),
    }?;
    Ok(Decoded {
        picture: to_picture(image, &outline)?,
        warnings,
    })
}

const FIRST_FRAME: &str = "it is animated; only its first frame is used";

/// Decodes the pixels and turns them as the file's orientation tag says.
fn upright(kind: Kind, mut decoder: impl ImageDecoder) -> Result<DynamicImage, DecodeProblem> {
    let problem = |error| problem_of(kind, error);
    let (width, height) = decoder.dimensions();
    check_size(width, height)?;
    if let ExtendedColorType::Cmyk8 | ExtendedColorType::Cmyk16 = decoder.original_color_type() {
        return Err(DecodeProblem::Cmyk);
    }
    // Damaged metadata is no reason to refuse a picture.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut limits = Limits::default();
    limits.max_alloc = Some(2 * MAX_PIXELS * BYTES_PER_PIXEL);
    decoder.set_limits(limits).map_err(problem)?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(problem)?;
    image.apply_orientation(orientation);
    Ok(image)
}

fn check_size(width: u32, height: u32) -> Result<(), DecodeProblem> {
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
