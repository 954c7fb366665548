//! What a file held when it was read.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::super::json_path;

/// What a file held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// Where.
    #[serde(with = "json_path")]
    pub path: PathBuf,
    /// Its length.
    pub bytes: u64,
    /// When it was last written, in nanoseconds since 1970; 0 where the system does not tell.
    pub modified: u64,
    /// SHA-256 of its content, in hexadecimal digits.
    pub sha256: String,
}

impl Stamp {
    /// Reads all of `file`; the stamp is for `path`.
    pub fn of(file: &Path, path: &Path) -> io::Result<Self> {
        let (bytes, modified) = looks(file)?;
        Ok(Stamp {
            path: path.to_path_buf(),
            bytes,
            modified,
            sha256: hash(file)?,
        })
    }

    /// Whether `file` still holds this. One that looks untouched, by length and time, is not read.
    pub fn fits(&self, file: &Path) -> bool {
        let Ok((bytes, modified)) = looks(file) else {
            return false;
        };
        let untouched = modified != 0 && modified == self.modified;
        bytes == self.bytes && (untouched || hash(file).is_ok_and(|hash| hash == self.sha256))
    }
}

/// Length and time of a file.
pub(super) fn looks(file: &Path) -> io::Result<(u64, u64)> {
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let modified = found.modified().ok();
    let since = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    Ok((
        found.len(),
        since.map_or(0, |since| since.as_nanos() as u64),
    ))
}

/// SHA-256 of a file's content, in hexadecimal digits.
pub fn hash(file: &Path) -> io::Result<String> {
    let mut digest = Sha256::new();
    io::copy(&mut File::open(file)?, &mut digest)?;
    let digits = digest.finalize().into_iter();
    Ok(digits.map(|byte| format!("{byte:02x}")).collect())
}
