//! The strip of finished runs: click one to go back to it, pin two to compare them.

use std::collections::HashMap;

use eframe::egui::{self, Sense, TextureHandle, Ui, vec2};

use crate::app::actions::Action;
use crate::app::state::{Run, State};
use crate::app::style;

/// Of the strip.
pub const HEIGHT: f32 = 112.0;
const SIDE: f32 = 72.0;

/// Their pictures as textures.
#[derive(Default)]
pub struct Thumbnails(HashMap<u64, TextureHandle>);

impl Thumbnails {
    pub fn show(&mut self, ui: &mut Ui, state: &mut State, actions: &mut Vec<Action>) {
        let runs: Vec<Run> = state.history.runs().to_vec();
        self.0.retain(|id, _| runs.iter().any(|run| run.id == *id));
        egui::ScrollArea::horizontal()
            .auto_shrink(false)
            .stick_to_right(true)
            .show(ui, |ui| {
                ui.horizontal(|ui| {
                    for run in &runs {
                        self.run(ui, state, run, actions);
                    }
                });
            });
    }

    fn run(&mut self, ui: &mut Ui, state: &mut State, run: &Run, actions: &mut Vec<Action>) {
        let is_selected = state.history.selected == Some(run.id);
        let pin = state
            .history
            .pins()
            .iter()
            .position(|pin| *pin == Some(run.id));
        ui.vertical(|ui| {
            // The frame lies around the picture.
            ui.add_space(3.0);
            let (place, response) = ui.allocate_exact_size(vec2(SIDE, SIDE), Sense::click());
            response.widget_info(|| {
                let label = format!("run {}: {}", run.id, run.title());
                egui::WidgetInfo::selected(egui::Role::Button, true, is_selected, label)
            });
            let texture = self.0.entry(run.id).or_insert_with(|| {
                let image = run.thumbnail.to_color_image();
                ui.ctx().load_texture(
                    format!("run {}", run.id),
                    image,
                    egui::TextureOptions::LINEAR,
                )
            });
            let size = texture.size_vec2();
            let fitted = size * (SIDE / size.max_elem());
            let inner = egui::Rect::from_center_size(place.center(), fitted);
            let uv = egui::Rect::from_min_max(egui::Pos2::ZERO, egui::pos2(1.0, 1.0));
            ui.painter()
                .image(texture.id(), inner, uv, egui::Color32::WHITE);
            let stroke = match (is_selected, response.hovered() || response.has_focus()) {
                (true, _) => egui::Stroke::new(2.0, style::ACCENT),
                (_, true) => egui::Stroke::new(1.0, ui.visuals().strong_text_color()),
                _ => egui::Stroke::new(1.0, ui.visuals().weak_text_color()),
            };
            ui.painter()
                .rect_stroke(inner, 2.0, stroke, egui::StrokeKind::Outside);
            let seconds = run.seconds.map_or(String::new(), |s| format!("\n{s:.1} s"));
            let saved = match &run.saved {
                Some(path) => format!("\nsaved as {}", path.display()),
                None => String::new(),
            };
            let hint = format!(
                "{}, {}{seconds}{saved}\n\n{}",
                run.origin.place.name(),
                run.title(),
                run.settings.command_line()
            );
            let response = response.on_hover_text(hint);
            if response.clicked() {
                state.select(run.id);
            }
            response.context_menu(|ui| {
                if ui.button("Copy as command line").clicked() {
                    state.history.selected = Some(run.id);
                    actions.push(Action::CopyCommand);
                    ui.close();
                }
                if run.region.is_none() && ui.button("Save as …").clicked() {
                    state.save_as(run.id);
                    ui.close();
                }
            });
            let name = match pin {
                Some(0) => "pinned A",
                Some(_) => "pinned B",
                None => "pin",
            };
            let label = ui.selectable_label(pin.is_some(), name);
            let label = label.accessible_name(format!("{name}, run {}", run.id));
            if label
                .on_hover_text("Pin two runs to compare them with each other")
                .clicked()
            {
                state.pin(run.id);
            }
        });
    }
}
