//! The column of settings: the method's four first, then what they cost, then the rest.

use eframe::egui::{self, ComboBox, RangeSlider, Response, Slider, Ui};

use super::{curves, time};
use crate::app::actions::{self, Action};
use crate::app::state::{Model, State, Writing};
use crate::app::style;
use crate::device::{DeviceChoice, Precision};
use crate::image_io::QUALITIES;
use crate::model::ModelSource;
use crate::settings::{Bandwidth, ColorFix, Kernel, Select, Settings, Solver, Window, range};

/// Sliders end here; larger values can be typed.
const MOST_BANDWIDTH: f64 = 200.0;
const LEAST_BANDWIDTH: f64 = 0.05;
const MOST_STEPS: u32 = 100;
const MOST_PARTICLES: u32 = 16;
const MOST_PATCH: u32 = 32;

pub fn show(ui: &mut Ui, state: &mut State, actions: &mut Vec<Action>) {
    ui.add_space(4.0);
    egui::ScrollArea::vertical()
        .auto_shrink(false)
        .show(ui, |ui| {
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
            more(ui, state, &reset);
            files(ui, state, &reset);
            if state.settings != before {
                state.settings_moved();
            }
            ui.separator();
            cost(ui, state, actions);
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
        let slider = Slider::new(&mut bandwidth, LEAST_BANDWIDTH..=MOST_BANDWIDTH)
            .logarithmic(true)
            .clamping(egui::SliderClamping::Never)
            .max_decimals(3)
            .text("Bandwidth");
        let value = reset.bandwidth.value();
        if knob(ui, slider, range::BANDWIDTH.help, format!("{value}")) {
            bandwidth = value;
        }
        if range::BANDWIDTH.check(bandwidth).is_ok() {
            settings.bandwidth = Bandwidth::Fixed(bandwidth);
        }
        let slider = Slider::new(&mut settings.patch_size, 1..=MOST_PATCH)
            .clamping(egui::SliderClamping::Never)
            .text("Patch size");
        if knob(
            ui,
            slider,
            range::PATCH_SIZE.help,
            reset.patch_size.to_string(),
        ) {
            settings.patch_size = reset.patch_size;
        }
        let slider = Slider::new(&mut settings.gamma_0, 0.0..=1.0)
            .max_decimals(3)
            .clamping(egui::SliderClamping::Edits)
            .text("gamma_0");
        if knob(ui, slider, range::GAMMA_0.help, reset.gamma_0.to_string()) {
            settings.gamma_0 = reset.gamma_0;
        }
    });
    settings.patch_size = settings
        .patch_size
        .clamp(range::PATCH_SIZE.min, range::PATCH_SIZE.max);
}

fn sampling(ui: &mut Ui, settings: &mut Settings, reset: &Settings) {
    let slider = Slider::new(&mut settings.particles, 1..=MOST_PARTICLES)
        .clamping(egui::SliderClamping::Never)
        .text("Particles");
    if knob(
        ui,
        slider,
        range::PARTICLES.help,
        reset.particles.to_string(),
    ) {
        settings.particles = reset.particles;
    }
    let slider = Slider::new(&mut settings.steps, 1..=MOST_STEPS)
        .logarithmic(true)
        .clamping(egui::SliderClamping::Never)
        .text("Steps");
    if knob(ui, slider, range::STEPS.help, reset.steps.to_string()) {
        settings.steps = reset.steps;
    }
    let slider = Slider::new(&mut settings.strength, 0.0..=1.0)
        .max_decimals(2)
        .clamping(egui::SliderClamping::Edits)
        .text("Strength");
    if knob(ui, slider, range::STRENGTH.help, reset.strength.to_string()) {
        settings.strength = reset.strength;
    }
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

/// A slider that explains itself; true if it was double-clicked and is to be reset.
fn knob(ui: &mut Ui, slider: Slider, help: &str, reset: String) -> bool {
    let response = ui.add(slider);
    explained(ui, response, help, &reset)
}

fn explained(ui: &Ui, response: Response, help: &str, reset: &str) -> bool {
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

fn more(ui: &mut Ui, state: &mut State, reset: &Settings) {
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
            let slider = Slider::new(&mut settings.eta, 0.0..=1.0)
                .max_decimals(2)
                .clamping(egui::SliderClamping::Edits)
                .text("eta");
            if knob(ui, slider, range::ETA.help, reset.eta.to_string()) {
                settings.eta = reset.eta;
            }
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
        let slider = Slider::new(
            &mut settings.prescale,
            range::PRESCALE.min..=range::PRESCALE.max,
        )
        .max_decimals(2)
        .clamping(egui::SliderClamping::Edits)
        .text("Reduce first");
        let value = reset.prescale;
        if knob(ui, slider, range::PRESCALE.help, value.to_string()) {
            settings.prescale = value;
        }
        seed(ui, settings);
        ui.separator();
        setup(ui, state);
    });
    state.look.shows_more = shown.openness > 0.5;
}

/// How files are written. It has no part in drawing, so that nothing is drawn anew.
fn files(ui: &mut Ui, state: &mut State, reset: &Settings) {
    let header = egui::CollapsingHeader::new("Saved files").default_open(state.look.shows_files);
    let shown = header.show(ui, |ui| writing(ui, &mut state.writing, reset));
    state.look.shows_files = shown.openness > 0.5;
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

/// One of a few, each with a name and a sentence.
fn choice<T: Copy + PartialEq>(
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

fn writing(ui: &mut Ui, writing: &mut Writing, reset: &Settings) {
    const BEGIN: u8 = 95;
    let mut scale = writing.scale.unwrap_or(reset.scale);
    let slider = Slider::new(&mut scale, range::SCALE.min..=range::SCALE.max)
        .max_decimals(2)
        .clamping(egui::SliderClamping::Edits)
        .suffix(" ×")
        .text("Size");
    if knob(ui, slider, range::SCALE.help, reset.scale.to_string()) {
        scale = reset.scale;
    }
    writing.scale = (scale != reset.scale).then_some(scale);
    ui.horizontal(|ui| {
        let mut is_chosen = writing.quality.is_some();
        let label = ui.checkbox(&mut is_chosen, "Quality").on_hover_text(
            "Of JPEG and WebP: less of it makes smaller files. Left to itself it is 95 for JPEG, and WebP loses nothing",
        );
        let mut quality = writing.quality.unwrap_or(BEGIN);
        let value = egui::DragValue::new(&mut quality).range(QUALITIES).speed(0.3);
        ui.add_enabled(is_chosen, value).labelled_by(label.id);
        writing.quality = is_chosen.then_some(quality);
    });
    ui.checkbox(&mut writing.strip_metadata, "Leave metadata out")
        .on_hover_text(
            "Saved files get none of the input's EXIF, XMP and IPTC: no place, time, camera, names. Colour profile and \
             resolution stay",
        );
}

/// A seed of few digits, so that it can be read aloud, that differs from `seed`.
fn another(seed: u64) -> u64 {
    const MOST: u128 = 1_000_000;
    let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let drawn = (clock.map_or(0, |time| time.as_micros()) % MOST) as u64;
    if drawn == seed { drawn + 1 } else { drawn }
}

/// Device, precision and model: each is loaded anew when it is changed.
fn setup(ui: &mut Ui, state: &mut State) {
    let mut setup = state.setup.clone();
    let device = setup.device.to_string();
    let devices = state
        .ready()
        .map_or(Vec::new(), |ready| ready.devices.clone());
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

fn cost(ui: &mut Ui, state: &mut State, actions: &mut Vec<Action>) {
    match &state.model {
        Model::Loading(text) => {
            ui.label(text);
        }
        Model::Failed(error) => {
            ui.colored_label(style::error(ui), error);
            if ui
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
            ui.weak(format!("about {}", time(seconds)));
        }
    });
    let cost = state.cost();
    let refused = cost.as_ref().and_then(|cost| cost.refused.clone());
    let can_start = cost.is_some() && refused.is_none() && !state.whole.is_busy();
    let key = actions::key_of(Action::EnlargeAll, ui.ctx());
    ui.horizontal(|ui| {
        let text = egui::RichText::new("Enlarge all").strong();
        let button = ui.add_enabled(
            can_start,
            egui::Button::new(text).min_size([110.0, 28.0].into()),
        );
        if button
            .on_hover_text(format!("The whole picture with these settings ({key})"))
            .clicked()
        {
            actions.push(Action::EnlargeAll);
        }
        if let Some(cost) = &cost
            && refused.is_none()
        {
            let bytes = bytesize::ByteSize::b(cost.bytes as u64).display().iec();
            ui.label(format!("about {}, {bytes:.1}", time(cost.seconds)))
                .on_hover_text("Estimated time and memory, from what was measured here so far");
        }
    });
    if let Some(refused) = refused {
        ui.colored_label(style::error(ui), refused);
    }
    if !state.whole_is_quick() && state.whole.is_current() {
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
