//! Samplers, each in two halves, "predict x0" and "step from x0", so that steering stands between.
//!
//! Equal to diffusers 0.42 (`DDIMScheduler`, `DPMSolverMultistepScheduler`) built from the
//! checkpoint's scheduler config. Scalars are computed in f32, as diffusers does.

mod config;
mod ddim;
mod dpm_solver;
mod timesteps;

use burn::tensor::Tensor;

pub use config::{BetaSchedule, PredictionType, SchedulerConfig};
pub use timesteps::Spacing;

use crate::settings::{SchedulerVariant, Solver};

/// What one network evaluation says about every particle; all `[N, C, H, W]`.
#[derive(Clone, Debug)]
pub struct Prediction {
    /// The predicted clean latents, clipped where the config asks for it.
    pub x0: Tensor<4>,
    /// The predicted noise, from the unclipped prediction.
    pub epsilon: Tensor<4>,
}

/// A sampler for one run: the visited timesteps, and what it remembers between steps.
#[derive(Debug)]
pub struct Scheduler {
    timesteps: Vec<usize>,
    num_train_timesteps: usize,
    alphas_cumprod: Vec<f32>,
    prediction_type: PredictionType,
    clip: Option<f32>,
    solver: SolverState,
}

#[derive(Debug)]
enum SolverState {
    Ddim(ddim::Ddim),
    DpmSolver(dpm_solver::DpmSolver),
}

impl Scheduler {
    /// Sets up `steps` sampling steps. `eta` (0..=1) counts for DDIM only.
    ///
    /// The error says which number of steps this schedule can do.
    pub fn new(
        config: &SchedulerConfig,
        solver: Solver,
        steps: usize,
        eta: f32,
        variant: SchedulerVariant,
    ) -> Result<Self, String> {
        let total = config.num_train_timesteps;
        if steps == 0 || steps > total {
            return Err(format!(
                "steps is {steps}; this model's schedule has {total} training steps: use 1 to {total}"
            ));
        }
        let (visit, usual): (fn(_, _, _, _) -> _, _) = match solver {
            Solver::Ddim => (timesteps::ddim, Spacing::Leading),
            Solver::DpmSolver => (timesteps::dpm_solver, Spacing::Linspace),
        };
        let spacing = config.timestep_spacing.unwrap_or(usual);
        let timesteps: Vec<i64> = visit(spacing, total, steps, config.steps_offset);
        let distinct = timesteps.windows(2).all(|pair| pair[0] > pair[1]);
        let inside = timesteps.iter().all(|&t| (0..total as i64).contains(&t));
        if !(distinct && inside) {
            return Err(format!(
                "steps is {steps}, which does not fit this model's schedule ({total} training \
                 steps, {spacing:?} spacing, offset {}) with this solver: use fewer steps",
                config.steps_offset
            ));
        }
        let timesteps: Vec<usize> = timesteps.into_iter().map(|t| t as usize).collect();
        let alphas_cumprod = config.alphas_cumprod();
        let minkds = variant == SchedulerVariant::Minkds;
        let solver = match solver {
            Solver::Ddim => SolverState::Ddim(ddim::Ddim {
                stride: total / steps,
                final_alpha_cumprod: if config.set_alpha_to_one && !minkds {
                    1.0
                } else {
                    alphas_cumprod[0]
                },
                eta: if minkds { 0.0 } else { eta },
            }),
            Solver::DpmSolver => SolverState::DpmSolver(dpm_solver::DpmSolver::new(
                timesteps.iter().map(|&t| alphas_cumprod[t]),
            )),
        };
        // diffusers' DPM-Solver++ has no clip_sample, and minKDS ignores it.
        let clips = config.clip_sample && !minkds && matches!(solver, SolverState::Ddim(_));
        Ok(Scheduler {
            timesteps,
            num_train_timesteps: total,
            alphas_cumprod,
            prediction_type: config.prediction_type,
            clip: clips.then_some(config.clip_sample_range),
            solver,
        })
    }

    /// The visited training steps, descending.
    pub fn timesteps(&self) -> &[usize] {
        &self.timesteps
    }

    /// Where step `i` lies on the training time axis, `t / T` in 0..1.
    pub fn time_fraction(&self, i: usize) -> f64 {
        self.timesteps[i] as f64 / self.num_train_timesteps as f64
    }

    /// `alpha_t / sigma_t` at step `i`: what turns a shift of x0 into a shift of the noise.
    pub fn signal_to_noise(&self, i: usize) -> f32 {
        let (alpha, sigma) = self.alpha_sigma(i);
        alpha / sigma
    }

    /// Whether step `i` adds fresh noise (eta), which the caller then passes to [`Self::step_from_x0`].
    pub fn needs_noise(&self, i: usize) -> bool {
        match &self.solver {
            SolverState::Ddim(ddim) => ddim.std_dev(&self.alphas_cumprod, self.timesteps[i]) > 0.0,
            SolverState::DpmSolver(_) => false,
        }
    }

    /// First half of step `i`: the clean latents that the network's output stands for.
    ///
    /// `sample` and `model_output` are `[N, C, H, W]`.
    pub fn predict_x0(&self, i: usize, sample: &Tensor<4>, model_output: Tensor<4>) -> Prediction {
        let (alpha, sigma) = self.alpha_sigma(i);
        let sample = sample.clone();
        let (x0, epsilon) = match self.prediction_type {
            PredictionType::Epsilon => (
                (sample - model_output.clone() * sigma) / alpha,
                model_output,
            ),
            PredictionType::Sample => (
                model_output.clone(),
                (sample - model_output * alpha) / sigma,
            ),
            PredictionType::VPrediction => (
                sample.clone() * alpha - model_output.clone() * sigma,
                model_output * alpha + sample * sigma,
            ),
        };
        let x0 = match self.clip {
            Some(range) => x0.clamp(-range, range),
            None => x0,
        };
        Prediction { x0, epsilon }
    }

    /// Second half of step `i`: the sample at the next timestep. Steps must be taken in order.
    ///
    /// `noise` is used where [`Self::needs_noise`] says so.
    pub fn step_from_x0(
        &mut self,
        i: usize,
        sample: Tensor<4>,
        prediction: Prediction,
        noise: Option<Tensor<4>>,
    ) -> Tensor<4> {
        match &mut self.solver {
            SolverState::Ddim(ddim) => {
                ddim.step(&self.alphas_cumprod, self.timesteps[i], prediction, noise)
            }
            SolverState::DpmSolver(solver) => solver.step(i, sample, prediction.x0),
        }
    }

    /// `(sqrt(alphas_cumprod), sqrt(1 - alphas_cumprod))` at step `i`.
    fn alpha_sigma(&self, i: usize) -> (f32, f32) {
        let alpha_cumprod = self.alphas_cumprod[self.timesteps[i]];
        match &self.solver {
            SolverState::Ddim(_) => (alpha_cumprod.sqrt(), (1.0 - alpha_cumprod).sqrt()),
            SolverState::DpmSolver(solver) => solver.alpha_sigma(i),
        }
    }
}
