//! `UpBlock2D`, `AttnUpBlock2D` and `UpDecoderBlock2D`.

use burn::tensor::Tensor;

use super::resnet::Resample;
use super::{Attention, BlockStyle, ResnetBlock2D};
use crate::model::layers::Conv2d;
use crate::model::norms::Pass;
use crate::model::weights::Scope;
use crate::ops;

/// Residual blocks, each with attention or not and fed with a state from the way down or not, then
/// a doubling of the size.
pub struct UpBlock2D {
    resnets: Vec<ResnetBlock2D>,
    attentions: Vec<Attention>,
    upsampler: Option<Upsampler>,
}

enum Upsampler {
    Conv(Conv2d),
    Resnet(ResnetBlock2D),
}

/// How an [`UpBlock2D`] doubles the size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upsample {
    /// By repeating pixels and a convolution (`upsample_type: conv`).
    Conv,
    /// By a residual block (`upsample_type: resnet`).
    Resnet,
}

/// The shape of an [`UpBlock2D`].
pub struct UpShape {
    /// Input channels of each residual block, with what is concatenated.
    pub channels_in: Vec<usize>,
    /// Channels going out.
    pub channels_out: usize,
    /// Channels per head, where there is attention.
    pub attention_head_dim: Option<usize>,
    /// How the size is doubled at the end, where it is.
    pub upsample: Option<Upsample>,
}

impl UpBlock2D {
    /// The block at `scope`.
    pub fn load(scope: &Scope, shape: UpShape, style: BlockStyle) -> Self {
        let width = shape.channels_out;
        let layers = shape.channels_in.len();
        UpBlock2D {
            resnets: (shape.channels_in.iter().enumerate())
                .map(|(i, &input)| {
                    ResnetBlock2D::load(&scope.item("resnets", i), input, width, style)
                })
                .collect(),
            attentions: Attention::load_list(scope, layers, width, shape.attention_head_dim, style),
            upsampler: shape.upsample.map(|kind| {
                let scope = scope.item("upsamplers", 0);
                match kind {
                    Upsample::Conv => {
                        Upsampler::Conv(Conv2d::same3(&scope.child("conv"), width, width))
                    }
                    Upsample::Resnet => Upsampler::Resnet(
                        ResnetBlock2D::load(&scope, width, width, style).resampling(Resample::Up),
                    ),
                }
            }),
        }
    }

    /// `skip` gives the states of the way down, last one first; an autoencoder has none.
    pub fn forward(
        &self,
        x: Tensor<4>,
        pass: &Pass,
        skip: impl FnMut() -> Option<Tensor<4>>,
    ) -> Tensor<4> {
        let x = self.refine(x, pass, skip);
        match &self.upsampler {
            Some(Upsampler::Conv(conv)) => conv.forward(ops::upsample_nearest_2x(x)),
            Some(Upsampler::Resnet(resnet)) => resnet.forward(x, pass),
            None => x,
        }
    }

    /// The part of [`Self::forward`] before the size is doubled.
    pub fn refine(
        &self,
        mut x: Tensor<4>,
        pass: &Pass,
        mut skip: impl FnMut() -> Option<Tensor<4>>,
    ) -> Tensor<4> {
        for (i, resnet) in self.resnets.iter().enumerate() {
            if let Some(state) = skip() {
                x = Tensor::cat(vec![x, state], 1);
            }
            x = resnet.forward(x, pass);
            if let Some(attention) = self.attentions.get(i) {
                x = attention.forward(x, pass);
            }
        }
        x
    }
}
