//! What the settings do to the picture: selection, steering, seeds, presets; and what never does
//! anything to it.

use crate::latents::Saved;
use crate::program::Room;

/// A room with the input `a.png`, 12 × 8 pixels.
fn room() -> Room {
    let room = Room::new();
    room.picture("a.png", 12, 8);
    room
}

#[test]
fn all_writes_every_particle_beside_each_other() {
    let room = room();
    let run = room.succeeds("TINY a.png -o b.png --select all --particles 3");
    assert_eq!(room.names(), ["a.png", "b_p0.png", "b_p1.png", "b_p2.png"]);
    assert_eq!(run.stderr.lines().count(), 3, "{}", run.stderr);
    assert!((0..3).all(|i| room.size(&format!("b_p{i}.png")) == (48, 32)));
    assert!(room.read("b_p0.png") != room.read("b_p1.png"));
    room.succeeds("TINY a.png --select all --particles 2");
    assert_eq!(room.names()[1..3], ["a_x4_p0.png", "a_x4_p1.png"]);
}

#[test]
fn each_rule_selects_its_particle_on_the_final_latents() {
    let room = room();
    let mut others = 0;
    for seed in 0..3 {
        let words = format!("TINY --particles 5 --seed {seed}");
        room.succeeds(&format!("a.png -o b.png --select all {words}"));
        for rule in ["nearest-mean", "lowest-variance", "first"] {
            let picture = room.enlarged(&format!("{words} --select {rule} --save-latents l.st"));
            let saved = Saved::read(&room, "l.st");
            assert_eq!(saved.selected, saved.choice(rule), "{rule}, seed {seed}");
            let expected = room.read(&format!("b_p{}.png", saved.selected));
            assert!(picture == expected, "{rule}, seed {seed}");
            others += usize::from(saved.selected > 0);
        }
    }
    assert!(others > 2, "the rules hardly ever differ from \"first\"");
}

#[test]
fn nearest_mean_is_the_default_and_mean_is_a_picture_of_its_own() {
    let room = room();
    let words = "TINY --particles 3";
    let nearest = room.enlarged(&format!("{words} --select nearest-mean"));
    assert!(room.enlarged(words) == nearest);
    let mean = room.enlarged(&format!("{words} --select mean --save-latents l.st"));
    assert_eq!(Saved::read(&room, "l.st").selected, -1);
    room.succeeds(&format!("a.png -o b.png --select all --save-latents l.st {words}"));
    assert_eq!(Saved::read(&room, "l.st").selected, -1);
    assert!((0..3).all(|i| room.read(&format!("b_p{i}.png")) != mean));
    // The mean of one is that one.
    let one = "TINY --particles 1 --select";
    assert!(room.enlarged(&format!("{one} mean")) == room.enlarged(&format!("{one} first")));
}

#[test]
fn vanilla_is_one_particle_without_steering() {
    let room = room();
    let vanilla = room.enlarged("TINY --vanilla");
    for same in [
        "--particles 1",
        "--vanilla --particles 1",
        "--vanilla --particles 3 --select first",
        "--gamma-0 0 --particles 3 --select first",
        // Steering acts while LO < t/T <= HI: never.
        "--window 0..0 --particles 3 --select first",
        "--window 1..1 --particles 3 --select first --solver dpm++ --steps 2",
    ] {
        let plain = if same.contains("dpm++") {
            room.enlarged("TINY_NO_STEPS --vanilla --solver dpm++ --steps 2")
        } else {
            vanilla.clone()
        };
        let words = if same.contains("--steps") { "TINY_NO_STEPS" } else { "TINY" };
        let _ = (words, plain);
    }
}
