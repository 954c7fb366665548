//! Which file a result becomes, and that no file is replaced that should not be.

use std::fs;

use crate::program::Room;

#[test]
fn one_picture_becomes_the_file_that_o_names() {
    let room = Room::new();
    room.picture("a.png", 4, 3);
    fs::create_dir(room.path("sub")).unwrap();
    for (words, name) in [
        ("-o b.png", "b.png"),
        ("--output sub/c.png", "sub/c.png"),
        ("-o sub", "sub/a_x4.png"),
        ("-o new/", "new/a_x4.png"),
    ] {
        room.succeeds(&format!("TINY a.png {words}"));
        assert_eq!(room.size(name), (16, 12), "{words}");
    }
    assert_eq!(room.files().len(), 7, "{:?}", room.names());
}

#[test]
fn without_o_the_result_lies_beside_its_input() {
    let room = Room::new();
    fs::create_dir(room.path("sub")).unwrap();
    for (input, result) in [
        ("a.png", "a_x4.png"),
        ("b.JPG", "b_x4.JPG"),
        ("c.jpeg", "c_x4.jpeg"),
        ("d.webp", "d_x4.webp"),
        ("e.tif", "e_x4.tif"),
        ("f.bmp", "f_x4.png"),
        ("g.h.png", "g.h_x4.png"),
        ("sub/i.png", "sub/i_x4.png"),
    ] {
        room.picture(input, 4, 3);
        room.succeeds(&format!("TINY {input}"));
        assert_eq!(room.size(result), (16, 12), "{input}");
    }
    room.write("noending", room.read("a.png"));
    room.succeeds("TINY noending");
    assert_eq!(room.size("noending_x4.png"), (16, 12));
}

#[test]
fn several_pictures_go_into_a_folder_that_is_made_one_level_deep() {
    let room = Room::new();
    room.picture("a.png", 4, 3);
    room.picture("b.bmp", 3, 4);
    room.succeeds("TINY a.png b.bmp -o out");
    assert_eq!(room.names_in("out"), ["a_x4.png", "b_x4.png"]);
    assert_eq!(room.size("out/b_x4.png"), (12, 16));
    room.succeeds("TINY a.png b.bmp -o out --on-conflict overwrite");
    room.refuses(
        "TINY a.png b.bmp -o deep/out",
        2,
        &["deep", "does not exist"],
    );
    room.refuses("TINY a.png b.bmp -o a.png", 2, &["a.png", "is a file"]);
}

#[test]
fn no_folder_is_made_where_no_picture_comes_out() {
    let room = Room::new();
    room.write("text.png", "no picture");
    let before = room.files();
    let run = room.run("TINY gone.png text.png -o out");
    assert_eq!(run.code, Some(1));
    assert_eq!(room.files(), before);
}

#[test]
fn two_results_never_share_a_name() {
    let room = Room::new();
    for folder in ["x", "y"] {
        fs::create_dir(room.path(folder)).unwrap();
        room.picture(&format!("{folder}/a.png"), 4, 4);
    }
    room.picture("x/a.bmp", 4, 4);
    for words in [
        "x/a.png y/a.png -o out",
        "x/a.png x/a.png",
        "x/a.png x/a.bmp",
    ] {
        room.refuses(&format!("TINY {words}"), 2, &["x/a.png", "both become"]);
    }
}

#[test]
fn on_conflict_decides_about_a_file_that_exists() {
    // Words, the file that exists, the exit code, and the file that is written, if any.
    for (words, existing, code, written) in [
        ("-o b.png", "b.png", 0, Some("b.png")),
        (
            "-o b.png --on-conflict overwrite",
            "b.png",
            0,
            Some("b.png"),
        ),
        ("-o b.png --on-conflict error", "b.png", 1, None),
        ("-o b.png --on-conflict skip", "b.png", 0, None),
        ("-o b.png --on-conflict unique", "b.png", 0, Some("b_2.png")),
        ("", "a_x4.png", 1, None),
        ("--on-conflict error", "a_x4.png", 1, None),
        ("--on-conflict skip", "a_x4.png", 0, None),
        ("--on-conflict unique", "a_x4.png", 0, Some("a_x4_2.png")),
        ("--on-conflict overwrite", "a_x4.png", 0, Some("a_x4.png")),
        ("-o out", "out/a_x4.png", 1, None),
        ("-o out --on-conflict skip", "out/a_x4.png", 0, None),
        ("--particles 2 --select all", "a_x4_p1.png", 1, None),
        (
            "--particles 2 --select all --on-conflict skip",
            "a_x4_p1.png",
            0,
            None,
        ),
    ] {
        let room = Room::new();
        room.picture("a.png", 4, 4);
        fs::create_dir(room.path("out")).unwrap();
        room.write(existing, "old");
        let mut expected = room.files();
        let run = room.run(&format!("TINY a.png {words}"));
        assert_eq!(run.code, Some(code), "{words}: {}", run.stderr);
        if let Some(written) = written {
            assert_eq!(room.size(written), (16, 16), "{words}");
            expected.insert(written.into(), room.read(written));
        } else {
            assert!(run.stderr.contains(existing), "{words}: {}", run.stderr);
        }
        assert!(room.files() == expected, "{words}: {:?}", room.names());
    }
}

#[test]
fn unique_counts_on() {
    let room = Room::new();
    room.picture("a.png", 4, 4);
    for _ in 0..3 {
        room.succeeds("TINY a.png --on-conflict unique");
    }
    assert_eq!(
        room.names(),
        ["a.png", "a_x4.png", "a_x4_2.png", "a_x4_3.png"]
    );
}

#[test]
fn an_input_is_never_replaced() {
    let room = Room::new();
    for folder in ["sub", "stay"] {
        fs::create_dir(room.path(folder)).unwrap();
    }
    for name in ["a.png", "a_x4.png", "b.png", "b_p0.png", "sub/a_x4.png"] {
        room.picture(name, 4, 4);
    }
    fs::hard_link(room.path("a.png"), room.path("hard.png")).unwrap();
    let absolute = room.path("a.png").display().to_string();
    let mut cases = vec![
        ("a.png -o a.png", 2),
        ("a.png -o ./a.png", 2),
        ("./a.png -o a.png", 2),
        ("a.png -o sub/../a.png", 2),
        ("a.png -o hard.png", 2),
        // The same file on many systems, so refused on all.
        ("a.png -o A.PNG", 2),
        ("sub/a_x4.png -o sub/A_X4.png", 2),
        ("a.png -o A_ABSOLUTE", 2),
        // Another input of the same run.
        ("a.png a_x4.png --on-conflict overwrite", 2),
        ("b.png sub/a_x4.png a.png -o sub --on-conflict overwrite", 2),
        // Known only when the particles are.
        ("b_p0.png -o b.png --select all --on-conflict overwrite", 1),
        ("a.png -o c.png --save-latents ./a.png", 2),
    ];
    if cfg!(unix) {
        #[cfg(unix)]
        {
            use std::os::unix::fs::symlink;
            symlink("a.png", room.path("link.png")).unwrap();
            symlink(".", room.path("here")).unwrap();
        }
        cases.extend([
            ("a.png -o link.png", 2),
            ("link.png -o a.png", 2),
            ("a.png -o here/a.png", 2),
            ("a.png -o c.png --save-latents link.png", 2),
        ]);
    }
    for (words, code) in cases {
        let words = words.replace("A_ABSOLUTE", &absolute);
        room.refuses(&format!("TINY {words}"), code, &["input", "never replaced"]);
    }
}

#[test]
fn the_picture_and_the_latents_never_share_a_file() {
    let room = Room::new();
    room.picture("a.png", 4, 4);
    room.refuses("TINY a.png -o b.png --save-latents b.png", 2, &["b.png"]);
    room.refuses("TINY a.png --save-latents ./a_x4.png", 2, &["a_x4.png"]);
}

#[cfg(unix)]
#[test]
fn names_may_hold_any_character() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let room = Room::new();
    room.picture("a.png", 4, 4);
    let stems: [&[u8]; 4] = [
        "ü ñ 圖".as_bytes(),
        b"-dash",
        b"two words",
        b"not utf-8 \xff",
    ];
    for stem in stems {
        let name = |suffix: &[u8]| OsStr::from_bytes(&[stem, suffix].concat()).to_os_string();
        let (input, result) = (name(b".png"), name(b"_x4.png"));
        if fs::copy(room.path("a.png"), room.path("").join(&input)).is_err() {
            continue; // Some file systems allow UTF-8 only.
        }
        let mut command = room.command("TINY --");
        command.arg(&input);
        let run = crate::program::finish(command.spawn().unwrap());
        assert_eq!(run.code, Some(0), "{input:?}: {}", run.stderr);
        assert!(room.path("").join(&result).is_file(), "{result:?}");
    }
}
