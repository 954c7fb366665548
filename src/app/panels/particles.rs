//! All particles beside each other: those of the run in progress, or the finished ones. A click decodes one
//! and makes it the one that is looked at.

use eframe::egui::{
    self, Align2, Color32, FontId, Rect, Role, Sense, Stroke, StrokeKind, Ui, WidgetInfo, vec2,
};

use crate::app::state::{Particle, State};
use crate::app::style;
use crate::app::tiles::{Source, Tiles};
use crate::app::worker::Side;

const GAP: f32 = 6.0;
/// Below each picture.
const WORDS: f32 = 18.0;

pub fn show(ui: &mut Ui, area: Rect, state: &mut State, tiles: &mut Tiles) {
    let particles = state.particles();
    let area = area.shrink(GAP);
    if particles.is_empty() {
        let text = if state.front().is_busy() {
            "being drawn"
        } else {
            "nothing was drawn yet: enlarge the picture, or try settings in a part"
        };
        let ink = ui.visuals().text_color();
        ui.painter().text(
            area.center(),
            Align2::CENTER_CENTER,
            text,
            FontId::proportional(14.0),
            ink,
        );
        return;
    }
    let [width, height] = particles[0].picture.size();
    let aspect = width as f32 / height.max(1) as f32;
    let (columns, side) = grid(area, particles.len(), aspect);
    for (number, particle) in particles.iter().enumerate() {
        let (column, row) = (number % columns, number / columns);
        let at = area.min
            + vec2(
                column as f32 * (side.x + GAP),
                row as f32 * (side.y + WORDS + GAP),
            );
        cell(ui, state, tiles, particle, Rect::from_min_size(at, side));
    }
}

fn cell(ui: &mut Ui, state: &mut State, tiles: &mut Tiles, particle: &Particle, rect: Rect) {
    let side = match particle.side {
        Side::Steered => "KDS",
        Side::Plain => "vanilla",
    };
    let chosen = if particle.is_chosen { ", chosen" } else { "" };
    let quick = if particle.is_decoded {
        ""
    } else {
        " (quick preview)"
    };
    let name = format!("{side} {}{chosen}{quick}", particle.index);
    let response = ui.interact(
        rect,
        ui.scope_id().with(("particle", &name)),
        Sense::click(),
    );
    let is_inspected = state.inspected == Some((particle.side, particle.index));
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, is_inspected, &name));
    let painter = ui.painter_at(rect.expand(3.0).with_max_y(rect.max.y + WORDS));
    tiles.paint(
        &painter,
        &Source::Picture(particle.picture.clone()),
        rect,
        Color32::WHITE,
    );
    let stroke = if particle.is_chosen {
        Stroke::new(2.5, style::ACCENT)
    } else if is_inspected || response.hovered() || response.has_focus() {
        Stroke::new(1.5, ui.visuals().strong_text_color())
    } else {
        Stroke::NONE
    };
    painter.rect_stroke(rect, 0.0, stroke, StrokeKind::Outside);
    let ink = ui.visuals().text_color();
    let at = rect.left_bottom() + vec2(0.0, 3.0);
    painter.text(at, Align2::LEFT_TOP, &name, FontId::proportional(12.0), ink);
    let hint = "Click to decode this version and look at it closely; again to close it";
    if response.on_hover_text(hint).clicked() {
        if is_inspected {
            state.inspected = None;
        } else {
            state.inspect(particle.side, particle.index);
        }
    }
}

/// How many columns, and how large a picture, so that `count` of them fill the area best.
fn grid(area: Rect, count: usize, aspect: f32) -> (usize, egui::Vec2) {
    let fitted = |columns: usize| {
        let rows = count.div_ceil(columns);
        let width = (area.width() - GAP * (columns - 1) as f32) / columns as f32;
        let height = (area.height() - (GAP + WORDS) * rows as f32) / rows as f32;
        let width = width.min(height * aspect).max(1.0);
        vec2(width, width / aspect)
    };
    let best = (1..=count).max_by(|&a, &b| fitted(a).x.total_cmp(&fitted(b).x));
    let columns = best.unwrap_or(1);
    (columns, fitted(columns))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grid_fits_and_uses_its_area() {
        let area = Rect::from_min_size(egui::Pos2::ZERO, vec2(800.0, 600.0));
        for count in 1..=32 {
            for aspect in [0.5, 1.0, 2.0] {
                let (columns, side) = grid(area, count, aspect);
                let rows = count.div_ceil(columns);
                assert!(columns as f32 * (side.x + GAP) <= 800.0 + GAP + 0.01);
                assert!(rows as f32 * (side.y + WORDS + GAP) <= 600.0 + 0.01);
                assert!((side.x / side.y - aspect).abs() < 0.01);
            }
        }
    }
}
