//! DDIM with eta (Song et al., 2010.02502), as diffusers' `DDIMScheduler.step`.

use burn::tensor::Tensor;

use super::Prediction;

#[derive(Debug)]
pub(super) struct Ddim {
    /// Training steps between two visited ones: diffusers steps to `t - stride`.
    pub stride: usize,
    /// What stands for `alphas_cumprod` before step 0.
    pub final_alpha_cumprod: f32,
    pub eta: f32,
}

impl Ddim {
    fn alpha_cumprod_prev(&self, alphas_cumprod: &[f32], t: usize) -> f32 {
        match t.checked_sub(self.stride) {
            Some(previous) => alphas_cumprod[previous],
            None => self.final_alpha_cumprod,
        }
    }

    /// sigma_t(eta), formula (16).
    pub fn std_dev(&self, alphas_cumprod: &[f32], t: usize) -> f32 {
        let (now, prev) = (
            alphas_cumprod[t],
            self.alpha_cumprod_prev(alphas_cumprod, t),
        );
        let variance = (1.0 - prev) / (1.0 - now) * (1.0 - now / prev);
        // The last step may go nowhere (t - stride < 0 with alphas_cumprod[0]): rounding aside, 0.
        self.eta * variance.max(0.0).sqrt()
    }

    /// Formula (12).
    pub fn step(
        &self,
        alphas_cumprod: &[f32],
        t: usize,
        prediction: Prediction,
        noise: Option<Tensor<4>>,
    ) -> Tensor<4> {
        let prev = self.alpha_cumprod_prev(alphas_cumprod, t);
        let std_dev = self.std_dev(alphas_cumprod, t);
        let direction = (1.0 - prev - std_dev * std_dev).max(0.0).sqrt();
        let next = prediction.x0 * prev.sqrt() + prediction.epsilon * direction;
        match noise {
            Some(noise) if std_dev > 0.0 => next + noise * std_dev,
            _ => next,
        }
    }
}
