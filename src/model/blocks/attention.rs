//! `Attention` as the 2D blocks use it: self-attention over the pixels, with a residual.

use burn::tensor::{FloatDType, Tensor};

use super::BlockStyle;
use super::resnet::divided;
use crate::model::layers::{GroupNorm, Linear};
use crate::model::norms::Pass;
use crate::model::weights::Scope;
use crate::ops;

/// Multi-head self-attention over `H·W` tokens.
pub struct Attention {
    group_norm: Option<GroupNorm>,
    to_q: Linear,
    to_k: Linear,
    to_v: Linear,
    to_out: Linear,
    heads: usize,
    rescale_output_factor: f64,
}

impl Attention {
    /// `groups` is `None` where diffusers leaves the normalisation out.
    pub fn load(
        scope: &Scope,
        channels: usize,
        head_dim: usize,
        groups: Option<usize>,
        style: BlockStyle,
        rescale_output_factor: f64,
    ) -> Self {
        // Checkpoints of 2022 have the second name.
        let linear = |names: [&str; 2]| Linear::load_named(scope, &names, channels, channels);
        Attention {
            group_norm: groups.map(|groups| {
                GroupNorm::load(&scope.child("group_norm"), channels, groups, style.eps)
            }),
            to_q: linear(["to_q", "query"]),
            to_k: linear(["to_k", "key"]),
            to_v: linear(["to_v", "value"]),
            to_out: linear(["to_out.0", "proj_attn"]),
            heads: channels / head_dim,
            rescale_output_factor,
        }
    }

    /// One for each of a block's `layers`, where the block has attention at all.
    pub fn load_list(
        scope: &Scope,
        layers: usize,
        channels: usize,
        head_dim: Option<usize>,
        style: BlockStyle,
    ) -> Vec<Self> {
        let load = |i, head_dim| {
            let scope = scope.item("attentions", i);
            Attention::load(&scope, channels, head_dim, Some(style.groups), style, 1.0)
        };
        (0..layers)
            .filter_map(|i| Some(load(i, head_dim?)))
            .collect()
    }

    /// `[N, C, H, W]` to the same. Scores leave f16's range: all of it is f32 inside.
    pub fn forward(&self, x: Tensor<4>, pass: &Pass) -> Tensor<4> {
        let [batch, channels, height, width] = x.dims();
        let (tokens, head_dim) = (height * width, channels / self.heads);
        let normal = match &self.group_norm {
            Some(norm) => norm.forward(x.clone(), pass),
            None => x.clone(),
        };
        let sequence: Tensor<3> = normal
            .cast(FloatDType::F32)
            .reshape([batch, channels, tokens])
            .swap_dims(1, 2);
        let heads = |linear: &Linear| -> Tensor<4> {
            linear
                .forward(sequence.clone())
                .reshape([batch, tokens, self.heads, head_dim])
                .swap_dims(1, 2)
        };
        let attended = ops::attention(heads(&self.to_q), heads(&self.to_k), heads(&self.to_v));
        let attended: Tensor<3> = attended.swap_dims(1, 2).reshape([batch, tokens, channels]);
        let out = self
            .to_out
            .forward(attended)
            .swap_dims(1, 2)
            .reshape([batch, channels, height, width])
            .cast(x.dtype());
        divided(out + x, self.rescale_output_factor)
    }
}
