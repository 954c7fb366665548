//! The command line, through the program itself: what it makes, what it refuses, what it leaves.

mod common;

#[path = "cli/bad_models.rs"]
mod bad_models;
#[path = "cli/bad_pictures.rs"]
mod bad_pictures;
#[path = "cli/bad_words.rs"]
mod bad_words;
#[path = "cli/checks.rs"]
mod checks;
#[path = "cli/devices.rs"]
mod devices;
#[path = "cli/hub.rs"]
mod hub;
#[path = "cli/interrupt.rs"]
mod interrupt;
#[path = "cli/latents.rs"]
mod latents;
#[path = "cli/names.rs"]
mod names;
#[path = "cli/pictures.rs"]
mod pictures;
#[path = "cli/program.rs"]
mod program;
#[path = "cli/remaking.rs"]
mod remaking;
#[path = "cli/steering.rs"]
mod steering;

use program::Room;

/// The table, and what stands around it.
const FLAGS: [&str; 52] = [
    "--no-gui",
    "--output",
    "--on-conflict",
    "--model",
    "--device",
    "--precision",
    "--particles",
    "--num-particles",
    "--bandwidth",
    "--band-width",
    "--patch-size",
    "--gamma-0",
    "--kernel",
    "--window",
    "--select",
    "--vanilla",
    "--clean",
    "--preset",
    "--solver",
    "--steps",
    "--eta",
    "--color-fix",
    "--seed",
    "--latents",
    "--save-latents",
    "--no-check",
    "--memory-limit",
    "--threads",
    "--strength",
    "--tile",
    "--overlap",
    "--prescale",
    "--scale",
    "--quality",
    "--strip-metadata",
    "--no-provenance",
    "--recreate",
    "--recursive",
    "--null",
    "--resume",
    "--no-resume",
    "--force",
    "--fail-fast",
    "--shard",
    "--dry-run",
    "--report",
    "--json",
    "--quiet",
    "--verbose",
    "--config",
    "--help",
    "--version",
];

#[test]
fn help_names_every_flag_and_is_longer_than_the_summary() {
    let room = Room::new();
    let (long, short) = (room.run("--help"), room.run("-h"));
    for help in [&long, &short] {
        assert_eq!((help.code, help.stderr.as_str()), (Some(0), ""));
        for flag in FLAGS {
            let named = help
                .stdout
                .split(|c: char| !c.is_alphanumeric() && c != '-');
            assert!(named.into_iter().any(|word| word == flag), "{flag}");
        }
    }
    assert!(long.stdout.lines().count() > 2 * short.stdout.lines().count());
    // clap takes some words in braces for its own.
    for text in [long, room.run("man")].map(|run| run.stdout) {
        let words: Vec<_> = text.split_whitespace().collect();
        let text = words.join(" ").replace("\\", "");
        assert!(
            text.contains("stem, dir, ext, n (the number in the list) and seed"),
            "{text}"
        );
    }
}

#[test]
fn version_is_the_packages() {
    let version = Room::new().run("--version");
    let expected = format!("minkds {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!((version.code, version.stdout), (Some(0), expected));
}

#[test]
fn exit_codes_tell_all_done_from_some_failed_from_nothing_started() {
    let room = Room::new();
    room.picture("a.png", 4, 4);
    for (words, code) in [
        ("TINY a.png -o 0.png", 0),
        ("TINY a.png gone.png -o 1", 1),
        ("TINY gone.png", 1),
        ("TINY a.png -o 2.png --steps2", 2),
        ("TINY a.png -o 2.png --gamma-0 2", 2),
        ("TINY", 2),
        ("a.png", 2),
        ("", 2),
        ("--no-gui a.png -o 2.png --model ./gone", 2),
    ] {
        assert_eq!(room.run(words).code, Some(code), "{words}");
    }
    assert_eq!(room.names(), ["0.png", "1/", "1/a_x4.png", "a.png"]);
}

#[test]
fn without_no_gui_and_without_a_display_nothing_is_done() {
    let room = Room::new();
    room.picture("a.png", 4, 4);
    for words in [
        "",
        "a.png",
        "a.png -o b.png",
        "a.png --prescale 0.5 --scale 2 --quality 80 --strip-metadata",
    ] {
        room.refuses(words, 2, &["no window can be opened", "--no-gui"]);
    }
    // What is wrong with the words is said first.
    room.refuses("gone.png", 2, &["gone.png", "no such file"]);
    room.refuses(
        "a.png --save-latents l.safetensors",
        2,
        &["--save-latents", "--no-gui"],
    );
    room.refuses("a.png --model /nowhere", 2, &["/nowhere"]);
    for words in ["--no-provenance", "--dry-run", "--shard 1/2"] {
        let flag = words.split(' ').next().unwrap();
        room.refuses(&format!("a.png {words}"), 2, &[flag, "--no-gui"]);
    }
    room.refuses("a.png --strength 2", 2, &["strength"]);
}

#[test]
fn without_a_picture_nothing_is_started() {
    let room = Room::new();
    room.refuses("--no-gui", 2, &["no picture is named"]);
    room.refuses("--no-gui -o out.png", 2, &["no picture is named"]);
}

#[test]
fn one_bad_file_does_not_stop_the_others() {
    let room = Room::new();
    room.picture("a.png", 5, 4);
    room.write("text.png", "no picture");
    room.picture("b.png", 4, 5);
    let run = room.run("TINY a.png gone.png text.png b.png -o out");
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    let errors: Vec<_> = run
        .stderr
        .lines()
        .filter(|line| line.starts_with("minkds:"))
        .collect();
    // Each when it happens, and all of them in the end.
    assert_eq!(errors.len(), 3, "{}", run.stderr);
    assert!(
        errors[0].contains("gone.png") && errors[1].contains("text.png"),
        "{errors:?}"
    );
    assert!(errors[2].contains("2 enlarged, 2 failed"), "{errors:?}");
    let last: Vec<_> = run.stderr.lines().rev().take(2).collect();
    assert!(
        last[1].starts_with("  ") && last[1].contains("gone.png"),
        "{last:?}"
    );
    assert!(
        last[0].starts_with("  ") && last[0].contains("text.png"),
        "{last:?}"
    );
    assert_eq!(room.size("out/a_x4.png"), (20, 16));
    assert_eq!(room.size("out/b_x4.png"), (16, 20));
    assert_eq!(room.names_in("out"), ["a_x4.png", "b_x4.png"]);
}

#[test]
fn quiet_says_nothing_but_errors() {
    let room = Room::new();
    room.picture("a.png", 4, 4);
    let run = room.run("TINY a.png -o b.png --quiet");
    assert_eq!(
        (run.code, run.stderr.as_str(), run.stdout.as_str()),
        (Some(0), "", "")
    );
    room.refuses("TINY gone.png -q", 1, &["gone.png"]);
    let run = room.run("TINY a.png -o b.png");
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""));
    assert_eq!(run.stderr, "a.png -> b.png (16 x 16)\n");
}
