//! Writing WebP, lossless or not: the pixels are encoded in memory, then put into a container with metadata.

use std::io::{self, Write};

use image::ExtendedColorType;
use image::codecs::webp::WebPEncoder;

use super::super::encode::Rows;
use super::super::metadata::Metadata;
use super::super::metadata::exif::Exif;
use super::super::metadata::webp::chunks;

// Flags of the extended container (WebP container specification, "Extended File Format").
const HAS_ICC: u8 = 1 << 5;
const HAS_ALPHA: u8 = 1 << 4;
const HAS_EXIF: u8 = 1 << 3;
const HAS_XMP: u8 = 1 << 2;

pub(in super::super) fn webp(
    rows: &Rows,
    metadata: &Metadata,
    quality: Option<u8>,
    sink: &mut impl Write,
    warnings: &mut Vec<String>,
) -> io::Result<()> {
    if metadata.iptc.is_some() {
        let lost =
            "WebP has no place for IPTC metadata, which was left out; PNG, JPEG and TIFF keep it";
        warnings.push(lost.into());
    }
    let encoded = encoded(rows, quality)?;
    let mut exif = metadata.exif.clone();
    if let Some(density) = metadata.density {
        exif.get_or_insert_with(Exif::empty).add_density(density);
    }

    let mut flags = if rows.layout.alpha { HAS_ALPHA } else { 0 };
    let mut before = Vec::new();
    let mut after = Vec::new();
    if let Some(icc) = &metadata.icc {
        flags |= HAS_ICC;
        push(&mut before, b"ICCP", icc);
    }
    if let Some(exif) = &exif {
        flags |= HAS_EXIF;
        push(&mut after, b"EXIF", exif.bytes());
    }
    if let Some(xmp) = &metadata.xmp {
        flags |= HAS_XMP;
        push(&mut after, b"XMP ", xmp.as_bytes());
    }
    if before.is_empty() && after.is_empty() {
        return sink.write_all(&encoded);
    }
    let mut header = vec![flags, 0, 0, 0];
    for side in [rows.width(), rows.height()] {
        header.extend(&(side as u32 - 1).to_le_bytes()[..3]);
    }
    let mut body = b"WEBP".to_vec();
    push(&mut body, b"VP8X", &header);
    body.extend(before);
    for (name, data) in chunks(&encoded) {
        if matches!(name, b"VP8 " | b"VP8L" | b"ALPH") {
            push(&mut body, name, data);
        }
    }
    body.extend(after);
    let length = u32::try_from(body.len()).map_err(io::Error::other)?;
    sink.write_all(b"RIFF")?;
    sink.write_all(&length.to_le_bytes())?;
    sink.write_all(&body)
}

fn push(chunks: &mut Vec<u8>, name: &[u8; 4], data: &[u8]) {
    chunks.extend(name);
    chunks.extend((data.len() as u32).to_le_bytes());
    chunks.extend(data);
    if !data.len().is_multiple_of(2) {
        chunks.push(0);
    }
}

/// A WebP file without metadata.
fn encoded(rows: &Rows, quality: Option<u8>) -> io::Result<Vec<u8>> {
    let (width, height) = (rows.width() as u32, rows.height() as u32);
    let samples = rows.all();
    let Some(quality) = quality else {
        let mut encoded = Vec::new();
        let colours = match rows.layout.alpha {
            true => ExtendedColorType::Rgba8,
            false => ExtendedColorType::Rgb8,
        };
        WebPEncoder::new_lossless(&mut encoded)
            .encode(&samples, width, height, colours)
            .map_err(io::Error::other)?;
        return Ok(encoded);
    };
    let encoder = match rows.layout.alpha {
        true => webp::Encoder::from_rgba(&samples, width, height),
        false => webp::Encoder::from_rgb(&samples, width, height),
    };
    let quality = f32::from(quality.clamp(1, 100));
    let encoded = encoder.encode_simple(false, quality);
    let failed = |error| io::Error::other(format!("libwebp fails: {error:?}"));
    Ok(encoded.map_err(failed)?.to_vec())
}
