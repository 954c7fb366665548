//! PNG's chunks of metadata (PNG, third edition, section 11.3).

use std::io::Read;

use flate2::read::ZlibDecoder;

use super::super::container::Reader;
use super::super::origin::Density;
use super::Found;
use super::jpeg::iptc_of;

/// The keyword of this program's own note.
pub(in super::super) const NOTE_KEYWORD: &str = "minkds";
pub(in super::super) const XMP_KEYWORD: &str = "XML:com.adobe.xmp";
/// PNG has no place for IPTC; this is where ImageMagick puts it and ExifTool looks for it.
pub(in super::super) const IPTC_KEYWORD: &str = "Raw profile type iptc";
const OLD_EXIF_KEYWORDS: [&str; 2] = ["Raw profile type exif", "Raw profile type APP1"];

/// The most that a compressed chunk may become.
const MAX_INFLATED: u64 = 16 << 20;

const METRES_PER_INCH: f64 = 0.0254;

pub(super) fn find(bytes: &[u8]) -> Found {
    let mut found = Found::default();
    let reader = Reader::big(bytes);
    let mut old_exif = None;
    let mut at = 8;
    while let Some((name, data)) = chunk(reader, bytes, at) {
        let number = |at| Reader::big(data).u32(at);
        match name {
            b"iCCP" => found.icc = profile(data),
            b"cICP" => {
                if let [primaries, transfer, ..] = *data {
                    found.code_points = Some([primaries, transfer]);
                }
            }
            b"sRGB" => found.is_srgb = true,
            b"gAMA" => found.gamma = number(0).map(|value| f64::from(value) / 1e5),
            b"cHRM" => {
                let value = |i| number(4 * i).map(|value| f64::from(value as i32) / 1e5);
                if number(28).is_some() {
                    found.chromaticities =
                        Some(std::array::from_fn(|i| value(i).unwrap_or_default()));
                }
            }
            b"pHYs" => {
                if let (Some(x), Some(y), Some(1)) = (number(0), number(4), data.get(8)) {
                    let per_inch = |value| f64::from(value) * METRES_PER_INCH;
                    found.density = (x > 0 && y > 0).then(|| Density {
                        x: per_inch(x),
                        y: per_inch(y),
                    });
                }
            }
            b"eXIf" => found.exif = Some(data.to_vec()),
            b"iTXt" => match international(data) {
                Some((XMP_KEYWORD, text)) => found.xmp = Some(text),
                Some((NOTE_KEYWORD, text)) => found.note = String::from_utf8(text).ok(),
                _ => {}
            },
            b"tEXt" | b"zTXt" => match latin(name == b"zTXt", data) {
                Some((IPTC_KEYWORD, text)) => {
                    // As a resource of Photoshop's; some writers leave out that wrapping.
                    let data = of_hex_profile(&text);
                    found.iptc = data.map(|data| iptc_of(&data).unwrap_or(data));
                }
                Some((keyword, text)) if OLD_EXIF_KEYWORDS.contains(&keyword) => {
                    old_exif = of_hex_profile(&text);
                }
                _ => {}
            },
            b"IEND" => break,
            _ => {}
        }
        at += 12 + data.len();
    }
    if found.exif.is_none() {
        found.exif = old_exif.and_then(|exif| exif.strip_prefix(b"Exif\0\0").map(<[u8]>::to_vec));
    }
    found
}

fn chunk<'a>(reader: Reader, bytes: &'a [u8], at: usize) -> Option<(&'a [u8; 4], &'a [u8])> {
    let length = reader.u32(at)? as usize;
    let name = bytes.get(at + 4..at + 8)?.try_into().ok()?;
    Some((name, bytes.get(at + 8..(at + 8).checked_add(length)?)?))
}

/// A name, the method of compression, the profile. What cannot be inflated becomes an empty one, which is
/// found to be damaged.
fn profile(data: &[u8]) -> Option<Vec<u8>> {
    let (_, rest) = split(data)?;
    let (_, compressed) = rest.split_first()?;
    Some(inflated(compressed).unwrap_or_default())
}

/// Keyword and UTF-8 of an international text.
fn international(data: &[u8]) -> Option<(&str, Vec<u8>)> {
    let (keyword, rest) = split(data)?;
    let (&[is_compressed, _], rest) = rest.split_first_chunk::<2>()?;
    let (_, rest) = split(rest)?;
    let (_, text) = split(rest)?;
    let text = match is_compressed {
        0 => text.to_vec(),
        _ => inflated(text)?,
    };
    Some((std::str::from_utf8(keyword).ok()?, text))
}

fn latin(is_compressed: bool, data: &[u8]) -> Option<(&str, Vec<u8>)> {
    let (keyword, rest) = split(data)?;
    let text = match is_compressed {
        false => rest.to_vec(),
        true => inflated(rest.get(1..)?)?,
    };
    Some((std::str::from_utf8(keyword).ok()?, text))
}

/// At the first zero byte, which goes.
fn split(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = data.iter().position(|&byte| byte == 0)?;
    Some((&data[..end], &data[end + 1..]))
}

fn inflated(compressed: &[u8]) -> Option<Vec<u8>> {
    let mut data = Vec::new();
    let read = ZlibDecoder::new(compressed)
        .take(MAX_INFLATED + 1)
        .read_to_end(&mut data);
    (read.is_ok() && data.len() as u64 <= MAX_INFLATED).then_some(data)
}

/// ImageMagick's way to put bytes into text: a line with the name, one with the length, lines of hexadecimals.
pub(in super::super) fn hex_profile(name: &str, data: &[u8]) -> String {
    let mut text = format!("\n{name}\n{:8}\n", data.len());
    for line in data.chunks(36) {
        text.extend(line.iter().map(|byte| format!("{byte:02x}")));
        text.push('\n');
    }
    text
}

fn of_hex_profile(text: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(text).ok()?;
    let mut lines = text.trim_start().lines();
    let (_name, length) = (lines.next()?, lines.next()?);
    let length: usize = length.trim().parse().ok()?;
    let digits: Vec<u8> = lines
        .flat_map(str::bytes)
        .filter_map(|digit| char::from(digit).to_digit(16))
        .map(|digit| digit as u8)
        .collect();
    let data: Vec<u8> = digits
        .chunks_exact(2)
        .map(|two| two[0] << 4 | two[1])
        .collect();
    (data.len() == length).then_some(data)
}
