//! Jobs whose network is something simple.

use std::fs;
use std::process::Command;
use std::sync::atomic::AtomicUsize;

use tempfile::TempDir;

use super::*;
use crate::kds::Choice;
use crate::model::SCALE;

const CONTEXT: Context = Context {
    latent_channels: 1,
    size_multiple: 1,
};

/// A network that makes four of every pixel.
fn enlarged(prepared: &Prepared) -> Result<(Outcome, String)> {
    let (width, height) = (prepared.width * SCALE, prepared.height * SCALE);
    let mut values = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        for x in 0..width {
            let from = (y / SCALE * prepared.width + x / SCALE) * 3;
            values.extend(&prepared.input.values[from..from + 3]);
        }
    }
    let picture = Rgb {
        width,
        height,
        values,
    };
    let region = pipeline::Region::whole(&picture);
    let outcome = Outcome {
        latents: None,
        choice: Choice::Particle(0),
        pictures: vec![picture],
        region,
        tile: None,
    };
    Ok((outcome, "a test".into()))
}

/// `count` small pictures of different colours in a folder `in`, to be enlarged into `out`.
fn job(room: &Path, count: usize, side: u32) -> Job {
    let folder = room.join("in");
    if !folder.exists() {
        fs::create_dir(&folder).unwrap();
        for i in 0..count {
            let colour = [i as u8, (i >> 8) as u8, 7];
            let picture = image::RgbImage::from_pixel(side, side, image::Rgb(colour));
            picture.save(folder.join(format!("{i:05}.png"))).unwrap();
        }
    }
    let words = [folder];
    let output = room.join("out");
    let order = Order {
        words: &words,
        reading: Reading::default(),
        output: Some(&output),
        on_conflict: None,
        seed: 0,
        shard: None,
    };
    let arranged = arrange(&order, &mut std::io::empty()).unwrap();
    Job {
        protected: arranged.protected,
        journal: arranged.folder,
        ..Job::new(arranged.tasks)
    }
}

type Compute<'a> = dyn Fn(&Prepared) -> Result<(Outcome, String)> + Sync + 'a;

/// Runs `job` on `lanes` devices that do as `compute` says; `events` hears of it.
fn run(
    job: &Job,
    lanes: usize,
    compute: &Compute,
    cancel: &Cancel,
    events: &mut dyn FnMut(JobEvent),
) -> Result<Summary> {
    let settings = Settings::default();
    let recipe = match serde_json::to_value(&settings).unwrap() {
        Value::Object(recipe) => recipe,
        _ => unreachable!("settings are an object"),
    };
    let shared = job.shared(&settings, CONTEXT, recipe, lanes, cancel)?;
    let networks = (0..lanes).map(|_| {
        |prepared: &mut Prepared, _: &mut dyn FnMut(), events: &mut dyn FnMut(Event)| {
            events(Event::Progress(1.0));
            compute(prepared)
        }
    });
    job.run_lanes(&shared, networks.collect(), events)
}

fn files(room: &TempDir) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(room.path().join("out")).into_iter().flatten();
    let mut files: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_none_or(|ending| ending != "jsonl"))
        .map(|path| (path.file_name().unwrap().into(), fs::read(&path).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn several_devices_share_one_queue_and_make_the_same_files() {
    let (one, three) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    for (room, lanes) in [(&one, 1), (&three, 3)] {
        let job = job(room.path(), 30, 3);
        let mut ended = vec![0; 30];
        let mut started = vec![0; 30];
        let summary = run(
            &job,
            lanes,
            &enlarged,
            &Cancel::default(),
            &mut |event| match event {
                JobEvent::Started { index, .. } => started[index] += 1,
                JobEvent::Done { index, .. } => ended[index] += 1,
                JobEvent::Run { .. } => (),
                other => panic!("{other:?}"),
            },
        );
        assert_eq!(summary.unwrap().done, 30);
        assert!(
            ended.iter().chain(&started).all(|&n| n == 1),
            "{started:?} {ended:?}"
        );
    }
    assert_eq!(files(&one).len(), 30);
    assert!(files(&one) == files(&three));
}

#[test]
fn devices_really_work_side_by_side() {
    let room = TempDir::new().unwrap();
    let job = job(room.path(), 2, 3);
    let meeting = std::sync::Barrier::new(2);
    let meet = |prepared: &Prepared| {
        // With one lane this would wait for ever.
        meeting.wait();
        enlarged(prepared)
    };
    let summary = run(&job, 2, &meet, &Cancel::default(), &mut |_| ());
    assert_eq!(summary.unwrap().done, 2);
}

#[test]
fn the_next_picture_is_read_and_the_last_one_written_while_one_is_computed() {
    let room = TempDir::new().unwrap();
    let job = job(room.path(), 3, 3);
    let begun = AtomicUsize::new(0);
    let out = room.path().join("out/00000_x4.png");
    let next = room.path().join("in/00002.png");
    let watch = |prepared: &Prepared| {
        if begun.fetch_add(1, Ordering::SeqCst) == 1 {
            // The first result appears, and the third picture has been read by the time it is removed.
            let wait = Instant::now();
            while !out.exists() {
                assert!(
                    wait.elapsed().as_secs() < 20,
                    "the first picture is not being written"
                );
                thread::yield_now();
            }
            thread::sleep(std::time::Duration::from_millis(300));
            fs::remove_file(&next).unwrap();
        }
        enlarged(prepared)
    };
    let summary = run(&job, 1, &watch, &Cancel::default(), &mut |_| ());
    assert_eq!(summary.unwrap().done, 3);
}

#[test]
fn a_picture_may_wait_until_the_one_before_is_written() {
    let room = TempDir::new().unwrap();
    let job = job(room.path(), 5, 40);
    let (settings, cancel) = (Settings::default(), Cancel::default());
    let shared = job.shared(&settings, CONTEXT, Recipe::new(), 1, &cancel);
    let mut computed = 0;
    let network = |prepared: &mut Prepared, wait: &mut dyn FnMut(), _: &mut dyn FnMut(Event)| {
        // For the first one there is nothing to wait for, and nobody need wait.
        if computed != 3 {
            wait();
            let name = |i| room.path().join(format!("out/{i:05}_x4.png"));
            assert!((0..computed).all(|i| name(i).exists()), "{computed}");
        }
        computed += 1;
        enlarged(prepared)
    };
    let summary = job.run_lanes(&shared.unwrap(), vec![network], &mut |_| ());
    assert_eq!(summary.unwrap().done, 5);
}

#[test]
fn only_what_is_known_to_be_small_is_read_ahead() {
    let room = TempDir::new().unwrap();
    let job = job(room.path(), 4, 3);
    fs::write(&job.tasks[1].input, "no picture").unwrap();
    let large = image::GrayImage::new(2100, 2000);
    large.save(&job.tasks[2].input).unwrap();
    let (settings, cancel) = (Settings::default(), Cancel::default());
    let shared = job.shared(&settings, CONTEXT, Recipe::new(), 1, &cancel);
    let shared = shared.unwrap();
    let ahead = |next: usize| {
        shared.next.store(next, Ordering::Relaxed);
        shared.may_read_ahead()
    };
    assert_eq!([0, 1, 2, 3].map(ahead), [true, false, false, true]);
}

#[test]
fn a_picture_that_the_memory_cannot_hold_is_not_decoded() {
    let room = TempDir::new().unwrap();
    let mut job = job(room.path(), 3, 3);
    let large = image::GrayImage::new(2100, 2000);
    large.save(&job.tasks[1].input).unwrap();
    job.memory_limit = Some(1);
    let small = |prepared: &Prepared| {
        assert_eq!(prepared.width, 3, "the large one was decoded");
        enlarged(prepared)
    };
    let mut said = String::new();
    let summary = run(&job, 1, &small, &Cancel::default(), &mut |event| {
        if let JobEvent::Failed { index, error, .. } = event {
            said = format!("{index}: {error}");
        }
    });
    let summary = summary.unwrap();
    assert_eq!((summary.done, summary.failed), (2, 1));
    // One byte of a sample and twelve of values, and a small file.
    let words = "1: a picture of 2100 × 2000 pixels takes about 52.1 MiB of memory to decode";
    assert!(said.starts_with(words), "{said}");
}

#[test]
fn bad_files_stop_nothing_unless_that_is_asked_for() {
    let room = TempDir::new().unwrap();
    let mut job = job(room.path(), 9, 3);
    for name in ["00001.png", "00004.png"] {
        fs::write(room.path().join("in").join(name), "no picture").unwrap();
    }
    let cancel = Cancel::default();
    job.fail_fast = true;
    let mut failed = Vec::new();
    let summary = run(&job, 1, &enlarged, &cancel, &mut |event| {
        if let JobEvent::Failed { index, error, .. } = event {
            assert!(error.to_string().contains("not a picture"), "{error}");
            failed.push(index);
        }
    });
    let summary = summary.unwrap();
    assert_eq!(failed, [1]);
    // The next one had been read.
    assert!(summary.done <= 2 && summary.failed == 1, "{summary:?}");
    job.fail_fast = false;
    let summary = run(&job, 1, &enlarged, &cancel, &mut |_| ()).unwrap();
    assert_eq!((summary.done + summary.skipped, summary.failed), (7, 2));
    let summary = run(&job, 1, &enlarged, &cancel, &mut |_| ()).unwrap();
    assert_eq!((summary.done, summary.skipped, summary.failed), (0, 7, 2));
}

#[test]
fn what_cannot_be_written_is_not_computed() {
    let cancel = Cancel::default();
    let never = |_: &Prepared| -> Result<_> { panic!("this was computed for nothing") };
    let failures = |job: &Job, word: &str| {
        let summary = run(job, 1, &never, &cancel, &mut |event| {
            if let JobEvent::Failed { error, .. } = event {
                let text = error.to_string();
                assert!(text.contains(word), "{text}");
            }
        });
        assert_eq!(summary.unwrap().failed, 2);
    };
    let room = TempDir::new().unwrap();
    let mut job = job(room.path(), 2, 3);
    let out = room.path().join("out");
    // A file in the folder's place takes no files, whoever asks.
    fs::write(&out, "").unwrap();
    failures(&job, "cannot create");
    fs::remove_file(&out).unwrap();
    let journal = job.journal.replace(room.path().join("in/00000.png"));
    failures(&job, "cannot write the journal");
    job.journal = None;
    for task in &mut job.tasks {
        task.output = format!("/proc/{}", task.label.display()).into();
    }
    if cfg!(target_os = "linux") {
        failures(&job, "cannot write /proc/");
    }
    job.journal = journal;
    // Pictures that cannot be read leave nothing behind.
    for i in 0..2 {
        job.tasks[i].output = out.join(format!("{i}.png"));
        fs::write(&job.tasks[i].input, "no picture").unwrap();
    }
    fs::remove_dir(&out).unwrap();
    failures(&job, "not a picture");
    assert!(!out.exists());
}

#[test]
fn a_job_that_is_stopped_keeps_what_is_finished_and_goes_on_later() {
    let (whole, room) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    run(
        &job(whole.path(), 12, 3),
        1,
        &enlarged,
        &Cancel::default(),
        &mut |_| (),
    )
    .unwrap();
    let job = job(room.path(), 12, 3);
    for lanes in [1, 2] {
        let cancel = Cancel::default();
        let computed = AtomicUsize::new(0);
        let stop = |prepared: &Prepared| {
            if computed.fetch_add(1, Ordering::SeqCst) == 3 {
                cancel.cancel();
            }
            match cancel.is_cancelled() {
                true => Err(Error::Cancelled),
                false => enlarged(prepared),
            }
        };
        let ended = run(&job, lanes, &stop, &cancel, &mut |_| ());
        assert!(matches!(ended, Err(Error::Cancelled)), "{ended:?}");
    }
    let finished = files(&room).len();
    assert!(
        (4..=6).contains(&finished),
        "{finished}: up to three of each run"
    );
    let summary = run(&job, 1, &enlarged, &Cancel::default(), &mut |_| ()).unwrap();
    assert_eq!((summary.done, summary.skipped), (12 - finished, finished));
    assert!(files(&room) == files(&whole));
}

#[test]
fn what_is_finished_is_not_announced() {
    let room = TempDir::new().unwrap();
    let job = job(room.path(), 3, 3);
    let target = crate::device::Target::cpu();
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models/kl-like-bundled");
    let source = crate::model::ModelSource::Folder(folder);
    let engine = Engine::load(&source, &target, &mut |_, _, _| Ok(())).unwrap();
    let settings = Settings {
        steps: 1000,
        ..Settings::default()
    };
    let large = image::GrayImage::new(3000, 3000);
    large.save(&job.tasks[1].input).unwrap();
    let duration = || job.duration(engine.model(), &settings).unwrap();
    assert!(duration().is_some());
    let recipe = job.recipe(engine.model(), &settings).unwrap();
    let output = &job.tasks[1].output;
    fs::create_dir(room.path().join("out")).unwrap();
    fs::write(output, "a result").unwrap();
    let stamp = Stamp::of(output, output).unwrap();
    let mut journal = Journal::new(&room.path().join("out"), recipe);
    journal.finishing(output, stamp.clone(), &[stamp]).unwrap();
    assert_eq!(duration(), None, "the others are little");
    fs::remove_file(output).unwrap();
    assert!(duration().is_some());
}

#[test]
fn a_result_that_got_its_name_but_no_further_line_is_finished() {
    let room = TempDir::new().unwrap();
    let job = job(room.path(), 3, 3);
    let cancel = Cancel::default();
    run(&job, 1, &enlarged, &cancel, &mut |_| ()).unwrap();
    let before = files(&room);
    let journal = fs::read_dir(room.path().join("out")).unwrap();
    let mut journal = journal.map(|entry| entry.unwrap().path());
    let journal = journal.find(|path| path.extension().is_some_and(|e| e == "jsonl"));
    let journal = journal.unwrap();
    let text = fs::read_to_string(&journal).unwrap();
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.contains("finished"))
        .collect();
    assert_eq!(lines.len(), 4);
    fs::write(&journal, lines.join("\n")).unwrap();
    let summary = run(&job, 1, &enlarged, &cancel, &mut |_| ()).unwrap();
    assert_eq!((summary.done, summary.skipped), (0, 3));
    // Announced, but the name was never given: nothing is there, so it is made.
    fs::remove_file(room.path().join("out/00001_x4.png")).unwrap();
    let summary = run(&job, 1, &enlarged, &cancel, &mut |_| ()).unwrap();
    assert_eq!((summary.done, summary.skipped), (1, 2));
    assert!(files(&room) == before);
}

#[test]
fn a_panic_is_one_pictures_failure() {
    let error = lanes::guarded("reading", Path::new("a.png"), || -> Result<()> {
        panic!("oh")
    });
    let text = error.unwrap_err().to_string();
    assert!(
        text.contains("reading a.png") && text.contains("(oh)"),
        "{text}"
    );
}

/// Run alone by the test below, whose process does other things too.
#[test]
#[ignore = "part of ten_thousand_pictures_take_no_more_memory_than_two_thousand"]
fn ten_thousand_pictures_alone() {
    const COUNT: usize = 10_000;
    // In memory where that is possible: this is not about disks, and each picture waits for them thrice.
    let room = match TempDir::new_in("/dev/shm") {
        Ok(room) => room,
        Err(_) => TempDir::new().unwrap(),
    };
    let job = job(room.path(), COUNT, 16);
    let mut ended = 0;
    let mut early = 0;
    let mut report = Report::new(&job.tasks);
    let summary = run(&job, 2, &enlarged, &Cancel::default(), &mut |event| {
        report.hear(&event);
        if let JobEvent::Done { .. } = event {
            ended += 1;
            if ended == COUNT / 5 {
                early = crate::device::peak_memory().unwrap();
            }
        }
    });
    assert_eq!(summary.unwrap().done, COUNT);
    let late = crate::device::peak_memory().unwrap();
    println!(
        "peak {early} bytes after {}, {late} after {COUNT}",
        COUNT / 5
    );
    // What is reported of each picture takes about half a kilobyte; keeping the inputs (3 KiB each) or the results
    // (48 KiB each) would take 24 MB or 400 MB.
    assert!(late - early < 12 << 20, "{early} {late}");
}

#[test]
fn ten_thousand_pictures_take_no_more_memory_than_two_thousand() {
    if !cfg!(target_os = "linux") {
        return; // Nothing tells the peak.
    }
    let name = "job::tests::ten_thousand_pictures_alone";
    let output = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--ignored", "--nocapture"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}"
    );
}
