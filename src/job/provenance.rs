//! What a result says about how it was made, and making it again from that.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::settings::{Settings, TileSize};

/// Number of this form of the text. Older ones are read or refused by name.
const FORMAT: u32 = 1;

/// How a picture was made: everything that decides it, besides the input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    format: u32,
    /// The program's name and version.
    pub program: String,
    /// The model's name, for people.
    pub model: String,
    /// As `--model` has it; `None` is the bundled one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_source: Option<String>,
    /// The model's fingerprint.
    pub model_sha256: String,
    /// What computed, and in which precision.
    pub device: String,
    /// All settings, with the tiles that were really taken.
    pub settings: Settings,
    /// Which particle it is, where each became a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub particle: Option<usize>,
    /// SHA-256 of the start noise's file, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latents_sha256: Option<String>,
}

impl Provenance {
    /// For a run of `settings` in which the network saw tiles of `tile`, or the whole.
    pub fn new(
        model: &crate::model::Model,
        model_source: Option<String>,
        device: String,
        settings: &Settings,
        tile: Option<usize>,
    ) -> Self {
        Provenance {
            format: FORMAT,
            program: program(),
            model: model.name().into(),
            model_source,
            model_sha256: model.fingerprint().into(),
            device,
            settings: Settings {
                tile: tile.map_or(TileSize::Off, |side| TileSize::Side(side as u32)),
                ..settings.clone()
            },
            particle: None,
            latents_sha256: None,
        }
    }

    /// As one line of JSON.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads what [`Provenance::to_text`] wrote.
    ///
    /// # Errors
    /// [`Error::Setting`] if the text is of another form or its settings cannot be used.
    pub fn from_text(text: &str) -> Result<Self> {
        let unusable = |what: String| Error::Setting(format!("how it was made cannot be read: {what}"));
        #[derive(Deserialize)]
        struct Form {
            format: u32,
        }
        let form: Form = serde_json::from_str(text).map_err(|e| unusable(e.to_string()))?;
        if form.format != FORMAT {
            return Err(unusable(format!(
                "it is of form {}, and this version reads form {FORMAT}: use the version that made it",
                form.format
            )));
        }
        let read: Provenance = serde_json::from_str(text).map_err(|e| unusable(e.to_string()))?;
        read.settings.validate()?;
        Ok(read)
    }

    /// The program's name and version, if another one than this made it.
    pub fn other_program(&self) -> Option<&str> {
        (self.program != program()).then_some(&self.program)
    }
}

fn program() -> String {
    concat!("minkds ", env!("CARGO_PKG_VERSION")).into()
}
