//! The row at the top: files, ways of comparing, zoom.

use eframe::egui::{self, ComboBox, Ui};

use crate::app::actions::{self, Action};
use crate::app::state::{Mode, Reference, State, filter_name};
use crate::image_io::resize::Filter;

pub fn show(ui: &mut Ui, state: &mut State, actions: &mut Vec<Action>) {
    ui.horizontal_wrapped(|ui| {
        // In one row where a window is not too narrow, so that the picture below stays where it is.
        ui.spacing_mut().item_spacing.x = 4.0;
        ui.spacing_mut().button_padding.x = 6.0;
        files(ui, state, actions);
        ui.separator();
        for mode in Mode::ALL {
            let (name, hint) = mode.words();
            let key = actions::key_of(Action::Mode(mode), ui.ctx());
            let label = ui.selectable_label(state.mode == mode, name);
            if label.on_hover_text(format!("{hint} ({key})")).clicked() {
                actions.push(Action::Mode(mode));
            }
        }
        details(ui, state);
        ui.separator();
        zoom(ui, state, actions);
        let (dark, label) = match ui.visuals().dark_mode {
            true => (true, "Light"),
            false => (false, "Dark"),
        };
        if ui
            .button(label)
            .on_hover_text("The window's other colours")
            .clicked()
        {
            let theme = if dark {
                egui::Theme::Light
            } else {
                egui::Theme::Dark
            };
            ui.ctx().set_theme(theme);
        }
        if ui.button("?").on_hover_text("All keys").clicked() {
            actions.push(Action::Help);
        }
    });
}

fn files(ui: &mut Ui, state: &mut State, actions: &mut Vec<Action>) {
    let key = |action| actions::key_of(action, ui.ctx());
    let (open, save, compare) = (
        key(Action::Open),
        key(Action::Save),
        key(Action::SaveComparison),
    );
    if ui
        .button("Open")
        .on_hover_text(format!("Open pictures ({open}), or drag them here"))
        .clicked()
    {
        actions.push(Action::Open);
    }
    ui.menu_button("Recent", |ui| {
        if state.remembered.recent.is_empty() {
            ui.weak("nothing yet");
        }
        for path in state.remembered.recent.clone() {
            let name = path
                .file_name()
                .unwrap_or(path.as_os_str())
                .display()
                .to_string();
            if ui
                .button(name)
                .on_hover_text(path.display().to_string())
                .clicked()
            {
                state.open_file(path);
                ui.close();
            }
        }
    });
    let can_save = state.run_to_save().is_some();
    let button = ui.add_enabled(can_save, egui::Button::new("Save"));
    if button
        .on_hover_text(format!("Save the whole result beside its input ({save})"))
        .on_disabled_hover_text("There is no whole result of this picture yet: enlarge it first")
        .clicked()
    {
        actions.push(Action::Save);
    }
    ui.menu_button("Export", |ui| {
        let mut item = |enabled: bool, name: &str, action| {
            let key = actions::key_of(action, ui.ctx());
            let button = egui::Button::new(name).shortcut_text(key);
            if ui.add_enabled(enabled, button).clicked() {
                actions.push(action);
                ui.close();
            }
        };
        let has_result = state.front().steered.is_some();
        item(can_save, "Save as …", Action::SaveAs);
        item(has_result, "Save comparison …", Action::SaveComparison);
        item(has_result, "Copy result", Action::Copy);
        item(
            state.history.selected.is_some(),
            "Copy as command line",
            Action::CopyCommand,
        );
    })
    .response
    .on_hover_text(format!("Save as, save the comparison ({compare}), copy"));
}

/// What the way of comparing can be told.
fn details(ui: &mut Ui, state: &mut State) {
    let look = &mut state.look;
    if matches!(state.mode, Mode::Divider | Mode::Flicker | Mode::Difference) {
        ComboBox::new("reference", "")
            .selected_text(match look.reference {
                Reference::Input => "input",
                Reference::Vanilla => "vanilla",
            })
            .width(60.0)
            .show_ui(ui, |ui| {
                ui.selectable_value(&mut look.reference, Reference::Input, "input");
                ui.selectable_value(&mut look.reference, Reference::Vanilla, "vanilla");
            })
            .response
            .accessible_name("Compare with")
            .on_hover_text("What the result is compared with");
    }
    let shows_input = match state.mode {
        Mode::Divider | Mode::Flicker | Mode::Difference => look.reference == Reference::Input,
        Mode::Three => true,
        Mode::SideBySide | Mode::Particles | Mode::Spread => false,
    };
    if state.mode == Mode::Difference {
        let gain = egui::DragValue::new(&mut look.gain)
            .range(1.0..=64.0)
            .speed(0.1)
            .max_decimals(0)
            .prefix("× ");
        ui.add(gain)
            .accessible_name("gain")
            .on_hover_text("How much differences are amplified: drag, or click and type");
    }
    if shows_input {
        ComboBox::new("before", "")
            .selected_text(filter_name(look.before))
            .width(60.0)
            .show_ui(ui, |ui| {
                for filter in [Filter::Bicubic, Filter::Lanczos, Filter::Nearest] {
                    ui.selectable_value(&mut look.before, filter, filter_name(filter));
                }
            })
            .response
            .accessible_name("Plain enlargement")
            .on_hover_text("How the input is enlarged for comparison");
    }
}

fn zoom(ui: &mut Ui, state: &mut State, actions: &mut Vec<Action>) {
    let key = |action| actions::key_of(action, ui.ctx());
    let (fit, full, loupe) = (key(Action::Fit), key(Action::FullSize), key(Action::Loupe));
    let label = ui.selectable_label(state.view.fit, "Fit");
    if label
        .on_hover_text(format!("All of the picture ({fit})"))
        .clicked()
    {
        actions.push(Action::Fit);
    }
    let is_full = !state.view.fit && (state.view.zoom - 1.0).abs() < 1e-6;
    let label = ui.selectable_label(is_full, "100 %");
    if label
        .on_hover_text(format!(
            "One pixel of the result for each of the screen ({full})"
        ))
        .clicked()
    {
        actions.push(Action::FullSize);
    }
    // As wide whatever it says.
    let zoom = egui::Label::new(format!("{:.0} %", 100.0 * state.view.zoom));
    ui.add_sized([48.0, 18.0], zoom);
    let label = ui.selectable_label(state.look.loupe, "Loupe");
    if label
        .on_hover_text(format!("Both pictures magnified at the pointer ({loupe})"))
        .clicked()
    {
        actions.push(Action::Loupe);
    }
}
