//! The sheet of keys, read from the same table as the keys themselves.

use eframe::egui;

use crate::app::actions::{TABLE, shortcut};

const COLUMNS: usize = 2;
const POINTER: [(&str, &str); 5] = [
    ("drag", "the picture, the line, the marked part by its tab"),
    ("wheel, pinch", "zoom about the pointer"),
    (
        "double click",
        "on the picture: try there; on a slider: reset it",
    ),
    ("arrows", "move the picture, or what has the focus"),
    ("Tab", "the next button or slider"),
];

/// True for as long as it stays open.
pub fn show(context: &egui::Context) -> bool {
    let modal = egui::Modal::new(egui::Id::unique("keys")).show(context, |ui| {
        ui.heading("Keys");
        ui.add_space(6.0);
        egui::Grid::new("keys")
            .num_columns(2 * COLUMNS)
            .spacing([18.0, 5.0])
            .show(ui, |ui| {
                let keys = TABLE.iter().map(|(modifiers, key, _, words)| {
                    (shortcut(*modifiers, *key, ui.ctx()), *words)
                });
                let pointer = POINTER
                    .iter()
                    .map(|(what, words)| (what.to_string(), *words));
                // What has several keys stands there once.
                let mut all: Vec<(String, &str)> = Vec::new();
                for (key, words) in keys.chain(pointer) {
                    match all.iter_mut().find(|(_, known)| *known == words) {
                        Some((keys, _)) => keys.push_str(&format!(", {key}")),
                        None => all.push((key, words)),
                    }
                }
                for (index, (key, words)) in all.iter().enumerate() {
                    ui.strong(key);
                    ui.label(*words);
                    if index % COLUMNS == COLUMNS - 1 {
                        ui.end_row();
                    }
                }
            });
        ui.add_space(6.0);
        ui.button("Close").clicked()
    });
    !modal.inner && !modal.should_close()
}
