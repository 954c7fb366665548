//! How far the particles lie apart at each step, with steering and without, and how strongly they are
//! steered. Pointing at a step shows the picture as it was then.

use eframe::egui::{self, Ui};
use egui_plot::{AxisHints, Line, Plot, PlotPoints, Points, VLine};

use crate::app::actions::Action;
use crate::app::state::State;
use crate::app::style;
use crate::app::worker::{Side, Step};

/// Of the plot: what is left in the column, within these.
const LEAST_HEIGHT: f32 = 90.0;
const MOST_HEIGHT: f32 = 240.0;
/// Below the plot.
const WORDS: f32 = 30.0;

pub fn show(ui: &mut Ui, state: &mut State, actions: &mut Vec<Action>) {
    let header = ui.selectable_label(state.look.shows_curves, "Distance between versions");
    let header = header.on_hover_text(
        "How far the particles lie apart at each step: the lower, the more they agree, and steering should pull the \
         curve down. Vanilla is drawn beside it for comparison",
    );
    if header.clicked() {
        actions.push(Action::Curves);
    }
    if !state.look.shows_curves {
        state.look.step = None;
        return;
    }
    let curve = |side: Side| state.front().curves.get(&side).cloned().unwrap_or_default();
    let (steered, plain) = (curve(Side::Steered), curve(Side::Plain));
    let drawn = steered.len().max(plain.len());
    let wanted = state
        .front()
        .settings()
        .map_or(0, |settings| settings.steps as usize);
    let steps = drawn.max(wanted);
    if drawn == 0 {
        ui.weak("appears with the first run");
        return;
    }
    let distances = |curve: &[Step]| -> Vec<[f64; 2]> {
        curve
            .iter()
            .map(|step| [step.index as f64 + 1.0, step.distance])
            .collect()
    };
    let most = steered
        .iter()
        .chain(&plain)
        .map(|step| step.distance)
        .fold(0.0, f64::max);
    let strength: Vec<[f64; 2]> = steered
        .iter()
        .map(|step| [step.index as f64 + 1.0, step.gamma * most.max(1e-6)])
        .collect();
    let pointed = state.look.step;
    let left = ui.clip_rect().bottom() - ui.cursor().top() - WORDS;
    let plot = Plot::new("curves")
        .height(left.clamp(LEAST_HEIGHT, MOST_HEIGHT))
        .include_y(0.0)
        .include_x(1.0)
        .include_x(steps as f64)
        .allow_zoom(false)
        .allow_scroll(false)
        .allow_drag(false)
        .allow_boxed_zoom(false)
        .custom_x_axes(vec![step_axis()])
        .y_axis_min_width(28.0);
    ui.horizontal(|ui| {
        for (name, color) in [
            ("KDS", style::ACCENT),
            ("vanilla", style::VANILLA),
            ("gamma, 0 to 1", egui::Color32::GRAY),
        ] {
            ui.label(egui::RichText::new(name).size(11.5).color(color));
        }
    });
    let shown = plot.show(ui, |plot| {
        let line = |name: &str, points: Vec<[f64; 2]>| {
            Line::new(name.to_string(), PlotPoints::from(points))
        };
        plot.line(line("vanilla", distances(&plain)).color(style::VANILLA));
        plot.line(
            line("KDS", distances(&steered))
                .color(style::ACCENT)
                .width(2.0),
        );
        let dotted = egui_plot::LineStyle::dashed_dense();
        plot.line(
            line("gamma, 0 to 1", strength)
                .style(dotted)
                .color(egui::Color32::GRAY),
        );
        if let Some((side, index)) = pointed {
            let (curve, color) = match side {
                Side::Steered => (&steered, style::ACCENT),
                Side::Plain => (&plain, style::VANILLA),
            };
            if let Some(step) = curve.get(index) {
                let at = step.index as f64 + 1.0;
                plot.vline(VLine::new("", at).color(egui::Color32::GRAY));
                plot.points(
                    Points::new("", vec![[at, step.distance]])
                        .radius(4.0)
                        .color(color),
                );
            }
        }
        plot.pointer_coordinate()
    });
    let is_over = shown.response.hovered();
    state.look.step = shown.inner.filter(|_| is_over).and_then(|pointer| {
        let nearest = |curve: &[Step]| {
            let index =
                (pointer.x.round() - 1.0).clamp(0.0, curve.len().saturating_sub(1) as f64) as usize;
            curve
                .get(index)
                .map(|step| (index, (step.distance - pointer.y).abs()))
        };
        match (nearest(&steered), nearest(&plain)) {
            (Some((index, near)), Some((_, other))) if near <= other => {
                Some((Side::Steered, index))
            }
            (_, Some((index, _))) => Some((Side::Plain, index)),
            (Some((index, _)), None) => Some((Side::Steered, index)),
            (None, None) => None,
        }
    });
    if let Some((side, index)) = state.look.step {
        let curve = if side == Side::Steered {
            &steered
        } else {
            &plain
        };
        if let Some(step) = curve.get(index) {
            ui.weak(format!(
                "step {} at t/T {:.2}: distance {:.3}, gamma {:.2}",
                step.index + 1,
                step.time,
                step.distance,
                step.gamma
            ));
        }
    } else {
        ui.weak("point at a step to see the picture as it was then");
    }
}

/// Numbers of steps, as long as there is room for them: plots would let them fade at five steps already.
fn step_axis() -> AxisHints<'static> {
    AxisHints::new_x()
        .label("step")
        .label_spacing(14.0..=24.0)
        .formatter(|mark, _| match mark.value.fract() {
            0.0 => mark.value.to_string(),
            _ => String::new(),
        })
}
