//! A picture that was opened: what the network needs of it, and what the screen shows.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use eframe::egui::ColorImage;

use super::raster::Raster;
use crate::error::Result;
use crate::image_io::{self, Picture, bleed_under_alpha};
use crate::job;
use crate::model::SCALE;
use crate::pipeline::{Region, Rgb};

/// The picture that is shown before anybody opened one.
const EXAMPLE: &[u8] = include_bytes!("../../assets/example.png");

/// Where a picture comes from, and can be read again.
#[derive(Clone, PartialEq)]
pub enum Place {
    /// A file.
    File(PathBuf),
    /// The clipboard, which has other things in it since.
    Clipboard(Arc<ColorImage>),
    /// The program: its example.
    Example,
}

impl Place {
    /// The file, if it is one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Place::File(path) => Some(path),
            Place::Clipboard(_) | Place::Example => None,
        }
    }

    /// What it is called.
    pub fn name(&self) -> String {
        match self {
            Place::File(path) => {
                let name = path.file_name().unwrap_or(path.as_os_str());
                name.display().to_string()
            }
            Place::Clipboard(_) => "pasted picture".into(),
            Place::Example => "example.png".into(),
        }
    }

    fn read(&self) -> Result<(Picture, Vec<String>)> {
        Ok(match self {
            Place::File(path) => {
                let decoded = image_io::decode(path)?;
                (decoded.picture, decoded.warnings)
            }
            Place::Clipboard(image) => (pasted(image), Vec::new()),
            Place::Example => (image_io::decode_png(EXAMPLE)?, Vec::new()),
        })
    }
}

/// An opened picture.
pub struct Input {
    /// Its number among all that were opened.
    pub id: u64,
    /// Where it comes from.
    pub place: Place,
    /// By which factor it was reduced.
    pub prescale: f64,
    /// Columns and rows before that.
    pub original: [usize; 2],
    /// Its colours, those under full transparency bled.
    pub rgb: Arc<Rgb>,
    /// For the screen.
    pub raster: Arc<Raster>,
    /// What the person should know about how it was read.
    pub warnings: Vec<String>,
    /// All of it but its colours, which `rgb` has.
    rest: Picture,
}

impl Input {
    /// Reads the picture in `place` and reduces it by `prescale`, as `--prescale` does.
    ///
    /// # Errors
    /// Those of [`image_io::decode`].
    pub fn open(place: Place, prescale: f64) -> Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let (mut picture, warnings) = place.read()?;
        let original = [picture.width, picture.height];
        bleed_under_alpha(&mut picture);
        let mut picture = picture.sized(original.map(|side| job::reduced(side, prescale)));
        let rgb = Rgb {
            width: picture.width,
            height: picture.height,
            values: std::mem::take(&mut picture.rgb),
        };
        Ok(Input {
            id: COUNT.fetch_add(1, Ordering::Relaxed),
            place,
            prescale,
            original,
            raster: Arc::new(Raster::from_rgb(&rgb, picture.alpha.as_deref())),
            rgb: Arc::new(rgb),
            warnings,
            rest: picture,
        })
    }

    /// Columns and rows of the enlargement.
    pub fn enlarged_size(&self) -> [usize; 2] {
        [self.rgb.width * SCALE, self.rgb.height * SCALE]
    }

    /// Whether parts of it can be seen through.
    pub fn has_alpha(&self) -> bool {
        self.rest.alpha.is_some()
    }

    /// The colours of the plain part that `region` covers.
    pub fn part(&self, region: Region) -> Rgb {
        region.cut(&self.rgb)
    }

    /// The picture file that `result`, the enlargement of `region`, becomes: with the input's colour profile
    /// and metadata, as if it had been made without a window.
    pub fn finished(&self, result: Rgb, region: Region) -> Picture {
        let Region {
            left,
            top,
            width,
            height,
        } = region;
        self.rest
            .part(left, top, width, height)
            .enlarged(result.values)
    }
}

/// What was in the clipboard.
fn pasted(image: &ColorImage) -> Picture {
    let pixels: Vec<[u8; 4]> = (image.pixels.iter())
        .map(|pixel| pixel.to_srgba_unmultiplied())
        .collect();
    let value = |v: u8| f32::from(v) / 255.0;
    let opaque = pixels.iter().all(|pixel| pixel[3] == 255);
    let colours = pixels
        .iter()
        .flat_map(|p| [value(p[0]), value(p[1]), value(p[2])]);
    Picture {
        alpha: (!opaque).then(|| pixels.iter().map(|pixel| value(pixel[3])).collect()),
        ..Picture::srgb(image.size[0], image.size[1], colours.collect())
    }
}
