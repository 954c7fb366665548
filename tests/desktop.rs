//! The real program in a real window on a virtual screen (Xvfb), driven by key presses (xdotool). Where one of
//! the two is missing this says so; with `MINKDS_REQUIRE_DISPLAY=1` it fails.
#![cfg(target_os = "linux")]

mod common;

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(120);

/// A process that does not outlive its test.
struct Owned(Child);

impl Drop for Owned {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Owned {
    /// Its exit code and what it said, if it has ended.
    fn end(&mut self) -> Option<(Option<i32>, String)> {
        let status = self.0.try_wait().expect("its state")?;
        let mut text = String::new();
        if let Some(mut stderr) = self.0.stderr.take() {
            let _ = stderr.read_to_string(&mut text);
        }
        Some((status.code(), text))
    }

    /// Fails with what it said if it has ended, instead of waiting for what never comes.
    fn must_run(&mut self) {
        if let Some((code, text)) = self.end() {
            panic!("the program ended with {code:?}: {text}");
        }
    }
}

struct Screen {
    display: String,
    _server: Owned,
}

impl Screen {
    fn open() -> Option<Self> {
        let has = |tool: &str| {
            let found = Command::new("sh")
                .args(["-c", &format!("command -v {tool}")])
                .output();
            found.is_ok_and(|found| found.status.success())
        };
        if !has("Xvfb") || !has("xdotool") {
            let required = std::env::var("MINKDS_REQUIRE_DISPLAY").is_ok_and(|value| value == "1");
            assert!(
                !required,
                "MINKDS_REQUIRE_DISPLAY=1, and Xvfb or xdotool is missing"
            );
            common::skipped("Xvfb or xdotool is missing, so no window was opened");
            return None;
        }
        let mut server = Command::new("Xvfb")
            .args([
                "-displayfd",
                "1",
                "-screen",
                "0",
                "1400x900x24",
                "-nolisten",
                "tcp",
                // Or it begins anew whenever its last client has gone, and turns away who comes just then.
                "-noreset",
            ])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Xvfb starts");
        let mut number = String::new();
        let output = server.stdout.take().expect("its output");
        let server = Owned(server);
        BufReader::new(output)
            .read_line(&mut number)
            .expect("the display's number");
        Some(Screen {
            display: format!(":{}", number.trim()),
            _server: server,
        })
    }

    fn xdotool(&self, words: &[&str]) -> Option<String> {
        let output = Command::new("xdotool")
            .args(words)
            .env("DISPLAY", &self.display)
            .output()
            .ok()?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_string();
        output.status.success().then_some(text)
    }

    /// The program's window whose title holds `words`, once there is one.
    fn window(&self, program: &mut Owned, words: &str) -> String {
        let start = Instant::now();
        loop {
            let found = self.xdotool(&["search", "--onlyvisible", "--name", words]);
            if let Some(window) = found.and_then(|found| found.lines().last().map(str::to_string)) {
                return window;
            }
            program.must_run();
            assert!(start.elapsed() < PATIENCE, "no window is called {words:?}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn press(&self, window: &str, key: &str) {
        self.xdotool(&["windowfocus", window]);
        assert!(
            self.xdotool(&["key", "--window", window, key]).is_some(),
            "{key} was not pressed"
        );
    }
}

fn program(screen: &Screen, folder: &Path, words: &[&str]) -> Owned {
    let child = Command::new(env!("CARGO_BIN_EXE_minkds"))
        .args(words)
        .current_dir(folder)
        .env("DISPLAY", &screen.display)
        .env_remove("WAYLAND_DISPLAY")
        .env("XDG_CACHE_HOME", folder.join("cache"))
        .env("XDG_DATA_HOME", folder.join("data"))
        .env("XDG_RUNTIME_DIR", folder)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    Owned(child.expect("the program starts"))
}

fn end_of(mut program: Owned) -> (Option<i32>, String) {
    let start = Instant::now();
    loop {
        if let Some(end) = program.end() {
            return end;
        }
        assert!(start.elapsed() < PATIENCE, "the window does not close");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_picture_is_opened_enlarged_saved_and_the_window_closed() {
    let Some(screen) = Screen::open() else { return };
    let folder = tempfile::tempdir().unwrap();
    let photo = image::RgbImage::from_fn(48, 40, |x, y| {
        image::Rgb([(x * 5) as u8, (y * 6) as u8, ((x + y) % 16 * 15) as u8])
    });
    photo.save(folder.path().join("photo.png")).unwrap();
    let words = [
        "photo.png",
        "--device",
        "cpu",
        "--steps",
        "2",
        "--particles",
        "2",
    ];
    let mut program = program(&screen, folder.path(), &words);
    let window = screen.window(&mut program, "^photo.png");
    screen.press(&window, "2");
    // Until the model is there, nothing happens when this is pressed.
    let start = Instant::now();
    while screen
        .xdotool(&["search", "--name", "photo.png, enlarged"])
        .is_none_or(|w| w.is_empty())
    {
        program.must_run();
        assert!(start.elapsed() < PATIENCE, "it is never enlarged");
        if screen
            .xdotool(&["search", "--name", "^photo.png - "])
            .is_some_and(|w| !w.is_empty())
        {
            screen.press(&window, "ctrl+Return");
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    screen.press(&window, "ctrl+s");
    screen.window(&mut program, "photo.png, saved");
    let result = image::open(folder.path().join("photo_x4.png")).expect("the result");
    assert_eq!((result.width(), result.height()), (192, 160));
    screen.press(&window, "ctrl+q");
    let (code, text) = end_of(program);
    assert_eq!(code, Some(0), "{text}");
    // What was kept for the history is gone with the window.
    let left = std::fs::read_dir(folder.path().join("cache/minkds/runs"))
        .unwrap()
        .count();
    assert_eq!(left, 0);
}

#[test]
fn without_a_display_one_sentence_names_no_gui() {
    let output = Command::new(env!("CARGO_BIN_EXE_minkds"))
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY")
        .env_remove("WAYLAND_SOCKET")
        .output()
        .expect("the program runs");
    let text = String::from_utf8_lossy(&output.stderr).to_string();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(
        text.starts_with("minkds: no window can be opened"),
        "{text}"
    );
    assert!(
        text.contains("--no-gui") && !text.contains(".cargo"),
        "{text}"
    );
}
