//! The program in a folder of its own: words and files in, an exit code, messages and files out.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use image::{DynamicImage, RgbImage};
use tempfile::TempDir;

use crate::common::{copy_folder, fixture};

/// No run in these tests may take longer; all but a few take a fraction of a second.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long saying no may take, on a busy machine.
const PROMPTLY: Duration = Duration::from_secs(15);
/// With it results do not say how they were made.
pub const SILENT: &str = "MINKDS_NO_PROVENANCE";
/// Nobody listens there, so that no test can reach the internet.
const NOWHERE: &str = "http://127.0.0.1:1";

pub struct Run {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    pub took: Duration,
}

/// An empty folder where the program runs, removed in the end. Models by name are looked up in a
/// cache beside it.
pub struct Room(TempDir);

impl Room {
    pub fn new() -> Self {
        let room = Room(TempDir::new().expect("a temporary folder"));
        fs::create_dir(room.path("")).unwrap();
        // Whatever cards this machine has, these tests are about the processor.
        room.remember(r#"{"adapter": null, "floats": "f32"}"#, "[]");
        room
    }

    /// `name` in this room.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join("room").join(name)
    }

    /// The home of the cache for models by name.
    pub fn hub(&self) -> PathBuf {
        self.0.path().join("hub")
    }

    /// The user's cache folder.
    pub fn cache(&self) -> PathBuf {
        self.0.path().join("cache")
    }

    /// What the program remembers about devices.
    pub fn devices(&self) -> PathBuf {
        self.cache().join("minkds/devices.json")
    }

    /// Has the program remember `recommended` and `verdicts`, as JSON.
    pub fn remember(&self, recommended: &str, verdicts: &str) {
        let version = env!("CARGO_PKG_VERSION");
        let text = format!(
            r#"{{"format": 1, "version": "{version}", "compiler": "wgsl", "verdicts": {verdicts}, "recommended": {recommended}}}"#
        );
        fs::create_dir_all(self.devices().parent().unwrap()).unwrap();
        fs::write(self.devices(), text).unwrap();
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).expect(name);
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    /// A colourful picture with soft and hard edges; its ending chooses the format.
    pub fn picture(&self, name: &str, width: u32, height: u32) {
        let picture = RgbImage::from_fn(width, height, |x, y| {
            let wave = |step: u32| (40 + (x * step + y * (step / 2)) % 176) as u8;
            image::Rgb([wave(14), wave(22), if x * 2 > width { 200 } else { 60 }])
        });
        picture.save(self.path(name)).expect(name);
    }

    /// A copy of the fixture picture `name`.
    pub fn fixture_picture(&self, name: &str) {
        self.write(name, fs::read(fixture("images").join(name)).expect(name));
    }

    /// A copy of the fixture model `name`, as the folder `model`.
    pub fn model(&self, name: &str) {
        copy_folder(&fixture("models").join(name), &self.path("model"));
    }

    /// The picture `name`, whatever its ending says.
    pub fn decoded(&self, name: &str) -> DynamicImage {
        image::load_from_memory(&self.read(name)).expect(name)
    }

    pub fn size(&self, name: &str) -> (u32, u32) {
        let picture = self.decoded(name);
        (picture.width(), picture.height())
    }

    /// Everything in the room and below but journals: a folder ends in `/`, a link in `@`.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        list(&self.path(""), "", &mut files);
        files
    }

    pub fn names(&self) -> Vec<String> {
        self.files().into_keys().collect()
    }

    pub fn names_in(&self, folder: &str) -> Vec<String> {
        let mut files = BTreeMap::new();
        list(&self.path(folder), "", &mut files);
        files.into_keys().collect()
    }

    /// The program with `words`, split at spaces, see [`arguments`].
    pub fn command(&self, words: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_minkds"));
        command.args(arguments(words));
        self.prepare(&mut command);
        command
    }

    /// The same under what the shell's words `limits` do first.
    #[cfg(unix)]
    pub fn command_under(&self, limits: &str, words: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{limits}\nexec \"$0\" \"$@\"")]);
        command
            .arg(env!("CARGO_BIN_EXE_minkds"))
            .args(arguments(words));
        self.prepare(&mut command);
        command
    }

    fn prepare(&self, command: &mut Command) {
        command
            .current_dir(self.path(""))
            .env("HF_HOME", self.hub())
            .env("XDG_CACHE_HOME", self.cache())
            .env("HF_ENDPOINT", NOWHERE)
            // Tests compare bytes of runs that differ in words only.
            .env(SILENT, "true")
            .env_remove("HF_HUB_OFFLINE")
            // No test here may open a window.
            .env_remove("DISPLAY")
            .env_remove("WAYLAND_DISPLAY")
            .env_remove("WAYLAND_SOCKET")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        #[cfg(unix)]
        heed_signals(command);
        for proxy in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
            command.env_remove(proxy).env_remove(proxy.to_lowercase());
        }
    }

    pub fn run(&self, words: &str) -> Run {
        finish(self.command(words).spawn().expect("the program starts"))
    }

    /// A run that does all its work.
    #[track_caller]
    pub fn succeeds(&self, words: &str) -> Run {
        let run = self.run(words);
        assert_eq!(run.code, Some(0), "{words}: {}", run.stderr);
        run
    }

    /// The bytes that `words` make of `a.png`.
    #[track_caller]
    pub fn enlarged(&self, words: &str) -> Vec<u8> {
        self.succeeds(&format!("a.png -o result.png {words}"));
        self.read("result.png")
    }

    /// A run that ends in `code` and one message with all of `says`, and leaves nothing behind.
    #[track_caller]
    pub fn refuses(&self, words: &str, code: i32, says: &[&str]) {
        self.refuses_as(self.command(words), words, code, says);
    }

    /// The same for a `command` made beforehand; `what` names it in a failure.
    #[track_caller]
    pub fn refuses_as(&self, mut command: Command, what: &str, code: i32, says: &[&str]) {
        let before = self.files();
        let run = finish_within(PROMPTLY, command.spawn().expect("the program starts"));
        let text = format!("{what}: exit code {:?}, said {:?}", run.code, run.stderr);
        assert_eq!(run.code, Some(code), "{text}");
        assert_eq!(run.stdout, "", "{text}");
        // clap's messages end with a hint where to find help.
        let usage = run.stderr.starts_with("error: ") && code == 2;
        let one_line = run.stderr.starts_with("minkds: ")
            && run.stderr.ends_with('\n')
            && run.stderr.lines().count() == 1;
        assert!(usage || one_line, "{text}");
        for word in says {
            assert!(run.stderr.contains(word), "{word:?} is missing in {text}");
        }
        for word in ["panic", "internal error", "RUST_BACKTRACE"] {
            assert!(!run.stderr.contains(word), "{text}");
        }
        let after = self.files();
        assert!(
            before.keys().eq(after.keys()),
            "{:?} after {text}",
            after.keys()
        );
        assert!(before == after, "a file has changed after {text}");
    }
}

/// The program hears hang-ups and Ctrl-C, even if these tests were started to ignore them.
#[cfg(unix)]
fn heed_signals(command: &mut Command) {
    use std::os::unix::process::CommandExt;
    unsafe extern "C" {
        fn signal(number: i32, action: usize) -> usize;
    }
    const SIGHUP: i32 = 1;
    const SIGINT: i32 = 2;
    const DEFAULT: usize = 0;
    let reset = || {
        for number in [SIGHUP, SIGINT] {
            // SAFETY: POSIX allows it here, and no handler of this process is concerned.
            unsafe { signal(number, DEFAULT) };
        }
        Ok(())
    };
    // SAFETY: nothing but `signal` happens between fork and exec.
    unsafe { command.pre_exec(reset) };
}

/// `words` as arguments: `MODEL` is the path of a small random model, `TINY` stands for a fast run
/// of it without the check that such a model cannot pass, `TINY_VQ` for one of another sort,
/// `TINY_TOLD` for one that knows of clean pictures.
fn arguments(words: &str) -> Vec<String> {
    let model = |name: &str| {
        fixture("models")
            .join(name)
            .to_str()
            .expect("UTF-8")
            .to_string()
    };
    let fast = |name| {
        let words = ["--no-gui", "--no-check", "--steps", "2", "--model"];
        let mut words: Vec<_> = words.map(String::from).into();
        words.push(model(name));
        words
    };
    words
        .split_whitespace()
        .flat_map(|word| match word {
            "MODEL" => vec![model("kl-like-bundled")],
            "TINY" => fast("kl-like-bundled"),
            "TINY_VQ" => fast("ldm-like"),
            "TINY_TOLD" => fast("scale-shift"),
            "EMPTY" => vec![String::new()],
            word => vec![word.to_string()],
        })
        .collect()
}

/// Waits for the program's end.
#[track_caller]
pub fn finish(child: Child) -> Run {
    finish_within(PATIENCE, child)
}

#[track_caller]
fn finish_within(patience: Duration, mut child: Child) -> Run {
    let start = Instant::now();
    while child.try_wait().expect("a child").is_none() {
        if start.elapsed() > patience {
            child.kill().expect("a child");
            let output = child.wait_with_output().expect("a child");
            let said = String::from_utf8_lossy(&output.stderr);
            panic!("still running after {patience:?}, said {said:?}");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let took = start.elapsed();
    let output = child.wait_with_output().expect("a child");
    Run {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into(),
        stderr: String::from_utf8_lossy(&output.stderr).into(),
        took,
    }
}

fn list(folder: &Path, prefix: &str, files: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.unwrap().path();
        let name = format!("{prefix}{}", path.file_name().unwrap().display());
        // Batches keep their journals beside the results; `tests/batch.rs` is about those.
        if name.contains(".minkds-journal-") {
            continue;
        }
        let kind = path.symlink_metadata().unwrap();
        if kind.is_symlink() {
            let target = fs::read_link(&path).unwrap().display().to_string();
            files.insert(format!("{name}@"), target.into());
        } else if kind.is_dir() {
            list(&path, &format!("{name}/"), files);
            files.insert(format!("{name}/"), Vec::new());
        } else if kind.is_file() {
            files.insert(name, fs::read(&path).unwrap_or_default());
        } else {
            files.insert(name, Vec::new());
        }
    }
}
