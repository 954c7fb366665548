//! `minkds.json`: what a model's makers recommend, beside its `model_index.json`.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::config;
use crate::error::{Error, Result};
use crate::settings::Patch;

/// The version of the format that this program reads.
const FORMAT: u32 = 1;

/// Recommended settings and the preview map of a model.
#[derive(Clone, Debug, Default)]
pub struct Recommended {
    /// The model's name, for people.
    pub name: Option<String>,
    /// What to use unless told otherwise.
    pub settings: Patch,
    /// The linear map from latents to a preview, if it was fitted beforehand.
    pub preview: Option<PreviewMap>,
}

/// The file as it is written, but for its format.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Document {
    name: Option<String>,
    settings: Map<String, Value>,
    preview: Option<PreviewMap>,
}

/// A linear map from one latent vector to the RGB block it stands for.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreviewMap {
    /// `[3·f·f][C]`: for each channel and place in the block (`pixel_shuffle` order), one weight per
    /// latent channel. Pictures are in -1..1.
    pub weight: Vec<Vec<f32>>,
    /// `[3·f·f]`.
    pub bias: Vec<f32>,
}

impl PreviewMap {
    /// Checks that the map goes from `channels` latents to blocks of `factor` × `factor` pixels.
    pub fn check(&self, channels: usize, factor: usize) -> Result<(), String> {
        let outputs = 3 * factor * factor;
        let fits = self.bias.len() == outputs
            && self.weight.len() == outputs
            && self.weight.iter().all(|row| row.len() == channels);
        if fits {
            Ok(())
        } else {
            Err(format!(
                "preview must have {outputs} rows of {channels} weights and {outputs} biases"
            ))
        }
    }
}

impl Recommended {
    /// Reads the file's bytes.
    pub fn from_json(at: &Path, bytes: &[u8]) -> Result<Self> {
        let mut object = config::json_object(at, bytes)?;
        // A later format may hold other fields: its number comes first.
        let format = object.remove("format").unwrap_or_default();
        if format != FORMAT {
            return Err(Error::model(
                at,
                format!("has format {format}; this program reads format {FORMAT}: use a newer one"),
            ));
        }
        let document: Document = config::from_object(at, object)?;
        Ok(Recommended {
            name: document.name,
            settings: config::from_object(at, document.settings)?,
            preview: document.preview,
        })
    }
}
