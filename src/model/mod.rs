//! Models: config → network → weights. Knows nothing of sampling and steering.

mod autoencoder;
mod blocks;
mod config;
pub mod cost;
mod hub;
mod layers;
mod norms;
mod preview;
mod recommended;
mod source;
mod unet;
mod weights;

use std::sync::OnceLock;

use burn::tensor::{Device, Tensor};

pub use autoencoder::Autoencoder;
pub use config::{AutoencoderConfig, AutoencoderKind, UNetConfig};
pub use hub::DownloadProgress;
pub use norms::{Interior, Moments, Norms, Statistics};
pub use recommended::{PreviewMap, Recommended};
pub use source::ModelSource;
pub use unet::UNet2DModel;
pub use weights::{Scope, Weights};

use self::source::Files;
use crate::device::Target;
use crate::error::{Error, Result};
use crate::scheduler::SchedulerConfig;
use crate::settings::{Patch, Settings};

/// How much larger a picture becomes.
pub const SCALE: usize = 4;

const SCHEDULER_KEYS: &[&str] = &[
    "num_train_timesteps",
    "beta_start",
    "beta_end",
    "beta_schedule",
    "trained_betas",
    "clip_sample",
    "clip_sample_range",
    "set_alpha_to_one",
    "steps_offset",
    "prediction_type",
    "thresholding",
    "timestep_spacing",
    "rescale_betas_zero_snr",
];
/// Keys that mean nothing to DDIM, or nothing without thresholding.
const SCHEDULER_IGNORED: &[&str] = &[
    "dynamic_thresholding_ratio",
    "sample_max_value",
    "variance_type",
    "skip_prk_steps",
];

/// A latent-diffusion upscaler, loaded onto a device.
pub struct Model {
    name: String,
    bundled: bool,
    recommended: Recommended,
    scheduler: SchedulerConfig,
    unet: UNet2DModel,
    vqvae: Autoencoder,
    preview: OnceLock<PreviewMap>,
    target: Target,
    files: Files,
    fingerprint: OnceLock<String>,
}

impl Model {
    /// Loads configs and weights to `target`; `progress` hears about downloads.
    ///
    /// In f16 it is the UNet's convolutions that hold it. The decoder's values leave its range.
    pub fn load(source: &ModelSource, target: &Target, progress: DownloadProgress) -> Result<Self> {
        let files = match source {
            ModelSource::Bundled => Files::Embedded,
            ModelSource::Folder(folder) => Files::Folder(folder.clone()),
            ModelSource::Hub(name) => Files::Folder(hub::folder(name, progress)?),
        };
        let object = |name: &str| -> Result<_> {
            let at = files.path(name);
            let object = config::json_object(&at, &files.read(name)?)?;
            Ok((at, object))
        };
        let (at, index) = object("model_index.json")?;
        config::expect_class(&at, &index, &["LDMSuperResolutionPipeline"])?;

        let (at, scheduler) = object("scheduler/scheduler_config.json")?;
        let scheduler: SchedulerConfig =
            config::parse(&at, scheduler, SCHEDULER_KEYS, SCHEDULER_IGNORED)?;
        scheduler
            .validate()
            .map_err(|what| Error::model(&at, what))?;

        let (unet_at, unet) = object("unet/config.json")?;
        let unet = UNetConfig::from_json(&unet_at, unet)?;
        let (at, vqvae) = object("vqvae/config.json")?;
        let vqvae = AutoencoderConfig::from_json(&at, vqvae)?;
        if vqvae.factor() != SCALE {
            return Err(Error::model(
                &at,
                format!(
                    "has {} levels, one latent cell per {f}×{f} pixels; this program enlarges by \
                     {SCALE} and needs 3 levels",
                    vqvae.block_out_channels.len(),
                    f = vqvae.factor()
                ),
            ));
        }
        let latents = vqvae.denoised_channels();
        if (unet.in_channels, unet.out_channels) != (latents + 3, latents) {
            return Err(Error::model(
                &unet_at,
                format!(
                    "in_channels and out_channels are {} and {}; with {latents} latent channels \
                     they must be {} and {latents}",
                    unet.in_channels,
                    unet.out_channels,
                    latents + 3
                ),
            ));
        }
        let recommended = match files.read_optional("minkds.json")? {
            Some(bytes) => Recommended::from_json(&files.path("minkds.json"), &bytes)?,
            None => Recommended::default(),
        };
        Settings::resolve(&recommended.settings, None, &Patch::default(), true)
            .map_err(|e| Error::model(files.path("minkds.json"), e.to_string()))?;
        if let Some(map) = &recommended.preview {
            map.check(latents, SCALE)
                .map_err(|what| Error::model(files.path("minkds.json"), what))?;
        }

        let device = target.device();
        let weights = files.weights("unet", device)?.holding(target.floats());
        let unet = UNet2DModel::load(&weights.root(), unet);
        weights.finish()?;
        let weights = files.weights("vqvae", device)?;
        let vqvae = Autoencoder::load(&weights.root(), vqvae);
        weights.finish()?;

        let name = match (&recommended.name, source) {
            (Some(name), _) => name.clone(),
            (None, ModelSource::Hub(name)) => name.clone(),
            (None, _) => files.path("").display().to_string(),
        };
        Ok(Model {
            name,
            bundled: *source == ModelSource::Bundled,
            recommended,
            scheduler,
            unet,
            vqvae,
            preview: OnceLock::new(),
            target: target.clone(),
            files,
            fingerprint: OnceLock::new(),
        })
    }

    /// What the bundled model recommends, without loading it.
    pub fn bundled_settings() -> Result<Settings> {
        let name = "minkds.json";
        let bytes = Files::Embedded.read(name)?;
        let recommended = Recommended::from_json(&Files::Embedded.path(name), &bytes)?;
        Settings::resolve(&recommended.settings, None, &Patch::default(), true)
    }

    /// The model's name, for people.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// SHA-256 over its configs and weights as they lie in its files, in hexadecimal digits; computed when it
    /// is first asked for.
    ///
    /// # Errors
    /// [`Error::Model`] if a file cannot be read any more.
    pub fn fingerprint(&self) -> Result<&str> {
        if self.fingerprint.get().is_none() {
            let _ = self.fingerprint.set(self.files.fingerprint()?);
        }
        Ok(self.fingerprint.get().map_or("", String::as_str))
    }

    /// Whether this is the model inside the program.
    pub fn is_bundled(&self) -> bool {
        self.bundled
    }

    /// What its makers recommend.
    pub fn recommended(&self) -> &Recommended {
        &self.recommended
    }

    /// The noise schedule that it was trained with.
    pub fn scheduler_config(&self) -> &SchedulerConfig {
        &self.scheduler
    }

    /// The denoising network.
    pub fn unet(&self) -> &UNet2DModel {
        &self.unet
    }

    /// The autoencoder.
    pub fn vqvae(&self) -> &Autoencoder {
        &self.vqvae
    }

    /// Where it was loaded.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// burn's handle of the device.
    pub fn device(&self) -> &Device {
        self.target.device()
    }

    /// What one network evaluation says: `latents` `[N, C, H, W]` beside `low_res` `[1, 3, H, W]`
    /// (the same for all, said to be `clean` or not) at `timestep`; `[N, C, H, W]`.
    pub fn predict(
        &self,
        latents: Tensor<4>,
        low_res: &Tensor<4>,
        timestep: usize,
        clean: bool,
    ) -> Tensor<4> {
        let [n, ..] = latents.dims();
        let low_res = low_res.clone().repeat_dim(0, n);
        self.unet
            .forward(Tensor::cat(vec![latents, low_res], 1), timestep, clean)
    }

    /// A cheap picture of clean latents `[N, C, H, W]`: `[N, 3, 4H, 4W]` around -1..1, by a linear
    /// map that is the model's own (in `minkds.json`, else fitted to its encoder on first use).
    pub fn preview(&self, x0: Tensor<4>) -> Result<Tensor<4>> {
        if let Some(map) = &self.recommended.preview {
            return Ok(preview::apply(map, x0));
        }
        if let Some(map) = self.preview.get() {
            return Ok(preview::apply(map, x0));
        }
        let map = preview::fit(&self.vqvae, self.device())?;
        Ok(preview::apply(self.preview.get_or_init(|| map), x0))
    }
}
