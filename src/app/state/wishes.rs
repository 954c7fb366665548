//! What is to be drawn, laid on the worker's desk: the whole picture when it is asked for, the tried part
//! whenever settings rest, and whatever the way of comparing needs beside them.

use super::{Mode, Phase, QUEUE_BUSY, State};
use crate::app::worker::{Drawing, Needs, QueueReport, Side, Slot};

impl State {
    /// The whole picture with the settings as they stand.
    pub fn enlarge_all(&mut self) {
        let Some(input) = self.input.clone() else {
            return;
        };
        if self.ready().is_none() || self.whole.is_busy() {
            return;
        }
        if self.queue.is_running() {
            return self.note(QUEUE_BUSY.into());
        }
        if self.is_to_be_reduced() {
            return self.note("the picture is being reduced: enlarge it then".into());
        }
        if let Some(refused) = self.cost().and_then(|cost| cost.refused) {
            return self.complain(refused);
        }
        let is_same = self.whole.is_of(&input, None, &self.settings);
        if is_same && self.whole.is_current() && !self.whole.curves.is_empty() {
            return self.note("this is the whole picture with these settings already".into());
        }
        self.set_settings(self.settings.clone());
        let id = self.new_id();
        self.whole.want(id, input, None, self.settings.clone());
        self.wish();
    }

    /// Whether a comparison of the whole picture takes so long that it is only made when it is asked for.
    pub fn asks_for_comparison(&self) -> bool {
        !self.whole_is_quick() && self.whole.is_current() && !self.shows_live()
    }

    /// Stops what takes time: the whole picture or the queue, else what is being tried.
    pub fn cancel(&mut self) {
        let whole_runs = matches!(self.whole.phase, Phase::Running { .. });
        if self.queue.is_running() && !whole_runs {
            if self.desk.stop_queue() {
                self.queue.hear(QueueReport::Ended(false));
            }
        } else if self.whole.is_busy() {
            self.desk.stop(Slot::Whole);
            self.look.wants_whole = false;
            self.whole.decline();
            self.whole.stop();
        } else if self.live.is_busy() {
            self.desk.stop(Slot::Live);
            self.live.decline();
        }
    }

    /// Tries settings at once from now on, or no longer.
    pub fn set_live(&mut self, is_live: bool) {
        self.is_live = is_live;
        if is_live {
            // What was cancelled is tried again.
            self.live.stop();
            self.live.allow();
        } else {
            self.desk.stop(Slot::Live);
            self.live.halt();
        }
    }

    /// Whether something is being computed that [`State::cancel`] would stop.
    pub fn is_busy(&self) -> bool {
        self.queue.is_running() || self.whole.is_busy() || self.live.is_busy()
    }

    /// Tries settings around a point of the input, from now on at once.
    pub fn try_at(&mut self, x: f64, y: f64) {
        if let Some(region) = self.region_around(x, y) {
            self.region = Some(region);
            self.changed_at = f64::NEG_INFINITY;
            if !self.is_live {
                self.set_live(true);
            }
        }
    }

    /// A particle of the picture that is shown is to be looked at.
    pub fn inspect(&mut self, side: Side, particle: usize) {
        self.inspected = Some((side, particle));
    }

    /// Lays on the desk whatever is missing.
    pub(super) fn wish(&mut self) {
        if self.ready().is_none() {
            return;
        }
        let needs = self.needs();
        let whole_needs = if self.whole_is_quick() || self.look.wants_whole {
            // A run from the history has no curves, and none are drawn for their own sake.
            let shows_curves = self.look.shows_curves && !self.whole.curves.is_empty();
            Needs {
                plain: self.mode.needs_plain(&self.look) || shows_curves,
                ..needs
            }
        } else {
            Needs::default()
        };
        // What is missing beside a finished picture would stand behind all files of a queue.
        if self.whole.is_wanted() && (self.whole.is_busy() || !self.queue.is_running()) {
            self.lay(Slot::Whole, whole_needs);
        }
        if !self.is_live || !self.has_rested() || self.is_to_be_reduced() {
            return;
        }
        let Some(input) = self.input.clone() else {
            return;
        };
        let covered = self.whole.is_of(&input, None, &self.settings);
        if covered && self.live.is_busy() {
            self.desk.stop(Slot::Live);
            self.live.stop();
        }
        let waits = self.selecting.is_some() || self.whole.is_busy() || self.queue.is_running();
        if covered || waits {
            return;
        }
        if self.region.is_none() {
            let [x, y] = [input.rgb.width, input.rgb.height].map(|side| side as f64 / 2.0);
            self.region = self.region_around(x, y);
        }
        let Some(region) = self.snapped_region() else {
            return;
        };
        if !self.live.is_of(&input, Some(region), &self.settings) {
            let id = self.new_id();
            self.live
                .want(id, input, Some(region), self.settings.clone());
        }
        self.lay(Slot::Live, needs);
    }

    /// Lays what is wanted in `slot` on the desk, unless just that lies there.
    pub(super) fn lay(&mut self, slot: Slot, needs: Needs) {
        let check = self.check;
        let shown = self.slot(slot);
        let particles = shown
            .settings()
            .map_or(0, |settings| settings.particles as usize);
        let particle = needs.particle.filter(|(_, index)| *index < particles);
        let needs = Needs { particle, ..needs };
        if let Some(wish) = shown.wish(needs) {
            let (id, input, region, settings) = wish;
            let file = self.session.file(id);
            let drawing = Drawing {
                id,
                input,
                region,
                settings,
                check,
                file,
                needs,
            };
            self.desk.draw(slot, drawing);
        }
    }

    /// What the way of comparing needs beside the steered picture.
    pub(super) fn needs(&self) -> Needs {
        Needs {
            plain: self.mode.needs_plain(&self.look) || self.look.shows_curves,
            spread: self.mode == Mode::Spread,
            particle: self.inspected.filter(|_| self.mode == Mode::Particles),
        }
    }
}
