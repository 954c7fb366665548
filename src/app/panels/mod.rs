//! What is drawn where. Each panel reads the state, moves settings directly, and asks for everything else by
//! [`Action`]s.

mod canvas;
mod closing;
mod curves;
mod history;
mod keys;
mod particles;
mod progress;
mod queue;
mod settings;
mod toolbar;

use eframe::egui;

use super::actions::Action;
use super::state::State;
use super::style;
use super::tiles::Tiles;

/// What the panels remember between frames.
#[derive(Default)]
pub struct Panels {
    shows_keys: bool,
    canvas: canvas::Hand,
    history: history::Thumbnails,
}

impl Panels {
    /// One frame.
    pub fn show(
        &mut self,
        ui: &mut egui::Ui,
        state: &mut State,
        tiles: &mut Tiles,
        actions: &mut Vec<Action>,
    ) {
        egui::Panel::top("toolbar").show(ui, |ui| toolbar::show(ui, state, actions));
        egui::Panel::bottom("progress").show(ui, |ui| progress::show(ui, state, actions));
        if !state.history.runs().is_empty() {
            egui::Panel::bottom("history")
                .exact_size(history::HEIGHT)
                .show(ui, |ui| self.history.show(ui, state, actions));
        }
        egui::Panel::right("settings")
            .resizable(true)
            .default_size(310.0)
            .size_range(280.0..=480.0)
            .show(ui, |ui| settings::show(ui, state, actions));
        if !state.queue.items.is_empty() {
            egui::Panel::left("queue")
                .resizable(true)
                .default_size(230.0)
                .show(ui, |ui| queue::show(ui, state, actions));
        }
        let frame = egui::Frame::new().fill(style::surround(ui));
        egui::CentralPanel::default()
            .frame(frame)
            .show(ui, |ui| self.canvas.show(ui, state, tiles, actions));
        if self.shows_keys {
            self.shows_keys = keys::show(ui.ctx());
        }
        if state.asks_to_close && !state.may_close {
            closing::show(ui.ctx(), state);
        }
    }

    /// What of an action concerns the panels.
    pub fn act(&mut self, action: Action) {
        match action {
            Action::Help => self.shows_keys = !self.shows_keys,
            Action::Cancel => self.shows_keys = false,
            _ => (),
        }
    }
}

/// Seconds as people say them.
fn time(seconds: f64) -> String {
    match seconds {
        s if s < 1.0 => "under a second".into(),
        s if s < 90.0 => format!("{s:.0} s"),
        s if s < 5400.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

/// The same, estimated.
fn about(seconds: f64) -> String {
    match seconds {
        s if s < 1.0 => time(s),
        s => format!("about {}", time(s)),
    }
}

#[cfg(test)]
mod tests {
    use super::{about, time};

    #[test]
    fn times_read_well() {
        let said: Vec<String> = [0.2, 3.4, 89.0, 120.0, 7200.0].map(time).into();
        assert_eq!(said, ["under a second", "3 s", "89 s", "2 min", "2.0 h"]);
        assert_eq!([0.2, 3.4].map(about), ["under a second", "about 3 s"]);
    }
}
