//! Where a window keeps its finished runs: a folder of its own in the user's cache, removed at the end,
//! or, if the program was killed, by the next window.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Held for as long as the window lives, so that other windows can tell.
const LOCK: &str = "lock";

/// The folder.
pub struct Session {
    folder: tempfile::TempDir,
    _lock: File,
}

impl Session {
    /// Makes a folder in `cache` and removes those whose windows are gone.
    ///
    /// # Errors
    /// [`Error::Paths`] where nothing can be written there.
    pub fn open(cache: &Path) -> Result<Self> {
        let runs = cache.join("minkds").join("runs");
        let refused = |error: std::io::Error| {
            Error::Paths(format!(
                "finished runs cannot be kept in {}: {error}; make room there, or set XDG_CACHE_HOME to another folder",
                runs.display()
            ))
        };
        fs::create_dir_all(&runs).map_err(refused)?;
        remove_orphans(&runs);
        let folder = tempfile::Builder::new()
            .prefix("window-")
            .tempdir_in(&runs)
            .map_err(refused)?;
        let lock = File::create(folder.path().join(LOCK)).map_err(refused)?;
        // A file system without locks costs another window's runs at most.
        let _ = lock.try_lock();
        Ok(Session {
            folder,
            _lock: lock,
        })
    }

    /// The file of run number `run`.
    pub fn file(&self, run: u64) -> PathBuf {
        self.folder.path().join(format!("run-{run}.png"))
    }
}

fn remove_orphans(runs: &Path) {
    let folders = fs::read_dir(runs).into_iter().flatten().flatten();
    for folder in folders.map(|entry| entry.path()) {
        // A folder without a lock may be one that is being made at this moment.
        let Ok(lock) = File::open(folder.join(LOCK)) else {
            continue;
        };
        if lock.try_lock().is_ok() {
            let _ = fs::remove_dir_all(&folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_that_were_killed_leave_nothing_for_long() {
        let cache = tempfile::tempdir().unwrap();
        let living = Session::open(cache.path()).unwrap();
        fs::write(living.file(1), "x").unwrap();
        let killed = Session::open(cache.path()).unwrap();
        let file = killed.file(1);
        fs::write(&file, "x").unwrap();
        drop(killed._lock);
        let kept = killed.folder.keep();
        assert!(kept.exists());
        let _next = Session::open(cache.path()).unwrap();
        assert!(!file.exists() && living.file(1).exists());
        let own = living.file(1);
        drop(living);
        assert!(!own.exists());
    }
}
