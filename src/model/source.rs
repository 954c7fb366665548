//! Where a model comes from, and how its files are read: embedded, a folder, or the hub's cache.

use std::borrow::Cow;
use std::fmt;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use sha2::{Digest, Sha256};

use super::config::MAX_CONFIG_BYTES;
use super::weights::Weights;
use crate::error::{Error, Result};

/// What `--model` may name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelSource {
    /// The model inside the program.
    Bundled,
    /// A folder in diffusers' layout.
    Folder(PathBuf),
    /// A name on the Hugging Face hub, `owner/name`.
    Hub(String),
}

impl fmt::Display for ModelSource {
    /// As `--model` names it; the bundled one is empty.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ModelSource::Bundled => Ok(()),
            ModelSource::Folder(folder) => write!(f, "{}", folder.display()),
            ModelSource::Hub(name) => f.write_str(name),
        }
    }
}

impl ModelSource {
    /// A folder if there is one of that name, else a hub name if it looks like one.
    pub fn parse(text: &str) -> Result<Self> {
        let path = Path::new(text);
        if path.is_dir() {
            return Ok(ModelSource::Folder(path.to_path_buf()));
        }
        if path.exists() {
            return Err(Error::model(
                path,
                "is a file; name the folder that holds model_index.json",
            ));
        }
        let part = |part: &str| {
            part.starts_with(|c: char| c.is_ascii_alphanumeric())
                && part
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        };
        match text.split_once('/') {
            Some((owner, name)) if part(owner) && part(name) => {
                Ok(ModelSource::Hub(text.to_string()))
            }
            _ => Err(Error::model(
                path,
                "does not exist; give a folder in diffusers' layout or a hub name such as \
                 CompVis/ldm-super-resolution-4x-openimages",
            )),
        }
    }
}

/// What decides the numbers that a model computes, beside its weights. The first lies in the model's folder itself.
pub(super) const CONFIGS: [&str; 4] = [
    "model_index.json",
    "scheduler/scheduler_config.json",
    "unet/config.json",
    "vqvae/config.json",
];
/// The parts that have weights.
pub(super) const PARTS: [&str; 2] = ["unet", "vqvae"];

/// The files of one model.
#[derive(Clone)]
pub(super) enum Files {
    Embedded,
    Folder(PathBuf),
}

macro_rules! embedded {
    ($name:expr, $($file:literal),+) => {
        match $name {
            $($file => Some(include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/model/", $file)).as_slice()),)+
            _ => None,
        }
    };
}

fn embedded(name: &str) -> Option<&'static [u8]> {
    embedded!(
        name,
        "minkds.json",
        "model_index.json",
        "scheduler/scheduler_config.json",
        "unet/config.json",
        "unet/diffusion_pytorch_model.safetensors",
        "vqvae/config.json",
        "vqvae/diffusion_pytorch_model.safetensors"
    )
}

impl Files {
    /// The path of `name`, for messages.
    pub fn path(&self, name: &str) -> PathBuf {
        match self {
            Files::Embedded => Path::new("(bundled)").join(name),
            Files::Folder(folder) => folder.join(name),
        }
    }

    /// A small text file, or `None` where there is no such file.
    pub fn read_optional(&self, name: &str) -> Result<Option<Cow<'static, [u8]>>> {
        let path = self.path(name);
        match self {
            Files::Embedded => Ok(embedded(name).map(Cow::Borrowed)),
            Files::Folder(_) if !path.exists() => Ok(None),
            Files::Folder(_) => {
                let fail = |e: std::io::Error| Error::model(&path, format!("cannot be read: {e}"));
                let size = std::fs::metadata(&path).map_err(fail)?.len();
                if size > MAX_CONFIG_BYTES {
                    return Err(Error::model(
                        &path,
                        format!("has {size} bytes; a config has a few thousand"),
                    ));
                }
                Ok(Some(Cow::Owned(std::fs::read(&path).map_err(fail)?)))
            }
        }
    }

    /// A small text file that must be there.
    pub fn read(&self, name: &str) -> Result<Cow<'static, [u8]>> {
        self.read_optional(name)?.ok_or_else(|| {
            Error::model(
                self.path(""),
                format!("holds no {name}; a model folder has diffusers' layout, see the README"),
            )
        })
    }

    /// The weight file in the subfolder `part`.
    pub fn weights(&self, part: &str, device: &Device) -> Result<Weights> {
        let name = format!("{part}/diffusion_pytorch_model.safetensors");
        match (self, embedded(&name)) {
            (Files::Embedded, Some(bytes)) => {
                Weights::from_static(&self.path(&name), bytes, device)
            }
            _ => Weights::open(&self.path(part), device),
        }
    }

    /// SHA-256 over configs and weights, in hexadecimal digits. Each file counts with its name and length, so
    /// that no two models share one.
    pub fn fingerprint(&self) -> Result<String> {
        let mut digest = Sha256::new();
        for name in CONFIGS {
            add(&mut digest, name, &self.read(name)?);
        }
        for part in PARTS {
            let name = format!("{part}/diffusion_pytorch_model.safetensors");
            if let (Files::Embedded, Some(bytes)) = (self, embedded(&name)) {
                add(&mut digest, &name, bytes);
                continue;
            }
            let path = Weights::file_in(&self.path(part))?;
            let fail = |e: std::io::Error| Error::model(&path, format!("cannot be read: {e}"));
            let mut file = std::fs::File::open(&path).map_err(fail)?;
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let length = file.metadata().map_err(fail)?.len();
            digest.update(header(&format!("{part}/{name}"), length));
            std::io::copy(&mut file, &mut digest).map_err(fail)?;
        }
        let mut text = String::new();
        for byte in digest.finalize() {
            let _ = write!(text, "{byte:02x}");
        }
        Ok(text)
    }
}

fn add(digest: &mut Sha256, name: &str, bytes: &[u8]) {
    digest.update(header(name, bytes.len() as u64));
    digest.update(bytes);
}

fn header(name: &str, length: u64) -> String {
    format!("{name} {length}\n")
}
