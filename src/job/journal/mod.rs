//! What was finished, written down beside the results so that the next run need not do it again.
//!
//! Each process has a file of its own, `.minkds-journal-….jsonl`, and holds a lock on it for as long as it
//! lives: that is how others know whether unfinished files that bear its name are still being written.
//! `docs/batches.md` describes the lines.

mod known;
mod line;
mod own;
mod stamp;

use serde_json::{Map, Value};

pub use self::known::{Known, Standing};
pub use self::line::is_journal;
pub use self::own::Journal;
pub use self::stamp::{Stamp, hash};

/// Letters of a hash that a person is shown.
const SHOWN: usize = 12;

/// What decides how pictures come out, by name: all settings, and the model's fingerprint.
pub type Recipe = Map<String, Value>;

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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::fs::{self, File};
    use std::path::{Path, PathBuf};

    use super::line::{Head, Line, PREFIX, SUFFIX, VERSION, host, write};
    use super::*;
    use crate::image_io::part_prefix;

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
