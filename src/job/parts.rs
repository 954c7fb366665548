//! Results on the disk: encoded without a name first, then given their names, all of a picture's or none.

use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempPath;

use super::journal::Stamp;
use super::outputs::{OnConflict, Task, folder_of, with_suffix};
use crate::error::{Error, Result};
use crate::image_io::{self, Existing, ImageError, Picture, Saving, WriteError};

/// A file that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Where.
    pub path: PathBuf,
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Its length.
    pub bytes: u64,
}

/// A result that is on the disk, but has no name yet.
pub(super) struct Part {
    /// Where it is, until it has its name.
    pub(super) file: Option<TempPath>,
    /// What it becomes.
    pub(super) target: PathBuf,
    /// What may be there.
    pub(super) existing: Existing,
    /// Width and height.
    pub(super) size: (usize, usize),
}

impl Part {
    /// What the file will be known by.
    pub(super) fn stamp(&self) -> Option<Result<Stamp>> {
        let file = self.file.as_ref()?;
        Some(Stamp::of(file, &self.target).map_err(|cause| failed(&self.target, cause)))
    }
}

fn failed(target: &Path, cause: io::Error) -> Error {
    let path = target.to_path_buf();
    ImageError::from(WriteError::Failed { path, cause }).into()
}

/// An empty file for what is to become `target`: an error if it cannot be written there.
pub(super) fn unnamed(target: &Path) -> Result<TempPath> {
    let part = image_io::new_part(target).map_err(|cause| failed(target, cause))?;
    Ok(part.into_temp_path())
}

/// Encodes a picture that is to become `target`; and what the format could not keep.
pub(super) fn encode(
    picture: &Picture,
    target: &Path,
    task: &Task,
    saving: &Saving,
) -> Result<(TempPath, Vec<String>)> {
    let saving = Saving {
        existing: Existing::Overwrite,
        ..saving.clone()
    };
    let part = unnamed(target)?;
    match image_io::encode(picture, &part, task.format, &saving) {
        Ok(warnings) => Ok((part, warnings)),
        // A person knows nothing of parts.
        Err(ImageError::Write(WriteError::Failed { cause, .. })) => Err(failed(target, cause)),
        Err(error) => Err(error.into()),
    }
}

/// Gives `parts` their names, all of them or none. `announce` hears which, before they have them. The files,
/// and those among them that were not there before.
pub(super) fn place(
    mut parts: Vec<Part>,
    on_conflict: OnConflict,
    announce: &dyn Fn(&[Part]) -> Result<()>,
) -> Result<(Vec<Written>, Vec<PathBuf>)> {
    let unique = on_conflict == OnConflict::Unique;
    let planned: Vec<PathBuf> = parts.iter().map(|part| part.target.clone()).collect();
    let mut numbers = vec![1; parts.len()];
    let mut choose = |part: &mut Part, index: usize| {
        while unique && part.existing == Existing::Refuse && part.target.symlink_metadata().is_ok()
        {
            numbers[index] += 1;
            part.target = with_suffix(&planned[index], &format!("_{}", numbers[index]));
        }
    };
    for (index, part) in parts.iter_mut().enumerate() {
        choose(part, index);
    }
    announce(&parts)?;
    let (mut written, mut fresh) = (Vec::new(), Vec::new());
    let mut index = 0;
    while let Some(part) = parts.get_mut(index) {
        let Some(file) = part.file.take() else { break };
        let bytes = file.metadata().map_or(0, |found| found.len());
        let is_new = part.target.symlink_metadata().is_err();
        match image_io::place(file, &part.target, part.existing) {
            Ok(()) => {
                if is_new {
                    fresh.push(part.target.clone());
                }
                written.push(Written {
                    path: part.target.clone(),
                    width: part.size.0,
                    height: part.size.1,
                    bytes,
                });
                index += 1;
            }
            // Somebody else took the name just now.
            Err(unplaced) if unique && matches!(unplaced.error, WriteError::Exists { .. }) => {
                part.file = Some(unplaced.part);
                choose(part, index);
                announce(&parts)?;
            }
            Err(unplaced) => {
                remove(&fresh);
                return Err(ImageError::from(unplaced.error).into());
            }
        }
    }
    Ok((written, fresh))
}

/// All of a picture's files or none; what cannot be removed is not ours to mend.
pub(super) fn remove(fresh: &[PathBuf]) {
    for path in fresh {
        let _ = std::fs::remove_file(path);
    }
}

/// Writes `result` as `task` says: its file, and what the format could not keep.
///
/// # Errors
/// [`Error::Image`] if it cannot be written.
pub(crate) fn save(
    result: &Picture,
    task: &Task,
    saving: &Saving,
) -> Result<(PathBuf, Vec<String>)> {
    make_folder(task)?;
    let (file, warnings) = encode(result, &task.output, task, saving)?;
    let part = Part {
        file: Some(file),
        target: task.output.clone(),
        existing: match task.on_conflict {
            OnConflict::Overwrite => Existing::Overwrite,
            _ => Existing::Refuse,
        },
        size: (result.width, result.height),
    };
    let (written, _) = place(vec![part], task.on_conflict, &|_| Ok(()))?;
    let path = written
        .into_iter()
        .next()
        .map_or(task.output.clone(), |written| written.path);
    Ok((path, warnings))
}

/// The folder of a task's result is made if it is missing, with those that it lies in.
pub(super) fn make_folder(task: &Task) -> Result<()> {
    let folder = folder_of(&task.output);
    std::fs::create_dir_all(folder)
        .map_err(|e| Error::Paths(format!("cannot create {}: {e}", folder.display())))
}
