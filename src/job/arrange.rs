//! From what was asked for to a list of tasks: look up, plan, leave out earlier results, take one's part.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::inputs::{self, Found, Input, LeftOut, Reading};
use super::journal::Known;
use super::outputs::{self, OnConflict, Task, folder_of};
use super::protected::Protected;
use super::shard::Shard;
use crate::error::{Error, Result};

/// What a person asked for.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// Files, folders, patterns, and `-`.
    pub words: &'a [PathBuf],
    /// How they are read.
    pub reading: Reading,
    /// What `-o` named.
    pub output: Option<&'a Path>,
    /// What to do with results that exist.
    pub on_conflict: Option<OnConflict>,
    /// For `{seed}`.
    pub seed: u64,
    /// Which part of all is wanted.
    pub shard: Option<Shard>,
}

/// What became of it.
#[derive(Clone, Debug)]
pub struct Arranged {
    /// The shard's tasks.
    pub tasks: Vec<Task>,
    /// How many there are in all shards.
    pub total: usize,
    /// All inputs.
    pub protected: Arc<Protected>,
    /// Where the journal belongs, if there is to be one.
    pub folder: Option<PathBuf>,
    /// What is no input.
    pub left_out: LeftOut,
}

/// Looks up inputs and plans results; `list` is read where a word is `-`.
///
/// # Errors
/// Those of [`inputs::find`] and [`outputs::plan_all`], the same for every shard.
pub fn arrange(order: &Order, list: &mut dyn Read) -> Result<Arranged> {
    let lies_below = order.output.map(outputs::folder_meant);
    let mut found = inputs::find(order.words, order.reading, lies_below, list)?;
    let plan = |found: &Found, checked: bool| {
        let plan = if checked {
            outputs::plan_all
        } else {
            outputs::lay_out
        };
        plan(&found.inputs, order.output, order.on_conflict, order.seed)
    };
    // Results that lie among the inputs must not be enlarged again, whichever run made them.
    let mut journals = std::mem::take(&mut found.journals);
    journals.extend(plan(&found, false)?.folder);
    leave_out_results(&mut found, &journals)?;
    let outputs::Plan { tasks, folder } = plan(&found, true)?;
    let inputs = tasks.iter().map(|task| task.input.as_path());
    Ok(Arranged {
        total: tasks.len(),
        protected: Arc::new(Protected::new(inputs)),
        tasks: match order.shard {
            Some(shard) => shard.of(tasks),
            None => tasks,
        },
        folder,
        left_out: found.left_out,
    })
}

/// Takes out what is the result of an earlier run, as the journals in these folders know. A file that was named
/// itself, and nothing else, is what is wanted.
fn leave_out_results(found: &mut Found, journals: &BTreeSet<PathBuf>) -> Result<()> {
    if let [Input { below: None, .. }] = found.inputs.as_slice() {
        return Ok(());
    }
    let mut folders: HashMap<PathBuf, Option<PathBuf>> = HashMap::new();
    let mut place = |path: &Path| -> Option<(PathBuf, OsString)> {
        let folder = folders
            .entry(folder_of(path).to_path_buf())
            .or_insert_with_key(|folder| folder.canonicalize().ok());
        Some((folder.clone()?, path.file_name()?.to_os_string()))
    };
    let mut results = HashSet::new();
    for folder in journals {
        let outputs = Known::read(folder)?.outputs();
        results.extend(outputs.iter().filter_map(|path| place(path)));
    }
    if results.is_empty() {
        return Ok(());
    }
    let before = found.inputs.len();
    (found.inputs).retain(|input| place(&input.path).is_none_or(|place| !results.contains(&place)));
    found.left_out.results = before - found.inputs.len();
    if found.inputs.is_empty() && before > 0 {
        return Err(Error::Paths(
            "every picture there is the result of an earlier run: to enlarge one again, name it alone, and to \
             enlarge all, remove the files .minkds-journal-… beside them"
                .into(),
        ));
    }
    Ok(())
}
