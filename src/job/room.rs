//! Whether the memory has room for a picture and a disk for its result, asked before hours are spent on it.

use std::path::Path;

use bytesize::ByteSize;

use super::Task;
use super::lanes::is_small;
use super::outputs::folder_of;
use crate::device::{memory_budget, release_memory};
use crate::error::{Error, Result};
use crate::image_io::{Depth, Format, ImageError, Picture, WriteError, decoding_bytes, peek};

/// The least that a lossless file takes of its uncompressed size: photographs take twice as much.
const LEAST_LOSSLESS: f64 = 0.2;
/// The least that a lossy file takes: bytes per pixel.
const LEAST_LOSSY: f64 = 0.03;

/// An error if a large picture would take more memory to decode than `limit` or the machine leaves, also when
/// `wait` has returned. A small one may be read beside the network, which leaves room for it.
///
/// # Errors
/// [`Error::Memory`].
pub fn check_memory(input: &Path, limit: Option<u64>, wait: &dyn Fn()) -> Result<()> {
    let Some((width, height)) = peek(input).filter(|&size| !is_small(size)) else {
        return Ok(());
    };
    let Some(needed) = decoding_bytes(input, (width, height)) else {
        return Ok(());
    };
    let mut left = memory_budget(limit);
    if needed > left {
        wait();
        release_memory();
        left = memory_budget(limit);
    }
    if needed <= left {
        return Ok(());
    }
    let size = |bytes: u64| ByteSize::b(bytes).display().iec().to_string();
    Err(Error::Memory(format!(
        "a picture of {width} × {height} pixels takes about {} of memory to decode, and {} is left: use a \
         smaller picture, or a higher --memory-limit",
        size(needed),
        size(left)
    )))
}

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
