//! `scheduler_config.json`: the noise schedule that a checkpoint was trained with.

use serde::Deserialize;

use super::timesteps::Spacing;

/// What the network predicts (`prediction_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PredictionType {
    /// The noise.
    Epsilon,
    /// `v = alpha_t * noise - sigma_t * x0`.
    VPrediction,
    /// x0 itself.
    Sample,
}

/// How the noise variances grow over training time (`beta_schedule`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BetaSchedule {
    /// Linear in beta.
    Linear,
    /// Linear in the square root of beta (latent diffusion).
    ScaledLinear,
    /// The cosine schedule of GLIDE.
    #[serde(rename = "squaredcos_cap_v2")]
    SquaredcosCapV2,
}

/// The fields of diffusers' `DDIMScheduler` config that change a sample, with its defaults.
///
/// Fields that this program does not implement (`thresholding`, `trained_betas`,
/// `rescale_betas_zero_snr`) are read in order to be refused by name.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
#[allow(missing_docs)] // the names are diffusers' own
pub struct SchedulerConfig {
    #[serde(rename = "_class_name")]
    pub class_name: String,
    pub num_train_timesteps: usize,
    pub beta_start: f64,
    pub beta_end: f64,
    pub beta_schedule: BetaSchedule,
    pub trained_betas: Option<Vec<f64>>,
    pub clip_sample: bool,
    pub clip_sample_range: f32,
    pub set_alpha_to_one: bool,
    pub steps_offset: usize,
    pub prediction_type: PredictionType,
    pub thresholding: bool,
    /// Without it diffusers' DDIM uses `leading` and its DPM-Solver++ `linspace`.
    pub timestep_spacing: Option<Spacing>,
    pub rescale_betas_zero_snr: bool,
}

impl Default for SchedulerConfig {
    fn default() -> Self {
        SchedulerConfig {
            class_name: "DDIMScheduler".into(),
            num_train_timesteps: 1000,
            beta_start: 0.0001,
            beta_end: 0.02,
            beta_schedule: BetaSchedule::Linear,
            trained_betas: None,
            clip_sample: true,
            clip_sample_range: 1.0,
            set_alpha_to_one: true,
            steps_offset: 0,
            prediction_type: PredictionType::Epsilon,
            thresholding: false,
            timestep_spacing: None,
            rescale_betas_zero_snr: false,
        }
    }
}

/// Training steps above this are a mistake, not a schedule.
const MAX_TRAIN_TIMESTEPS: usize = 100_000;

impl SchedulerConfig {
    /// Checks ranges and refuses what is not implemented; the error text names the field.
    pub fn validate(&self) -> Result<(), String> {
        if self.class_name != "DDIMScheduler" {
            return Err(format!(
                "_class_name \"{}\" is not supported; this program reads DDIMScheduler configs \
                 (and builds DPM-Solver++ from them)",
                self.class_name
            ));
        }
        if self.thresholding {
            return Err("thresholding: true is not supported".into());
        }
        if self.trained_betas.is_some() {
            return Err("trained_betas is not supported; name a beta_schedule".into());
        }
        if self.rescale_betas_zero_snr {
            return Err("rescale_betas_zero_snr: true is not supported".into());
        }
        if !(1..=MAX_TRAIN_TIMESTEPS).contains(&self.num_train_timesteps) {
            return Err(format!(
                "num_train_timesteps is {}; it must lie between 1 and {MAX_TRAIN_TIMESTEPS}",
                self.num_train_timesteps
            ));
        }
        for (name, beta) in [("beta_start", self.beta_start), ("beta_end", self.beta_end)] {
            if !(beta > 0.0 && beta < 1.0) {
                return Err(format!("{name} is {beta}; it must lie between 0 and 1"));
            }
        }
        if !(self.clip_sample_range > 0.0 && self.clip_sample_range.is_finite()) {
            return Err(format!(
                "clip_sample_range is {}; it must be a positive number",
                self.clip_sample_range
            ));
        }
        Ok(())
    }

    /// `alphas_cumprod`, one value per training step, in f32 as diffusers holds it.
    pub(super) fn alphas_cumprod(&self) -> Vec<f32> {
        let n = self.num_train_timesteps;
        let betas: Vec<f32> = match self.beta_schedule {
            BetaSchedule::Linear => linspace(self.beta_start, self.beta_end, n),
            BetaSchedule::ScaledLinear => linspace(self.beta_start.sqrt(), self.beta_end.sqrt(), n)
                .iter()
                .map(|b| b * b)
                .collect(),
            BetaSchedule::SquaredcosCapV2 => {
                let alpha_bar = |t: f64| {
                    ((t + 0.008) / 1.008 * std::f64::consts::FRAC_PI_2)
                        .cos()
                        .powi(2)
                };
                (0..n)
                    .map(|i| {
                        let (t1, t2) = (i as f64 / n as f64, (i + 1) as f64 / n as f64);
                        (1.0 - alpha_bar(t2) / alpha_bar(t1)).min(0.999) as f32
                    })
                    .collect()
            }
        };
        // torch.cumprod on f32 accumulates in f64 and rounds each value.
        betas
            .iter()
            .scan(1f64, |product, beta| {
                *product *= f64::from(1.0 - beta);
                Some(*product as f32)
            })
            .collect()
    }
}

/// `torch.linspace` in f32: counted from both ends.
fn linspace(start: f64, end: f64, n: usize) -> Vec<f32> {
    let (start, end) = (start as f32, end as f32);
    if n == 1 {
        return vec![start];
    }
    let step = (end - start) / (n - 1) as f32;
    (0..n)
        .map(|i| {
            if i < n / 2 {
                start + step * i as f32
            } else {
                end - step * (n - 1 - i) as f32
            }
        })
        .collect()
}
