//! A run that goes on where another one ended.

use std::fs;

use crate::program::Room;
use crate::{QUICK, room};

/// Enlarged, skipped and failed, as the last run's JSON says.
#[track_caller]
fn counts(room: &Room, words: &str) -> (u64, u64, u64) {
    let run = room.run(&format!("{QUICK} {words} --json"));
    let last = run
        .stdout
        .lines()
        .last()
        .unwrap_or_else(|| panic!("{}", run.stderr));
    let summary: serde_json::Value = serde_json::from_str(last).unwrap();
    assert_eq!(summary["event"], "summary", "{last}");
    let count = |name: &str| summary["totals"][name].as_u64().unwrap();
    (count("done"), count("skipped"), count("failed"))
}

#[test]
fn what_is_finished_is_left_alone_and_what_is_missing_is_made() {
    let room = room();
    assert_eq!(counts(&room, "in -r -o out"), (5, 0, 0));
    let first = room.files();
    assert_eq!(counts(&room, "in -r -o out"), (0, 5, 0));
    fs::remove_file(room.path("out/sub/c_x4.png")).unwrap();
    assert_eq!(counts(&room, "in -r -o out"), (1, 4, 0));
    assert!(room.files() == first);
    // A new picture.
    room.picture("in/new.png", 5, 5);
    assert_eq!(counts(&room, "in -r -o out"), (1, 5, 0));
    // The folders may move together with their journal.
    fs::rename(room.path("out"), room.path("moved")).unwrap();
    fs::rename(room.path("in"), room.path("source")).unwrap();
    assert_eq!(counts(&room, "source -r -o moved"), (0, 6, 0));
    // Without the journal's help the results are just files that exist.
    assert_eq!(counts(&room, "source -r -o moved --no-resume"), (0, 0, 6));
    let skips = "source -r -o moved --no-resume --on-conflict skip";
    assert_eq!(counts(&room, skips), (0, 6, 0));
    let replaces = "source -r -o moved --no-resume --on-conflict overwrite";
    assert_eq!(counts(&room, replaces), (6, 0, 0));
}

#[test]
fn other_settings_are_named_and_need_force() {
    let room = room();
    room.succeeds("--no-gui --no-check --model MODEL in -o out --steps 1 --particles 2");
    let first = room.files();
    room.refuses(
        "--no-gui --no-check --model MODEL in -o out -q --steps 2 --particles 1",
        2,
        &["steps: 1 → 2", "particles: 2 → 1", "--force"],
    );
    let other = "--no-gui --no-check in -o out --steps 1 --particles 2 --device cpu -q";
    room.refuses(other, 2, &["model: ", "…", "--force"]);
    let forced = room
        .succeeds("--no-gui --no-check --model MODEL in -o out --steps 2 --particles 2 --force");
    assert!(forced.stderr.contains("2 enlarged"), "{}", forced.stderr);
    assert_eq!(
        first.keys().collect::<Vec<_>>(),
        room.files().keys().collect::<Vec<_>>()
    );
    assert!(room.files() != first);
    let again =
        room.succeeds("--no-gui --no-check --model MODEL in -o out --steps 2 --particles 2");
    assert!(again.stderr.contains("2 skipped"), "{}", again.stderr);
    // Results that are gone do not count.
    fs::remove_file(room.path("out/a_x4.jpg")).unwrap();
    fs::remove_file(room.path("out/b_x4.png")).unwrap();
    room.succeeds("--no-gui --no-check --model MODEL in -o out --steps 1 --particles 2");
    assert!(room.files() == first);
}

#[test]
fn a_changed_input_is_noticed_by_its_content() {
    let room = room();
    assert_eq!(counts(&room, "in -o out"), (2, 0, 0));
    let before = room.read("out/b_x4.png");
    // Touched, but the same.
    let bytes = room.read("in/b.png");
    room.write("in/b.png", &bytes);
    assert_eq!(counts(&room, "in -o out"), (0, 2, 0));
    room.picture("in/b.png", 9, 9);
    assert_eq!(counts(&room, "in -o out"), (1, 1, 0));
    assert_eq!(room.size("out/b_x4.png"), (36, 36));
    // And back.
    room.write("in/b.png", &bytes);
    assert_eq!(counts(&room, "in -o out"), (1, 1, 0));
    assert!(room.read("out/b_x4.png") == before);
}

#[test]
fn what_others_made_of_a_result_is_never_replaced() {
    let room = room();
    assert_eq!(counts(&room, "in -o out"), (2, 0, 0));
    room.write("out/b_x4.png", "touched up by hand");
    let run = room.run(&format!("{QUICK} in -o out"));
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(
        run.stderr.contains("out/b_x4.png exists already"),
        "{}",
        run.stderr
    );
    assert_eq!(room.read("out/b_x4.png"), b"touched up by hand");
    assert_eq!(counts(&room, "in -o out --on-conflict skip"), (0, 2, 0));
    assert_eq!(counts(&room, "in -o out --on-conflict unique"), (1, 1, 0));
    let with_second = room.files();
    assert!(with_second.contains_key("out/b_x4_2.png"));
    // That one is known now.
    assert_eq!(counts(&room, "in -o out --on-conflict unique"), (0, 2, 0));
    assert!(room.files() == with_second);
    // And it is what a changed input replaces.
    room.picture("in/b.png", 9, 9);
    assert_eq!(counts(&room, "in -o out --on-conflict unique"), (1, 1, 0));
    assert_eq!(room.size("out/b_x4_2.png"), (36, 36));
    assert_eq!(room.read("out/b_x4.png"), b"touched up by hand");
}

#[test]
fn every_particles_file_is_known() {
    let room = room();
    let words = "--no-gui --no-check --model MODEL in -o out --steps 1 --particles 2 --select all";
    room.succeeds(words);
    let first = room.files();
    fs::remove_file(room.path("out/b_x4_p1.png")).unwrap();
    let again = room.succeeds(words);
    assert!(
        again.stderr.contains("1 enlarged, 1 skipped"),
        "{}",
        again.stderr
    );
    assert!(room.files() == first);
}

#[test]
fn one_picture_with_a_name_of_its_own_leaves_no_journal() {
    let room = room();
    for words in ["in/b.png -o b.png", "in/b.png"] {
        room.succeeds(&format!("{QUICK} {words}"));
    }
    for folder in ["", "in"] {
        let names = fs::read_dir(room.path(folder)).unwrap();
        let names: Vec<_> = names.map(|e| e.unwrap().file_name()).collect();
        let journals = names
            .iter()
            .filter(|n| n.to_string_lossy().contains("journal"));
        assert_eq!(journals.count(), 0, "{names:?}");
    }
}
