//! One list, several machines or devices.

use std::fs;
use std::process::Command;

use burn::tensor::FloatDType;
use minkds::device::{DeviceChoice, Place, Target};
use minkds::job::{Engine, Job, JobEvent, Order, Reading, Shard, arrange, plan};
use minkds::model::ModelSource;
use minkds::pipeline::{Cancel, Event, Request, Rgb};
use minkds::settings::Settings;

use crate::common::{adapter_is_there, fixture, skipped};
use crate::program::{SILENT, finish};
use crate::{QUICK, room};

#[test]
fn one_two_and_four_machines_make_the_same_files() {
    let single = room();
    single.succeeds(&format!("{QUICK} in -r -o out"));
    for machines in [2, 4] {
        let room = room();
        let children: Vec<_> = (1..=machines)
            .map(|i| {
                let words = format!("{QUICK} in -r -o out --shard {i}/{machines}");
                room.command(&words).spawn().unwrap()
            })
            .collect();
        let mut enlarged = 0;
        for child in children {
            let run = finish(child);
            assert_eq!(run.code, Some(0), "{}", run.stderr);
            assert!(run.stderr.contains("of 5 pictures"), "{}", run.stderr);
            enlarged += run
                .stderr
                .lines()
                .filter(|line| line.contains(" -> "))
                .count();
        }
        assert_eq!(enlarged, 5, "none twice");
        assert!(
            room.files() == single.files(),
            "{machines}: {:?}",
            room.names()
        );
        // A machine more changes nothing that is finished.
        let again = room.succeeds(&format!("{QUICK} in -r -o out"));
        assert!(
            again.stderr.contains("0 enlarged, 5 skipped"),
            "{}",
            again.stderr
        );
    }
    // What one machine would refuse, all do.
    single.picture("in/b.jpg", 5, 5);
    for i in 1..=4 {
        let words = format!("{QUICK} in -o out2/{{stem}}.png --shard {i}/4");
        fs::create_dir_all(single.path("out2")).unwrap();
        single.refuses(&words, 2, &["in/b.jpg and in/b.png would both become"]);
    }
    // More machines than pictures: some have nothing to do, and that is fine.
    single.succeeds(&format!("{QUICK} in/a.jpg -o out3 --shard 2/2").replace("out3", "out2"));
}

/// The recipe of `docs/batches.md`.
#[test]
fn gnu_parallel_runs_the_shards() {
    let is_there = Command::new("parallel")
        .arg("--version")
        .output()
        .is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("GNU parallel"));
    if !is_there {
        let required = std::env::var("MINKDS_REQUIRE_PARALLEL").is_ok_and(|value| value == "1");
        assert!(
            !required,
            "MINKDS_REQUIRE_PARALLEL=1, and GNU parallel is not installed"
        );
        return skipped("GNU parallel is not installed, so its recipe was not run");
    }
    let single = room();
    single.succeeds(&format!("{QUICK} in -r -o out"));
    let room = room();
    let model = fixture("models").join("kl-like-bundled");
    let mut parallel = Command::new("sh");
    parallel
        .arg("-c")
        .arg(
            "seq 3 | parallel --will-cite --jobs 2 --halt never \
             \"$MINKDS\" --no-gui in --recursive -o out --threads 1 --shard {}/3 --no-check --steps 1 --particles 1",
        )
        .env("MINKDS", env!("CARGO_BIN_EXE_minkds"))
        .env("MINKDS_MODEL", model)
        .env("MINKDS_DEVICE", "cpu")
        .env(SILENT, "true")
        // Its own notes about citations belong elsewhere than into a person's home.
        .env("PARALLEL_HOME", room.cache())
        .current_dir(room.path(""));
    let output = parallel.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert_eq!(said.matches(" -> ").count(), 5, "{said}");
    assert!(room.files() == single.files(), "{:?}", room.names());
}

#[test]
fn two_devices_in_one_process_make_the_same_files() {
    let single = room();
    single.succeeds(&format!("{QUICK} in -r -o out"));
    let room = room();
    let source = ModelSource::Folder(fixture("models").join("kl-like-bundled"));
    let load = || Engine::load(&source, &Target::cpu(), &mut |_, _, _| Ok(())).unwrap();
    let mut engines = [load(), load()];
    let words = [room.path("in")];
    let output = room.path("out");
    let order = Order {
        words: &words,
        reading: Reading {
            recursive: true,
            null: false,
        },
        output: Some(&output),
        on_conflict: None,
        seed: 0,
        shard: None::<Shard>,
    };
    let arranged = arrange(&order, &mut std::io::empty()).unwrap();
    let job = Job {
        check: false,
        provenance: false,
        journal: arranged.folder,
        ..Job::new(arranged.tasks)
    };
    let settings = Settings {
        steps: 1,
        particles: 1,
        ..Settings::default()
    };
    let summary = job.run_on(&mut engines, &settings, &mut |_| (), &Cancel::default());
    assert_eq!(summary.unwrap().done, 5);
    let files = room.files();
    assert!(files == single.files(), "{:?}", room.names());
}

/// What another picture holds is given back while a run waits: in the middle of the heap, where it would otherwise
/// count as held.
#[cfg(target_os = "linux")]
#[test]
fn a_run_waits_for_memory_that_will_be_free_soon() {
    const BALLAST: usize = 512 << 20;
    let held = || {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kibibytes = line.unwrap().split_whitespace().nth(1).unwrap();
        kibibytes.parse::<u64>().unwrap() << 10
    };
    let source = ModelSource::Folder(fixture("models").join("kl-like-bundled"));
    let mut engine = Engine::load(&source, &Target::cpu(), &mut |_, _, _| Ok(())).unwrap();
    let settings = Settings {
        steps: 1,
        particles: 1,
        ..Settings::default()
    };
    let picture = Rgb {
        width: 16,
        height: 16,
        values: vec![0.5; 3 * 16 * 16],
    };
    let request = Request {
        check: false,
        ..Request::new(picture)
    };
    let blocks = (0..BALLAST >> 20).map(|_| (vec![1u8; 1 << 20], vec![1u8; 1 << 16]));
    let (mut ballast, between): (Vec<_>, Vec<_>) = blocks.unzip();
    let limit = held() - BALLAST as u64 / 2;
    let (mut waited, cancel) = (0, Cancel::default());
    let mut wait = || {
        waited += 1;
        ballast.clear();
    };
    for _ in 0..2 {
        let (request, limit) = (request.clone(), Some(limit));
        let run = engine.run_beside(&settings, request, limit, &mut wait, &mut |_| (), &cancel);
        assert!(run.is_ok(), "{:?}", run.err());
    }
    drop(between);
    assert_eq!(waited, 1, "with room enough nothing is waited for");
}

/// Both on one adapter, since most machines have one: what matters is that each lane has a thread of its own.
#[test]
fn two_cards_in_one_process_make_the_files_of_one() {
    if !adapter_is_there() {
        return;
    }
    let source = ModelSource::Folder(fixture("models").join("kl-like-bundled"));
    let card = Place::named(DeviceChoice::Gpu(Some(0))).unwrap();
    let target = Target::open(&card, FloatDType::F32).unwrap();
    let rooms = [room(), room()];
    for (room, count) in rooms.iter().zip([1, 2]) {
        let load = |_| Engine::load(&source, &target, &mut |_, _, _| Ok(())).unwrap();
        let mut engines: Vec<_> = (0..count).map(load).collect();
        let names = ["in/a.jpg", "in/b.png", "in/sub/c.png", "in/sub/deep/d.tif"];
        let inputs: Vec<_> = names.iter().map(|name| room.path(name)).collect();
        let job = Job {
            check: false,
            ..Job::new(plan(&inputs, Some(&room.path("out")), None).unwrap())
        };
        let settings = Settings {
            steps: 1,
            particles: 2,
            ..Settings::default()
        };
        let mut said = Vec::new();
        let mut events = |event: JobEvent| match event {
            JobEvent::Failed { error, .. } => said.push(error.to_string()),
            JobEvent::Run {
                event: Event::Warning(text),
                ..
            } => said.push(text),
            _ => (),
        };
        let summary = job.run_on(&mut engines, &settings, &mut events, &Cancel::default());
        assert_eq!(summary.unwrap().done, 4, "{said:?}");
        assert!(said.is_empty(), "{said:?}");
    }
    assert!(
        rooms[0].files() == rooms[1].files(),
        "{:?}",
        rooms[1].names()
    );
}

#[test]
fn all_cards_share_the_pictures() {
    if !adapter_is_there() {
        return;
    }
    let adapters = minkds::device::adapters();
    let room = room();
    let check = r#"{"name": "x", "error": 0.0, "limit": 1.0, "failure": null, "seconds": 0.0}"#;
    // Examining them is tested elsewhere.
    let verdicts: Vec<String> = adapters
        .iter()
        .map(|adapter| {
            let id = serde_json::to_string(&adapter.id).unwrap();
            format!(
                r#"[{{"adapter": {id}, "floats": "f32"}}, {{"checks": [{check}], "failure": null, "speed": 1.0}}]"#
            )
        })
        .collect();
    room.remember("null", &format!("[{}]", verdicts.join(",")));
    let run = room.succeeds(&format!(
        "{QUICK} in -o out --device gpu:all --precision f32 -v"
    ));
    assert!(run.stderr.contains(&adapters[0].id.name), "{}", run.stderr);
    assert_eq!(room.names_in("out"), ["a_x4.jpg", "b_x4.png"]);
    room.refuses(
        "--no-gui --no-check --model MODEL in/b.png --device gpu:some",
        2,
        &["gpu:all"],
    );
}
