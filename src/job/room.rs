//! Whether a disk has room for a result, asked before hours are spent on it.

use super::Task;
use super::outputs::folder_of;
use crate::error::Result;
use crate::image_io::{Depth, Format, ImageError, Picture, WriteError};

/// The least that a lossless file takes of its uncompressed size: photographs take twice as much.
const LEAST_LOSSLESS: f64 = 0.2;
/// The least that a lossy file takes: bytes per pixel.
const LEAST_LOSSY: f64 = 0.03;

/// An error if the result of `picture`, of `size`, surely finds no room where `task` writes it.
///
/// # Errors
/// [`ImageError::Write`].
pub fn check(task: &Task, picture: &Picture, size: [usize; 2]) -> Result<()> {
    let pixels = size[0] as f64 * size[1] as f64;
    let channels = if picture.gray { 1.0 } else { 3.0 };
    let sample = match picture.depth {
        Depth::Eight => 1.0,
        Depth::Sixteen => 2.0,
    };
    let least = match task.format {
        Format::Jpeg | Format::WebP => LEAST_LOSSY * pixels,
        Format::Png | Format::Tiff => LEAST_LOSSLESS * pixels * channels * sample,
    };
    // The nearest folder that exists; where nothing can be asked, writing will tell.
    let folder = folder_of(&task.output);
    let Some(existing) = folder.ancestors().find(|folder| folder.is_dir()) else {
        return Ok(());
    };
    // What is no disk says that it holds nothing.
    let is_disk = fs4::total_space(existing).is_ok_and(|total| total > 0);
    match fs4::available_space(existing) {
        Ok(free) if is_disk && (free as f64) < least => Err(ImageError::from(WriteError::Failed {
            path: task.output.clone(),
            cause: std::io::ErrorKind::StorageFull.into(),
        })
        .into()),
        _ => Ok(()),
    }
}
