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
    room.succeeds(&format!(
        "a.png -o b.png --select all --save-latents l.st {words}"
    ));
    assert_eq!(Saved::read(&room, "l.st").selected, -1);
    assert!((0..3).all(|i| room.read(&format!("b_p{i}.png")) != mean));
    // The mean of one is that one.
    let one = "TINY --particles 1 --select";
    assert!(room.enlarged(&format!("{one} mean")) == room.enlarged(&format!("{one} first")));
}

#[test]
fn clean_is_told_to_models_that_know_it_and_refused_for_others() {
    let room = room();
    let any = room.enlarged("TINY_TOLD");
    assert!(room.enlarged("TINY_TOLD --clean") != any);
    let words = "TINY a.png -o c.png --clean";
    room.refuses(words, 2, &["told", "leave --clean out"]);
}

#[test]
fn vanilla_is_one_particle_without_steering() {
    let room = room();
    for sampler in ["", "--eta 0.7", "--solver dpm++"] {
        let vanilla = room.enlarged(&format!("TINY --vanilla {sampler}"));
        for same in [
            "--particles 1",
            "--vanilla --particles 1",
            // More particles change nothing about the first.
            "--vanilla --particles 3 --select first",
            "--gamma-0 0 --particles 3 --select first",
            // Steering acts while LO < t/T <= HI: never.
            "--window 0..0 --particles 3 --select first",
            "--window 1..1 --particles 3 --select first",
        ] {
            let picture = room.enlarged(&format!("TINY {same} {sampler}"));
            assert!(picture == vanilla, "{same} {sampler}");
        }
        let wide = "--particles 3 --select first --bandwidth 100";
        let steered = room.enlarged(&format!("TINY {wide} {sampler}"));
        assert!(steered != vanilla, "steering does nothing: {sampler}");
    }
}

#[test]
fn the_strongest_steering_makes_all_particles_one() {
    let room = room();
    let spread = |words: &str| {
        room.enlarged(&format!("TINY --particles 4 --save-latents l.st {words}"));
        Saved::read(&room, "l.st").spread()
    };
    let free = spread("--vanilla");
    assert!(free > 0.1, "{free}");
    let agreed = spread("--gamma-0 1 --bandwidth 1e6");
    assert!(agreed < 1e-4 * free, "{agreed} of {free}");
    // The narrowest bandwidth lets nobody agree.
    for kernel in ["gaussian", "minkds"] {
        let alone = spread(&format!("--gamma-0 1 --bandwidth 1e-300 --kernel {kernel}"));
        assert_eq!(alone, free, "{kernel}");
    }
}

/// exp(-d² / 2h⁴) at h = 3 is exp(-d² / 2H²) at H = 9.
#[test]
fn the_kernels_differ_in_the_power_of_the_bandwidth() {
    let room = room();
    let run = |kernel: &str, h: u32| {
        room.enlarged(&format!(
            "TINY --kernel {kernel} --bandwidth {h} --particles 3"
        ))
    };
    assert!(run("minkds", 3) == run("gaussian", 9));
    assert!(run("minkds", 3) != run("gaussian", 3));
    assert!(run("gaussian", 9) == room.enlarged("TINY --bandwidth 9 --particles 3"));
}

#[test]
fn every_setting_has_an_effect() {
    let room = room();
    let run = |words: &str| {
        let base = "--no-gui --no-check --model MODEL --particles 3 --select first";
        room.enlarged(&format!("{base} {words}"))
    };
    let plain = run("--steps 4 --bandwidth 9");
    for change in [
        "--steps 5 --bandwidth 9",
        "--steps 4 --bandwidth 30",
        "--steps 4 --bandwidth 9 --patch-size 7",
        "--steps 4 --bandwidth 9 --gamma-0 0.9",
        "--steps 4 --bandwidth 9 --kernel minkds",
        "--steps 4 --bandwidth 9 --window 0.6..1",
        "--steps 4 --bandwidth 9 --solver dpm++",
        "--steps 4 --bandwidth 9 --eta 0.5",
        "--steps 4 --bandwidth 9 --seed 1",
        "--steps 4 --bandwidth 9 --color-fix consistency",
        "--steps 4 --bandwidth 9 --color-fix robust",
    ] {
        assert!(run(change) != plain, "{change}");
    }
}

#[test]
fn aliases_are_the_same_flags() {
    let room = room();
    let latents = |words: &str| {
        room.enlarged(&format!("TINY --save-latents l.st {words}"));
        room.read("l.st")
    };
    let ours = latents("--particles 3 --bandwidth 9");
    assert!(latents("--num-particles 3 --band-width 9") == ours);
}

#[test]
fn the_seed_and_nothing_else_names_the_noise() {
    let room = room();
    room.picture("other.png", 9, 5);
    let words = "TINY --particles 3 --eta 0.3 --bandwidth 9";
    let plain = room.enlarged(words);
    assert!(room.enlarged(words) == plain, "a second run differs");
    assert!(
        room.enlarged(&format!("{words} --seed 0")) == plain,
        "the default is not 0"
    );
    for seed in ["1", "4294967296", "18446744073709551615"] {
        assert!(
            room.enlarged(&format!("{words} --seed {seed}")) != plain,
            "{seed}"
        );
    }
    room.succeeds(&format!("{words} other.png a.png -o out"));
    assert!(
        room.read("out/a_x4.png") == plain,
        "other pictures of the run matter"
    );
}

#[test]
fn threads_do_not_matter() {
    let room = Room::new();
    room.picture("a.png", 32, 24);
    for model in ["TINY --bandwidth 9", "TINY_VQ", "--no-gui --steps 2"] {
        let run = |threads| room.enlarged(&format!("{model} --particles 3 --threads {threads}"));
        let one = run(1);
        for threads in [2, 3, 7] {
            assert!(run(threads) == one, "{model} with {threads} threads");
        }
    }
}

/// Many particles of a small picture share an evaluation where memory allows, and are cut into
/// batches where it is short.
#[cfg(target_os = "linux")]
#[test]
fn micro_batches_under_a_memory_limit_do_not_matter() {
    use minkds::device::Budget;
    use minkds::model::{Model, ModelSource};
    use minkds::pipeline::{Ask, Estimator, Plan, canvas};
    use minkds::settings::Settings;

    let model = Model::load(
        &ModelSource::Bundled,
        &minkds::device::Target::cpu(),
        &mut |_, _, _| Ok(()),
    )
    .unwrap();
    let settings = Settings {
        particles: 28,
        ..Settings::default()
    };
    let plan = |budget| {
        Plan::new(
            &Estimator::of(&model),
            &canvas(&model, 12, 12),
            &Ask::of(&settings, Budget::shared(budget)),
        )
    };
    assert_eq!(plan(u64::MAX).unwrap().batch, 28);
    let step = 1 << 20;
    let lowest = (1..).map(|i| i * step).find(|&budget| plan(budget).is_ok());
    let lowest = lowest.unwrap();
    assert!(plan(lowest + 2 * step).unwrap().batch <= 14);

    let room = Room::new();
    room.picture("a.png", 12, 12);
    let words = "--no-gui --steps 2 --particles 28 --bandwidth 100 --save-latents l.st";
    let (picture, latents) = (room.enlarged(words), room.read("l.st"));
    // What the program itself holds is not known here: look for the lowest limit that works.
    let (mut low, mut high) = (lowest, lowest + (1 << 30));
    while high - low > step {
        let limit = (low + high) / 2;
        let words = format!("a.png -o result.png {words} --memory-limit {limit}");
        let run = room.run(&words);
        if run.code == Some(0) {
            assert!(
                room.read("result.png") == picture,
                "the picture differs at {limit}"
            );
            assert!(
                room.read("l.st") == latents,
                "the latents differ at {limit}"
            );
            high = limit;
        } else {
            assert!(
                run.code == Some(1) && run.stderr.contains("needs about"),
                "{}",
                run.stderr
            );
            low = limit;
        }
    }
    assert!(
        high < lowest + (1 << 30),
        "no limit was low enough to matter"
    );
}

#[test]
fn the_preset_is_minkds_and_single_flags_override_it() {
    let room = room();
    // Everything that the preset names, but the sampler's details, which no flag has.
    let spelled = "--particles 10 --bandwidth 1 --patch-size 2 --gamma-0 0.3 --kernel minkds \
        --window 0.3..1 --select lowest-variance --solver ddim --eta 0 --color-fix none";
    let preset = room.enlarged("TINY --preset minkds --save-latents l.st");
    let saved = Saved::read(&room, "l.st");
    assert_eq!(saved.shape[0], 10);
    assert_eq!(saved.selected, saved.choice("lowest-variance"));
    assert!(room.enlarged(&format!("TINY --preset minkds {spelled}")) == preset);
    // The last step of minKDS goes to alphas_cumprod[0], which is not 1.
    assert!(room.enlarged(&format!("TINY {spelled}")) != preset);

    room.enlarged("TINY --preset minkds --particles 3 --save-latents l.st");
    assert_eq!(Saved::read(&room, "l.st").shape[0], 3);
    let vanilla = room.enlarged("TINY --preset minkds --vanilla");
    assert!(room.enlarged("TINY --preset minkds --gamma-0 0 --select first") == vanilla);
    for flag in [
        "--bandwidth 100 --select first",
        "--seed 1",
        "--solver dpm++",
    ] {
        assert!(
            room.enlarged(&format!("TINY --preset minkds {flag}")) != preset,
            "{flag}"
        );
    }
    // All fifty steps and ten particles, with nothing overridden.
    room.enlarged("--no-gui --no-check --model MODEL --preset minkds");
}

/// What the model recommends is the default, and `none` where none does, or with start noise or a preset.
#[test]
fn colours_are_kept_by_default_where_a_model_recommends_it() {
    let room = room();
    let bundled = "--no-gui --steps 2 --particles 1";
    room.enlarged(&format!("{bundled} --save-latents start.st"));
    for (words, default) in [
        (bundled, "robust"),
        (
            "--no-gui --no-check --steps 2 --particles 1 --latents start.st",
            "none",
        ),
        (
            "--no-gui --no-check --steps 2 --particles 1 --preset minkds",
            "none",
        ),
        ("TINY", "none"),
    ] {
        let with = |fix: &str| room.enlarged(&format!("{words} --color-fix {fix}"));
        let (none, robust) = (with("none"), with("robust"));
        assert!(none != robust, "{words}: the fix does nothing");
        let expected = if default == "none" { none } else { robust };
        assert!(room.enlarged(words) == expected, "{words}: not {default}");
    }
}

#[test]
fn the_consistent_result_reduced_is_the_input() {
    let room = Room::new();
    room.picture("a.png", 16, 12);
    room.succeeds("--no-gui a.png -o b.png --color-fix consistency");
    let result = room.decoded("b.png").into_rgb32f();
    let reduced = minkds::image_io::resize::reduce_x4(&result, 64, 48, 3);
    let input = room.decoded("a.png").into_rgb32f();
    let worst = input
        .iter()
        .zip(&reduced)
        .fold(0f32, |m, (a, b)| m.max((a - b).abs()));
    // Half a step before rounding to 8 bits, half a step by rounding.
    assert!(worst <= 1.0 / 255.0, "off by {} of 255", worst * 255.0);
}
