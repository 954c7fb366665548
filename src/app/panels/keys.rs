//! The sheet of keys, read from the same table as the keys themselves.

use eframe::egui;

use crate::app::actions::TABLE;

/// True for as long as it stays open.
pub fn show(context: &egui::Context) -> bool {
    let modal = egui::Modal::new(egui::Id::unique("keys")).show(context, |ui| {
        ui.heading("Keys");
        ui.add_space(6.0);
        egui::Grid::new("keys")
            .num_columns(2)
            .spacing([24.0, 4.0])
            .show(ui, |ui| {
                for (modifiers, key, _, words) in TABLE {
                    let shortcut = egui::KeyboardShortcut::new(*modifiers, *key);
                    ui.monospace(ui.ctx().format_shortcut(&shortcut));
                    ui.label(*words);
                    ui.end_row();
                }
                for (key, words) in [
                    (
                        "drag",
                        "move the picture; the line; the marked part by its frame",
                    ),
                    ("wheel, pinch", "zoom about the pointer"),
                    (
                        "double click",
                        "on the picture: try settings there; on a slider: reset it",
                    ),
                    ("arrow keys", "a focused slider moves"),
                    ("Tab", "the next button or slider"),
                ] {
                    ui.monospace(key);
                    ui.label(words);
                    ui.end_row();
                }
            });
        ui.add_space(6.0);
        ui.button("Close").clicked()
    });
    !modal.inner && !modal.should_close()
}
