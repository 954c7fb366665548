//! Pictures of the window, compared with those that were looked at and kept (`tests/snapshots`). Texts and
//! curves are drawn by Mesa's software Vulkan; another version of it may round edges differently.

use eframe::egui::{Key, Modifiers, Theme};
use egui_kittest::SnapshotOptions;
use egui_kittest::kittest::Queryable;
use minkds::app::{Model, Remembered};
use minkds::pipeline::Region;

use crate::common::adapter_is_there;
use crate::room::{Room, picture, start};

fn room(pixels_per_point: f32, theme: Theme) -> Room {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("photo.png");
    picture(56, 48).save(&path).unwrap();
    let mut start = start(vec![path]);
    start.flags.steps = Some(4);
    start.flags.particles = Some(3);
    start.flags.gamma_0 = Some(0.6);
    let remembered = Remembered {
        is_live: false,
        ..Remembered::default()
    };
    let mut room = Room::open(folder, start, remembered, pixels_per_point, theme);
    room.until_quiet();
    // Where things are tried depends on the machine's speed, unless somebody says where.
    let state = &mut room.window_mut().state;
    state.region = Some(Region {
        left: 16,
        top: 12,
        width: 24,
        height: 24,
    });
    state.is_live = true;
    room.until_quiet();
    room
}

/// A picture to compare with; how long things take is no part of it.
fn look(room: &mut Room, name: &str) {
    if let Model::Ready(ready) = &mut room.window_mut().state.model {
        ready.rate = 1e12;
    }
    room.harness.run_steps(3);
    // In units of about half a squared step of 255. Other processors round results to neighbouring values,
    // which two ways of comparing amplify eight times and more.
    let tolerance = match name {
        "difference" | "spread" => 60.0,
        _ => 3.0,
    };
    let options = SnapshotOptions::new().threshold(tolerance);
    room.harness.snapshot_options(name, &options);
}

#[test]
fn every_way_of_comparing_looks_as_it_should() {
    if !adapter_is_there() {
        return;
    }
    let mut room = room(1.0, Theme::Dark);
    look(&mut room, "trying");
    room.click("Enlarge picture");
    room.until_quiet();
    let modes = [
        (Key::Num1, "divider"),
        (Key::Num2, "side_by_side"),
        (Key::Num3, "three"),
        (Key::Num4, "flicker"),
        (Key::Num5, "difference"),
        (Key::Num6, "particles"),
        (Key::Num7, "spread"),
    ];
    for (key, name) in modes {
        room.key(Modifiers::NONE, key);
        room.until_quiet();
        look(&mut room, name);
    }
    room.key(Modifiers::NONE, Key::Num1);
    room.key(Modifiers::NONE, Key::Questionmark);
    room.until_quiet();
    look(&mut room, "keys");
}

#[test]
fn the_light_theme_looks_as_it_should() {
    if adapter_is_there() {
        look(&mut room(1.0, Theme::Light), "light");
    }
}

#[test]
fn a_dense_screen_looks_as_it_should() {
    if !adapter_is_there() {
        return;
    }
    let mut dense = room(2.0, Theme::Dark);
    dense.harness.get_by_label("More settings").click();
    dense.until_quiet();
    // Where the words stood when they were clicked depends on what had been worked out by then.
    dense.harness.hover_at(eframe::egui::pos2(600.0, 700.0));
    dense.until_quiet();
    look(&mut dense, "dense");
}
