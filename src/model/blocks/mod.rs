//! The building blocks of diffusers' UNets and autoencoders, under their names there.

mod attention;
mod down;
mod mid;
mod resnet;
mod up;

pub use attention::Attention;
pub use down::{DownBlock2D, DownShape, Downsample};
pub use mid::{MidAttention, UNetMidBlock2D};
pub use resnet::ResnetBlock2D;
pub use up::{UpBlock2D, UpShape, Upsample};

/// What all blocks of a network have in common.
#[derive(Clone, Copy, Debug)]
pub struct BlockStyle {
    /// Groups of every normalisation.
    pub groups: usize,
    /// Added to every variance.
    pub eps: f64,
    /// Width of the time embedding; an autoencoder has none.
    pub temb_channels: Option<usize>,
    /// `resnet_time_scale_shift: scale_shift`: the embedding scales and shifts after the norm.
    pub scale_shift: bool,
}
