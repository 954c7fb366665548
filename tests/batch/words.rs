//! Configuration, variables, completions, the manual.

use std::process::Command;

use crate::program::{Room, finish};
use crate::room;

#[test]
fn a_configuration_and_variables_set_what_the_command_line_leaves_open() {
    let room = room();
    room.model("kl-like-bundled");
    room.write(
        "minkds.toml",
        "model = 'model'\nno-check = true\nsteps = 2\nparticles = 2\nno-gui = true\ndevice = 'cpu'\n",
    );
    let run = |words: &str, steps: &str| {
        let mut command = room.command(words);
        command.env("MINKDS_STEPS", steps);
        finish(command.spawn().unwrap())
    };
    let done = run("--config minkds.toml in/b.png -o file.png -v", "");
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(
        done.stderr.contains("--particles 2") && done.stderr.contains("--steps 2"),
        "{}",
        done.stderr
    );
    let done = run("--config minkds.toml in/b.png -o variable.png -v", "3");
    assert!(done.stderr.contains("--steps 3"), "{}", done.stderr);
    let done = run(
        "--config minkds.toml in/b.png -o flag.png -v --steps 1",
        "3",
    );
    assert!(done.stderr.contains("--steps 1"), "{}", done.stderr);
    // Each is the very file that flags make.
    room.succeeds("TINY in/b.png -o same.png --particles 2");
    assert!(room.read("file.png") == room.read("same.png"));
    let refused = run("--config minkds.toml in/b.png -o x.png", "zero");
    assert_eq!(refused.code, Some(2));
    assert!(
        refused.stderr.starts_with("minkds: MINKDS_STEPS=zero: "),
        "{}",
        refused.stderr
    );
    room.write("wrong.toml", "stpes = 1");
    room.refuses(
        "--no-gui --config wrong.toml in/b.png",
        2,
        &["wrong.toml", "did you mean steps?"],
    );
    // Other commands do not care.
    let mut devices = room.command("devices");
    devices.env("MINKDS_STEPS", "zero");
    assert_eq!(finish(devices.spawn().unwrap()).code, Some(0));
}

#[test]
fn shells_complete_and_the_manual_is_a_manual() {
    let room = Room::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = room.succeeds(&format!("completions {shell}")).stdout;
        assert!(
            script.contains("gamma-0") && script.contains("doctor"),
            "{shell}"
        );
    }
    room.refuses("completions tcsh", 2, &["bash"]);
    let script = room.succeeds("completions bash").stdout;
    room.write("script", script);
    if let Ok(output) = Command::new("bash")
        .arg("-n")
        .arg(room.path("script"))
        .output()
    {
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let page = room.succeeds("man").stdout;
    assert!(
        page.contains(".TH minkds 1") && page.contains("\\-\\-gamma\\-0"),
        "{page}"
    );
    assert!(page.contains("Kernel Density Steering"));
    room.succeeds("man -o pages");
    let names = room.names_in("pages");
    assert!(
        names.contains(&"minkds.1".into()) && names.contains(&"minkds-doctor.1".into()),
        "{names:?}"
    );
}
