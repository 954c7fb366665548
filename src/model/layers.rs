//! The layers that everything is built of: convolution, group normalisation, linear.

use burn::tensor::{Tensor, module};

use super::norms::Pass;
use super::weights::Scope;
use crate::ops;

/// `torch.nn.Conv2d` with a square kernel.
pub struct Conv2d {
    weight: Tensor<4>,
    bias: Tensor<1>,
    geometry: ops::Conv2d,
}

impl Conv2d {
    /// A 3×3 convolution that keeps the size.
    pub fn same3(scope: &Scope, channels_in: usize, channels_out: usize) -> Self {
        let geometry = ops::Conv2d {
            stride: 1,
            pad_start: 1,
            pad_end: 1,
        };
        Self::load(scope, channels_in, channels_out, 3, geometry)
    }

    /// A 1×1 convolution.
    pub fn pointwise(scope: &Scope, channels_in: usize, channels_out: usize) -> Self {
        let geometry = ops::Conv2d {
            stride: 1,
            pad_start: 0,
            pad_end: 0,
        };
        Self::load(scope, channels_in, channels_out, 1, geometry)
    }

    /// Halves the size by a 3×3 convolution; `padding` 0 pads the far sides only, as diffusers does.
    pub fn downsample(scope: &Scope, channels: usize, padding: usize) -> Self {
        let geometry = ops::Conv2d {
            stride: 2,
            pad_start: padding,
            pad_end: 1,
        };
        Self::load(scope, channels, channels, 3, geometry)
    }

    fn load(
        scope: &Scope,
        channels_in: usize,
        channels_out: usize,
        kernel: usize,
        geometry: ops::Conv2d,
    ) -> Self {
        Conv2d {
            weight: scope
                .tensor("weight", [channels_out, channels_in, kernel, kernel])
                .cast(scope.floats()),
            bias: scope.tensor("bias", [channels_out]),
            geometry,
        }
    }

    /// `[N, I, H, W]` to `[N, O, H', W']`, both of what this convolution holds.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        ops::conv2d(x, self.weight.clone(), self.bias.clone(), self.geometry)
    }
}

/// `torch.nn.GroupNorm`, with the SiLU that usually follows.
pub struct GroupNorm {
    weight: Tensor<1>,
    bias: Tensor<1>,
    groups: usize,
    eps: f64,
}

impl GroupNorm {
    /// For `channels` in `groups`.
    pub fn load(scope: &Scope, channels: usize, groups: usize, eps: f64) -> Self {
        GroupNorm {
            weight: scope.tensor("weight", [channels]),
            bias: scope.tensor("bias", [channels]),
            groups,
            eps,
        }
    }

    /// The normalisation alone.
    pub fn forward(&self, x: Tensor<4>, pass: &Pass) -> Tensor<4> {
        self.run(x, self.weight.clone(), self.bias.clone(), false, pass)
    }

    /// The normalisation, then SiLU.
    pub fn forward_silu(&self, x: Tensor<4>, pass: &Pass) -> Tensor<4> {
        self.run(x, self.weight.clone(), self.bias.clone(), true, pass)
    }

    /// The normalisation times `1 + scale` plus `shift`, each `[C]` in f32, then SiLU. Both go into the weight and the
    /// bias, so that the picture is passed over no more often than without them.
    pub fn forward_modulated(
        &self,
        x: Tensor<4>,
        scale: Tensor<1>,
        shift: Tensor<1>,
        pass: &Pass,
    ) -> Tensor<4> {
        let scale = scale + 1.0;
        let weight = self.weight.clone() * scale.clone();
        let bias = self.bias.clone() * scale + shift;
        self.run(x, weight, bias, true, pass)
    }

    fn run(
        &self,
        x: Tensor<4>,
        weight: Tensor<1>,
        bias: Tensor<1>,
        silu: bool,
        pass: &Pass,
    ) -> Tensor<4> {
        let params = ops::GroupNorm {
            groups: self.groups,
            eps: self.eps,
            silu,
        };
        pass.group_norm(x, weight, bias, params)
    }
}

/// `torch.nn.Linear`.
pub struct Linear {
    /// `[in, out]`, which is what burn multiplies by.
    weight: Tensor<2>,
    bias: Tensor<1>,
}

impl Linear {
    /// The layer at `scope`.
    pub fn load(scope: &Scope, features_in: usize, features_out: usize) -> Self {
        Self::load_named(scope, &[""], features_in, features_out)
    }

    /// The layer under the first of `names` that the file has.
    pub fn load_named(
        scope: &Scope,
        names: &[&str],
        features_in: usize,
        features_out: usize,
    ) -> Self {
        let keys = |part: &str| -> Vec<String> {
            let key = |name: &&str| match *name {
                "" => part.to_string(),
                name => format!("{name}.{part}"),
            };
            names.iter().map(key).collect()
        };
        Linear {
            weight: scope
                .matrix(&keys("weight"), [features_out, features_in])
                .transpose(),
            bias: scope.vector(&keys("bias"), features_out),
        }
    }

    /// `[.., in]` to `[.., out]`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        module::linear(x, self.weight.clone(), Some(self.bias.clone()))
    }
}
