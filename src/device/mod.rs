//! Where networks run: the processor, or a graphics card through wgpu or CUDA.
//!
//! [`adapters`] lists the cards, [`Target`] is one of them (or the processor) opened, in one precision.
//! Which to take is decided by `doctor`, which knows whether a card computes rightly.

mod adapter;
mod cuda;
mod memory;
mod target;
mod wgpu;

use std::fmt;
use std::str::FromStr;

#[cfg(test)]
pub(crate) use adapter::tests::imagined;
pub use adapter::{Adapter, AdapterId, Kind, adapters};
pub use memory::{Budget, memory_budget, peak_memory, release_memory, use_threads};
pub use target::{Fault, Limits, Place, Target};

/// What `--device` may say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The best that works here.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// A graphics card, by number where there are several.
    Gpu(Option<usize>),
    /// Every graphics card, each with pictures of its own.
    AllGpus,
    /// A graphics card through CUDA.
    Cuda(Option<usize>),
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeviceChoice::Auto => f.write_str("auto"),
            DeviceChoice::Cpu => f.write_str("cpu"),
            DeviceChoice::AllGpus => f.write_str("gpu:all"),
            DeviceChoice::Gpu(None) => f.write_str("gpu"),
            DeviceChoice::Gpu(Some(number)) => write!(f, "gpu:{number}"),
            DeviceChoice::Cuda(None) => f.write_str("cuda"),
            DeviceChoice::Cuda(Some(number)) => write!(f, "cuda:{number}"),
        }
    }
}

impl FromStr for DeviceChoice {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, number) = match text.split_once(':') {
            Some((kind, number)) => (kind, Some(number)),
            None => (text, None),
        };
        if (kind, number) == ("gpu", Some("all")) {
            return Ok(DeviceChoice::AllGpus);
        }
        let number = number.map(str::parse::<usize>).transpose();
        match (kind, number) {
            ("auto", Ok(None)) => Ok(DeviceChoice::Auto),
            ("cpu", Ok(None)) => Ok(DeviceChoice::Cpu),
            ("gpu", Ok(number)) => Ok(DeviceChoice::Gpu(number)),
            ("cuda", Ok(number)) => Ok(DeviceChoice::Cuda(number)),
            _ => Err("use auto, cpu, gpu, gpu:N, gpu:all, cuda or cuda:N".into()),
        }
    }
}

/// The precision that networks compute in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Precision {
    /// The best that works on the device
    #[default]
    Auto,
    /// 32-bit
    F32,
    /// 16-bit, for graphics cards
    F16,
}
