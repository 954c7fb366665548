//! The files that wait to be enlarged.

use eframe::egui::{self, Ui};

use crate::app::actions::Action;
use crate::app::state::{Item, ItemState, State};
use crate::app::style;

pub fn show(ui: &mut Ui, state: &mut State, actions: &mut Vec<Action>) {
    ui.add_space(4.0);
    ui.horizontal(|ui| {
        ui.strong("Queue");
        ui.weak(format!(
            "{} of {} waiting",
            state.queue.waiting(),
            state.queue.items.len()
        ));
    });
    ui.horizontal(|ui| {
        if state.queue.is_running() {
            let name = if state.queue.is_paused {
                "Go on"
            } else {
                "Pause"
            };
            if ui
                .button(name)
                .on_hover_text("Hold before the next evaluation, or go on")
                .clicked()
            {
                let paused = !state.queue.is_paused;
                state.pause_queue(paused);
            }
            if ui
                .button("Stop")
                .on_hover_text("Stop; finished files stay")
                .clicked()
            {
                actions.push(Action::Cancel);
            }
        } else {
            let can_start = state.queue.waiting() > 0 && state.ready().is_some();
            let start = ui.add_enabled(can_start, egui::Button::new("Start"));
            if start
                .on_hover_text(
                    "Enlarge all that wait, each beside its file, with the settings as they stand",
                )
                .clicked()
            {
                state.start_queue(None);
            }
            let into = ui.add_enabled(can_start, egui::Button::new("Into …"));
            if into.on_hover_text("The same, into a folder").clicked() {
                state.ask_queue_folder();
            }
            if ui
                .button("Clear")
                .on_hover_text("Take what is done off the list")
                .clicked()
            {
                state.clear_done();
            }
        }
    });
    ui.separator();
    let height = ui.text_style_height(&egui::TextStyle::Body) + 6.0;
    let count = state.queue.items.len();
    egui::ScrollArea::vertical()
        .auto_shrink(false)
        .show_rows(ui, height, count, |ui, rows| {
            for index in rows {
                if let Some(item) = state.queue.items.get(index).cloned() {
                    row(ui, state, index, &item);
                }
            }
        });
}

fn row(ui: &mut Ui, state: &mut State, index: usize, item: &Item) {
    let name = item
        .path
        .file_name()
        .unwrap_or(item.path.as_os_str())
        .display()
        .to_string();
    ui.horizontal(|ui| {
        let (mark, hint) = match &item.state {
            ItemState::Waiting => ("waits".to_string(), String::new()),
            ItemState::Running(part) => (format!("{:.0} %", 100.0 * part), String::new()),
            ItemState::Done(path) => ("done".into(), format!("\n{}", path.display())),
            ItemState::Skipped(path) => (
                "was there".into(),
                format!("\n{} exists already", path.display()),
            ),
            ItemState::Failed(error) => ("failed".into(), format!("\n{error}")),
        };
        let mark = egui::RichText::new(mark).small();
        let mark = match item.state {
            ItemState::Failed(_) => mark.color(style::error(ui)),
            ItemState::Done(_) => mark.strong(),
            _ => mark.weak(),
        };
        ui.add_sized([52.0, 16.0], egui::Label::new(mark));
        let label = ui.add(egui::Button::new(name.as_str()).frame(false).truncate());
        if label
            .on_hover_text(format!(
                "{}{hint}\n\nClick to look at it",
                item.path.display()
            ))
            .clicked()
        {
            state.open_item(index);
        }
        if item.state == ItemState::Waiting && !state.queue.is_running() {
            let drop = ui
                .small_button("x")
                .accessible_name(format!("take {name} off the list"));
            if drop.clicked() {
                state.drop_item(index);
            }
        }
    });
}
