//! Picking a device, and how much memory a run may use.

use std::str::FromStr;

use burn::tensor::Device;
use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System};

use crate::error::{Error, Result};

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
    /// A graphics card through CUDA.
    Cuda(Option<usize>),
}

impl FromStr for DeviceChoice {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, number) = match text.split_once(':') {
            Some((kind, number)) => (kind, Some(number)),
            None => (text, None),
        };
        let number = number.map(str::parse::<usize>).transpose();
        match (kind, number) {
            ("auto", Ok(None)) => Ok(DeviceChoice::Auto),
            ("cpu", Ok(None)) => Ok(DeviceChoice::Cpu),
            ("gpu", Ok(number)) => Ok(DeviceChoice::Gpu(number)),
            ("cuda", Ok(number)) => Ok(DeviceChoice::Cuda(number)),
            _ => Err("use auto, cpu, gpu, gpu:N, cuda or cuda:N".into()),
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

/// Bytes of freed memory that the allocator keeps for the next layer.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const KEPT_BYTES: i32 = 256 << 20;

/// Opens the device for `choice` and `precision`.
pub fn open(choice: DeviceChoice, precision: Precision) -> Result<Device> {
    if precision == Precision::F16 {
        return Err(Error::Device(
            "precision f16 needs a graphics card, which this version does not use yet: leave \
             --precision out or say f32"
                .into(),
        ));
    }
    match choice {
        DeviceChoice::Auto | DeviceChoice::Cpu => {
            keep_freed_memory();
            Ok(Device::flex())
        }
        DeviceChoice::Gpu(_) | DeviceChoice::Cuda(_) => Err(Error::Device(
            "this version computes on the CPU only and does not use graphics cards yet: leave \
             --device out or say --device cpu"
                .into(),
        )),
    }
}

/// Lets layers follow each other in the same memory. glibc by default returns every large block to
/// the system and gets it back page by page, which costs a tenth of a network's time.
fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: these only set the allocator's parameters.
    unsafe {
        libc::mallopt(libc::M_MMAP_MAX, 0);
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT_BYTES);
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Uses `threads` processor threads, all of them if `None`. Call once, first.
pub fn use_threads(threads: Option<usize>) -> Result<()> {
    let Some(threads) = threads else {
        return Ok(());
    };
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()
        .map_err(|e| Error::Device(format!("cannot start {threads} threads: {e}")))
}

/// Bytes of memory that a run may take on top of what the program holds already: up to `limit` for
/// the whole program, else what the machine (or the container it runs in) has free.
pub fn memory_budget(limit: Option<u64>) -> u64 {
    let Ok(mut system) = System::new() else {
        // Nothing is known about this machine: believe the person.
        return limit.unwrap_or(u64::MAX);
    };
    let Some(limit) = limit else {
        system.refresh_memory();
        let free = system.available_memory();
        return system
            .cgroup_limits()
            .map_or(free, |limits| limits.free_memory.min(free));
    };
    let held = sysinfo::get_current_pid().map_or(0, |pid| {
        system.refresh_processes_specifics(
            ProcessesToUpdate::Some(&[pid]),
            false,
            ProcessRefreshKind::nothing().with_memory(),
        );
        system.process(pid).map_or(0, |process| process.memory())
    });
    limit.saturating_sub(held)
}
