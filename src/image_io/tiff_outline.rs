//! The structure of TIFF files: a chain of directories, one a page, which point to all other data.

use super::container::{Outline, Reader};

/// Enough for any document; a longer chain is most likely a loop.
const MAX_PAGES: usize = 4096;

const WIDTH: u16 = 256;
const HEIGHT: u16 = 257;
const STRIP_OFFSETS: u16 = 273;
const STRIP_BYTE_COUNTS: u16 = 279;
const TILE_OFFSETS: u16 = 324;
const TILE_BYTE_COUNTS: u16 = 325;
const EXTRA_SAMPLES: u16 = 338;
/// Value of [`EXTRA_SAMPLES`]: the extra sample is alpha and the colours are multiplied by it.
const ASSOCIATED_ALPHA: u64 = 1;
const SAMPLE_FORMAT: u16 = 339;
/// Value of [`SAMPLE_FORMAT`].
const FLOATING_POINT: u64 = 3;

/// Walks through every page; `None` if anything that a directory points to lies past the end of the
/// file.
pub(super) fn walk(bytes: &[u8]) -> Option<Outline> {
    let layout = Layout::of(bytes)?;
    let mut outline = Outline::default();
    let mut at = layout
        .reader
        .uint(layout.first_directory, layout.offset_size)?;
    while at != 0 && outline.pages < MAX_PAGES {
        let directory = layout.directory(usize::try_from(at).ok()?)?;
        if !layout.pixels_are_there(&directory) {
            return None;
        }
        if outline.pages == 0 {
            let first = |tag| {
                let entry = directory.entries.iter().find(|entry| entry.tag == tag)?;
                layout.value(entry, 0)
            };
            outline.size = first(WIDTH).zip(first(HEIGHT)).map(|(width, height)| {
                // More than 32 bits are absurd either way.
                let side = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
                (side(width), side(height))
            });
            outline.premultiplied = first(EXTRA_SAMPLES) == Some(ASSOCIATED_ALPHA);
            outline.floating_point = first(SAMPLE_FORMAT) == Some(FLOATING_POINT);
        }
        outline.pages += 1;
        at = directory.next;
    }
    Some(outline)
}

/// How the first page stores colours, as far as it says so in whole numbers.
pub(super) struct FirstPage {
    pub photometric: Option<u64>,
    /// Where in the file the photometric interpretation lies, a number of 16 bits.
    pub photometric_at: Option<usize>,
    pub samples: Option<u64>,
    /// All reds, greens and blues, 16 bits each.
    pub palette: Option<Vec<u16>>,
}

/// `None` for a file without a whole first directory.
pub(super) fn first_page(bytes: &[u8]) -> Option<FirstPage> {
    const PHOTOMETRIC: u16 = 262;
    const SAMPLES_PER_PIXEL: u16 = 277;
    const COLOR_MAP: u16 = 320;
    const SHORT: u16 = 3;
    /// As many colours as 16 bits have.
    const MOST: u64 = 3 << 16;
    let layout = Layout::of(bytes)?;
    let start = layout
        .reader
        .uint(layout.first_directory, layout.offset_size)?;
    let directory = layout.directory(usize::try_from(start).ok()?)?;
    let find = |tag| directory.entries.iter().find(|entry| entry.tag == tag);
    let number = |tag| layout.value(find(tag)?, 0);
    let is_short = |entry: &&Entry| entry.kind == SHORT;
    let map = find(COLOR_MAP).filter(|entry| is_short(entry) && entry.count <= MOST);
    let colours = |entry: &Entry| {
        let values = (0..entry.count).map(|i| layout.value(entry, i).map(|value| value as u16));
        values.collect()
    };
    Some(FirstPage {
        photometric: number(PHOTOMETRIC),
        photometric_at: find(PHOTOMETRIC).filter(is_short).map(|entry| entry.at),
        samples: number(SAMPLES_PER_PIXEL),
        palette: map.and_then(colours),
    })
}

/// Bytes of one value of a field's type.
pub(super) fn value_size(kind: u16) -> usize {
    match kind {
        1 | 2 | 6 | 7 => 1,
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        5 | 10 | 12 | 16..=18 => 8,
        // Readers must skip fields of unknown types.
        _ => 0,
    }
}

/// Byte order and field sizes: classic TIFF counts and points with 32 bits, BigTIFF with 64.
pub(super) struct Layout<'a> {
    pub reader: Reader<'a>,
    /// Where the file header points to the first directory.
    pub first_directory: usize,
    /// Bytes of a pointer and of a count of values.
    pub offset_size: usize,
    /// Bytes of a directory's count of entries.
    entry_count_size: usize,
}

pub(super) struct Directory {
    pub entries: Vec<Entry>,
    next: u64,
}

pub(super) struct Entry {
    pub tag: u16,
    /// The number of the values' type.
    pub kind: u16,
    /// Bytes of one value.
    pub value_size: usize,
    pub count: u64,
    /// Where the first value lies.
    pub at: usize,
}

impl<'a> Layout<'a> {
    pub fn of(bytes: &'a [u8]) -> Option<Self> {
        let reader = match bytes.first()? {
            b'I' => Reader::little(bytes),
            _ => Reader::big(bytes),
        };
        Some(match reader.u16(2)? {
            43 => Self {
                reader,
                first_directory: 8,
                offset_size: 8,
                entry_count_size: 8,
            },
            _ => Self {
                reader,
                first_directory: 4,
                offset_size: 4,
                entry_count_size: 2,
            },
        })
    }

    pub fn directory(&self, at: usize) -> Option<Directory> {
        let count = self.reader.uint(at, self.entry_count_size)?;
        let entry_size = 4 + 2 * self.offset_size;
        let first = at.checked_add(self.entry_count_size)?;
        let length = usize::try_from(count).ok()?.checked_mul(entry_size)?;
        let end = first.checked_add(length)?;
        let next = self.reader.uint(end, self.offset_size)?;
        let entries = (first..end)
            .step_by(entry_size)
            .map(|at| self.entry(at))
            .collect::<Option<_>>()?;
        Some(Directory { entries, next })
    }

    fn entry(&self, at: usize) -> Option<Entry> {
        let kind = self.reader.u16(at + 2)?;
        let value_size = value_size(kind);
        let count = self.reader.uint(at + 4, self.offset_size)?;
        // Values lie in the entry itself if they fit there.
        let mut values_at = at + 4 + self.offset_size;
        let length = count.saturating_mul(value_size as u64);
        if length > self.offset_size as u64 {
            values_at = usize::try_from(self.reader.uint(values_at, self.offset_size)?).ok()?;
        }
        let there = self.reader.covers(values_at as u64, length);
        there.then_some(Entry {
            tag: self.reader.u16(at)?,
            kind,
            value_size,
            count,
            at: values_at,
        })
    }

    pub fn value(&self, entry: &Entry, index: u64) -> Option<u64> {
        let index = usize::try_from(index).ok()?;
        (entry.value_size > 0).then(|| {
            self.reader
                .uint(entry.at + index * entry.value_size, entry.value_size)
        })?
    }

    /// Whether every strip and tile of a page lies inside the file.
    fn pixels_are_there(&self, directory: &Directory) -> bool {
        let find = |tag| directory.entries.iter().find(|entry| entry.tag == tag);
        [
            (STRIP_OFFSETS, STRIP_BYTE_COUNTS),
            (TILE_OFFSETS, TILE_BYTE_COUNTS),
        ]
        .into_iter()
        .all(|(offsets, lengths)| {
            // A page without them is for the decoder to complain about.
            let (Some(offsets), Some(lengths)) = (find(offsets), find(lengths)) else {
                return true;
            };
            (0..offsets.count.min(lengths.count)).all(|index| {
                match (self.value(offsets, index), self.value(lengths, index)) {
                    (Some(offset), Some(length)) => self.reader.covers(offset, length),
                    _ => true,
                }
            })
        })
    }
}
