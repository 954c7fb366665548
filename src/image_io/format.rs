//! The formats pictures are written in, how file names choose them, and what they can hold.

use std::fmt;
use std::path::Path;

use super::ImageError;

/// A format for output files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    Png,
    Jpeg,
    /// WebP of 8 bits a channel, lossless unless a quality is asked for.
    WebP,
    /// Deflated TIFF.
    Tiff,
}

impl Format {
    /// The endings [`Format::from_path`] knows, for messages and help texts.
    pub const ENDINGS: &str = ".png, .jpg, .jpeg, .webp, .tif or .tiff";

    /// The format that a file name's ending asks for, in any letter case.
    ///
    /// # Errors
    /// [`ImageError::UnknownEnding`], whose message names the known ones.
    pub fn from_path(path: &Path) -> Result<Self, ImageError> {
        let ending = path.extension().and_then(|ending| ending.to_str());
        match ending.map(str::to_ascii_lowercase).as_deref() {
            Some("png") => Ok(Self::Png),
            Some("jpg" | "jpeg") => Ok(Self::Jpeg),
            Some("webp") => Ok(Self::WebP),
            Some("tif" | "tiff") => Ok(Self::Tiff),
            _ => Err(ImageError::UnknownEnding { path: path.into() }),
        }
    }

    /// The longest side in pixels that the format can hold.
    pub fn max_side(self) -> usize {
        match self {
            Self::Png => (1 << 31) - 1,
            Self::Jpeg => 65_535,
            // The lossless bit stream could say 16384, but libwebp, and so nearly every reader,
            // stops here.
            Self::WebP => 16_383,
            Self::Tiff => u32::MAX as usize,
        }
    }

    /// The most pixels in all that the format can hold.
    ///
    /// A TIFF file cannot pass 4 GiB; the number leaves room for 16-bit RGBA, the largest pixel
    /// written.
    pub fn max_pixels(self) -> usize {
        match self {
            Self::Tiff => (1 << 29) - (1 << 20),
            _ => usize::MAX,
        }
    }

    /// Whether a picture of this size in pixels can be written; cheap, so that callers ask before
    /// they compute.
    ///
    /// # Errors
    /// [`ImageError::OutputSize`] if a side is zero or the format cannot hold so much.
    pub fn check_size(self, width: usize, height: usize) -> Result<(), ImageError> {
        let side_fits = |side: usize| (1..=self.max_side()).contains(&side);
        if side_fits(width)
            && side_fits(height)
            && width.saturating_mul(height) <= self.max_pixels()
        {
            Ok(())
        } else {
            Err(ImageError::OutputSize {
                format: self,
                width,
                height,
            })
        }
    }

    /// Whether 16 bits a channel can be kept.
    pub fn holds_sixteen_bits(self) -> bool {
        matches!(self, Self::Png | Self::Tiff)
    }

    /// Whether transparency can be kept.
    pub fn holds_alpha(self) -> bool {
        !matches!(self, Self::Jpeg)
    }

    /// Whether [`Saving::quality`](super::Saving::quality) means anything: JPEG, and WebP, which loses
    /// nothing without it.
    pub fn has_quality(self) -> bool {
        matches!(self, Self::Jpeg | Self::WebP)
    }

    /// What the format can hold, in words, for messages.
    pub(super) fn capacity(self) -> String {
        match self {
            Self::Tiff => format!("1 to {} pixels in all", self.max_pixels()),
            _ => format!("1 to {} pixels a side", self.max_side()),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Png => "PNG",
            Self::Jpeg => "JPEG",
            Self::WebP => "WebP",
            Self::Tiff => "TIFF",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_choose_the_format_in_any_letter_case() {
        let cases = [
            ("a.png", Format::Png),
            ("a.b/c.JPG", Format::Jpeg),
            ("a.Jpeg", Format::Jpeg),
            ("a.WEBP", Format::WebP),
            ("a.tif", Format::Tiff),
            ("a.x.TIFF", Format::Tiff),
        ];
        for (name, format) in cases {
            assert_eq!(
                Format::from_path(Path::new(name)).unwrap(),
                format,
                "{name}"
            );
        }
    }

    #[test]
    fn unknown_endings_are_refused_and_the_known_ones_named() {
        for name in ["a", "a.bmp", "png", ".png", "a.", "a.png.txt", ""] {
            let message = Format::from_path(Path::new(name)).unwrap_err().to_string();
            assert!(
                message.contains(".webp") && message.contains(name),
                "{message}"
            );
        }
    }

    #[test]
    fn sizes_are_checked_against_the_format() {
        assert!(Format::Jpeg.check_size(65_535, 65_535).is_ok());
        assert!(Format::Jpeg.check_size(65_536, 1).is_err());
        assert!(Format::WebP.check_size(1, 16_383).is_ok());
        assert!(Format::WebP.check_size(1, 16_384).is_err());
        assert!(Format::Png.check_size(400_000, 400_000).is_ok());
        assert!(Format::Tiff.check_size(23_000, 23_000).is_ok());
        assert!(Format::Tiff.check_size(23_500, 23_500).is_err());
        for format in [Format::Png, Format::Jpeg, Format::WebP, Format::Tiff] {
            assert!(format.check_size(0, 5).is_err() && format.check_size(5, 0).is_err());
            assert!(format.check_size(usize::MAX, usize::MAX).is_err());
        }
        let message = Format::WebP
            .check_size(20_000, 300)
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("20000 x 300") && message.contains("16383"),
            "{message}"
        );
    }
}
