//! Whether a device computes rightly, how fast, and which one to take.
//!
//! A verdict comes from comparing own operations and a whole small run of the bundled model with the
//! processor's results. It is kept in the user's cache folder, by adapter and driver.

mod apart;
mod checks;
mod choose;
mod open;
mod remembered;
mod report;

use burn::tensor::FloatDType;
use serde::{Deserialize, Serialize};

pub use apart::examine_apart;
pub use checks::{examine, measure};
pub use choose::{Chosen, choose};
pub use open::{open, open_all};
pub use remembered::{Key, Remembered};
pub use report::{Finding, Progress, Report, examine_all};

/// One comparison with the processor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// What was compared.
    pub name: String,
    /// The largest difference, relative to the largest value; none where the device failed.
    pub error: Option<f64>,
    /// The most it may be.
    pub limit: f64,
    /// What the device said when it failed.
    pub failure: Option<String>,
    /// Seconds it took, with compiling shaders.
    pub seconds: f64,
}

impl Check {
    /// Whether the device computed rightly.
    pub fn passed(&self) -> bool {
        self.error.is_some_and(|error| error <= self.limit)
    }
}

/// What became of examining one device in one precision.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The comparisons.
    pub checks: Vec<Check>,
    /// Why there are none: it cannot be opened, its driver crashed, it took too long.
    pub failure: Option<String>,
    /// Billions of floating-point operations a second in the bundled network, once warm.
    pub speed: Option<f64>,
}

impl Verdict {
    /// A verdict without comparisons.
    pub fn failed(why: impl Into<String>) -> Self {
        Verdict {
            failure: Some(why.into()),
            ..Verdict::default()
        }
    }

    /// Whether pictures may be made there.
    pub fn passed(&self) -> bool {
        self.failure.is_none() && !self.checks.is_empty() && self.checks.iter().all(Check::passed)
    }

    /// What is wrong, in a few words; nothing if it passed.
    pub fn complaint(&self) -> Option<String> {
        if let Some(failure) = &self.failure {
            return Some(failure.clone());
        }
        let wrong = self.checks.iter().find(|check| !check.passed())?;
        Some(match (&wrong.failure, wrong.error) {
            (Some(failure), _) => format!("{} fails there ({failure})", wrong.name),
            (None, Some(error)) => format!(
                "{} comes out wrong there (off by {error:.1e}, {:.0e} is allowed)",
                wrong.name, wrong.limit
            ),
            (None, None) => format!("{} gives no numbers there", wrong.name),
        })
    }
}

/// `f32` or `f16`, for people and files.
pub fn name_of(floats: FloatDType) -> &'static str {
    match floats {
        FloatDType::F16 => "f16",
        _ => "f32",
    }
}
