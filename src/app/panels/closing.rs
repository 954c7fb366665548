//! The question that is asked before results are lost.

use eframe::egui;

use crate::app::state::State;

pub fn show(context: &egui::Context, state: &mut State) {
    let unsaved = state.unsaved().count();
    let modal = egui::Modal::new(egui::Id::unique("closing")).show(context, |ui| {
        ui.set_max_width(380.0);
        ui.heading("Close the window?");
        ui.add_space(6.0);
        if state.queue.is_running() {
            ui.label("The queue is still running; files that are finished stay.");
        }
        if state.whole.is_busy() {
            ui.label("The whole picture is still being drawn, and would be lost.");
        }
        match unsaved {
            0 => (),
            1 => drop(ui.label("One result was not saved.")),
            _ => drop(ui.label(format!("{unsaved} results were not saved."))),
        }
        ui.add_space(10.0);
        ui.horizontal(|ui| {
            if unsaved > 0 && ui.button("Save all and close").clicked() {
                state.save_all_and_close();
            }
            if ui.button("Close without saving").clicked() {
                state.close_anyway();
            }
            if ui.button("Stay").clicked() {
                state.stay();
            }
        });
    });
    if modal.should_close() {
        state.stay();
    }
}
