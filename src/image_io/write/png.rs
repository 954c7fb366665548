//! Writing PNG.

use std::borrow::Cow;
use std::io::{self, Write};

use png::{
    BitDepth, ColorType, Compression, Encoder, EncodingError, Filter, Info, PixelDimensions, Unit,
};

use super::super::Depth;
use super::super::encode::{Layout, Rows};
use super::super::metadata::Metadata;
use super::super::metadata::exif::Exif;
use super::super::metadata::jpeg::photoshop_resource;
use super::super::metadata::png::{IPTC_KEYWORD, NOTE_KEYWORD, XMP_KEYWORD, hex_profile};

const INCHES_PER_METRE: f64 = 1.0 / 0.0254;

/// Bytes of a chunk of pixels.
const CHUNK: usize = 1 << 18;

pub(in super::super) fn png(
    rows: &Rows,
    metadata: &Metadata,
    sink: &mut impl Write,
) -> io::Result<()> {
    write(rows, metadata, sink).map_err(|error| match error {
        EncodingError::IoError(error) => error,
        error => io::Error::other(error),
    })
}

fn write(rows: &Rows, metadata: &Metadata, sink: &mut impl Write) -> Result<(), EncodingError> {
    let mut info = Info::with_size(rows.width() as u32, rows.height() as u32);
    info.icc_profile = metadata.icc.as_deref().map(Cow::from);
    info.exif_metadata = metadata.exif.as_ref().map(Exif::bytes).map(Cow::from);
    info.pixel_dims = metadata.density.map(|density| {
        let per_metre = |per_inch: f64| (per_inch * INCHES_PER_METRE).round() as u32;
        PixelDimensions {
            xppu: per_metre(density.x),
            yppu: per_metre(density.y),
            unit: Unit::Meter,
        }
    });
    let mut encoder = Encoder::with_info(sink, info)?;
    let Layout { gray, alpha, depth } = rows.layout;
    encoder.set_color(match (gray, alpha) {
        (true, false) => ColorType::Grayscale,
        (true, true) => ColorType::GrayscaleAlpha,
        (false, false) => ColorType::Rgb,
        (false, true) => ColorType::Rgba,
    });
    encoder.set_depth(match depth {
        Depth::Eight => BitDepth::Eight,
        Depth::Sixteen => BitDepth::Sixteen,
    });
    // Photographs gain next to nothing from more.
    encoder.set_compression(Compression::Fast);
    encoder.set_filter(Filter::Adaptive);
    if let Some(provenance) = &metadata.provenance {
        encoder.add_itxt_chunk(NOTE_KEYWORD.into(), provenance.clone())?;
    }
    if let Some(xmp) = &metadata.xmp {
        encoder.add_itxt_chunk(XMP_KEYWORD.into(), xmp.clone())?;
    }
    if let Some(iptc) = &metadata.iptc {
        encoder.add_ztxt_chunk(
            IPTC_KEYWORD.into(),
            hex_profile("iptc", &photoshop_resource(iptc)),
        )?;
    }
    let mut writer = encoder.write_header()?;
    let mut stream = writer.stream_writer_with_size(CHUNK)?;
    let mut swapped = Vec::new();
    for y in 0..rows.height() {
        rows.with(y, |row| match depth {
            Depth::Eight => stream.write_all(row),
            Depth::Sixteen => {
                let (samples, _) = row.as_chunks::<2>();
                let values = samples.iter().map(|sample| u16::from_ne_bytes(*sample));
                swapped.clear();
                swapped.extend(values.flat_map(u16::to_be_bytes));
                stream.write_all(&swapped)
            }
        })?;
    }
    stream.finish()?;
    writer.finish()
}
