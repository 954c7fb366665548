//! How files are written. It has no part in drawing, so that nothing is drawn anew.

use eframe::egui::{self, Slider, Ui};

use super::knob::knob;
use crate::app::state::{State, Writing};
use crate::image_io::QUALITIES;
use crate::settings::{Settings, range};

pub fn show(ui: &mut Ui, state: &mut State, reset: &Settings) {
    let header = egui::CollapsingHeader::new("Saved files").default_open(state.look.shows_files);
    let shown = header.show(ui, |ui| writing(ui, &mut state.writing, reset));
    state.look.shows_files = shown.openness > 0.5;
}

fn writing(ui: &mut Ui, writing: &mut Writing, reset: &Settings) {
    const BEGIN: u8 = 95;
    let mut scale = writing.scale.unwrap_or(reset.scale);
    knob(ui, &mut scale, reset.scale, range::SCALE.help, |value| {
        Slider::new(value, range::SCALE.min..=range::SCALE.max)
            .max_decimals(2)
            .clamping(egui::SliderClamping::Edits)
            .suffix(" ×")
            .text("Size")
    });
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
