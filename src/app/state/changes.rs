//! Settings over time: they move, come to rest, are undone and done again.

use super::{Model, State};
use crate::settings::Settings;

impl State {
    /// The sliders moved (`settings` is already what it shall be).
    pub fn settings_moved(&mut self) {
        self.changed_at = self.now;
    }

    /// Other settings at once, as one step of undo.
    pub fn set_settings(&mut self, settings: Settings) {
        self.settings = settings;
        self.changed_at = f64::NEG_INFINITY;
        self.rest();
    }

    /// The settings lie where they are now: one step of undo, if they have moved.
    pub(super) fn rest(&mut self) {
        if self.settings != self.rested {
            self.future.clear();
            let before = std::mem::replace(&mut self.rested, self.settings.clone());
            self.past.push(before);
        }
    }

    /// Whether there is something to undo, and to redo.
    pub fn can_undo_redo(&self) -> (bool, bool) {
        (
            !self.past.is_empty() || self.settings != self.rested,
            !self.future.is_empty(),
        )
    }

    /// Back to the settings before.
    pub fn undo(&mut self) {
        if self.settings != self.rested {
            // Not even rested: back to where they did.
            self.future.push(self.settings.clone());
        } else if let Some(before) = self.past.pop() {
            self.future
                .push(std::mem::replace(&mut self.rested, before));
        }
        self.settings = self.rested.clone();
        self.changed_at = f64::NEG_INFINITY;
    }

    /// Forward again.
    pub fn redo(&mut self) {
        if let Some(after) = self.future.pop() {
            self.past.push(std::mem::replace(&mut self.rested, after));
            self.settings = self.rested.clone();
            self.changed_at = f64::NEG_INFINITY;
        }
    }

    /// The model's own settings; the program's where none is loaded.
    pub fn recommended(&self) -> Settings {
        match &self.model {
            Model::Ready(ready) => ready.recommended.clone(),
            _ => Settings::default(),
        }
    }
}
