//! What is drawn of a picture: tiles of its mip pyramid, of which only those that are seen are textures.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use eframe::egui::{
    Color32, ColorImage, Context, Painter, Rangef, Rect, Shape, TextureHandle, TextureId,
    TextureOptions,
};

use super::raster::{Raster, halved};
use crate::image_io::resize::{Filter, enlarge_x4_part};
use crate::model::SCALE;

/// Pixels along a side of a tile.
const TILE: usize = 512;

/// Pixels of its neighbours that a tile's texture has on every side: what linear filtering blends with at
/// the tile's edge, so that no seam shows.
const APRON: usize = 1;

/// More textures than this are kept only if the last frame drew them.
const MOST_RESIDENT: usize = 384;

/// How many textures a frame may make by itself.
const PER_FRAME: usize = 8;

/// Enlarged more than this, pixels are shown as squares.
const SQUARES_ABOVE: f64 = 2.0;

/// How far, of 1, a scale may be off a round one by rounding.
const ROUNDING: f64 = 1e-3;

/// The levels of an enlargement that the input does not have: 4x and 2x.
const LEVELS_ADDED: usize = SCALE.ilog2() as usize;

/// A difference to a picture with no side longer than this is computed at once.
const QUICK_SIDE: usize = 512;

/// What can be drawn.
#[derive(Clone)]
pub enum Source {
    /// A picture as it is.
    Picture(Arc<Raster>),
    /// The plain enlargement of the input, made tile by tile when seen.
    Enlarged(Arc<Raster>, Filter),
    /// How much two pictures differ, per channel: opaque, and black where they do not.
    Difference {
        of: Arc<Raster>,
        from: Box<Source>,
        /// Where `of` lies within `from`: left and top, in pixels of `from`.
        at: [usize; 2],
        /// What the difference is multiplied by.
        gain: f32,
    },
}

impl Source {
    /// Width and height, in pixels of the output.
    pub fn size(&self) -> [usize; 2] {
        match self {
            Source::Picture(raster) | Source::Difference { of: raster, .. } => raster.size(),
            Source::Enlarged(input, _) => input.size().map(|side| side * SCALE),
        }
    }

    /// How many levels its mip pyramid has.
    pub fn levels(&self) -> usize {
        match self {
            Source::Picture(raster) => raster.levels(),
            Source::Enlarged(input, _) => input.levels() + LEVELS_ADDED,
            Source::Difference { of, from, .. } => of.levels().min(from.levels()),
        }
    }

    /// A rectangle of a level, row by row; outside the picture, its edges are repeated.
    ///
    /// # Panics
    /// If there is no such level.
    pub fn pixels(
        &self,
        level: usize,
        left: isize,
        top: isize,
        columns: usize,
        rows: usize,
    ) -> Vec<[u8; 4]> {
        let [width, height] = level_size(self.size(), level);
        let (across, down) = (inside(left, columns, width), inside(top, rows, height));
        let part = self.part(level, across.clone(), down.clone());
        let starts = [across.start as isize, down.start as isize];
        if (starts, across.len(), down.len()) == ([left, top], columns, rows) {
            return part;
        }
        let mut pixels = Vec::with_capacity(columns * rows);
        for y in (top..).take(rows) {
            let row = &part[offset(y, &down) * across.len()..][..across.len()];
            pixels.extend((left..).take(columns).map(|x| row[offset(x, &across)]));
        }
        pixels
    }

    /// A rectangle that lies within a level.
    fn part(&self, level: usize, across: Range<usize>, down: Range<usize>) -> Vec<[u8; 4]> {
        match self {
            Source::Picture(raster) => cut(raster, level, across, down),
            Source::Enlarged(input, _) if level >= LEVELS_ADDED => {
                cut(input, level - LEVELS_ADDED, across, down)
            }
            Source::Enlarged(input, filter) => {
                let [width, height] = input.size();
                let at = [across.start, down.start].map(|start| (start << level) as isize);
                let mut size = [across.len(), down.len()].map(|side| side << level);
                let mut part = enlarge_x4_part(input.pixels(), width, height, *filter, at, size);
                for _ in 0..level {
                    part = halved(&part, size[0], size[1]);
                    size = size.map(|side| side / 2);
                }
                part
            }
            Source::Difference { of, from, at, gain } => {
                let left = (at[0] >> level) + across.start;
                let top = (at[1] >> level) + down.start;
                let (columns, rows) = (across.len(), down.len());
                let other = from.pixels(level, left as isize, top as isize, columns, rows);
                cut(of, level, across, down)
                    .into_iter()
                    .zip(other)
                    .map(|(one, other)| difference(one, other, *gain))
                    .collect()
            }
        }
    }

    /// The same for equal sources, and for no others.
    pub fn key(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }

    /// Whether a tile of a level takes no longer than a frame may.
    fn is_quick(&self, level: usize) -> bool {
        let quick = match self {
            Source::Picture(_) => true,
            Source::Enlarged(..) => level >= LEVELS_ADDED,
            Source::Difference { of, .. } => of.size().iter().all(|side| *side <= QUICK_SIDE),
        };
        // The last level is a single small tile.
        quick || level + 1 == self.levels()
    }
}

impl Hash for Source {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::mem::discriminant(self).hash(state);
        match self {
            Source::Picture(raster) => raster.id().hash(state),
            Source::Enlarged(input, filter) => (input.id(), filter).hash(state),
            Source::Difference { of, from, at, gain } => {
                (of.id(), from, at, gain.to_bits()).hash(state);
            }
        }
    }
}

/// Width and height of a level of a picture.
fn level_size(size: [usize; 2], level: usize) -> [usize; 2] {
    size.map(|side| side.div_ceil(1 << level))
}

/// What of `count` pixels from `start` on lies within a row of this length; at least the nearest pixel.
fn inside(start: isize, count: usize, length: usize) -> Range<usize> {
    let first = start.clamp(0, length as isize - 1) as usize;
    let end = start.saturating_add_unsigned(count).max(0) as usize;
    first..end.clamp(first + 1, length)
}

/// How far into the range the pixel nearest to `i` lies.
fn offset(i: isize, range: &Range<usize>) -> usize {
    (i.max(range.start as isize) as usize).min(range.end - 1) - range.start
}

fn cut(raster: &Raster, level: usize, across: Range<usize>, down: Range<usize>) -> Vec<[u8; 4]> {
    let (pixels, width, _) = raster.level(level);
    let mut part = Vec::with_capacity(across.len() * down.len());
    for row in pixels[down.start * width..down.end * width].chunks_exact(width) {
        part.extend_from_slice(&row[across.clone()]);
    }
    part
}

fn difference(one: [u8; 4], other: [u8; 4], gain: f32) -> [u8; 4] {
    // The conversion clamps to 0..=255.
    let [r, g, b] = [0, 1, 2].map(|channel| {
        let apart = one[channel].abs_diff(other[channel]);
        (f32::from(apart) * gain + 0.5) as u8
    });
    [r, g, b, u8::MAX]
}

/// What is known of a tile by its texture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    source: u64,
    level: usize,
    /// Column and row of the tile in its level.
    at: [usize; 2],
    /// Its pixels are shown as squares.
    squares: bool,
}

impl Key {
    /// The tile of a coarser level that covers this one.
    fn coarser(self, levels: usize) -> Self {
        Key {
            level: self.level + levels,
            at: self.at.map(|i| i >> levels),
            squares: false,
            ..self
        }
    }

    /// What its texture holds: the pixels of the tile and its apron.
    fn image(self, source: &Source) -> ColorImage {
        let size = level_size(source.size(), self.level);
        let [left, top] = self.at.map(|i| (i * TILE) as isize - APRON as isize);
        let [columns, rows] = [0, 1].map(|axis| texels(self.at[axis], size[axis]));
        let pixels = source.pixels(self.level, left, top, columns, rows);
        ColorImage::from_rgba_unmultiplied([columns, rows], pixels.as_flattened())
    }

    fn options(self) -> TextureOptions {
        if self.squares {
            TextureOptions::NEAREST
        } else {
            TextureOptions::LINEAR
        }
    }
}

/// The length of the texture of tile `i` along an axis on which its level has `length` pixels.
fn texels(i: usize, length: usize) -> usize {
    TILE.min(length - i * TILE) + 2 * APRON
}

/// The level of which a pixel covers half a pixel of the screen to a whole one; level 0 if there is none.
/// `scale` is in pixels of the screen per pixel of level 0.
fn level_for(scale: f64, levels: usize) -> usize {
    let level = ((1.0 + ROUNDING) / scale).log2().max(0.0) as usize;
    level.min(levels - 1)
}

/// Which tiles of a level are seen through `clip` along one axis, when `length` pixels of level 0 fill
/// `place`.
fn tiles_seen(clip: Rangef, place: Rangef, length: usize, level: usize) -> Range<usize> {
    let scale = f64::from(place.span()) / length as f64;
    let pixel = |point: f32| (f64::from(point) - f64::from(place.min)) / scale;
    let (start, end) = (pixel(clip.min).max(0.0), pixel(clip.max).min(length as f64));
    if start < end {
        let span = (TILE << level) as f64;
        (start / span) as usize..(end / span).ceil() as usize
    } else {
        0..0
    }
}

/// Where tile `tile` of level `level` lies on the screen along one axis, and which part of the texture of
/// tile `drawn` (of its own level and index) belongs there.
fn placed(
    (level, i): (usize, usize),
    (drawn_level, drawn_i): (usize, usize),
    length: usize,
    place: Rangef,
) -> (Rangef, Rangef) {
    let scale = f64::from(place.span()) / length as f64;
    let span = TILE << level;
    let ends = [i * span, ((i + 1) * span).min(length)].map(|end| end as f64);
    // From the same number for both tiles at an edge, so that nothing shows between them.
    let [min, max] = ends.map(|end| (f64::from(place.min) + end * scale) as f32);

    let texels = texels(drawn_i, length.div_ceil(1 << drawn_level)) as f64;
    let [uv_min, uv_max] = ends.map(|end| {
        let pixel = end / (1_u64 << drawn_level) as f64 - (drawn_i * TILE) as f64;
        ((pixel + APRON as f64) / texels) as f32
    });
    (Rangef::new(min, max), Rangef::new(uv_min, uv_max))
}

/// Draws pictures of any size, and keeps the textures this takes.
///
/// What can be made quickly is made while drawing, a few tiles per frame; the rest by a thread of its own.
pub struct Tiles {
    textures: HashMap<Key, Resident>,
    maker: Maker,
    /// Counts frames.
    frame: u64,
    /// How many textures this frame may still make.
    budget: usize,
    /// How many more it would have made.
    postponed: usize,
}

struct Resident {
    texture: TextureHandle,
    /// The frame that last drew it.
    used: u64,
}

impl Tiles {
    /// `wake` is called, by another thread, whenever there is more to draw than before.
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> Self {
        Tiles {
            textures: HashMap::new(),
            maker: Maker::new(wake),
            frame: 0,
            budget: PER_FRAME,
            postponed: 0,
        }
    }

    /// To be called before anything is painted in a frame.
    pub fn begin_frame(&mut self, ctx: &Context) {
        let used = self.textures.iter().map(|(key, tile)| (*key, tile.used));
        for key in superfluous(used.collect(), MOST_RESIDENT, self.frame) {
            self.textures.remove(&key);
        }
        let finished = self.maker.collect(self.frame);
        self.frame += 1;
        self.budget = PER_FRAME;
        self.postponed = 0;
        for (key, image) in finished {
            self.keep(ctx, key, image);
        }
    }

    /// Draws the whole source so that it fills `place`, as far as the painter's clip rectangle lets it be
    /// seen. `tint` multiplies: `Color32::WHITE.gamma_multiply(s)` blends it over what is below with
    /// strength `s`.
    pub fn paint(&mut self, painter: &Painter, source: &Source, place: Rect, tint: Color32) {
        let clip = painter.clip_rect().intersect(place);
        if !(place.is_finite() && clip.is_positive()) {
            return;
        }
        let (size, levels) = (source.size(), source.levels());
        let points = f64::from(place.width()) / size[0] as f64;
        let scale = points * f64::from(painter.pixels_per_point());
        let level = level_for(scale, levels);
        let key = Key {
            source: source.key(),
            level,
            at: [0, 0],
            squares: level == 0 && scale > SQUARES_ABOVE * (1.0 + ROUNDING),
        };

        // The coarsest level is shown wherever a tile is missing.
        if level + 1 < levels {
            self.want(painter.ctx(), source, key.coarser(levels - 1 - level));
        }
        for at in from_the_middle(
            tiles_seen(clip.x_range(), place.x_range(), size[0], level),
            tiles_seen(clip.y_range(), place.y_range(), size[1], level),
        ) {
            let tile = Key { at, ..key };
            self.want(painter.ctx(), source, tile);
            if let Some((drawn, texture)) = self.best(tile, levels) {
                let [(x, u), (y, v)] = [0, 1].map(|axis| {
                    let place = if axis == 0 {
                        place.x_range()
                    } else {
                        place.y_range()
                    };
                    let drawn = (drawn.level, drawn.at[axis]);
                    placed((level, at[axis]), drawn, size[axis], place)
                });
                let (rect, uv) = (Rect::from_x_y_ranges(x, y), Rect::from_x_y_ranges(u, v));
                painter.add(Shape::image(texture, rect, uv, tint));
            }
        }
    }

    /// How many tiles of what is painted are missing.
    pub fn pending(&self) -> usize {
        self.postponed + self.maker.pending()
    }

    /// How many tiles are textures.
    pub fn resident(&self) -> usize {
        self.textures.len()
    }

    /// Sees to it that there will be such a texture, now if possible.
    fn want(&mut self, ctx: &Context, source: &Source, key: Key) {
        if let Some(tile) = self.textures.get_mut(&key) {
            tile.used = self.frame;
        } else if !source.is_quick(key.level) {
            self.maker.ask(key, source, self.frame);
        } else if self.budget > 0 {
            self.budget -= 1;
            self.keep(ctx, key, key.image(source));
        } else {
            self.postponed += 1;
            ctx.request_repaint();
        }
    }

    fn keep(&mut self, ctx: &Context, key: Key, image: ColorImage) {
        let tile = Resident {
            texture: ctx.load_texture("tile", image, key.options()),
            used: self.frame,
        };
        self.textures.insert(key, tile);
    }

    /// The texture to draw in the place of a tile: its own or the finest there is.
    fn best(&mut self, key: Key, levels: usize) -> Option<(Key, TextureId)> {
        let otherwise_filtered = Key {
            squares: !key.squares,
            ..key
        };
        let coarser = (1..levels - key.level).map(|levels| key.coarser(levels));
        [key, otherwise_filtered]
            .into_iter()
            .chain(coarser)
            .find_map(|key| {
                let tile = self.textures.get_mut(&key)?;
                tile.used = self.frame;
                Some((key, tile.texture.id()))
            })
    }
}

/// Columns and rows of tiles, those in the middle of what is seen first: that is where people look.
fn from_the_middle(across: Range<usize>, down: Range<usize>) -> Vec<[usize; 2]> {
    let mut tiles: Vec<[usize; 2]> = down
        .clone()
        .flat_map(|y| across.clone().map(move |x| [x, y]))
        .collect();
    // In half tiles, so that it is a whole number.
    let from_middle =
        |i: usize, range: &Range<usize>| (2 * i + 1).abs_diff(range.start + range.end);
    tiles.sort_by_key(|[x, y]| from_middle(*x, &across).pow(2) + from_middle(*y, &down).pow(2));
    tiles
}

/// Those of the tiles, each with the frame that last used it, to drop so that `most` remain: the longest
/// unused, and none that the last frame used.
fn superfluous(mut tiles: Vec<(Key, u64)>, most: usize, last: u64) -> Vec<Key> {
    let excess = tiles.len().saturating_sub(most);
    tiles.retain(|(_, used)| *used < last);
    tiles.sort_by_key(|(_, used)| *used);
    tiles.into_iter().take(excess).map(|(key, _)| key).collect()
}

/// The thread that makes tiles, and what it is to make. Dropping it ends the thread.
struct Maker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    orders: Mutex<Orders>,
    changed: Condvar,
}

#[derive(Default)]
struct Orders {
    /// In the order they were asked for.
    waiting: Vec<Order>,
    making: Option<Key>,
    done: Vec<(Key, ColorImage)>,
    closed: bool,
}

struct Order {
    key: Key,
    source: Source,
    /// The frame that last asked for it.
    frame: u64,
}

impl Maker {
    fn new(wake: impl Fn() + Send + Sync + 'static) -> Self {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            while let Some((key, source)) = theirs.next() {
                theirs.finish(key, key.image(&source));
                wake();
            }
        });
        Maker {
            shared,
            thread: Some(thread),
        }
    }

    fn ask(&self, key: Key, source: &Source, frame: u64) {
        let mut orders = self.shared.lock();
        if orders.making == Some(key) || orders.done.iter().any(|(done, _)| *done == key) {
            return;
        }
        orders.waiting.retain(|order| order.key != key);
        orders.waiting.push(Order {
            key,
            source: source.clone(),
            frame,
        });
        self.shared.changed.notify_one();
    }

    /// What has been made. Drops the orders that frame `last` did not repeat.
    fn collect(&self, last: u64) -> Vec<(Key, ColorImage)> {
        let mut orders = self.shared.lock();
        orders.waiting.retain(|order| order.frame >= last);
        std::mem::take(&mut orders.done)
    }

    fn pending(&self) -> usize {
        let orders = self.shared.lock();
        orders.waiting.len() + usize::from(orders.making.is_some()) + orders.done.len()
    }
}

impl Drop for Maker {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // If it has panicked, that has been said.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for something to make; `None` when there will be nothing more.
    fn next(&self) -> Option<(Key, Source)> {
        let mut orders = self.lock();
        while !orders.closed {
            if let Some(order) = orders.take_newest() {
                orders.making = Some(order.key);
                return Some((order.key, order.source));
            }
            let woken = self.changed.wait(orders);
            orders = woken.unwrap_or_else(PoisonError::into_inner);
        }
        None
    }

    fn finish(&self, key: Key, image: ColorImage) {
        let mut orders = self.lock();
        orders.making = None;
        orders.done.push((key, image));
    }
}

impl Orders {
    /// What the newest frame asked for first.
    fn take_newest(&mut self) -> Option<Order> {
        let newest = self.waiting.iter().map(|order| order.frame).max()?;
        let first = self
            .waiting
            .iter()
            .position(|order| order.frame == newest)?;
        Some(self.waiting.remove(first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use eframe::egui::{Pos2, RawInput, Vec2, pos2, vec2};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::{Duration, Instant};

    /// Every pixel differs from its neighbours.
    fn picture(width: usize, height: usize) -> Arc<Raster> {
        let pixel = |i: usize| {
            let (x, y) = (i % width, i / width);
            [
                (x * 7 + y) as u8,
                (y * 5 + x / 3) as u8,
                (x * y / 2) as u8,
                255,
            ]
        };
        let pixels = (0..width * height).map(pixel).collect();
        Arc::new(Raster::new(width, height, pixels))
    }

    fn whole_level(source: &Source, level: usize) -> Vec<[u8; 4]> {
        let [width, height] = level_size(source.size(), level);
        source.pixels(level, 0, 0, width, height)
    }

    fn sources() -> Vec<Source> {
        let input = picture(300, 270);
        let enlarged = Source::Enlarged(Arc::clone(&input), Filter::Lanczos);
        vec![
            Source::Picture(Arc::clone(&input)),
            enlarged.clone(),
            Source::Difference {
                of: input,
                from: Box::new(enlarged),
                at: [64, 128],
                gain: 3.0,
            },
        ]
    }

    #[test]
    fn a_rectangle_is_that_part_of_its_level_with_its_edges_repeated() {
        for source in sources() {
            for level in 0..source.levels() {
                let whole = whole_level(&source, level);
                let [width, height] = level_size(source.size(), level);
                for (left, top, columns, rows) in [
                    (-3, -2, 9, 8),
                    (width as isize - 4, height as isize - 5, 9, 11),
                    (7, 9, 20, 13),
                    (-20, 5, 3, 4),
                    (5, height as isize + 7, 2, 2),
                ] {
                    let part = source.pixels(level, left, top, columns, rows);
                    assert_eq!(part.len(), columns * rows);
                    for (i, pixel) in part.iter().enumerate() {
                        let x = (left + (i % columns) as isize).clamp(0, width as isize - 1);
                        let y = (top + (i / columns) as isize).clamp(0, height as isize - 1);
                        assert_eq!(*pixel, whole[y as usize * width + x as usize]);
                    }
                }
            }
        }
    }

    #[test]
    fn the_levels_of_an_enlargement_halve_until_they_are_the_inputs() {
        let input = picture(300, 270);
        let source = Source::Enlarged(Arc::clone(&input), Filter::Bicubic);
        assert_eq!((source.size(), source.levels()), ([1200, 1080], 4));
        let finest = whole_level(&source, 0);
        let part = enlarge_x4_part(
            input.pixels(),
            300,
            270,
            Filter::Bicubic,
            [0, 0],
            [1200, 1080],
        );
        assert!(finest == part);
        assert!(whole_level(&source, 1) == halved(&finest, 1200, 1080));
        assert!(whole_level(&source, 2) == input.pixels());
        assert!(whole_level(&source, 3) == input.level(1).0);
    }

    #[test]
    fn a_difference_is_multiplied_opaque_and_black_where_there_is_none() {
        let from = picture(40, 30);
        let cut = |level| Source::Picture(Arc::clone(&from)).pixels(level, 6, 4, 20, 10);
        let mut pixels = cut(0);
        for value in &mut pixels[3] {
            *value ^= 16;
        }
        pixels[4][1] ^= 128;
        let source = Source::Difference {
            of: Arc::new(Raster::new(20, 10, pixels)),
            from: Box::new(Source::Picture(from)),
            at: [6, 4],
            gain: 2.5,
        };
        let mut expected = [[0, 0, 0, 255]; 200];
        expected[3] = [40, 40, 40, 255];
        expected[4] = [0, 255, 0, 255];
        assert_eq!(whole_level(&source, 0), expected);
    }

    #[test]
    fn every_level_is_compared_with_the_same_level_of_the_other_at_its_place() {
        let from = Source::Enlarged(picture(300, 270), Filter::Bicubic);
        let (columns, rows) = (520, 300);
        let pixels = from.pixels(0, 64, 128, columns, rows);
        let source = Source::Difference {
            of: Arc::new(Raster::new(columns, rows, pixels)),
            from: Box::new(from),
            at: [64, 128],
            gain: 9.0,
        };
        assert_eq!(source.levels(), 3);
        // Level 2 of an enlargement is the input itself, which its reduction only resembles.
        for level in 0..2 {
            let black = |pixel: &[u8; 4]| *pixel == [0, 0, 0, 255];
            assert!(whole_level(&source, level).iter().all(black));
        }
    }

    #[test]
    fn sources_have_the_same_key_only_if_they_look_the_same() {
        let (one, other) = (picture(3, 2), picture(3, 2));
        let enlarged = |filter| Source::Enlarged(Arc::clone(&one), filter);
        let difference = |gain, at| Source::Difference {
            of: Arc::clone(&other),
            from: Box::new(enlarged(Filter::Bicubic)),
            at,
            gain,
        };
        let all = || {
            [
                Source::Picture(Arc::clone(&one)),
                Source::Picture(Arc::clone(&other)),
                enlarged(Filter::Bicubic),
                enlarged(Filter::Nearest),
                difference(1.0, [0, 0]),
                difference(2.0, [0, 0]),
                difference(2.0, [0, 4]),
            ]
            .map(|source| source.key())
        };
        let keys = all();
        assert_eq!(keys, all());
        for (i, key) in keys.iter().enumerate() {
            assert!(!keys[..i].contains(key), "{i}");
        }
    }

    #[test]
    fn a_pixel_of_the_level_covers_half_a_pixel_of_the_screen_to_a_whole_one() {
        for (scale, level) in [
            (64.0, 0),
            (1.0, 0),
            (0.51, 0),
            (0.5, 1),
            (0.49999, 1),
            (0.50001, 1),
            (0.26, 1),
            (0.25, 2),
            (0.1, 3),
            (0.001, 5),
        ] {
            assert_eq!(level_for(scale, 6), level, "{scale}");
        }
        assert_eq!(level_for(1e-30, 1), 0);
    }

    #[test]
    fn only_tiles_within_the_clip_rectangle_are_seen() {
        let clip = Rangef::new(100.0, 900.0);
        let seen = |place: (f32, f32), length, level| {
            tiles_seen(clip, Rangef::new(place.0, place.1), length, level)
        };
        assert_eq!(seen((100.0, 900.0), 800, 0), 0..2);
        assert_eq!(seen((-412.0, 2588.0), 3000, 0), 1..3);
        assert_eq!(seen((0.0, 1500.0), 3000, 0), 0..4);
        assert_eq!(seen((0.0, 1500.0), 3000, 1), 0..2);
        assert_eq!(seen((-4000.0, 100.0), 3000, 0), 0..0);
        assert_eq!(seen((901.0, 1901.0), 3000, 0), 0..0);
        assert_eq!(seen((899.0, 1899.0), 3000, 0), 0..1);
    }

    #[test]
    fn tiles_fill_the_place_without_gaps_and_show_what_lies_there() {
        let (length, place) = (3001, Rangef::new(-77.3, 1123.9));
        for level in 0..3 {
            let level_length: usize = 3001_usize.div_ceil(1 << level);
            let mut end = place.min;
            for i in 0..level_length.div_ceil(TILE) {
                let (screen, uv) = placed((level, i), (level, i), length, place);
                assert_eq!(screen.min, end, "tile {i} of level {level}");
                end = screen.max;
                let texels = texels(i, level_length) as f32;
                assert_eq!(uv.min * texels, 1.0);
                let pixels = 3001.0_f32.min((((i + 1) * TILE) << level) as f32)
                    / (1 << level) as f32
                    - (i * TILE) as f32;
                assert!((uv.max * texels - (1.0 + pixels)).abs() < 1e-3);

                // In its place, the same pixels of a coarser tile.
                let (there, uv) = placed((level, i), (level + 2, i >> 2), length, place);
                assert_eq!(there, screen);
                let coarser = 3001_usize.div_ceil(1 << (level + 2));
                let texels = self::texels(i >> 2, coarser) as f32;
                let first = ((i % 4) * TILE) as f32 / 4.0;
                assert!((uv.min * texels - (1.0 + first)).abs() < 1e-3);
                assert!((uv.max * texels - (1.0 + first + pixels / 4.0)).abs() < 1e-3);
            }
            assert!((end - place.max).abs() < 1e-3);
        }
    }

    #[test]
    fn tiles_put_together_are_the_picture() {
        let source = Source::Picture(picture(1100, 600));
        let whole = whole_level(&source, 0);
        for at in from_the_middle(0..3, 0..2) {
            let key = Key {
                source: 0,
                level: 0,
                at,
                squares: false,
            };
            let image = key.image(&source);
            let [columns, rows] = image.size;
            assert_eq!(columns, [514, 514, 78][at[0]]);
            assert_eq!(rows, [514, 90][at[1]]);
            for y in 1..rows - 1 {
                for x in 1..columns - 1 {
                    let there = (at[1] * TILE + y - 1) * 1100 + at[0] * TILE + x - 1;
                    assert_eq!(image.pixels[y * columns + x].to_array(), whole[there]);
                }
            }
            // The apron has what the neighbour shows.
            if at[0] < 2 {
                let there = at[1] * TILE * 1100 + (at[0] + 1) * TILE;
                assert_eq!(image.pixels[2 * columns - 1].to_array(), whole[there]);
            }
        }
    }

    #[test]
    fn the_middle_comes_first() {
        let order = from_the_middle(2..5, 0..3);
        assert_eq!(order.len(), 9);
        assert_eq!(order[0], [3, 1]);
        assert_eq!(order[8], [4, 2]);
        assert!(from_the_middle(0..0, 0..3).is_empty());
    }

    #[test]
    fn the_longest_unused_go_first_and_what_is_shown_never() {
        let key = |i| Key {
            source: i,
            level: 0,
            at: [0, 0],
            squares: false,
        };
        let tiles: Vec<(Key, u64)> = [5, 3, 9, 4, 9].into_iter().map(|i| (key(i), i)).collect();
        assert_eq!(superfluous(tiles.clone(), 5, 9), []);
        assert_eq!(superfluous(tiles.clone(), 3, 9), [key(3), key(4)]);
        assert_eq!(superfluous(tiles, 0, 9), [key(3), key(4), key(5)]);
    }

    const SCREEN: Vec2 = vec2(1600.0, 1000.0);

    /// One frame of a window of `SCREEN` that shows the source at `place`; what is drawn.
    fn frame(ctx: &Context, tiles: &mut Tiles, source: &Source, place: Rect) -> Vec<Shape> {
        let input = RawInput {
            screen_rect: Some(Rect::from_min_size(Pos2::ZERO, SCREEN)),
            ..RawInput::default()
        };
        let mut output = ctx.run_ui(input, |ui| {
            tiles.begin_frame(ui.ctx());
            tiles.paint(ui.painter(), source, place, Color32::WHITE);
        });
        output.textures_delta.clear();
        let drawn = output.shapes.drain(..).map(|shape| shape.shape);
        drawn
            .filter(|shape| matches!(shape, Shape::Mesh(_)))
            .collect()
    }

    /// Frames until nothing is missing; what the last one drew.
    fn settle(ctx: &Context, tiles: &mut Tiles, source: &Source, place: Rect) -> Vec<Shape> {
        let begun = Instant::now();
        loop {
            let drawn = frame(ctx, tiles, source, place);
            if tiles.pending() == 0 {
                return drawn;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "still waiting");
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Whether all that is drawn is drawn with square pixels.
    fn squares(ctx: &Context, drawn: &[Shape]) -> bool {
        let textures = ctx.tex_manager();
        drawn.iter().all(|shape| {
            let options = textures
                .read()
                .meta(shape.texture_id())
                .map(|meta| meta.options);
            options == Some(TextureOptions::NEAREST)
        })
    }

    fn at_scale(source: &Source, origin: Pos2, scale: f32) -> Rect {
        let [width, height] = source.size().map(|side| side as f32);
        Rect::from_min_size(origin, scale * vec2(width, height))
    }

    #[test]
    fn a_large_picture_needs_few_textures_at_any_scale() {
        let ctx = Context::default();
        let mut tiles = Tiles::new(|| ());
        let source = Source::Picture(picture(3000, 2000));

        // Fit: level 1 in 3 x 2 tiles, and the coarsest.
        let fit = at_scale(&source, pos2(50.0, 0.0), 0.5);
        assert_eq!(settle(&ctx, &mut tiles, &source, fit).len(), 6);
        assert_eq!(tiles.resident(), 7);

        // At 100 %, the 5 x 3 tiles of level 0 that are seen, though a frame makes only 8.
        let full = at_scale(&source, pos2(-500.0, -400.0), 1.0);
        assert_eq!(frame(&ctx, &mut tiles, &source, full).len(), 15);
        assert_eq!((tiles.pending(), tiles.resident()), (7, 15));
        assert_eq!(settle(&ctx, &mut tiles, &source, full).len(), 15);
        assert_eq!(tiles.resident(), 22);

        // Panning at 400 % makes others, with square pixels.
        for step in 0..8 {
            let origin = pos2(-1000.0 * step as f32, -1500.0);
            let large = at_scale(&source, origin, 4.0);
            let drawn = settle(&ctx, &mut tiles, &source, large);
            assert!((1..=4).contains(&drawn.len()));
            assert!(squares(&ctx, &drawn));
        }
        let twice = at_scale(&source, pos2(-1000.0, -1500.0), 2.0);
        let drawn = settle(&ctx, &mut tiles, &source, twice);
        assert!(!squares(&ctx, &drawn), "not yet");
        assert!(tiles.resident() < 22 + 24, "{}", tiles.resident());

        let before = tiles.resident();
        let outside = at_scale(&source, pos2(1600.0, 0.0), 1.0);
        assert!(frame(&ctx, &mut tiles, &source, outside).is_empty());
        assert_eq!((tiles.pending(), tiles.resident()), (0, before));
    }

    #[test]
    fn what_takes_time_is_made_elsewhere_and_a_coarser_tile_shown_meanwhile() {
        let ctx = Context::default();
        let woken = Arc::new(AtomicUsize::new(0));
        let wake = Arc::clone(&woken);
        let mut tiles = Tiles::new(move || {
            wake.fetch_add(1, Ordering::SeqCst);
        });
        let source = Source::Enlarged(picture(400, 300), Filter::Lanczos);
        let place = at_scale(&source, Pos2::ZERO, 1.0);

        let textures = |drawn: &[Shape]| {
            let mut textures: Vec<TextureId> = drawn.iter().map(Shape::texture_id).collect();
            textures.dedup();
            textures.len()
        };
        let first = frame(&ctx, &mut tiles, &source, place);
        assert_eq!(
            (first.len(), textures(&first)),
            (8, 1),
            "all from the coarsest"
        );
        assert_eq!((tiles.pending(), tiles.resident()), (8, 1));
        let last = settle(&ctx, &mut tiles, &source, place);
        assert_eq!((last.len(), textures(&last)), (8, 8));
        assert_eq!(tiles.resident(), 9);
        // Pixels as squares take other textures, but the same tiles do meanwhile, and the same coarsest.
        let large = at_scale(&source, Pos2::ZERO, 4.0);
        let first = frame(&ctx, &mut tiles, &source, large);
        assert!(!squares(&ctx, &first));
        assert_eq!((first.len(), textures(&first)), (1, 1));
        assert_eq!((tiles.pending(), tiles.resident()), (1, 9));
        let last = settle(&ctx, &mut tiles, &source, large);
        assert!(squares(&ctx, &last));
        assert_eq!(tiles.resident(), 10);

        // The last tile may be there before its waking is over.
        drop(tiles);
        assert_eq!(woken.load(Ordering::SeqCst), 9);
    }

    #[test]
    fn orders_that_a_frame_does_not_repeat_are_dropped_and_new_ones_come_first() {
        let source = Source::Picture(picture(2, 2));
        let order = |i, frame| Order {
            key: Key {
                source: i,
                level: 0,
                at: [0, 0],
                squares: false,
            },
            source: source.clone(),
            frame,
        };
        let mut orders = Orders::default();
        for (i, frame) in [(1, 6), (2, 6), (3, 7), (4, 7)] {
            orders.waiting.push(order(i, frame));
        }
        let mut taken = Vec::new();
        while let Some(order) = orders.take_newest() {
            taken.push(order.key.source);
        }
        assert_eq!(taken, [3, 4, 1, 2]);

        // A maker without its thread.
        let maker = Maker {
            shared: Arc::default(),
            thread: None,
        };
        let (old, new) = (order(1, 6), order(2, 7));
        maker.ask(old.key, &source, 6);
        maker.ask(new.key, &source, 6);
        maker.ask(new.key, &source, 7);
        assert_eq!(maker.pending(), 2);
        assert!(maker.collect(7).is_empty());
        assert_eq!(maker.pending(), 1);
        assert_eq!(maker.shared.next().map(|(key, _)| key), Some(new.key));
        maker.ask(new.key, &source, 8);
        assert_eq!(maker.pending(), 1, "it is being made");
        maker.shared.finish(new.key, new.key.image(&source));
        maker.ask(new.key, &source, 8);
        assert_eq!(maker.pending(), 1, "it is done");
        assert_eq!(maker.collect(8).len(), 1);
        assert_eq!(maker.pending(), 0);
    }

    #[test]
    fn dropping_the_tiles_ends_their_thread() {
        let alive = Arc::new(());
        let theirs = Arc::clone(&alive);
        let tiles = Tiles::new(move || {
            let _ = &theirs;
        });
        assert_eq!(Arc::strong_count(&alive), 2);
        drop(tiles);
        assert_eq!(Arc::strong_count(&alive), 1);
    }
}
