//! Models by name: looked up in the local Hugging Face cache, else downloaded.

use std::path::PathBuf;

use hf_hub::api::Progress;
use hf_hub::api::sync::{ApiBuilder, ApiError, ApiRepo};
use hf_hub::{Cache, Repo};

use super::source::{CONFIGS, PARTS};
use crate::error::{Error, Result};

/// How far a download is: file name, bytes done, bytes in all.
pub type DownloadProgress<'a> = &'a mut dyn FnMut(&str, u64, u64);

const WEIGHTS: [&str; 2] = [
    "diffusion_pytorch_model.safetensors",
    "diffusion_pytorch_model.bin",
];
const RECOMMENDED: &str = "minkds.json";

/// The local folder of the model `name`, complete.
pub fn folder(name: &str, progress: DownloadProgress) -> Result<PathBuf> {
    let cache = Cache::from_env();
    let cached = cache.repo(Repo::model(name.to_string()));
    let complete = CONFIGS.iter().all(|file| cached.get(file).is_some())
        && PARTS.iter().all(|part| {
            WEIGHTS
                .iter()
                .any(|file| cached.get(&format!("{part}/{file}")).is_some())
        });
    if complete && let Some(index) = cached.get(CONFIGS[0]) {
        return parent(name, index);
    }
    download(name, progress)
}

fn parent(name: &str, index: PathBuf) -> Result<PathBuf> {
    index.parent().map(PathBuf::from).ok_or_else(|| Error::Hub {
        name: name.to_string(),
        what: format!("{} lies in no folder", index.display()),
    })
}

fn download(name: &str, progress: DownloadProgress) -> Result<PathBuf> {
    let fail = |file: &str, e: ApiError| Error::Hub {
        name: name.to_string(),
        what: format!(
            "there is no folder of that name here, it is not in the local Hugging Face cache, and \
             {file} could not be downloaded ({e}). Check the name and the network, or give --model \
             a local folder, or leave it out to use the bundled model"
        ),
    };
    if std::env::var("HF_HUB_OFFLINE").is_ok_and(|v| !matches!(v.as_str(), "" | "0")) {
        return Err(Error::Hub {
            name: name.to_string(),
            what: "there is no folder of that name here, it is not in the local Hugging Face \
                   cache, and HF_HUB_OFFLINE forbids downloading"
                .to_string(),
        });
    }
    let api = ApiBuilder::from_env()
        .with_progress(false)
        .build()
        .map_err(|e| fail("nothing", e))?
        .model(name.to_string());
    let [index, others @ ..] = CONFIGS;
    let index = get(&api, index, progress).map_err(|e| fail(index, e))?;
    for file in others {
        get(&api, file, progress).map_err(|e| fail(file, e))?;
    }
    // Recommended settings are this project's own file; other models have none.
    let _ = get(&api, RECOMMENDED, progress);
    for part in PARTS {
        let [safetensors, bin] = WEIGHTS.map(|file| format!("{part}/{file}"));
        match get(&api, &safetensors, progress) {
            Ok(_) => {}
            Err(e) if is_missing(&e) => {
                get(&api, &bin, progress).map_err(|e| fail(&bin, e))?;
            }
            Err(e) => return Err(fail(&safetensors, e)),
        }
    }
    parent(name, index)
}

/// Whether the hub answered that there is no such file, which hf-hub tells in words only.
fn is_missing(error: &ApiError) -> bool {
    error.to_string().contains("404")
}

fn get(api: &ApiRepo, file: &str, progress: DownloadProgress) -> Result<PathBuf, ApiError> {
    api.download_with_progress(
        file,
        Report {
            progress,
            file: file.to_string(),
            done: 0,
            total: 0,
        },
    )
}

struct Report<'a, 'b> {
    progress: &'a mut (dyn FnMut(&str, u64, u64) + 'b),
    file: String,
    done: u64,
    total: u64,
}

impl Progress for Report<'_, '_> {
    fn init(&mut self, size: usize, _filename: &str) {
        self.total = size as u64;
        (self.progress)(&self.file, 0, self.total);
    }

    fn update(&mut self, size: usize) {
        self.done += size as u64;
        (self.progress)(&self.file, self.done, self.total);
    }

    fn finish(&mut self) {
        (self.progress)(&self.file, self.total, self.total);
    }
}
