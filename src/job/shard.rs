//! One machine's part of a list that several machines work on.

use std::cmp::Reverse;
use std::fmt;
use std::str::FromStr;

use super::Task;

/// More machines than this are a slip of the finger.
const MOST: usize = 100_000;

/// Part `part` of `of`, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Which one, from 1.
    pub part: usize,
    /// Of how many.
    pub of: usize,
}

impl FromStr for Shard {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/').and_then(|(part, of)| {
            let shard = Shard {
                part: part.parse().ok()?,
                of: of.parse().ok()?,
            };
            let fits = 1 <= shard.part && shard.part <= shard.of && shard.of <= MOST;
            fits.then_some(shard)
        });
        numbers.ok_or_else(|| "use I/N, such as 1/4 to 4/4: part I of N, counted from 1".into())
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.part, self.of)
    }
}

impl Shard {
    /// This shard's tasks, in their order.
    ///
    /// The largest files are dealt first, each to the shard that has the fewest bytes so far: shards take about
    /// as long as each other although pictures differ in size, and the parts are disjoint and complete as long
    /// as every machine sees the same list. Neither its order nor where the folder is mounted matters: files of
    /// one size go by their labels.
    pub fn of(self, tasks: Vec<Task>) -> Vec<Task> {
        let bytes = |task: &Task| task.input.metadata().map_or(0, |found| found.len());
        let sizes: Vec<u64> = tasks.iter().map(bytes).collect();
        let mut order: Vec<usize> = (0..tasks.len()).collect();
        order.sort_by_key(|&i| (Reverse(sizes[i]), &tasks[i].label, &tasks[i].input));
        // Bytes, files, and which shard: the lightest is on top.
        let mut loads: std::collections::BinaryHeap<_> = (1..=self.of)
            .map(|part| Reverse((0u64, 0usize, part)))
            .collect();
        let mut mine = vec![false; tasks.len()];
        for i in order {
            let Some(Reverse((load, files, part))) = loads.pop() else {
                break;
            };
            mine[i] = part == self.part;
            loads.push(Reverse((load.saturating_add(sizes[i]), files + 1, part)));
        }
        let kept = tasks.into_iter().zip(mine);
        kept.filter_map(|(task, mine)| mine.then_some(task))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use proptest::prelude::*;

    use super::*;
    use crate::image_io::Format;
    use crate::job::OnConflict;

    fn tasks(folder: &std::path::Path, sizes: &[u16]) -> Vec<Task> {
        let task = |(i, &size): (usize, &u16)| {
            let name = format!("{i}.png");
            let input = folder.join(&name);
            std::fs::write(&input, vec![0; usize::from(size)]).unwrap();
            Task {
                input,
                label: PathBuf::from(&name),
                output: PathBuf::from(name),
                format: Format::Png,
                on_conflict: OnConflict::Error,
            }
        };
        sizes.iter().enumerate().map(task).collect()
    }

    fn names(tasks: Vec<Task>) -> Vec<PathBuf> {
        let mut names: Vec<_> = tasks.into_iter().map(|task| task.label).collect();
        names.sort();
        names
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(50))]
        #[test]
        fn parts_are_disjoint_complete_balanced_and_blind_to_the_order(
            sizes in prop::collection::vec(0u16..2000, 0..40),
            of in 1usize..7,
        ) {
            let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            let all = tasks(here.path(), &sizes);
            let mut turned = tasks(there.path(), &sizes);
            turned.reverse();
            let parts: Vec<_> = (1..=of).map(|part| Shard { part, of }.of(all.clone())).collect();
            let mut union: Vec<Task> = parts.concat();
            union.sort_by(|a, b| a.label.cmp(&b.label));
            prop_assert_eq!(names(union), names(all.clone()));
            let load = |part: &Vec<Task>| -> u64 {
                part.iter().map(|task| task.input.metadata().unwrap().len()).sum()
            };
            let largest = sizes.iter().copied().max().unwrap_or(0);
            let loads: Vec<u64> = parts.iter().map(load).collect();
            let (most, least) = (loads.iter().max().unwrap(), loads.iter().min().unwrap());
            prop_assert!(most - least <= u64::from(largest), "{loads:?}");
            for (part, tasks) in parts.into_iter().enumerate() {
                let shard = Shard { part: part + 1, of };
                prop_assert_eq!(names(shard.of(turned.clone())), names(tasks));
            }
        }
    }

    #[test]
    fn only_parts_that_exist_are_parts() {
        assert_eq!("2/3".parse(), Ok(Shard { part: 2, of: 3 }));
        for text in [
            "0/3",
            "4/3",
            "1/0",
            "1",
            "1/",
            "/1",
            "a/b",
            "-1/2",
            "1/1000000",
        ] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
    }
}
