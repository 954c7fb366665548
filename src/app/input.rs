//! A picture that was opened: what the network needs of it, and what the screen shows.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use eframe::egui::ColorImage;

use super::raster::Raster;
use crate::error::{Error, Result};
use crate::image_io::{self, Picture, bleed_under_alpha};
use crate::model::SCALE;
use crate::pipeline::{Region, Rgb};

/// The picture that is shown before anybody opened one.
const EXAMPLE: &[u8] = include_bytes!("../../assets/example.png");

/// An opened picture.
pub struct Input {
    /// Its number among all that were opened.
    pub id: u64,
    /// What it is called.
    pub name: String,
    /// Where it lies; a pasted one lies nowhere.
    pub path: Option<PathBuf>,
    /// Its colours, those under full transparency bled.
    pub rgb: Arc<Rgb>,
    /// For the screen.
    pub raster: Arc<Raster>,
    /// What the person should know about how it was read.
    pub warnings: Vec<String>,
    /// Whether it is the program's own example.
    pub is_example: bool,
    /// All of it but its colours, which `rgb` has.
    rest: Picture,
}

impl Input {
    /// Reads a file.
    ///
    /// # Errors
    /// Those of [`image_io::decode`].
    pub fn read(path: &Path) -> Result<Self> {
        let decoded = image_io::decode(path)?;
        let name = path.file_name().unwrap_or(path.as_os_str());
        let mut input = Self::new(name.display().to_string(), decoded.picture);
        input.path = Some(path.to_path_buf());
        input.warnings = decoded.warnings;
        Ok(input)
    }

    /// The bundled example.
    ///
    /// # Errors
    /// None, unless the program's own file is damaged.
    pub fn example() -> Result<Self> {
        let mut input = Self::new("example.png".into(), image_io::decode_png(EXAMPLE)?);
        input.is_example = true;
        Ok(input)
    }

    /// What was in the clipboard.
    pub fn pasted(image: &ColorImage) -> Self {
        let pixels: Vec<[u8; 4]> = (image.pixels.iter())
            .map(|pixel| pixel.to_srgba_unmultiplied())
            .collect();
        let value = |v: u8| f32::from(v) / 255.0;
        let opaque = pixels.iter().all(|pixel| pixel[3] == 255);
        let colours = pixels
            .iter()
            .flat_map(|p| [value(p[0]), value(p[1]), value(p[2])]);
        let picture = Picture {
            alpha: (!opaque).then(|| pixels.iter().map(|pixel| value(pixel[3])).collect()),
            ..Picture::srgb(image.size[0], image.size[1], colours.collect())
        };
        Self::new("pasted picture".into(), picture)
    }

    /// Reads the file of a picture that was open before, which keeps its number.
    ///
    /// # Errors
    /// Those of [`image_io::decode`], and [`Error::Paths`] if it has another size now.
    pub fn read_again(path: &Path, id: u64, size: [usize; 2]) -> Result<Self> {
        let input = Self::read(path)?;
        if [input.rgb.width, input.rgb.height] != size {
            return Err(Error::Paths(format!(
                "{} is another picture than it was: its results are kept, but cannot be shown beside it",
                path.display()
            )));
        }
        Ok(Input { id, ..input })
    }

    fn new(name: String, mut picture: Picture) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        bleed_under_alpha(&mut picture);
        let rgb = Rgb {
            width: picture.width,
            height: picture.height,
            values: std::mem::take(&mut picture.rgb),
        };
        Input {
            id: COUNT.fetch_add(1, Ordering::Relaxed),
            name,
            path: None,
            raster: Arc::new(Raster::from_rgb(&rgb, picture.alpha.as_deref())),
            rgb: Arc::new(rgb),
            warnings: Vec::new(),
            is_example: false,
            rest: picture,
        }
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
