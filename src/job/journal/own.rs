//! Writing this run's journal.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::line::{Entry, Head, Line, PREFIX, SUFFIX, VERSION, host, key, write};
use super::{Recipe, Stamp};
use crate::error::{Error, Result};
use crate::image_io::part_prefix;

/// The journal of this run. Its file appears before the first picture is computed.
pub struct Journal {
    folder: PathBuf,
    recipe: Recipe,
    file: Option<File>,
    /// The last line may be there in part.
    torn: bool,
}

impl Journal {
    /// For results in or below `folder`.
    pub fn new(folder: &Path, recipe: Recipe) -> Self {
        Journal {
            folder: folder.to_path_buf(),
            recipe,
            file: None,
            torn: false,
        }
    }

    /// Begins the file, if that was not done yet: before anything that bears this process's name is written.
    ///
    /// # Errors
    /// [`Error::Paths`] if that fails.
    pub fn begin(&mut self) -> Result<()> {
        if self.file.is_some() {
            return Ok(());
        }
        let id = part_prefix()
            .trim_start_matches(".minkds-")
            .trim_end_matches('-');
        // A process may run one job after the other.
        let path = |n: u32| self.folder.join(format!("{PREFIX}{id}-{n}{SUFFIX}"));
        let mut n = 0;
        let mut file = loop {
            match OpenOptions::new()
                .create_new(true)
                .append(true)
                .open(path(n))
            {
                Ok(file) => break file,
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => n += 1,
                Err(e) => return Err(self.failed(&e)),
            }
        };
        // Where a file system knows no locks, others must not think that this process is gone.
        let locked = file.lock().is_ok();
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let head = Head {
            version: VERSION,
            program: format!("minkds {}", env!("CARGO_PKG_VERSION")),
            host: if locked { host() } else { String::new() },
            process: std::process::id(),
            started: since.map_or(0, |since| since.as_secs()),
            parts: part_prefix().into(),
            recipe: self.recipe.clone(),
        };
        write(&mut file, &Line::Run(head)).map_err(|e| self.failed(&e))?;
        self.file = Some(file);
        Ok(())
    }

    /// `outputs`, stamped as they will be called, are about to get their names.
    ///
    /// # Errors
    /// [`Error::Paths`] if that cannot be written down.
    pub fn finishing(&mut self, task: &Path, input: Stamp, outputs: &[Stamp]) -> Result<()> {
        let here = |stamp: &Stamp| Stamp {
            path: key(&self.folder, &stamp.path),
            ..stamp.clone()
        };
        self.add(&Line::Finishing(Entry {
            task: key(&self.folder, task),
            input,
            outputs: outputs.iter().map(here).collect(),
        }))
    }

    /// They have them.
    ///
    /// # Errors
    /// Those of [`Journal::finishing`].
    pub fn finished(&mut self, task: &Path) -> Result<()> {
        let task = key(&self.folder, task);
        self.add(&Line::Finished { task })
    }

    fn add(&mut self, line: &Line) -> Result<()> {
        self.begin()?;
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        let whole = if self.torn {
            file.write_all(b"\n")
        } else {
            Ok(())
        };
        let written = whole.and_then(|()| write(file, line));
        self.torn = written.is_err();
        written.map_err(|e| self.failed(&e))
    }

    fn failed(&self, error: &io::Error) -> Error {
        Error::Paths(format!(
            "cannot write the journal in {}: {error}; choose a folder you may write to, with room in it",
            self.folder.display()
        ))
    }
}
