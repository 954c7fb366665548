//! A window without a screen, in a folder of its own.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use eframe::egui;
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT, Queryable};
use minkds::app::{Remembered, Setup, Start, Window};
use minkds::device::{DeviceChoice, Precision};
use minkds::model::ModelSource;
use tempfile::TempDir;

/// Nothing in these tests may take longer, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Graphics drivers do not like many instances at a time, and networks want the whole processor.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// The window, once its first frame has made it.
pub struct Shell {
    start: Option<(Start, Remembered, PathBuf)>,
    pub window: Option<Window>,
}

impl Shell {
    fn frame(&mut self, ui: &mut egui::Ui) {
        if let Some((start, remembered, cache)) = self.start.take() {
            let window = Window::new(ui.ctx(), start, remembered, &cache);
            self.window = Some(window.expect("the window opens"));
        }
        let window = self.window.as_mut().expect("a window");
        window.listen(ui.ctx());
        window.show(ui);
    }
}

pub struct Room {
    pub harness: Harness<'static, Shell>,
    folder: TempDir,
    _lock: MutexGuard<'static, ()>,
}

/// What a window begins with here: the bundled model on the processor.
pub fn start(inputs: Vec<PathBuf>) -> Start {
    Start {
        inputs,
        setup: Setup {
            model: ModelSource::Bundled,
            device: DeviceChoice::Cpu,
            precision: Precision::F32,
            memory_limit: None,
        },
        ..Start::default()
    }
}

impl Room {
    /// A window with `inputs`, small pictures that are made here, and settings that draw quickly.
    pub fn new(inputs: &[(&str, u32, u32)]) -> Self {
        Self::with(inputs, |start| {
            start.flags.steps = Some(3);
            start.flags.particles = Some(3);
        })
    }

    pub fn with(inputs: &[(&str, u32, u32)], change: impl FnOnce(&mut Start)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let paths = inputs.iter().map(|(name, width, height)| {
            let path = folder.path().join(name);
            picture(*width, *height).save(&path).unwrap();
            path
        });
        let mut start = start(paths.collect());
        change(&mut start);
        Self::open(folder, start, Remembered::default(), 1.0, egui::Theme::Dark)
    }

    pub fn open(
        folder: TempDir,
        start: Start,
        remembered: Remembered,
        pixels_per_point: f32,
        theme: egui::Theme,
    ) -> Self {
        let lock = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let shell = Shell {
            start: Some((start, remembered, folder.path().join("cache"))),
            window: None,
        };
        let harness = Harness::builder()
            .with_size([1200.0, 760.0])
            .with_pixels_per_point(pixels_per_point)
            .with_theme(theme)
            .with_step_dt(1.0 / 60.0)
            .build_ui_state(|ui, shell: &mut Shell| shell.frame(ui), shell);
        Room {
            harness,
            folder,
            _lock: lock,
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn window(&self) -> &Window {
        self.harness.state().window.as_ref().expect("a window")
    }

    pub fn window_mut(&mut self) -> &mut Window {
        self.harness.state_mut().window.as_mut().expect("a window")
    }

    /// Frames until `done`.
    pub fn until(&mut self, what: &str, mut done: impl FnMut(&Window) -> bool) {
        let start = Instant::now();
        loop {
            self.harness.step();
            if done(self.window()) {
                return;
            }
            let state = &self.window().state;
            assert!(
                start.elapsed() < PATIENCE,
                "{what} did not happen; {:?}",
                state.notes
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Until nothing is computed, opened or on its way to the screen any more.
    pub fn until_quiet(&mut self) {
        let mut calm = 0;
        self.until("quiet", |window| {
            let state = &window.state;
            let is_calm = state.opening.is_none()
                && state.ready().is_some()
                && state.has_rested()
                && !state.is_busy()
                && window.pending_tiles() == 0;
            calm = if is_calm { calm + 1 } else { 0 };
            calm > 5
        });
    }

    /// A button, by its name.
    pub fn click(&mut self, name: &str) {
        self.hit(egui::accesskit::Role::Button, name);
    }

    /// A box to tick, by its name.
    pub fn tick(&mut self, name: &str) {
        self.hit(egui::accesskit::Role::CheckBox, name);
    }

    fn hit(&mut self, role: egui::accesskit::Role, name: &str) {
        // A panel takes a frame to become as large as what has just appeared in it.
        self.harness.run_steps(2);
        self.harness.get_by_role_and_label(role, name).click();
        self.harness.run_steps(2);
    }

    pub fn key(&mut self, modifiers: egui::Modifiers, key: egui::Key) {
        self.harness.key_press_modifiers(modifiers, key);
        self.harness.run_steps(2);
    }

    /// A press and a release of the pointer.
    pub fn press(&mut self, pos: egui::Pos2) {
        for pressed in [true, false] {
            self.harness.event(egui::Event::PointerButton {
                pos,
                button: egui::PointerButton::Primary,
                pressed,
                modifiers: egui::Modifiers::NONE,
            });
            self.harness.step();
        }
    }

    /// A slider, by its name.
    pub fn slide(&mut self, name: &str, value: f64) {
        let role = egui::accesskit::Role::Slider;
        self.harness
            .get_by_role_and_label(role, name)
            .set_value_accesskit(value);
        self.harness.step();
    }

    /// Whether a button can be pressed.
    pub fn is_enabled(&self, name: &str) -> bool {
        !self
            .harness
            .get_by_label(name)
            .accesskit_node()
            .is_disabled()
    }

    /// The last thing the person was told.
    pub fn last_word(&self) -> String {
        self.window()
            .state
            .notes
            .last()
            .map_or(String::new(), |note| note.text.clone())
    }
}

/// Something of everything: a gradient, an edge, fine lines.
pub fn picture(width: u32, height: u32) -> image::RgbImage {
    image::RgbImage::from_fn(width, height, |x, y| {
        let wave = |period: f32| ((x + 2 * y) as f32 / period).sin() * 60.0 + 128.0;
        let edge = if x * 2 > width { 40.0 } else { 0.0 };
        image::Rgb(
            [
                wave(3.0) + edge,
                wave(7.0),
                (y * 200 / height.max(1)) as f32,
            ]
            .map(|v| v as u8),
        )
    })
}

/// The program itself, without a window.
pub fn program(words: &[&str], cache: &Path) -> std::process::Output {
    std::process::Command::new(env!("CARGO_BIN_EXE_minkds"))
        .args(words)
        .env("XDG_CACHE_HOME", cache)
        .output()
        .expect("the program runs")
}
