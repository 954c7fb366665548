//! Disks, folders and files that do not behave.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::common::skipped;
use crate::program::finish;
use crate::{QUICK, room};

#[test]
fn an_output_that_is_a_folder_and_an_input_that_vanishes_fail_alone() {
    let room = room();
    fs::create_dir_all(room.path("out/b_x4.png")).unwrap();
    for conflict in ["", "--on-conflict overwrite"] {
        let run = room.run(&format!("{QUICK} in in/gone.png -o out {conflict}"));
        assert_eq!(run.code, Some(1), "{}", run.stderr);
        let summary = if conflict.is_empty() {
            "1 enlarged, 2 failed"
        } else {
            "1 skipped, 2 failed"
        };
        assert!(run.stderr.contains(summary), "{}", run.stderr);
        assert!(
            run.stderr.contains("gone.png") && run.stderr.contains("out/b_x4.png"),
            "{}",
            run.stderr
        );
    }
    assert!(room.path("out/a_x4.jpg").is_file());
}

#[test]
fn fail_fast_begins_nothing_more() {
    let room = room();
    room.write("in/a.jpg", "no picture");
    let run = room.run(&format!("{QUICK} in -r -o out --fail-fast"));
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    // The next one had been read already.
    let names = room.names();
    let written = names
        .iter()
        .filter(|name| name.starts_with("out/") && name.contains("_x4."));
    assert!(written.count() <= 1, "{names:?}");
    assert!(run.stderr.contains("not begun"), "{}", run.stderr);
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_takes_no_files_fails_every_picture_with_one_reason() {
    let room = room();
    // Nobody may write here, not even root, for whom permissions mean nothing.
    let run = room.run(&format!("{QUICK} in -o /proc/"));
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(
        run.stderr.contains("0 enlarged, 2 failed"),
        "{}",
        run.stderr
    );
    assert!(
        run.stderr.contains("/proc") && run.stderr.contains("choose a folder you may write to"),
        "{}",
        run.stderr
    );
}

#[cfg(unix)]
#[test]
fn a_read_only_folder_is_left_as_it_is() {
    use std::os::unix::fs::PermissionsExt;
    let room = room();
    fs::create_dir(room.path("out")).unwrap();
    fs::set_permissions(room.path("out"), fs::Permissions::from_mode(0o555)).unwrap();
    if fs::write(room.path("out/try"), "").is_ok() {
        return skipped("permissions mean nothing to this user (root?); /proc was tried instead");
    }
    let run = room.run(&format!("{QUICK} in -o out"));
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(
        run.stderr.contains("0 enlarged, 2 failed"),
        "{}",
        run.stderr
    );
    assert_eq!(room.names_in("out"), [""; 0]);
}

/// A disk of 64 KiB, which the third picture fills; once there is room, the run goes on.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_costs_the_pictures_that_do_not_fit_and_nothing_else() {
    struct Mounted(std::path::PathBuf);
    impl Drop for Mounted {
        fn drop(&mut self) {
            let _ = Command::new("umount").arg(&self.0).output();
        }
    }
    let room = room();
    let disk = room.path("disk");
    fs::create_dir(&disk).unwrap();
    let mount = |size: &str, remount: &str| {
        let options = format!("{remount}size={size}");
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", &options, "none"])
            .arg(&disk);
        mount.output().is_ok_and(|output| output.status.success())
    };
    if !mount("64k", "") {
        return skipped("no small disk can be mounted by this user, so none was filled");
    }
    let _mounted = Mounted(disk.clone());
    fs::create_dir(room.path("big")).unwrap();
    for i in 0..4 {
        // 48 × 48 × 3 bytes each, as TIFF without compression: 110 KiB enlarged, or 7 KiB for the small ones.
        room.picture(&format!("big/{i}.tif"), if i == 2 { 48 } else { 12 }, 12);
    }
    room.picture("big/2.tif", 48, 48);
    let words = format!("{QUICK} big -o disk");
    let run = room.run(&words);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(
        run.stderr.contains("3 enlarged, 1 failed"),
        "{}",
        run.stderr
    );
    assert!(
        run.stderr.contains("disk/2_x4.tif") && run.stderr.contains("free some space"),
        "{}",
        run.stderr
    );
    assert!(!run.stderr.contains(".part"), "{}", run.stderr);
    assert_eq!(room.names_in("disk"), ["0_x4.tif", "1_x4.tif", "3_x4.tif"]);
    assert!(mount("1m", "remount,"), "the disk grows");
    let run = room.succeeds(&words);
    assert!(
        run.stderr.contains("1 enlarged, 3 skipped"),
        "{}",
        run.stderr
    );
}

/// Ten thousand files through the program: all damaged, so that it is about everything but the network.
#[test]
fn ten_thousand_bad_files_take_seconds_and_little_memory() {
    let peak = |count: usize| {
        let room = room();
        fs::create_dir(room.path("many")).unwrap();
        for i in 0..count {
            room.write(&format!("many/{i:05}.png"), "no picture");
        }
        let start = Instant::now();
        let command = room.command(&format!("{QUICK} in many -o out -q --json"));
        // What it says is more than a pipe holds.
        let output = { command }.output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "{:?}",
            start.elapsed()
        );
        let text = String::from_utf8_lossy(&output.stdout);
        let summary: serde_json::Value =
            serde_json::from_str(text.lines().last().unwrap()).unwrap();
        let totals = &summary["totals"];
        assert_eq!(
            (&totals["done"], &totals["failed"]),
            (&2.into(), &count.into())
        );
        totals["memory_peak"].as_u64()
    };
    let (Some(few), Some(many)) = (peak(100), peak(10_000)) else {
        return;
    };
    println!("peak {few} bytes with 100 files, {many} with 10000");
    // A task, its report with the error, and its name in a few indices: about two kilobytes each.
    assert!(many < few + (40 << 20), "{few} {many}");
}

#[test]
fn a_batch_that_vanishes_while_it_runs_ends_in_failures() {
    let room = room();
    for i in 0..20 {
        room.picture(&format!("in/z{i:02}.png"), 12, 12);
    }
    let child = room.command(&format!("{QUICK} in -o out")).spawn().unwrap();
    let start = Instant::now();
    while !room.path("out/a_x4.jpg").exists() {
        assert!(
            start.elapsed() < Duration::from_secs(50),
            "the first picture never came"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
    fs::remove_file(room.path("in/z19.png")).unwrap();
    let run = finish(child);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(
        run.stderr.contains("21 enlarged, 1 failed"),
        "{}",
        run.stderr
    );
    assert!(
        run.stderr.contains("z19.png") && run.stderr.contains("no such file"),
        "{}",
        run.stderr
    );
}
