//! Which file each result becomes, decided before anything is computed.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use crate::error::{Error, Result};
use crate::image_io::{Format, ImageError, WriteError};

/// What to do when a result's file exists already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OnConflict {
    /// Report it as a failure of this picture
    Error,
    /// Leave the picture out
    Skip,
    /// Add a number to the name
    Unique,
    /// Replace the file
    Overwrite,
}

/// One picture's way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// The picture.
    pub input: PathBuf,
    /// The result, before numbers for particles or uniqueness are added.
    pub output: PathBuf,
    /// By the output's ending.
    pub format: Format,
    /// What to do if it exists.
    pub on_conflict: OnConflict,
}

/// Plans all results; `output` is what `-o` named.
///
/// # Errors
/// [`Error::Paths`] or [`Error::Image`] if a folder is missing, an ending unknown, two results would
/// have one name, or a result would replace an input.
pub fn plan(
    inputs: &[PathBuf],
    output: Option<&Path>,
    on_conflict: Option<OnConflict>,
) -> Result<Vec<Task>> {
    if inputs.is_empty() {
        return Err(Error::Paths(
            "no picture is named: say which files to enlarge".into(),
        ));
    }
    let as_folder = output.is_some_and(|path| names_a_folder(path, inputs.len()));
    let explicit_file = output.is_some() && !as_folder;
    let on_conflict = on_conflict.unwrap_or(if explicit_file {
        OnConflict::Overwrite
    } else {
        OnConflict::Error
    });
    if let Some(path) = output {
        check_place(path, as_folder)?;
    }
    let tasks = inputs
        .iter()
        .map(|input| {
            let output = match output {
                Some(file) if explicit_file => file.to_path_buf(),
                Some(folder) => folder.join(enlarged_name(input)),
                None => input.with_file_name(enlarged_name(input)),
            };
            Ok(Task {
                input: input.clone(),
                format: Format::from_path(&output)?,
                output,
                on_conflict,
            })
        })
        .collect::<Result<Vec<_>>>()?;
    check_collisions(&tasks)?;
    Ok(tasks)
}

/// Whether `-o` means a folder: for several pictures, if it is one, or if it ends in a separator.
fn names_a_folder(path: &Path, inputs: usize) -> bool {
    let text = path.as_os_str().as_encoded_bytes();
    inputs > 1
        || path.is_dir()
        || text
            .last()
            .is_some_and(|&b| std::path::is_separator(b.into()))
}

fn check_place(path: &Path, as_folder: bool) -> Result<()> {
    if as_folder && path.exists() && !path.is_dir() {
        return Err(Error::Paths(format!(
            "{} is a file; several results need a folder: name one with -o",
            path.display()
        )));
    }
    refuse_missing_folder(path, &format!("the output {}", path.display()))
}

/// An error if the folder that `path` lies in does not exist; `what` says what it is for.
pub fn refuse_missing_folder(path: &Path, what: &str) -> Result<()> {
    let folder = folder_of(path);
    if folder.is_dir() {
        return Ok(());
    }
    Err(Error::Paths(format!(
        "the folder {} for {what} does not exist: create it first",
        folder.display()
    )))
}

/// The folder that `path` lies in.
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        // The root is its own folder.
        None => path,
    }
}

/// `{stem}_x4.{ext}`, or PNG where the input's own format is not written.
pub fn enlarged_name(input: &Path) -> OsString {
    let mut name = input.file_stem().unwrap_or_default().to_os_string();
    name.push("_x4.");
    match input.extension() {
        Some(ending) if Format::from_path(input).is_ok() => name.push(ending),
        _ => name.push("png"),
    }
    name
}

fn check_collisions(tasks: &[Task]) -> Result<()> {
    let key = |path: &Path| -> OsString {
        // Folders that hold names in any letter case are usual where these systems run.
        if cfg!(any(windows, target_os = "macos")) {
            path.as_os_str().to_ascii_lowercase()
        } else {
            path.as_os_str().to_os_string()
        }
    };
    let mut seen = std::collections::HashMap::new();
    for task in tasks {
        if let Some(other) = seen.insert(key(&task.output), &task.input) {
            return Err(Error::Paths(format!(
                "{} and {} would both become {}: enlarge them in two runs or rename one",
                other.display(),
                task.input.display(),
                task.output.display()
            )));
        }
    }
    for task in tasks
        .iter()
        .filter(|t| t.on_conflict == OnConflict::Overwrite)
    {
        refuse_over_inputs(&task.output, tasks.iter().map(|t| t.input.as_path()))?;
    }
    Ok(())
}

/// An error if something stands at `output` that no file can replace, such as a folder or a pipe.
pub fn refuse_no_file(output: &Path) -> Result<()> {
    match output.metadata() {
        Ok(found) if !found.is_file() => {
            let path = output.to_path_buf();
            Err(ImageError::from(WriteError::NotAFile { path }).into())
        }
        _ => Ok(()),
    }
}

/// An error if `output` is one of `inputs`, whatever links and letter case say.
pub fn refuse_over_inputs<'a>(
    output: &Path,
    mut inputs: impl Iterator<Item = &'a Path>,
) -> Result<()> {
    match inputs.find(|input| is_same(input, output)) {
        Some(input) => Err(Error::Paths(format!(
            "{} is the input {} itself; inputs are never replaced: choose another output",
            output.display(),
            input.display()
        ))),
        None => Ok(()),
    }
}

/// Whether both name one file, or would on a disk that does not tell upper from lower case.
pub fn is_same(input: &Path, output: &Path) -> bool {
    let folder = |path: &Path| folder_of(path).canonicalize().ok();
    let name = |path: &Path| Some(path.file_name()?.to_string_lossy().to_lowercase());
    let equal_names = name(input).is_some_and(|input| Some(input) == name(output));
    // Looking into a pipe would wait for its other end.
    let both_files = input.is_file() && output.is_file();
    (equal_names && folder(input) == folder(output))
        || (both_files && same_file::is_same_file(input, output).unwrap_or(false))
}

/// `photo_x4.png` with `suffix` before the ending.
pub fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_stem().unwrap_or_default().to_os_string();
    name.push(suffix);
    if let Some(ending) = path.extension() {
        name.push(".");
        name.push(ending);
    }
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(names: &[&str]) -> Vec<PathBuf> {
        names.iter().map(PathBuf::from).collect()
    }

    fn outputs(names: &[&str], output: Option<&str>) -> Result<Vec<String>> {
        let tasks = plan(&paths(names), output.map(Path::new), None)?;
        let name = |task: Task| task.output.display().to_string();
        Ok(tasks.into_iter().map(name).collect())
    }

    #[test]
    fn results_lie_beside_their_inputs() {
        let got = outputs(&["a/b.JPG", "c.bmp", "d", "e.f.png"], None).unwrap();
        assert_eq!(got, ["a/b_x4.JPG", "c_x4.png", "d_x4.png", "e.f_x4.png"]);
    }

    #[test]
    fn one_picture_has_a_file_and_several_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name).display().to_string();
        let got = outputs(&["a.png"], Some(&place("x.tif"))).unwrap();
        assert_eq!(got, [place("x.tif")]);
        let got = outputs(&["a.png", "b.png"], Some(&place("new"))).unwrap();
        assert_eq!(got, [place("new/a_x4.png"), place("new/b_x4.png")]);
        let got = outputs(&["a.png"], Some(&place(""))).unwrap();
        assert_eq!(got, [place("a_x4.png")]);
    }

    #[test]
    fn what_cannot_work_is_refused_first() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let file = file.display().to_string();
        for (inputs, output, word) in [
            (&["a/x.png", "b/x.png"][..], Some("out"), "both become"),
            (&["a.png", "a.png"], None, "both become"),
            (&["a.png"], Some("missing/folder/a.png"), "does not exist"),
            (&["a.png"], Some("a.xyz"), "must end in"),
            (&["a.png", "b.png"], Some(file.as_str()), "is a file"),
            (&[], None, "no picture"),
        ] {
            let error = outputs(inputs, output).expect_err(word).to_string();
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn an_input_is_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let input = folder.path().join("photo.png");
        std::fs::write(&input, "x").unwrap();
        let alias = |name| folder.path().join(name);
        let mut aliases = vec![input.clone(), alias("./photo.png"), alias("PHOTO.Png")];
        #[cfg(unix)]
        {
            let link = folder.path().join("link.png");
            std::os::unix::fs::symlink(&input, &link).unwrap();
            aliases.push(link);
        }
        for output in aliases {
            let error = plan(std::slice::from_ref(&input), Some(&output), None).unwrap_err();
            assert!(error.to_string().contains("never replaced"), "{error}");
        }
    }
}
