//! Ctrl-C.
#![cfg(unix)]

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use crate::program::{Room, finish};

pub fn interrupt(child: &Child) {
    let status = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(status.expect("kill").success());
}

/// One evaluation of the bundled model takes a fraction of a second.
const SOON: Duration = Duration::from_secs(8);

#[test]
fn ctrl_c_stops_the_run_and_keeps_what_is_finished() {
    let room = Room::new();
    room.picture("a.png", 4, 4);
    room.picture("b.png", 64, 64);
    let words = "--no-gui a.png b.png -o out --steps 200 --particles 1 --no-check";
    let child = room.command(words).spawn().unwrap();
    let start = Instant::now();
    while !room.path("out/a_x4.png").exists() {
        assert!(
            start.elapsed() < Duration::from_secs(50),
            "the first picture never came"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    // Into the second picture.
    std::thread::sleep(Duration::from_millis(300));
    interrupt(&child);
    let run = finish(child);
    assert_eq!(run.code, Some(130), "{}", run.stderr);
    assert!(run.took < SOON, "{:?}", run.took);
    let last = run.stderr.lines().last().unwrap();
    assert!(last.starts_with("minkds: interrupted"), "{}", run.stderr);
    assert_eq!(room.names(), ["a.png", "b.png", "out/", "out/a_x4.png"]);
    assert_eq!(room.size("out/a_x4.png"), (16, 16));
}
