//! `DownBlock2D`, `AttnDownBlock2D` and `DownEncoderBlock2D`.

use burn::tensor::Tensor;

use super::resnet::Resample;
use super::{Attention, BlockStyle, ResnetBlock2D};
use crate::model::layers::Conv2d;
use crate::model::norms::Pass;
use crate::model::weights::Scope;

/// Residual blocks, each with attention or not, then a halving of the size.
pub struct DownBlock2D {
    resnets: Vec<ResnetBlock2D>,
    attentions: Vec<Attention>,
    downsampler: Option<Downsampler>,
}

enum Downsampler {
    Conv(Conv2d),
    Resnet(ResnetBlock2D),
}

/// How a [`DownBlock2D`] halves the size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Downsample {
    /// By a convolution with this padding (`downsample_type: conv`).
    Conv {
        /// 0 pads the far sides only.
        padding: usize,
    },
    /// By a residual block (`downsample_type: resnet`).
    Resnet,
}

/// The shape of a [`DownBlock2D`].
pub struct DownShape {
    /// Channels coming in.
    pub channels_in: usize,
    /// Channels going out.
    pub channels_out: usize,
    /// Residual blocks.
    pub layers: usize,
    /// Channels per head, where there is attention.
    pub attention_head_dim: Option<usize>,
    /// How the size is halved, where it is.
    pub downsample: Option<Downsample>,
}

impl DownBlock2D {
    /// The block at `scope`.
    pub fn load(scope: &Scope, shape: DownShape, style: BlockStyle) -> Self {
        let width = shape.channels_out;
        let input = |i| if i == 0 { shape.channels_in } else { width };
        DownBlock2D {
            resnets: (0..shape.layers)
                .map(|i| ResnetBlock2D::load(&scope.item("resnets", i), input(i), width, style))
                .collect(),
            attentions: Attention::load_list(
                scope,
                shape.layers,
                width,
                shape.attention_head_dim,
                style,
            ),
            downsampler: shape.downsample.map(|kind| {
                let scope = scope.item("downsamplers", 0);
                match kind {
                    Downsample::Conv { padding } => {
                        Downsampler::Conv(Conv2d::downsample(&scope.child("conv"), width, padding))
                    }
                    Downsample::Resnet => Downsampler::Resnet(
                        ResnetBlock2D::load(&scope, width, width, style).resampling(Resample::Down),
                    ),
                }
            }),
        }
    }

    /// The block's output; every intermediate state is handed to `keep` for the way up.
    pub fn forward(
        &self,
        mut x: Tensor<4>,
        pass: &Pass,
        mut keep: impl FnMut(&Tensor<4>),
    ) -> Tensor<4> {
        for (i, resnet) in self.resnets.iter().enumerate() {
            x = resnet.forward(x, pass);
            if let Some(attention) = self.attentions.get(i) {
                x = attention.forward(x, pass);
            }
            keep(&x);
        }
        if let Some(downsampler) = &self.downsampler {
            x = match downsampler {
                Downsampler::Conv(conv) => conv.forward(x),
                Downsampler::Resnet(resnet) => resnet.forward(x, pass),
            };
            keep(&x);
        }
        x
    }
}
