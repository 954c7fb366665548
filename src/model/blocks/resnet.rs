//! `ResnetBlock2D`.

use burn::tensor::{FloatDType, Tensor, module::avg_pool2d, ops::AvgPoolOptions};

use super::BlockStyle;
use crate::model::layers::{Conv2d, GroupNorm, Linear};
use crate::model::norms::Pass;
use crate::model::weights::Scope;
use crate::ops;

/// What a residual block does to the size on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resample {
    /// Doubles it by repeating pixels.
    Up,
    /// Halves it by averaging.
    Down,
}

impl Resample {
    fn apply(self, x: Tensor<4>) -> Tensor<4> {
        match self {
            Resample::Up => ops::upsample_nearest_2x(x),
            Resample::Down => avg_pool2d(x, AvgPoolOptions::new([2, 2]).with_stride([2, 2])),
        }
    }
}

/// Two normalised convolutions around the time embedding, and a shortcut.
pub struct ResnetBlock2D {
    norm1: GroupNorm,
    conv1: Conv2d,
    time_emb_proj: Option<Linear>,
    norm2: GroupNorm,
    conv2: Conv2d,
    conv_shortcut: Option<Conv2d>,
    scale_shift: bool,
    output_scale_factor: f64,
    resample: Option<Resample>,
}

impl ResnetBlock2D {
    /// From `channels_in` to `channels_out`.
    pub fn load(scope: &Scope, channels_in: usize, channels_out: usize, style: BlockStyle) -> Self {
        let projected = channels_out * if style.scale_shift { 2 } else { 1 };
        let norm =
            |name, channels| GroupNorm::load(&scope.child(name), channels, style.groups, style.eps);
        ResnetBlock2D {
            norm1: norm("norm1", channels_in),
            conv1: Conv2d::same3(&scope.child("conv1"), channels_in, channels_out),
            time_emb_proj: style
                .temb_channels
                .map(|width| Linear::load(&scope.child("time_emb_proj"), width, projected)),
            norm2: norm("norm2", channels_out),
            conv2: Conv2d::same3(&scope.child("conv2"), channels_out, channels_out),
            conv_shortcut: (channels_in != channels_out).then(|| {
                Conv2d::pointwise(&scope.child("conv_shortcut"), channels_in, channels_out)
            }),
            scale_shift: style.scale_shift,
            output_scale_factor: 1.0,
            resample: None,
        }
    }

    /// The same, with its output divided by `factor`.
    pub fn scaled(mut self, factor: f64) -> Self {
        self.output_scale_factor = factor;
        self
    }

    /// The same, changing the size between normalisation and convolution.
    pub fn resampling(mut self, resample: Resample) -> Self {
        self.resample = Some(resample);
        self
    }

    /// `x` is `[N, C, H, W]`.
    pub fn forward(&self, x: Tensor<4>, pass: &Pass) -> Tensor<4> {
        let mut hidden = self.norm1.forward_silu(x.clone(), pass);
        let x = match self.resample {
            Some(resample) => {
                hidden = resample.apply(hidden);
                resample.apply(x)
            }
            None => x,
        };
        hidden = self.conv1.forward(hidden);
        let projected = match (&self.time_emb_proj, &pass.temb) {
            (Some(project), Some(temb)) => Some(project.forward(temb.clone())),
            _ => None,
        };
        hidden = match projected {
            Some(temb) if self.scale_shift => {
                let temb = temb.cast(FloatDType::F32);
                let width = temb.dims()[1] / 2;
                let half = |start| temb.clone().narrow(1, start, width).reshape([width]);
                self.norm2
                    .forward_modulated(hidden, half(0), half(width), pass)
            }
            Some(temb) => {
                let [batch, width] = temb.dims();
                let temb = temb.reshape([batch, width, 1, 1]).cast(hidden.dtype());
                self.norm2.forward_silu(hidden + temb, pass)
            }
            None => self.norm2.forward_silu(hidden, pass),
        };
        hidden = self.conv2.forward(hidden);
        let shortcut = match &self.conv_shortcut {
            Some(conv) => conv.forward(x),
            None => x,
        };
        divided(shortcut + hidden, self.output_scale_factor)
    }
}

/// `x / factor`, which is `x` for the usual factor of 1.
pub(super) fn divided(x: Tensor<4>, factor: f64) -> Tensor<4> {
    if factor == 1.0 { x } else { x / factor }
}
