//! The outer structure of picture files: which format the bytes are, and whether all of them are
//! there.
//!
//! Decoders differ in how much they forgive: a JPEG cut in half decodes to a half grey picture. So
//! completeness is checked here, for every format alike, before a decoder sees the file. What the
//! bytes mean is left to the decoders.

use std::fmt;

use super::DecodeProblem;
use super::tiff_outline;

/// A format this program reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Png,
    Jpeg,
    WebP,
    Tiff,
    Bmp,
    /// Its first picture.
    Gif,
    /// JPEG XL.
    Jxl,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Png => "PNG",
            Self::Jpeg => "JPEG",
            Self::WebP => "WebP",
            Self::Tiff => "TIFF",
            Self::Bmp => "BMP",
            Self::Gif => "GIF",
            Self::Jxl => "JPEG XL",
        })
    }
}

/// What can be said of a picture file without decoding it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outline {
    /// Width and height in pixels, where they are found on the way.
    pub size: Option<(u32, u32)>,
    /// How many pictures the file holds; only counted for TIFF and GIF.
    pub pages: usize,
    /// Colours are stored multiplied by alpha; only TIFF can say so.
    pub premultiplied: bool,
    /// Samples are floating point numbers; only TIFF can say so.
    pub floating_point: bool,
}

/// How many bytes from the start of a file [`sniff`] wants to see.
pub(super) const HEAD: usize = 32;

/// The format of a file that starts with `head`, whatever its name says.
pub(super) fn sniff(head: &[u8]) -> Option<Kind> {
    match head {
        [0x89, b'P', b'N', b'G', 0x0D, 0x0A, 0x1A, 0x0A, ..] => Some(Kind::Png),
        [0xFF, 0xD8, 0xFF, ..] => Some(Kind::Jpeg),
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'E',
            b'B',
            b'P',
            ..,
        ] => Some(Kind::WebP),
        // 42 is classic TIFF, 43 is BigTIFF.
        [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => Some(Kind::Tiff),
        // Two letters are little evidence, so the size of the second header must be one that
        // exists, too.
        [b'B', b'M', ..] => match Reader::little(head).u32(14)? {
            12 | 16 | 40 | 52 | 56 | 64 | 108 | 124 => Some(Kind::Bmp),
            _ => None,
        },
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(Kind::Gif),
        // The bare data, and the same in boxes.
        [0xFF, 0x0A, ..] => Some(Kind::Jxl),
        [0, 0, 0, 12, b'J', b'X', b'L', b' ', 13, 10, 0x87, 10, ..] => Some(Kind::Jxl),
        _ => None,
    }
}

/// The name of a picture format that is known but not read.
pub(super) fn sniff_foreign(head: &[u8]) -> Option<&'static str> {
    match head {
        [_, _, _, _, b'f', b't', b'y', b'p', brand @ ..] => match brand.get(..4)? {
            b"avif" | b"avis" => Some("AVIF"),
            b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" | b"mif1" | b"msf1" => {
                Some("HEIC")
            }
            _ => None,
        },
        [b'8', b'B', b'P', b'S', ..] => Some("Photoshop"),
        _ => None,
    }
}

/// Walks through the structure of a whole file of the given kind.
///
/// # Errors
/// [`DecodeProblem::Truncated`] if bytes that the structure promises are missing,
/// [`DecodeProblem::Cmyk`] for a JPEG of four components, [`DecodeProblem::Corrupt`] if the
/// structure makes no sense.
pub(super) fn outline(kind: Kind, bytes: &[u8]) -> Result<Outline, DecodeProblem> {
    let outline = match kind {
        Kind::Png => png(bytes),
        Kind::Jpeg => return jpeg(bytes),
        Kind::WebP => webp(bytes),
        Kind::Tiff => tiff_outline::walk(bytes),
        Kind::Bmp => bmp(bytes),
        Kind::Gif => gif(bytes),
        // Boxes may lie in any order; its decoder says whether all is there.
        Kind::Jxl => Some(Outline::default()),
    };
    outline.ok_or(DecodeProblem::Truncated(kind))
}

/// PNG: chunks of length, name, data and checksum, up to `IEND`.
fn png(bytes: &[u8]) -> Option<Outline> {
    const SIGNATURE: usize = 8;
    const AROUND_DATA: usize = 12;
    let reader = Reader::big(bytes);
    // The first chunk is `IHDR`, which starts with the size.
    let size = Some((reader.u32(16)?, reader.u32(20)?));
    let mut at = SIGNATURE;
    loop {
        let end = (reader.u32(at)? as usize)
            .checked_add(AROUND_DATA)?
            .checked_add(at)?;
        let chunk = bytes.get(at..end)?;
        if &chunk[4..8] == b"IEND" {
            return Some(Outline {
                size,
                ..Outline::default()
            });
        }
        at = end;
    }
}

/// JPEG: segments that start with a marker, some followed by compressed data, up to the
/// end-of-image marker.
///
/// The data between markers is skipped, not understood: it holds no marker but restarts. A preview
/// hidden in a metadata segment is skipped along with the segment.
fn jpeg(bytes: &[u8]) -> Result<Outline, DecodeProblem> {
    const TRUNCATED: DecodeProblem = DecodeProblem::Truncated(Kind::Jpeg);
    let corrupt = |detail: &str| DecodeProblem::Corrupt {
        kind: Kind::Jpeg,
        detail: detail.into(),
    };
    let reader = Reader::big(bytes);
    let mut size = None;
    let mut scan_seen = false;
    let mut at = 2;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        at += rest
            .iter()
            .position(|&byte| byte == 0xFF)
            .ok_or(TRUNCATED)?;
        // A marker may be preceded by any number of fill bytes, which look like its first byte.
        at += bytes[at..]
            .iter()
            .position(|&byte| byte != 0xFF)
            .ok_or(TRUNCATED)?;
        let marker = bytes[at];
        at += 1;
        match marker {
            END_OF_IMAGE if size.is_some() && scan_seen => {
                return Ok(Outline {
                    size,
                    ..Outline::default()
                });
            }
            END_OF_IMAGE => return Err(corrupt("it ends before any picture data")),
            // A stuffed zero byte, and markers without a segment: temporary, restart, start of
            // image.
            0x00 | 0x01 | 0xD0..=0xD8 => {}
            _ => {
                let length = usize::from(reader.u16(at).ok_or(TRUNCATED)?);
                let segment = bytes.get(at..at + length).ok_or(TRUNCATED)?;
                // Start of frame; the three others in this range are tables.
                if matches!(marker, 0xC0..=0xCF) && !matches!(marker, 0xC4 | 0xC8 | 0xCC) {
                    let [_, _, _, h1, h0, w1, w0, components, ..] = *segment else {
                        return Err(corrupt("its frame header is too short"));
                    };
                    if components == 4 {
                        return Err(DecodeProblem::Cmyk);
                    }
                    let side = |high, low| u32::from(u16::from_be_bytes([high, low]));
                    size = size.or(Some((side(w1, w0), side(h1, h0))));
                }
                scan_seen |= marker == START_OF_SCAN;
                at += length;
            }
        }
    }
}

const END_OF_IMAGE: u8 = 0xD9;
const START_OF_SCAN: u8 = 0xDA;

/// WebP: a RIFF file, which says its length (less the first 8 bytes) at the start.
fn webp(bytes: &[u8]) -> Option<Outline> {
    let reader = Reader::little(bytes);
    let length = (reader.u32(4)? as usize).checked_add(8)?;
    if length > bytes.len() {
        return None;
    }
    // Only the extended format has room for an absurd size: sides of 24 bits, less one.
    let size = match bytes.get(12..16)? {
        b"VP8X" => Some((
            reader.uint(24, 3)? as u32 + 1,
            reader.uint(27, 3)? as u32 + 1,
        )),
        _ => None,
    };
    Some(Outline {
        size,
        ..Outline::default()
    })
}

/// GIF: a screen, then blocks, each a chain of pieces that say their length, up to the trailer.
fn gif(bytes: &[u8]) -> Option<Outline> {
    const PICTURE: u8 = 0x2C;
    const EXTENSION: u8 = 0x21;
    const TRAILER: u8 = 0x3B;
    let reader = Reader::little(bytes);
    let palette = |flags: u8| match flags & 0x80 {
        0 => 0,
        _ => 3 << ((flags & 7) + 1),
    };
    let size = (u32::from(reader.u16(6)?), u32::from(reader.u16(8)?));
    let mut at = 13 + palette(*bytes.get(10)?);
    let mut pages = 0;
    loop {
        match *bytes.get(at)? {
            PICTURE => {
                pages += 1;
                // The descriptor, its palette, the size of codes.
                at += 10 + palette(*bytes.get(at + 9)?) + 1;
            }
            EXTENSION => at += 2,
            TRAILER => {
                return Some(Outline {
                    size: Some(size),
                    pages,
                    ..Outline::default()
                });
            }
            _ => return None,
        }
        loop {
            let length = usize::from(*bytes.get(at)?);
            at += 1 + length;
            if length == 0 {
                break;
            }
        }
    }
}

/// BMP: headers, then the pixels at the offset they name. The length in the file header is often
/// wrong, so the pixels' own length counts.
fn bmp(bytes: &[u8]) -> Option<Outline> {
    const CORE_HEADER: u32 = 12;
    const RUN_LENGTH_8: u32 = 1;
    const RUN_LENGTH_4: u32 = 2;
    let reader = Reader::little(bytes);
    let start = u64::from(reader.u32(10)?);
    let header = reader.u32(14)?;
    let (width, height, bits, compression) = if header == CORE_HEADER {
        (
            u32::from(reader.u16(18)?),
            u32::from(reader.u16(20)?),
            reader.u16(24)?,
            0,
        )
    } else {
        // Rows from top to bottom are marked by a negative height.
        let height = (reader.u32(22)? as i32).unsigned_abs();
        (reader.u32(18)?, height, reader.u16(28)?, reader.u32(30)?)
    };
    let length = match compression {
        RUN_LENGTH_8 | RUN_LENGTH_4 => u64::from(reader.u32(34)?),
        _ => {
            let row_bytes = (u64::from(width) * u64::from(bits)).div_ceil(32) * 4;
            row_bytes.saturating_mul(u64::from(height))
        }
    };
    // An absurd size is reported as such, which says more than that its pixels are missing.
    let outline = Outline {
        size: Some((width, height)),
        ..Outline::default()
    };
    let complete = start.saturating_add(length) <= bytes.len() as u64;
    (complete || !super::decode::size_is_sane(width, height)).then_some(outline)
}

/// Reads numbers of either byte order at any place; `None` past the end.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    big_endian: bool,
}

impl<'a> Reader<'a> {
    pub fn little(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            big_endian: false,
        }
    }

    pub fn big(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            big_endian: true,
        }
    }

    pub fn is_big_endian(self) -> bool {
        self.big_endian
    }

    pub fn u16(self, at: usize) -> Option<u16> {
        self.uint(at, 2).map(|value| value as u16)
    }

    pub fn u32(self, at: usize) -> Option<u32> {
        self.uint(at, 4).map(|value| value as u32)
    }

    /// A number of `size` bytes, 8 at most.
    pub fn uint(self, at: usize, size: usize) -> Option<u64> {
        let bytes = self.bytes.get(at..at.checked_add(size)?)?;
        let push = |number: u64, &byte: &u8| number << 8 | u64::from(byte);
        Some(if self.big_endian {
            bytes.iter().fold(0, push)
        } else {
            bytes.iter().rev().fold(0, push)
        })
    }

    /// Whether `size` bytes from `at` on are there.
    pub fn covers(self, at: u64, size: u64) -> bool {
        at.checked_add(size)
            .is_some_and(|end| end <= self.bytes.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_both_byte_orders_and_not_past_the_end() {
        let bytes = [1, 2, 3, 4, 5];
        assert_eq!(Reader::little(&bytes).u16(1), Some(0x0302));
        assert_eq!(Reader::big(&bytes).u16(1), Some(0x0203));
        assert_eq!(Reader::big(&bytes).u32(1), Some(0x0203_0405));
        assert_eq!(Reader::big(&bytes).u32(2), None);
        assert_eq!(Reader::little(&bytes).uint(usize::MAX, 2), None);
        assert!(Reader::little(&bytes).covers(3, 2) && !Reader::little(&bytes).covers(u64::MAX, 2));
    }

    #[test]
    fn text_that_starts_like_a_bitmap_is_none() {
        assert_eq!(sniff(b"BMW builds cars and motorcycles, too."), None);
        assert_eq!(sniff(b"BM"), None);
    }

    /// The smallest thing the JPEG walk accepts: a frame header, a scan with a stuffed byte and a
    /// restart, the end.
    fn jpeg_skeleton(components: u8) -> Vec<u8> {
        let mut bytes = vec![0xFF, 0xD8];
        // A metadata segment with a preview's end-of-image marker in it.
        bytes.extend([0xFF, 0xE1, 0, 6, 0xFF, 0xD9, 0xFF, 0xD9]);
        bytes.extend([0xFF, 0xC0, 0, 8, 8, 0, 2, 0, 3, components]);
        bytes.extend([
            0xFF, 0xFF, 0xDA, 0, 2, 7, 0xFF, 0x00, 7, 0xFF, 0xD0, 7, 0xFF, 0xD9,
        ]);
        bytes
    }

    #[test]
    fn a_jpeg_is_complete_only_with_its_own_end_marker() {
        let bytes = jpeg_skeleton(3);
        assert_eq!(outline(Kind::Jpeg, &bytes).unwrap().size, Some((3, 2)));
        for length in 0..bytes.len() {
            let problem = outline(Kind::Jpeg, &bytes[..length]).unwrap_err();
            assert!(
                matches!(problem, DecodeProblem::Truncated(Kind::Jpeg)),
                "{length}: {problem}"
            );
        }
        let with_trailer = [bytes, vec![0; 10]].concat();
        assert!(outline(Kind::Jpeg, &with_trailer).is_ok());
    }

    #[test]
    fn a_jpeg_of_four_components_is_cmyk() {
        let problem = outline(Kind::Jpeg, &jpeg_skeleton(4)).unwrap_err();
        assert!(matches!(problem, DecodeProblem::Cmyk));
    }
}
