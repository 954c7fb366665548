//! Pixels that the `image` crate is not asked for: GIF, JPEG XL, and TIFF with a palette or with grey beside
//! alpha.

use std::io::{Cursor, Read};

use image::{DynamicImage, ImageBuffer};
use jxl_oxide::{AllocTracker, HdrType, JxlImage, PixelFormat};
use tiff::TiffError;
use tiff::decoder::{Decoder, DecodingResult, Limits};

use super::container::Kind;
use super::decode::check_size;
use super::metadata::Found;
use super::tiff_outline::{self, FirstPage};
use super::{DecodeProblem, MAX_PIXELS};

/// Bytes that the decoder of JPEG XL may ask for: four channels of f32, and as much again to work with.
const JXL_MEMORY: usize = 32 * MAX_PIXELS as usize;
/// Headers of JPEG XL that are looked for in more bytes are not found without decoding.
const JXL_HEAD: u64 = 1 << 16;

/// The first picture of a GIF file, on its screen, with transparency where it leaves that free.
pub(super) fn gif(bytes: &[u8]) -> Result<DynamicImage, DecodeProblem> {
    let problem = |error: gif::DecodingError| DecodeProblem::Corrupt {
        kind: Kind::Gif,
        detail: error.to_string(),
    };
    let mut options = gif::DecodeOptions::new();
    options.set_color_output(gif::ColorOutput::RGBA);
    options.check_frame_consistency(true);
    let mut decoder = options.read_info(bytes).map_err(problem)?;
    let (width, height) = (u32::from(decoder.width()), u32::from(decoder.height()));
    check_size(width, height)?;
    let frame = decoder.read_next_frame().map_err(problem)?;
    let frame = frame.ok_or_else(|| DecodeProblem::Corrupt {
        kind: Kind::Gif,
        detail: "it holds no picture".into(),
    })?;
    let size = [u32::from(frame.width), u32::from(frame.height)];
    let picture = image::RgbaImage::from_raw(size[0], size[1], frame.buffer.to_vec());
    let picture = picture.ok_or(DecodeProblem::Truncated(Kind::Gif))?;
    let mut screen = image::RgbaImage::new(width, height);
    let (left, top) = (i64::from(frame.left), i64::from(frame.top));
    image::imageops::replace(&mut screen, &picture, left, top);
    Ok(screen.into())
}

/// The first page of a TIFF file, if it has a palette of 256 colours or grey beside alpha; `None` for all others.
pub(super) fn tiff(bytes: &[u8]) -> Result<Option<DynamicImage>, DecodeProblem> {
    let Some(page) = tiff_outline::first_page(bytes) else {
        return Ok(None);
    };
    match page {
        FirstPage {
            photometric: Some(BLACK_IS_ZERO),
            samples: Some(2),
            ..
        } => {
            let image = match samples(bytes)? {
                (width, height, DecodingResult::U8(values)) => shallow(width, height, 2, values),
                (width, height, DecodingResult::U16(values)) => deep(width, height, 2, values),
                _ => return Err(DecodeProblem::Float),
            };
            image.map(Some).ok_or_else(|| other_tiff("grey and alpha"))
        }
        FirstPage {
            photometric: Some(PALETTE),
            photometric_at: Some(at),
            palette: Some(palette),
            ..
        } if palette.len() == 3 << 8 => {
            // What is decoded are grey values, which are the numbers of colours.
            let mut as_gray = bytes.to_vec();
            let gray = match bytes.first() {
                Some(b'M') => (BLACK_IS_ZERO as u16).to_be_bytes(),
                _ => (BLACK_IS_ZERO as u16).to_le_bytes(),
            };
            let field = as_gray.get_mut(at..at + 2);
            field
                .ok_or_else(|| other_tiff("palette"))?
                .copy_from_slice(&gray);
            let (width, height, DecodingResult::U8(numbers)) = samples(&as_gray)? else {
                return Err(other_tiff("palette"));
            };
            // All reds, then all greens, then all blues, of 16 bits each.
            let colour =
                |number: u8| [0, 1, 2].map(|c| (palette[c << 8 | usize::from(number)] >> 8) as u8);
            let colours = numbers.into_iter().flat_map(colour).collect();
            let image = shallow(width, height, 3, colours);
            image.map(Some).ok_or_else(|| other_tiff("palette"))
        }
        _ => Ok(None),
    }
}

// Values of the photometric interpretation.
const BLACK_IS_ZERO: u64 = 1;
const PALETTE: u64 = 3;

fn other_tiff(what: &str) -> DecodeProblem {
    DecodeProblem::Unsupported {
        kind: Kind::Tiff,
        detail: format!("{what} of an unusual sort"),
    }
}

fn samples(bytes: &[u8]) -> Result<(u32, u32, DecodingResult), DecodeProblem> {
    let problem = |error: TiffError| match error {
        TiffError::UnsupportedError(error) => DecodeProblem::Unsupported {
            kind: Kind::Tiff,
            detail: error.to_string(),
        },
        error => DecodeProblem::Corrupt {
            kind: Kind::Tiff,
            detail: error.to_string(),
        },
    };
    let mut decoder = Decoder::new(Cursor::new(bytes)).map_err(problem)?;
    let (width, height) = decoder.dimensions().map_err(problem)?;
    check_size(width, height)?;
    let mut limits = Limits::default();
    limits.decoding_buffer_size = 8 * MAX_PIXELS as usize;
    limits.intermediate_buffer_size = limits.decoding_buffer_size;
    let image = decoder.with_limits(limits).read_image().map_err(problem)?;
    Ok((width, height, image))
}

/// The size of a JPEG XL picture, upright, if the beginning of its file tells.
pub(super) fn jxl_size(file: impl Read) -> Option<(u32, u32)> {
    let image = JxlImage::builder().alloc_tracker(AllocTracker::with_limit(JXL_MEMORY));
    let image = image.read(file.take(JXL_HEAD)).ok()?;
    Some((image.width(), image.height()))
}

/// The first picture of a JPEG XL file, upright; its colour profile goes to `found`.
pub(super) fn jxl(
    bytes: &[u8],
    found: &mut Found,
    warnings: &mut Vec<String>,
) -> Result<DynamicImage, DecodeProblem> {
    let problem = |error: Box<dyn std::error::Error + Send + Sync>| DecodeProblem::Corrupt {
        kind: Kind::Jxl,
        detail: error.to_string(),
    };
    let tracker = AllocTracker::with_limit(JXL_MEMORY);
    let image = JxlImage::builder().alloc_tracker(tracker);
    let image = image.read(Cursor::new(bytes)).map_err(problem)?;
    check_size(image.width(), image.height())?;
    if !image.is_loading_done() {
        return Err(DecodeProblem::Truncated(Kind::Jxl));
    }
    if let Some(hdr) = image.hdr_type() {
        return Err(DecodeProblem::Hdr(match hdr {
            HdrType::Pq => "PQ (SMPTE ST 2084)",
            HdrType::Hlg => "HLG (ARIB STD-B67)",
        }));
    }
    let format = image.pixel_format();
    if let PixelFormat::Cmyk | PixelFormat::Cmyka = format {
        return Err(DecodeProblem::Cmyk);
    }
    let metadata = &image.image_header().metadata;
    if let jxl_oxide::image::BitDepth::FloatSample { .. } = metadata.bit_depth {
        return Err(DecodeProblem::Float);
    }
    let is_deep = metadata.bit_depth.bits_per_sample() > 8;
    if metadata.animation.is_some() {
        warnings.push("it is animated; only its first frame is used".into());
    }
    let render = image.render_frame(0).map_err(problem)?;
    found.icc = Some(image.rendered_icc());
    let mut stream = render.stream();
    let (width, height) = (stream.width(), stream.height());
    let channels = stream.channels() as usize;
    check_size(width, height)?;
    let length = width as usize * height as usize * channels;
    let picture = if is_deep {
        let mut samples = vec![0_u16; length];
        stream.write_to_buffer(&mut samples);
        deep(width, height, channels, samples)
    } else {
        let mut samples = vec![0_u8; length];
        stream.write_to_buffer(&mut samples);
        shallow(width, height, channels, samples)
    };
    picture.ok_or_else(|| DecodeProblem::Unsupported {
        kind: Kind::Jxl,
        detail: format!("it has {channels} channels"),
    })
}

fn shallow(width: u32, height: u32, channels: usize, samples: Vec<u8>) -> Option<DynamicImage> {
    match channels {
        1 => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageLuma8),
        2 => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageLumaA8),
        3 => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageRgb8),
        4 => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageRgba8),
        _ => None,
    }
}

fn deep(width: u32, height: u32, channels: usize, samples: Vec<u16>) -> Option<DynamicImage> {
    match channels {
        1 => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageLuma16),
        2 => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageLumaA16),
        3 => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageRgb16),
        4 => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageRgba16),
        _ => None,
    }
}
