//! Writing TIFF: deflated strips with horizontal prediction (TIFF 6.0, section 14).
//!
//! An EXIF structure is a TIFF file without pixels. So the file begins with it, every byte where it was, and
//! makers' notes stay readable; then follow the pixels and a new first directory.

use std::io::{self, Seek, SeekFrom, Write};

use flate2::Compression;
use flate2::write::ZlibEncoder;

use super::super::Depth;
use super::super::encode::{Layout, Rows};
use super::super::metadata::Metadata;
use super::super::metadata::exif::{self, Exif, Field};
use super::super::metadata::tiff::tag;

/// Bytes of a strip before compression, about.
const STRIP: usize = 1 << 20;

const DEFLATE: u16 = 8;
const BLACK_IS_ZERO: u16 = 1;
const RGB: u16 = 2;
const CONTIGUOUS: u16 = 1;
const HORIZONTAL: u16 = 2;
const STRAIGHT_ALPHA: u16 = 2;
const BYTE: u16 = 1;

pub(in super::super) fn tiff(
    rows: &Rows,
    metadata: &Metadata,
    sink: &mut (impl Write + Seek),
) -> io::Result<()> {
    let mut exif = metadata.exif.clone().unwrap_or_else(Exif::empty);
    if let Some(density) = metadata.density {
        exif.add_density(density);
    }
    let big_endian = exif.is_big_endian();
    sink.write_all(exif.bytes())?;
    let mut end = exif.bytes().len();

    let rows_per_strip = (STRIP / rows.row_bytes()).clamp(1, rows.height());
    let (mut offsets, mut lengths) = (Vec::new(), Vec::new());
    for first in (0..rows.height()).step_by(rows_per_strip) {
        let mut strip = ZlibEncoder::new(Vec::new(), Compression::default());
        for y in first..(first + rows_per_strip).min(rows.height()) {
            let row = rows.with(y, |row| predicted(row, rows.layout, big_endian));
            strip.write_all(&row)?;
        }
        let strip = strip.finish()?;
        offsets.push(number(end)?);
        lengths.push(number(strip.len())?);
        sink.write_all(&strip)?;
        end += strip.len();
    }

    let directory = directory(rows, metadata, &exif, rows_per_strip, offsets, lengths);
    let (bytes, at) = exif.directory_at(directory, end).ok_or_else(too_large)?;
    sink.write_all(&bytes)?;
    sink.seek(SeekFrom::Start(4))?;
    let at = match big_endian {
        true => at.to_be_bytes(),
        false => at.to_le_bytes(),
    };
    sink.write_all(&at)
}

fn number(value: usize) -> io::Result<u32> {
    u32::try_from(value).map_err(|_| too_large())
}

fn too_large() -> io::Error {
    io::Error::other("a TIFF file cannot pass 4 GiB")
}

/// A row as it is compressed: in the file's byte order, every sample less the one of the pixel before.
fn predicted(row: &[u8], layout: Layout, big_endian: bool) -> Vec<u8> {
    let channels = layout.channels();
    match layout.depth {
        Depth::Eight => {
            let before = std::iter::repeat_n(&0, channels).chain(row);
            row.iter()
                .zip(before)
                .map(|(a, b)| a.wrapping_sub(*b))
                .collect()
        }
        Depth::Sixteen => {
            let (samples, _) = row.as_chunks::<2>();
            let samples = samples.iter().map(|sample| u16::from_ne_bytes(*sample));
            let before = std::iter::repeat_n(0, channels).chain(samples.clone());
            let differences = samples.zip(before).map(|(a, b)| a.wrapping_sub(b));
            differences
                .flat_map(|value| match big_endian {
                    true => value.to_be_bytes(),
                    false => value.to_le_bytes(),
                })
                .collect()
        }
    }
}

/// The first directory: what EXIF has there, and how the pixels are stored.
fn directory(
    rows: &Rows,
    metadata: &Metadata,
    exif: &Exif,
    rows_per_strip: usize,
    offsets: Vec<u32>,
    lengths: Vec<u32>,
) -> Vec<Field> {
    let layout = rows.layout;
    let bits = 8 * layout.sample_bytes() as u16;
    let channels = layout.channels();
    let mut fields = vec![
        exif.long(exif::tag::IMAGE_WIDTH, rows.width() as u32),
        exif.long(exif::tag::IMAGE_LENGTH, rows.height() as u32),
        exif.shorts(tag::BITS_PER_SAMPLE, &vec![bits; channels]),
        exif.short(tag::COMPRESSION, DEFLATE),
        exif.short(
            tag::PHOTOMETRIC,
            if layout.gray { BLACK_IS_ZERO } else { RGB },
        ),
        exif.longs(exif::tag::STRIP_OFFSETS, exif::LONG, &offsets),
        exif.short(tag::SAMPLES_PER_PIXEL, channels as u16),
        exif.long(tag::ROWS_PER_STRIP, rows_per_strip as u32),
        exif.longs(exif::tag::STRIP_BYTE_COUNTS, exif::LONG, &lengths),
        exif.short(tag::PLANAR_CONFIGURATION, CONTIGUOUS),
        exif.short(tag::PREDICTOR, HORIZONTAL),
    ];
    if layout.alpha {
        fields.push(exif.short(tag::EXTRA_SAMPLES, STRAIGHT_ALPHA));
    }
    let bytes = |tag, kind, value: &[u8]| Field {
        tag,
        kind,
        count: value.len() as u32,
        value: value.to_vec(),
    };
    if let Some(xmp) = &metadata.xmp {
        fields.push(bytes(tag::XMP, BYTE, xmp.as_bytes()));
    }
    if let Some(iptc) = &metadata.iptc {
        // Readers expect groups of four bytes, whose order is that of the data whatever the file's.
        let mut padded = iptc.clone();
        padded.resize(iptc.len().next_multiple_of(4), 0);
        fields.push(Field {
            tag: tag::IPTC,
            kind: exif::LONG,
            count: (padded.len() / 4) as u32,
            value: padded,
        });
    }
    if let Some(icc) = &metadata.icc {
        fields.push(bytes(tag::ICC, exif::UNDEFINED, icc));
    }
    let kept = exif.first().into_iter();
    let kept = kept.filter(|field| !fields.iter().any(|own| own.tag == field.tag));
    let kept: Vec<Field> = kept.collect();
    fields.extend(kept);
    fields
}
