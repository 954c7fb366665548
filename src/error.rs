//! The program's errors: each says what is wrong, where, and what to do about it.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use burn::tensor::{ExecutionError, TensorReadError};

use crate::image_io::ImageError;

/// Everything that can go wrong, sorted by what it stops.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting is out of range or contradicts another one. Nothing was started.
    #[error("{0}")]
    Setting(String),
    /// The model folder, one of its files, or its content cannot be used. Nothing was started.
    #[error("model {}: {what}", .at.display())]
    Model {
        /// The file or folder at fault.
        at: PathBuf,
        /// What is wrong there, and what to do.
        what: String,
    },
    /// The model is not on this machine and could not be downloaded. Nothing was started.
    #[error("model {name}: {what}")]
    Hub {
        /// The hub name, such as `owner/name`.
        name: String,
        /// What is wrong, and what to do.
        what: String,
    },
    /// The device does not exist here. Nothing was started.
    #[error("{0}")]
    Device(String),
    /// Inputs and outputs do not fit together (missing folder, a result over an input …).
    #[error("{0}")]
    Paths(String),
    /// A picture could not be read or written.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A latents file cannot be used for this run.
    #[error("latents {}: {what}", .at.display())]
    Latents {
        /// The safetensors file.
        at: PathBuf,
        /// What is wrong, and what to do.
        what: String,
    },
    /// The run needs more memory than it may use.
    #[error("{0}")]
    Memory(String),
    /// The finished picture failed the plausibility check and was not written.
    #[error("{0}")]
    BadPicture(String),
    /// A computation failed on the device.
    #[error("the computation failed: {0}")]
    Compute(String),
    /// The device is gone, and everything that was on it.
    #[error("the device was lost: {0}")]
    DeviceLost(String),
    /// The user cancelled.
    #[error("interrupted")]
    Cancelled,
}

impl Error {
    /// A model error at `at`.
    pub fn model(at: impl AsRef<Path>, what: impl Into<String>) -> Self {
        Error::Model {
            at: at.as_ref().to_path_buf(),
            what: what.into(),
        }
    }

    /// What burn says when a tensor cannot be read.
    pub(crate) fn reading(error: TensorReadError) -> Self {
        match error {
            TensorReadError::Execution(ExecutionError::DevicePoisoned { reason }) => {
                Error::DeviceLost(reason)
            }
            other => Error::Compute(other.to_string()),
        }
    }

    /// A latents error at `at`.
    pub fn latents(at: impl AsRef<Path>, what: impl Into<String>) -> Self {
        Error::Latents {
            at: at.as_ref().to_path_buf(),
            what: what.into(),
        }
    }
}

/// What `compute` returns; a panic, which is how burn tells that a device failed, becomes an error.
pub(crate) fn caught<T>(compute: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(compute))
        .unwrap_or_else(|panic| Err(Error::Compute(words_of(&*panic).into())))
}

/// What a panic said.
pub fn words_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no reason given")
}

/// Shorthand for results with this program's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;
