//! What the headers of a picture file say, without its pixels.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;

use image::{ImageDecoder, ImageReader};

use super::container::{HEAD, Kind, Reader, sniff};
use super::decode::size_is_sane;
use super::foreign::jxl_size;

/// Bytes of a pixel's colours and of its alpha as f32.
const COLOURS: u64 = 12;
const ALPHA: u64 = 4;
/// Bytes of a pixel of GIF and JPEG XL, all in all: what the latter's decoder may take.
const FOREIGN: u64 = 32;

/// Width and height in pixels as the file stores them: before it is turned upright, but for JPEG XL. Nothing but
/// headers is read, so that a damaged file may pass; `None` where they do not tell or are absurd, which decoding
/// explains.
pub fn peek(path: &Path) -> Option<(u32, u32)> {
    // A pipe would wait for its other end.
    if !path.metadata().ok()?.is_file() {
        return None;
    }
    let mut file = File::open(path).ok()?;
    let mut head = Vec::new();
    file.by_ref()
        .take(HEAD as u64)
        .read_to_end(&mut head)
        .ok()?;
    file.rewind().ok()?;
    let (width, height) = match sniff(&head)? {
        Kind::Gif => {
            let reader = Reader::little(&head);
            (reader.u16(6)?.into(), reader.u16(8)?.into())
        }
        Kind::Jxl => jxl_size(file)?,
        _ => decoder(path)?.dimensions(),
    };
    size_is_sane(width, height).then_some((width, height))
}

/// About how many bytes decoding the file of this size takes at a time, as its headers tell: the file, its samples,
/// and its values as f32; `None` where it cannot be read.
pub fn decoding_bytes(path: &Path, (width, height): (u32, u32)) -> Option<u64> {
    let per_pixel = match decoder(path) {
        Some(mut decoder) => {
            let colour = decoder.color_type();
            let alpha = if colour.has_alpha() { ALPHA } else { 0 };
            // When the samples are gone, what lies beyond sRGB comes beside the values.
            let beyond = match decoder.icc_profile() {
                Ok(Some(_)) => COLOURS,
                _ => 0,
            };
            COLOURS + alpha + beyond.max(colour.bytes_per_pixel().into())
        }
        None => FOREIGN,
    };
    let pixels = u64::from(width) * u64::from(height);
    Some(path.metadata().ok()?.len() + pixels * per_pixel)
}

fn decoder(path: &Path) -> Option<impl ImageDecoder> {
    let reader = ImageReader::open(path).ok()?.with_guessed_format().ok()?;
    reader.into_decoder().ok()
}
