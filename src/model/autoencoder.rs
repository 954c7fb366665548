//! `VQModel` and `AutoencoderKL`: between pictures and latents.

use burn::tensor::Tensor;

use super::blocks::{
    BlockStyle, DownBlock2D, DownShape, Downsample, MidAttention, UNetMidBlock2D, UpBlock2D,
    UpShape, Upsample,
};
use super::config::{AutoencoderConfig, AutoencoderKind};
use super::layers::{Conv2d, GroupNorm};
use super::norms::{Norms, Pass};
use super::weights::Scope;

/// diffusers fixes the autoencoders' epsilon.
const EPS: f64 = 1e-6;
/// Distances to codes that are held at a time (64 MiB in f32).
const MAX_DISTANCES: usize = 1 << 24;

/// The autoencoder.
pub struct Autoencoder {
    config: AutoencoderConfig,
    encoder: Encoder,
    quant_conv: Option<Conv2d>,
    /// The codebook `[codes, vq_embed_dim]` of a `VQModel`.
    codebook: Option<Tensor<2>>,
    post_quant_conv: Option<Conv2d>,
    decoder: Decoder,
}

impl Autoencoder {
    /// Takes every tensor that `config` asks for.
    pub fn load(scope: &Scope, config: AutoencoderConfig) -> Self {
        let latent = config.latent_channels;
        let vq = config.kind == Some(AutoencoderKind::Vq);
        let embed = config.denoised_channels();
        let encoded = if vq { latent } else { 2 * latent };
        let pointwise = |name, channels_in, channels_out| {
            Conv2d::pointwise(&scope.child(name), channels_in, channels_out)
        };
        Autoencoder {
            encoder: Encoder::load(&scope.child("encoder"), &config, encoded),
            quant_conv: config
                .use_quant_conv
                .then(|| pointwise("quant_conv", encoded, if vq { embed } else { encoded })),
            codebook: vq.then(|| {
                scope.tensor(
                    "quantize.embedding.weight",
                    [config.num_vq_embeddings, embed],
                )
            }),
            post_quant_conv: config
                .use_post_quant_conv
                .then(|| pointwise("post_quant_conv", embed, latent)),
            decoder: Decoder::load(&scope.child("decoder"), &config),
            config,
        }
    }

    /// The config that the network was built from.
    pub fn config(&self) -> &AutoencoderConfig {
        &self.config
    }

    /// Channels of what the UNet denoises.
    pub fn latent_channels(&self) -> usize {
        self.config.denoised_channels()
    }

    /// Latents `[N, C, H, W]` as the UNet leaves them, to pictures `[N, 3, fH, fW]` around -1..1.
    ///
    /// A `VQModel` goes to the nearest codes first; an `AutoencoderKL` undoes its scaling.
    pub fn decode(&self, latents: Tensor<4>) -> Tensor<4> {
        self.decode_traced(latents, &Norms::own(), |_, _| ())
    }

    /// [`Self::decode`] of a part, with statistics from elsewhere or gathering them.
    pub fn decode_part(&self, latents: Tensor<4>, norms: &Norms) -> Tensor<4> {
        self.decode_traced(latents, norms, |_, _| ())
    }

    /// The part of [`Self::decode_part`] at the latents' own resolution, for what it gathers.
    pub fn decode_head(&self, latents: Tensor<4>, norms: &Norms) {
        let z = self.prepare(latents, &mut |_, _| ());
        self.decoder.head(z, &norms.start());
    }

    /// [`Self::decode`], showing each stage's output by diffusers' name for it.
    pub fn decode_traced(
        &self,
        latents: Tensor<4>,
        norms: &Norms,
        mut trace: impl FnMut(String, &Tensor<4>),
    ) -> Tensor<4> {
        let z = self.prepare(latents, &mut trace);
        self.decoder.forward(z, &norms.start(), trace)
    }

    /// From the UNet's latents to the decoder's input.
    fn prepare(&self, latents: Tensor<4>, trace: &mut impl FnMut(String, &Tensor<4>)) -> Tensor<4> {
        let mut z = match &self.codebook {
            Some(codebook) => {
                let quantized = quantize(latents, codebook);
                trace("quantize".into(), &quantized);
                quantized
            }
            None => {
                let scaled = latents / self.config.scaling_factor;
                match self.config.shift_factor {
                    Some(shift) => scaled + shift,
                    None => scaled,
                }
            }
        };
        if let Some(conv) = &self.post_quant_conv {
            z = conv.forward(z);
            trace("post_quant_conv".into(), &z);
        }
        z
    }

    /// Pictures `[N, 3, fH, fW]` in -1..1 to latents `[N, C, H, W]` in the UNet's scale: unquantized
    /// for a `VQModel`, the distribution's mean for an `AutoencoderKL`.
    pub fn encode(&self, pictures: Tensor<4>) -> Tensor<4> {
        let mut z = self.encoder.forward(pictures, &Norms::own().start());
        if let Some(conv) = &self.quant_conv {
            z = conv.forward(z);
        }
        if self.codebook.is_some() {
            return z;
        }
        let mean = z.narrow(1, 0, self.config.latent_channels);
        let shifted = match self.config.shift_factor {
            Some(shift) => mean - shift,
            None => mean,
        };
        shifted * self.config.scaling_factor
    }
}

/// Every latent vector replaced by the nearest code.
fn quantize(latents: Tensor<4>, codebook: &Tensor<2>) -> Tensor<4> {
    let [batch, channels, height, width] = latents.dims();
    let [codes, _] = codebook.dims();
    let vectors: Tensor<2> = latents
        .permute([0, 2, 3, 1])
        .reshape([batch * height * width, channels]);
    // argmin |z - e|² = argmin |e|² - 2 z·e
    let norms: Tensor<2> = codebook.clone().square().sum_dim(1).transpose();
    let transposed = codebook.clone().transpose() * -2.0;
    let rows = (MAX_DISTANCES / codes).max(1);
    let nearest = vectors
        .split(rows, 0)
        .into_iter()
        .map(|vectors| {
            let distances = vectors.matmul(transposed.clone()) + norms.clone();
            let indices = distances.argmin(1).squeeze_dim(1);
            codebook.clone().select(0, indices)
        })
        .collect();
    Tensor::cat(nearest, 0)
        .reshape([batch, height, width, channels])
        .permute([0, 3, 1, 2])
}

fn style(config: &AutoencoderConfig) -> BlockStyle {
    BlockStyle {
        groups: config.norm_num_groups,
        eps: EPS,
        temb_channels: None,
        scale_shift: false,
    }
}

fn mid_block(scope: &Scope, config: &AutoencoderConfig, width: usize) -> UNetMidBlock2D {
    let attention = config.mid_block_add_attention.then_some(MidAttention {
        head_dim: width,
        groups: Some(config.norm_num_groups),
    });
    UNetMidBlock2D::load(
        &scope.child("mid_block"),
        width,
        attention,
        1.0,
        style(config),
    )
}

struct Encoder {
    conv_in: Conv2d,
    down_blocks: Vec<DownBlock2D>,
    mid_block: UNetMidBlock2D,
    conv_norm_out: GroupNorm,
    conv_out: Conv2d,
}

impl Encoder {
    fn load(scope: &Scope, config: &AutoencoderConfig, channels_out: usize) -> Self {
        let widths = &config.block_out_channels;
        let levels = widths.len();
        let deepest = widths[levels - 1];
        Encoder {
            conv_in: Conv2d::same3(&scope.child("conv_in"), config.in_channels, widths[0]),
            down_blocks: (0..levels)
                .map(|i| {
                    let shape = DownShape {
                        channels_in: widths[i.saturating_sub(1)],
                        channels_out: widths[i],
                        layers: config.layers_per_block,
                        attention_head_dim: None,
                        downsample: (i + 1 < levels).then_some(Downsample::Conv { padding: 0 }),
                    };
                    DownBlock2D::load(&scope.item("down_blocks", i), shape, style(config))
                })
                .collect(),
            mid_block: mid_block(scope, config, deepest),
            conv_norm_out: GroupNorm::load(
                &scope.child("conv_norm_out"),
                deepest,
                config.norm_num_groups,
                EPS,
            ),
            conv_out: Conv2d::same3(&scope.child("conv_out"), deepest, channels_out),
        }
    }

    fn forward(&self, x: Tensor<4>, pass: &Pass) -> Tensor<4> {
        let mut x = self.conv_in.forward(x);
        for block in &self.down_blocks {
            x = block.forward(x, pass, |_| ());
        }
        x = self.mid_block.forward(x, pass);
        self.conv_out
            .forward(self.conv_norm_out.forward_silu(x, pass))
    }
}

struct Decoder {
    conv_in: Conv2d,
    mid_block: UNetMidBlock2D,
    up_blocks: Vec<UpBlock2D>,
    conv_norm_out: GroupNorm,
    conv_out: Conv2d,
}

impl Decoder {
    fn load(scope: &Scope, config: &AutoencoderConfig) -> Self {
        let widths = &config.block_out_channels;
        let levels = widths.len();
        let deepest = widths[levels - 1];
        Decoder {
            conv_in: Conv2d::same3(&scope.child("conv_in"), config.latent_channels, deepest),
            mid_block: mid_block(scope, config, deepest),
            up_blocks: (0..levels)
                .map(|i| {
                    let level = levels - 1 - i;
                    let below = widths[(level + 1).min(levels - 1)];
                    let shape = UpShape {
                        channels_in: (0..=config.layers_per_block)
                            .map(|layer| if layer == 0 { below } else { widths[level] })
                            .collect(),
                        channels_out: widths[level],
                        attention_head_dim: None,
                        upsample: (level > 0).then_some(Upsample::Conv),
                    };
                    UpBlock2D::load(&scope.item("up_blocks", i), shape, style(config))
                })
                .collect(),
            conv_norm_out: GroupNorm::load(
                &scope.child("conv_norm_out"),
                widths[0],
                config.norm_num_groups,
                EPS,
            ),
            conv_out: Conv2d::same3(&scope.child("conv_out"), widths[0], config.out_channels),
        }
    }

    /// Everything before the size is doubled for the first time.
    fn head(&self, z: Tensor<4>, pass: &Pass) {
        let x = self.mid_block.forward(self.conv_in.forward(z), pass);
        if let Some(block) = self.up_blocks.first() {
            block.refine(x, pass, || None);
        }
    }

    fn forward(
        &self,
        z: Tensor<4>,
        pass: &Pass,
        mut trace: impl FnMut(String, &Tensor<4>),
    ) -> Tensor<4> {
        let mut x = self.conv_in.forward(z);
        x = self.mid_block.forward(x, pass);
        trace("decoder.mid_block".into(), &x);
        for (i, block) in self.up_blocks.iter().enumerate() {
            x = block.forward(x, pass, || None);
            trace(format!("decoder.up_blocks.{i}"), &x);
        }
        self.conv_out
            .forward(self.conv_norm_out.forward_silu(x, pass))
    }
}
