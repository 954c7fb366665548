//! Sliders move, and a part of the picture is drawn anew.

use std::time::Instant;

use eframe::egui::{Key, Modifiers};
use egui_kittest::kittest::Queryable;
use minkds::app::{Phase, Side};
use minkds::pipeline::Region;

use crate::room::Room;

#[test]
fn the_example_is_there_at_once_and_nothing_is_computed_for_it() {
    let mut room = Room::with(&[], |_| ());
    room.until("the example is there", |window| {
        window.state.whole.steered.is_some()
    });
    room.until_quiet();
    let state = &room.window().state;
    assert_eq!(state.input.as_ref().unwrap().place.name(), "example.png");
    assert!(state.whole.steered.is_some() && !state.has_unsaved());
    assert_eq!(state.history.runs().len(), 1);
    assert!(state.live.steered.is_none());
}

/// The result that ships was made by the program, with these settings. Other processors round differently,
/// which the last bit of a few pixels shows.
#[test]
fn the_examples_result_is_what_the_program_makes_of_it() {
    let mut room = Room::with(&[], |_| ());
    room.until("the example is there", |window| {
        window.state.whole.steered.is_some()
    });
    room.until_quiet();
    let shipped = room.window().state.whole.steered.clone().unwrap().picture;
    room.click("Enlarge picture");
    room.until_quiet();
    let drawn = room.window().state.whole.steered.clone().unwrap();
    assert!(drawn.seconds.is_some(), "it was not drawn");
    let pairs = drawn
        .picture
        .pixels()
        .iter()
        .flatten()
        .zip(shipped.pixels().iter().flatten());
    let worst = pairs.map(|(a, b)| a.abs_diff(*b)).max();
    assert!(worst <= Some(1), "off by {worst:?}");
}

#[test]
fn a_slider_that_rests_is_tried_and_the_last_settings_win() {
    let mut room = Room::new(&[("photo.png", 48, 40)]);
    room.until_quiet();
    let first = room
        .window()
        .state
        .live
        .steered
        .clone()
        .expect("the start is tried");
    room.slide("gamma_0", 0.9);
    room.slide("Bandwidth", 40.0);
    room.until_quiet();
    let state = &room.window().state;
    let second = state.live.steered.clone().unwrap();
    assert_ne!(first.drawing, second.drawing);
    assert_ne!(first.picture.pixels(), second.picture.pixels());
    let settings = state.live.settings().unwrap();
    assert_eq!((settings.gamma_0, settings.bandwidth.value()), (0.9, 40.0));
    assert_eq!(state.history.runs().len(), 2);
    // Steering changed, plain sampling did not: it was not drawn again.
    let plain = state.live.plain.as_ref().unwrap();
    assert_eq!((plain.drawing, plain.seconds), (second.drawing, None));
    assert_eq!(plain.choice, second.choice, "another particle is compared");
}

#[test]
fn strength_is_mixed_in_without_drawing_anything() {
    let mut room = Room::new(&[("photo.png", 40, 40)]);
    room.until_quiet();
    let drawing = room.window().state.live.steered.as_ref().unwrap().drawing;
    room.slide("Strength", 0.4);
    room.until_quiet();
    assert_eq!(
        room.window().state.live.steered.as_ref().unwrap().drawing,
        drawing
    );
    assert_eq!(room.window().state.settings.strength, 0.4);
}

#[test]
fn a_picture_that_is_called_clean_is_drawn_otherwise() {
    let mut room = Room::new(&[("photo.png", 40, 40)]);
    room.until_quiet();
    let first = room.window().state.live.steered.clone().unwrap();
    room.tick("Clean picture");
    room.until_quiet();
    let state = &room.window().state;
    let second = state.live.steered.clone().unwrap();
    assert!(state.live.settings().unwrap().clean);
    assert_ne!(first.picture.pixels(), second.picture.pixels());
    // Plain sampling is told, too, and was drawn again.
    assert!(state.live.plain.as_ref().unwrap().seconds.is_some());
    room.click("Undo");
    assert!(!room.window().state.settings.clean);
}

#[test]
fn settings_are_undone_and_done_again() {
    let mut room = Room::new(&[("photo.png", 24, 24)]);
    room.until_quiet();
    let own = room.window().state.settings.clone();
    assert!(!room.is_enabled("Undo"));
    room.slide("gamma_0", 0.75);
    room.until_quiet();
    room.slide("Steps", 2.0);
    room.until_quiet();
    room.key(Modifiers::COMMAND, Key::Z);
    room.click("Undo");
    assert_eq!(room.window().state.settings, own);
    assert!(!room.is_enabled("Undo"));
    room.key(Modifiers::COMMAND | Modifiers::SHIFT, Key::Z);
    room.click("Redo");
    let settings = &room.window().state.settings;
    assert_eq!((settings.gamma_0, settings.steps), (0.75, 2));
    room.click("Reset");
    let state = &room.window().state;
    assert_eq!(state.settings, state.recommended());
}

#[test]
fn a_double_click_tries_another_part() {
    let mut room = Room::with(&[("photo.png", 600, 400)], |start| {
        start.flags.steps = Some(1);
        start.flags.particles = Some(1);
    });
    room.until_quiet();
    let before = room.window().state.snapped_region().unwrap();
    let canvas = room
        .harness
        .get_by_label_contains("Picture photo.png")
        .rect();
    let place = canvas.min + canvas.size() * 0.3;
    room.harness.hover_at(place);
    room.harness.step();
    room.press(place);
    room.press(place);
    room.until_quiet();
    let state = &room.window().state;
    let after = state.snapped_region().unwrap();
    assert!(
        after.left < before.left || after.top < before.top,
        "{before:?} {after:?}"
    );
    assert_eq!(state.live.steered.as_ref().unwrap().region, after);
}

/// What the tried part shows is what the whole will show there, but for what the network sees beyond its
/// margin: see tests/regions.rs for how little that is.
#[test]
fn the_tried_part_predicts_the_whole() {
    let mut room = Room::with(&[("photo.png", 96, 96)], |start| {
        start.flags.steps = Some(3);
        start.flags.particles = Some(2);
    });
    room.until_quiet();
    room.window_mut().state.region = Some(Region {
        left: 32,
        top: 24,
        width: 40,
        height: 40,
    });
    room.until_quiet();
    let part = room.window().state.live.steered.clone().unwrap();
    assert_eq!((part.region.width, part.region.height), (40, 40));
    room.click("Enlarge picture");
    room.until_quiet();
    let whole = room.window().state.whole.steered.clone().unwrap();
    let (width, [columns, rows]) = (whole.picture.size()[0], part.picture.size());
    let mut sum = 0u64;
    for y in 0..rows {
        for x in 0..columns {
            let place = (4 * part.region.top + y) * width + 4 * part.region.left + x;
            let (a, b) = (
                part.picture.pixels()[y * columns + x],
                whole.picture.pixels()[place],
            );
            sum += (0..3).map(|c| u64::from(a[c].abs_diff(b[c]))).sum::<u64>();
        }
    }
    let mean = sum as f64 / (3 * columns * rows) as f64;
    assert!(mean < 2.0, "off by {mean} of 255 on average");
}

#[test]
fn a_run_is_cancelled_by_escape_and_the_window_goes_on() {
    let mut room = Room::with(&[("photo.png", 64, 64)], |start| {
        start.flags.steps = Some(100);
        start.flags.particles = Some(8);
    });
    room.until("a run", |window| {
        matches!(window.state.live.phase, Phase::Running { .. })
    });
    room.click("Enlarge picture");
    room.until("the whole", |window| {
        let is_running = matches!(window.state.whole.phase, Phase::Running { .. });
        is_running
            && window
                .state
                .whole
                .curves
                .get(&Side::Steered)
                .is_some_and(|c| !c.is_empty())
    });
    let start = Instant::now();
    room.key(Modifiers::NONE, Key::Escape);
    room.until("the end", |window| !window.state.whole.is_busy());
    assert!(start.elapsed().as_secs() < 10);
    assert!(room.window().state.whole.steered.is_none());
    room.slide("Steps", 2.0);
    room.slide("Particles", 2.0);
    room.until_quiet();
    assert!(room.window().state.live.steered.is_some());
}

#[test]
fn what_is_tried_is_cancelled_by_escape_and_not_begun_again() {
    let mut room = Room::with(&[("photo.png", 64, 64)], |start| {
        start.flags.steps = Some(100);
        start.flags.particles = Some(8);
    });
    let is_running =
        |window: &minkds::app::Window| matches!(window.state.live.phase, Phase::Running { .. });
    room.until("a run", is_running);
    room.key(Modifiers::NONE, Key::Escape);
    room.until("the end", |window| !window.state.live.is_busy());
    for _ in 0..60 {
        room.harness.step();
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert!(!room.window().state.is_busy(), "it began again");
    // Off and on again means: try it after all.
    room.key(Modifiers::NONE, Key::V);
    room.key(Modifiers::NONE, Key::V);
    room.until("another run", is_running);
}

/// What nobody wants any more leaves no run behind.
#[test]
fn only_the_last_settings_leave_a_run() {
    let mut room = Room::with(&[("photo.png", 64, 64)], |start| {
        start.flags.steps = Some(30);
        start.flags.particles = Some(8);
    });
    room.until("a run", |window| {
        matches!(window.state.live.phase, Phase::Running { .. })
    });
    room.slide("Steps", 2.0);
    room.slide("Particles", 2.0);
    room.until_quiet();
    let state = &room.window().state;
    assert!(state.live.is_current());
    assert_eq!(state.history.runs().len(), 1);
}

/// A thousand changes while things are being drawn: nothing hangs, the last settings win, and what is held
/// in memory does not grow.
#[test]
fn sliders_may_be_hammered() {
    let mut room = Room::new(&[("photo.png", 40, 40)]);
    room.until_quiet();
    let before = resident_bytes();
    for i in 0..1000 {
        match i % 4 {
            0 => room.slide("gamma_0", f64::from(i % 97) / 97.0),
            1 => room.slide("Bandwidth", 1.0 + f64::from(i % 89)),
            2 => room.slide("Patch size", f64::from(1 + i % 7)),
            _ => room.slide("Particles", f64::from(2 + i % 3)),
        }
        if i % 50 == 0 {
            // Let it rest now and then, so that runs begin and are cut off.
            for _ in 0..12 {
                room.harness.step();
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
        }
    }
    room.slide("gamma_0", 0.5);
    room.slide("Bandwidth", 5.0);
    room.slide("Patch size", 2.0);
    room.slide("Particles", 2.0);
    room.until_quiet();
    let state = &room.window().state;
    let settings = state.live.settings().unwrap();
    let got = (
        settings.gamma_0,
        settings.bandwidth.value(),
        settings.patch_size,
        settings.particles,
    );
    assert_eq!(got, (0.5, 5.0, 2, 2));
    assert!(state.live.is_current());
    assert_eq!(state.live.phase, Phase::Idle);
    if let (Some(before), Some(after)) = (before, resident_bytes()) {
        let grown = after.saturating_sub(before) >> 20;
        assert!(grown < 150, "memory grew by {grown} MiB");
    }
    assert!(room.window().resident_tiles() < 400);
}

/// What this process holds in memory, where the system tells.
fn resident_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * 4096)
}
