//! What settings cost, and how large a part of the picture can be tried in a few seconds.

use super::{QUICK, State};
use crate::app::worker::Ready;
use crate::device::Budget;
use crate::pipeline::{Ask, Canvas, Plan, Region, grid_of};
use crate::settings::Settings;

/// Seconds that trying something should take.
const TRIAL_SECONDS: f64 = 3.0;
/// Longest side of the part where things are tried, in pixels of the input: what fits a screen at 100 %.
const LONGEST_TRIAL: usize = 384;

/// What the whole picture costs.
#[derive(Clone, Debug, PartialEq)]
pub struct Cost {
    /// Seconds.
    pub seconds: f64,
    /// Bytes beside the model.
    pub bytes: f64,
    /// Why it cannot be done at all.
    pub refused: Option<String>,
}

impl State {
    /// What enlarging the whole picture with the settings as they stand costs.
    pub fn cost(&self) -> Option<Cost> {
        let (ready, input) = (self.ready()?, self.input.as_ref()?);
        let canvas = Canvas::new(input.rgb.width, input.rgb.height, ready.multiple);
        let ask = Ask::of(&self.settings, Budget::shared(u64::MAX));
        let plan = Plan::new(&ready.estimator, &canvas, &ask);
        Some(Cost {
            seconds: ready.estimator.work(&canvas, &self.settings) / ready.rate,
            bytes: plan.as_ref().map_or(0.0, |plan| plan.peak_bytes),
            refused: plan.err().map(|error| error.to_string()),
        })
    }

    /// Seconds that trying the settings as they stand takes.
    pub fn trial_seconds(&self) -> Option<f64> {
        let region = self.snapped_region()?;
        Some(seconds(
            self.ready()?,
            region.width,
            region.height,
            &self.settings,
        ))
    }

    /// Whether the whole picture's comparison with plain sampling takes no more than half a minute.
    pub fn whole_is_quick(&self) -> bool {
        let (Some(ready), Some(input)) = (self.ready(), &self.input) else {
            return false;
        };
        let canvas = Canvas::new(input.rgb.width, input.rgb.height, ready.multiple);
        let settings = self.whole.settings().unwrap_or(&self.settings);
        ready.estimator.work(&canvas, settings) / ready.rate <= QUICK
    }

    /// The region as it will be drawn.
    pub fn snapped_region(&self) -> Option<Region> {
        let (ready, input) = (self.ready()?, self.input.as_ref()?);
        let step = grid_of(&self.settings, ready.multiple);
        Some(self.region?.on_grid(step, &input.rgb))
    }

    /// A square around a point of the input that is drawn in about three seconds.
    pub(super) fn region_around(&self, x: f64, y: f64) -> Option<Region> {
        let (ready, input) = (self.ready()?, self.input.as_ref()?);
        let step = grid_of(&self.settings, ready.multiple);
        let mut side = step;
        while side + step <= LONGEST_TRIAL
            && seconds(ready, side + step, side + step, &self.settings) <= TRIAL_SECONDS
        {
            side += step;
        }
        let start = |centre: f64, size: usize| {
            let start = (centre - side as f64 / 2.0).max(0.0) as usize;
            start.min(size.saturating_sub(side))
        };
        let (width, height) = (input.rgb.width, input.rgb.height);
        Some(Region {
            left: start(x, width),
            top: start(y, height),
            width: side.min(width),
            height: side.min(height),
        })
    }
}

/// Seconds for a region of this size, its surroundings included.
fn seconds(ready: &Ready, width: usize, height: usize, settings: &Settings) -> f64 {
    let seen = |side: usize| side + 2 * crate::pipeline::MARGIN;
    let canvas = Canvas::new(seen(width), seen(height), ready.multiple);
    ready.estimator.work(&canvas, settings) / ready.rate
}
