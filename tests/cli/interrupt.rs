//! Ctrl-C.
#![cfg(unix)]

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use crate::program::{Room, finish};

pub fn interrupt(child: &Child) {
    send("INT", child);
}

fn send(signal: &str, child: &Child) {
    let status = Command::new("kill")
        .args([&format!("-{signal}"), &child.id().to_string()])
        .status();
    assert!(status.expect("kill").success());
}

/// One evaluation of the bundled model takes a fraction of a second.
const SOON: Duration = Duration::from_secs(8);

/// Two pictures, the second of which takes long.
const WORDS: &str = "--no-gui a.png b.png -o out --steps 200 --particles 1 --no-check";

fn room() -> Room {
    let room = Room::new();
    room.picture("a.png", 4, 4);
    room.picture("b.png", 64, 64);
    room
}

/// Returns when the program is well into the second picture.
fn wait_for_the_second(room: &Room) {
    let start = Instant::now();
    while !room.path("out/a_x4.png").exists() {
        assert!(
            start.elapsed() < Duration::from_secs(50),
            "the first picture never came"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(300));
}

#[test]
fn ctrl_c_stops_the_run_and_keeps_what_is_finished() {
    let room = room();
    let child = room.command(WORDS).spawn().unwrap();
    wait_for_the_second(&room);
    interrupt(&child);
    let run = finish(child);
    assert_eq!(run.code, Some(130), "{}", run.stderr);
    assert!(run.took < SOON, "{:?}", run.took);
    let last = run.stderr.lines().last().unwrap();
    assert!(last.starts_with("minkds: interrupted"), "{}", run.stderr);
    assert_eq!(room.names(), ["a.png", "b.png", "out/", "out/a_x4.png"]);
    assert_eq!(room.size("out/a_x4.png"), (16, 16));
}

#[test]
fn a_report_that_cannot_be_written_does_not_hide_the_interruption() {
    let room = room();
    let words = format!("{WORDS} --report report.json");
    let child = room.command(&words).spawn().unwrap();
    wait_for_the_second(&room);
    std::fs::create_dir(room.path("report.json")).unwrap();
    interrupt(&child);
    let run = finish(child);
    assert_eq!(run.code, Some(130), "{}", run.stderr);
    for text in ["report.json", "this goes on from here"] {
        assert!(run.stderr.contains(text), "{}", run.stderr);
    }
}

/// `nohup` has hang-ups ignored, and shells have Ctrl-C ignored by what their scripts start with `&`.
#[test]
fn signals_that_were_ignored_stay_ignored() {
    let room = room();
    let mut child = room
        .command_under("trap '' HUP INT", WORDS)
        .spawn()
        .unwrap();
    wait_for_the_second(&room);
    send("HUP", &child);
    send("INT", &child);
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(child.try_wait().unwrap(), None, "it has ended");
    send("TERM", &child);
    assert_eq!(finish(child).code, Some(130));
}
