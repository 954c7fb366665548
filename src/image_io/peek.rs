//! The size of a picture file, from its headers alone.

use std::path::Path;

use image::ImageReader;

use super::decode::size_is_sane;

/// Width and height in pixels as the file stores them: before it is turned upright. Nothing but headers is
/// read, so that a damaged file may pass; `None` where they do not tell or are absurd, which decoding explains.
pub fn peek(path: &Path) -> Option<(u32, u32)> {
    // A pipe would wait for its other end.
    if !path.metadata().ok()?.is_file() {
        return None;
    }
    let reader = ImageReader::open(path).ok()?;
    let size = reader.with_guessed_format().ok()?.into_dimensions().ok()?;
    size_is_sane(size.0, size.1).then_some(size)
}
