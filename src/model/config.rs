//! The config files of a diffusers folder: what can be built, and what is refused by name.

use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// Config files are a few KiB; anything far larger is something else.
pub const MAX_CONFIG_BYTES: u64 = 4 << 20;
/// Bounds that no published model comes near; they keep a broken config from asking for the moon.
const MAX_CHANNELS: usize = 16_384;
const MAX_LAYERS: usize = 64;
const MAX_LEVELS: usize = 8;

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
        if self.class_embed_type.is_some() || self.num_class_embeds.is_some() {
            return Err("class_embed_type and num_class_embeds are not supported".into());
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

    /// Pixels per latent cell along a side.
    pub fn factor(&self) -> usize {
        1 << (self.block_out_channels.len() - 1)
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

/// The JSON object in `bytes`.
pub fn json_object(at: &Path, bytes: &[u8]) -> Result<Map<String, Value>> {
    serde_json::from_slice(bytes).map_err(|e| {
        Error::model(
            at,
            format!("is no valid JSON object ({e}); download it again"),
        )
    })
}

/// `object` as a `T` that knows `keys`: whatever else it holds and is not null, not private (`_…`)
/// and not in `ignored` is refused by name.
pub fn parse<T: DeserializeOwned>(
    at: &Path,
    mut object: Map<String, Value>,
    keys: &[&str],
    ignored: &[&str],
) -> Result<T> {
    object.retain(|key, _| !ignored.contains(&key.as_str()));
    for (key, value) in &object {
        let known = keys.contains(&key.as_str()) || key.starts_with('_') || value.is_null();
        if !known {
            return Err(Error::model(
                at,
                format!("option \"{key}\": {value} is not supported by this program"),
            ));
        }
    }
    from_object(at, object)
}

/// `object` as a `T` whose fields all have defaults; an error names the field that does not fit.
pub fn from_object<T: DeserializeOwned>(at: &Path, object: Map<String, Value>) -> Result<T> {
    let whole = Value::Object(object.clone());
    serde_json::from_value(whole).map_err(|error| {
        let culprit = object.iter().find_map(|(key, value)| {
            let alone = Value::Object(Map::from_iter([(key.clone(), value.clone())]));
            let error = serde_json::from_value::<T>(alone).err()?;
            Some(format!(
                "option \"{key}\": {value} is not supported ({error})"
            ))
        });
        Error::model(at, culprit.unwrap_or_else(|| error.to_string()))
    })
}

/// The `_class_name` of a config, if it is one of `classes`.
pub fn expect_class<'a>(
    at: &Path,
    object: &'a Map<String, Value>,
    classes: &[&str],
) -> Result<&'a str> {
    let class = object.get("_class_name").and_then(Value::as_str);
    match class {
        Some(class) if classes.contains(&class) => Ok(class),
        _ => Err(Error::model(
            at,
            format!(
                "_class_name is {}; this program builds {}",
                class.map_or("missing".into(), |c| format!("\"{c}\"")),
                classes.join(" or ")
            ),
        )),
    }
}

fn only(name: &str, value: &str, allowed: &[&str]) -> Result<(), String> {
    if allowed.contains(&value) {
        Ok(())
    } else {
        Err(format!(
            "{name} \"{value}\" is not supported; this program builds {}",
            allowed.join(", ")
        ))
    }
}

fn positive(name: &str, value: f64) -> Result<(), String> {
    if value > 0.0 && value.is_finite() {
        Ok(())
    } else {
        Err(format!("{name} is {value}; it must be a positive number"))
    }
}

fn channels(name: &str, value: usize) -> Result<(), String> {
    if (1..=MAX_CHANNELS).contains(&value) {
        Ok(())
    } else {
        Err(format!(
            "{name} is {value}; 1 to {MAX_CHANNELS} are supported"
        ))
    }
}

fn groups_divide(name: &str, groups: usize, width: usize) -> Result<(), String> {
    if groups > 0 && width.is_multiple_of(groups) {
        Ok(())
    } else {
        Err(format!("{name} {groups} does not divide {width} channels"))
    }
}

fn stack(widths: &[usize], layers: usize, groups: usize) -> Result<(), String> {
    if !(1..=MAX_LEVELS).contains(&widths.len()) {
        return Err(format!(
            "block_out_channels has {} entries; 1 to {MAX_LEVELS} are supported",
            widths.len()
        ));
    }
    if !(1..=MAX_LAYERS).contains(&layers) {
        return Err(format!(
            "layers_per_block is {layers}; 1 to {MAX_LAYERS} are supported"
        ));
    }
    for &width in widths {
        channels("block_out_channels", width)?;
        groups_divide("norm_num_groups", groups, width)?;
    }
    Ok(())
}
