//! Which part of a picture is seen, and how large.

use eframe::egui::{Pos2, Rect, Vec2, pos2};
use serde::{Deserialize, Serialize};

/// A pixel of the picture becomes at most this many of the screen along a side.
const LARGEST_ZOOM: f64 = 64.0;

/// What one can zoom out to, unless all of the picture would not be seen then.
const SMALLEST_ZOOM: f64 = 1.0 / 64.0;

/// The longer side of a picture stays at least this many pixels of the screen when zooming out.
const SMALLEST_SIDE: f64 = 32.0;

/// How a pane looks at a picture.
///
/// The pane is in points of the screen, of which one has `ppp` (pixels per point) physical pixels to a
/// side; `size` is the picture's width and height in pixels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct View {
    /// What lies in the middle of the pane, in pixels of the picture.
    pub center: [f64; 2],
    /// Physical pixels of the screen per pixel of the picture.
    pub zoom: f64,
    /// All of the picture is seen, whatever its size and the pane's.
    pub fit: bool,
}

impl Default for View {
    /// Fits any picture, once it has [settled](View::settle).
    fn default() -> Self {
        View {
            center: [0.0, 0.0],
            zoom: 1.0,
            fit: true,
        }
    }
}

impl View {
    /// Shows all of the picture, as large as the pane lets it be, and keeps doing so.
    pub fn fit_to(&mut self, size: [usize; 2], pane: Rect, ppp: f32) {
        self.center = size.map(|side| side as f64 / 2.0);
        self.zoom = fitting_zoom(size, pane, ppp);
        self.fit = true;
    }

    /// The same look at a picture that is `ratio` times as large.
    pub fn scaled(&self, ratio: f64) -> Self {
        View {
            center: self.center.map(|place| place * ratio),
            zoom: self.zoom / ratio,
            fit: self.fit,
        }
    }

    /// To be called in every frame: fits the picture if it is to be, and otherwise sees to it that there is
    /// something to see.
    pub fn settle(&mut self, size: [usize; 2], pane: Rect, ppp: f32) {
        if self.fit {
            self.fit_to(size, pane, ppp);
            return;
        }
        self.zoom = possible_zoom(self.zoom, size, pane, ppp);
        if !self.place(size, pane, ppp).intersects(pane) {
            for (center, side) in self.center.iter_mut().zip(size) {
                *center = center.clamp(0.0, side as f64);
            }
        }
    }

    /// Zooms so that what is under the pointer stays there; if that is outside the picture, the part of it
    /// nearest to the pointer does.
    pub fn set_zoom_about(
        &mut self,
        zoom: f64,
        pointer: Pos2,
        size: [usize; 2],
        pane: Rect,
        ppp: f32,
    ) {
        let zoom = possible_zoom(zoom, size, pane, ppp);
        // In physical pixels from the middle of the pane. Without the snapping to whole ones, which would
        // add up over many small steps.
        let pointer = physical(pointer - pane.center(), ppp);
        for axis in [0, 1] {
            let under = self.center[axis] + pointer[axis] / self.zoom;
            let kept = under.clamp(0.0, size[axis] as f64);
            self.center[axis] = kept + (self.center[axis] - kept) * self.zoom / zoom;
        }
        self.zoom = zoom;
        self.fit = false;
    }

    /// Moves the picture by `delta` points, but its edges no farther than to the middle of the pane.
    pub fn pan(&mut self, delta: Vec2, size: [usize; 2], ppp: f32) {
        let delta = physical(delta, ppp);
        for axis in [0, 1] {
            let center = &mut self.center[axis];
            // Zooming may have left them beyond the middle; they can come back from there.
            let (least, most) = (center.min(0.0), center.max(size[axis] as f64));
            *center = (*center - delta[axis] / self.zoom).clamp(least, most);
        }
        self.fit = false;
    }

    /// Where the whole picture lies, in points of the screen. It begins at a physical pixel, so that at
    /// 100 % every pixel of it is one of the screen.
    pub fn place(&self, size: [usize; 2], pane: Rect, ppp: f32) -> Rect {
        let [left, top] = self.origin(pane, ppp);
        let [width, height] = size.map(|side| side as f64 * self.zoom);
        let point = |x: f64, y: f64| {
            let ppp = f64::from(ppp);
            pos2((x / ppp) as f32, (y / ppp) as f32)
        };
        Rect::from_min_max(point(left, top), point(left + width, top + height))
    }

    /// What of the picture is drawn at a point of the screen, in pixels of the picture; it may lie outside.
    pub fn to_picture(&self, pos: Pos2, pane: Rect, ppp: f32) -> [f64; 2] {
        let (origin, pos) = (self.origin(pane, ppp), physical(pos.to_vec2(), ppp));
        [0, 1].map(|axis| (pos[axis] - origin[axis]) / self.zoom)
    }

    /// The part of the picture that is seen, in pixels of the picture. If there is none, it has no area.
    pub fn visible(&self, size: [usize; 2], pane: Rect, ppp: f32) -> Rect {
        let corner = |pos: Pos2| {
            let [x, y] = self.to_picture(pos, pane, ppp);
            let [width, height] = size.map(|side| side as f64);
            pos2(x.clamp(0.0, width) as f32, y.clamp(0.0, height) as f32)
        };
        Rect::from_min_max(corner(pane.min), corner(pane.max))
    }

    /// Where the picture begins, in physical pixels of the screen: at a whole one.
    fn origin(&self, pane: Rect, ppp: f32) -> [f64; 2] {
        let middle = physical(pane.center().to_vec2(), ppp);
        [0, 1].map(|axis| (middle[axis] - self.center[axis] * self.zoom).round())
    }
}

fn physical(points: Vec2, ppp: f32) -> [f64; 2] {
    [points.x, points.y].map(|length| f64::from(length) * f64::from(ppp))
}

/// The zoom at which all of the picture is just seen; a pane too small for that gets one pixel.
fn fitting_zoom(size: [usize; 2], pane: Rect, ppp: f32) -> f64 {
    let pane = physical(pane.size(), ppp);
    let [across, down] = [0, 1].map(|axis| pane[axis] / size[axis] as f64);
    across.min(down).clamp(1.0 / longest(size), LARGEST_ZOOM)
}

/// The possible zoom nearest to this one.
fn possible_zoom(zoom: f64, size: [usize; 2], pane: Rect, ppp: f32) -> f64 {
    let smallest = SMALLEST_ZOOM.min(fitting_zoom(size, pane, ppp));
    zoom.clamp(smallest.max(SMALLEST_SIDE / longest(size)), LARGEST_ZOOM)
}

fn longest(size: [usize; 2]) -> f64 {
    size[0].max(size[1]).max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use eframe::egui::vec2;
    use proptest::prelude::*;

    const PANE: Rect = Rect {
        min: pos2(200.0, 50.0),
        max: pos2(1000.0, 650.0),
    };

    #[test]
    fn a_fitted_picture_fills_the_pane_in_one_direction_and_is_centred() {
        let mut view = View::default();
        view.settle([4000, 1000], PANE, 1.0);
        assert_eq!(view.zoom, 0.2);
        let wide = Rect::from_min_max(pos2(200.0, 250.0), pos2(1000.0, 450.0));
        assert_eq!(view.place([4000, 1000], PANE, 1.0), wide);
        view.settle([100, 1200], PANE, 1.0);
        let tall = Rect::from_min_max(pos2(575.0, 50.0), pos2(625.0, 650.0));
        assert_eq!(view.place([100, 1200], PANE, 1.0), tall);
        view.settle([4000, 1000], PANE, 2.0);
        assert_eq!(view.zoom, 0.4, "in physical pixels");
        assert_eq!(view.place([4000, 1000], PANE, 2.0), wide);
    }

    #[test]
    fn a_view_fits_until_it_is_zoomed_or_panned() {
        let size = [4000, 3000];
        let mut fitted = View::default();
        fitted.settle(size, PANE, 1.0);

        let mut zoomed = fitted.clone();
        zoomed.set_zoom_about(1.0, PANE.center(), size, PANE, 1.0);
        let before = zoomed.clone();
        zoomed.settle([4000, 2000], PANE.expand(10.0), 1.0);
        assert_eq!(zoomed, before);
        assert!(!zoomed.fit);

        let mut panned = fitted.clone();
        panned.pan(vec2(8.0, -4.0), size, 1.0);
        assert_eq!(panned.center, [1960.0, 1520.0]);
        assert!(!panned.fit);
        panned.fit = true;
        panned.settle(size, PANE, 1.0);
        assert_eq!(panned, fitted);
    }

    #[test]
    fn at_100_percent_every_pixel_is_one_of_the_screen() {
        let size = [4000, 3000];
        for ppp in [1.0, 1.25, 1.5, 2.0] {
            let mut view = View {
                center: [1234.567, 1000.1],
                zoom: 0.3,
                fit: false,
            };
            view.set_zoom_about(1.0, pos2(333.3, 444.4), size, PANE, ppp);
            let place = view.place(size, PANE, ppp);
            for (length, whole) in [
                (place.min.x, None),
                (place.min.y, None),
                (place.width(), Some(4000.0)),
                (place.height(), Some(3000.0)),
            ] {
                let pixels = length * ppp;
                // What f32 leaves of numbers of this size.
                assert!((pixels - whole.unwrap_or(pixels.round())).abs() < 1e-3);
            }
        }
    }

    #[test]
    fn zooming_ends_where_pixels_are_large_or_the_picture_small() {
        let zoomed = |zoom, size, pane| {
            let mut view = View::default();
            view.settle(size, pane, 1.0);
            view.set_zoom_about(zoom, pane.center(), size, pane, 1.0);
            view.zoom
        };
        assert_eq!(zoomed(1e9, [400, 300], PANE), 64.0);
        assert_eq!(zoomed(0.0, [400, 300], PANE), 0.08, "32 pixels");
        assert_eq!(zoomed(0.0, [20_000, 300], PANE), 1.0 / 64.0);
        assert_eq!(zoomed(0.0, [80_000, 300], PANE), 0.01, "all of it is seen");
        assert_eq!(zoomed(0.0, [4, 4], PANE), 8.0);
        let none = Rect::from_min_size(pos2(3.0, 4.0), Vec2::ZERO);
        assert_eq!(zoomed(0.0, [400, 300], none), 0.08);
    }

    #[test]
    fn the_centre_stays_in_the_picture_while_panning() {
        let size = [400, 300];
        let mut view = View {
            center: [200.0, 150.0],
            zoom: 2.0,
            fit: false,
        };
        view.pan(vec2(10.0, -20.0), size, 2.0);
        assert_eq!(view.center, [190.0, 170.0]);
        view.pan(vec2(1e6, -1e6), size, 2.0);
        assert_eq!(view.center, [0.0, 300.0]);

        // What zooming has left outside does not jump back, but goes no farther either.
        view.center = [-50.0, 310.0];
        view.pan(vec2(10.0, -10.0), size, 2.0);
        assert_eq!(view.center, [-50.0, 310.0]);
        view.pan(vec2(-10.0, 10.0), size, 2.0);
        assert_eq!(view.center, [-40.0, 300.0]);
    }

    #[test]
    fn zooming_beside_the_picture_does_not_lose_it() {
        let size = [400, 300];
        let mut view = View::default();
        view.settle(size, PANE, 1.0);
        view.set_zoom_about(0.2, PANE.min, size, PANE, 1.0);
        // It lies in the corner, and now the pointer is far from it.
        view.set_zoom_about(5.0, PANE.max, size, PANE, 1.0);
        assert!(view.visible(size, PANE, 1.0).is_positive());
    }

    #[test]
    fn a_picture_out_of_sight_comes_back() {
        let mut view = View {
            center: [9000.0, 20.0],
            zoom: 1.0,
            fit: false,
        };
        view.settle([400, 300], PANE, 1.0);
        assert_eq!(view.center, [400.0, 20.0]);
    }

    #[test]
    fn what_is_visible_is_cut_at_the_pane_and_at_the_picture() {
        let size = [2000, 300];
        let view = View {
            center: [100.0, 150.0],
            zoom: 1.0,
            fit: false,
        };
        let seen = Rect::from_min_max(pos2(0.0, 0.0), pos2(500.0, 300.0));
        assert_eq!(view.visible(size, PANE, 1.0), seen);
        let outside = View {
            center: [-3000.0, 150.0],
            ..view
        };
        assert_eq!(outside.visible(size, PANE, 1.0).area(), 0.0);
    }

    fn sizes() -> impl Strategy<Value = [usize; 2]> {
        [4usize..40_000, 4usize..40_000]
    }

    fn panes() -> impl Strategy<Value = Rect> {
        let side = 50.0f32..3000.0;
        (0.0f32..500.0, 0.0f32..500.0, side.clone(), side)
            .prop_map(|(x, y, width, height)| Rect::from_min_size(pos2(x, y), vec2(width, height)))
    }

    fn ppps() -> impl Strategy<Value = f32> {
        prop::sample::select(vec![1.0, 1.25, 1.5, 2.0, 3.0])
    }

    /// From the smallest zoom to the largest, evenly in steps of the wheel.
    fn zooms() -> impl Strategy<Value = f64> {
        (-6.0f64..6.0).prop_map(f64::exp2)
    }

    /// A point of the pane, as fractions of its sides.
    fn points() -> impl Strategy<Value = (f32, f32)> {
        (0.0f32..1.0, 0.0f32..1.0)
    }

    proptest! {
        #[test]
        fn zooming_keeps_what_is_under_the_pointer(
            (size, pane, ppp) in (sizes(), panes(), ppps()),
            (first, second) in (zooms(), zooms()),
            (a, b) in (points(), points()),
        ) {
            let at = |(x, y): (f32, f32)| pane.lerp_inside(vec2(x, y));
            let mut view = View::default();
            view.settle(size, pane, ppp);
            view.set_zoom_about(first, at(a), size, pane, ppp);

            let before = view.clone();
            let under = before.to_picture(at(b), pane, ppp);
            view.set_zoom_about(second, at(b), size, pane, ppp);
            let now_under = view.to_picture(at(b), pane, ppp);
            // Both are snapped, by up to half a pixel of the screen each.
            let tolerance = 0.5 / before.zoom + 0.5 / view.zoom + 1e-6;
            for axis in [0, 1] {
                // Beside the picture, its edge stays instead.
                if (tolerance..size[axis] as f64 - tolerance).contains(&under[axis]) {
                    prop_assert!((now_under[axis] - under[axis]).abs() <= tolerance);
                }
            }

            // There and back again, nothing has changed.
            view.set_zoom_about(before.zoom, at(b), size, pane, ppp);
            prop_assert!((view.zoom - before.zoom).abs() <= 1e-9);
            for axis in [0, 1] {
                prop_assert!((view.center[axis] - before.center[axis]).abs() <= 1e-6);
            }
        }

        #[test]
        fn a_point_of_the_place_is_that_point_of_the_picture(
            (size, pane, ppp) in (sizes(), panes(), ppps()),
            zoom in zooms(),
            (pointer, (x, y)) in (points(), points()),
        ) {
            let mut view = View::default();
            view.settle(size, pane, ppp);
            let pointer = pane.lerp_inside(vec2(pointer.0, pointer.1));
            view.set_zoom_about(zoom, pointer, size, pane, ppp);

            let place = view.place(size, pane, ppp);
            let found = view.to_picture(place.lerp_inside(vec2(x, y)), pane, ppp);
            // f32 has 24 bits for the coordinates of the place, which reaches far beyond the screen.
            let far = [place.min, place.max].map(|pos| pos.x.abs().max(pos.y.abs()));
            let rounding = f64::from(far[0].max(far[1]) * ppp) * 1e-6;
            for (axis, fraction) in [x, y].into_iter().enumerate() {
                let off = found[axis] - f64::from(fraction) * size[axis] as f64;
                prop_assert!((off * view.zoom).abs() <= 1e-3 + rounding);
            }

            // And it lies where the view says, to the half pixel by which it is snapped.
            let middle = view.to_picture(pane.center(), pane, ppp);
            for axis in [0, 1] {
                let off = (middle[axis] - view.center[axis]) * view.zoom;
                prop_assert!(off.abs() <= 0.5 + 1e-6);
            }
        }

        #[test]
        fn a_fitted_picture_lies_in_its_pane((size, pane, ppp) in (sizes(), panes(), ppps())) {
            let mut view = View::default();
            view.settle(size, pane, ppp);
            let place = view.place(size, pane, ppp);
            // Snapping may move it by half a pixel.
            let pane_and_half = pane.expand(0.5 / ppp + 1e-3);
            prop_assert!(view.zoom == LARGEST_ZOOM || pane_and_half.contains_rect(place));
            let all = view.visible(size, pane.expand(1.0), ppp);
            prop_assert_eq!(all.size(), vec2(size[0] as f32, size[1] as f32));
        }
    }
}
