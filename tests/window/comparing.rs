//! Ways of comparing, zoom, runs against each other.

use eframe::egui::{self, Key, Modifiers, vec2};
use egui_kittest::kittest::Queryable;
use minkds::app::{Mode, Pane, Side};

use crate::room::Room;

#[test]
fn every_way_of_comparing_gets_what_it_needs() {
    let mut room = Room::new(&[("photo.png", 40, 32)]);
    room.until_quiet();
    for (name, key) in [
        ("Vanilla | KDS", Key::Num2),
        ("Three", Key::Num3),
        ("Spread", Key::Num7),
    ] {
        room.key(Modifiers::NONE, key);
        room.until_quiet();
        let state = &room.window().state;
        assert_eq!(state.mode.words().0, name);
        let front = state.front();
        let (steered, plain) = (
            front.steered.as_ref().unwrap(),
            front.plain.as_ref().unwrap(),
        );
        assert_eq!(
            (steered.region, steered.choice),
            (plain.region, plain.choice),
            "{name}"
        );
        assert_ne!(steered.picture.pixels(), plain.picture.pixels());
    }
    let spread = room.window().state.live.spread.clone().expect("a spread");
    assert!(spread.mean > 0.0 && spread.top >= spread.mean);

    room.click("Particles");
    room.until_quiet();
    let particles = room.window().state.particles();
    assert_eq!(particles.len(), 6, "three steered, three not");
    assert_eq!(
        particles
            .iter()
            .filter(|p| p.is_chosen && p.side == Side::Steered)
            .count(),
        1
    );
    let other = particles.iter().find(|p| !p.is_chosen).unwrap();
    let name = format!("KDS {} (quick preview)", other.index);
    room.click(&name);
    room.until_quiet();
    let state = &room.window().state;
    let decoded = state.front().decoded.get(&(Side::Steered, other.index));
    assert!(decoded.is_some_and(|picture| picture.size() == other.picture.size()));
}

/// The vanilla half shows the particle that KDS chose, not the one that would have been chosen without: over
/// several seeds the two would differ now and then.
#[test]
fn the_vanilla_half_follows_the_choice_of_kds() {
    let mut room = Room::with(&[("photo.png", 16, 16)], |start| {
        start.flags.steps = Some(2);
        start.flags.particles = Some(6);
        start.flags.gamma_0 = Some(1.0);
    });
    room.click("Vanilla | KDS");
    for seed in 0..6 {
        room.window_mut().state.settings.seed = seed;
        room.until("this seed", |window| {
            let live = &window.state.live;
            live.settings()
                .is_some_and(|settings| settings.seed == seed)
        });
        room.until_quiet();
        let live = &room.window().state.live;
        let (steered, plain) = (live.steered.as_ref().unwrap(), live.plain.as_ref().unwrap());
        assert_eq!(steered.choice, plain.choice, "seed {seed}");
    }
}

/// With the very noise of the run, a particle that is left alone comes out the same, whoever draws it.
#[test]
fn the_vanilla_half_is_the_same_particle_from_the_same_noise() {
    let mut room = Room::with(&[("photo.png", 24, 24)], |start| {
        start.flags.steps = Some(3);
        start.flags.particles = Some(3);
    });
    room.until_quiet();
    room.click("Vanilla | KDS");
    room.click("Enlarge picture");
    room.until_quiet();
    let state = &room.window().state;
    let plain = state.whole.plain.clone().unwrap();
    let minkds::kds::Choice::Particle(chosen) = plain.choice else {
        panic!("no particle")
    };
    let words = [
        "--no-gui",
        &room.path("photo.png").display().to_string(),
        "--vanilla",
        "--particles",
        "3",
        "--steps",
        "3",
        "--select",
        "all",
        "--device",
        "cpu",
        "-o",
        &room.path("all.png").display().to_string(),
    ]
    .map(str::to_string);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let ran = crate::room::program(&words, &room.path("cache"));
    assert!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    let file = image::open(room.path(&format!("all_p{chosen}.png")))
        .unwrap()
        .to_rgba8();
    let same = file
        .pixels()
        .zip(plain.picture.pixels())
        .all(|(a, b)| a.0 == *b);
    assert!(same, "particle {chosen} differs");
}

#[test]
fn wheel_and_keys_zoom_about_the_pointer() {
    let mut room = Room::new(&[("photo.png", 64, 64)]);
    room.until_quiet();
    assert!(room.window().state.view.fit);
    room.key(Modifiers::NONE, Key::Z);
    assert_eq!(room.window().state.view.zoom, 1.0);
    let canvas = room
        .harness
        .get_by_label_contains("Picture photo.png")
        .rect();
    let pointer = canvas.center() + vec2(60.0, 40.0);
    let under = |room: &Room| {
        let ppp = 1.0;
        room.window().state.view.to_picture(pointer, canvas, ppp)
    };
    let before = under(&room);
    room.harness.hover_at(pointer);
    for _ in 0..4 {
        room.harness.event(egui::Event::Zoom(1.5));
        room.harness.step();
    }
    assert!((room.window().state.view.zoom - 1.5f64.powi(4)).abs() < 1e-3);
    let after = under(&room);
    let moved = (before[0] - after[0]).hypot(before[1] - after[1]);
    assert!(
        moved < 1.0,
        "what is under the pointer moved by {moved} pixels"
    );
    room.key(Modifiers::NONE, Key::Num0);
    assert!(room.window().state.view.fit);
}

#[test]
fn the_line_is_dragged_and_moved_by_keys() {
    let mut room = Room::new(&[("photo.png", 64, 64)]);
    room.until_quiet();
    let line = room
        .harness
        .get_by_role_and_label(egui::accesskit::Role::Slider, "Divider")
        .rect();
    let canvas = room
        .harness
        .get_by_label_contains("Picture photo.png")
        .rect();
    room.harness.hover_at(line.center());
    room.harness.step();
    room.harness.drag_at(line.center());
    room.harness.step();
    let target = egui::pos2(canvas.left() + canvas.width() * 0.25, line.center().y);
    room.harness.hover_at(target);
    room.harness.step();
    room.harness.drop_at(target);
    room.harness.run_steps(2);
    let divider = room.window().state.look.divider;
    assert!((divider - 0.25).abs() < 0.02, "{divider}");
    room.harness
        .get_by_role_and_label(egui::accesskit::Role::Slider, "Divider")
        .focus();
    room.harness.step();
    room.key(Modifiers::NONE, Key::ArrowRight);
    assert!(room.window().state.look.divider > divider);
}

#[test]
fn two_runs_are_pinned_and_compared() {
    let mut room = Room::new(&[("photo.png", 32, 32)]);
    room.until_quiet();
    room.slide("gamma_0", 0.3);
    room.until_quiet();
    let ids: Vec<u64> = room
        .window()
        .state
        .history
        .runs()
        .iter()
        .map(|run| run.id)
        .collect();
    assert_eq!(ids.len(), 2);
    for id in &ids {
        room.click(&format!("pin, run {id}"));
    }
    room.until("both", |window| window.state.compares_pins());
    let state = &room.window().state;
    assert_eq!(state.panes(), [Pane::Pin(0), Pane::Pin(1)]);
    assert!(
        state.title(Pane::Pin(1)).contains("γ 0.30"),
        "{}",
        state.title(Pane::Pin(1))
    );
    assert_eq!(state.layers(Pane::Pin(0)).len(), 2);
    // Back to the first run: its settings, its picture.
    room.click(&format!(
        "run {}: {}",
        ids[0],
        state.history.run(ids[0]).unwrap().title()
    ));
    room.until_quiet();
    let state = &room.window().state;
    assert_eq!(state.settings, state.history.run(ids[0]).unwrap().settings);
    room.click(&format!("pinned A, run {}", ids[0]));
    assert!(!room.window().state.compares_pins());
}

#[test]
fn pointing_at_a_step_shows_its_picture() {
    let mut room = Room::new(&[("photo.png", 40, 40)]);
    room.until_quiet();
    let state = &room.window().state;
    let curve = &state.live.curves[&Side::Steered];
    assert_eq!(curve.len(), 3);
    assert!(curve.iter().all(|step| step.preview.is_some()));
    assert!(state.live.curves[&Side::Plain].len() == 3);
    let layers = state.layers(Pane::Kds);
    room.window_mut().state.look.step = Some((Side::Steered, 0));
    let pointed = room.window().state.layers(Pane::Kds);
    assert_ne!(
        layers.last().unwrap().source.key(),
        pointed.last().unwrap().source.key()
    );
    assert_eq!(layers.last().unwrap().size, pointed.last().unwrap().size);
}

#[test]
fn flicker_shows_one_or_the_other_and_the_loupe_both() {
    let mut room = Room::new(&[("photo.png", 40, 40)]);
    room.until_quiet();
    room.key(Modifiers::NONE, Key::Num4);
    assert!(!room.window().state.look.flipped);
    room.key(Modifiers::NONE, Key::Space);
    assert!(room.window().state.look.flipped);
    let canvas = room
        .harness
        .get_by_label_contains("Picture photo.png")
        .rect();
    let shapes = |room: &Room| room.harness.output().shapes.len();
    room.harness.hover_at(canvas.center());
    room.harness.run_steps(3);
    let without = shapes(&room);
    room.key(Modifiers::NONE, Key::L);
    room.until_quiet();
    assert!(room.window().state.look.loupe);
    assert!(shapes(&room) > without, "nothing is magnified");
}

/// What was drawn without steering for other settings is no comparison any more.
#[test]
fn an_older_comparison_is_not_shown_beside_a_newer_result() {
    let mut room = Room::new(&[("photo.png", 32, 32)]);
    room.until_quiet();
    room.click("Vanilla | KDS");
    room.until_quiet();
    assert!(room.window().state.live.plain.is_some());
    room.click("Divider");
    room.click("Distance between versions");
    room.slide("Steps", 5.0);
    room.until_quiet();
    let live = &room.window().state.live;
    assert!(live.plain.is_none(), "of other steps");
    assert_eq!(live.curves[&Side::Steered].len(), 5);
    assert!(!live.curves.contains_key(&Side::Plain));
}

/// Pinning the run that is shown takes nothing away from it.
#[test]
fn a_pinned_run_stays_as_it_is() {
    let mut room = Room::new(&[("photo.png", 32, 32)]);
    room.until_quiet();
    let before = room
        .window()
        .state
        .live
        .steered
        .as_ref()
        .unwrap()
        .particles
        .len();
    let id = room.window().state.history.runs()[0].id;
    room.click(&format!("pin, run {id}"));
    room.until("its picture", |window| {
        window.state.history.picture(Some(id)).is_some()
    });
    room.until_quiet();
    let live = &room.window().state.live;
    assert_eq!(live.steered.as_ref().unwrap().particles.len(), before);
    assert!(live.plain.is_some() && before == 3);
}

/// Everything that can be pressed, moved or typed into has a name for screen readers.
#[test]
fn everything_has_a_name() {
    let mut room = Room::new(&[("photo.png", 24, 24), ("other.png", 24, 24)]);
    room.until_quiet();
    for section in ["Saved files", "More settings"] {
        room.harness.get_by_label(section).click();
        room.until_quiet();
    }
    for key in [Key::Num1, Key::Num5, Key::Num6, Key::Num7] {
        room.key(Modifiers::NONE, key);
        room.until_quiet();
        room.harness.check_accessibility();
    }
}

#[test]
fn modes_have_names_and_keys() {
    let mut room = Room::new(&[("photo.png", 16, 16)]);
    room.until_quiet();
    for (number, mode) in Mode::ALL.into_iter().enumerate() {
        let key = [
            Key::Num1,
            Key::Num2,
            Key::Num3,
            Key::Num4,
            Key::Num5,
            Key::Num6,
            Key::Num7,
        ][number];
        room.key(Modifiers::NONE, key);
        assert_eq!(room.window().state.mode, mode);
    }
    room.key(Modifiers::NONE, Key::Questionmark);
    room.harness.run_steps(2);
    assert!(
        room.harness.query_by_label("vanilla beside KDS").is_some(),
        "no sheet of keys"
    );
}
