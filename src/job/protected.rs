//! Files that no result may replace: the inputs, whatever they are called.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::outputs::folder_of;
use crate::error::{Error, Result};

/// Files that no result may replace.
#[derive(Clone, Debug, Default)]
pub struct Protected {
    files: Vec<PathBuf>,
    /// Their folders, where links lead, with their names in lower case.
    names: HashMap<(PathBuf, String), usize>,
    /// Their numbers in the file system, where it has some, whatever they are called.
    numbers: HashMap<(u64, u64), usize>,
}

impl Protected {
    /// Looks at `files` once, so that many results are compared with many inputs in little time.
    pub fn new<'a>(files: impl IntoIterator<Item = &'a Path>) -> Self {
        let mut protected = Protected::default();
        let mut folders = HashMap::new();
        for (index, file) in files.into_iter().enumerate() {
            protected.files.push(file.to_path_buf());
            if let Some(name) = lower_name(file) {
                let folder = folder_of(file).to_path_buf();
                let folder =
                    (folders.entry(folder)).or_insert_with_key(|folder| folder.canonicalize().ok());
                if let Some(folder) = folder {
                    protected.names.insert((folder.clone(), name), index);
                }
            }
            if let Some(number) = file_number(file) {
                protected.numbers.insert(number, index);
            }
        }
        protected
    }

    /// An error if `output` is one of the files, whatever links and letter case say.
    pub fn refuse(&self, output: &Path) -> Result<()> {
        let by_name = || {
            let folder = folder_of(output).canonicalize().ok()?;
            self.names.get(&(folder, lower_name(output)?)).copied()
        };
        let by_number = || self.numbers.get(&file_number(output)?).copied();
        // Where files have no numbers, all must be opened; most results do not exist yet.
        let by_opening = || {
            let opened = cfg!(not(unix)) && output.is_file();
            let mut all = self.files.iter().filter(|_| opened);
            all.position(|file| is_same(file, output))
        };
        let found = by_name().or_else(by_number).or_else(by_opening);
        match found.and_then(|index| self.files.get(index)) {
            Some(input) => Err(Error::Paths(format!(
                "{} is the input {} itself; inputs are never replaced: choose another output",
                output.display(),
                input.display()
            ))),
            None => Ok(()),
        }
    }
}

fn lower_name(path: &Path) -> Option<String> {
    Some(path.file_name()?.to_string_lossy().to_lowercase())
}

#[cfg(unix)]
fn file_number(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    let found = path.metadata().ok().filter(|found| found.is_file())?;
    Some((found.dev(), found.ino()))
}

#[cfg(not(unix))]
fn file_number(_: &Path) -> Option<(u64, u64)> {
    None
}

/// Whether both name one file, or would on a disk that does not tell upper from lower case.
pub fn is_same(input: &Path, output: &Path) -> bool {
    let folder = |path: &Path| folder_of(path).canonicalize().ok();
    let name = |path: &Path| lower_name(path);
    let equal_names = name(input).is_some_and(|input| Some(input) == name(output));
    // Looking into a pipe would wait for its other end.
    let both_files = input.is_file() && output.is_file();
    (equal_names && folder(input) == folder(output))
        || (both_files && same_file::is_same_file(input, output).unwrap_or(false))
}
