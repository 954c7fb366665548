//! Choosing devices, listing them, and the doctor.

use minkds::device::adapters;
use serde_json::Value;

use super::program::Room;
use crate::common;

/// Differences of a result on a card and on the processor, of 255: rounding at the edge of a step.
const STEPS: u8 = 1;

fn room() -> Room {
    let room = Room::new();
    room.picture("a.png", 9, 7);
    room
}

/// A room where `gpu:0` was never examined; `None`, said loudly, where there is no adapter.
fn room_with_a_card() -> Option<Room> {
    common::adapter_is_there().then(room)
}

/// One verdict on `gpu:0`, as the program keeps it.
fn verdict(floats: &str, error: f64, failure: &str) -> String {
    let id = serde_json::to_string(&adapters()[0].id).unwrap();
    let check = format!(
        r#"{{"name": "x", "error": {error}, "limit": 1.0, "failure": null, "seconds": 0.0}}"#
    );
    format!(
        r#"[{{"adapter": {id}, "floats": "{floats}"}}, {{"checks": [{check}], "failure": {failure}, "speed": 1.0}}]"#
    )
}

#[test]
fn what_is_not_there_is_refused_by_name() {
    let room = room();
    let number = adapters().len();
    let words = |device: &str| format!("TINY a.png -o b.png --device {device}");
    room.refuses(
        &words("gpu:77"),
        2,
        &[if number == 0 {
            "no graphics card"
        } else {
            "gpu:77"
        }],
    );
    if !cfg!(feature = "cuda") {
        for device in ["cuda", "cuda:0", "cuda:3"] {
            room.refuses(&words(device), 2, &["CUDA", "--device gpu"]);
        }
    }
    if adapters().iter().all(|adapter| adapter.is_software()) {
        room.refuses(&words("gpu"), 2, &["no graphics card", "--device cpu"]);
        room.refuses(
            "TINY a.png -o b.png --precision f16",
            2,
            &["f16", "graphics card"],
        );
    }
    room.refuses(
        &format!("{} --precision f16", words("cpu")),
        2,
        &["f16", "graphics card"],
    );
}

#[test]
fn the_list_names_every_adapter_and_the_processor() {
    let list = room().run("devices");
    assert_eq!((list.code, list.stderr.as_str()), (Some(0), ""));
    for adapter in adapters() {
        assert!(
            list.stdout
                .contains(&format!("gpu:{}  {}", adapter.number, adapter.id.name))
        );
    }
    for word in ["cpu", "threads", "free"] {
        assert!(list.stdout.contains(word), "{}", list.stdout);
    }
}

#[test]
fn the_doctor_recommends_and_writes_a_report() {
    let room = room();
    std::fs::write(room.devices(), "{ broken").unwrap();
    let run = room.run("doctor -o report.json");
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(
        run.stdout.contains("recommended") && run.stdout.contains("report.json"),
        "{}",
        run.stdout
    );
    assert!(
        run.stdout
            .contains("the processor in f32: computes rightly"),
        "{}",
        run.stdout
    );
    let report: Value = serde_json::from_slice(&room.read("report.json")).unwrap();
    assert_eq!(report["version"], env!("CARGO_PKG_VERSION"));
    let findings = report["findings"].as_array().unwrap();
    assert!(
        findings
            .iter()
            .any(|finding| finding["verdict"]["checks"].as_array().unwrap().len() > 10)
    );
    let remembered: Value =
        serde_json::from_slice(&std::fs::read(room.devices()).unwrap()).unwrap();
    assert_eq!(remembered["recommended"], report["recommended"]);
    room.refuses("doctor -o gone/report.json", 2, &["gone"]);
}

#[test]
fn a_card_is_examined_once_and_makes_the_processors_picture() {
    let Some(room) = room_with_a_card() else {
        return;
    };
    let words = "TINY a.png --precision f32 -o";
    let first = room.run(&format!("{words} gpu.png --device gpu:0"));
    assert_eq!(first.code, Some(0), "{}", first.stderr);
    let name = &adapters()[0].id.name;
    assert!(
        first.stderr.contains(&format!("examining {name}")),
        "{}",
        first.stderr
    );
    let again = room.run(&format!("{words} again.png --device gpu:0"));
    assert_eq!(again.code, Some(0));
    assert!(!again.stderr.contains("examining"), "{}", again.stderr);
    assert_eq!(room.read("gpu.png"), room.read("again.png"));
    room.succeeds(&format!("{words} cpu.png --device cpu"));
    let [gpu, cpu] = ["gpu.png", "cpu.png"].map(|name| room.decoded(name).into_rgb8().into_raw());
    let worst = gpu.iter().zip(&cpu).map(|(a, b)| a.abs_diff(*b)).max();
    assert!(worst <= Some(STEPS), "off by {worst:?}");
    room.succeeds("TINY a.png -o quiet.png --quiet --device gpu:0 --precision f32");
}

#[test]
fn a_card_that_computes_wrongly_is_not_used() {
    let Some(room) = room_with_a_card() else {
        return;
    };
    let wrong = ["f32", "f16"].map(|floats| verdict(floats, 2.0, "null"));
    room.remember("null", &format!("[{}]", wrong.join(", ")));
    let says = [
        adapters()[0].id.name.as_str(),
        "x comes out wrong",
        "--device cpu",
    ];
    room.refuses("TINY a.png -o b.png --device gpu:0", 2, &says);
    if adapters()[0].f16 {
        room.refuses(
            "TINY a.png -o b.png --device gpu:0 --precision f16",
            2,
            &says,
        );
    }
    if adapters().len() == 1 {
        room.succeeds("TINY a.png -o b.png --device auto");
    }
}

#[test]
fn memory_that_is_no_verdict_is_made_anew_without_a_word() {
    let Some(room) = room_with_a_card() else {
        return;
    };
    let good = verdict("f32", 0.0, "null");
    room.remember("null", &format!("[{good}]"));
    let run = room.run("TINY a.png -o b.png --device gpu:0 --precision f32");
    assert_eq!(
        (run.code, run.stderr.lines().count()),
        (Some(0), 1),
        "{}",
        run.stderr
    );
    for broken in ["", "{", "[]", r#"{"format": 2}"#, "\u{0}\u{1}"] {
        std::fs::write(room.devices(), broken).unwrap();
        let run = room.run("TINY a.png -o c.png --device cpu");
        assert_eq!(run.code, Some(0), "{}", run.stderr);
    }
}
