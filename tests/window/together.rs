//! What goes on at the same time: the queue beside the picture, saving beside both, and what is said of results.

use std::path::Path;

use eframe::egui::{Key, Modifiers};
use minkds::app::{ItemState, Pane, Phase, Run};
use minkds::settings::Settings;

use crate::room::{Room, picture};

/// A window with files of this name, waiting in the queue.
fn queue(names: &[&str], steps: u32) -> Room {
    let files: Vec<_> = names.iter().map(|name| (*name, 20, 16)).collect();
    let mut room = Room::with(&files, |start| {
        start.flags.steps = Some(steps);
        start.flags.particles = Some(2);
    });
    room.until("the model", |window| window.state.ready().is_some());
    room
}

fn until_done(room: &mut Room) {
    room.until("the end", |window| {
        !window.state.queue.is_running() && window.state.queue.waiting() == 0
    });
    room.until_quiet();
}

/// The run that is shown after a click on a file of the queue.
fn result(room: &mut Room, name: &str) -> Run {
    let path = room.path(name);
    room.click(name);
    room.until("its result", |window| {
        let run = window.state.run_to_save();
        run.is_some_and(|run| run.origin.place.path() == Some(&path))
            && window.state.whole.steered.is_some()
    });
    room.until_quiet();
    room.window().state.run_to_save().unwrap().clone()
}

/// The whole picture would wait for all files, and hold everything up meanwhile.
#[test]
fn the_picture_is_not_drawn_while_the_queue_runs_and_nothing_is_held_up() {
    let mut room = queue(&["a.png", "b.png", "c.png"], 60);
    room.click("Start");
    room.until("progress", |window| window.state.queue.part() > 0.0);
    assert!(!room.is_enabled("Enlarge picture"));
    room.key(Modifiers::COMMAND, Key::Enter);
    assert!(
        room.last_word().contains("queue is running"),
        "{}",
        room.last_word()
    );
    assert!(!room.window().state.whole.is_busy());
    // Nor is another device taken in between.
    let setup = room.window().state.setup.clone();
    room.window_mut().state.set_setup(setup);
    assert!(room.window().state.ready().is_some());
    let other = room.path("c.png");
    room.window_mut().state.open_file(other);
    room.until("it", |window| {
        let input = window.state.input.as_ref();
        input.is_some_and(|input| input.place.name() == "c.png")
    });
    assert!(room.window().state.queue.is_running());
    room.click("Stop");
    room.until("the end", |window| !window.state.queue.is_running());
}

/// What is dropped while the queue runs is enlarged, too, and like the others.
#[test]
fn files_that_come_while_the_queue_runs_are_done_as_well() {
    let mut room = queue(&["a.png", "b.png"], 30);
    let late = room.path("late.png");
    picture(12, 12).save(&late).unwrap();
    room.click("Start");
    room.until("progress", |window| window.state.queue.part() > 0.0);
    room.window_mut().state.add_files(vec![late]);
    room.until("it", |window| window.state.queue.items.len() == 3);
    room.slide("Steps", 2.0);
    until_done(&mut room);
    let items = &room.window().state.queue.items;
    assert!(
        items
            .iter()
            .all(|item| matches!(item.state, ItemState::Done(_)))
    );
    assert_eq!(result(&mut room, "late.png").settings.steps, 30);
}

/// Whatever the sliders say now, a result is shown with the settings that made it.
#[test]
fn every_result_of_a_queue_says_how_it_was_made() {
    let mut room = queue(&["a.png", "b.png", "c.png"], 2);
    // One was made elsewhere, one with other settings by this model.
    stand_in(&room.path("a.png"), &room.path("a_x4.png"));
    let made = crate::room::program(
        &[
            "--no-gui",
            "--device",
            "cpu",
            "--steps",
            "4",
            "--particles",
            "3",
            &room.path("b.png").to_string_lossy(),
        ],
        &room.path("cache"),
    );
    assert!(made.status.success());
    room.click("Start");
    until_done(&mut room);
    let numbers = |settings: &Settings| (settings.steps, settings.particles);
    room.slide("Steps", 9.0);
    room.until_quiet();

    let (c, b) = (result(&mut room, "c.png"), result(&mut room, "b.png"));
    assert_eq!(
        (numbers(&c.settings), numbers(&b.settings)),
        ((2, 2), (4, 3))
    );
    assert_eq!(numbers(&room.window().state.settings), (4, 3));
    assert!(c.is_told && room.window().state.command_line(&b).is_ok());
    let a = result(&mut room, "a.png");
    assert!(
        !a.is_told && a.title().contains("elsewhere"),
        "{}",
        a.title()
    );
    assert!(room.window().state.command_line(&a).is_err());

    // Looked at again, it is the same run.
    let runs = room.window().state.history.runs().len();
    assert_eq!(result(&mut room, "b.png").id, b.id);
    assert_eq!(room.window().state.history.runs().len(), runs);
}

/// A stand-in for another program's result.
fn stand_in(from: &Path, to: &Path) {
    let large = image::open(from)
        .unwrap()
        .resize_exact(80, 64, image::imageops::Nearest);
    large.save(to).unwrap();
}

/// To stay is to stay, whatever is saved afterwards.
#[test]
fn who_stays_is_not_put_out_later() {
    let mut room = Room::new(&[("photo.png", 20, 20)]);
    room.until_quiet();
    room.click("Enlarge picture");
    room.until_quiet();
    assert!(!room.window_mut().state.close());
    room.window_mut().state.save_all_and_close();
    room.window_mut().state.stay();
    room.until("the end", |window| !window.state.is_saving());
    let run = room.window().state.run_to_save().unwrap().id;
    let other = room.path("other.png");
    room.window_mut().state.save_as_file(run, other.clone());
    room.until("saved", |window| !window.state.is_saving());
    assert!(other.is_file() && !room.window().state.may_close);
    assert!(room.window_mut().state.close(), "nothing would be lost");
}

/// One after the other, each once; closing waits for them.
#[test]
fn what_is_being_saved_is_saved_once_and_waited_for() {
    let mut room = Room::new(&[("photo.png", 64, 64)]);
    room.until_quiet();
    room.click("Enlarge picture");
    room.until_quiet();
    let state = &mut room.window_mut().state;
    let run = state.run_to_save().unwrap().id;
    state.save(run);
    state.save(run);
    assert!(state.is_being_saved(run) && !state.has_unsaved());
    assert!(
        !state.close() && !state.asks_to_close,
        "it is being written"
    );
    room.until("closed", |window| window.state.may_close);
    assert!(room.path("photo_x4.png").is_file());
    assert!(!room.path("photo_x4_2.png").exists());
}

/// A name is a name, also where it would be a pattern on the command line; without an ending it is a PNG.
#[test]
fn a_chosen_name_is_taken_as_it_is() {
    let mut room = Room::new(&[("photo.png", 20, 20)]);
    room.until_quiet();
    room.click("Enlarge picture");
    room.until_quiet();
    let run = room.window().state.run_to_save().unwrap().id;
    let named = room.path("{n} of {what}");
    room.window_mut().state.save_as_file(run, named.clone());
    room.until("saved", |window| !window.state.is_saving());
    assert!(
        named.with_extension("png").is_file(),
        "{}",
        room.last_word()
    );
    let own = room.path("photo.png");
    let before = std::fs::read(&own).unwrap();
    room.window_mut().state.save_as_file(run, own.clone());
    room.until("refused", |window| !window.state.is_saving());
    assert!(room.last_word().contains("input"), "{}", room.last_word());
    assert_eq!(std::fs::read(&own).unwrap(), before);
}

/// `Save` means the picture that is open.
#[test]
fn another_pictures_result_is_not_what_is_saved() {
    let mut room = Room::new(&[("photo.png", 20, 20)]);
    room.until_quiet();
    room.click("Enlarge picture");
    room.until_quiet();
    room.key(Modifiers::NONE, Key::V);
    let other = room.path("other.png");
    picture(16, 18).save(&other).unwrap();
    room.window_mut().state.open_file(other);
    room.until_quiet();
    assert!(room.window().state.run_to_save().is_none() && room.window().state.has_unsaved());
    assert!(!room.is_enabled("Save"));
}

/// A folder's own results and hidden files are no pictures to be enlarged.
#[test]
fn a_folder_brings_its_pictures_and_nothing_else() {
    let mut room = queue(&["a.png", "b.png"], 2);
    room.click("Start");
    until_done(&mut room);
    picture(9, 9).save(room.path("made_x4.png")).unwrap();
    std::fs::write(room.path("._a.png"), "what another system left").unwrap();
    room.click("Clear");
    let folder = room.path("a.png").parent().unwrap().to_path_buf();
    room.window_mut().state.add_files(vec![folder]);
    room.until("them", |window| !window.state.queue.items.is_empty());
    let items = room.window().state.queue.items.iter();
    let names: Vec<_> = items.filter_map(|item| item.path.file_name()).collect();
    assert_eq!(names, ["a.png", "b.png", "made_x4.png"]);
}

/// A comparison that was cancelled is made when it is asked for again, not before.
#[test]
fn a_cancelled_comparison_can_be_had_again() {
    let mut room = Room::with(&[("photo.png", 64, 64)], |start| {
        start.flags.steps = Some(20);
        start.flags.particles = Some(2);
    });
    room.until("the model", |window| window.state.ready().is_some());
    room.click("Distance between versions");
    room.until_quiet();
    room.click("Enlarge picture");
    room.until_quiet();
    room.click("Vanilla | KDS");
    room.until("vanilla", |window| {
        matches!(window.state.whole.phase, Phase::Running { .. })
    });
    room.key(Modifiers::NONE, Key::Escape);
    room.until("the end", |window| !window.state.whole.is_busy());
    room.harness.run_steps(20);
    assert!(!room.window().state.is_busy(), "it began again");
    room.click("Divider");
    room.click("Vanilla | KDS");
    room.until_quiet();
    let whole = &room.window().state.whole;
    assert!(whole.is_current() && whole.plain.is_some());
}

/// Whoever asks for a trial gets one.
#[test]
fn trying_here_begins_trying() {
    let mut room = Room::new(&[("photo.png", 32, 32)]);
    room.until_quiet();
    room.key(Modifiers::NONE, Key::V);
    assert!(!room.window().state.is_live);
    room.slide("Steps", 4.0);
    room.until_quiet();
    assert_eq!(room.window().state.live.settings().unwrap().steps, 3);
    room.key(Modifiers::NONE, Key::T);
    room.until_quiet();
    let state = &room.window().state;
    assert!(state.is_live && state.live.is_current());
    assert_eq!(state.live.settings().unwrap().steps, 4);
}

/// Until something is drawn with them, settings say nothing about the picture.
#[test]
fn a_title_tells_of_the_picture_that_is_seen() {
    let mut room = Room::new(&[("photo.png", 32, 32)]);
    room.until_quiet();
    let title = |room: &Room| room.window().state.title(Pane::Kds);
    assert_eq!(title(&room), "KDS");
    room.key(Modifiers::NONE, Key::V);
    room.tick("on");
    room.until_quiet();
    assert!(room.window().state.settings.vanilla);
    assert_eq!(title(&room), "KDS, other settings");
    room.key(Modifiers::NONE, Key::V);
    room.until_quiet();
    assert_eq!(title(&room), "without steering");
}

/// Reduced first or not, one looks at the same place of the picture.
#[test]
fn the_view_stays_where_it_is_when_a_picture_is_reduced() {
    let mut room = Room::new(&[("photo.png", 40, 40)]);
    room.until_quiet();
    let state = &mut room.window_mut().state;
    state.view.center = [120.0, 60.0];
    state.view.zoom = 3.0;
    state.view.fit = false;
    state.settings.prescale = 0.5;
    state.settings_moved();
    room.until("it", |window| {
        window.state.input.as_ref().unwrap().rgb.width == 20
    });
    room.until_quiet();
    let view = &room.window().state.view;
    assert_eq!(
        (view.center, view.zoom, view.fit),
        ([60.0, 30.0], 6.0, false)
    );
    let region = room.window().state.region.unwrap();
    assert!(region.left + region.width <= 20, "{region:?}");
}
