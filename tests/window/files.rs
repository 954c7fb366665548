//! Opening, saving, queues, and what goes wrong with them.

use std::path::{Path, PathBuf};

use eframe::egui::{Key, Modifiers};
use egui_kittest::kittest::Queryable;
use minkds::app::{ItemState, Model, Phase, Remembered};
use minkds::image_io;
use minkds::model::ModelSource;

use crate::common::copy_folder;
use crate::room::{Room, picture, program, start};

#[test]
fn a_result_is_saved_and_its_command_line_makes_the_same_file() {
    let mut room = Room::new(&[("a photo.png", 30, 22)]);
    saved_as_made_without_a_window(&mut room, "a photo_x4.png");
}

#[test]
fn files_are_written_as_was_asked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("photo.jpg");
    std::fs::copy(crate::common::fixture("pictures/photo.jpg"), &path).unwrap();
    let names = |file: &std::path::Path| {
        let bytes = std::fs::read(file).unwrap();
        bytes.windows(11).any(|part| part == b"Ann Example")
    };
    assert!(names(&path));
    let mut start = start(vec![path]);
    start.flags.steps = Some(2);
    start.flags.particles = Some(2);
    let theme = eframe::egui::Theme::Dark;
    let mut room = Room::open(folder, start, Remembered::default(), 1.0, theme);
    room.until_quiet();
    // Opened they push what is below out of reach.
    let files = |room: &mut Room| {
        room.harness.get_by_label("Saved files").click();
        room.until_quiet();
    };
    let drawn = |room: &Room| room.window().state.live.steered.as_ref().unwrap().drawing;
    let before = drawn(&room);
    files(&mut room);
    room.slide("Size", 2.0);
    room.tick("Leave metadata out");
    room.tick("Quality");
    files(&mut room);
    assert_eq!(drawn(&room), before, "files alone are another size");
    let chosen = &mut room.window_mut().state.writing;
    assert_eq!((chosen.quality, chosen.strip_metadata), (Some(95), true));
    chosen.quality = Some(30);
    let saved = saved_as_made_without_a_window(&mut room, "photo_x4.jpg");
    assert!(!names(&saved));
    let width = |path: &std::path::Path| image_io::decode(path).unwrap().picture.width;
    assert_eq!(width(&saved), 2 * width(&room.path("photo.jpg")));
    let small = saved.metadata().unwrap().len();

    // An older choice may be taken back, also after a window; of what is lossless there is no quality.
    let kept = Remembered::from_text(&room.window().state.to_remember().to_text());
    let writing = &kept.writing;
    assert_eq!((writing.quality, writing.scale), (Some(30), Some(2.0)));
    files(&mut room);
    room.tick("Quality");
    room.tick("Leave metadata out");
    room.click("Save");
    room.until("saved again", |window| {
        let run = window.state.run_to_save().unwrap();
        run.saved.as_ref().is_some_and(|path| *path != saved)
    });
    let again = room.path("photo_x4_2.jpg");
    assert!(names(&again));
    let line = is_made_without_a_window(&mut room, &again);
    let is_told = |word: &str| line.contains(word);
    assert!(
        !is_told("--quality") && !is_told("--strip-metadata"),
        "{line}"
    );
    let large = again.metadata().unwrap().len();
    // Most of a small file are its profile and metadata.
    assert!(large > small * 3 / 2, "{small} bytes, {large} bytes");
    drop(room);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("photo.png");
    picture(20, 20).save(&path).unwrap();
    let mut start = crate::room::start(vec![path]);
    start.flags.steps = Some(2);
    start.flags.particles = Some(2);
    let mut room = Room::open(folder, start, kept, 1.0, theme);
    let saved = saved_as_made_without_a_window(&mut room, "photo_x4.png");
    assert_eq!(width(&saved), 40);
}

/// Its file is mixed and sized already: it is shown as it is, and saved again as it is.
#[test]
fn a_result_of_the_queue_is_what_its_file_is() {
    let mut room = Room::with(&[("a.png", 20, 16), ("b.png", 16, 20)], |start| {
        start.flags.steps = Some(2);
        start.flags.particles = Some(2);
        start.flags.strength = Some(0.5);
        start.writing.scale = Some(3.0);
    });
    room.until_quiet();
    room.click("Start");
    room.until("the end", |window| {
        !window.state.queue.is_running() && window.state.queue.waiting() == 0
    });
    room.click("b.png");
    room.until("its result", |window| window.state.whole.steered.is_some());
    room.until_quiet();
    let state = &room.window().state;
    let shown = state.whole.steered.as_ref().unwrap();
    assert_eq!(shown.picture.size(), [64, 80]);
    assert_eq!((state.settings.strength, state.settings.scale), (0.5, 4.0));
    let seen = state.layers(minkds::app::Pane::Kds);
    assert_eq!(seen.last().unwrap().strength, 1.0, "it was mixed already");

    let id = state.run_to_save().unwrap().id;
    room.window_mut().state.save(id);
    let again = room.path("b_x4_2.png");
    room.until("saved again", |window| {
        let run = window.state.run_to_save().unwrap();
        run.saved.as_ref() == Some(&again)
    });
    let first = room.path("b_x4.png");
    assert_eq!(image_io::peek(&first), Some((48, 60)));
    let values = |path| image_io::decode(path).unwrap().picture.rgb;
    let told = |path| image_io::provenance(path).unwrap();
    assert!(values(&first) == values(&again));
    assert_eq!(told(&first), told(&again));
    let line = room.window().state.run_to_save().unwrap().clone();
    let line = room.window().state.command_line(&line).unwrap();
    assert!(line.contains("--scale 3 --strength 0.5"), "{line}");
}

#[test]
fn a_picture_is_reduced_first_and_whole_again() {
    let mut room = Room::new(&[("photo.png", 41, 30)]);
    room.until_quiet();
    let whole = room.window().state.history.selected.unwrap();
    let reduce = |room: &mut Room, to: f64| {
        room.harness.get_by_label("More settings").click();
        room.until_quiet();
        room.slide("Reduce first", to);
        room.until_quiet();
        room.harness.get_by_label("More settings").click();
        room.until_quiet();
    };
    let size = |room: &Room| {
        let rgb = &room.window().state.input.as_ref().unwrap().rgb;
        [rgb.width, rgb.height]
    };
    reduce(&mut room, 0.5);
    assert_eq!(size(&room), [21, 15]);
    assert!(room.window().state.live.steered.is_some());
    let saved = saved_as_made_without_a_window(&mut room, "photo_x4.png");
    assert_eq!(image_io::peek(&saved), Some((82, 60)));

    room.window_mut().state.select(whole);
    room.until("the whole one", |window| {
        let input = window.state.input.as_ref();
        input.is_some_and(|input| input.rgb.width == 41)
    });
    room.until_quiet();
    assert_eq!(room.window().state.settings.prescale, 1.0);

    // What cannot be read again stays as it is.
    std::fs::remove_file(room.path("photo.png")).unwrap();
    reduce(&mut room, 0.25);
    let state = &room.window().state;
    assert!(
        room.last_word().contains("photo.png"),
        "{}",
        room.last_word()
    );
    assert_eq!((size(&room), state.settings.prescale), ([41, 30], 1.0));
}

/// The runs of a window lie in files of their own, which keep it, too.
#[test]
fn a_result_has_its_inputs_profile_and_metadata_whatever_way_it_is_made() {
    for name in ["p3.png", "photo.jpg", "gray16.tif"] {
        let fixture = crate::common::fixture(&format!("pictures/{name}"));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::copy(&fixture, &path).unwrap();
        let mut start = start(vec![path]);
        start.flags.steps = Some(3);
        start.flags.particles = Some(3);
        let theme = eframe::egui::Theme::Dark;
        let mut room = Room::open(folder, start, Remembered::default(), 1.0, theme);
        let saved = saved_as_made_without_a_window(&mut room, &name.replace('.', "_x4."));
        let before = image_io::decode(&fixture).unwrap().picture;
        let after = image_io::decode(&saved).unwrap().picture;
        let kept = |origin: &image_io::Origin| {
            let mut origin = origin.clone();
            // Sizes in them changed, and they say how it was made.
            (origin.exif, origin.xmp) = (None, None);
            origin
        };
        assert_eq!(kept(&after.origin), kept(&before.origin), "{name}");
        let had = |origin: &image_io::Origin| (origin.exif.is_some(), origin.xmp.is_some());
        let (was, is) = (had(&before.origin), had(&after.origin));
        assert!(is.0 >= was.0 && is.1 >= was.1, "{name}: {was:?} {is:?}");
        assert!(image_io::provenance(&saved).unwrap().is_some(), "{name}");
        assert_eq!(after.beyond.is_some(), before.beyond.is_some(), "{name}");
        assert_eq!(
            (after.depth, after.gray),
            (before.depth, before.gray),
            "{name}"
        );
    }
}

/// Draws, saves, and lets the command line that the window tells make the same: the saved file.
fn saved_as_made_without_a_window(room: &mut Room, name: &str) -> PathBuf {
    room.until_quiet();
    room.slide("gamma_0", 0.6);
    room.slide("Strength", 0.7);
    room.until_quiet();
    assert!(!room.is_enabled("Save"), "there is nothing to save yet");
    room.click("Enlarge picture");
    room.until_quiet();
    assert!(room.window().state.has_unsaved());
    room.click("Save");
    room.until("saved", |window| {
        !window.state.is_saving() && !window.state.has_unsaved()
    });
    let saved = room.path(name);
    assert!(saved.is_file(), "{}", room.last_word());
    is_made_without_a_window(room, &saved);
    saved
}

/// Lets the command line that the window tells make the file again that was `saved` last; returned is that line.
fn is_made_without_a_window(room: &mut Room, saved: &std::path::Path) -> String {
    let state = &room.window().state;
    let run = state.run_to_save().unwrap();
    let line = state.command_line(run).unwrap();
    let mut words = shlex::split(&line).unwrap();
    assert_eq!(words.remove(0), "minkds");
    let again = room
        .path("again")
        .with_extension(saved.extension().unwrap());
    let named = words.iter().position(|word| word == "-o").unwrap();
    words[named + 1] = again.display().to_string();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let ran = program(&words, &room.path("cache"));
    assert!(
        ran.status.success(),
        "{line}: {}",
        String::from_utf8_lossy(&ran.stderr)
    );
    let same = std::fs::read(saved).unwrap() == std::fs::read(&again).unwrap();
    assert!(same, "{}: {line} makes another file", saved.display());
    std::fs::remove_file(again).unwrap();
    line
}

#[test]
fn a_second_result_does_not_replace_the_first() {
    let mut room = Room::new(&[("photo.png", 20, 20)]);
    room.until_quiet();
    for _ in 0..2 {
        room.click("Enlarge picture");
        room.until_quiet();
        room.key(Modifiers::COMMAND, Key::S);
        room.until("saved", |window| {
            !window.state.is_saving() && !window.state.has_unsaved()
        });
        room.slide("gamma_0", 0.8);
    }
    assert!(room.path("photo_x4.png").is_file() && room.path("photo_x4_2.png").is_file());
}

#[test]
fn a_broken_file_is_explained_and_the_open_one_stays() {
    let mut room = Room::new(&[("photo.png", 20, 20)]);
    room.until_quiet();
    let broken = room.path("broken.png");
    std::fs::write(&broken, b"\x89PNG\r\n\x1a\n and nothing more").unwrap();
    room.window_mut().state.open_file(broken);
    room.until("an answer", |window| window.state.opening.is_none());
    assert!(
        room.last_word().contains("broken.png"),
        "{}",
        room.last_word()
    );
    assert!(room.window().state.notes.last().unwrap().is_error);
    assert_eq!(
        room.window().state.input.as_ref().unwrap().place.name(),
        "photo.png"
    );
}

#[test]
fn several_files_become_a_queue_that_one_bad_file_does_not_stop() {
    let mut room = Room::with(
        &[("a.png", 20, 16), ("b.png", 16, 20), ("c.png", 12, 12)],
        |start| {
            start.flags.steps = Some(2);
            start.flags.particles = Some(2);
        },
    );
    std::fs::write(room.path("b.png"), "no picture").unwrap();
    room.until_quiet();
    assert_eq!(room.window().state.queue.waiting(), 3);
    assert_eq!(
        room.window().state.input.as_ref().unwrap().place.name(),
        "a.png"
    );
    room.click("Start");
    room.until("the end", |window| {
        !window.state.queue.is_running() && window.state.queue.waiting() == 0
    });
    let states: Vec<bool> = (room.window().state.queue.items.iter())
        .map(|item| matches!(item.state, ItemState::Done(_)))
        .collect();
    assert_eq!(states, [true, false, true]);
    // A finished one is looked at beside its result.
    room.click("c.png");
    room.until("its result", |window| window.state.whole.steered.is_some());
    room.until_quiet();
    let state = &room.window().state;
    assert_eq!(state.input.as_ref().unwrap().place.name(), "c.png");
    assert_eq!(
        state.whole.steered.as_ref().unwrap().picture.size(),
        [48, 48]
    );
    assert!(!state.has_unsaved() && state.live.steered.is_none());
    assert!(room.path("a_x4.png").is_file() && room.path("c_x4.png").is_file());
    room.click("Clear");
    assert!(room.window().state.queue.items.is_empty());
}

#[test]
fn a_queue_is_held_goes_on_and_is_stopped() {
    let names = ["a.png", "b.png", "c.png", "d.png"].map(|name| (name, 40, 40));
    let mut room = Room::with(&names, |start| {
        start.flags.steps = Some(20);
        start.flags.particles = Some(4);
    });
    room.until("the model", |window| window.state.ready().is_some());
    room.click("Start");
    room.until("progress", |window| window.state.queue.part() > 0.0);
    room.click("Pause");
    // What was on its way when it was held may still come in.
    std::thread::sleep(std::time::Duration::from_millis(500));
    room.harness.run_steps(3);
    let part = room.window().state.queue.part();
    std::thread::sleep(std::time::Duration::from_millis(700));
    room.harness.run_steps(3);
    assert_eq!(room.window().state.queue.part(), part, "it went on");
    room.click("Go on");
    room.until("more", |window| window.state.queue.part() > part);
    room.click("Stop");
    room.until("the end", |window| !window.state.queue.is_running());
    assert!(room.window().state.queue.waiting() >= 2);
}

#[test]
fn unsaved_results_are_asked_about() {
    let mut room = Room::new(&[("photo.png", 20, 20)]);
    room.until_quiet();
    room.click("Enlarge picture");
    room.until_quiet();
    assert!(!room.window_mut().state.close(), "it would be lost");
    room.harness.run_steps(2);
    room.click("Stay");
    assert!(!room.window().state.asks_to_close && !room.window().state.may_close);
    assert!(!room.window_mut().state.close());
    room.harness.run_steps(2);
    room.click("Save all and close");
    room.until("closed", |window| window.state.may_close);
    assert!(room.path("photo_x4.png").is_file());
}

#[test]
fn a_model_that_cannot_be_loaded_leaves_a_way_out() {
    let mut room = Room::with(&[("photo.png", 20, 20)], |start| {
        start.setup.model = ModelSource::Folder("/nowhere/at/all".into());
        start.names_model = true;
    });
    room.until("the error", |window| {
        matches!(window.state.model, Model::Failed(_))
    });
    assert!(
        room.last_word().contains("/nowhere/at/all"),
        "{}",
        room.last_word()
    );
    room.click("Use the bundled model on the processor");
    room.until_quiet();
    assert!(
        room.window()
            .state
            .ready()
            .is_some_and(|ready| ready.is_bundled)
    );
    assert!(room.window().state.live.steered.is_some());
}

/// With what the model recommends, not with what the window had before it knew that.
#[test]
fn a_model_that_is_there_later_can_be_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model");
    let mut room = Room::with(&[("photo.png", 20, 20)], |start| {
        start.setup.model = ModelSource::Folder(model.clone());
        start.names_model = true;
    });
    room.until("the error", |window| {
        matches!(window.state.model, Model::Failed(_))
    });
    copy_folder(Path::new("assets/model"), &model);
    room.click("Try again");
    room.until_quiet();
    let state = &room.window().state;
    assert!(state.ready().is_some_and(|ready| !ready.is_bundled));
    assert_eq!(state.settings, state.recommended());
    assert_eq!(state.settings.steps, 5);
}

#[test]
fn another_window_remembers_settings_and_files() {
    let mut room = Room::with(&[("photo.png", 20, 20)], |_| ());
    room.until_quiet();
    room.slide("gamma_0", 0.85);
    room.click("Spread");
    room.until_quiet();
    let kept = Remembered::from_text(&room.window().state.to_remember().to_text());
    drop(room);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("next.png");
    picture(20, 20).save(&path).unwrap();
    let theme = eframe::egui::Theme::Light;
    let mut room = Room::open(folder, start(vec![path]), kept, 1.0, theme);
    room.until_quiet();
    let state = &room.window().state;
    assert_eq!(state.settings.gamma_0, 0.85);
    assert_eq!(state.mode, minkds::app::Mode::Spread);
    let names: Vec<_> = state
        .remembered
        .recent
        .iter()
        .filter_map(|path| path.file_name())
        .collect();
    assert_eq!(names, ["next.png", "photo.png"]);
}

#[test]
fn dropped_and_pasted_pictures_are_opened() {
    let mut room = Room::new(&[("photo.png", 20, 20)]);
    room.until_quiet();
    let image =
        eframe::egui::ColorImage::filled([18, 14], eframe::egui::Color32::from_rgb(90, 120, 30));
    room.harness
        .event(eframe::egui::Event::PasteImage(std::sync::Arc::new(image)));
    room.until("it", |window| {
        window
            .state
            .input
            .as_ref()
            .is_some_and(|input| input.place.path().is_none())
    });
    room.until_quiet();
    let input = room.window().state.input.clone().unwrap();
    assert_eq!((input.rgb.width, input.rgb.height), (18, 14));
    room.click("Enlarge picture");
    room.until_quiet();
    let state = &room.window().state;
    let line = state.command_line(state.run_to_save().unwrap());
    assert!(line.is_err(), "a pasted picture has no file: {line:?}");
    assert!(
        room.harness
            .query_by_label_contains("Picture pasted picture")
            .is_some()
    );

    let other = room.path("other.png");
    picture(16, 12).save(&other).unwrap();
    let dropped = std::sync::Arc::new(Dropped(other));
    room.harness.input_mut().dropped_files.push(dropped);
    room.until("it", |window| {
        let input = window.state.input.as_ref();
        input.is_some_and(|input| input.place.name() == "other.png")
    });
}

#[derive(Debug)]
struct Dropped(std::path::PathBuf);

impl eframe::egui::DroppedFile for Dropped {
    fn path(&self) -> &std::path::Path {
        &self.0
    }

    fn bytes(&self) -> Result<Vec<u8>, String> {
        Err("the path is enough".into())
    }
}

/// A queue that waits behind a whole picture can be given up before it has begun, and the picture goes on.
#[test]
fn a_queue_that_waits_is_stopped_too() {
    let mut room = Room::with(&[("a.png", 56, 56), ("b.png", 16, 16)], |start| {
        start.flags.steps = Some(200);
        start.flags.particles = Some(4);
    });
    room.until("the model", |window| window.state.ready().is_some());
    room.until("the picture", |window| window.state.input.is_some());
    room.click("Enlarge picture");
    room.until("the whole", |window| {
        matches!(window.state.whole.phase, Phase::Running { .. })
    });
    room.click("Start");
    // Escape means what is really running; what is only waiting is stopped by its own button.
    room.click("Stop");
    room.until("the end", |window| !window.state.whole.is_busy());
    assert!(room.window().state.queue.is_running());
    room.click("Stop");
    room.until("the end", |window| !window.state.queue.is_running());
    assert!(room.window().state.queue.waiting() > 0);
}

/// What is open over the window has Escape for itself, and nothing replaces a picture that is being drawn.
#[test]
fn a_whole_picture_is_not_lost_by_accident() {
    let mut room = Room::with(&[("photo.png", 56, 56)], |start| {
        start.flags.steps = Some(200);
        start.flags.particles = Some(4);
    });
    room.until("the model", |window| window.state.ready().is_some());
    room.until("the picture", |window| window.state.input.is_some());
    room.click("Enlarge picture");
    room.until("the whole", |window| {
        matches!(window.state.whole.phase, Phase::Running { .. })
    });
    room.key(Modifiers::NONE, Key::Questionmark);
    room.harness.run_steps(3);
    room.key(Modifiers::NONE, Key::Escape);
    room.harness.run_steps(3);
    assert!(
        room.window().state.whole.is_busy(),
        "Escape in the sheet of keys stopped it"
    );
    let other = room.path("other.png");
    picture(12, 12).save(&other).unwrap();
    room.window_mut().state.open_file(other);
    assert!(
        room.last_word().contains("being drawn"),
        "{}",
        room.last_word()
    );
    assert!(!room.window_mut().state.close(), "it would be lost");
    room.window_mut().state.asks_to_close = false;
    room.key(Modifiers::COMMAND, Key::Enter);
    assert!(room.window().state.whole.is_busy());
    room.harness.run_steps(3);
    room.key(Modifiers::NONE, Key::Escape);
    room.until("the end", |window| !window.state.whole.is_busy());
}

/// A run of another picture brings that picture back; its pixels were not kept in memory.
#[test]
fn a_run_of_another_picture_is_opened_again() {
    let mut room = Room::new(&[("photo.png", 24, 20)]);
    room.until_quiet();
    room.click("Enlarge picture");
    room.until_quiet();
    let first = room.window().state.run_to_save().unwrap().clone();
    let shown = room.window().state.whole.steered.clone().unwrap();
    let other = room.path("other.png");
    picture(16, 18).save(&other).unwrap();
    room.window_mut().state.open_file(other);
    room.until_quiet();
    assert_eq!(
        room.window().state.input.as_ref().unwrap().place.name(),
        "other.png"
    );
    let before = room.window().state.history.runs().len();
    room.window_mut().state.select(first.id);
    room.until("it", |window| {
        let input = window.state.input.as_ref();
        input.is_some_and(|input| input.place.name() == "photo.png")
            && window.state.whole.steered.is_some()
    });
    room.until_quiet();
    let state = &room.window().state;
    let again = state.whole.steered.as_ref().unwrap();
    assert_eq!(again.picture.pixels(), shown.picture.pixels());
    assert_eq!(
        state.history.runs().len(),
        before,
        "something was tried in its place"
    );
    assert_eq!(state.run_to_save().unwrap().id, first.id);
}
