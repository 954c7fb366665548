//! What few people move: where steering acts, how versions are compared and chosen, the sampler, and the rest.

use eframe::egui::{self, RangeSlider, Slider, Ui};

use super::knob::{choice, explained, knob};
use super::setup;
use crate::app::state::State;
use crate::settings::{ColorFix, Kernel, Select, Settings, Solver, Window, range};

pub fn show(ui: &mut Ui, state: &mut State, reset: &Settings) {
    let header = egui::CollapsingHeader::new("More settings").default_open(state.look.shows_more);
    let shown = header.show(ui, |ui| {
        let settings = &mut state.settings;
        window(ui, settings, reset);
        choice(
            ui,
            "Kernel",
            &mut settings.kernel,
            &[Kernel::Gaussian, Kernel::Minkds],
            |kernel| match kernel {
                Kernel::Gaussian => ("gaussian", "exp(-d² / 2h²): the paper's"),
                Kernel::Minkds => (
                    "minkds",
                    "exp(-d² / 2h⁴): what the Python program minKDS computes",
                ),
            },
        );
        let selections = [
            Select::NearestMean,
            Select::LowestVariance,
            Select::Mean,
            Select::First,
        ];
        choice(
            ui,
            "Selection",
            &mut settings.select,
            &selections,
            |select| match select {
                Select::NearestMean => {
                    ("nearest mean", "The version nearest to the average of all")
                }
                Select::LowestVariance => {
                    ("lowest variance", "The version whose own values vary least")
                }
                Select::Mean => ("mean", "The average of all versions: smooth"),
                Select::First => ("first", "Always version 0"),
                Select::All => ("all", "Every version, as a file each"),
            },
        );
        choice(
            ui,
            "Solver",
            &mut settings.solver,
            &[Solver::Ddim, Solver::DpmSolver],
            |solver| match solver {
                Solver::Ddim => ("DDIM", "The usual sampler"),
                Solver::DpmSolver => ("DPM-Solver++", "Made for few steps; it has no eta"),
            },
        );
        let can_eta = settings.solver == Solver::Ddim;
        if !can_eta {
            settings.eta = 0.0;
        }
        ui.add_enabled_ui(can_eta, |ui| {
            knob(ui, &mut settings.eta, reset.eta, range::ETA.help, |value| {
                Slider::new(value, 0.0..=1.0)
                    .max_decimals(2)
                    .clamping(egui::SliderClamping::Edits)
                    .text("eta")
            });
        });
        choice(
            ui,
            "Colour fix",
            &mut settings.color_fix,
            &[
                ColorFix::None,
                ColorFix::Adain,
                ColorFix::Wavelet,
                ColorFix::Consistency,
                ColorFix::Robust,
            ],
            |fix| match fix {
                ColorFix::None => ("none", "Colours as the model made them"),
                ColorFix::Adain => ("adain", "Each channel has the input's mean and contrast"),
                ColorFix::Wavelet => (
                    "wavelet",
                    "Everything coarser than 16 pixels is taken from the input",
                ),
                ColorFix::Consistency => (
                    "consistency",
                    "Corrected until the result, reduced four times, equals the input",
                ),
                ColorFix::Robust => (
                    "robust",
                    "As consistency, but the input's noise is not put back",
                ),
            },
        );
        let help = range::PRESCALE.help;
        knob(ui, &mut settings.prescale, reset.prescale, help, |value| {
            Slider::new(value, range::PRESCALE.min..=range::PRESCALE.max)
                .max_decimals(2)
                .clamping(egui::SliderClamping::Edits)
                .text("Reduce first")
        });
        seed(ui, settings);
        ui.separator();
        setup::show(ui, state);
    });
    state.look.shows_more = shown.openness > 0.5;
}

/// When steering acts, as two handles on the way from noise to the finished picture.
fn window(ui: &mut Ui, settings: &mut Settings, reset: &Settings) {
    let Window(mut low, mut high) = settings.window;
    let slider = RangeSlider::new(&mut low, &mut high, 0.0..=1.0)
        .max_decimals(2)
        .clamping(egui::SliderClamping::Edits)
        .text("Window");
    let response = ui.add(slider);
    let own = format!("{}..{}", reset.window.0, reset.window.1);
    settings.window = Window(low, high);
    if explained(ui, response, range::WINDOW.help, &own) {
        settings.window = reset.window;
    }
}

fn seed(ui: &mut Ui, settings: &mut Settings) {
    ui.horizontal(|ui| {
        let label = ui.label("Seed").id;
        let value = egui::DragValue::new(&mut settings.seed).speed(1.0);
        ui.add(value)
            .labelled_by(label)
            .on_hover_text("Which randomness: the same seed gives the same picture");
        if ui.button("Dice").on_hover_text("Another seed").clicked() {
            settings.seed = another(settings.seed);
        }
    });
}

/// A seed of few digits, so that it can be read aloud, that differs from `seed`.
fn another(seed: u64) -> u64 {
    const MOST: u128 = 1_000_000;
    let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let drawn = (clock.map_or(0, |time| time.as_micros()) % MOST) as u64;
    if drawn == seed { drawn + 1 } else { drawn }
}
