//! Batches that are killed, and go on.
#![cfg(unix)]

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::program::{Room, SILENT, finish};

/// A batch that is long enough to be killed in the middle.
const PICTURES: usize = 16;
const WORDS: &str = "--no-gui --no-check --model MODEL in -r -o out --steps 1 --particles 2";

fn room() -> Room {
    let room = Room::new();
    fs::create_dir_all(room.path("in/sub")).unwrap();
    for i in 0..PICTURES {
        let folder = ["", "sub/"][i % 2];
        let ending = ["png", "jpg", "tif", "webp"][i % 4];
        room.picture(&format!("in/{folder}{i:02}.{ending}"), 8 + i as u32, 9);
    }
    room
}

/// How many times: 20, or as many as `MINKDS_KILL_CASES` says.
fn cases() -> usize {
    let cases = std::env::var("MINKDS_KILL_CASES");
    cases.map_or(20, |text| {
        text.parse().expect("MINKDS_KILL_CASES is a number")
    })
}

/// A number below `below` that looks random and is the same every time.
fn random(state: &mut u64, below: u64) -> u64 {
    *state = state
        .wrapping_mul(6364136223846793005)
        .wrapping_add(1442695040888963407);
    (*state >> 33) % below
}

fn parts(room: &Room) -> Vec<String> {
    let names = room.names().into_iter();
    names.filter(|name| name.ends_with(".part")).collect()
}

#[test]
fn a_batch_killed_at_any_moment_ends_in_the_files_of_an_unbroken_run() {
    let clean = room();
    let start = Instant::now();
    clean.succeeds(WORDS);
    // The first run was the slowest; later moments would find nothing to kill.
    let length = start.elapsed().as_millis() as u64 * 2 / 3;
    let expected = clean.files();

    let room = room();
    let mut state = 7;
    let (mut killed, mut finished, mut left) = (0, 0, 0);
    while killed < cases() {
        let mut child = room.command(WORDS).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(random(&mut state, length)));
        let runs = child.try_wait().unwrap().is_none();
        if runs {
            child.kill().unwrap();
            child.wait().unwrap();
            killed += 1;
            left += usize::from(!parts(&room).is_empty());
        }
        // Every fourth kill or so, what was left is finished and compared, so that the next one begins anew.
        if !runs || random(&mut state, 4) == 0 {
            let run = finish(room.command(WORDS).spawn().unwrap());
            assert_eq!(run.code, Some(0), "after {killed} kills: {}", run.stderr);
            let files = room.files();
            assert!(
                files.keys().eq(expected.keys()),
                "after {killed} kills: {:?}",
                files.keys()
            );
            assert!(files == expected, "a file differs after {killed} kills");
            fs::remove_dir_all(room.path("out")).unwrap();
            finished += 1;
        }
    }
    room.succeeds(WORDS);
    assert!(room.files() == expected, "{:?}", room.names());
    // Said for whoever wants to know whether anything was tried at all.
    println!("{killed} kills, {left} of them left unfinished files, {finished} runs compared");
}

#[test]
fn ctrl_c_says_how_to_go_on_and_that_works() {
    let room = room();
    room.succeeds(WORDS);
    let expected = room.files();
    fs::remove_dir_all(room.path("out")).unwrap();
    let child = room.command(WORDS).spawn().unwrap();
    let start = Instant::now();
    while !room.path("out/00_x4.png").exists() {
        assert!(
            start.elapsed() < Duration::from_secs(50),
            "the first picture never came"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
    let status = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(status.unwrap().success());
    let run = finish(child);
    assert_eq!(run.code, Some(130), "{}", run.stderr);
    assert_eq!(parts(&room), [""; 0]);
    let last = run.stderr.lines().last().unwrap();
    let (_, command) = last
        .split_once("this goes on from here: ")
        .unwrap_or_else(|| panic!("{last}"));
    let mut again = Command::new("sh");
    again.arg("-c").arg(command).current_dir(room.path(""));
    again.env(SILENT, "true");
    let again = again.output().unwrap();
    let said = String::from_utf8_lossy(&again.stderr);
    assert!(again.status.success(), "{said}");
    assert!(said.contains("skipped"), "{said}");
    assert!(room.files() == expected);
}

#[test]
fn two_runs_at_once_leave_each_others_unfinished_files_alone() {
    let room = room();
    room.succeeds(WORDS);
    let expected = room.files();
    fs::remove_dir_all(room.path("out")).unwrap();
    // Both take everything: whoever is second at a picture fails or skips it, and harms nothing.
    let children: Vec<_> = (0..2)
        .map(|_| room.command(WORDS).spawn().unwrap())
        .collect();
    for child in children {
        let run = finish(child);
        for line in run
            .stderr
            .lines()
            .filter(|line| line.starts_with("minkds: ["))
        {
            assert!(line.contains("exists already"), "{}", run.stderr);
        }
    }
    assert!(room.files() == expected, "{:?}", room.names());
}
