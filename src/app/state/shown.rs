//! What is shown of one slot: finished pictures, and those of the run in progress.

use std::collections::HashMap;
use std::sync::Arc;

use crate::app::input::Input;
use crate::app::raster::Raster;
use crate::app::worker::{Drawn, Needs, Preview, Side, Spread, Step};
use crate::pipeline::Region;
use crate::settings::Settings;

/// How far it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Phase {
    /// Nothing is going on.
    #[default]
    Idle,
    /// Its turn has not come.
    Waiting,
    /// It is being drawn.
    Running {
        /// Which side.
        side: Side,
        /// When it began.
        since: f64,
        /// 0..=1.
        part: f64,
        /// Seconds left, once that can be told.
        left: Option<f64>,
    },
    /// It could not be drawn.
    Failed(String),
}

/// What was wished for.
struct Wanted {
    id: u64,
    input: Arc<Input>,
    region: Option<Region>,
    settings: Settings,
    /// As it lies on the desk.
    laid: Option<Needs>,
    /// What was cancelled, until something else is needed.
    declined: Option<Needs>,
    /// Whether the worker can draw it with the model that it has.
    can_draw: bool,
}

/// One slot.
#[derive(Default)]
pub struct Shown {
    /// With steering.
    pub steered: Option<Drawn>,
    /// Without.
    pub plain: Option<Drawn>,
    /// Runs in progress.
    pub previews: HashMap<Side, Preview>,
    /// Their steps.
    pub curves: HashMap<Side, Vec<Step>>,
    /// Decoded particles.
    pub decoded: HashMap<(Side, usize), Arc<Raster>>,
    /// How far particles differ.
    pub spread: Option<Spread>,
    /// How far it is.
    pub phase: Phase,
    wanted: Option<Wanted>,
}

/// Results belong to settings but for the strength, which is mixed in when they are shown.
pub fn same_run(a: &Settings, b: &Settings) -> bool {
    let at_full = |settings: &Settings| Settings {
        strength: 1.0,
        ..settings.clone()
    };
    at_full(a) == at_full(b)
}

impl Shown {
    /// Something else is wanted from now on; what is shown stays until that is there.
    pub fn want(&mut self, id: u64, input: Arc<Input>, region: Option<Region>, settings: Settings) {
        self.phase = Phase::Waiting;
        self.wanted = Some(Wanted {
            id,
            input,
            region,
            settings,
            laid: None,
            declined: None,
            can_draw: true,
        });
    }

    /// What must be laid on the desk so that `needs` are met; `None` if it lies there.
    #[allow(clippy::type_complexity)]
    pub fn wish(&mut self, needs: Needs) -> Option<(u64, Arc<Input>, Option<Region>, Settings)> {
        let wanted = self.wanted.as_mut()?;
        if wanted.declined == Some(needs) {
            return None;
        }
        wanted.declined = None;
        if !wanted.can_draw || wanted.laid.is_some_and(|laid| laid.covers(needs)) {
            return None;
        }
        wanted.laid = Some(needs);
        if matches!(self.phase, Phase::Idle) {
            self.phase = Phase::Waiting;
        }
        Some((
            wanted.id,
            wanted.input.clone(),
            wanted.region,
            wanted.settings.clone(),
        ))
    }

    /// The finished picture of one side.
    pub fn side(&self, side: Side) -> Option<&Drawn> {
        match side {
            Side::Steered => self.steered.as_ref(),
            Side::Plain => self.plain.as_ref(),
        }
    }

    /// Whether something is wanted, done or not.
    pub fn is_wanted(&self) -> bool {
        self.wanted.is_some()
    }

    /// Whether it is this that is wanted.
    pub fn is_of(&self, input: &Input, region: Option<Region>, settings: &Settings) -> bool {
        self.wanted.as_ref().is_some_and(|wanted| {
            wanted.input.id == input.id
                && wanted.region == region
                && same_run(&wanted.settings, settings)
        })
    }

    /// The settings of what is wanted.
    pub fn settings(&self) -> Option<&Settings> {
        self.wanted.as_ref().map(|wanted| &wanted.settings)
    }

    /// The part of the input that is wanted.
    pub fn region(&self) -> Option<Region> {
        self.wanted.as_ref().and_then(|wanted| wanted.region)
    }

    /// Whether the finished steered picture is the one that is wanted.
    pub fn is_current(&self) -> bool {
        let id = self.wanted.as_ref().map(|wanted| wanted.id);
        self.steered
            .as_ref()
            .is_some_and(|drawn| Some(drawn.drawing) == id)
    }

    /// Whether that is this drawing.
    pub fn is_current_of(&self, id: u64) -> bool {
        self.is_current() && self.is_wanted_id(id)
    }

    /// The picture and the settings of this drawing, if it is the one that is wanted.
    pub fn wanted_as(&self, id: u64) -> Option<(Arc<Input>, Settings)> {
        let wanted = self.wanted.as_ref().filter(|wanted| wanted.id == id)?;
        Some((wanted.input.clone(), wanted.settings.clone()))
    }

    /// Whether it is being drawn, or will be.
    pub fn is_busy(&self) -> bool {
        matches!(self.phase, Phase::Waiting | Phase::Running { .. })
    }

    /// Nothing is wanted any more; finished pictures stay.
    pub fn stop(&mut self) {
        let current = self.is_current();
        self.halt();
        if !current {
            self.curves.clear();
            self.wanted = None;
        }
    }

    /// What is wanted is not drawn after all, until something else is wanted.
    pub fn halt(&mut self) {
        self.phase = Phase::Idle;
        self.previews.clear();
        self.drop_stale();
    }

    /// It was cancelled. What is wanted beside a picture that is finished is drawn when it is asked for anew.
    pub fn decline(&mut self) {
        let current = self.is_current();
        self.halt();
        if let Some(wanted) = self.wanted.as_mut().filter(|_| current) {
            wanted.declined = wanted.laid.replace(Needs::default());
        }
    }

    /// What was cancelled may be drawn after all.
    pub fn allow(&mut self) {
        if let Some(wanted) = &mut self.wanted {
            wanted.declined = None;
        }
    }

    /// Whether the model that is loaded can draw what is wanted, or more of it.
    pub fn can_draw(&self) -> bool {
        self.wanted.as_ref().is_none_or(|wanted| wanted.can_draw)
    }

    /// What was drawn beside an earlier steered picture is no comparison for this one.
    fn drop_stale(&mut self) {
        let id = self.steered.as_ref().map(|drawn| drawn.drawing);
        if self
            .plain
            .as_ref()
            .is_some_and(|plain| Some(plain.drawing) != id)
        {
            self.plain = None;
            self.spread = None;
            self.curves.remove(&Side::Plain);
            self.decoded.retain(|(side, _), _| *side != Side::Plain);
        }
    }

    /// Nothing is shown any more.
    pub fn forget(&mut self) {
        *self = Shown::default();
    }

    /// A finished picture from elsewhere, as if it had been drawn just now.
    pub fn set(
        &mut self,
        input: Arc<Input>,
        region: Option<Region>,
        settings: Settings,
        drawn: Drawn,
        can_draw: bool,
    ) {
        self.expect(drawn.drawing, input, region, settings);
        self.steered = Some(drawn);
        if let Some(wanted) = &mut self.wanted {
            wanted.can_draw = can_draw;
        }
    }

    /// A finished picture will come from elsewhere.
    pub fn expect(
        &mut self,
        id: u64,
        input: Arc<Input>,
        region: Option<Region>,
        settings: Settings,
    ) {
        self.forget();
        self.want(id, input, region, settings);
        self.phase = Phase::Idle;
        if let Some(wanted) = &mut self.wanted {
            wanted.laid = Some(Needs::default());
        }
    }

    pub(super) fn is_wanted_id(&self, id: u64) -> bool {
        self.wanted.as_ref().is_some_and(|wanted| wanted.id == id)
    }

    pub(super) fn begun(&mut self, id: u64, side: Side, now: f64) {
        if self.is_wanted_id(id) {
            self.curves.insert(side, Vec::new());
            self.phase = Phase::Running {
                side,
                since: now,
                part: 0.0,
                left: None,
            };
        }
    }

    pub(super) fn progress(&mut self, id: u64, new: f64, now: f64) {
        if self.is_wanted_id(id)
            && let Phase::Running {
                since, part, left, ..
            } = &mut self.phase
        {
            *part = new;
            let gone = now - *since;
            *left = (new > 0.0 && gone > 0.0).then(|| gone / new * (1.0 - new));
        }
    }

    pub(super) fn step(&mut self, id: u64, side: Side, step: Step) {
        if self.is_wanted_id(id) {
            let curve = self.curves.entry(side).or_default();
            // A run that was begun anew on another device starts its curve anew.
            curve.truncate(step.index);
            curve.push(step);
        }
    }

    pub(super) fn preview(&mut self, side: Side, preview: Preview) {
        if self.is_wanted_id(preview.drawing) {
            self.previews.insert(side, preview);
        }
    }

    pub(super) fn drawn(&mut self, mut drawn: Drawn) {
        if !self.is_wanted_id(drawn.drawing) {
            return;
        }
        self.previews.remove(&drawn.side);
        self.curves.insert(drawn.side, drawn.curve.as_ref().clone());
        let place = match drawn.side {
            Side::Steered => &mut self.steered,
            Side::Plain => &mut self.plain,
        };
        if place
            .as_ref()
            .is_none_or(|old| old.drawing != drawn.drawing)
        {
            self.decoded.retain(|(side, _), _| *side != drawn.side);
            if drawn.side == Side::Plain {
                self.spread = None;
            }
        } else {
            // It is said again whenever something more is wanted of it.
            drawn.seconds = drawn.seconds.or(place.as_ref().and_then(|old| old.seconds));
        }
        *place = Some(drawn);
        let laid = self.wanted.as_ref().and_then(|wanted| wanted.laid);
        if laid.is_none_or(|laid| !laid.plain && !laid.spread) {
            // Nothing newer will come.
            self.drop_stale();
        }
    }

    pub(super) fn decoded(&mut self, id: u64, side: Side, particle: usize, picture: Arc<Raster>) {
        if self.is_wanted_id(id) {
            self.decoded.insert((side, particle), picture);
        }
    }

    pub(super) fn spread(&mut self, id: u64, spread: Spread) {
        if self.is_wanted_id(id) {
            self.spread = Some(spread);
        }
    }

    pub(super) fn finished(&mut self, id: u64) {
        if self.is_wanted_id(id) {
            self.halt();
        }
    }

    pub(super) fn failed(&mut self, id: u64, error: String) {
        if self.is_wanted_id(id) {
            self.halt();
            self.phase = Phase::Failed(error);
        }
    }
}
