//! EXIF: a TIFF structure without pixels, changed in place or by appending.
//!
//! Makers' notes point to bytes by their distance from the start, in ways that only their makers know. So
//! nothing is ever moved: numbers are replaced where they stand, and a directory that grows is written again
//! at the end.

use super::super::origin::Density;
use super::super::tiff_outline::value_size;

/// Fields and values of EXIF 2.32 (CIPA DC-008).
pub(in super::super) mod tag {
    pub const IMAGE_WIDTH: u16 = 0x100;
    pub const IMAGE_LENGTH: u16 = 0x101;
    pub const STRIP_OFFSETS: u16 = 0x111;
    pub const ORIENTATION: u16 = 0x112;
    pub const STRIP_BYTE_COUNTS: u16 = 0x117;
    pub const X_RESOLUTION: u16 = 0x11A;
    pub const Y_RESOLUTION: u16 = 0x11B;
    pub const RESOLUTION_UNIT: u16 = 0x128;
    pub const THUMBNAIL_OFFSET: u16 = 0x201;
    pub const THUMBNAIL_LENGTH: u16 = 0x202;
    pub const EXIF: u16 = 0x8769;
    pub const GPS: u16 = 0x8825;
    pub const USER_COMMENT: u16 = 0x9286;
    pub const COLOR_SPACE: u16 = 0xA001;
    pub const PIXEL_X_DIMENSION: u16 = 0xA002;
    pub const PIXEL_Y_DIMENSION: u16 = 0xA003;
    pub const INTEROPERABILITY: u16 = 0xA005;
    pub const INTEROPERABILITY_INDEX: u16 = 1;
}

pub(in super::super) const SHORT: u16 = 3;
pub(in super::super) const LONG: u16 = 4;
pub(in super::super) const RATIONAL: u16 = 5;
pub(in super::super) const UNDEFINED: u16 = 7;

const INCH: u64 = 2;
const CENTIMETRE: u64 = 3;

/// Marks a comment as this program's.
const OURS: &str = "minkds: ";

/// A field of a directory.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) struct Field {
    pub tag: u16,
    pub kind: u16,
    pub count: u32,
    /// In the structure's byte order; empty if the file had them outside itself.
    pub value: Vec<u8>,
}

/// An EXIF structure whose first directory is whole.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) struct Exif {
    bytes: Vec<u8>,
    big_endian: bool,
}

/// Where the header points to the first directory.
const FIRST: usize = 4;

impl Exif {
    /// One without any fields.
    pub fn empty() -> Self {
        Self {
            bytes: b"II\x2A\0\x08\0\0\0\0\0\0\0\0\0".to_vec(),
            big_endian: false,
        }
    }

    /// `None` if it is damaged.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let exif = Self {
            bytes: bytes.to_vec(),
            big_endian: match bytes.get(..4)? {
                b"II\x2A\0" => false,
                b"MM\0\x2A" => true,
                _ => return None,
            },
        };
        exif.directory(FIRST)?;
        Some(exif)
    }

    /// A structure of the given byte order with these directories: the first one's fields, and those of the
    /// others by the tag that points to them.
    pub fn build(
        big_endian: bool,
        mut first: Vec<Field>,
        others: Vec<(u16, Vec<Field>)>,
    ) -> Option<Self> {
        let mut exif = Self::empty();
        if big_endian {
            exif.bytes[..8].copy_from_slice(b"MM\0\x2A\0\0\0\x08");
            exif.big_endian = true;
        }
        for (tag, fields) in others {
            let at = exif.append(Vec::new(), fields, 0)?;
            first.retain(|field| field.tag != tag);
            first.push(exif.long(tag, at));
        }
        let at = exif.append(Vec::new(), first, 0)?;
        exif.put(FIRST, 4, at);
        Some(exif)
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub fn is_big_endian(&self) -> bool {
        self.big_endian
    }

    /// The fields of the first directory.
    pub fn first(&self) -> Vec<Field> {
        self.directory(FIRST)
            .map(|directory| directory.fields())
            .unwrap_or_default()
    }

    /// 1 to 8, as EXIF counts.
    pub fn orientation(&self) -> Option<u8> {
        let value = self.number(FIRST, tag::ORIENTATION)?;
        (1..=8).contains(&value).then_some(value as u8)
    }

    pub fn density(&self) -> Option<Density> {
        let directory = self.directory(FIRST)?;
        let ratio = |tag| {
            let place = directory.find(tag)?;
            let [above, below] = [0, 4].map(|at| self.uint(place.at + at, 4));
            let ratio = above? as f64 / below? as f64;
            (place.kind == RATIONAL && ratio.is_finite() && ratio > 0.0).then_some(ratio)
        };
        let unit = self.number(FIRST, tag::RESOLUTION_UNIT).unwrap_or(INCH);
        let per_inch = match unit {
            INCH => 1.0,
            CENTIMETRE => 2.54,
            _ => return None,
        };
        Some(Density {
            x: ratio(tag::X_RESOLUTION)? * per_inch,
            y: ratio(tag::Y_RESOLUTION)? * per_inch,
        })
    }

    /// Whether a camera says, in the way of DCF 2.0, that colours are Adobe RGB.
    pub fn is_adobe_rgb(&self) -> bool {
        const UNCALIBRATED: u64 = 0xFFFF;
        let says = || {
            let exif = self.pointer(FIRST, tag::EXIF)?;
            let uncalibrated = self.number(exif, tag::COLOR_SPACE)? == UNCALIBRATED;
            let interoperability = self.pointer(exif, tag::INTEROPERABILITY)?;
            let directory = self.directory(interoperability)?;
            let place = directory.find(tag::INTEROPERABILITY_INDEX)?;
            let is_r03 = self.bytes.get(place.at..place.at + 3)? == b"R03";
            Some(uncalibrated && is_r03)
        };
        says().unwrap_or(false)
    }

    /// The text that [`Exif::set_comment`] wrote.
    pub fn our_comment(&self) -> Option<String> {
        let exif = self.pointer(FIRST, tag::EXIF)?;
        let text = self.comment(exif)?;
        text.strip_prefix(OURS).map(str::to_string)
    }

    fn comment(&self, exif: usize) -> Option<String> {
        let directory = self.directory(exif)?;
        let place = directory.find(tag::USER_COMMENT)?;
        let value = self
            .bytes
            .get(place.at..place.at.checked_add(place.length)?)?;
        let (code, text) = value.split_at_checked(8)?;
        let text = if code == b"UNICODE\0" {
            let (pairs, _) = text.as_chunks::<2>();
            let unit = |pair: &[u8; 2]| match self.big_endian {
                true => u16::from_be_bytes(*pair),
                false => u16::from_le_bytes(*pair),
            };
            let units: Vec<u16> = pairs.iter().map(unit).collect();
            String::from_utf16_lossy(&units)
        } else {
            String::from_utf8_lossy(text).into_owned()
        };
        Some(text.trim_matches(['\0', ' ']).to_string())
    }

    /// Says that the picture stands upright and has this size, where the structure says something of it.
    pub fn set_size(&mut self, width: u32, height: u32) {
        let exif = self.pointer(FIRST, tag::EXIF);
        for (directory, tag, value) in [
            (Some(FIRST), tag::ORIENTATION, 1),
            (Some(FIRST), tag::IMAGE_WIDTH, width),
            (Some(FIRST), tag::IMAGE_LENGTH, height),
            (exif, tag::PIXEL_X_DIMENSION, width),
            (exif, tag::PIXEL_Y_DIMENSION, height),
        ] {
            let place = directory
                .and_then(|at| self.directory(at))
                .and_then(|directory| directory.find(tag));
            let Some(place) = place.filter(|place| place.count == 1) else {
                continue;
            };
            if place.kind == SHORT && value <= u32::from(u16::MAX) {
                self.put(place.at, 2, value);
            } else if matches!(place.kind, SHORT | LONG) {
                self.put(place.entry + 2, 2, u32::from(LONG));
                self.put(place.entry + 8, 4, value);
            }
        }
    }

    /// Drops the directory of the thumbnail, and its pixels where nothing else lies.
    pub fn drop_thumbnail(&mut self) {
        let Some(first) = self.directory(FIRST) else {
            return;
        };
        if first.next == 0 {
            return;
        }
        let next_field = first.end;
        let thumbnail = self.directory(next_field);
        if let Some((start, end)) = thumbnail.map(|thumbnail| (thumbnail.start, thumbnail.end)) {
            let ranges = [
                (tag::THUMBNAIL_OFFSET, tag::THUMBNAIL_LENGTH),
                (tag::STRIP_OFFSETS, tag::STRIP_BYTE_COUNTS),
            ]
            .map(|(start, length)| {
                self.number(next_field, start)
                    .zip(self.number(next_field, length))
            });
            for (start, length) in ranges.into_iter().flatten() {
                self.blank(start as usize, length as usize);
            }
            self.blank(start, end + 4 - start);
        }
        self.put(next_field, 4, 0);
    }

    /// Overwrites bytes with zeros, or cuts them off at the end, unless something else lies there.
    fn blank(&mut self, start: usize, length: usize) {
        let end = start.saturating_add(length).min(self.bytes.len());
        let used = self.used();
        if start >= end || used.iter().any(|used| used.start < end && start < used.end) {
            return;
        }
        if end == self.bytes.len() {
            self.bytes.truncate(start);
        } else {
            self.bytes[start..end].fill(0);
        }
    }

    /// What the header, the directories but the thumbnail's, and their values take.
    fn used(&self) -> Vec<std::ops::Range<usize>> {
        let exif = self.pointer(FIRST, tag::EXIF);
        let directories = [
            Some(FIRST),
            exif,
            self.pointer(FIRST, tag::GPS),
            exif.and_then(|exif| self.pointer(exif, tag::INTEROPERABILITY)),
        ];
        let mut used = Vec::new();
        used.push(0..8);
        for directory in directories.into_iter().flatten() {
            if let Some(directory) = self.directory(directory) {
                used.push(directory.start..directory.end + 4);
                let places = directory.places.iter();
                used.extend(places.map(|place| place.at..place.at.saturating_add(place.length)));
            }
        }
        used
    }

    /// Adds the resolution, if there is none.
    pub fn add_density(&mut self, density: Density) {
        if self.density().is_none() {
            let ratio = |value: f64| [(value * 1000.0).round() as u32, 1000];
            let fields = vec![
                self.longs(tag::X_RESOLUTION, RATIONAL, &ratio(density.x)),
                self.longs(tag::Y_RESOLUTION, RATIONAL, &ratio(density.y)),
                self.short(tag::RESOLUTION_UNIT, INCH as u16),
            ];
            self.set(FIRST, fields);
        }
    }

    /// Writes `text` as the comment, unless there is somebody else's.
    pub fn set_comment(&mut self, text: &str) {
        let old = self.pointer(FIRST, tag::EXIF);
        let theirs = old.and_then(|exif| self.comment(exif));
        if theirs.is_some_and(|text| !text.is_empty() && !text.starts_with(OURS)) {
            return;
        }
        let text = format!("{OURS}{text}");
        let value = if text.is_ascii() {
            [b"ASCII\0\0\0", text.as_bytes()].concat()
        } else {
            let units = text.encode_utf16().flat_map(|unit| match self.big_endian {
                true => unit.to_be_bytes(),
                false => unit.to_le_bytes(),
            });
            b"UNICODE\0".iter().copied().chain(units).collect()
        };
        let comment = Field {
            tag: tag::USER_COMMENT,
            kind: UNDEFINED,
            count: value.len() as u32,
            value,
        };
        match old {
            Some(exif) => self.set(exif, vec![comment]),
            None => {
                if let Some(at) = self.append(Vec::new(), vec![comment], 0) {
                    let pointer = self.long(tag::EXIF, at);
                    self.set(FIRST, vec![pointer]);
                }
            }
        }
    }

    /// Blanks the comment, if it is this program's.
    pub fn clear_comment(&mut self) {
        if self.our_comment().is_none() {
            return;
        }
        let exif = self.pointer(FIRST, tag::EXIF);
        let directory = exif.and_then(|exif| self.directory(exif));
        let place = directory.and_then(|directory| directory.find(tag::USER_COMMENT));
        let text = place.and_then(|place| self.bytes.get_mut(place.at..place.at + place.length));
        text.into_iter().for_each(|text| text.fill(0));
    }

    pub fn short(&self, tag: u16, value: u16) -> Field {
        self.shorts(tag, &[value])
    }

    pub fn shorts(&self, tag: u16, values: &[u16]) -> Field {
        Field {
            tag,
            kind: SHORT,
            count: values.len() as u32,
            value: values
                .iter()
                .flat_map(|value| match self.big_endian {
                    true => value.to_be_bytes(),
                    false => value.to_le_bytes(),
                })
                .collect(),
        }
    }

    pub fn long(&self, tag: u16, value: u32) -> Field {
        self.longs(tag, LONG, &[value])
    }

    /// `kind` is [`LONG`] or [`RATIONAL`], two of whose values make one.
    pub fn longs(&self, tag: u16, kind: u16, values: &[u32]) -> Field {
        Field {
            tag,
            kind,
            count: (values.len() * 4 / value_size(kind).max(1)) as u32,
            value: values
                .iter()
                .flat_map(|value| match self.big_endian {
                    true => value.to_be_bytes(),
                    false => value.to_le_bytes(),
                })
                .collect(),
        }
    }

    /// A directory as it is to be appended to a file that begins with this structure and is `end` bytes long:
    /// the bytes, and where in the file the directory lies.
    pub fn directory_at(&self, fields: Vec<Field>, end: usize) -> Option<(Vec<u8>, u32)> {
        let mut appended = Appended {
            bytes: Vec::new(),
            start: end,
            big_endian: self.big_endian,
        };
        let at = appended.directory(Vec::new(), fields, 0)?;
        Some((appended.bytes, at))
    }

    /// Writes the directory that `pointer` points to again, with these fields added or replaced.
    fn set(&mut self, pointer: usize, fields: Vec<Field>) {
        let Some(old) = self.directory(pointer) else {
            return;
        };
        let next = old.next;
        let mut entries: Vec<(u16, [u8; 12])> = Vec::new();
        for place in &old.places {
            let entry = self.bytes.get(place.entry..place.entry + 12);
            if let Some(entry) = entry.and_then(|entry| entry.try_into().ok())
                && !fields.iter().any(|field| field.tag == place.tag)
            {
                entries.push((place.tag, entry));
            }
        }
        if let Some(at) = self.append(entries, fields, next) {
            self.put(pointer, 4, at);
        }
    }

    /// Appends a directory: where it lies.
    fn append(
        &mut self,
        entries: Vec<(u16, [u8; 12])>,
        fields: Vec<Field>,
        next: u32,
    ) -> Option<u32> {
        let mut appended = Appended {
            bytes: Vec::new(),
            start: self.bytes.len(),
            big_endian: self.big_endian,
        };
        let at = appended.directory(entries, fields, next)?;
        self.bytes.extend(appended.bytes);
        Some(at)
    }

    /// The single whole number of a field.
    fn number(&self, pointer: usize, tag: u16) -> Option<u64> {
        let place = self.directory(pointer)?.find(tag)?;
        match (place.kind, place.count) {
            (SHORT, 1) => self.uint(place.at, 2),
            (LONG, 1) => self.uint(place.at, 4),
            _ => None,
        }
    }

    /// Where the field lies that points to another directory.
    fn pointer(&self, pointer: usize, tag: u16) -> Option<usize> {
        let place = self.directory(pointer)?.find(tag)?;
        (place.kind == LONG && place.count == 1 && self.directory(place.at).is_some())
            .then_some(place.at)
    }

    /// The directory that the number at `pointer` points to; `None` if it is not whole.
    fn directory(&self, pointer: usize) -> Option<Directory<'_>> {
        let start = self.uint(pointer, 4)? as usize;
        let count = self.uint(start, 2)? as usize;
        let end = start + 2 + 12 * count;
        // Some writers leave out the pointer to the next directory at the end of the data.
        let next = self.uint(end, 4).unwrap_or(0) as u32;
        if end > self.bytes.len() {
            return None;
        }
        let place = |entry: usize| {
            let kind = self.uint(entry + 2, 2)? as u16;
            let count = self.uint(entry + 4, 4)?;
            let length = usize::try_from(count).ok()?.checked_mul(value_size(kind))?;
            let at = match length {
                0..=4 => entry + 8,
                _ => self.uint(entry + 8, 4)? as usize,
            };
            Some(Place {
                tag: self.uint(entry, 2)? as u16,
                kind,
                count,
                entry,
                at,
                length,
            })
        };
        Some(Directory {
            exif: self,
            start,
            end,
            next,
            places: (start + 2..end).step_by(12).filter_map(place).collect(),
        })
    }

    fn uint(&self, at: usize, size: usize) -> Option<u64> {
        let bytes = self.bytes.get(at..at.checked_add(size)?)?;
        let push = |number: u64, &byte: &u8| number << 8 | u64::from(byte);
        Some(match self.big_endian {
            true => bytes.iter().fold(0, push),
            false => bytes.iter().rev().fold(0, push),
        })
    }

    fn put(&mut self, at: usize, size: usize, value: u32) {
        let value = self.number_bytes(value, size);
        if let Some(place) = self.bytes.get_mut(at..at + size) {
            place.copy_from_slice(&value);
        }
    }

    fn number_bytes(&self, value: u32, size: usize) -> Vec<u8> {
        number_bytes(self.big_endian, value, size)
    }
}

fn number_bytes(big_endian: bool, value: u32, size: usize) -> Vec<u8> {
    match big_endian {
        true => value.to_be_bytes()[4 - size..].to_vec(),
        false => value.to_le_bytes()[..size].to_vec(),
    }
}

/// Bytes that follow others.
struct Appended {
    bytes: Vec<u8>,
    /// How many come before them.
    start: usize,
    big_endian: bool,
}

impl Appended {
    /// A directory of `entries` as they stand and of `fields`: where it lies.
    fn directory(
        &mut self,
        mut entries: Vec<(u16, [u8; 12])>,
        fields: Vec<Field>,
        next: u32,
    ) -> Option<u32> {
        for field in fields {
            let mut value = field.value;
            if value.len() > 4 {
                let at = self.end()?;
                self.bytes.extend(value);
                value = self.number(at, 4);
            }
            value.resize(4, 0);
            let mut entry = self.number(u32::from(field.tag), 2);
            entry.extend(self.number(u32::from(field.kind), 2));
            entry.extend(self.number(field.count, 4));
            entry.extend(value);
            entries.push((field.tag, entry.try_into().ok()?));
        }
        entries.sort();
        let at = self.end()?;
        let count = u16::try_from(entries.len()).ok()?;
        let count = self.number(u32::from(count), 2);
        self.bytes.extend(count);
        self.bytes
            .extend(entries.iter().flat_map(|(_, entry)| entry));
        let next = self.number(next, 4);
        self.bytes.extend(next);
        Some(at)
    }

    /// Where the next thing is appended: at an even place.
    fn end(&mut self) -> Option<u32> {
        if !(self.start + self.bytes.len()).is_multiple_of(2) {
            self.bytes.push(0);
        }
        u32::try_from(self.start + self.bytes.len()).ok()
    }

    fn number(&self, value: u32, size: usize) -> Vec<u8> {
        number_bytes(self.big_endian, value, size)
    }
}

/// A directory, and where its things lie.
struct Directory<'a> {
    exif: &'a Exif,
    start: usize,
    /// Past the last entry; there stands where the next directory lies.
    end: usize,
    next: u32,
    places: Vec<Place>,
}

#[derive(Clone, Copy)]
struct Place {
    tag: u16,
    kind: u16,
    count: u64,
    entry: usize,
    /// Where the value lies; perhaps outside.
    at: usize,
    /// Bytes of the value.
    length: usize,
}

impl Directory<'_> {
    fn find(&self, tag: u16) -> Option<Place> {
        self.places.iter().find(|place| place.tag == tag).copied()
    }

    fn fields(&self) -> Vec<Field> {
        // Values may overlap, and then copies of them could take far more room than they do.
        let mut budget = self.exif.bytes.len();
        let field = |place: &Place| {
            let end = place.at.checked_add(place.length)?;
            let value = self.exif.bytes.get(place.at..end)?;
            budget = budget.checked_sub(place.length)?;
            Some(Field {
                tag: place.tag,
                kind: place.kind,
                count: place.count as u32,
                value: value.to_vec(),
            })
        };
        self.places.iter().filter_map(field).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAKER_NOTE: u16 = 0x927C;

    /// A camera's: orientation, a note that points into itself from the start of all, sizes, a thumbnail at the end.
    fn of_a_camera(big_endian: bool, comment: &[u8]) -> Exif {
        let empty = Exif {
            big_endian,
            ..Exif::empty()
        };
        let field = |tag, kind, value: &[u8]| Field {
            tag,
            kind,
            count: value.len() as u32,
            value: value.to_vec(),
        };
        let inner = vec![
            field(MAKER_NOTE, UNDEFINED, b"a note of the maker's, 31 bytes"),
            field(tag::USER_COMMENT, UNDEFINED, comment),
            empty.short(tag::PIXEL_X_DIMENSION, 30),
            empty.long(tag::PIXEL_Y_DIMENSION, 20),
        ];
        let first = vec![
            field(0x10F, 2, b"A maker\0"),
            empty.short(tag::ORIENTATION, 6),
        ];
        let mut exif = Exif::build(big_endian, first, vec![(tag::EXIF, inner)]).unwrap();
        let pixels = exif.bytes.len() as u32 + 2 + 2 * 12 + 4;
        let thumbnail = vec![
            exif.long(tag::THUMBNAIL_OFFSET, pixels),
            exif.long(tag::THUMBNAIL_LENGTH, 100),
        ];
        let at = exif.append(Vec::new(), thumbnail, 0).unwrap();
        exif.bytes.extend([0xAB; 100]);
        let next = exif.directory(FIRST).unwrap().end;
        exif.put(next, 4, at);
        exif
    }

    fn inner(exif: &Exif, tag: u16) -> Vec<u8> {
        let pointer = exif.pointer(FIRST, tag::EXIF).unwrap();
        let place = exif.directory(pointer).unwrap().find(tag).unwrap();
        exif.bytes[place.at..place.at + place.length].to_vec()
    }

    #[test]
    fn what_changes_changes_in_place_and_nothing_moves() {
        for big_endian in [false, true] {
            let before = of_a_camera(big_endian, b"ASCII\0\0\0   ");
            let mut exif = before.clone();
            assert_eq!(exif.orientation(), Some(6));
            exif.drop_thumbnail();
            assert!(!exif.bytes.contains(&0xAB), "pixels of the thumbnail stay");
            exif.set_size(120, 70_000);
            assert_eq!(exif.orientation(), Some(1));
            assert_eq!(inner(&exif, tag::PIXEL_X_DIMENSION).len(), 2);
            let pointer = exif.pointer(FIRST, tag::EXIF).unwrap();
            let number = |exif: &Exif, tag| exif.number(pointer, tag);
            assert_eq!(number(&exif, tag::PIXEL_X_DIMENSION), Some(120));
            assert_eq!(number(&exif, tag::PIXEL_Y_DIMENSION), Some(70_000));
            // A short number becomes a long one where it has to.
            exif.set_size(80_000, 5);
            assert_eq!(number(&exif, tag::PIXEL_X_DIMENSION), Some(80_000));

            exif.set_comment("made");
            assert_eq!(exif.our_comment().as_deref(), Some("made"));
            exif.set_comment("made – again");
            assert_eq!(exif.our_comment().as_deref(), Some("made – again"));
            // The note is where it was, and what the new directory says of it is what the old one said.
            let note = |exif: &Exif| {
                let pointer = exif.pointer(FIRST, tag::EXIF).unwrap();
                exif.directory(pointer)
                    .unwrap()
                    .find(MAKER_NOTE)
                    .unwrap()
                    .at
            };
            assert_eq!(note(&exif), note(&before));
            assert_eq!(inner(&exif, MAKER_NOTE), inner(&before, MAKER_NOTE));
            assert!(Exif::parse(exif.bytes()).is_some());
        }
    }

    #[test]
    fn a_persons_comment_stays() {
        let mut exif = of_a_camera(false, b"ASCII\0\0\0at the lake");
        exif.set_comment("made");
        assert_eq!(exif.our_comment(), None);
        assert_eq!(inner(&exif, tag::USER_COMMENT), b"ASCII\0\0\0at the lake");
    }

    #[test]
    fn a_thumbnail_that_claims_other_bytes_takes_none_of_them() {
        let mut exif = of_a_camera(false, b"");
        let next = exif.directory(FIRST).unwrap().end;
        let place = exif.directory(next).unwrap().find(tag::THUMBNAIL_OFFSET);
        exif.put(place.unwrap().at, 4, 0);
        let note = inner(&exif, MAKER_NOTE);
        exif.drop_thumbnail();
        assert_eq!(inner(&exif, MAKER_NOTE), note);
        assert!(exif.directory(next).is_none());
    }

    #[test]
    fn adobe_rgb_is_known_as_cameras_say_it() {
        let empty = Exif::empty();
        let with = |index: &[u8], space: u16| {
            let index = Field {
                tag: tag::INTEROPERABILITY_INDEX,
                kind: 2,
                count: 4,
                value: index.to_vec(),
            };
            let mut exif = Exif::build(
                false,
                Vec::new(),
                vec![(tag::EXIF, vec![empty.short(tag::COLOR_SPACE, space)])],
            )
            .unwrap();
            let at = exif.append(Vec::new(), vec![index], 0).unwrap();
            let pointer = exif.pointer(FIRST, tag::EXIF).unwrap();
            let field = exif.long(tag::INTEROPERABILITY, at);
            exif.set(pointer, vec![field]);
            exif
        };
        assert!(with(b"R03\0", 0xFFFF).is_adobe_rgb());
        assert!(!with(b"R98\0", 0xFFFF).is_adobe_rgb());
        assert!(!with(b"R03\0", 1).is_adobe_rgb());
    }
}
