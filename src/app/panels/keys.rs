//! The sheet of keys, read from the same table as the keys themselves.

use eframe::egui;

use crate::app::actions::TABLE;

const COLUMNS: usize = 2;
/// Other keys for what has one already.
const ALIASES: [egui::Key; 2] = [egui::Key::Equals, egui::Key::F1];
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
                let keys = TABLE.iter().filter(|(_, key, ..)| !ALIASES.contains(key));
                let keys = keys.map(|(modifiers, key, _, words)| {
                    let shortcut = egui::KeyboardShortcut::new(*modifiers, *key);
                    (ui.ctx().format_shortcut(&shortcut), *words)
                });
                let pointer = POINTER
                    .iter()
                    .map(|(what, words)| (what.to_string(), *words));
                let all: Vec<_> = keys.chain(pointer).collect();
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
