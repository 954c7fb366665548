//! Which pictures are meant: files, folders, patterns, and lists of names.

use std::collections::{BTreeSet, HashSet};
use std::ffi::OsStr;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use glob::{MatchOptions, Pattern};
use walkdir::WalkDir;

use super::journal::is_journal;
use super::outputs::folder_of;
use crate::error::{Error, Result};

/// Endings of files that a folder's or a pattern's pictures have. Some are refused later, with advice; that
/// is better than to leave them out without a word.
const ENDINGS: [&str; 12] = [
    "png", "jpg", "jpeg", "webp", "tif", "tiff", "bmp", "gif", "jxl", "avif", "heic", "heif",
];
/// A list of names that is longer than this is a mistake.
const LONGEST_LIST: u64 = 1 << 28;
/// `*` and `?` stop at separators, so that `**` is needed to go down.
const MATCHING: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

/// One picture and how it was named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// The file.
    pub path: PathBuf,
    /// Where it lies below the folder or pattern that named it, its name included; `None` for a file that
    /// was named itself.
    pub below: Option<PathBuf>,
}

/// How words are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Folders within folders are entered.
    pub recursive: bool,
    /// Names in a list end in NUL bytes instead of ends of lines.
    pub null: bool,
}

/// What was left out of folders and patterns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Files that are no pictures by their endings.
    pub others: usize,
    /// Files and folders whose names begin with a dot, our own among them.
    pub hidden: usize,
    /// Folders and links that cannot be followed.
    pub unreadable: usize,
    /// Folders within folders, which `recursive` would enter.
    pub folders: usize,
    /// Whether the folder for results was met.
    pub outputs: bool,
    /// Results of earlier runs.
    pub results: usize,
}

/// What words stand for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The pictures, in the words' order; those of a folder or pattern by name.
    pub inputs: Vec<Input>,
    /// What was left out.
    pub left_out: LeftOut,
    /// Folders whose journals may speak of pictures that were found: those where one was met, and all that
    /// the named folders lie in.
    pub journals: BTreeSet<PathBuf>,
}

/// Looks up `words`: files, folders (their pictures), patterns such as `**/*.jpg`, and `-` for a list of
/// files and folders that is read from `list`. A file whose name looks like a pattern is a file. The folder
/// `output`, where results go, is not entered.
///
/// # Errors
/// [`Error::Paths`] for a pattern that makes no sense or matches nothing, a folder without pictures, and a
/// list that cannot be read.
pub fn find(
    words: &[PathBuf],
    reading: Reading,
    output: Option<&Path>,
    list: &mut dyn Read,
) -> Result<Found> {
    let mut finder = Finder {
        reading,
        output: output.and_then(|path| path.canonicalize().ok()),
        found: Found::default(),
        seen: HashSet::new(),
    };
    for word in words {
        if word == Path::new("-") {
            for name in read_list(list, reading.null)? {
                if name.is_dir() {
                    finder.folder(&name)?;
                } else {
                    finder.file(name);
                }
            }
        } else if word.is_dir() {
            finder.folder(word)?;
        } else if let Some(text) = pattern_in(word) {
            finder.pattern(word, text)?;
        } else {
            finder.file(word.clone());
        }
    }
    Ok(finder.found)
}

/// The pattern that `word` is: it has one of its characters, and no file is called so.
fn pattern_in(word: &Path) -> Option<&str> {
    let text = word.to_str()?;
    let is_file = word.symlink_metadata().is_ok();
    (text.contains(['*', '?', '[']) && !is_file).then_some(text)
}

struct Finder {
    reading: Reading,
    output: Option<PathBuf>,
    found: Found,
    /// Everything found so far, so that words may overlap.
    seen: HashSet<PathBuf>,
}

impl Finder {
    fn file(&mut self, path: PathBuf) {
        self.seen.insert(path.clone());
        // Twice is a mistake that is told later, like any two pictures with one result.
        self.found.inputs.push(Input { path, below: None });
    }

    fn folder(&mut self, folder: &Path) -> Result<()> {
        let depth = if self.reading.recursive {
            usize::MAX
        } else {
            1
        };
        let before = self.found.inputs.len();
        let met = self.walk(folder, depth, &|_| true);
        if self.found.inputs.len() == before && !met {
            let down = if self.found.left_out.folders > 0 {
                "; --recursive looks into the folders within it"
            } else {
                ""
            };
            return Err(Error::Paths(format!(
                "the folder {} holds no picture{down}",
                folder.display()
            )));
        }
        Ok(())
    }

    fn pattern(&mut self, word: &Path, text: &str) -> Result<()> {
        let is_special = |part: &OsStr| part.to_string_lossy().contains(['*', '?', '[']);
        let mut parts = word.components().peekable();
        let mut base = PathBuf::new();
        while let Some(part) = parts.next_if(|part| !is_special(part.as_os_str())) {
            base.push(part);
        }
        let rest: Vec<String> = parts
            .map(|part| part.as_os_str().to_string_lossy().into_owned())
            .collect();
        let depth = if rest.iter().any(|part| part == "**") {
            usize::MAX
        } else {
            rest.len()
        };
        // Patterns have one kind of separator, whatever the system's is.
        let pattern = Pattern::new(&rest.join("/"))
            .map_err(|e| Error::Paths(format!("the pattern {text} makes no sense: {}", e.msg)))?;
        let matches = |below: &Path| {
            let parts: Vec<_> = below
                .components()
                .map(|part| part.as_os_str().to_string_lossy())
                .collect();
            pattern.matches_with(&parts.join("/"), MATCHING)
        };
        let folder = if base.as_os_str().is_empty() {
            Path::new(".")
        } else {
            &base
        };
        let before = self.found.inputs.len();
        let folders = self.found.left_out.folders;
        let met = self.walk(folder, depth, &matches);
        self.found.left_out.folders = folders;
        if self.found.inputs.len() == before && !met {
            return Err(Error::Paths(format!("no picture matches {text}")));
        }
        Ok(())
    }

    /// Adds the pictures below `root` that `wanted` takes by their path from there; whether there was one,
    /// new or not.
    fn walk(&mut self, root: &Path, depth: usize, wanted: &dyn Fn(&Path) -> bool) -> bool {
        let mut met = false;
        if let Ok(root) = root.canonicalize() {
            let around = root.ancestors().skip(1).map(Path::to_path_buf);
            self.found.journals.extend(around);
        }
        // Following links is what a person with links to disks expects; walkdir reports loops as errors.
        let mut walk = WalkDir::new(root)
            .follow_links(true)
            .sort_by_file_name()
            .into_iter();
        while let Some(entry) = walk.next() {
            let Ok(entry) = entry else {
                self.found.left_out.unreadable += 1;
                continue;
            };
            let path = entry.path();
            if entry.depth() == 0 {
                continue;
            }
            let is_folder = entry.file_type().is_dir();
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                self.found.left_out.hidden += 1;
                if is_folder {
                    walk.skip_current_dir();
                } else if is_journal(entry.file_name()) {
                    self.found.journals.insert(folder_of(path).to_path_buf());
                }
                continue;
            }
            if is_folder {
                if self.is_output(path) {
                    self.found.left_out.outputs = true;
                    walk.skip_current_dir();
                } else if entry.depth() >= depth {
                    self.found.left_out.folders += 1;
                    walk.skip_current_dir();
                }
                continue;
            }
            let below = path.strip_prefix(root).unwrap_or(path);
            if !wanted(below) {
                continue;
            }
            if !has_picture_ending(path) || !entry.file_type().is_file() {
                self.found.left_out.others += 1;
                continue;
            }
            met = true;
            let path = match path.strip_prefix(".") {
                Ok(path) if root == Path::new(".") => path,
                _ => path,
            };
            if self.seen.insert(path.to_path_buf()) {
                self.found.inputs.push(Input {
                    path: path.to_path_buf(),
                    below: Some(below.to_path_buf()),
                });
            }
        }
        met
    }

    fn is_output(&self, folder: &Path) -> bool {
        let Some(output) = &self.output else {
            return false;
        };
        folder.canonicalize().is_ok_and(|folder| folder == *output)
    }
}

/// The names in a list.
fn read_list(list: &mut dyn Read, null: bool) -> Result<Vec<PathBuf>> {
    let mut bytes = Vec::new();
    let unreadable = |what: String| Error::Paths(format!("the list on standard input {what}"));
    list.take(LONGEST_LIST + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| unreadable(format!("cannot be read: {e}")))?;
    if bytes.len() as u64 > LONGEST_LIST {
        let what = format!("has more than {LONGEST_LIST} bytes: name folders instead of files");
        return Err(unreadable(what));
    }
    let end = if null { 0 } else { b'\n' };
    bytes
        .split(|&byte| byte == end)
        .map(|name| match name {
            [name @ .., b'\r'] if cfg!(windows) && !null => name,
            name => name,
        })
        .filter(|name| !name.is_empty())
        .map(|name| path_of(name).ok_or_else(|| unreadable("is not UTF-8".into())))
        .collect()
}

#[cfg(unix)]
fn path_of(bytes: &[u8]) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    Some(OsStr::from_bytes(bytes).into())
}

#[cfg(not(unix))]
fn path_of(bytes: &[u8]) -> Option<PathBuf> {
    std::str::from_utf8(bytes).ok().map(PathBuf::from)
}

fn has_picture_ending(path: &Path) -> bool {
    let ending = path.extension().and_then(OsStr::to_str);
    ending.is_some_and(|ending| ENDINGS.contains(&ending.to_ascii_lowercase().as_str()))
}

/// The folders in `path`, without what leads elsewhere: roots, drives, `.` and `..`.
pub(super) fn plain(path: &Path) -> PathBuf {
    let is_plain = |part: &Component| matches!(part, Component::Normal(_));
    path.components().filter(is_plain).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A folder with these empty files.
    fn room(names: &[&str]) -> tempfile::TempDir {
        let room = tempfile::tempdir().unwrap();
        for name in names {
            let path = room.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        room
    }

    fn found(room: &tempfile::TempDir, words: &[&str], reading: Reading) -> Result<Found> {
        let words: Vec<_> = words.iter().map(|word| room.path().join(word)).collect();
        let output = room.path().join("out");
        find(&words, reading, Some(&output), &mut std::io::empty())
    }

    /// Paths below the room.
    fn names(room: &tempfile::TempDir, found: &Found) -> Vec<String> {
        let inputs = found.inputs.iter();
        inputs
            .map(|input| {
                let name = input.path.strip_prefix(room.path()).unwrap_or(&input.path);
                name.display().to_string().replace('\\', "/")
            })
            .collect()
    }

    const TREE: [&str; 10] = [
        "b.png",
        "a.JPG",
        "notes.txt",
        ".hidden.png",
        ".minkds-0123456789abcdef-aaaaaa.part",
        "sub/c.tif",
        "sub/deep/d.webp",
        ".git/e.png",
        "out/f.png",
        "sub/x[1].png",
    ];
    const DOWN: Reading = Reading {
        recursive: true,
        null: false,
    };

    #[test]
    fn a_folder_stands_for_its_pictures_by_name_and_the_rest_is_counted() {
        let room = room(&TREE);
        let flat = found(&room, &[""], Reading::default()).unwrap();
        assert_eq!(names(&room, &flat), ["a.JPG", "b.png"]);
        let deep = found(&room, &[""], DOWN).unwrap();
        let all = [
            "a.JPG",
            "b.png",
            "sub/c.tif",
            "sub/deep/d.webp",
            "sub/x[1].png",
        ];
        assert_eq!(names(&room, &deep), all);
        assert_eq!(deep.inputs[3].below, Some("sub/deep/d.webp".into()));
        let expected = LeftOut {
            others: 1,
            hidden: 3,
            outputs: true,
            ..LeftOut::default()
        };
        assert_eq!(deep.left_out, expected);
        assert_eq!(flat.left_out.folders, 1);
        for (words, reading, says) in [
            ("sub/deep/none", Reading::default(), "holds no picture"),
            ("top", Reading::default(), "--recursive looks into"),
        ] {
            fs::create_dir_all(room.path().join("sub/deep/none")).unwrap();
            fs::create_dir_all(room.path().join("top/inner")).unwrap();
            let error = found(&room, &[words], reading).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn patterns_match_as_shells_do() {
        let room = room(&TREE);
        for (pattern, expected) in [
            ("*.png", &["b.png"][..]),
            ("*", &["a.JPG", "b.png"]),
            ("?.*", &["a.JPG", "b.png"]),
            ("[a-b].*", &["a.JPG", "b.png"]),
            ("**/*.png", &["b.png", "sub/x[1].png"]),
            ("sub/**/*.webp", &["sub/deep/d.webp"]),
            ("*/*.tif", &["sub/c.tif"]),
            // A file that is called so is a file.
            ("sub/x[1].png", &["sub/x[1].png"]),
        ] {
            let found = found(&room, &[pattern], Reading::default()).unwrap();
            assert_eq!(names(&room, &found), expected, "{pattern}");
        }
        for (pattern, says) in [("*.gif", "matches"), ("[a", "no sense")] {
            let error = found(&room, &[pattern], Reading::default()).unwrap_err();
            assert!(error.to_string().contains(says), "{error}");
        }
    }

    #[test]
    fn words_may_overlap_but_a_file_named_twice_stays_twice() {
        let room = room(&TREE);
        let twice = found(&room, &["b.png", "", "*.png"], Reading::default()).unwrap();
        assert_eq!(names(&room, &twice), ["b.png", "a.JPG"]);
        let twice = found(&room, &["b.png", "b.png"], Reading::default()).unwrap();
        assert_eq!(twice.inputs.len(), 2);
    }

    #[test]
    fn a_list_ends_names_at_lines_or_at_nul() {
        let list = |text: &[u8], null| {
            let reading = Reading {
                null,
                ..Reading::default()
            };
            let found = find(&["-".into()], reading, None, &mut &text[..]).unwrap();
            let paths = found.inputs.into_iter();
            paths.map(|input| input.path).collect::<Vec<_>>()
        };
        assert_eq!(
            list(b"a.png\n\nb c*.png", false),
            [Path::new("a.png"), Path::new("b c*.png")]
        );
        assert_eq!(
            list(b"a\nb.png\0c.png\0", true),
            [Path::new("a\nb.png"), Path::new("c.png")]
        );
        #[cfg(unix)]
        {
            use std::os::unix::ffi::OsStrExt;
            let name = OsStr::from_bytes(b"\xff.png");
            assert_eq!(list(b"\xff.png\n", false), [Path::new(name)]);
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_and_loops_end() {
        let room = room(&["a/b.png"]);
        std::os::unix::fs::symlink(room.path(), room.path().join("a/loop")).unwrap();
        std::os::unix::fs::symlink("b.png", room.path().join("a/link.png")).unwrap();
        std::os::unix::fs::symlink("gone", room.path().join("a/dangling.png")).unwrap();
        let found = found(&room, &[""], DOWN).unwrap();
        assert_eq!(names(&room, &found), ["a/b.png", "a/link.png"]);
        assert_eq!(found.left_out.unreadable, 2);
    }
}
