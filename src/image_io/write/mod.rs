//! The formats that pictures are written in: pixels row by row, and metadata where each has its place.

mod jpeg;
mod png;
mod tiff;
mod webp;

pub(super) use jpeg::jpeg;
pub(super) use png::png;
pub(super) use tiff::tiff;
pub(super) use webp::webp;
