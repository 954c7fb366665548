//! What the journals of a folder say.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::line::{
    Entry, Head, LONGEST_LINE, Line, VERSION, foreign_version, host, is_journal, key,
};
use super::stamp::{Stamp, looks};
use super::{Recipe, differences};
use crate::error::{Error, Result};
use crate::image_io::part_prefix;

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
        let journals = entries.filter(|entry| is_journal(&entry.file_name()));
        let mut files: Vec<_> = journals.map(|entry| entry.path()).collect();
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

    /// Whether the result `output` is there and was made with `recipe`, from whatever content.
    pub fn has(&self, output: &Path, recipe: &Recipe) -> bool {
        let mut fitting = self.fitting(output);
        fitting.any(|record| differences(&record.recipe, recipe).is_empty())
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
