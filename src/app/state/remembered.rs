//! What is kept from window to window.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Look, Mode, Writing};
use crate::image_io::QUALITIES;
use crate::settings::{Settings, range};

/// The version of this form.
const FORMAT: u32 = 1;
/// Files in the list of recent ones.
const MOST_RECENT: usize = 10;

/// As it is stored; what is missing or unknown has its default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Remembered {
    /// The version of this form.
    pub format: u32,
    /// How pictures are compared.
    pub mode: Mode,
    /// Details of that.
    pub look: Look,
    /// Whether changes are tried at once.
    pub is_live: bool,
    /// As the sliders stood.
    pub settings: Option<Settings>,
    /// How files were written.
    pub writing: Writing,
    /// The model that they belong to, as `--model` names it; empty is the bundled one.
    pub model: String,
    /// Where pictures were last opened.
    pub folder: Option<PathBuf>,
    /// What was last opened, latest first.
    pub recent: Vec<PathBuf>,
}

impl Default for Remembered {
    fn default() -> Self {
        Remembered {
            format: FORMAT,
            mode: Mode::default(),
            look: Look::default(),
            is_live: true,
            settings: None,
            writing: Writing::default(),
            model: String::new(),
            folder: None,
            recent: Vec::new(),
        }
    }
}

impl Remembered {
    /// Reads what [`Remembered::to_text`] wrote; anything else is as good as nothing.
    pub fn from_text(text: &str) -> Self {
        let read: Option<Self> = serde_json::from_str(text).ok();
        let mut read = read
            .filter(|read| read.format == FORMAT)
            .unwrap_or_default();
        // A file that was changed by hand must not bring what no slider allows.
        read.settings = read.settings.filter(|settings| settings.validate().is_ok());
        let quality = &mut read.writing.quality;
        *quality = quality.filter(|quality| QUALITIES.contains(quality));
        let scale = &mut read.writing.scale;
        *scale = scale.filter(|scale| range::SCALE.check(*scale).is_ok());
        read.look.divider = read.look.divider.clamp(0.0, 1.0);
        read.look.gain = read.look.gain.clamp(1.0, 64.0);
        read
    }

    /// JSON.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    pub(super) fn opened(&mut self, path: &Path) {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
        self.folder = path.parent().map(Path::to_path_buf);
        self.recent.retain(|other| *other != path);
        self.recent.insert(0, path);
        self.recent.truncate(MOST_RECENT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back_and_damage_does_no_harm() {
        let mut kept = Remembered {
            mode: Mode::Spread,
            settings: Some(Settings::default()),
            writing: Writing {
                scale: Some(2.5),
                quality: Some(80),
                strip_metadata: true,
            },
            ..Remembered::default()
        };
        for i in 0..20 {
            kept.opened(Path::new(&format!("/pictures/{i}.png")));
        }
        kept.opened(Path::new("/pictures/15.png"));
        let text = kept.to_text();
        assert_eq!(Remembered::from_text(&text), kept);
        assert_eq!(kept.recent.len(), MOST_RECENT);
        assert_eq!(kept.recent[0], Path::new("/pictures/15.png"));
        for bad in ["", "{", "[]", "{\"format\":99}", &text[..text.len() / 2]] {
            assert_eq!(Remembered::from_text(bad), Remembered::default());
        }
        let wild = text.replace("\"steps\":50", "\"steps\":0");
        assert_ne!(wild, text);
        assert_eq!(Remembered::from_text(&wild).settings, None);
        let wild = text.replace("\"quality\":80", "\"quality\":101");
        assert_ne!(wild, text);
        assert_eq!(Remembered::from_text(&wild).writing.quality, None);
        let wild = text.replace("\"scale\":2.5", "\"scale\":0.5");
        assert_ne!(wild, text);
        assert_eq!(Remembered::from_text(&wild).writing.scale, None);
    }
}
