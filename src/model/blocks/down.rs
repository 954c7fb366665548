//! `DownBlock2D`, `AttnDownBlock2D` and `DownEncoderBlock2D`.

use burn::tensor::Tensor;

use super::{Attention, BlockStyle, ResnetBlock2D};
use crate::model::layers::Conv2d;
use crate::model::weights::Scope;

/// Residual blocks, each with attention or not, then a halving of the size.
pub struct DownBlock2D {
    resnets: Vec<ResnetBlock2D>,
    attentions: Vec<Attention>,
    downsampler: Option<Conv2d>,
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
    /// The downsampler's padding, where there is one.
    pub downsample_padding: Option<usize>,
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
            attentions: shape
                .attention_head_dim
                .map_or(Vec::new(), |head_dim| {
                    (0..shape.layers)
                        .map(|i| {
                            let scope = scope.item("attentions", i);
                            Attention::load(&scope, width, head_dim, Some(style.groups), style, 1.0)
                        })
                        .collect()
                }),
            downsampler: shape.downsample_padding.map(|padding| {
                Conv2d::downsample(&scope.item("downsamplers", 0).child("conv"), width, padding)
            }),
        }
    }

    /// The block's output; every intermediate state is handed to `keep` for the way up.
    pub fn forward(
        &self,
        mut x: Tensor<4>,
        temb: Option<&Tensor<2>>,
        mut keep: impl FnMut(&Tensor<4>),
    ) -> Tensor<4> {
        for (i, resnet) in self.resnets.iter().enumerate() {
            x = resnet.forward(x, temb);
            if let Some(attention) = self.attentions.get(i) {
                x = attention.forward(x);
            }
            keep(&x);
        }
        if let Some(downsampler) = &self.downsampler {
            x = downsampler.forward(x);
            keep(&x);
        }
        x
    }
}
