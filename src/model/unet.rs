//! `UNet2DModel`: predicts noise (or v, or x0) from noisy latents beside the low-resolution picture.

use burn::tensor::{Device, FloatDType, Tensor, TensorData, activation::silu};

use super::blocks::{
    BlockStyle, DownBlock2D, DownShape, Downsample, MidAttention, UNetMidBlock2D, UpBlock2D,
    UpShape, Upsample,
};
use super::config::UNetConfig;
use super::layers::{Conv2d, GroupNorm, Linear};
use super::norms::Norms;
use super::weights::Scope;

/// The denoising network.
pub struct UNet2DModel {
    config: UNetConfig,
    conv_in: Conv2d,
    /// What the way from conv_in to conv_out holds.
    floats: FloatDType,
    time_embedding: (Linear, Linear),
    /// `[2, T]`: what is added to the time embedding by what is said of the input.
    class_embedding: Option<Tensor<2>>,
    down_blocks: Vec<DownBlock2D>,
    mid_block: UNetMidBlock2D,
    up_blocks: Vec<UpBlock2D>,
    conv_norm_out: GroupNorm,
    conv_out: Conv2d,
}

impl UNet2DModel {
    /// Takes every tensor that `config` asks for; shapes are checked by the caller's
    /// [`super::weights::Weights::finish`].
    pub fn load(scope: &Scope, config: UNetConfig) -> Self {
        let widths = &config.block_out_channels;
        let levels = widths.len();
        let temb_channels = config.time_embedding_dim.unwrap_or(widths[0] * 4);
        let style = BlockStyle {
            groups: config.norm_num_groups,
            eps: config.norm_eps,
            temb_channels: Some(temb_channels),
            scale_shift: config.resnet_time_scale_shift == "scale_shift",
        };
        let head_dim = |width| config.attention_head_dim.unwrap_or(width);
        // diffusers heeds the types in its attention blocks only.
        let down_blocks = (0..levels)
            .map(|i| {
                let attends = config.down_block_types[i].starts_with("Attn");
                let downsample = match config.downsample_type.as_str() {
                    "resnet" if attends => Downsample::Resnet,
                    _ => Downsample::Conv {
                        padding: config.downsample_padding,
                    },
                };
                let shape = DownShape {
                    channels_in: widths[i.saturating_sub(1)],
                    channels_out: widths[i],
                    layers: config.layers_per_block,
                    attention_head_dim: attends.then(|| head_dim(widths[i])),
                    downsample: (i + 1 < levels).then_some(downsample),
                };
                DownBlock2D::load(&scope.item("down_blocks", i), shape, style)
            })
            .collect();
        let deepest = widths[levels - 1];
        let mid_attention = config.add_attention.then(|| MidAttention {
            head_dim: head_dim(deepest),
            groups: config
                .attn_norm_num_groups
                .or((!style.scale_shift).then_some(style.groups)),
        });
        let up_blocks = (0..levels)
            .map(|i| {
                let level = levels - 1 - i;
                let attends = config.up_block_types[i].starts_with("Attn");
                let upsample = match config.upsample_type.as_str() {
                    "resnet" if attends => Upsample::Resnet,
                    _ => Upsample::Conv,
                };
                let shape = UpShape {
                    channels_in: up_inputs(widths, level, config.layers_per_block),
                    channels_out: widths[level],
                    attention_head_dim: attends.then(|| head_dim(widths[level])),
                    upsample: (level > 0).then_some(upsample),
                };
                UpBlock2D::load(&scope.item("up_blocks", i), shape, style)
            })
            .collect();
        UNet2DModel {
            conv_in: Conv2d::same3(&scope.child("conv_in"), config.in_channels, widths[0]),
            floats: scope.floats(),
            time_embedding: (
                Linear::load(
                    &scope.child("time_embedding.linear_1"),
                    widths[0],
                    temb_channels,
                ),
                Linear::load(
                    &scope.child("time_embedding.linear_2"),
                    temb_channels,
                    temb_channels,
                ),
            ),
            class_embedding: config.num_class_embeds.map(|classes| {
                let name = "class_embedding.weight".to_string();
                scope.matrix(&[name], [classes, temb_channels])
            }),
            down_blocks,
            mid_block: UNetMidBlock2D::load(
                &scope.child("mid_block"),
                deepest,
                mid_attention,
                config.mid_block_scale_factor,
                style,
            ),
            up_blocks,
            conv_norm_out: GroupNorm::load(
                &scope.child("conv_norm_out"),
                widths[0],
                config.norm_num_groups,
                config.norm_eps,
            ),
            conv_out: Conv2d::same3(&scope.child("conv_out"), widths[0], config.out_channels),
            config,
        }
    }

    /// The config that the network was built from.
    pub fn config(&self) -> &UNetConfig {
        &self.config
    }

    /// What height and width must be multiples of.
    pub fn size_multiple(&self) -> usize {
        self.config.size_multiple()
    }

    /// Whether it can be told that an input is clean: it knows diffusers' class labels 0, any input, and 1,
    /// a clean one.
    pub fn knows_clean(&self) -> bool {
        self.class_embedding.is_some()
    }

    /// `sample` is `[N, in_channels, H, W]` with H and W multiples of [`Self::size_multiple`]; the
    /// result is `[N, out_channels, H, W]`. `clean` is what is said of the input, heard if
    /// [`Self::knows_clean`].
    pub fn forward(&self, sample: Tensor<4>, timestep: usize, clean: bool) -> Tensor<4> {
        self.forward_traced(sample, timestep, clean, |_, _| ())
    }

    /// [`Self::forward`], showing each stage's output by diffusers' name for it.
    pub fn forward_traced(
        &self,
        sample: Tensor<4>,
        timestep: usize,
        clean: bool,
        mut trace: impl FnMut(String, &Tensor<4>),
    ) -> Tensor<4> {
        let sample = if self.config.center_input_sample {
            sample * 2.0 - 1.0
        } else {
            sample
        };
        let mut embedding = self.embed(timestep, &sample.device());
        let [_, width] = embedding.dims();
        trace(
            "time_embedding".into(),
            &embedding.clone().reshape([1, width, 1, 1]),
        );
        if let Some(classes) = &self.class_embedding {
            embedding = embedding + classes.clone().narrow(0, usize::from(clean), 1);
        }
        // Every residual block wants the activated embedding.
        let norms = Norms::own();
        let mut pass = norms.start();
        pass.temb = Some(silu(embedding));

        let mut x = self.conv_in.forward(sample.cast(self.floats));
        trace("conv_in".into(), &x);
        let mut states = vec![x.clone()];
        for (i, block) in self.down_blocks.iter().enumerate() {
            x = block.forward(x, &pass, |state| states.push(state.clone()));
            trace(format!("down_blocks.{i}"), &x);
        }
        x = self.mid_block.forward(x, &pass);
        trace("mid_block".into(), &x);
        for (i, block) in self.up_blocks.iter().enumerate() {
            x = block.forward(x, &pass, || states.pop());
            trace(format!("up_blocks.{i}"), &x);
        }
        self.conv_out
            .forward(self.conv_norm_out.forward_silu(x, &pass))
            .cast(FloatDType::F32)
    }

    /// The time embedding, `[1, T]`: one for the whole batch, so that batches change nothing.
    fn embed(&self, timestep: usize, device: &Device) -> Tensor<2> {
        let width = self.config.block_out_channels[0];
        let values = sinusoid(
            timestep,
            width,
            self.config.flip_sin_to_cos,
            self.config.freq_shift,
        );
        let projected = Tensor::<2>::from_data(TensorData::new(values, [1, width]), device);
        let (linear_1, linear_2) = &self.time_embedding;
        linear_2.forward(silu(linear_1.forward(projected)))
    }
}

/// Input channels of the residual blocks of the up block at `level` (0 is the finest): what comes
/// from below, and the states of the way down, last one first.
pub(super) fn up_inputs(widths: &[usize], level: usize, layers: usize) -> Vec<usize> {
    let below = widths[(level + 1).min(widths.len() - 1)];
    (0..=layers)
        .map(|i| {
            let own = if i == 0 { below } else { widths[level] };
            let state = if i == layers {
                widths[level.saturating_sub(1)]
            } else {
                widths[level]
            };
            own + state
        })
        .collect()
}

/// diffusers' `get_timestep_embedding` with a maximum period of 10000.
fn sinusoid(timestep: usize, width: usize, flip_sin_to_cos: bool, freq_shift: f64) -> Vec<f32> {
    let half = width / 2;
    let exponent =
        |i: usize| -(10_000f64.ln() as f32) * i as f32 / (half as f64 - freq_shift) as f32;
    let angles: Vec<f32> = (0..half)
        .map(|i| timestep as f32 * exponent(i).exp())
        .collect();
    let sines = angles.iter().map(|a| a.sin());
    let cosines = angles.iter().map(|a| a.cos());
    let mut values: Vec<f32> = if flip_sin_to_cos {
        cosines.chain(sines).collect()
    } else {
        sines.chain(cosines).collect()
    };
    values.resize(width, 0.0);
    values
}
