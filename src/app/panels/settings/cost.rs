//! What drawing costs, and the buttons that begin it.

use eframe::egui::{self, Ui};

use super::super::about;
use crate::app::actions::{self, Action};
use crate::app::state::{Model, State};
use crate::app::style;
use crate::device::{DeviceChoice, Precision};
use crate::model::ModelSource;

pub fn show(ui: &mut Ui, state: &mut State, actions: &mut Vec<Action>) {
    match &state.model {
        Model::Loading => {
            ui.label("loading the model");
        }
        Model::Downloading(text) => {
            ui.label(text);
            if ui.button("Stop downloading").clicked() {
                state.stop_download();
            }
        }
        Model::Failed(error) => {
            ui.colored_label(style::error(ui), error);
            if ui.button("Try again").clicked() {
                state.set_setup(state.setup.clone());
            } else if ui
                .button("Use the bundled model on the processor")
                .clicked()
            {
                let mut setup = state.setup.clone();
                setup.model = ModelSource::Bundled;
                setup.device = DeviceChoice::Cpu;
                setup.precision = Precision::Auto;
                state.set_setup(setup);
            }
        }
        Model::Ready(ready) => {
            ui.weak(format!(
                "{} in {} on {}",
                ready.name, ready.precision, ready.device
            ));
        }
    }
    ui.horizontal(|ui| {
        let key = actions::key_of(Action::Live, ui.ctx());
        let mut is_live = state.is_live;
        let live = ui.checkbox(&mut is_live, "Try at once").on_hover_text(format!(
            "Changed settings are tried in the marked part of the picture as soon as the slider rests ({key}). \
             Double-click the picture to try another part"
        ));
        if live.changed() {
            state.set_live(is_live);
        }
        if state.is_live
            && let Some(seconds) = state.trial_seconds()
        {
            ui.weak(about(seconds));
        }
    });
    let cost = state.cost();
    let refused = cost.as_ref().and_then(|cost| cost.refused.clone());
    let is_free = !state.whole.is_busy() && !state.queue.is_running();
    let can_start = cost.is_some() && refused.is_none() && is_free;
    let key = actions::key_of(Action::EnlargeAll, ui.ctx());
    ui.horizontal(|ui| {
        let text = egui::RichText::new("Enlarge picture").strong();
        let button = ui.add_enabled(
            can_start,
            egui::Button::new(text).min_size([110.0, 28.0].into()),
        );
        if button
            .on_hover_text(format!("The whole picture with these settings ({key})"))
            .on_disabled_hover_text(match state.queue.is_running() {
                true => "The queue is running: wait for its end, or stop it",
                false => "The whole picture with these settings",
            })
            .clicked()
        {
            actions.push(Action::EnlargeAll);
        }
        if let Some(cost) = &cost
            && refused.is_none()
        {
            let bytes = bytesize::ByteSize::b(cost.bytes as u64).display().iec();
            ui.label(format!("{}, {bytes:.1}", about(cost.seconds)))
                .on_hover_text("Estimated time and memory, from what was measured here so far");
        }
    });
    if let Some(refused) = refused {
        ui.colored_label(style::error(ui), refused);
    }
    if state.asks_for_comparison() {
        let mut wants = state.look.wants_whole;
        ui.checkbox(&mut wants, "compare all of it with vanilla, too").on_hover_text(
            "The whole picture without steering takes about as long again, so it is only made if you say so",
        );
        state.look.wants_whole = wants;
    }
    ui.horizontal(|ui| {
        let (can_undo, can_redo) = state.can_undo_redo();
        for (can, name, action) in [
            (can_undo, "Undo", Action::Undo),
            (can_redo, "Redo", Action::Redo),
        ] {
            let key = actions::key_of(action, ui.ctx());
            let button = ui.add_enabled(can, egui::Button::new(name));
            if button
                .on_hover_text(format!("{name} the last change of settings ({key})"))
                .clicked()
            {
                actions.push(action);
            }
        }
        if ui
            .button("Reset")
            .on_hover_text("All settings as the model recommends them")
            .clicked()
        {
            let settings = state.recommended();
            state.set_settings(settings);
        }
    });
}
