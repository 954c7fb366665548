//! Pictures in and out: decoding, encoding, alpha and the two fixed resizings.
//!
//! Everything outside this module sees a picture as `[H, W, C]` f32 values, sRGB-encoded, in 0..=1.
//! Nothing in here knows of networks or tensors.

mod alpha;
mod atomic;
mod blend;
mod container;
mod decode;
mod encode;
mod error;
mod format;
mod peek;
pub mod resize;
mod tiff_outline;

pub use alpha::bleed_under_alpha;
pub use atomic::{
    Existing, Sink, Unplaced, WriteError, new_part, part_prefix, place, write_atomically,
};
pub use blend::blend;
pub use container::Kind;
pub use decode::{Decoded, MAX_PIXELS, MAX_SIDE, decode, decode_png};
pub use encode::encode;
pub use error::{DecodeProblem, ImageError};
pub use format::Format;
pub use peek::peek;

/// How many bits a sample has in the file a picture came from, and in the file it should go to
/// where the format can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    Eight,
    Sixteen,
}

/// A picture in memory: sRGB-encoded values in 0..=1, row-major, interleaved, already turned
/// upright.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    pub width: usize,
    pub height: usize,
    /// `[H, W, 3]`. A grey picture has its value in all three channels.
    pub rgb: Vec<f32>,
    /// `[H, W]`, straight (not premultiplied); `None` means opaque.
    pub alpha: Option<Vec<f32>>,
    pub depth: Depth,
    /// The file held one grey channel, and one grey channel is to be written.
    pub gray: bool,
}

#[cfg(test)]
mod tests;
