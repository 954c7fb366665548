//! What a run says while it works, and how it is stopped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, Result};

/// Something that happened during a run. A consumer must not block: pass it on or draw it.
#[derive(Clone, Debug)]
pub enum Event {
    /// Sampling begins.
    Started {
        /// Sampling steps.
        steps: usize,
        /// Particles drawn together.
        particles: usize,
        /// Particles per network evaluation.
        batch: usize,
        /// Latent cells that the network sees of each.
        cells: usize,
    },
    /// Part of the work is done, 0..=1, in proportion to arithmetic.
    Progress(f64),
    /// A step is finished.
    Step {
        /// Its number, from 0.
        index: usize,
        /// The training step it stood at.
        timestep: usize,
        /// How strongly particles were steered.
        gamma: f64,
        /// The root mean square distance of two particles' clean latents before steering, per value;
        /// 0 with one particle.
        distance: f64,
        /// The particles' clean latents as quick pictures: as many as were asked for.
        previews: Vec<Rgb>,
    },
    /// Something that the person should know.
    Warning(String),
}

/// A picture as values: sRGB-encoded, 0..=1, `[H, W, 3]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Rgb {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Row-major, interleaved.
    pub values: Vec<f32>,
}

/// A flag that stops a run before its next network evaluation or round of finishing.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Stops every run that holds this flag.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was raised.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn check(&self) -> Result<()> {
        if self.is_cancelled() {
            Err(Error::Cancelled)
        } else {
            Ok(())
        }
    }
}
