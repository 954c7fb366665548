//! Pixels of formats that the `image` crate is not asked for: GIF and JPEG XL.

use std::io::Cursor;

use image::DynamicImage;
use jxl_oxide::{AllocTracker, HdrType, JxlImage, PixelFormat};

use super::container::Kind;
use super::decode::check_size;
use super::metadata::Found;
use super::{DecodeProblem, MAX_PIXELS};

/// Bytes that the decoder of JPEG XL may ask for: four channels of f32, and as much again to work with.
const JXL_MEMORY: usize = 32 * MAX_PIXELS as usize;

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
    use image::ImageBuffer;
    match channels {
        1 => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageLuma8),
        2 => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageLumaA8),
        3 => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageRgb8),
        4 => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageRgba8),
        _ => None,
    }
}

fn deep(width: u32, height: u32, channels: usize, samples: Vec<u16>) -> Option<DynamicImage> {
    use image::ImageBuffer;
    match channels {
        1 => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageLuma16),
        2 => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageLumaA16),
        3 => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageRgb16),
        4 => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageRgba16),
        _ => None,
    }
}
