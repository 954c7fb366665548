//! JPEG's segments of metadata: JFIF, EXIF, XMP, ICC profiles (ICC.1, annex B.4) and Photoshop's resources,
//! one of which holds IPTC.

use super::super::container::Reader;
use super::super::origin::Density;
use super::Found;

const EXIF_MARKER: &[u8] = b"Exif\0\0";
pub(in super::super) const XMP_MARKER: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";
const MORE_XMP_MARKER: &[u8] = b"http://ns.adobe.com/xmp/extension/\0";
pub(in super::super) const ICC_MARKER: &[u8] = b"ICC_PROFILE\0";
pub(in super::super) const PHOTOSHOP_MARKER: &[u8] = b"Photoshop 3.0\0";
const RESOURCE_MARKER: &[u8] = b"8BIM";
const IPTC_RESOURCE: u16 = 0x0404;

pub(super) fn find(bytes: &[u8]) -> Found {
    let mut found = Found::default();
    let mut icc: Vec<(u8, &[u8])> = Vec::new();
    let mut icc_count = 0;
    let mut resources = Vec::new();
    for (marker, data) in segments(bytes) {
        match marker {
            0xE0 if data.starts_with(b"JFIF\0") => found.density = jfif_density(data),
            0xE1 => {
                if let Some(exif) = data.strip_prefix(EXIF_MARKER) {
                    found.exif.get_or_insert_with(|| exif.to_vec());
                } else if let Some(xmp) = data.strip_prefix(XMP_MARKER) {
                    found.xmp.get_or_insert_with(|| xmp.to_vec());
                } else if data.starts_with(MORE_XMP_MARKER) && found.lost.is_empty() {
                    let lost = "the part of its XMP that lies in segments of its own was dropped";
                    found.lost.push(lost.into());
                }
            }
            0xE2 => {
                let part = data.strip_prefix(ICC_MARKER);
                if let Some([number, count, part @ ..]) = part {
                    icc.push((*number, part));
                    icc_count = *count;
                }
            }
            0xED => {
                if let Some(data) = data.strip_prefix(PHOTOSHOP_MARKER) {
                    resources.extend(data);
                }
            }
            _ => {}
        }
    }
    icc.sort_by_key(|(number, _)| *number);
    if !icc.is_empty() {
        // A profile with a part missing becomes an empty one, which is found to be damaged.
        let is_whole = (1..=icc_count).eq(icc.iter().map(|(number, _)| *number));
        let parts = icc.iter().filter(|_| is_whole);
        found.icc = Some(parts.flat_map(|(_, part)| *part).copied().collect());
    }
    found.iptc = iptc_of(&resources);
    found
}

/// Markers and data of the segments before the compressed data.
fn segments(bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    const START_OF_SCAN: u8 = 0xDA;
    let reader = Reader::big(bytes);
    let mut at = 2;
    std::iter::from_fn(move || {
        loop {
            at += bytes.get(at..)?.iter().position(|&byte| byte == 0xFF)?;
            at += bytes.get(at..)?.iter().position(|&byte| byte != 0xFF)?;
            let marker = *bytes.get(at)?;
            at += 1;
            match marker {
                START_OF_SCAN => return None,
                0x00 | 0x01 | 0xD0..=0xD9 => {}
                _ => {
                    let length = usize::from(reader.u16(at)?);
                    let data = bytes.get(at + 2..at + length.max(2))?;
                    at += length.max(2);
                    return Some((marker, data));
                }
            }
        }
    })
}

fn jfif_density(data: &[u8]) -> Option<Density> {
    let reader = Reader::big(data);
    let per_inch = match data.get(7)? {
        1 => 1.0,
        2 => 2.54,
        _ => return None,
    };
    let (x, y) = (reader.u16(8)?, reader.u16(10)?);
    (x > 0 && y > 0).then(|| Density {
        x: f64::from(x) * per_inch,
        y: f64::from(y) * per_inch,
    })
}

/// The IPTC among Photoshop's resources: each a marker, a number, a name and data, both of even length.
pub(super) fn iptc_of(resources: &[u8]) -> Option<Vec<u8>> {
    let reader = Reader::big(resources);
    let mut at = 0;
    loop {
        if resources.get(at..at + 4)? != RESOURCE_MARKER {
            return None;
        }
        let number = reader.u16(at + 4)?;
        let name = 1 + usize::from(*resources.get(at + 6)?);
        let length_at = at + 6 + name.next_multiple_of(2);
        let length = reader.u32(length_at)? as usize;
        let data = resources.get(length_at + 4..(length_at + 4).checked_add(length)?)?;
        if number == IPTC_RESOURCE {
            return Some(data.to_vec());
        }
        at = length_at + 4 + length.next_multiple_of(2);
    }
}

/// IPTC as a resource of Photoshop's.
pub(in super::super) fn photoshop_resource(iptc: &[u8]) -> Vec<u8> {
    let mut resource = RESOURCE_MARKER.to_vec();
    resource.extend(IPTC_RESOURCE.to_be_bytes());
    resource.extend([0, 0]);
    resource.extend((iptc.len() as u32).to_be_bytes());
    resource.extend(iptc);
    if !iptc.len().is_multiple_of(2) {
        resource.push(0);
    }
    resource
}
