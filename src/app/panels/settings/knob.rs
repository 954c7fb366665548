//! What every setting is moved by: sliders that explain themselves, and choices of one of a few.

use std::fmt::Display;

use eframe::egui::{self, ComboBox, Response, Slider, Ui, emath::Numeric};

/// A slider of `value` that explains itself; a double click takes `own`, the model's own value.
pub fn knob<T: Numeric + Display>(
    ui: &mut Ui,
    value: &mut T,
    own: T,
    help: &str,
    slider: impl FnOnce(&mut T) -> Slider<'_>,
) {
    let response = ui.add(slider(value));
    if explained(ui, response, help, &own.to_string()) {
        *value = own;
    }
}

/// Says what a slider is for; true if it was double-clicked and is to be reset.
pub fn explained(ui: &Ui, response: Response, help: &str, reset: &str) -> bool {
    let text = format!("{help}.\n\nThe model's own value is {reset}: double-click to take it.");
    let response = response.on_hover_text(text);
    // A slider itself feels drags only.
    let is_inside = |pointer: egui::Pos2| response.rect.contains(pointer);
    let twice = ui.input(|input| {
        let pointer = &input.pointer;
        pointer.button_double_clicked(egui::PointerButton::Primary)
            && pointer.interact_pos().is_some_and(is_inside)
    });
    twice && ui.is_enabled() && ui.rect_contains_pointer(response.rect)
}

/// One of a few, each with a name and a sentence.
pub fn choice<T: Copy + PartialEq>(
    ui: &mut Ui,
    label: &str,
    value: &mut T,
    all: &[T],
    words: impl Fn(T) -> (&'static str, &'static str),
) {
    let (name, hint) = words(*value);
    ComboBox::from_label(label)
        .selected_text(name)
        .width(150.0)
        .show_ui(ui, |ui| {
            for &other in all {
                let (name, hint) = words(other);
                ui.selectable_value(value, other, name).on_hover_text(hint);
            }
        })
        .response
        .on_hover_text(hint);
}
