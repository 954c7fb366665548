//! `UNetMidBlock2D`.

use burn::tensor::Tensor;

use super::{Attention, BlockStyle, ResnetBlock2D};
use crate::model::norms::Pass;
use crate::model::weights::Scope;

/// A residual block, attention or not, and another residual block.
pub struct UNetMidBlock2D {
    first: ResnetBlock2D,
    attention: Option<Attention>,
    second: ResnetBlock2D,
}

/// The attention of a [`UNetMidBlock2D`].
pub struct MidAttention {
    /// Channels per head.
    pub head_dim: usize,
    /// Groups of its normalisation, where it has one.
    pub groups: Option<usize>,
}

impl UNetMidBlock2D {
    /// The block at `scope`; every part's output is divided by `scale_factor`.
    pub fn load(
        scope: &Scope,
        channels: usize,
        attention: Option<MidAttention>,
        scale_factor: f64,
        style: BlockStyle,
    ) -> Self {
        let resnet = |i| {
            ResnetBlock2D::load(&scope.item("resnets", i), channels, channels, style)
                .scaled(scale_factor)
        };
        UNetMidBlock2D {
            first: resnet(0),
            attention: attention.map(|MidAttention { head_dim, groups }| {
                let scope = scope.item("attentions", 0);
                Attention::load(&scope, channels, head_dim, groups, style, scale_factor)
            }),
            second: resnet(1),
        }
    }

    /// `[N, C, H, W]` to the same.
    pub fn forward(&self, x: Tensor<4>, pass: &Pass) -> Tensor<4> {
        let mut x = self.first.forward(x, pass);
        if let Some(attention) = &self.attention {
            x = attention.forward(x, pass);
        }
        self.second.forward(x, pass)
    }
}
