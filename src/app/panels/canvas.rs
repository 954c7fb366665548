//! The picture in the middle: panes beside each other or a line between two, all with one zoom and place;
//! the marked part where settings are tried; the magnifying glass.

use eframe::egui::{
    self, Align2, Color32, CursorIcon, FontId, Key, Painter, Pos2, Rect, Response, Role, Sense,
    Stroke, StrokeKind, Ui, WidgetInfo, pos2, vec2,
};

use super::particles;
use crate::app::actions::Action;
use crate::app::spread;
use crate::app::state::{Layer, Mode, Pane, Phase, State};
use crate::app::style;
use crate::app::tiles::Tiles;
use crate::model::SCALE;
use crate::pipeline::Region;

/// Points between two panes.
const GAP: f32 = 3.0;
/// Half the width within which the line can be caught.
const CATCH: f32 = 7.0;
/// Points by which an arrow key moves the picture.
const ARROW: f32 = 60.0;
/// Side of the magnifying glass in points, and how much it magnifies.
const GLASS: f32 = 190.0;
const MAGNIFIES: f64 = 4.0;
/// How much a notch of the wheel zooms.
const WHEEL: f32 = 0.003;
/// Under transparent parts.
const UNDER: Color32 = Color32::from_gray(128);

/// What the pointer holds between frames.
#[derive(Default)]
pub struct Hand {
    /// The marked part as it was when its frame was caught.
    caught: Option<Region>,
}

/// One frame's surroundings.
struct Scene<'a> {
    state: &'a mut State,
    tiles: &'a mut Tiles,
    size: [usize; 2],
    ppp: f32,
}

impl Hand {
    pub fn show(&mut self, ui: &mut Ui, state: &mut State, tiles: &mut Tiles, _: &mut Vec<Action>) {
        let area = ui.available_rect_before_wrap();
        let Some(input) = state.input.clone() else {
            let text = match &state.opening {
                Some(name) => format!("opening {name}"),
                None => "Drag a picture here, or open one".to_string(),
            };
            let ink = ui.visuals().text_color();
            ui.painter().text(
                area.center(),
                Align2::CENTER_CENTER,
                text,
                FontId::proportional(18.0),
                ink,
            );
            return;
        };
        let mut area = area;
        if state.mode == Mode::Particles {
            if state.inspected.is_none() {
                particles::show(ui, area, state, tiles);
                return;
            }
            let (grid, rest) = area.split_left_right_at_fraction(0.45);
            particles::show(ui, grid, state, tiles);
            area = rest;
        }
        let size = input.enlarged_size();
        let ppp = ui.ctx().pixels_per_point();
        let panes = state.panes();
        let shares_place = matches!(state.mode, Mode::Divider | Mode::Flicker);
        let rects = match shares_place {
            true => vec![area],
            false => columns(area, panes.len()),
        };
        let Some(first) = rects.first().copied() else {
            return;
        };
        state.view.settle(size, first, ppp);
        if let Some(zoom) = state.zoom_to.take() {
            state
                .view
                .set_zoom_about(zoom, first.center(), size, first, ppp);
        }
        let picture = ui.interact(area, ui.scope_id().with("picture"), Sense::click_and_drag());
        let what = format!(
            "Picture {}, {} × {} pixels",
            input.place.name(),
            size[0],
            size[1]
        );
        picture.widget_info(|| WidgetInfo::labeled(Role::Canvas, true, &what));
        let mut scene = Scene {
            state,
            tiles,
            size,
            ppp,
        };
        scene.navigate(ui, &picture, &rects);

        match scene.state.mode {
            Mode::Divider if panes.len() == 2 => scene.divider(ui, area, panes[0], panes[1]),
            Mode::Flicker if panes.len() == 2 => {
                let pane = panes[usize::from(!scene.state.look.flipped)];
                scene.pane(ui, area, area, pane);
                scene.title(ui, area, pane, Align2::LEFT_TOP);
            }
            _ => {
                for (rect, pane) in rects.iter().zip(&panes) {
                    scene.pane(ui, *rect, *rect, *pane);
                    scene.title(ui, *rect, *pane, Align2::LEFT_TOP);
                }
            }
        }
        if scene.state.mode == Mode::Spread {
            scene.color_bar(ui, area);
        }
        for (index, rect) in rects.iter().enumerate() {
            self.marked_part(ui, &mut scene, *rect, index == 0);
        }
        if ui.input(|input| !input.raw.hovered_files.is_empty()) {
            let painter = ui.painter_at(area);
            painter.rect_filled(area, 0.0, Color32::from_black_alpha(150));
            plate(
                &painter,
                area.center(),
                Align2::CENTER_CENTER,
                "let go to open; several become a queue",
            );
        }
        if scene.state.look.loupe
            && let Some(pointer) = picture.hover_pos()
        {
            let over = rects.iter().find(|rect| rect.contains(pointer)).copied();
            scene.glass(ui, area, over.unwrap_or(first), pointer, &panes);
        }
    }

    /// The frame of the part where settings are tried; the first one can be dragged.
    fn marked_part(&mut self, ui: &mut Ui, scene: &mut Scene, pane: Rect, can_drag: bool) {
        let state = &mut *scene.state;
        let Some(input) = state.input.clone() else {
            return;
        };
        if !state.is_live || state.whole.is_busy() || state.compares_pins() {
            return;
        }
        let Some(region) = state.snapped_region() else {
            return;
        };
        if state.whole.is_of(&input, None, &state.settings) {
            return;
        }
        let place = state.view.place(scene.size, pane, scene.ppp);
        let scale = place.width() / scene.size[0] as f32 * SCALE as f32;
        let corner = place.min + vec2(region.left as f32, region.top as f32) * scale;
        let frame = Rect::from_min_size(
            corner,
            vec2(region.width as f32, region.height as f32) * scale,
        );
        let painter = ui.painter_at(pane);
        let stroke = Stroke::new(1.5, style::ACCENT);
        painter.rect_stroke(frame, 0.0, stroke, StrokeKind::Outside);
        if !can_drag {
            return;
        }
        let word = match &state.live.phase {
            Phase::Running { .. } | Phase::Waiting => "trying …",
            Phase::Failed(_) => "did not work",
            Phase::Idle => "try here",
        };
        let galley =
            painter.layout_no_wrap(word.into(), FontId::proportional(12.0), Color32::BLACK);
        let top_left = frame.min - vec2(1.5, galley.size().y + 4.0);
        // Where the frame begins above the pane, its handle stays in sight.
        let top_left = pos2(
            top_left.x.max(pane.left()),
            top_left.y.max(pane.top() + 24.0),
        );
        let tab = Rect::from_min_size(top_left, galley.size() + vec2(10.0, 4.0)).intersect(pane);
        painter.rect_filled(tab, 2.0, style::ACCENT);
        painter.galley(top_left + vec2(5.0, 2.0), galley, Color32::BLACK);
        let grip = Rect::from_center_size(frame.max, vec2(12.0, 12.0)).intersect(pane);
        painter.rect_filled(grip.shrink(2.0), 1.0, style::ACCENT);

        if tab.is_positive() {
            let moved = ui.interact(tab, ui.scope_id().with("try here"), Sense::drag());
            moved.widget_info(|| {
                WidgetInfo::labeled(Role::Button, true, "The part where settings are tried")
            });
            let moved = moved.on_hover_and_drag_cursor(CursorIcon::Grab);
            if let Some([dx, dy]) = self.dragged(&moved, region, scale)
                && let Some(caught) = self.caught
            {
                let limit = |start: usize, by: f32, side: usize, most: usize| {
                    let start = (start as f32 + by).round().max(0.0) as usize;
                    start.min(most.saturating_sub(side))
                };
                state.region = Some(Region {
                    left: limit(caught.left, dx, caught.width, input.rgb.width),
                    top: limit(caught.top, dy, caught.height, input.rgb.height),
                    ..caught
                });
                state.settings_moved();
            }
        }
        if grip.is_positive() {
            let sized = ui.interact(grip, ui.scope_id().with("try here size"), Sense::drag());
            sized.widget_info(|| {
                WidgetInfo::labeled(
                    Role::Button,
                    true,
                    "Size of the part where settings are tried",
                )
            });
            let sized = sized.on_hover_and_drag_cursor(CursorIcon::ResizeNwSe);
            if let Some([dx, dy]) = self.dragged(&sized, region, scale)
                && let Some(caught) = self.caught
            {
                let side = |side: usize, by: f32| (side as f32 + by).round().max(1.0) as usize;
                state.region = Some(Region {
                    width: side(caught.width, dx),
                    height: side(caught.height, dy),
                    ..caught
                });
                state.settings_moved();
            }
        }
    }

    /// How far, in pixels of the input, something was dragged since it was caught.
    fn dragged(&mut self, response: &Response, region: Region, scale: f32) -> Option<[f32; 2]> {
        if response.drag_started() {
            self.caught = Some(region);
        }
        let delta = response.total_drag_delta().filter(|_| response.dragged())?;
        Some([delta.x / scale, delta.y / scale])
    }
}

impl Scene<'_> {
    /// Zoom, move, and what a double click means.
    fn navigate(&mut self, ui: &Ui, picture: &Response, rects: &[Rect]) {
        let (size, ppp) = (self.size, self.ppp);
        let view = &mut self.state.view;
        if picture.dragged() {
            view.pan(picture.drag_delta(), size, ppp);
        }
        let nobody = ui.ctx().memory(|memory| memory.focused().is_none());
        let is_idle = nobody || picture.has_focus();
        if is_idle {
            let arrows = [
                (Key::ArrowLeft, vec2(ARROW, 0.0)),
                (Key::ArrowRight, vec2(-ARROW, 0.0)),
                (Key::ArrowUp, vec2(0.0, ARROW)),
                (Key::ArrowDown, vec2(0.0, -ARROW)),
            ];
            for (key, delta) in arrows {
                if ui.input(|input| input.key_pressed(key)) {
                    view.pan(delta, size, ppp);
                }
            }
        }
        let Some(pointer) = picture.hover_pos() else {
            return;
        };
        let Some(rect) = rects.iter().find(|rect| rect.contains(pointer)) else {
            return;
        };
        let factor =
            ui.input(|input| input.zoom_delta() * (input.smooth_scroll_delta().y * WHEEL).exp());
        if factor != 1.0 {
            view.set_zoom_about(view.zoom * f64::from(factor), pointer, size, *rect, ppp);
        }
        if picture.double_clicked() {
            let [x, y] = view.to_picture(pointer, *rect, ppp);
            self.state.try_at(x / SCALE as f64, y / SCALE as f64);
        }
    }

    /// One picture, seen through `clip`.
    fn pane(&mut self, ui: &Ui, rect: Rect, clip: Rect, pane: Pane) {
        let place = self.state.view.place(self.size, rect, self.ppp);
        let painter = ui.painter_at(clip);
        let under = match pane {
            Pane::Difference => Color32::BLACK,
            _ => UNDER,
        };
        painter.rect_filled(place, 0.0, under);
        let layers = self.state.layers(pane);
        self.layers(&painter, place, &layers);
        let text = self.missing(pane);
        if let Some(text) = text {
            let at = clip.center_bottom() - vec2(0.0, 16.0);
            plate(&painter, at, Align2::CENTER_BOTTOM, &text);
        }
    }

    fn layers(&mut self, painter: &Painter, place: Rect, layers: &[Layer]) {
        let scale = place.width() / self.size[0] as f32;
        for layer in layers {
            let [x, y] = layer.at.map(|at| at as f32 * scale);
            let [width, height] = layer.size.map(|side| side as f32 * scale);
            let at = Rect::from_min_size(place.min + vec2(x, y), vec2(width, height));
            let tint = Color32::WHITE.gamma_multiply(layer.strength);
            self.tiles.paint(painter, &layer.source, at, tint);
        }
    }

    /// What a pane lacks, in words.
    fn missing(&self, pane: Pane) -> Option<String> {
        let state = &*self.state;
        let front = state.front();
        let is_there = match pane {
            Pane::Before | Pane::Kds | Pane::Pin(_) | Pane::Inspected => true,
            Pane::Vanilla => front.plain.is_some() || !front.previews.is_empty(),
            Pane::Spread => front.spread.is_some(),
            Pane::Difference => !state.layers(pane).is_empty(),
        };
        if is_there {
            return None;
        }
        Some(if front.is_busy() {
            "being drawn".into()
        } else if front.steered.is_none() {
            "nothing was drawn yet: enlarge the picture, or try settings in a part".into()
        } else if !front.can_draw() {
            "not drawn: this result was made by another model, or before".into()
        } else if state.queue.is_running() {
            "not drawn: the queue is running".into()
        } else if state.asks_for_comparison() {
            "not drawn: tick \"compare all of it with vanilla\" on the right".into()
        } else {
            "cancelled: choose this way of comparing again".into()
        })
    }

    fn title(&self, ui: &Ui, rect: Rect, pane: Pane, align: Align2) {
        let inset = rect.shrink(6.0);
        let at = match align {
            Align2::RIGHT_TOP => inset.right_top(),
            _ => inset.left_top(),
        };
        plate(&ui.painter_at(rect), at, align, &self.state.title(pane));
    }

    /// Two pictures in one place with a line between them.
    fn divider(&mut self, ui: &mut Ui, area: Rect, left: Pane, right: Pane) {
        let x = area.left() + area.width() * self.state.look.divider;
        let catch = Rect::from_x_y_ranges((x - CATCH)..=(x + CATCH), area.y_range());
        let line = ui.interact(
            catch,
            ui.scope_id().with("divider"),
            Sense::click_and_drag(),
        );
        let value = f64::from(self.state.look.divider);
        line.widget_info(|| WidgetInfo::slider(true, value, "Divider"));
        let line = line.on_hover_and_drag_cursor(CursorIcon::ResizeHorizontal);
        if line.dragged()
            && let Some(pointer) = line.interact_pointer_pos()
        {
            self.state.look.divider = ((pointer.x - area.left()) / area.width()).clamp(0.0, 1.0);
        }
        if line.has_focus() {
            let step = ui.input(|input| {
                let by = |key, by: f32| if input.key_pressed(key) { by } else { 0.0 };
                by(Key::ArrowLeft, -0.02) + by(Key::ArrowRight, 0.02)
            });
            self.state.look.divider = (self.state.look.divider + step).clamp(0.0, 1.0);
        }
        let (before, after) = area.split_left_right_at_x(x);
        self.pane(ui, area, before, left);
        self.pane(ui, area, after, right);
        if before.width() > 120.0 {
            self.title(ui, before, left, Align2::LEFT_TOP);
        }
        if after.width() > 120.0 {
            self.title(ui, after, right, Align2::RIGHT_TOP);
        }
        let painter = ui.painter_at(area);
        let held = line.dragged() || line.hovered() || line.has_focus();
        let width = if held { 2.5 } else { 1.5 };
        painter.vline(
            x,
            area.y_range(),
            Stroke::new(width + 2.0, Color32::from_black_alpha(120)),
        );
        painter.vline(x, area.y_range(), Stroke::new(width, Color32::WHITE));
        let middle = pos2(x, area.center().y);
        painter.circle(
            middle,
            11.0,
            Color32::WHITE,
            Stroke::new(1.0, Color32::from_black_alpha(120)),
        );
        for side in [-1.0, 1.0] {
            let tip = middle + vec2(side * 7.0, 0.0);
            let wing = |y: f32| middle + vec2(side * 2.5, y);
            let triangle = vec![tip, wing(-4.0), wing(4.0)];
            painter.add(egui::Shape::convex_polygon(
                triangle,
                Color32::from_gray(60),
                Stroke::NONE,
            ));
        }
    }

    /// Both pictures, magnified, beside the pointer.
    fn glass(&mut self, ui: &Ui, area: Rect, rect: Rect, pointer: Pos2, panes: &[Pane]) {
        let mut view = self.state.view.clone();
        view.center = view.to_picture(pointer, rect, self.ppp);
        // At least so that single pixels can be told apart.
        view.zoom = (view.zoom * MAGNIFIES).max(MAGNIFIES);
        view.fit = false;
        let shown: Vec<Pane> = panes.iter().copied().rev().take(2).rev().collect();
        let width = GLASS * shown.len() as f32;
        let above = pointer.y - GLASS - 24.0 > area.top();
        let top = if above {
            pointer.y - GLASS - 24.0
        } else {
            pointer.y + 24.0
        };
        let left =
            (pointer.x - width / 2.0).clamp(area.left(), (area.right() - width).max(area.left()));
        for (index, pane) in shown.iter().enumerate() {
            let at = pos2(left + index as f32 * GLASS, top);
            let glass = Rect::from_min_size(at, vec2(GLASS, GLASS));
            let painter = ui.painter_at(glass);
            painter.rect_filled(glass, 0.0, Color32::BLACK);
            let place = view.place(self.size, glass, self.ppp);
            let layers = self.state.layers(*pane);
            self.layers(&painter, place, &layers);
            painter.rect_stroke(
                glass,
                0.0,
                Stroke::new(2.0, Color32::WHITE),
                StrokeKind::Inside,
            );
            plate(
                &painter,
                glass.left_top() + vec2(4.0, 4.0),
                Align2::LEFT_TOP,
                &self.state.title(*pane),
            );
        }
    }

    /// What the colours of the spread mean.
    fn color_bar(&self, ui: &Ui, area: Rect) {
        let Some(spread) = &self.state.front().spread else {
            return;
        };
        let painter = ui.painter_at(area);
        let font = FontId::proportional(11.0);
        let ink = Color32::from_gray(230);
        let text = format!("standard deviation, of 255; {:.1} on average", spread.mean);
        let galley = painter.layout_no_wrap(text, font.clone(), ink);
        let size = vec2(galley.size().x.max(180.0), 46.0);
        let at = area.right_top() + vec2(-size.x - 16.0, 12.0);
        let plate = Rect::from_min_size(at, size);
        painter.rect_filled(plate.expand(6.0), 4.0, Color32::from_black_alpha(170));
        let bar = Rect::from_min_size(at, vec2(size.x, 12.0));
        painter.galley(bar.left_bottom() + vec2(0.0, 18.0), galley, ink);
        const CELLS: usize = 90;
        for cell in 0..CELLS {
            let value = cell as f32 / (CELLS - 1) as f32;
            let [r, g, b] = spread::color(value);
            let left = bar.left() + bar.width() * cell as f32 / CELLS as f32;
            let size = vec2(bar.width() / CELLS as f32 + 0.5, bar.height());
            let at = Rect::from_min_size(pos2(left, bar.top()), size);
            painter.rect_filled(at, 0.0, Color32::from_rgb(r, g, b));
        }
        for (part, align) in [
            (0.0, Align2::LEFT_TOP),
            (0.5, Align2::CENTER_TOP),
            (1.0, Align2::RIGHT_TOP),
        ] {
            let at = pos2(bar.left() + bar.width() * part, bar.bottom() + 2.0);
            painter.text(
                at,
                align,
                format!("{:.1}", spread.top * part),
                font.clone(),
                ink,
            );
        }
    }
}

/// A word that can be read over any picture.
fn plate(painter: &Painter, at: Pos2, align: Align2, text: &str) {
    let ink = Color32::from_gray(235);
    let galley = painter.layout_no_wrap(text.to_string(), FontId::proportional(12.0), ink);
    let rect = align.anchor_size(at, galley.size() + vec2(10.0, 4.0));
    painter.rect_filled(rect, 3.0, Color32::from_black_alpha(150));
    painter.galley(rect.min + vec2(5.0, 2.0), galley, ink);
}

/// `count` panes beside each other.
fn columns(area: Rect, count: usize) -> Vec<Rect> {
    let width = (area.width() - GAP * count.saturating_sub(1) as f32) / count.max(1) as f32;
    let column = |index: usize| {
        let left = area.left() + index as f32 * (width + GAP);
        Rect::from_min_size(pos2(left, area.top()), vec2(width, area.height()))
    };
    (0..count).map(column).collect()
}
