//! The processor's memory and threads.

use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System};

use crate::error::{Error, Result};

/// Bytes of freed memory that the allocator keeps for the next layer.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const KEPT_BYTES: i32 = 256 << 20;

/// Bytes that a run may take beyond the loaded model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Of the machine's memory.
    pub host: u64,
    /// Of the memory that the device computes in.
    pub device: u64,
    /// Whether that is the machine's, so that what lies there counts as the host's, too.
    pub shared: bool,
}

impl Budget {
    /// `bytes` of the machine's memory, which the device computes in and has no part of its own in.
    pub fn shared(bytes: u64) -> Self {
        Budget {
            host: bytes,
            device: u64::MAX,
            shared: true,
        }
    }
}

/// Lets layers follow each other in the same memory. glibc by default returns every large block to
/// the system and gets it back page by page, which costs a tenth of a network's time.
pub(super) fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: these only set the allocator's parameters.
    unsafe {
        libc::mallopt(libc::M_MMAP_MAX, 0);
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT_BYTES);
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Gives what was freed back to the system, so that it does not count as held.
pub fn release_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it takes a number and touches only what is free.
    unsafe {
        libc::malloc_trim(0);
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
        if system.total_memory() == 0 {
            // Without /proc the system does not tell.
            return u64::MAX;
        }
        let free = system.available_memory();
        // What a container calls used holds files that were read, and those give way.
        return system.cgroup_limits().map_or(free, |limits| {
            limits.total_memory.saturating_sub(limits.rss).min(free)
        });
    };
    limit.saturating_sub(held())
}

/// The most bytes that this process has held so far, where the system tells (Linux), else what it holds now.
pub fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| {
        let kibibytes = line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?;
        Some(kibibytes.parse::<u64>().ok()? << 10)
    });
    peak.or_else(|| Some(held()).filter(|&bytes| bytes > 0))
}

/// Bytes that this process holds; 0 where that is not known.
fn held() -> u64 {
    let (Ok(mut system), Ok(pid)) = (System::new(), sysinfo::get_current_pid()) else {
        return 0;
    };
    system.refresh_processes_specifics(
        ProcessesToUpdate::Some(&[pid]),
        false,
        ProcessRefreshKind::nothing().with_memory(),
    );
    system.process(pid).map_or(0, |process| process.memory())
}
