//! Flags: what is legal, and that everything else is refused before anything is started.

use crate::program::Room;

/// A room with the smallest input.
fn room() -> Room {
    let room = Room::new();
    room.picture("a.png", 4, 4);
    room
}

#[test]
fn every_numeric_flag_takes_its_range_and_nothing_else() {
    // EMPTY is an empty word.
    let never = ["nan", "inf", "-inf", "-1", "words", "EMPTY", "1,5", "0x1"];
    let room = room();
    for (flag, legal, illegal) in [
        (
            "--particles",
            &["1", "64"][..],
            &["0", "65", "1.5", "4294967297"][..],
        ),
        (
            "--bandwidth",
            &["1e-300", "0.001", "1", "1e6"],
            &["0", "-0", "1e-400", "1e400"],
        ),
        ("--patch-size", &["1", "128"], &["0", "129", "2.5"]),
        (
            "--gamma-0",
            &["0", "0.5", "1"],
            &["1.0001", "-0.0001", "1e400"],
        ),
        ("--overlap", &["0", "512"], &["513", "-1", "1.5"]),
        ("--steps", &["1", "1000"], &["0", "1001", "2.5"]),
        ("--eta", &["0", "0.5", "1"], &["1.0001", "-0.0001"]),
        (
            "--seed",
            &["0", "18446744073709551615"],
            &["18446744073709551616", "1.5"],
        ),
        (
            "--threads",
            &["1", "2"],
            &["0", "1025", "1.5", "18446744073709551616"],
        ),
        (
            "--window",
            &["0..1", "0.3..1", "0..0", "1..1", "0.3..0.3"],
            &[
                "0.9..0.1", "0.5", "nan..1", "0..nan", "inf..1", "0..inf", "-1..1", "0..2", "..",
                "0..", "..1", "0-1", "0.1,0.9", "0..1..1", "a..b",
            ],
        ),
        (
            "--memory-limit",
            &["4GiB", "800MB", "900000000"],
            &["0", "0GB", "4XB", "-4GB"],
        ),
    ] {
        for value in legal {
            let steps = if flag == "--steps" {
                "--no-gui --no-check --model MODEL"
            } else {
                "TINY"
            };
            room.enlarged(&format!("{steps} {flag} {value} --vanilla"));
        }
        std::fs::remove_file(room.path("result.png")).unwrap();
        for value in never.iter().chain(illegal) {
            for words in [
                format!("{flag} {value}"),
                format!("{flag}={}", value.replace("EMPTY", "")),
            ] {
                room.refuses(&format!("--no-gui a.png -o b.png {words}"), 2, &[flag]);
            }
        }
    }
}

#[test]
fn every_choice_takes_its_words_and_nothing_else() {
    let room = room();
    for (flag, legal, illegal) in [
        ("--solver", &["ddim", "dpm++"][..], &["euler", "dpm"][..]),
        ("--kernel", &["gaussian", "minkds"], &["box"]),
        (
            "--select",
            &["nearest-mean", "lowest-variance", "mean", "first"],
            &["best", "0"],
        ),
        (
            "--color-fix",
            &["none", "adain", "wavelet", "consistency"],
            &["histogram"],
        ),
        (
            "--tile",
            &["auto", "off", "32", "4000"],
            &["31", "-1", "all", "48.5"],
        ),
        ("--preset", &["minkds"], &["paper"]),
        ("--precision", &["auto", "f32"], &["f64"]),
        ("--on-conflict", &["overwrite", "unique", "skip"], &["ask"]),
        (
            "--device",
            &["auto", "cpu"],
            &["tpu", "cpu:0", "gpu:", "gpu:x", "gpu:-1", "cuda:1.5"],
        ),
    ] {
        for value in legal {
            room.enlarged(&format!("TINY {flag} {value}"));
        }
        for name in ["result.png", "result_2.png"] {
            let _ = std::fs::remove_file(room.path(name));
        }
        for value in illegal.iter().chain(&["EMPTY"]) {
            room.refuses(
                &format!("--no-gui a.png -o b.png {flag} {value}"),
                2,
                &[flag],
            );
        }
    }
}

#[test]
fn contradictions_are_refused() {
    let room = room();
    room.refuses(
        "TINY a.png -o b.png --eta 0.5 --solver dpm++",
        2,
        &["eta", "--solver ddim"],
    );
    room.enlarged("TINY --eta 0 --solver dpm++");
    for words in [
        "--seed 1 --seed 2",
        "--vanilla --vanilla",
        "--unknown",
        "-x",
    ] {
        room.refuses(&format!("TINY a.png -o b.png {words}"), 2, &[&words[..2]]);
    }
}

#[test]
fn too_little_memory_is_an_error_that_says_what_is_needed() {
    let room = room();
    for limit in ["1KB", "1B", "1MB"] {
        let words = format!("TINY a.png -o b.png --memory-limit {limit}");
        room.refuses(
            &words,
            1,
            &["a.png", "needs about", "KiB", "--memory-limit"],
        );
    }
}
