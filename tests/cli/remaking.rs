//! Sizes, strengths and origins: `--scale`, `--prescale`, `--strength` and `blend`, `--recreate`, what a
//! result says about itself.

use minkds::image_io;
use serde_json::Value;

use crate::program::{Room, Run, SILENT, finish};

const SEEN: &str = "--no-gui --steps 1 --particles 2 --device cpu";

/// The program as people run it: results say how they were made.
fn run(room: &Room, words: &str) -> Run {
    finish(room.command(words).env_remove(SILENT).spawn().unwrap())
}

#[track_caller]
fn done(room: &Room, words: &str) {
    let run = run(room, words);
    assert_eq!(run.code, Some(0), "{words}: {}", run.stderr);
}

fn size(room: &Room, name: &str) -> (u32, u32) {
    image::image_dimensions(room.path(name)).unwrap()
}

fn made(room: &Room, name: &str) -> Option<Value> {
    let text = image_io::provenance(&room.path(name)).unwrap()?;
    Some(serde_json::from_str(&text).unwrap())
}

#[test]
fn scale_and_prescale_choose_the_results_size() {
    let room = Room::new();
    room.picture("a.png", 21, 14);
    for (words, expected) in [
        ("", (84, 56)),
        ("--scale 2", (42, 28)),
        ("--scale 1", (21, 14)),
        ("--scale 1.3", (27, 18)),
        ("--prescale 0.5", (42, 28)),
        ("--prescale 0.25", (21, 14)),
        ("--prescale 0.25 --scale 1", (5, 4)),
    ] {
        done(&room, &format!("{SEEN} a.png -o b.png {words}"));
        assert_eq!(size(&room, "b.png"), expected, "{words}");
    }
}

/// The reduction is the 4× result's own, by Lanczos, whoever does it.
#[test]
fn a_smaller_scale_is_the_reduced_result() {
    let room = Room::new();
    room.picture("a.png", 16, 12);
    for words in ["-o full.png", "-o half.png --scale 2"] {
        done(&room, &format!("{SEEN} a.png {words}"));
    }
    let full = image::open(room.path("full.png")).unwrap();
    let filter = image::imageops::FilterType::Lanczos3;
    let expected = full.resize_exact(32, 24, filter).to_rgb8();
    let half = image::open(room.path("half.png")).unwrap().to_rgb8();
    // The file of full size was rounded to 8 bits before it was reduced here.
    let worst = (half.iter().zip(expected.iter())).map(|(a, b)| a.abs_diff(*b));
    assert!(worst.max().unwrap() <= 1);
}

#[test]
fn blend_gives_another_strength_without_a_run() {
    let room = Room::new();
    room.picture("a.png", 20, 15);
    for words in [
        "-o full.png",
        "-o third.png --strength 0.33",
        "-o none.png --strength 0",
    ] {
        done(&room, &format!("{SEEN} a.png {words}"));
    }
    for (strength, expected) in [("0.33", "third.png"), ("1", "full.png"), ("0", "none.png")] {
        done(
            &room,
            &format!("blend full.png a.png -o blended.png --strength {strength}"),
        );
        assert!(
            room.read("blended.png") == room.read(expected),
            "strength {strength} differs from a run's"
        );
    }

    let base = "blend full.png a.png";
    room.picture("other.png", 9, 9);
    for (words, texts) in [
        (
            "blend third.png a.png -o x.png --strength 0.5",
            &["third.png", "0.33", "already"][..],
        ),
        (
            "blend full.png other.png -o x.png --strength 0.5",
            &["full.png", "80 x 60", "36 x 36"],
        ),
        (
            "blend full.png gone.png -o x.png --strength 0.5",
            &["gone.png"],
        ),
        (
            &format!("{base} -o full.png --strength 0.5"),
            &["full.png", "never replaced"],
        ),
        (
            &format!("{base} -o a.png --strength 0.5"),
            &["a.png", "never replaced"],
        ),
        (&format!("{base} -o x.png --strength 1.5"), &["--strength"]),
        (
            &format!("{base} -o x.png --strength 0.5 --quality 50"),
            &["--quality", "PNG"],
        ),
        (
            &format!("{base} -o nowhere/x.png --strength 0.5"),
            &["nowhere"],
        ),
    ] {
        room.refuses(words, 2, texts);
    }
}

#[test]
fn a_result_is_made_again_from_what_it_says() {
    let room = Room::new();
    room.picture("a.png", 18, 13);
    for (words, name) in [
        ("", "old.png"),
        ("--seed 7 --gamma-0 0.2 --strength 0.5 --scale 3", "old.png"),
        ("--quality 70 --strip-metadata", "old.jpg"),
        ("--prescale 0.8 --vanilla", "old.tif"),
        ("--quality 60", "old.webp"),
    ] {
        done(&room, &format!("{SEEN} a.png -o {name} {words}"));
        let new = name.replace("old", "new");
        let again = format!("--no-gui --device cpu --recreate {name} a.png -o {new}");
        done(&room, &again);
        assert!(room.read(&new) == room.read(name), "{words} {name}");
    }
    // One of all particles, in tiles.
    room.picture("b.png", 50, 40);
    let words = format!("{SEEN} --select all --tile 32 --overlap 8 b.png -o all.png");
    done(&room, &words);
    let again = "--no-gui --device cpu --recreate all_p1.png b.png -o again.png";
    done(&room, again);
    assert!(room.read("again.png") == room.read("all_p1.png"));

    let base = "--no-gui --recreate old.png a.png";
    for (words, texts) in [
        (
            "--no-gui --recreate a.png a.png -o x.png",
            &["a.png", "does not say"][..],
        ),
        ("--no-gui --recreate gone.png a.png -o x.png", &["gone.png"]),
        (base, &["-o"]),
        (
            "--no-gui --recreate old.png a.png b.png -o x/",
            &["one input"],
        ),
        (&format!("{base} -o x.png --steps 3"), &["no settings"]),
        (
            &format!("{base} -o x.png --model MODEL"),
            &["sha256", "--model"],
        ),
    ] {
        room.refuses(words, 2, texts);
    }
}

#[test]
fn only_the_command_line_can_contradict_recreate() {
    let room = Room::new();
    room.picture("a.png", 18, 13);
    done(&room, &format!("{SEEN} a.png -o old.png --seed 7"));
    room.write("minkds.toml", "particles = 3\nstrip-metadata = true\n");
    let words = "--no-gui --device cpu --recreate old.png a.png -o new.png --config minkds.toml";
    let again = |words: &str| {
        let mut command = room.command(words);
        command.env_remove(SILENT).env("MINKDS_STEPS", "3");
        finish(command.env("MINKDS_QUALITY", "50").spawn().unwrap())
    };
    let run = again(words);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(room.read("new.png") == room.read("old.png"));
    let run = again(&format!("{words} --steps 2"));
    assert!(run.stderr.contains("no settings"), "{}", run.stderr);
}

#[test]
fn a_result_says_how_it_was_made_unless_told_not_to() {
    let room = Room::new();
    room.picture("a.png", 8, 8);
    let run = |words: &str| done(&room, &format!("{SEEN} a.png {words}"));
    for name in ["a_x4.png", "b.jpg", "c.webp", "d.tif"] {
        run(&format!("-o {name} --seed 18446744073709551615"));
        let made = made(&room, name).expect("it says how it was made");
        assert_eq!(made["settings"]["seed"], u64::MAX, "{name}");
        assert_eq!(made["settings"]["steps"], 1);
        assert_eq!(made["model_sha256"].as_str().unwrap().len(), 64);
        let version = concat!("minkds ", env!("CARGO_PKG_VERSION"));
        assert_eq!(made["program"], version);
        // No path and no name of a person's.
        assert!(!made.to_string().contains(room.path("").to_str().unwrap()));
        run(&format!("-o silent_{name} --no-provenance"));
        assert_eq!(self::made(&room, &format!("silent_{name}")), None);
    }
    let bytes = room.read("b.jpg");
    let mark = b"digitalsourcetype/algorithmicallyEnhanced";
    assert!(bytes.windows(mark.len()).any(|part| part == mark));
}

#[test]
fn quality_is_for_formats_that_have_it() {
    let room = Room::new();
    room.picture("a.png", 24, 24);
    for name in ["x.jpg", "x.webp"] {
        let length = |quality: u8| {
            let words = format!("{SEEN} a.png -o {name} --quality {quality} --no-provenance");
            done(&room, &words);
            room.read(name).len()
        };
        assert!(length(20) < length(90), "{name}");
    }
    room.refuses(
        "--no-gui a.png -o y.png --quality 90",
        2,
        &["--quality", "PNG"],
    );
    for value in ["0", "101", "-1", "x"] {
        room.refuses(
            &format!("--no-gui a.png -o y.jpg --quality {value}"),
            2,
            &["--quality"],
        );
    }
}
