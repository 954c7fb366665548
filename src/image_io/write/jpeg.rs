//! Writing JPEG: baseline, with the full colour resolution (4:4:4).

use std::io::{self, Write};

use jpeg_encoder::{
    Encoder, EncodingError, ImageBuffer, JpegColorType, PixelDensity, PixelDensityUnit,
    SamplingFactor, rgb_to_ycbcr,
};

use super::super::encode::Rows;
use super::super::metadata::Metadata;
use super::super::metadata::exif::Exif;
use super::super::metadata::jpeg::{PHOTOSHOP_MARKER, XMP_MARKER, photoshop_resource};

/// Visually lossless for photos.
const DEFAULT_QUALITY: u8 = 95;

/// Bytes that a segment holds.
const SEGMENT: usize = 65_533;

const APP1: u8 = 1;
const APP13: u8 = 13;

pub(in super::super) fn jpeg(
    rows: &Rows,
    metadata: &Metadata,
    quality: Option<u8>,
    sink: &mut impl Write,
    warnings: &mut Vec<String>,
) -> io::Result<()> {
    write(rows, metadata, quality, sink, warnings).map_err(|error| match error {
        EncodingError::IoError(error) => error,
        error => io::Error::other(error),
    })
}

fn write(
    rows: &Rows,
    metadata: &Metadata,
    quality: Option<u8>,
    sink: &mut impl Write,
    warnings: &mut Vec<String>,
) -> Result<(), EncodingError> {
    let mut encoder = Encoder::new(sink, quality.unwrap_or(DEFAULT_QUALITY).clamp(1, 100));
    encoder.set_sampling_factor(SamplingFactor::R_4_4_4);
    if let Some(density) = metadata.density {
        let dots = |per_inch: f64| per_inch.round().clamp(1.0, f64::from(u16::MAX)) as u16;
        encoder.set_density(PixelDensity {
            density: (dots(density.x), dots(density.y)),
            unit: PixelDensityUnit::Inches,
        });
    }
    let mut lost = |what: &str| {
        warnings.push(format!(
            "its {what} metadata is larger than JPEG can hold and was left out; PNG and TIFF keep it"
        ));
    };
    let mut add = |number: u8, marker: &[u8], data: &[u8]| {
        let fits = marker.len() + data.len() <= SEGMENT;
        if fits {
            encoder.add_app_segment(number, [marker, data].concat())?;
        }
        Ok::<bool, EncodingError>(fits)
    };
    if let Some(exif) = metadata.exif.as_ref().map(Exif::bytes)
        && !add(APP1, b"Exif\0\0", exif)?
    {
        lost("EXIF");
        let mut smallest = Exif::empty();
        if let Some(provenance) = &metadata.provenance {
            smallest.set_comment(provenance);
            add(APP1, b"Exif\0\0", smallest.bytes())?;
        }
    }
    if let Some(xmp) = &metadata.xmp
        && !add(APP1, XMP_MARKER, xmp.as_bytes())?
    {
        lost("XMP");
        if let Some(xmp) = metadata.smallest_xmp() {
            add(APP1, XMP_MARKER, xmp.as_bytes())?;
        }
    }
    if let Some(iptc) = &metadata.iptc
        && !add(APP13, PHOTOSHOP_MARKER, &photoshop_resource(iptc))?
    {
        lost("IPTC");
    }
    if let Some(icc) = &metadata.icc {
        encoder.add_icc_profile(icc)?;
    }
    encoder.encode_image(Pixels(rows))
}

struct Pixels<'a>(&'a Rows<'a>);

impl ImageBuffer for Pixels<'_> {
    fn get_jpeg_color_type(&self) -> JpegColorType {
        match self.0.layout.gray {
            true => JpegColorType::Luma,
            false => JpegColorType::Ycbcr,
        }
    }

    // The size was checked against the format's.
    fn width(&self) -> u16 {
        self.0.width() as u16
    }

    fn height(&self) -> u16 {
        self.0.height() as u16
    }

    fn fill_buffers(&self, y: u16, buffers: &mut [Vec<u8>; 4]) {
        let [first, second, third, _] = buffers;
        self.0.with(usize::from(y), |row| {
            if self.0.layout.gray {
                return first.extend(row);
            }
            let (pixels, _) = row.as_chunks::<3>();
            for &[r, g, b] in pixels {
                let (luma, blue, red) = rgb_to_ycbcr(r, g, b);
                first.push(luma);
                second.push(blue);
                third.push(red);
            }
        });
    }
}
