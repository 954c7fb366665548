//! Folders, patterns and lists in; trees and patterns out.

use std::io::Write;
use std::process::Stdio;

use crate::program::{Room, Run, finish};
use crate::{QUICK, room};

/// The program with `list` on its standard input.
fn fed(room: &Room, words: &str, list: &[u8]) -> Run {
    let mut command = room.command(words);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    // A program that refuses its words never reads.
    let _ = input.write_all(list);
    drop(input);
    finish(child)
}

#[test]
fn a_tree_becomes_the_same_tree_and_what_is_no_picture_is_counted() {
    let room = room();
    let run = room.succeeds(&format!("{QUICK} in -r -o out"));
    assert_eq!(
        room.names_in("out"),
        [
            "a_x4.jpg",
            "b_x4.png",
            "sub/",
            "sub/c_x4.png",
            "sub/deep/",
            "sub/deep/d_x4.tif",
            "sub/e_x4.webp"
        ]
    );
    assert_eq!(room.size("out/sub/deep/d_x4.tif"), (36, 20));
    assert!(
        run.stderr
            .contains("left out: 1 file that is no picture, 1 hidden name"),
        "{}",
        run.stderr
    );
    assert!(run.stderr.contains("5 enlarged"), "{}", run.stderr);
}

#[test]
fn without_recursive_only_the_folders_own_pictures_are_taken() {
    let room = room();
    let run = room.succeeds(&format!("{QUICK} in -o out"));
    assert_eq!(room.names_in("out"), ["a_x4.jpg", "b_x4.png"]);
    assert!(
        run.stderr.contains("1 folder (--recursive"),
        "{}",
        run.stderr
    );
}

#[test]
fn the_output_folder_and_results_among_the_inputs_are_not_enlarged() {
    let room = room();
    let words = format!("{QUICK} in -r -o in/sub/out");
    room.succeeds(&words);
    let first = room.files();
    let again = room.succeeds(&words);
    assert!(
        again.stderr.contains("the output folder"),
        "{}",
        again.stderr
    );
    assert!(room.files() == first);
    // Without -o, and with the same folder, results lie among the inputs.
    for words in ["in/*.*", "in -o in"] {
        let room = crate::room();
        let words = format!("{QUICK} {words}");
        room.succeeds(&words);
        let first = room.files();
        let again = room.succeeds(&words);
        assert!(
            again.stderr.contains("2 results of earlier runs"),
            "{}",
            again.stderr
        );
        assert!(
            again.stderr.contains("0 enlarged, 2 skipped"),
            "{}",
            again.stderr
        );
        assert!(room.files() == first, "{:?}", room.names());
    }
}

/// Each pair of runs makes results among the pictures of the second one, whose own journal knows nothing of them.
#[test]
fn results_of_runs_with_other_outputs_are_not_enlarged() {
    for (first, second, results, enlarged) in [
        ("in -r -o in/new", "in -r -o in/other", 5, 5),
        ("in/sub", "in -r", 2, 3),
        ("in -r", "in/sub -r -o out", 3, 3),
        ("in/**/d.*", "in/sub/deep", 1, 0),
        ("in/sub/deep", "in/sub/deep", 1, 0),
    ] {
        let room = room();
        room.succeeds(&format!("{QUICK} {first}"));
        let run = room.run(&format!("{QUICK} {second}"));
        let said = match results {
            1 => "1 result of an earlier run".to_string(),
            n => format!("{n} results of earlier runs"),
        };
        assert!(
            run.stderr.contains(&said),
            "{first}, {second}: {}",
            run.stderr
        );
        let made = run.stderr.matches(" -> ").count();
        assert_eq!(made, enlarged, "{first}, {second}: {}", run.stderr);
    }
}

#[test]
fn a_result_that_is_named_alone_is_enlarged() {
    let room = room();
    room.succeeds(&format!("{QUICK} in -o in"));
    room.succeeds(&format!("{QUICK} in/b_x4.png -o in"));
    assert_eq!(room.size("in/b_x4_x4.png"), (96, 80));
    for name in ["a.jpg", "b.png"] {
        std::fs::remove_file(room.path("in").join(name)).unwrap();
    }
    room.refuses(
        &format!("{QUICK} in -o out"),
        2,
        &["result of an earlier run", "name it alone"],
    );
}

#[test]
fn patterns_are_matched_and_made() {
    let room = room();
    room.picture("in/x[1].png", 5, 5);
    room.succeeds(&format!(
        "{QUICK} in/**/*.png -o out/{{dir}}/{{n}}-{{stem}}-{{seed}}.tif --seed 9"
    ));
    assert_eq!(
        room.names_in("out"),
        ["1-b-9.tif", "3-x[1]-9.tif", "sub/", "sub/2-c-9.tif"]
    );
    room.succeeds(&format!("{QUICK} in/x[1].png -o {{stem}}{{n}}.{{ext}}"));
    assert_eq!(room.size("x[1]1.png"), (20, 20));
    for (words, says) in [
        ("in -o out/{name}.png", "{name} means nothing"),
        ("in -o {seed}.png", "would both become 0.png"),
        ("in/*.gif -o out", "no picture matches in/*.gif"),
    ] {
        room.refuses(&format!("{QUICK} {words}"), 2, &[says]);
    }
}

#[test]
fn lists_hold_any_name() {
    let room = room();
    room.picture("in/with space.png", 4, 4);
    let run = fed(
        &room,
        &format!("{QUICK} - -o out"),
        b"in/with space.png\nin/b.png\n",
    );
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(room.names_in("out"), ["b_x4.png", "with space_x4.png"]);
    let run = fed(&room, &format!("{QUICK} - -o out2"), b"");
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    assert!(run.stderr.contains("no picture is named"), "{}", run.stderr);
    let run = fed(
        &room,
        &format!("{QUICK} - -o out2"),
        b"in/gone.png\nin/b.png\n",
    );
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert_eq!(room.names_in("out2"), ["b_x4.png"]);
}

#[cfg(unix)]
#[test]
fn names_with_line_ends_and_without_text_go_through_lists_folders_and_journals() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let room = room();
    let names: [&[u8]; 4] = [b"two\nlines", b"not utf-8 \xff", b"-dash", b"\"quoted\" \\"];
    let mut list = Vec::new();
    let mut kept = Vec::new();
    std::fs::create_dir(room.path("odd")).unwrap();
    for name in names {
        let file = OsStr::from_bytes(&[name, b".png"].concat()).to_os_string();
        if std::fs::copy(room.path("in/b.png"), room.path("odd").join(&file)).is_err() {
            continue; // Some file systems allow UTF-8 only.
        }
        list.extend([b"odd/", name, b".png\0"].concat());
        kept.push(OsStr::from_bytes(&[name, b"_x4.png"].concat()).to_os_string());
    }
    let run = fed(&room, &format!("{QUICK} - -0 -o listed --json"), &list);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    room.succeeds(&format!("{QUICK} odd -o walked"));
    for result in &kept {
        for folder in ["listed", "walked"] {
            assert!(
                room.path(folder).join(result).is_file(),
                "{folder} {result:?}"
            );
        }
    }
    // The journal knows them by their names.
    let again = room.succeeds(&format!("{QUICK} odd -o walked"));
    let expected = format!("0 enlarged, {} skipped", kept.len());
    assert!(again.stderr.contains(&expected), "{}", again.stderr);
}
