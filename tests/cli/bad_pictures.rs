//! Inputs that are no pictures, and outputs that cannot be written.

use std::fs;

use crate::common::skipped;
use crate::program::Room;

/// A whole PNG file that claims to have `width` × `height` pixels.
fn png(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    let header = [
        &width.to_be_bytes()[..],
        &height.to_be_bytes(),
        &[8, 2, 0, 0, 0],
    ]
    .concat();
    // An empty zlib stream.
    let data = [0x78, 0x9c, 3, 0, 0, 0, 0, 1];
    for (kind, content) in [(b"IHDR", &header[..]), (b"IDAT", &data), (b"IEND", &[])] {
        bytes.extend((content.len() as u32).to_be_bytes());
        let checked = [&kind[..], content].concat();
        bytes.extend(&checked);
        bytes.extend(crc(&checked).to_be_bytes());
    }
    bytes
}

fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            if crc & 1 == 1 {
                crc >> 1 ^ 0xEDB8_8320
            } else {
                crc >> 1
            }
        })
    })
}

#[test]
fn files_that_are_no_whole_pictures_are_refused() {
    let room = Room::new();
    room.picture("good.png", 12, 8);
    let good = room.read("good.png");
    room.write("empty.png", "");
    room.write("text.jpg", "this is no picture\n");
    room.write("zeros.png", [0; 1000]);
    room.write("signature.png", &good[..8]);
    room.write("no-pixels.png", png(0, 5));
    room.write("no-data.png", png(5, 5));
    let mut damaged = good.clone();
    let middle = damaged.len() / 2;
    damaged[middle..middle + 8].fill(0xAA);
    room.write("damaged.png", damaged);
    fs::create_dir(room.path("folder.png")).unwrap();
    for ending in ["png", "jpg", "webp", "tif", "bmp"] {
        room.picture("whole.png", 12, 8);
        fs::rename(room.path("whole.png"), room.path("whole")).unwrap();
        let picture = room.decoded("whole").into_rgb8();
        fs::remove_file(room.path("whole")).unwrap();
        let name = format!("half.{ending}");
        picture.save(room.path(&name)).unwrap();
        let bytes = room.read(&name);
        room.write(&name, &bytes[..bytes.len() / 2]);
    }
    for (name, says) in [
        ("gone.png", "no such file"),
        ("gone/a.png", "no such file"),
        ("good.png/a.png", "cannot read"),
        ("empty.png", "is empty"),
        ("text.jpg", "not a picture"),
        ("zeros.png", "not a picture"),
        ("signature.png", "stops too early"),
        ("no-pixels.png", "0 x 5"),
        ("no-data.png", "PNG"),
        ("damaged.png", "PNG"),
        ("half.png", "stops too early"),
        ("half.jpg", "stops too early"),
        ("half.webp", "WebP"),
        ("half.tif", "TIFF"),
        ("half.bmp", "BMP"),
    ] {
        room.refuses(&format!("TINY {name} -o b.png"), 1, &[name, says]);
    }
    // A folder stands for its pictures.
    room.refuses(
        "TINY folder.png -o b.png",
        2,
        &["folder.png", "holds no picture"],
    );
}

#[test]
fn absurdly_large_pictures_are_refused_before_memory_is_taken() {
    let room = Room::new();
    room.write("absurd.png", png(4_000_000_000, 4_000_000_000));
    room.write("limit.png", png(i32::MAX as u32, i32::MAX as u32));
    room.write("wide.png", png(u32::MAX, 1));
    room.write("large.png", png(60_000, 60_000));
    let mut bmp = {
        room.picture("small.bmp", 4, 4);
        room.read("small.bmp")
    };
    bmp[18..22].copy_from_slice(&2_000_000_000u32.to_le_bytes());
    bmp[22..26].copy_from_slice(&2_000_000_000u32.to_le_bytes());
    room.write("absurd.bmp", bmp);
    for (name, says) in [
        ("absurd.png", "4000000000 x 4000000000"),
        ("limit.png", "2147483647 x 2147483647"),
        ("wide.png", "4294967295 x 1"),
        ("large.png", "60000 x 60000"),
        ("absurd.bmp", "2000000000 x 2000000000"),
    ] {
        let words = format!("TINY {name} -o b.png");
        room.refuses(&words, 1, &[name, says]);
        #[cfg(target_os = "linux")]
        room.refuses_as(
            room.command_under("ulimit -v 4000000", &words),
            &words,
            1,
            &[says],
        );
    }
}

#[test]
fn results_too_large_for_their_format_are_refused_before_the_work() {
    let room = Room::new();
    room.picture("wide.png", 20_000, 1);
    room.refuses(
        "TINY wide.png -o b.webp",
        1,
        &["80000 x 4", "WebP", "16383"],
    );
    room.refuses("TINY wide.png -o b.jpg", 1, &["80000 x 4", "JPEG", "65535"]);
}

#[test]
fn outputs_without_a_place_or_a_format_are_refused() {
    let room = Room::new();
    room.picture("a.png", 4, 4);
    for (output, says) in [
        ("b.gif", ".png"),
        ("b.bmp", ".png"),
        ("b", ".png"),
        (".png", ".webp"),
        ("b.png.", ".png"),
        ("gone/b.png", "does not exist"),
        ("gone/deep/", "does not exist"),
        ("a.png/b.png", "a.png"),
    ] {
        room.refuses(&format!("TINY a.png -o {output}"), 2, &[output, says]);
    }
    room.refuses("TINY a.png -o EMPTY", 2, &["output"]);
    room.refuses("TINY a.png -o=", 2, &["output"]);
}

#[cfg(unix)]
#[test]
fn a_device_is_not_written_to() {
    let room = Room::new();
    room.picture("a.png", 4, 4);
    for (device, name) in [("/dev/full", "full.png"), ("/dev/null", "null.png")] {
        std::os::unix::fs::symlink(device, room.path(name)).unwrap();
        room.refuses(&format!("TINY a.png -o {name}"), 1, &[name]);
        room.refuses(
            &format!("TINY a.png -o b.png --save-latents {name}"),
            2,
            &[name],
        );
    }
}

#[test]
fn a_folder_in_the_way_of_a_result_is_left_alone() {
    let room = Room::new();
    room.picture("a.png", 4, 4);
    for folder in ["a_x4.png", "sub.png", "sub.png/a_x4.png"] {
        fs::create_dir(room.path(folder)).unwrap();
    }
    for words in ["", "-o sub.png"] {
        let words = format!("TINY a.png {words} --on-conflict overwrite");
        room.refuses(&words, 1, &["a_x4.png", "folder"]);
    }
}

/// If one of several files of a picture cannot be written, none of them is left.
#[test]
fn a_picture_leaves_all_its_files_or_none() {
    let room = Room::new();
    room.picture("a.png", 4, 4);
    for folder in ["sub", "sub/a_x4.png", "b_p1.png"] {
        fs::create_dir(room.path(folder)).unwrap();
    }
    for (words, name) in [
        (
            "-o sub --on-conflict overwrite --save-latents l.st",
            "sub/a_x4.png",
        ),
        ("-o b.png --select all --particles 3", "b_p1.png"),
    ] {
        room.refuses(&format!("TINY a.png {words}"), 1, &[name]);
    }
}

#[cfg(unix)]
#[test]
fn a_pipe_is_not_waited_for() {
    let room = Room::new();
    room.picture("a.png", 4, 4);
    let pipe = room.path("pipe.png");
    let made = std::process::Command::new("mkfifo").arg(pipe).status();
    assert!(made.unwrap().success());
    room.refuses("TINY a.png -o pipe.png", 1, &["pipe.png"]);
    room.refuses(
        "TINY a.png -o pipe.png --save-latents l.st",
        1,
        &["pipe.png"],
    );
    room.refuses(
        "TINY a.png -o b.png --save-latents pipe.png",
        2,
        &["pipe.png"],
    );
}

#[cfg(unix)]
#[test]
fn folders_and_files_without_permission_are_refused() {
    use std::os::unix::fs::PermissionsExt;
    let room = Room::new();
    room.picture("a.png", 4, 4);
    room.picture("secret.png", 4, 4);
    fs::create_dir(room.path("locked")).unwrap();
    let mode = |name: &str, mode| {
        fs::set_permissions(room.path(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    mode("locked", 0o555);
    mode("secret.png", 0);
    if fs::write(room.path("locked/probe"), "").is_ok() {
        skipped("permissions mean nothing to this user (root?)");
    } else {
        room.refuses(
            "TINY a.png -o locked/b.png",
            1,
            &["locked/b.png", "may write"],
        );
        room.refuses("TINY a.png -o locked/new/", 1, &["locked/new"]);
        room.refuses(
            "TINY a.png -o b.png --save-latents locked/l.st",
            1,
            &["locked/l.st"],
        );
        room.refuses("TINY secret.png -o b.png", 1, &["secret.png", "may read"]);
    }
    mode("locked", 0o755);
    // Not even root writes here.
    if cfg!(target_os = "linux") {
        room.refuses("TINY a.png -o /sys/b.png", 1, &["/sys/b.png"]);
        room.refuses("TINY a.png -o /sys/new/", 1, &["/sys/new"]);
    }
}

/// A limit on the size of files fails in the middle of writing, like a disk that is full.
#[cfg(unix)]
#[test]
fn a_write_that_fails_half_way_leaves_nothing() {
    let room = Room::new();
    room.picture("a.png", 12, 8);
    for (limit, words) in [
        ("trap '' XFSZ; ulimit -f 0", "-o b.png"),
        ("trap '' XFSZ; ulimit -f 1", "-o b.tif"),
        (
            "trap '' XFSZ; ulimit -f 0",
            "-o a_x4.png --on-conflict overwrite",
        ),
        ("trap '' XFSZ; ulimit -f 0", "-o b.png --save-latents l.st"),
    ] {
        room.write("a_x4.png", "old");
        let words = format!("TINY a.png {words}");
        let command = room.command_under(limit, &words);
        room.refuses_as(command, &words, 1, &["free some space"]);
    }
    for name in ["b.jpg", "b.webp"] {
        let words = format!("TINY a.png -o {name}");
        let command = room.command_under("trap '' XFSZ; ulimit -f 0", &words);
        room.refuses_as(command, &words, 1, &[name, "free some space"]);
    }
}

/// A file system of one page, in a mount namespace of its own.
#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_is_full_is_said_and_nothing_is_left_on_it() {
    use std::process::Command;
    let room = Room::new();
    room.picture("a.png", 16, 12);
    fs::create_dir(room.path("disk")).unwrap();
    let mount = "mount -t tmpfs -o size=4k tmpfs disk";
    let mut probe = Command::new("unshare");
    probe
        .args(["-rm", "sh", "-c", mount])
        .current_dir(room.path(""));
    if !probe.output().is_ok_and(|output| output.status.success()) {
        return skipped("no file system can be mounted here, so no disk is full");
    }
    for (words, left) in [
        ("-o disk/b.tif", ""),
        ("-o b.tif --save-latents disk/l.st", ""),
    ] {
        // The folder is listed on standard output before it vanishes.
        let script = format!("{mount}; \"$@\"; code=$?; ls -A disk; exit $code");
        let inner = room.command(&format!("TINY a.png {words}"));
        let mut command = Command::new("unshare");
        command.args(["-rm", "sh", "-c", &script, "sh"]);
        command.arg(inner.get_program()).args(inner.get_args());
        let output = command.current_dir(room.path("")).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{words}: {said}");
        assert!(
            said.contains("disk/") && said.contains("free some space"),
            "{words}: {said}"
        );
        assert_eq!(said.lines().count(), 1, "{words}: {said}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), left, "{words}");
        assert_eq!(room.names(), ["a.png", "disk/"], "{words}");
    }
}
