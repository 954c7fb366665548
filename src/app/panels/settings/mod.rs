//! The column of settings: the method's four first, then what they cost, then the rest.

mod cost;
mod files;
mod knob;
mod more;
mod setup;

use eframe::egui::{self, Slider, Ui};

use self::knob::knob;
use super::curves;
use crate::app::actions::Action;
use crate::app::state::State;
use crate::settings::{Bandwidth, Settings, range};

/// Sliders end here; larger values can be typed.
const MOST_BANDWIDTH: f64 = 200.0;
const LEAST_BANDWIDTH: f64 = 0.05;
const MOST_STEPS: u32 = 100;
const MOST_PARTICLES: u32 = 16;
const MOST_PATCH: u32 = 32;

pub fn show(ui: &mut Ui, state: &mut State, actions: &mut Vec<Action>) {
    // What begins the work and what it costs stay in sight, however far the settings are scrolled.
    egui::Panel::bottom("drawing")
        .frame(egui::Frame::NONE.inner_margin(egui::Margin::symmetric(0, 6)))
        .show(ui, |ui| cost::show(ui, state, actions));
    egui::ScrollArea::vertical()
        .auto_shrink(false)
        .show(ui, |ui| {
            ui.add_space(4.0);
            let before = state.settings.clone();
            let reset = state.recommended();
            // While a model is loading, its settings are still to come.
            let is_ready = state.ready().is_some();
            let knows_clean = state.ready().is_none_or(|ready| ready.knows_clean);
            ui.add_enabled_ui(is_ready, |ui| {
                steering(ui, &mut state.settings, &reset);
                ui.separator();
                sampling(ui, &mut state.settings, &reset);
                clean(ui, &mut state.settings, knows_clean);
            });
            more::show(ui, state, &reset);
            files::show(ui, state, &reset);
            if state.settings != before {
                state.settings_moved();
            }
            ui.separator();
            curves::show(ui, state, actions);
        });
}

fn steering(ui: &mut Ui, settings: &mut Settings, reset: &Settings) {
    ui.horizontal(|ui| {
        ui.strong("Steering");
        let mut is_on = !settings.vanilla;
        let switch = ui.checkbox(&mut is_on, "on").on_hover_text(
            "Kernel Density Steering: versions are moved towards where they agree. Off is plain sampling",
        );
        if switch.changed() {
            settings.vanilla = !is_on;
        }
    });
    ui.add_enabled_ui(!settings.vanilla, |ui| {
        let mut bandwidth = settings.bandwidth.value();
        let own = reset.bandwidth.value();
        knob(ui, &mut bandwidth, own, range::BANDWIDTH.help, |value| {
            Slider::new(value, LEAST_BANDWIDTH..=MOST_BANDWIDTH)
                .logarithmic(true)
                .clamping(egui::SliderClamping::Never)
                .max_decimals(3)
                .text("Bandwidth")
        });
        if range::BANDWIDTH.check(bandwidth).is_ok() {
            settings.bandwidth = Bandwidth::Fixed(bandwidth);
        }
        let (own, help) = (reset.patch_size, range::PATCH_SIZE.help);
        knob(ui, &mut settings.patch_size, own, help, |value| {
            Slider::new(value, 1..=MOST_PATCH)
                .clamping(egui::SliderClamping::Never)
                .text("Patch size")
        });
        let (own, help) = (reset.gamma_0, range::GAMMA_0.help);
        knob(ui, &mut settings.gamma_0, own, help, |value| {
            Slider::new(value, 0.0..=1.0)
                .max_decimals(3)
                .clamping(egui::SliderClamping::Edits)
                .text("gamma_0")
        });
    });
    settings.patch_size = settings
        .patch_size
        .clamp(range::PATCH_SIZE.min, range::PATCH_SIZE.max);
}

fn sampling(ui: &mut Ui, settings: &mut Settings, reset: &Settings) {
    let (own, help) = (reset.particles, range::PARTICLES.help);
    knob(ui, &mut settings.particles, own, help, |value| {
        Slider::new(value, 1..=MOST_PARTICLES)
            .clamping(egui::SliderClamping::Never)
            .text("Particles")
    });
    let (own, help) = (reset.steps, range::STEPS.help);
    knob(ui, &mut settings.steps, own, help, |value| {
        Slider::new(value, 1..=MOST_STEPS)
            .logarithmic(true)
            .clamping(egui::SliderClamping::Never)
            .text("Steps")
    });
    let (own, help) = (reset.strength, range::STRENGTH.help);
    knob(ui, &mut settings.strength, own, help, |value| {
        Slider::new(value, 0.0..=1.0)
            .max_decimals(2)
            .clamping(egui::SliderClamping::Edits)
            .text("Strength")
    });
    settings.particles = settings
        .particles
        .clamp(range::PARTICLES.min, range::PARTICLES.max);
    settings.steps = settings.steps.clamp(range::STEPS.min, range::STEPS.max);
}

/// What the person knows of the picture and the model cannot see for sure.
fn clean(ui: &mut Ui, settings: &mut Settings, knows_clean: bool) {
    settings.clean &= knows_clean;
    ui.add_enabled_ui(knows_clean, |ui| {
        ui.checkbox(&mut settings.clean, "Clean picture")
            .on_hover_text(
                "The picture is sharp, without noise or traces of JPEG, as scans, renderings and what a computer has \
                 reduced: nothing is mended then, and details come out a little finer",
            )
            .on_disabled_hover_text("This model cannot be told that a picture is clean");
    });
}
