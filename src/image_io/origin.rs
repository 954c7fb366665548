//! What a picture file holds beside its pixels, and what is written again into the enlarged one.

/// Colour profile, metadata and resolution of the file that a picture was read from.
///
/// Everything in here was checked when it was read: what was damaged is not here.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Origin {
    /// The ICC profile that the file's colours are in; `None` is plain sRGB.
    pub icc: Option<Vec<u8>>,
    /// EXIF, as a TIFF structure from its byte order mark on.
    pub exif: Option<Vec<u8>>,
    /// XMP, the packet.
    pub xmp: Option<String>,
    /// IPTC-IIM datasets.
    pub iptc: Option<Vec<u8>>,
    pub density: Option<Density>,
}

/// How large the picture is when printed, in pixels per inch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Density {
    pub x: f64,
    pub y: f64,
}
