//! The line at the bottom: what is going on, how long it takes, and the last word about it.

use eframe::egui::{self, ProgressBar, Ui};

use super::time;
use crate::app::actions::Action;
use crate::app::state::{Phase, Shown, State};
use crate::app::style;
use crate::app::worker::Side;

pub fn show(ui: &mut Ui, state: &mut State, actions: &mut Vec<Action>) {
    ui.horizontal(|ui| {
        if let Some((what, part, left)) = running(state) {
            let text = match left {
                Some(left) => format!("{what}, {} left", time(left)),
                None => what,
            };
            let bar = ProgressBar::new(part as f32)
                .desired_width(320.0)
                .text(text);
            ui.add(bar).accessible_name("Progress");
            if ui
                .button("Cancel")
                .on_hover_text("Stop it (Escape)")
                .clicked()
            {
                actions.push(Action::Cancel);
            }
        } else if let Some(opening) = &state.opening {
            ui.label(format!("opening {opening}"));
        }
        if state.is_saving() {
            ui.spinner();
            ui.label("saving");
        }
        if let Some(note) = state.notes.last() {
            let text = egui::RichText::new(&note.text);
            let text = if note.is_error {
                text.color(style::error(ui))
            } else {
                text.weak()
            };
            let all: Vec<&str> = state
                .notes
                .iter()
                .rev()
                .take(12)
                .map(|note| note.text.as_str())
                .collect();
            ui.add(egui::Label::new(text).truncate())
                .on_hover_text(all.join("\n\n"));
        } else {
            ui.weak("drag pictures here, or open them; ? shows all keys");
        }
    });
}

/// What is running, how far it is, and the seconds it still takes.
fn running(state: &State) -> Option<(String, f64, Option<f64>)> {
    if state.queue.is_running() {
        let paused = if state.queue.is_paused {
            "paused"
        } else {
            "queue"
        };
        return Some((
            paused.into(),
            state.queue.part(),
            state.queue_seconds_left(),
        ));
    }
    let of = |shown: &Shown, name: &str| match &shown.phase {
        Phase::Waiting => Some((format!("{name}: waiting"), 0.0, None)),
        Phase::Running {
            side, part, left, ..
        } => {
            let steps = shown.curves.get(side).map_or(0, Vec::len);
            let side = match side {
                Side::Steered => "",
                Side::Plain => ", vanilla",
            };
            Some((format!("{name}{side}: step {steps}"), *part, *left))
        }
        _ => None,
    };
    of(&state.whole, "whole picture").or_else(|| of(&state.live, "trying"))
}
