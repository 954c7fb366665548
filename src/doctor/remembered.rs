//! What is kept between runs: verdicts and the recommendation, in the user's cache folder.

use std::io::Write;
use std::path::PathBuf;

use burn::tensor::FloatDType;
use serde::{Deserialize, Serialize};

use super::{Verdict, name_of};
use crate::device::{AdapterId, Place};
use crate::image_io::{Existing, write_atomically};

/// Files of another number are made anew.
const FORMAT: u32 = 1;
/// Verdicts hold for one version of this program …
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// … and one compiler of shaders.
const COMPILER: &str = if cfg!(feature = "vulkan") {
    "spirv"
} else if cfg!(feature = "metal") {
    "msl"
} else {
    "wgsl"
};

/// What a verdict is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// The adapter and its driver; none for the processor.
    pub adapter: Option<AdapterId>,
    /// `f32` or `f16`.
    pub floats: String,
}

impl Key {
    /// For `place` in `floats`.
    pub fn new(place: &Place, floats: FloatDType) -> Self {
        let adapter = match place {
            Place::Cpu => None,
            Place::Gpu(adapter) => Some(adapter.id.clone()),
            Place::Cuda(number) => Some(AdapterId {
                name: format!("cuda:{number}"),
                api: "CUDA".into(),
                driver: cuda_driver(),
                pci: [0, 0],
            }),
        };
        Key {
            adapter,
            floats: name_of(floats).into(),
        }
    }
}

/// The verdicts of this machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Remembered {
    format: u32,
    version: String,
    compiler: String,
    verdicts: Vec<(Key, Verdict)>,
    /// Which device the doctor recommends.
    pub recommended: Option<Key>,
}

impl Remembered {
    /// Reads the file; anything wrong with it is as good as no file.
    pub fn read() -> Self {
        let read = || -> Option<Self> {
            let bytes = std::fs::read(path()?).ok()?;
            let file: Remembered = serde_json::from_slice(&bytes).ok()?;
            let fits = (file.format, file.version.as_str(), file.compiler.as_str())
                == (FORMAT, VERSION, COMPILER);
            fits.then_some(file)
        };
        read().unwrap_or(Remembered {
            format: FORMAT,
            version: VERSION.into(),
            compiler: COMPILER.into(),
            ..Remembered::default()
        })
    }

    /// Writes the file. Where that is not possible, devices are examined again next time.
    pub fn write(&self) {
        let write = || -> Option<()> {
            let path = path()?;
            std::fs::create_dir_all(path.parent()?).ok()?;
            let json = serde_json::to_vec_pretty(self).ok()?;
            write_atomically(&path, Existing::Overwrite, |sink| sink.write_all(&json)).ok()
        };
        let _ = write();
    }

    /// The verdict on `key`, if it was examined.
    pub fn verdict(&self, key: &Key) -> Option<&Verdict> {
        let found = self.verdicts.iter().find(|(known, _)| known == key);
        found.map(|(_, verdict)| verdict)
    }

    /// Remembers `verdict`.
    pub fn insert(&mut self, key: Key, verdict: Verdict) {
        self.verdicts.retain(|(known, _)| *known != key);
        self.verdicts.push((key, verdict));
    }
}

/// Where it lies; nowhere on a system without a cache folder.
fn path() -> Option<PathBuf> {
    Some(dirs::cache_dir()?.join("minkds").join("devices.json"))
}

/// The version of NVIDIA's driver, where Linux tells.
fn cuda_driver() -> String {
    let text = std::fs::read_to_string("/proc/driver/nvidia/version").unwrap_or_default();
    text.lines().next().unwrap_or_default().trim().to_string()
}
