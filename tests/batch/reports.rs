//! What is told: reports, events, forecasts, and what is not.

use std::time::Duration;

use serde_json::Value;

use crate::program::{Room, finish};
use crate::{QUICK, room};

fn report(room: &Room) -> Value {
    serde_json::from_slice(&room.read("report.json")).unwrap()
}

#[test]
fn a_report_has_everything_about_every_picture() {
    let room = room();
    room.write("in/bad.png", "no picture");
    let words = format!("{QUICK} in -o out --report report.json");
    assert_eq!(room.run(&words).code, Some(1));
    let first = report(&room);
    assert_eq!(
        (&first["report"], &first["ended"]),
        (&1.into(), &"completed".into())
    );
    assert_eq!(first["settings"]["steps"], 1);
    assert_eq!(first["settings"]["model"].as_str().unwrap().len(), 64);
    assert_eq!(first["devices"][0], "the processor");
    let totals = &first["totals"];
    for (name, count) in [
        ("files", 3),
        ("done", 2),
        ("failed", 1),
        ("skipped", 0),
        ("waiting", 0),
    ] {
        assert_eq!(totals[name], count, "{name}");
    }
    let files = first["files"].as_array().unwrap();
    let inputs: Vec<_> = files
        .iter()
        .map(|file| file["input"].as_str().unwrap())
        .collect();
    assert_eq!(inputs, ["in/a.jpg", "in/b.png", "in/bad.png"]);
    let b = &files[1];
    assert_eq!(
        (&b["state"], &b["width"], &b["height"]),
        (&"done".into(), &6.into(), &5.into())
    );
    let output = &b["files"][0];
    assert_eq!(output["path"], "out/b_x4.png");
    assert_eq!(
        (&output["width"], &output["height"]),
        (&24.into(), &20.into())
    );
    assert_eq!(output["bytes"], room.read("out/b_x4.png").len());
    for phase in ["read", "network", "write"] {
        assert!(b["seconds"][phase].as_f64().unwrap() > 0.0, "{phase}");
    }
    assert_eq!(b["device"], "the processor");
    if cfg!(target_os = "linux") {
        assert!(b["memory_peak"].as_u64().unwrap() > 1 << 20);
    }
    assert!(
        files[2]["error"]
            .as_str()
            .unwrap()
            .contains("not a picture")
    );
    // Again: what was finished is skipped, and the report is replaced.
    assert_eq!(room.run(&words).code, Some(1));
    let again = report(&room);
    assert_eq!(again["totals"]["skipped"], 2);
    assert_eq!(again["files"][1]["state"], "skipped");
    room.refuses(
        &format!("{QUICK} in -o out --report in/b.png"),
        2,
        &["never replaced"],
    );
    room.refuses(
        &format!("{QUICK} in -o out --report no/r.json"),
        2,
        &["--report", "does not exist"],
    );
}

#[test]
fn events_are_lines_of_json_and_words_go_to_standard_error() {
    let room = room();
    room.write("in/bad.png", "no picture");
    let run = room.run(&format!("{QUICK} in -o out --json"));
    assert_eq!(run.code, Some(1));
    let events: Vec<Value> = run
        .stdout
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let named = |name: &str| events.iter().filter(|e| e["event"] == name).count();
    assert_eq!(events[0]["event"], "begun");
    assert_eq!(events[0]["files"], 3);
    assert_eq!(
        (named("started"), named("done"), named("failed")),
        (3, 2, 1)
    );
    assert_eq!(named("step"), 2);
    assert_eq!(events.last().unwrap()["totals"]["done"], 2);
    assert!(
        run.stderr.contains("in/b.png -> out/b_x4.png (24 x 20)"),
        "{}",
        run.stderr
    );
    // No colours and no bars where nobody looks.
    assert!(
        !run.stderr.contains('\u{1b}') && !run.stderr.contains('\r'),
        "{}",
        run.stderr
    );
    let quiet = room.run(&format!("{QUICK} in -o out --json -q"));
    assert_eq!(quiet.stderr.lines().count(), 1, "{}", quiet.stderr);
    let verbose = room.run(&format!("{QUICK} in -o out -v"));
    assert!(verbose.stderr.contains("--steps 1"), "{}", verbose.stderr);
    assert!(
        verbose.stderr.contains("out/b_x4.png is finished"),
        "{}",
        verbose.stderr
    );
}

#[test]
fn a_dry_run_tells_and_writes_nothing() {
    let room = room();
    room.write("in/bad.png", "no picture");
    room.picture("in/done.png", 7, 7);
    room.succeeds(&format!("{QUICK} in/done.png -o out/"));
    room.write("out/a_x4.jpg", "somebody's");
    let before = room.files();
    let run = room.run(&format!(
        "{QUICK} in -r -o out --dry-run --report report.json"
    ));
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(run.stderr.contains("no --report"), "{}", run.stderr);
    assert!(room.files() == before, "{:?}", room.names());
    for line in [
        "in/b.png -> out/b_x4.png (6 x 5 -> 24 x 20, about ",
        "in/sub/deep/d.tif -> out/sub/deep/d_x4.tif (9 x 5",
        "in/done.png: would be skipped, out/done_x4.png is finished",
        "in/a.jpg: would fail: out/a_x4.jpg exists already",
        "in/bad.png: would fail: ",
        "4 to enlarge, 1 to skip, 2 that would fail",
        "Nothing was written.",
    ] {
        assert!(run.stdout.contains(line), "{line}: {}", run.stdout);
    }
    let run = room.run(&format!(
        "{QUICK} in -o out --dry-run --json --memory-limit 1MB"
    ));
    let events: Vec<Value> = run
        .stdout
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(events.len(), 5, "{}", run.stdout);
    let b = events.iter().find(|e| e["input"] == "in/b.png").unwrap();
    assert!(
        b["error"].as_str().unwrap().contains("--memory-limit"),
        "{b}"
    );
    assert_eq!(events[4]["event"], "forecast");
    assert!(room.files() == before);
}

#[test]
fn a_report_that_cannot_be_written_costs_no_result() {
    let room = room();
    // The second picture takes long enough to put something in the report's way.
    room.picture("in/b.png", 128, 128);
    let words = "--no-gui --no-check in -o out --steps 4 --particles 1 --report report.json";
    let mut child = room.command(words).spawn().unwrap();
    while !room.path("out/a_x4.jpg").exists() {
        assert_eq!(child.try_wait().unwrap(), None, "it has ended");
        std::thread::sleep(Duration::from_millis(5));
    }
    std::fs::create_dir(room.path("report.json")).unwrap();
    let run = finish(child);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    for text in ["2 enlarged", "cannot write report.json"] {
        assert!(run.stderr.contains(text), "{}", run.stderr);
    }
    assert_eq!(room.names_in("out"), ["a_x4.jpg", "b_x4.png"]);
}

#[test]
fn the_last_event_is_the_summary_even_if_nothing_was_done() {
    let room = room();
    room.succeeds(&format!("{QUICK} in -o out --report report.json"));
    let before = room.files();
    let words = "--no-gui --no-check --model MODEL in -o out --steps 2 --json --report report.json";
    let run = room.run(words);
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    let last: Value = serde_json::from_str(run.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&last["event"], &last["ended"], &last["totals"]["waiting"]),
        (&"summary".into(), &"refused".into(), &2.into())
    );
    assert!(
        room.files() == before,
        "the report of the night before stays"
    );
}

#[test]
fn a_log_says_how_far_the_batch_is() {
    let room = room();
    room.write("in/c.png", "no picture");
    let run = room.run(&format!("{QUICK} in -o out"));
    let lines = run.stderr.lines();
    let counted: Vec<_> = lines.filter(|line| line.contains("/3")).collect();
    for (line, number) in counted.iter().zip(1..) {
        assert!(line.contains(&format!("[{number}/3")), "{counted:?}");
    }
    assert_eq!(counted.len(), 3, "{}", run.stderr);
    // One picture is no batch.
    let single = room.run(&format!("{QUICK} in/b.png -o b.png"));
    assert_eq!(single.stderr, "in/b.png -> b.png (24 x 20)\n");
}
