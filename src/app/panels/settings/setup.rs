//! Device, precision and model: each is loaded anew when it is changed.

use eframe::egui::{self, ComboBox, Ui};

use super::knob::choice;
use crate::app::state::State;
use crate::app::worker::usual_devices;
use crate::device::{DeviceChoice, Precision};
use crate::model::ModelSource;

pub fn show(ui: &mut Ui, state: &mut State) {
    let mut setup = state.setup.clone();
    let device = setup.device.to_string();
    let devices = state
        .ready()
        .map_or_else(usual_devices, |ready| ready.devices.clone());
    ComboBox::from_label("Device")
        .selected_text(device.clone())
        .width(150.0)
        .show_ui(ui, |ui| {
            for (word, name) in &devices {
                if ui
                    .selectable_label(*word == device, format!("{word}: {name}"))
                    .clicked()
                    && let Ok(choice) = word.parse::<DeviceChoice>()
                {
                    setup.device = choice;
                }
            }
        })
        .response
        .on_hover_text("What computes. Each card is examined once, before it is first used");
    choice(
        ui,
        "Precision",
        &mut setup.precision,
        &[Precision::Auto, Precision::F32, Precision::F16],
        |precision| match precision {
            Precision::Auto => (
                "auto",
                "f16 where the card has it, computes rightly in it, and is not slower",
            ),
            Precision::F32 => ("f32", "32-bit"),
            Precision::F16 => ("f16", "16-bit, for graphics cards"),
        },
    );
    ui.horizontal(|ui| {
        ui.label("Model");
        if ui
            .button("Folder …")
            .on_hover_text("A super-resolution model in diffusers' layout")
            .clicked()
        {
            state.ask_model();
        }
        let is_bundled = setup.model == ModelSource::Bundled;
        if ui
            .add_enabled(!is_bundled, egui::Button::new("Bundled"))
            .clicked()
        {
            setup.model = ModelSource::Bundled;
        }
    });
    if setup != state.setup {
        state.set_setup(setup);
    }
}
