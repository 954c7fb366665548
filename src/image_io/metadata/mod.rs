//! What lies beside the pixels in a file: found when it is read, brought up to date when it is written.

pub(super) mod exif;
pub(super) mod jpeg;
mod jxl;
pub(super) mod png;
pub(super) mod tiff;
pub(super) mod webp;
pub(super) mod xmp;

use super::container::Kind;
use super::origin::{Density, Origin};
use super::{Picture, Saving};
use exif::Exif;

/// The metadata of a file, as it stands there.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub icc: Option<Vec<u8>>,
    /// Primaries and transfer function, as numbers of ITU-T H.273.
    pub code_points: Option<[u8; 2]>,
    /// The file says that it is sRGB.
    pub is_srgb: bool,
    /// PNG's `gAMA`, and the x and y of white, red, green and blue from its `cHRM`.
    pub gamma: Option<f64>,
    pub chromaticities: Option<[f64; 8]>,
    pub exif: Option<Vec<u8>>,
    pub xmp: Option<Vec<u8>>,
    pub iptc: Option<Vec<u8>>,
    pub density: Option<Density>,
    /// This program's own note on how the picture was made.
    pub note: Option<String>,
    /// What could not be taken over: whole sentences.
    pub lost: Vec<String>,
}

impl Found {
    /// Looks through a whole file of the given kind.
    pub fn of(kind: Kind, bytes: &[u8]) -> Self {
        match kind {
            Kind::Png => png::find(bytes),
            Kind::Jpeg => jpeg::find(bytes),
            Kind::WebP => webp::find(bytes),
            Kind::Tiff => tiff::find(bytes).unwrap_or_default(),
            Kind::Jxl => jxl::find(bytes),
            Kind::Bmp | Kind::Gif => Self::default(),
        }
    }

    /// How the picture was made, if this program made it.
    pub fn provenance(&self) -> Option<String> {
        let exif = || Exif::parse(self.exif.as_deref()?)?.our_comment();
        let xmp = || xmp::settings(&xmp::parse(self.xmp.as_deref()?)?);
        self.note.clone().or_else(xmp).or_else(exif)
    }

    /// What is kept of the metadata (the profile is not looked at), and how the picture lies, 1 to 8 as EXIF
    /// counts. What is damaged is dropped with a word about it.
    pub fn origin(self, warnings: &mut Vec<String>) -> (Origin, u8) {
        warnings.extend(self.lost);
        let mut dropped = |what| {
            warnings.push(format!("its {what} metadata is damaged and was dropped"));
        };
        let exif = self.exif.and_then(|bytes| {
            let exif = Exif::parse(&bytes);
            if exif.is_none() {
                dropped("EXIF");
            }
            exif
        });
        let xmp = self.xmp.and_then(|bytes| {
            let xmp = xmp::parse(&bytes);
            if xmp.is_none() {
                dropped("XMP");
            }
            xmp
        });
        let orientation = exif.as_ref().and_then(Exif::orientation).unwrap_or(1);
        let density = self.density.or(exif.as_ref().and_then(Exif::density));
        // Lying pictures are printed as high as they are wide when upright.
        let density = density.map(|density| match orientation {
            5..=8 => Density {
                x: density.y,
                y: density.x,
            },
            _ => density,
        });
        let origin = Origin {
            icc: None,
            exif: exif.map(Exif::into_bytes),
            xmp,
            iptc: self.iptc,
            density,
        };
        (origin, orientation)
    }
}

/// The metadata that a picture is written with.
pub(super) struct Metadata {
    pub icc: Option<Vec<u8>>,
    pub exif: Option<Exif>,
    pub xmp: Option<String>,
    pub iptc: Option<Vec<u8>>,
    pub density: Option<Density>,
    pub provenance: Option<String>,
}

impl Metadata {
    /// What `picture` keeps of its origin, in its present size, with what `saving` adds. `icc` is the profile of
    /// the colours that are written.
    pub fn of(picture: &Picture, saving: &Saving, icc: Option<Vec<u8>>) -> Self {
        let kept = match saving.strip_metadata {
            true => Origin {
                density: picture.origin.density,
                ..Origin::default()
            },
            false => picture.origin.as_ref().clone(),
        };
        let provenance = saving.provenance.clone();
        let mut exif = kept.exif.as_deref().and_then(Exif::parse);
        if let Some(exif) = &mut exif {
            exif.drop_thumbnail();
            exif.clear_comment();
            exif.set_size(picture.width as u32, picture.height as u32);
        }
        if let Some(provenance) = &provenance {
            exif.get_or_insert_with(Exif::empty).set_comment(provenance);
        }
        let changes = xmp::Changes {
            width: picture.width,
            height: picture.height,
            provenance: provenance.as_deref(),
        };
        let changed = kept.xmp.as_deref().and_then(|xmp| changes.applied(xmp));
        Self {
            icc,
            exif,
            xmp: changed.or_else(|| changes.fresh()),
            iptc: kept.iptc,
            density: kept.density,
            provenance,
        }
    }

    /// A packet of XMP with the provenance alone, for formats that the whole is too large for.
    pub fn smallest_xmp(&self) -> Option<String> {
        let changes = xmp::Changes {
            width: 0,
            height: 0,
            provenance: self.provenance.as_deref(),
        };
        changes.fresh()
    }
}
