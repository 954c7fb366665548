//! The configs of `VQModel` and `AutoencoderKL`.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{channels, expect_class, only, parse, positive, stack};
use crate::error::{Error, Result};

/// Which autoencoder class a config describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AutoencoderKind {
    /// `VQModel`: decoding starts at the nearest codes.
    Vq,
    /// `AutoencoderKL`.
    Kl,
}

/// The config of `VQModel` or `AutoencoderKL`, with diffusers' defaults.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
#[allow(missing_docs)] // the names are diffusers' own
pub struct AutoencoderConfig {
    #[serde(skip)]
    pub kind: Option<AutoencoderKind>,
    pub in_channels: usize,
    pub out_channels: usize,
    pub down_block_types: Vec<String>,
    pub up_block_types: Vec<String>,
    pub block_out_channels: Vec<usize>,
    pub layers_per_block: usize,
    pub act_fn: String,
    pub latent_channels: usize,
    pub norm_num_groups: usize,
    pub mid_block_add_attention: bool,
    // VQModel
    pub num_vq_embeddings: usize,
    pub vq_embed_dim: Option<usize>,
    pub norm_type: String,
    pub lookup_from_codebook: bool,
    // AutoencoderKL
    pub scaling_factor: f64,
    pub shift_factor: Option<f64>,
    pub latents_mean: Option<Vec<f64>>,
    pub latents_std: Option<Vec<f64>>,
    pub use_quant_conv: bool,
    pub use_post_quant_conv: bool,
}

impl Default for AutoencoderConfig {
    fn default() -> Self {
        AutoencoderConfig {
            kind: None,
            in_channels: 3,
            out_channels: 3,
            down_block_types: vec!["DownEncoderBlock2D".into()],
            up_block_types: vec!["UpDecoderBlock2D".into()],
            block_out_channels: vec![64],
            layers_per_block: 1,
            act_fn: "silu".into(),
            latent_channels: 4,
            norm_num_groups: 32,
            mid_block_add_attention: true,
            num_vq_embeddings: 256,
            vq_embed_dim: None,
            norm_type: "group".into(),
            lookup_from_codebook: false,
            scaling_factor: 0.18215,
            shift_factor: None,
            latents_mean: None,
            latents_std: None,
            use_quant_conv: true,
            use_post_quant_conv: true,
        }
    }
}

const AUTOENCODER_KEYS: &[&str] = &[
    "in_channels",
    "out_channels",
    "down_block_types",
    "up_block_types",
    "block_out_channels",
    "layers_per_block",
    "act_fn",
    "latent_channels",
    "norm_num_groups",
    "mid_block_add_attention",
    "scaling_factor",
];
const VQ_KEYS: &[&str] = &[
    "num_vq_embeddings",
    "vq_embed_dim",
    "norm_type",
    "lookup_from_codebook",
];
const KL_KEYS: &[&str] = &[
    "shift_factor",
    "latents_mean",
    "latents_std",
    "use_quant_conv",
    "use_post_quant_conv",
];
const AUTOENCODER_IGNORED: &[&str] = &["sample_size", "force_upcast"];

impl AutoencoderConfig {
    /// Reads `vqvae/config.json`'s object.
    pub fn from_json(at: &Path, object: Map<String, Value>) -> Result<Self> {
        let class = expect_class(at, &object, &["VQModel", "AutoencoderKL"])?;
        let kind = if class == "VQModel" {
            AutoencoderKind::Vq
        } else {
            AutoencoderKind::Kl
        };
        let own = match kind {
            AutoencoderKind::Vq => VQ_KEYS,
            AutoencoderKind::Kl => KL_KEYS,
        };
        let has_latent_channels = object.contains_key("latent_channels");
        let keys = [AUTOENCODER_KEYS, own].concat();
        let mut config: AutoencoderConfig = parse(at, object, &keys, AUTOENCODER_IGNORED)?;
        config.kind = Some(kind);
        if kind == AutoencoderKind::Vq && !has_latent_channels {
            config.latent_channels = 3;
        }
        config.validate().map_err(|what| Error::model(at, what))?;
        Ok(config)
    }

    /// The size of one code: what latents are quantised in.
    pub fn vq_embed_dim(&self) -> usize {
        self.vq_embed_dim.unwrap_or(self.latent_channels)
    }

    /// Channels of what the UNet denoises: codes for a `VQModel`, latents for an `AutoencoderKL`.
    pub fn denoised_channels(&self) -> usize {
        match self.kind {
            Some(AutoencoderKind::Vq) => self.vq_embed_dim(),
            _ => self.latent_channels,
        }
    }

    /// Pixels per latent cell along a side.
    pub fn factor(&self) -> usize {
        1 << (self.block_out_channels.len() - 1)
    }

    /// How many latent cells away something can still change a decoded pixel, statistics of normalisations
    /// apart; `None` where attention makes it everywhere.
    pub fn decoder_reach(&self) -> Option<usize> {
        if self.mid_block_add_attention {
            return None;
        }
        // Each 3×3 convolution reaches one pixel of its level: the first, four in the middle, two in each
        // residual block, one after each doubling, the last.
        let mut reach = 1.0 + 4.0;
        for level in 0..self.block_out_channels.len() {
            let pixels_per_cell = (1 << level) as f64;
            let doubling = if level > 0 { 1.0 } else { 0.0 };
            reach += (doubling + 2.0 * (self.layers_per_block + 1) as f64) / pixels_per_cell;
        }
        reach += 1.0 / self.factor() as f64;
        Some(reach.ceil() as usize)
    }

    fn validate(&self) -> Result<(), String> {
        only("act_fn", &self.act_fn, &["silu", "swish"])?;
        only("norm_type", &self.norm_type, &["group"])?;
        for kind in &self.down_block_types {
            only("down_block_types", kind, &["DownEncoderBlock2D"])?;
        }
        for kind in &self.up_block_types {
            only("up_block_types", kind, &["UpDecoderBlock2D"])?;
        }
        let levels = self.block_out_channels.len();
        if self.down_block_types.len() != levels || self.up_block_types.len() != levels {
            return Err(
                "block_out_channels, down_block_types and up_block_types differ in length".into(),
            );
        }
        if self.latents_mean.is_some() || self.latents_std.is_some() {
            return Err("latents_mean and latents_std are not supported".into());
        }
        if (self.in_channels, self.out_channels) != (3, 3) {
            return Err(format!(
                "in_channels and out_channels are {} and {}; pictures have 3",
                self.in_channels, self.out_channels
            ));
        }
        positive("scaling_factor", self.scaling_factor)?;
        if !self.shift_factor.unwrap_or(0.0).is_finite() {
            return Err("shift_factor is no finite number".into());
        }
        channels("latent_channels", self.latent_channels)?;
        channels("vq_embed_dim", self.vq_embed_dim())?;
        if !(1..=1 << 20).contains(&self.num_vq_embeddings) {
            return Err(format!("num_vq_embeddings is {}", self.num_vq_embeddings));
        }
        stack(
            &self.block_out_channels,
            self.layers_per_block,
            self.norm_num_groups,
        )
    }
}
