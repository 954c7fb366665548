//! Which file each result becomes, decided before anything is computed.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};

use clap::ValueEnum;

use super::inputs::{Input, plain};
use super::protected::Protected;
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
    /// How it is called wherever its folder lies: its path below the folder that was named, else as named.
    pub label: PathBuf,
    /// The result, before numbers for particles or uniqueness are added.
    pub output: PathBuf,
    /// By the output's ending.
    pub format: Format,
    /// What to do if it exists.
    pub on_conflict: OnConflict,
}

/// All results, and where a journal about them belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// One for each input, in their order.
    pub tasks: Vec<Task>,
    /// The folder that all results lie in or below, for journals; none for a single file that was named
    /// itself.
    pub folder: Option<PathBuf>,
}

/// Plans the results of files that are named one by one; `output` is what `-o` named.
///
/// # Errors
/// Those of [`plan_all`].
pub fn plan(
    inputs: &[PathBuf],
    output: Option<&Path>,
    on_conflict: Option<OnConflict>,
) -> Result<Vec<Task>> {
    let inputs: Vec<_> = (inputs.iter())
        .map(|path| Input {
            path: path.clone(),
            below: None,
        })
        .collect();
    Ok(plan_all(&inputs, output, on_conflict, 0)?.tasks)
}

/// Plans all results. `output`, what `-o` named, is a file, a folder, or a pattern, in which `seed` may stand.
/// Below a folder lies the same tree as below the folders and patterns that named the inputs.
///
/// # Errors
/// [`Error::Paths`] or [`Error::Image`] if a folder is missing, an ending or a pattern's word unknown, two
/// results would have one name, or a result would replace an input.
pub fn plan_all(
    inputs: &[Input],
    output: Option<&Path>,
    on_conflict: Option<OnConflict>,
    seed: u64,
) -> Result<Plan> {
    let plan = lay_out(inputs, output, on_conflict, seed)?;
    check_collisions(&plan.tasks)?;
    Ok(plan)
}

/// [`plan_all`], collisions left aside.
pub fn lay_out(
    inputs: &[Input],
    output: Option<&Path>,
    on_conflict: Option<OnConflict>,
    seed: u64,
) -> Result<Plan> {
    if inputs.is_empty() {
        return Err(Error::Paths(
            "no picture is named: say which files to enlarge".into(),
        ));
    }
    let place = Place::of(output, inputs)?;
    let on_conflict = on_conflict.unwrap_or(match place {
        Place::File(_) => OnConflict::Overwrite,
        _ => OnConflict::Error,
    });
    let tasks = (inputs.iter().enumerate())
        .map(|(index, input)| {
            let output = place.result(input, index, inputs.len(), seed)?;
            Ok(Task {
                input: input.path.clone(),
                label: input.below.clone().unwrap_or(input.path.clone()),
                format: Format::from_path(&output)?,
                output,
                on_conflict,
            })
        })
        .collect::<Result<Vec<_>>>()?;
    let folder = match &place {
        Place::File(_) => None,
        Place::Folder(folder) => Some(folder.to_path_buf()),
        Place::Pattern(pattern) => Some(folder_before(pattern).to_path_buf()),
        Place::Beside => {
            let several = tasks.len() > 1 || inputs.iter().any(|input| input.below.is_some());
            several.then(|| common_folder(&tasks))
        }
    };
    Ok(Plan { tasks, folder })
}

/// Where results go.
enum Place<'a> {
    /// Beside each input.
    Beside,
    /// The only one is this file.
    File(&'a Path),
    /// Into this folder.
    Folder(&'a Path),
    /// To names made after this pattern.
    Pattern(&'a str),
}

/// What a pattern may hold.
const WORDS: [&str; 5] = ["{stem}", "{dir}", "{ext}", "{n}", "{seed}"];

impl<'a> Place<'a> {
    fn of(output: Option<&'a Path>, inputs: &[Input]) -> Result<Self> {
        let Some(path) = output else {
            return Ok(Place::Beside);
        };
        if let Some(pattern) = path.to_str().filter(|text| text.contains('{')) {
            let folder = folder_before(pattern);
            if !folder.is_dir() {
                refuse_missing_folder(folder, &format!("the results {pattern}"))?;
            }
            return Ok(Place::Pattern(pattern));
        }
        if path.to_string_lossy().contains('{') {
            return Err(Error::Paths(
                "a pattern for results must be UTF-8; so are all names that it makes".into(),
            ));
        }
        let as_folder = names_a_folder(path, inputs);
        check_place(path, as_folder)?;
        Ok(if as_folder {
            Place::Folder(path)
        } else {
            Place::File(path)
        })
    }

    /// The result of the `index`th of `count` inputs.
    fn result(&self, input: &Input, index: usize, count: usize, seed: u64) -> Result<PathBuf> {
        Ok(match self {
            Place::Beside => input.path.with_file_name(enlarged_name(&input.path)),
            Place::File(file) => file.to_path_buf(),
            Place::Folder(folder) => {
                let below = input.below.as_deref().and_then(Path::parent);
                let folder = folder.join(plain(below.unwrap_or(Path::new(""))));
                folder.join(enlarged_name(&input.path))
            }
            Place::Pattern(pattern) => filled(pattern, input, index, count, seed)?,
        })
    }
}

/// `pattern` with its words replaced.
fn filled(pattern: &str, input: &Input, index: usize, count: usize, seed: u64) -> Result<PathBuf> {
    let digits = count.to_string().len();
    let named = enlarged_name(&input.path);
    let mut name = OsString::new();
    let mut rest = pattern;
    while let Some((before, from)) = rest.find('{').map(|at| rest.split_at(at)) {
        name.push(before);
        let Some(word) = WORDS.iter().find(|word| from.starts_with(**word)) else {
            let end = from.find('}').map_or(from.len(), |at| at + 1);
            return Err(Error::Paths(format!(
                "{} means nothing in the output {pattern}: use {}",
                &from[..end],
                WORDS.join(", ")
            )));
        };
        match *word {
            "{stem}" => name.push(input.path.file_stem().unwrap_or_default()),
            "{dir}" => {
                let from = input.below.as_deref().unwrap_or(&input.path);
                name.push(plain(from.parent().unwrap_or(Path::new(""))));
            }
            "{ext}" => name.push(Path::new(&named).extension().unwrap_or(OsStr::new("png"))),
            "{n}" => name.push(format!("{:0digits$}", index + 1)),
            _ => name.push(seed.to_string()),
        }
        rest = &from[word.len()..];
    }
    name.push(rest);
    // An empty {dir} leaves two separators side by side.
    Ok(Path::new(&name).components().collect())
}

/// The folder that results lie in or below if `-o` names `output`, unless that is a file.
pub fn folder_meant(output: &Path) -> &Path {
    match output.to_str() {
        Some(pattern) if pattern.contains('{') => folder_before(pattern),
        _ => output,
    }
}

/// The folder that is named before a pattern's first word.
fn folder_before(pattern: &str) -> &Path {
    let fixed = &pattern[..pattern.find('{').unwrap_or(pattern.len())];
    let end = fixed.rfind(std::path::is_separator).map_or(0, |at| at + 1);
    match &fixed[..end] {
        "" => Path::new("."),
        folder => Path::new(folder),
    }
}

/// The deepest folder that all results lie in or below.
fn common_folder(tasks: &[Task]) -> PathBuf {
    let mut folders = tasks.iter().map(|task| folder_of(&task.output));
    let first: Vec<Component> = folders
        .next()
        .map_or(Vec::new(), |f| f.components().collect());
    let mut shared = first.len();
    for folder in folders {
        let same = folder.components().zip(&first).take_while(|(a, b)| a == *b);
        shared = shared.min(same.count());
    }
    match first[..shared].iter().collect::<PathBuf>() {
        folder if folder.as_os_str().is_empty() => PathBuf::from("."),
        folder => folder,
    }
}

/// Whether `-o` means a folder: for several pictures, for a folder's, if it is one, or if it ends in a
/// separator.
fn names_a_folder(path: &Path, inputs: &[Input]) -> bool {
    let text = path.as_os_str().as_encoded_bytes();
    inputs.len() > 1
        || inputs.iter().any(|input| input.below.is_some())
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
    let mut seen = HashMap::new();
    for task in tasks {
        if let Some(other) = seen.insert(name_key(&task.output), &task.input) {
            return Err(Error::Paths(format!(
                "{} and {} would both become {}: enlarge them in two runs or rename one",
                other.display(),
                task.input.display(),
                task.output.display()
            )));
        }
    }
    let overwrites = |task: &&Task| task.on_conflict == OnConflict::Overwrite;
    if tasks.iter().any(|task| overwrites(&task)) {
        let inputs = Protected::new(tasks.iter().map(|task| task.input.as_path()));
        for task in tasks.iter().filter(overwrites) {
            inputs.refuse(&task.output)?;
        }
    }
    Ok(())
}

fn name_key(path: &Path) -> OsString {
    // Folders that hold names in any letter case are usual where these systems run.
    if cfg!(any(windows, target_os = "macos")) {
        path.as_os_str().to_ascii_lowercase()
    } else {
        path.as_os_str().to_os_string()
    }
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

    fn patterned(names: &[(&str, Option<&str>)], output: &Path) -> Result<Vec<String>> {
        let inputs: Vec<_> = names
            .iter()
            .map(|(path, below)| Input {
                path: path.into(),
                below: below.map(PathBuf::from),
            })
            .collect();
        let plan = plan_all(&inputs, Some(output), None, 7)?;
        let below = |task: Task| {
            let folder = plan.folder.clone().unwrap();
            let name = task.output.strip_prefix(folder).unwrap().to_path_buf();
            name.display().to_string().replace('\\', "/")
        };
        Ok(plan.tasks.into_iter().map(below).collect())
    }

    #[test]
    fn a_folder_mirrors_the_tree_and_a_pattern_makes_names() {
        let folder = tempfile::tempdir().unwrap();
        let tree = [
            ("in/a.png", Some("a.png")),
            ("in/x/b.bmp", Some("x/b.bmp")),
            ("elsewhere/c.jpg", None),
        ];
        let got = patterned(&tree, &folder.path().join("out")).unwrap();
        assert_eq!(got, ["a_x4.png", "x/b_x4.png", "c_x4.jpg"]);
        for (pattern, expected) in [
            ("{stem}.tif", ["a.tif", "b.tif", "c.tif"]),
            (
                "{dir}/{stem}-{seed}.{ext}",
                ["a-7.png", "x/b-7.png", "elsewhere/c-7.jpg"],
            ),
            ("{n}.png", ["1.png", "2.png", "3.png"]),
        ] {
            let got = patterned(&tree, &folder.path().join(pattern)).unwrap();
            assert_eq!(got, expected, "{pattern}");
        }
        for (pattern, says) in [
            ("{name}.png", "{name} means nothing"),
            ("{name}.png", "{stem}, {dir}"),
            ("{stem.png", "{stem.png means nothing"),
            (
                "same{seed}.png",
                "in/a.png and in/x/b.bmp would both become",
            ),
            ("{stem}.xyz", "must end in"),
            ("gone/gone/{stem}.png", "does not exist"),
        ] {
            let error = patterned(&tree, &folder.path().join(pattern)).unwrap_err();
            assert!(error.to_string().contains(says), "{error}");
        }
    }

    #[test]
    fn journals_lie_where_all_results_do() {
        let folder = |names: &[&str], output: Option<&str>| {
            let inputs: Vec<_> = paths(names)
                .into_iter()
                .map(|path| Input { path, below: None })
                .collect();
            plan_all(&inputs, output.map(Path::new), None, 0)
                .unwrap()
                .folder
        };
        assert_eq!(folder(&["a/b.png"], None), None);
        assert_eq!(folder(&["a.png"], Some("b.png")), None);
        assert_eq!(folder(&["a.png"], Some("./b{n}.png")), Some("./".into()));
        assert_eq!(folder(&["a.png", "b.png"], None), Some(".".into()));
        assert_eq!(folder(&["x/y/a.png", "x/z/b.png"], None), Some("x".into()));
        assert_eq!(folder(&["/y/a.png", "/z/b.png"], None), Some("/".into()));
        assert_eq!(folder(&["a.png"], Some("out/")), Some("out/".into()));
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
