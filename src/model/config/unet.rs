//! `UNet2DModel`'s config.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{channels, expect_class, groups_divide, only, parse, positive, stack};
use crate::error::{Error, Result};

/// `UNet2DModel`'s config, with diffusers' defaults.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
#[allow(missing_docs)] // the names are diffusers' own
pub struct UNetConfig {
    pub in_channels: usize,
    pub out_channels: usize,
    pub center_input_sample: bool,
    pub time_embedding_type: String,
    pub time_embedding_dim: Option<usize>,
    pub freq_shift: f64,
    pub flip_sin_to_cos: bool,
    pub down_block_types: Vec<String>,
    pub mid_block_type: Option<String>,
    pub up_block_types: Vec<String>,
    pub block_out_channels: Vec<usize>,
    pub layers_per_block: usize,
    pub mid_block_scale_factor: f64,
    pub downsample_padding: usize,
    pub downsample_type: String,
    pub upsample_type: String,
    pub act_fn: String,
    pub attention_head_dim: Option<usize>,
    pub norm_num_groups: usize,
    pub attn_norm_num_groups: Option<usize>,
    pub norm_eps: f64,
    pub resnet_time_scale_shift: String,
    pub add_attention: bool,
    pub class_embed_type: Option<String>,
    pub num_class_embeds: Option<usize>,
}

impl Default for UNetConfig {
    fn default() -> Self {
        let names = |list: [&str; 4]| list.map(String::from).to_vec();
        let (plain_up, attention_up) = ("UpBlock2D", "AttnUpBlock2D");
        let (plain_down, attention_down) = ("DownBlock2D", "AttnDownBlock2D");
        UNetConfig {
            in_channels: 3,
            out_channels: 3,
            center_input_sample: false,
            time_embedding_type: "positional".into(),
            time_embedding_dim: None,
            freq_shift: 0.0,
            flip_sin_to_cos: true,
            down_block_types: names([plain_down, attention_down, attention_down, attention_down]),
            mid_block_type: Some("UNetMidBlock2D".into()),
            up_block_types: names([attention_up, attention_up, attention_up, plain_up]),
            block_out_channels: vec![224, 448, 672, 896],
            layers_per_block: 2,
            mid_block_scale_factor: 1.0,
            downsample_padding: 1,
            downsample_type: "conv".into(),
            upsample_type: "conv".into(),
            act_fn: "silu".into(),
            attention_head_dim: Some(8),
            norm_num_groups: 32,
            attn_norm_num_groups: None,
            norm_eps: 1e-5,
            resnet_time_scale_shift: "default".into(),
            add_attention: true,
            class_embed_type: None,
            num_class_embeds: None,
        }
    }
}

/// The class labels that a network may know: 0, any input, and 1, a clean one.
const CLASSES: usize = 2;

const UNET_KEYS: &[&str] = &[
    "in_channels",
    "out_channels",
    "center_input_sample",
    "time_embedding_type",
    "time_embedding_dim",
    "freq_shift",
    "flip_sin_to_cos",
    "down_block_types",
    "mid_block_type",
    "up_block_types",
    "block_out_channels",
    "layers_per_block",
    "mid_block_scale_factor",
    "downsample_padding",
    "downsample_type",
    "upsample_type",
    "act_fn",
    "attention_head_dim",
    "norm_num_groups",
    "attn_norm_num_groups",
    "norm_eps",
    "resnet_time_scale_shift",
    "add_attention",
    "class_embed_type",
    "num_class_embeds",
];
/// Keys without influence on an evaluation.
const UNET_IGNORED: &[&str] = &["sample_size", "dropout", "num_train_timesteps"];

impl UNetConfig {
    /// What height and width must be multiples of.
    pub fn size_multiple(&self) -> usize {
        1 << (self.block_out_channels.len() - 1)
    }

    /// Reads `unet/config.json`'s object.
    pub fn from_json(at: &Path, object: Map<String, Value>) -> Result<Self> {
        expect_class(at, &object, &["UNet2DModel"])?;
        let config: UNetConfig = parse(at, object, UNET_KEYS, UNET_IGNORED)?;
        config.validate().map_err(|what| Error::model(at, what))?;
        Ok(config)
    }

    fn validate(&self) -> Result<(), String> {
        only(
            "time_embedding_type",
            &self.time_embedding_type,
            &["positional"],
        )?;
        only(
            "downsample_type",
            &self.downsample_type,
            &["conv", "resnet"],
        )?;
        only("upsample_type", &self.upsample_type, &["conv", "resnet"])?;
        only("act_fn", &self.act_fn, &["silu", "swish"])?;
        only(
            "resnet_time_scale_shift",
            &self.resnet_time_scale_shift,
            &["default", "scale_shift"],
        )?;
        let mid = self.mid_block_type.as_deref().unwrap_or("null");
        only("mid_block_type", mid, &["UNetMidBlock2D"])?;
        for kind in &self.down_block_types {
            only(
                "down_block_types",
                kind,
                &["DownBlock2D", "AttnDownBlock2D"],
            )?;
        }
        for kind in &self.up_block_types {
            only("up_block_types", kind, &["UpBlock2D", "AttnUpBlock2D"])?;
        }
        if self.class_embed_type.is_some() {
            return Err("class_embed_type is not supported".into());
        }
        if let Some(classes) = self.num_class_embeds.filter(|&n| n != CLASSES) {
            return Err(format!(
                "num_class_embeds is {classes}; {CLASSES} are supported: 0 is any input, 1 a clean one"
            ));
        }
        if self.downsample_padding > 1 {
            return Err(format!(
                "downsample_padding is {}; 0 and 1 are supported",
                self.downsample_padding
            ));
        }
        let levels = self.block_out_channels.len();
        if self.down_block_types.len() != levels || self.up_block_types.len() != levels {
            return Err(
                "block_out_channels, down_block_types and up_block_types differ in length".into(),
            );
        }
        positive("mid_block_scale_factor", self.mid_block_scale_factor)?;
        positive("norm_eps", self.norm_eps)?;
        if !self.freq_shift.is_finite() {
            return Err(format!("freq_shift is {}", self.freq_shift));
        }
        channels("in_channels", self.in_channels)?;
        channels("out_channels", self.out_channels)?;
        if let Some(dim) = self.time_embedding_dim {
            channels("time_embedding_dim", dim)?;
        }
        // What the timestep's sines and cosines divide by.
        if (self.block_out_channels.first().copied().unwrap_or(0) / 2) as f64 <= self.freq_shift {
            return Err("block_out_channels[0] is too small for freq_shift".into());
        }
        stack(
            &self.block_out_channels,
            self.layers_per_block,
            self.norm_num_groups,
        )?;
        let deepest = self.block_out_channels[levels - 1];
        if let Some(groups) = self.attn_norm_num_groups {
            groups_divide("attn_norm_num_groups", groups, deepest)?;
        }
        for (i, &width) in self.block_out_channels.iter().enumerate() {
            let attends = self.down_block_types[i].starts_with("Attn")
                || self.up_block_types[levels - 1 - i].starts_with("Attn")
                || (i + 1 == levels && self.add_attention);
            let head = self.attention_head_dim.unwrap_or(width);
            if attends && (head == 0 || !width.is_multiple_of(head)) {
                return Err(format!(
                    "attention_head_dim {head} does not divide block_out_channels {width}"
                ));
            }
        }
        Ok(())
    }
}
