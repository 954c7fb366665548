//! Pictures, configs, weights and what the program remembers are untrusted: whatever is in such a file, it
//! is read or refused, without a panic and without asking for memory that a short file cannot justify.
//!
//! Real files, damaged at random and shrunk to the smallest damage that fails. `MINKDS_FUZZ_CASES` says
//! how many of each kind; every run draws others.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{copy_folder, fixture};
use minkds::device::Target;
use minkds::image_io;
use minkds::model::{Model, ModelSource, Weights, cost};
use minkds::pipeline::Latents;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use serde_json::Value;

/// Bytes that reading a picture of at most [`image_io::MAX_PIXELS`] may ask for at once.
const MOST_FOR_A_PICTURE: usize = 5 << 30;
/// The tiny models and their latents are far smaller than this.
const MOST_FOR_A_MODEL: usize = 128 << 20;

/// Remembers the largest request for memory.
struct Watched;

static LARGEST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        LARGEST.fetch_max(size, Ordering::Relaxed);
        unsafe { System.realloc(old, layout, size) }
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        unsafe { System.dealloc(old, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Watched = Watched;

/// One piece of damage; places are parts of the file's length.
#[derive(Clone, Debug)]
enum Damage {
    Cut(f64),
    Byte(f64, u8),
    Number(f64, u64, usize),
    Insert(f64, Vec<u8>),
    Remove(f64, usize),
    Repeat(f64, usize, f64),
}

fn damage() -> impl Strategy<Value = Vec<Damage>> {
    // Headers are where it hurts.
    let place = || prop_oneof![0.0..0.05f64, 0.0..1.0f64];
    let telling = prop::sample::select(vec![
        0u64,
        1,
        0x7F,
        0xFF,
        0x7FFF,
        0xFFFF,
        0x7FFF_FFFF,
        0xFFFF_FFFF,
        u64::MAX / 2,
        u64::MAX,
    ]);
    let one = prop_oneof![
        place().prop_map(Damage::Cut),
        (place(), any::<u8>()).prop_map(|(at, byte)| Damage::Byte(at, byte)),
        (place(), telling, prop::sample::select(vec![2usize, 4, 8]))
            .prop_map(|(at, number, width)| Damage::Number(at, number, width)),
        (place(), prop::collection::vec(any::<u8>(), 1..40))
            .prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        (place(), 1usize..60).prop_map(|(at, count)| Damage::Remove(at, count)),
        (place(), 1usize..200, place())
            .prop_map(|(from, count, to)| Damage::Repeat(from, count, to)),
    ];
    prop::collection::vec(one, 1..5)
}

fn damaged(mut bytes: Vec<u8>, damages: &[Damage]) -> Vec<u8> {
    for damage in damages {
        let at = |part: f64| (part * bytes.len() as f64) as usize;
        match damage {
            Damage::Cut(part) => bytes.truncate(at(*part)),
            Damage::Byte(part, byte) => {
                let at = at(*part);
                if let Some(old) = bytes.get_mut(at) {
                    *old = *byte;
                }
            }
            Damage::Number(part, number, width) => {
                let at = at(*part);
                for order in [number.to_le_bytes(), number.to_be_bytes()] {
                    let part = if order == number.to_le_bytes() {
                        &order[..*width]
                    } else {
                        &order[8 - width..]
                    };
                    if let Some(target) = bytes.get_mut(at..at + width) {
                        target.copy_from_slice(part);
                    }
                }
            }
            Damage::Insert(part, new) => {
                let at = at(*part);
                bytes.splice(at..at, new.iter().copied());
            }
            Damage::Remove(part, count) => {
                let at = at(*part);
                bytes.drain(at..(at + count).min(bytes.len()));
            }
            Damage::Repeat(from, count, to) => {
                let (from, to) = (at(*from), at(*to));
                let piece = bytes[from..(from + count).min(bytes.len())].to_vec();
                bytes.splice(to..to, piece);
            }
        }
    }
    bytes
}

/// Runs `claim` on damaged forms of `files`.
fn for_damaged(files: &[PathBuf], most: usize, mut claim: impl FnMut(&Path, &[u8])) {
    assert!(!files.is_empty());
    let cases = std::env::var("MINKDS_FUZZ_CASES")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(150);
    let mut runner = TestRunner::new(Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    });
    let strategy = (prop::sample::select(files.to_vec()), damage());
    let claim = std::cell::RefCell::new(&mut claim);
    let outcome = runner.run(&strategy, |(path, damages)| {
        let bytes = damaged(std::fs::read(&path).unwrap(), &damages);
        LARGEST.store(0, Ordering::Relaxed);
        claim.borrow_mut()(&path, &bytes);
        let asked = LARGEST.load(Ordering::Relaxed);
        if asked > most {
            return Err(TestCaseError::fail(format!(
                "asked for {asked} bytes at once"
            )));
        }
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

fn files_in(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file() && path.to_str().unwrap().ends_with(ending))
        .collect();
    files.sort();
    files
}

// One test: the largest request for memory belongs to the whole process.
#[test]
fn whatever_a_file_holds_it_is_read_or_refused() {
    pictures();
    configs();
    config_values();
    weights();
    a_view_that_repeats_its_storage();
    latents();
}

fn pictures() {
    use image_io::{Existing, Format};
    let folder = tempfile::tempdir().unwrap();
    let written = folder.path().join("written");
    let mut files = files_in(&fixture("images"), "");
    // Twice as often: profiles and metadata are most of them.
    for _ in 0..2 {
        files.extend(files_in(&fixture("pictures"), ""));
    }
    for_damaged(&files, MOST_FOR_A_PICTURE, |path, bytes| {
        let target = folder.path().join(path.file_name().unwrap());
        std::fs::write(&target, bytes).unwrap();
        let _ = image_io::provenance(&target);
        let Ok(decoded) = image_io::decode(&target) else {
            return;
        };
        let picture = decoded.picture;
        assert_eq!(picture.rgb.len(), 3 * picture.width * picture.height);
        assert!(picture.rgb.iter().all(|v| (0.0..=1.0).contains(v)));
        assert!(picture.beyond.iter().flatten().all(|v| v.is_finite()));
        if picture.rgb.len() > 1 << 16 {
            return;
        }
        // Whatever was kept can be written, and what was written can be read.
        for format in [Format::Png, Format::Jpeg, Format::WebP, Format::Tiff] {
            let saving = image_io::Saving {
                provenance: Some("made".into()),
                ..Existing::Overwrite.into()
            };
            image_io::encode(&picture, &written, format, &saving).unwrap();
            let again = image_io::decode(&written).unwrap();
            assert_eq!(again.picture.width, picture.width, "{format}");
            let made = image_io::provenance(&written).unwrap();
            assert_eq!(made.as_deref(), Some("made"), "{format}");
        }
    });
}

const PARTS: [&str; 4] = [
    "model_index.json",
    "scheduler/scheduler_config.json",
    "unet/config.json",
    "vqvae/config.json",
];

/// A copy of a tiny model.
fn model(name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy_folder(&fixture(&format!("models/{name}")), folder.path());
    let bundled = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/model/minkds.json");
    std::fs::copy(bundled, folder.path().join("minkds.json")).unwrap();
    folder
}

fn load(folder: &Path) {
    let source = ModelSource::Folder(folder.to_path_buf());
    if let Ok(model) = Model::load(&source, &Target::cpu(), &mut |_, _, _| Ok(())) {
        // What is loaded can be planned for.
        let unet = cost::unet(model.unet().config(), 64, 64);
        let decoder = cost::decoder(model.vqvae().config(), 64, 64);
        assert!(unet.flops > 0.0 && decoder.peak_bytes.is_finite());
    }
}

fn configs() {
    let folder = model("kl-like-bundled");
    let mut files = PARTS.map(|part| folder.path().join(part)).to_vec();
    files.push(folder.path().join("minkds.json"));
    for_damaged(&files, MOST_FOR_A_MODEL, |path, bytes| {
        let whole = std::fs::read(path).unwrap();
        std::fs::write(path, bytes).unwrap();
        load(folder.path());
        std::fs::write(path, whole).unwrap();
    });
}

/// One value of a config replaced by one that a config should not have.
fn config_values() {
    let mut strange = [
        "null",
        "true",
        "\"\"",
        "\"Conv\"",
        "0",
        "1",
        "-1",
        "3",
        "0.5",
        "1e300",
        "2147483648",
        "18446744073709551615",
        "[]",
        "[[]]",
        "{}",
        "[0]",
        "[1, 2, 3]",
        "[1e9, 1e9, 1e9]",
    ]
    .map(|text| serde_json::from_str::<Value>(text).unwrap())
    .to_vec();
    strange.push(Value::from(vec![4; 70]));
    strange.push(Value::from(vec![u32::MAX; 3]));
    strange.push(Value::from("x".repeat(10_000)));
    for name in ["kl-like-bundled", "ldm-like", "scale-shift"] {
        let folder = model(name);
        for part in PARTS.iter().chain(&["minkds.json"]) {
            let path = folder.path().join(part);
            let whole = std::fs::read(&path).unwrap();
            let config: serde_json::Map<String, Value> = serde_json::from_slice(&whole).unwrap();
            for key in config.keys() {
                for value in &strange {
                    let mut config = config.clone();
                    config.insert(key.clone(), value.clone());
                    std::fs::write(&path, serde_json::to_vec(&config).unwrap()).unwrap();
                    LARGEST.store(0, Ordering::Relaxed);
                    load(folder.path());
                    let asked = LARGEST.load(Ordering::Relaxed);
                    assert!(
                        asked <= MOST_FOR_A_MODEL,
                        "{name}/{part}: {key} {value} asks for {asked}"
                    );
                }
            }
            std::fs::write(&path, whole).unwrap();
        }
    }
}

fn weights() {
    let mut files = Vec::new();
    for name in ["half-bin", "old-names", "lookup"] {
        for part in ["unet", "vqvae"] {
            let folder = fixture(&format!("models/{name}/{part}"));
            files.extend(files_in(&folder, ".bin"));
            files.extend(files_in(&folder, ".safetensors"));
        }
    }
    assert!(files.iter().any(|path| path.extension().unwrap() == "bin"));
    assert!(
        files
            .iter()
            .any(|path| path.extension().unwrap() == "safetensors")
    );
    for_damaged(&files, MOST_FOR_A_MODEL, |path, bytes| {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(path.file_name().unwrap()), bytes).unwrap();
        if let Ok(weights) = Weights::open(folder.path(), Target::cpu().device()) {
            let scope = weights.root();
            scope.child("conv_in").tensor("weight", [4, 6, 3, 3]);
            scope.child("conv_in").tensor("bias", [4]);
            let _ = weights.finish();
        }
    });
}

/// A pickle may say of a few bytes that they are 83 million values, which it takes no space to say.
fn a_view_that_repeats_its_storage() {
    let file = "models/half-bin/unet/diffusion_pytorch_model.bin";
    let mut bytes = std::fs::read(fixture(file)).unwrap();
    let find = |bytes: &[u8], what: &[u8]| {
        let mut windows = bytes.windows(what.len());
        windows.position(|window| window == what).unwrap()
    };
    // The shape and the strides of the first tensor, conv_in.weight: tuples of single bytes.
    let shape = find(&bytes, b"(K\x04K\x06K\x03K\x03t");
    let strides = find(&bytes, b"(K6K\x09K\x03K\x01t");
    for (i, side) in [255, 255, 255, 5].into_iter().enumerate() {
        bytes[shape + 2 + 2 * i] = side;
        bytes[strides + 2 + 2 * i] = 0;
    }
    // The archive's first entry is the pickle; without a checksum none is looked at.
    let entry = find(&bytes, b"PK\x01\x02");
    bytes[entry + 16..entry + 20].fill(0);

    let folder = tempfile::tempdir().unwrap();
    let name = "diffusion_pytorch_model.bin";
    std::fs::write(folder.path().join(name), bytes).unwrap();
    LARGEST.store(0, Ordering::Relaxed);
    let refused = Weights::open(folder.path(), Target::cpu().device()).map(|weights| {
        let scope = weights.root().child("conv_in");
        scope.tensor("weight", [255, 255, 255, 5]);
    });
    let asked = LARGEST.load(Ordering::Relaxed);
    assert!(asked <= MOST_FOR_A_MODEL, "asked for {asked} bytes at once");
    let error = refused.unwrap_err().to_string();
    assert!(error.contains("conv_in.weight"), "{error}");
}

fn latents() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("latents.safetensors");
    let latents = Latents {
        shape: [2, 3, 4, 5],
        values: (0..120).map(|i| i as f32).collect(),
    };
    latents
        .write(&path, &minkds::kds::Choice::Particle(0))
        .unwrap();
    let target = folder.path().join("damaged.safetensors");
    for_damaged(&[path], MOST_FOR_A_MODEL, |_, bytes| {
        std::fs::write(&target, bytes).unwrap();
        if let Ok(latents) = Latents::read(&target) {
            assert_eq!(
                latents.values.len(),
                latents.shape.iter().product::<usize>()
            );
            let _ = latents.fit(&target, Some(2), [3, 4, 5], true);
        }
    });
}
