//! Pictures in and out: decoding, encoding, alpha and the two fixed resizings.
//!
//! Everything outside this module sees a picture as `[H, W, C]` f32 values, sRGB-encoded, in 0..=1, with
//! what must survive beside it: its colour profile, the colours beyond sRGB, its metadata, its resolution.
//! Nothing in here knows of networks or tensors.

mod alpha;
mod atomic;
mod blend;
mod container;
mod decode;
mod encode;
mod error;
mod foreign;
mod format;
mod metadata;
mod origin;
mod peek;
mod profile;
pub mod resize;
mod tiff_outline;
mod write;

pub use alpha::bleed_under_alpha;
pub use atomic::{
    Existing, Sink, Unplaced, WriteError, new_part, part_prefix, place, write_atomically,
};
pub use blend::{blend, blend_with};
pub use container::Kind;
pub use decode::{Decoded, MAX_PIXELS, MAX_SIDE, decode, decode_png, provenance};
pub use encode::{QUALITIES, Saving, encode};
pub use error::{DecodeProblem, ImageError};
pub use format::Format;
pub use origin::{Density, Origin};
pub use peek::{decoding_bytes, peek};

use std::sync::Arc;

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
    /// `[H, W, 3]`, what the colours are beyond sRGB: added to `rgb` it gives them in sRGB's encoding
    /// continued below 0 and above 1. `None` where nothing is.
    pub beyond: Option<Vec<f32>>,
    /// `[H, W]`, straight (not premultiplied); `None` means opaque.
    pub alpha: Option<Vec<f32>>,
    pub depth: Depth,
    /// The file held one grey channel, and one grey channel is to be written.
    pub gray: bool,
    /// What else the file held, to be written again; plain sRGB without metadata by default.
    pub origin: Arc<Origin>,
}

impl Picture {
    /// An opaque picture of 8 bits a channel in plain sRGB: `rgb` is `[H, W, 3]`.
    pub fn srgb(width: usize, height: usize, rgb: Vec<f32>) -> Self {
        Self {
            width,
            height,
            rgb,
            beyond: None,
            alpha: None,
            depth: Depth::Eight,
            gray: false,
            origin: Arc::default(),
        }
    }

    /// The enlargement of this picture whose colours a network made: `rgb` is `[4H, 4W, 3]`.
    ///
    /// Alpha and the colours beyond sRGB are enlarged by [`resize::bicubic_x4`]. What lies beyond an end of
    /// sRGB's range belongs to values at that end, so it fades where the network drew others: it would be a
    /// fringe there.
    ///
    /// # Panics
    /// If `rgb` has another size.
    pub fn enlarged(&self, rgb: Vec<f32>) -> Self {
        let (width, height) = (self.width * resize::FACTOR, self.height * resize::FACTOR);
        assert_eq!(rgb.len(), width * height * 3, "rgb must be [4H, 4W, 3]");
        let enlarge = |plane: &Vec<f32>, channels| {
            resize::bicubic_x4(plane, self.width, self.height, channels)
        };
        let mut beyond = self.beyond.as_ref().map(|beyond| enlarge(beyond, 3));
        for (beyond, value) in beyond.iter_mut().flatten().zip(&rgb) {
            let end = if *beyond < 0.0 { 0.0 } else { 1.0 };
            *beyond *= (1.0 - (value - end).abs() / FADE).max(0.0);
        }
        Self {
            width,
            height,
            rgb,
            beyond,
            alpha: self.alpha.as_ref().map(|alpha| enlarge(alpha, 1)),
            depth: self.depth,
            gray: self.gray,
            origin: self.origin.clone(),
        }
    }

    /// This picture in another size, all of it by [`resize::lanczos`].
    pub fn resized(&self, width: usize, height: usize) -> Self {
        let resize = |plane: &Vec<f32>, channels| {
            resize::lanczos(plane, self.width, self.height, channels, [width, height])
        };
        // The filter overshoots.
        let clamped = |plane: Vec<f32>| plane.into_iter().map(|v| v.clamp(0.0, 1.0)).collect();
        Self {
            width,
            height,
            rgb: clamped(resize(&self.rgb, 3)),
            beyond: self.beyond.as_ref().map(|beyond| resize(beyond, 3)),
            alpha: (self.alpha.as_ref()).map(|alpha| clamped(resize(alpha, 1))),
            depth: self.depth,
            gray: self.gray,
            origin: self.origin.clone(),
        }
    }

    /// This picture in this size: resized, unless it has it.
    pub fn sized(self, [width, height]: [usize; 2]) -> Self {
        match [self.width, self.height] == [width, height] {
            true => self,
            false => self.resized(width, height),
        }
    }

    /// The part of `width` x `height` pixels whose first pixel is the one at `left`, `top`.
    ///
    /// # Panics
    /// If the part reaches outside.
    pub fn part(&self, left: usize, top: usize, width: usize, height: usize) -> Self {
        assert!(left + width <= self.width && top + height <= self.height);
        let cut = |plane: &Vec<f32>, channels: usize| -> Vec<f32> {
            let rows = plane.chunks_exact(self.width * channels);
            rows.skip(top)
                .take(height)
                .flat_map(|row| &row[left * channels..(left + width) * channels])
                .copied()
                .collect()
        };
        Self {
            width,
            height,
            rgb: cut(&self.rgb, 3),
            beyond: self.beyond.as_ref().map(|beyond| cut(beyond, 3)),
            alpha: self.alpha.as_ref().map(|alpha| cut(alpha, 1)),
            depth: self.depth,
            gray: self.gray,
            origin: self.origin.clone(),
        }
    }
}

/// How far from its end of the range a value has nothing left of what the input has beyond that end.
const FADE: f32 = 0.25;

#[cfg(test)]
mod tests;
