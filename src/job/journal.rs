//! What was finished, written down beside the results so that the next run need not do it again.
//!
//! Each process has a file of its own, `.minkds-journal-….jsonl`, and holds a lock on it for as long as it
//! lives: that is how others know whether unfinished files that bear its name are still being written.
//! `docs/batches.md` describes the lines.

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::json_path;
use crate::error::{Error, Result};
use crate::image_io::part_prefix;

/// The version of the lines.
const VERSION: u32 = 1;
const PREFIX: &str = ".minkds-journal-";
const SUFFIX: &str = ".jsonl";
/// Bytes of a line; a longer one is not ours.
const LONGEST_LINE: u64 = 1 << 22;
/// Letters of a hash that a person is shown.
const SHOWN: usize = 12;

/// What decides how pictures come out, by name: all settings, and the model's fingerprint.
pub type Recipe = Map<String, Value>;

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
fn looks(file: &Path) -> io::Result<(u64, u64)> {
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
enum Line {
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
struct Head {
    version: u32,
    program: String,
    host: String,
    process: u32,
    /// Seconds since 1970.
    started: u64,
    /// What the names of its unfinished files begin with.
    parts: String,
    recipe: Recipe,
}

/// An entry and what it was made with.
#[derive(Clone, Debug)]
struct Record {
    recipe: Arc<Recipe>,
    entry: Entry,
}

/// Everything that the journals of a folder say.
#[derive(Clone, Debug, Default)]
pub struct Known {
    folder: PathBuf,
    /// By task; later ones behind.
    records: HashMap<PathBuf, Vec<Record>>,
    /// Beginnings of names of unfinished files that nobody writes any more …
    dead: HashSet<String>,
    /// … and of those that somebody may be writing.
    alive: HashSet<String>,
}

/// What is known of a task's result.
#[derive(Clone, Debug, PartialEq)]
pub enum Standing {
    /// Nothing, or its files are gone or were changed by others.
    Unknown,
    /// It is there, made from this input with these settings; these are its files.
    Finished(Vec<PathBuf>),
    /// These files are there, but were made from another content of the input.
    OtherInput(Vec<PathBuf>),
    /// These files are there, but were made with other settings.
    OtherRecipe(Vec<PathBuf>),
}

impl Known {
    /// Reads all journals in `folder`, which need not exist.
    ///
    /// # Errors
    /// [`Error::Paths`] for a journal that a newer program wrote.
    pub fn read(folder: &Path) -> Result<Self> {
        let mut known = Known {
            folder: folder.to_path_buf(),
            ..Known::default()
        };
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let is_journal = |path: &PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX))
        };
        let mut files: Vec<_> = entries.map(|e| e.path()).filter(is_journal).collect();
        files.sort_by_key(|path| (looks(path).map_or(0, |looks| looks.1), path.clone()));
        for file in files {
            known.add(&file)?;
        }
        Ok(known)
    }

    /// What one journal says. A line that is torn or makes no sense is as good as none: at worst its picture is
    /// done again, or found to exist and reported.
    fn add(&mut self, path: &Path) -> Result<()> {
        let Ok(file) = File::open(path) else {
            return Ok(());
        };
        let mut lines = BufReader::new(&file);
        let mut head: Option<(Head, Arc<Recipe>)> = None;
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            match lines
                .by_ref()
                .take(LONGEST_LINE)
                .read_until(b'\n', &mut bytes)
            {
                Ok(1..) => (),
                // Elsewhere than on Unix a lock also keeps others from reading: a living process's journal.
                Ok(0) | Err(_) => break,
            }
            match (serde_json::from_slice(&bytes), &head) {
                (Ok(Line::Run(own)), None) => {
                    let recipe = Arc::new(own.recipe.clone());
                    head = Some((own, recipe));
                }
                (Ok(Line::Finishing(entry)), Some((_, recipe))) => {
                    let recipe = recipe.clone();
                    let records = self.records.entry(entry.task.clone()).or_default();
                    records.push(Record { recipe, entry });
                }
                (Err(_), None) => {
                    if let Some(version) = foreign_version(&bytes) {
                        return Err(Error::Paths(format!(
                            "{} was written by another version of minkds (format {version}, this one \
                             reads {VERSION}): use that version, or another output folder",
                            path.display()
                        )));
                    }
                    break;
                }
                _ => (),
            }
        }
        if let Some((head, _)) = head {
            let which = match is_dead(&file, &head) {
                true => &mut self.dead,
                false => &mut self.alive,
            };
            which.insert(head.parts);
        }
        Ok(())
    }

    /// Whether a journal speaks of `output`.
    pub fn is_known(&self, output: &Path) -> bool {
        self.records.contains_key(&self.key(output))
    }

    /// How `output` is called in journals.
    fn key(&self, output: &Path) -> PathBuf {
        key(&self.folder, output)
    }

    /// What is known of the picture with this `content` (a SHA-256) that is to become `output` by `recipe`.
    pub fn standing(&self, content: &str, output: &Path, recipe: &Recipe) -> Standing {
        let fitting: Vec<_> = self.fitting(output).collect();
        let files = |record: &Record| {
            let outputs = record.entry.outputs.iter();
            outputs
                .map(|output| self.folder.join(&output.path))
                .collect()
        };
        let alike: Vec<_> = fitting
            .iter()
            .filter(|record| differences(&record.recipe, recipe).is_empty())
            .collect();
        let same = alike
            .iter()
            .find(|record| record.entry.input.sha256 == content);
        match (same, alike.last(), fitting.last()) {
            (Some(record), ..) => Standing::Finished(files(record)),
            (_, Some(record), _) => Standing::OtherInput(files(record)),
            (.., Some(record)) => Standing::OtherRecipe(files(record)),
            _ => Standing::Unknown,
        }
    }

    /// With what other settings the result `output` was made, if it is there and was not made with `recipe`.
    pub fn other_recipe(&self, output: &Path, recipe: &Recipe) -> Option<Arc<Recipe>> {
        let mut other = None;
        for record in self.fitting(output) {
            if differences(&record.recipe, recipe).is_empty() {
                return None;
            }
            other = Some(record.recipe.clone());
        }
        other
    }

    /// Whether `file`, among the results planned as `output`, holds what a run put there.
    pub fn is_ours(&self, output: &Path, file: &Path) -> bool {
        let name = self.key(file);
        let records = self.records.get(&self.key(output)).into_iter().flatten();
        let mut stamps = records.flat_map(|record| &record.entry.outputs);
        stamps.any(|stamp| stamp.path == name && stamp.fits(file))
    }

    /// Every file that runs have written.
    pub fn outputs(&self) -> HashSet<PathBuf> {
        let records = self.records.values().flatten();
        let stamps = records.flat_map(|record| &record.entry.outputs);
        stamps.map(|stamp| self.folder.join(&stamp.path)).collect()
    }

    /// Removes what dead runs left unfinished in `folders`: how many files.
    pub fn clean(&self, folders: &HashSet<&Path>) -> usize {
        let is_left = |name: &str| {
            let mut dead = self.dead.difference(&self.alive);
            name.ends_with(".part") && dead.any(|prefix| name.starts_with(prefix))
        };
        let mut removed = 0;
        if self.dead.is_empty() {
            return removed;
        }
        for folder in folders {
            let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
            for entry in entries.filter(|e| e.file_name().to_str().is_some_and(is_left)) {
                removed += usize::from(std::fs::remove_file(entry.path()).is_ok());
            }
        }
        removed
    }

    /// Records of `output` whose files are all there, as they were written.
    fn fitting(&self, output: &Path) -> impl Iterator<Item = &Record> {
        let records = self.records.get(&self.key(output)).into_iter().flatten();
        records.filter(|record| {
            let mut outputs = record.entry.outputs.iter();
            let fits = |stamp: &Stamp| stamp.fits(&self.folder.join(&stamp.path));
            !record.entry.outputs.is_empty() && outputs.all(fits)
        })
    }
}

/// `path` from `folder`, where it lies below it.
fn key(folder: &Path, path: &Path) -> PathBuf {
    if let Ok(below) = path.strip_prefix(folder) {
        return below.to_path_buf();
    }
    match folder == Path::new(".") && path.is_relative() {
        true => path.to_path_buf(),
        false => std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf()),
    }
}

/// The number of a format that is not this one.
fn foreign_version(line: &[u8]) -> Option<u64> {
    let line: Value = serde_json::from_slice(line).ok()?;
    let version = line.get("run")?.get("version")?.as_u64()?;
    (version != u64::from(VERSION)).then_some(version)
}

/// Whether the process that wrote this journal is gone: it ran here, where locks are seen, and holds its lock
/// no longer. Of other machines nothing is known.
fn is_dead(file: &File, head: &Head) -> bool {
    let proper = head
        .parts
        .strip_prefix(".minkds-")
        .and_then(|rest| rest.strip_suffix('-'))
        .is_some_and(|digits| digits.len() == 16 && digits.bytes().all(|b| b.is_ascii_hexdigit()));
    let here = head.host == host() && head.parts != part_prefix();
    if !proper || !here || file.try_lock().is_err() {
        return false;
    }
    let _ = file.unlock();
    true
}

fn host() -> String {
    gethostname::gethostname().to_string_lossy().into_owned()
}

/// What is different in `new`, as `steps: 15 → 20`. What is not there and what is null are the same.
pub fn differences(old: &Recipe, new: &Recipe) -> Vec<String> {
    let value = |recipe: &Recipe, name: &str| recipe.get(name).cloned().unwrap_or(Value::Null);
    let mut names: Vec<&String> = old.keys().chain(new.keys()).collect();
    names.sort();
    names.dedup();
    let changed = names.into_iter().filter_map(|name| {
        let (old, new) = (value(old, name), value(new, name));
        (old != new).then(|| format!("{name}: {} → {}", shown(&old), shown(&new)))
    });
    changed.collect()
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) if text.len() == 64 => {
            format!("{}…", &text[..text.floor_char_boundary(SHOWN)])
        }
        Value::String(text) => text.clone(),
        Value::Null => "none".into(),
        other => other.to_string(),
    }
}

/// The journal of this run. Its file appears with the first picture that is written.
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

/// One line, on the disk when this returns.
fn write(file: &mut File, line: &Line) -> io::Result<()> {
    let mut bytes = serde_json::to_vec(line)?;
    bytes.push(b'\n');
    file.write_all(&bytes)?;
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn recipe(steps: u32) -> Recipe {
        let mut recipe = Recipe::new();
        recipe.insert("steps".into(), steps.into());
        recipe.insert("model".into(), "a".repeat(64).into());
        recipe
    }

    /// A folder with `a.png`, whose result `a_x4.png` was made with 15 steps, as its journal says.
    fn room() -> (tempfile::TempDir, Stamp) {
        let room = tempfile::tempdir().unwrap();
        let path = |name: &str| room.path().join(name);
        fs::write(path("a.png"), "input").unwrap();
        fs::write(path("a_x4.png"), "result").unwrap();
        let input = Stamp::of(&path("a.png"), &path("a.png")).unwrap();
        let output = Stamp::of(&path("a_x4.png"), &path("a_x4.png")).unwrap();
        let mut journal = Journal::new(room.path(), recipe(15));
        journal
            .finishing(&path("a_x4.png"), input.clone(), &[output])
            .unwrap();
        journal.finished(&path("a_x4.png")).unwrap();
        (room, input)
    }

    fn journal_of(room: &tempfile::TempDir) -> PathBuf {
        let entries = fs::read_dir(room.path()).unwrap();
        let mut paths = entries.map(|entry| entry.unwrap().path());
        let is_journal = |path: &PathBuf| path.extension().is_some_and(|e| e == "jsonl");
        paths.find(is_journal).unwrap()
    }

    fn standing(room: &tempfile::TempDir, content: &str, steps: u32) -> Standing {
        let known = Known::read(room.path()).unwrap();
        known.standing(content, &room.path().join("a_x4.png"), &recipe(steps))
    }

    #[test]
    fn what_is_finished_is_known_by_content_settings_and_result() {
        let (room, input) = room();
        let result = room.path().join("a_x4.png");
        let files = vec![result.clone()];
        assert_eq!(
            standing(&room, &input.sha256, 15),
            Standing::Finished(files.clone())
        );
        assert_eq!(
            standing(&room, "other", 15),
            Standing::OtherInput(files.clone())
        );
        assert_eq!(
            standing(&room, &input.sha256, 20),
            Standing::OtherRecipe(files.clone())
        );
        let known = Known::read(room.path()).unwrap();
        assert_eq!(known.outputs(), files.iter().cloned().collect());
        assert!(known.is_ours(&result, &result));
        let other = known.other_recipe(&result, &recipe(20)).unwrap();
        assert_eq!(differences(&other, &recipe(20)), ["steps: 15 → 20"]);
        assert_eq!(known.other_recipe(&result, &recipe(15)), None);

        // Copied: the same content at another time.
        fs::write(&result, "result").unwrap();
        assert_eq!(
            standing(&room, &input.sha256, 15),
            Standing::Finished(files)
        );
        // Changed by others, of the same length, then gone.
        fs::write(&result, "RESULT").unwrap();
        assert_eq!(standing(&room, &input.sha256, 15), Standing::Unknown);
        assert!(!Known::read(room.path()).unwrap().is_ours(&result, &result));
        fs::remove_file(&result).unwrap();
        assert_eq!(standing(&room, &input.sha256, 15), Standing::Unknown);
    }

    /// The journal is cut at every byte, as a process that dies leaves it. A result is known from the moment
    /// that the line before its name is whole.
    #[test]
    fn a_journal_cut_anywhere_is_read_as_far_as_it_is_whole() {
        let (room, input) = room();
        let journal = journal_of(&room);
        let whole = fs::read(&journal).unwrap();
        let ends: Vec<usize> = (1..=whole.len())
            .filter(|&n| whole[n - 1] == b'\n')
            .collect();
        assert_eq!(ends.len(), 3);
        for length in 0..=whole.len() {
            fs::write(&journal, &whole[..length]).unwrap();
            let known = standing(&room, &input.sha256, 15);
            // A line is whole without its end, too.
            let expected = length + 1 >= ends[1];
            assert_eq!(matches!(known, Standing::Finished(_)), expected, "{length}");
        }
        // Nonsense between the lines takes nothing else along.
        let lines: Vec<&[u8]> = whole.split_inclusive(|&byte| byte == b'\n').collect();
        fs::write(&journal, [lines[0], b"{\"fini\xff\n\n", lines[1]].concat()).unwrap();
        assert!(matches!(
            standing(&room, &input.sha256, 15),
            Standing::Finished(_)
        ));
    }

    #[test]
    fn journals_of_other_versions_are_refused_and_other_files_ignored() {
        let (room, input) = room();
        let write = |name: &str, text: &str| fs::write(room.path().join(name), text).unwrap();
        write(".minkds-journal-x.jsonl", "not a journal");
        write(".minkds-journal-y.jsonl", "");
        write(".minkds-journal-z.jsonl", "{\"run\":{\"version\":1}}\n");
        assert!(matches!(
            standing(&room, &input.sha256, 15),
            Standing::Finished(_)
        ));
        write(
            ".minkds-journal-n.jsonl",
            "{\"run\":{\"version\":2,\"new\":0}}\n",
        );
        let error = Known::read(room.path()).unwrap_err().to_string();
        assert!(
            error.contains("format 2") && error.contains("-n.jsonl"),
            "{error}"
        );
    }

    #[test]
    fn only_unfinished_files_of_dead_processes_here_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let prefix = |digit: char| format!(".minkds-{}-", digit.to_string().repeat(16));
        let head = |digit: char, host: String, parts: String| {
            let head = Head {
                version: VERSION,
                program: "minkds".into(),
                host,
                process: 1,
                started: 0,
                parts,
                recipe: Recipe::new(),
            };
            let path = folder.path().join(format!("{PREFIX}{digit}{SUFFIX}"));
            let mut file = File::create(path).unwrap();
            write(&mut file, &Line::Run(head)).unwrap();
            file
        };
        drop(head('a', host(), prefix('a')));
        let alive = head('b', host(), prefix('b'));
        alive.lock().unwrap();
        drop(head('c', "elsewhere".into(), prefix('c')));
        drop(head('d', host(), String::new()));
        drop(head('e', host(), part_prefix().into()));
        drop(head('f', host(), prefix('f')));
        let again = head('g', host(), prefix('f'));
        again.lock().unwrap();
        let mut names: Vec<String> = "abcdf".chars().map(|c| prefix(c) + "x.part").collect();
        names.extend([
            format!("{}x.part", part_prefix()),
            format!("{}x.png", prefix('a')),
            ".minkds-x.part".into(),
            "photo.part".into(),
        ]);
        for name in &names {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let known = Known::read(folder.path()).unwrap();
        assert_eq!(known.clean(&HashSet::from([folder.path()])), 1);
        let gone = prefix('a') + "x.part";
        for name in &names {
            assert_eq!(folder.path().join(name).exists(), *name != gone, "{name}");
        }
        drop((alive, again));
    }

    #[test]
    fn differences_name_what_changed_and_nothing_else() {
        let mut old = recipe(15);
        old.insert("tile".into(), Value::Null);
        let mut new = recipe(15);
        assert!(differences(&old, &new).is_empty());
        new.insert("model".into(), "b".repeat(64).into());
        new.insert("kernel".into(), "minkds".into());
        let said = differences(&old, &new);
        assert_eq!(
            said,
            [
                "kernel: none → minkds",
                "model: aaaaaaaaaaaa… → bbbbbbbbbbbb…"
            ]
        );
    }

    #[cfg(unix)]
    #[test]
    fn names_that_are_no_text_are_kept() {
        use std::os::unix::ffi::OsStrExt;
        let path = Path::new(std::ffi::OsStr::from_bytes(b"\xff\n.png"));
        let line = Line::Finished { task: path.into() };
        let text = serde_json::to_string(&line).unwrap();
        assert!(!text.contains('\n'), "{text}");
        assert_eq!(serde_json::from_str::<Line>(&text).unwrap(), line);
    }
}
