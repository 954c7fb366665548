//! What a result says about how it was made, and making it again from that.

use serde::{Deserialize, Serialize};

use super::Engine;
use crate::error::{Error, Result};
use crate::image_io::Saving;
use crate::model::{Model, ModelSource};
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
    /// Its name on the hub, if that is where it came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hub: Option<String>,
    /// The model's fingerprint.
    pub model_sha256: String,
    /// What computed, and in which precision.
    pub device: String,
    /// All settings, with the tiles that were really taken.
    pub settings: Settings,
    /// The quality that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<u8>,
    /// Whether the input's metadata was left out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub strip_metadata: bool,
    /// Which particle it is, where each became a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub particle: Option<usize>,
}

impl Provenance {
    /// For the run of `settings` that `engine` has just made, in which the network saw tiles of `tile`, or the whole.
    pub fn new(engine: &Engine, settings: &Settings, tile: Option<usize>) -> Result<Self> {
        // Where folders lie is nobody's business.
        let (model, hub) = match engine.source() {
            ModelSource::Folder(folder) if engine.model().recommended().name.is_none() => {
                let name = folder.file_name().unwrap_or_default();
                (name.to_string_lossy().into_owned(), None)
            }
            ModelSource::Hub(name) => (engine.model().name().into(), Some(name.clone())),
            _ => (engine.model().name().into(), None),
        };
        Ok(Provenance {
            format: FORMAT,
            program: program(),
            model,
            hub,
            model_sha256: engine.model().fingerprint()?.into(),
            device: engine.used().into(),
            settings: Settings {
                tile: tile.map_or(TileSize::Off, |side| TileSize::Side(side as u32)),
                ..settings.clone()
            },
            quality: None,
            strip_metadata: false,
            particle: None,
        })
    }

    /// How the picture was written.
    pub fn saving(&self) -> Saving {
        Saving {
            quality: self.quality,
            strip_metadata: self.strip_metadata,
            ..Saving::default()
        }
    }

    /// `saving`, that it be written so and say this of itself.
    pub fn told_in(mut self, saving: Saving) -> Saving {
        self.quality = saving.quality;
        self.strip_metadata = saving.strip_metadata;
        Saving {
            provenance: Some(self.to_text()),
            ..saving
        }
    }

    /// The settings for making it again with `model`.
    ///
    /// # Errors
    /// [`Error::Setting`] if that is another model.
    pub fn settings_for(&self, model: &Model) -> Result<Settings> {
        if self.model_sha256 == model.fingerprint()? {
            return Ok(self.settings.clone());
        }
        // A picture does not decide what is downloaded.
        let name = self.hub.as_deref().unwrap_or("its folder or hub name");
        Err(Error::Setting(format!(
            "it was made with the model {} (sha256 {}), and this is {}: say --model with {name}",
            self.model,
            self.model_sha256,
            model.name()
        )))
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
        let unusable =
            |what: String| Error::Setting(format!("how it was made cannot be read: {what}"));
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
        if let Some(particle) = read.particle
            && particle >= read.settings.particles as usize
        {
            return Err(unusable(format!("it has no particle {particle}")));
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn made() -> Provenance {
        Provenance {
            format: FORMAT,
            program: program(),
            model: "a model".into(),
            hub: None,
            model_sha256: "00".into(),
            device: "the processor".into(),
            settings: Settings {
                seed: u64::MAX,
                tile: TileSize::Side(384),
                ..Settings::default()
            },
            quality: Some(80),
            strip_metadata: true,
            particle: Some(3),
        }
    }

    #[test]
    fn what_was_written_is_read() {
        let text = made().to_text();
        assert!(!text.contains('\n'));
        assert_eq!(Provenance::from_text(&text).unwrap(), made());
        assert_eq!(made().other_program(), None);
    }

    #[test]
    fn what_was_made_before_pictures_could_be_called_clean_is_read() {
        assert!(!made().to_text().contains("clean"));
        let mut clean = made();
        clean.settings.clean = true;
        assert_eq!(Provenance::from_text(&clean.to_text()).unwrap(), clean);
    }

    #[test]
    fn texts_of_others_are_refused_by_what_is_wrong() {
        let text = made().to_text();
        for (from, to, word) in [
            ("\"format\":1", "\"format\":2", "form 2"),
            ("\"steps\":50", "\"steps\":0", "steps"),
            ("\"particle\":3", "\"particle\":4", "no particle 4"),
            ("\"tile\":384", "\"tile\":3", "tile"),
            ("\"seed\"", "\"sead\"", "sead"),
            ("{", "", "cannot be read"),
        ] {
            let changed = text.replacen(from, to, 1);
            assert_ne!(changed, text, "{from}");
            let error = Provenance::from_text(&changed).unwrap_err().to_string();
            assert!(error.contains(word), "{word}: {error}");
        }
    }
}
