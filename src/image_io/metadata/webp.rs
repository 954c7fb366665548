//! WebP's chunks of metadata.

use super::super::container::Reader;
use super::Found;

pub(super) fn find(bytes: &[u8]) -> Found {
    let mut found = Found::default();
    for (name, data) in chunks(bytes) {
        match name {
            b"ICCP" => found.icc = Some(data.to_vec()),
            // Some writers put JPEG's marker before it.
            b"EXIF" => {
                found.exif = Some(data.strip_prefix(b"Exif\0\0").unwrap_or(data).to_vec());
            }
            b"XMP " => found.xmp = Some(data.to_vec()),
            _ => {}
        }
    }
    found
}

/// Names and data of the chunks of a WebP file.
pub(in super::super) fn chunks(bytes: &[u8]) -> impl Iterator<Item = (&[u8; 4], &[u8])> {
    let reader = Reader::little(bytes);
    let mut at = 12;
    std::iter::from_fn(move || {
        let name = bytes.get(at..at + 4)?.try_into().ok()?;
        let length = reader.u32(at + 4)? as usize;
        let data = bytes.get(at + 8..(at + 8).checked_add(length)?)?;
        at += 8 + length.next_multiple_of(2);
        Some((name, data))
    })
}
