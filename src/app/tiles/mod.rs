//! What is drawn of a picture: tiles of its mip pyramid, of which only those that are seen are textures.

mod key;
mod maker;
mod source;

use std::collections::HashMap;
use std::ops::Range;

use eframe::egui::{Color32, ColorImage, Context, Painter, Rect, Shape, TextureHandle, TextureId};

use self::key::{Key, ROUNDING, level_for, placed, tiles_seen};
use self::maker::Maker;
pub use self::source::{Source, level_size};

/// More textures than this are kept only if the last frame drew them.
const MOST_RESIDENT: usize = 384;

/// How many textures a frame may make by itself.
const PER_FRAME: usize = 8;

/// Enlarged more than this, pixels are shown as squares.
const SQUARES_ABOVE: f64 = 2.0;

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

#[cfg(test)]
mod tests {
    use super::source::tests::picture;
    use super::*;
    use crate::image_io::resize::Filter;
    use eframe::egui::{Pos2, RawInput, TextureOptions, Vec2, pos2, vec2};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;
    use std::time::{Duration, Instant};

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
