//! The lines of a journal. `docs/batches.md` describes them.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::json_path;
use super::{Recipe, Stamp};

/// The version of the lines.
pub const VERSION: u32 = 1;
pub const PREFIX: &str = ".minkds-journal-";
pub const SUFFIX: &str = ".jsonl";
/// Bytes of a line; a longer one is not ours.
pub const LONGEST_LINE: u64 = 1 << 22;

/// One picture's results, known before they get their names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The result that was planned, from the journal's folder: what the entry is found by.
    #[serde(with = "json_path")]
    pub task: PathBuf,
    /// What was enlarged.
    pub input: Stamp,
    /// The files, from the journal's folder.
    pub outputs: Vec<Stamp>,
}

/// A line of a journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// The first: whose it is.
    Run(Head),
    /// These files are finished and get their names now.
    Finishing(Entry),
    /// They have them.
    Finished {
        #[serde(with = "json_path")]
        task: PathBuf,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Head {
    pub version: u32,
    pub program: String,
    pub host: String,
    pub process: u32,
    /// Seconds since 1970.
    pub started: u64,
    /// What the names of its unfinished files begin with.
    pub parts: String,
    pub recipe: Recipe,
}

/// `path` from `folder`, where it lies below it.
pub fn key(folder: &Path, path: &Path) -> PathBuf {
    if let Ok(below) = path.strip_prefix(folder) {
        return below.to_path_buf();
    }
    match folder == Path::new(".") && path.is_relative() {
        true => path.to_path_buf(),
        false => std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf()),
    }
}

/// The number of a format that is not this one.
pub fn foreign_version(line: &[u8]) -> Option<u64> {
    let line: Value = serde_json::from_slice(line).ok()?;
    let version = line.get("run")?.get("version")?.as_u64()?;
    (version != u64::from(VERSION)).then_some(version)
}

/// Whether a file of this name is a journal.
pub fn is_journal(name: &OsStr) -> bool {
    let name = name.to_str();
    name.is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX))
}

/// What this machine is called.
pub fn host() -> String {
    gethostname::gethostname().to_string_lossy().into_owned()
}

/// One line, on the disk when this returns.
pub fn write(file: &mut File, line: &Line) -> io::Result<()> {
    let mut bytes = serde_json::to_vec(line)?;
    bytes.push(b'\n');
    file.write_all(&bytes)?;
    file.sync_data()
}
