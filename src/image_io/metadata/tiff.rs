//! TIFF's fields of metadata, those of EXIF among them, gathered into an EXIF structure.

use super::super::origin::Density;
use super::super::tiff_outline::{Entry, Layout};
use super::Found;
use super::exif::{self, Exif, Field};

pub(in super::super) mod tag {
    pub const BITS_PER_SAMPLE: u16 = 258;
    pub const COMPRESSION: u16 = 259;
    pub const PHOTOMETRIC: u16 = 262;
    pub const SAMPLES_PER_PIXEL: u16 = 277;
    pub const ROWS_PER_STRIP: u16 = 278;
    pub const PLANAR_CONFIGURATION: u16 = 284;
    pub const PREDICTOR: u16 = 317;
    pub const EXTRA_SAMPLES: u16 = 338;
    pub const XMP: u16 = 700;
    pub const IPTC: u16 = 33723;
    pub const ICC: u16 = 34675;
}

/// The fields of the first directory that say something of the picture and not of how its pixels are stored.
const DESCRIPTIVE: [u16; 16] = [
    270,   // ImageDescription
    271,   // Make
    272,   // Model
    274,   // Orientation
    282,   // XResolution
    283,   // YResolution
    296,   // ResolutionUnit
    269,   // DocumentName
    305,   // Software
    306,   // DateTime
    315,   // Artist
    316,   // HostComputer
    18246, // Rating
    18249, // RatingPercent
    33432, // Copyright
    50341, // PrintImageMatching
];

pub(super) fn find(bytes: &[u8]) -> Option<Found> {
    let layout = Layout::of(bytes)?;
    let start = layout
        .reader
        .uint(layout.first_directory, layout.offset_size)?;
    let first = layout.directory(usize::try_from(start).ok()?)?;
    let mut gathered = Gathered {
        bytes,
        budget: bytes.len(),
    };
    let mut found = Found::default();
    let mut fields = Vec::new();
    for entry in &first.entries {
        match entry.tag {
            tag::XMP => found.xmp = gathered.value(entry),
            tag::IPTC => found.iptc = gathered.value(entry),
            tag::ICC => found.icc = gathered.value(entry),
            number if DESCRIPTIVE.contains(&number) => fields.extend(gathered.field(entry)),
            _ => {}
        }
    }
    let mut others = Vec::new();
    let pointed = |directory: &super::super::tiff_outline::Directory, tag| {
        let entry = directory.entries.iter().find(|entry| entry.tag == tag)?;
        let at = usize::try_from(layout.value(entry, 0)?).ok()?;
        layout.directory(at)
    };
    for tag in [exif::tag::EXIF, exif::tag::GPS] {
        if let Some(directory) = pointed(&first, tag) {
            let inner = [exif::tag::INTEROPERABILITY];
            let entries = directory.entries.iter();
            let kept = entries.filter(|entry| !inner.contains(&entry.tag));
            others.push((
                tag,
                kept.filter_map(|entry| gathered.field(entry)).collect(),
            ));
        }
    }
    let says_something =
        !others.is_empty() || (fields.iter()).any(|field: &Field| !RESOLUTION.contains(&field.tag));
    let exif = Exif::build(layout.reader.is_big_endian(), fields, others)?;
    found.density = exif.density().filter(|density: &Density| density.x > 0.0);
    if says_something {
        found.exif = Some(exif.into_bytes());
    }
    Some(found)
}

/// What is kept without EXIF, too.
const RESOLUTION: [u16; 3] = [
    exif::tag::X_RESOLUTION,
    exif::tag::Y_RESOLUTION,
    exif::tag::RESOLUTION_UNIT,
];

/// Copies values out of a file, and no more bytes than it has, however often values overlap.
struct Gathered<'a> {
    bytes: &'a [u8],
    budget: usize,
}

impl Gathered<'_> {
    fn value(&mut self, entry: &Entry) -> Option<Vec<u8>> {
        let length = usize::try_from(entry.count).ok()?;
        let length = length.checked_mul(entry.value_size)?;
        self.budget = self.budget.checked_sub(length)?;
        let value = self.bytes.get(entry.at..entry.at.checked_add(length)?)?;
        Some(value.to_vec())
    }

    /// A field of classic TIFF; `None` for one of BigTIFF's own types.
    fn field(&mut self, entry: &Entry) -> Option<Field> {
        Some(Field {
            tag: entry.tag,
            kind: Some(entry.kind).filter(|kind| (1..=13).contains(kind))?,
            count: u32::try_from(entry.count).ok()?,
            value: self.value(entry)?,
        })
    }
}
