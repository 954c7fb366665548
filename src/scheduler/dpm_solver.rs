//! DPM-Solver++(2M) (Lu et al., 2211.01095), as diffusers' `DPMSolverMultistepScheduler` with
//! order 2, midpoint, lower order at the end and a final sigma of zero.

use burn::tensor::Tensor;

/// The multistep solver and its history of one x0.
#[derive(Debug)]
pub(super) struct DpmSolver {
    /// `sqrt((1 - a) / a)` per visited step, then 0.
    sigmas: Vec<f32>,
    /// The x0 that entered the previous step.
    previous_x0: Option<Tensor<4>>,
}

impl DpmSolver {
    pub fn new(alphas_cumprod: impl Iterator<Item = f32>) -> Self {
        DpmSolver {
            sigmas: alphas_cumprod
                .map(|a| ((1.0 - a) / a).sqrt())
                .chain([0.0])
                .collect(),
            previous_x0: None,
        }
    }

    /// `(alpha, sigma)` with `alpha^2 + sigma^2 = 1`, from the ratio that the solver works in.
    pub fn alpha_sigma(&self, i: usize) -> (f32, f32) {
        let alpha = 1.0 / (self.sigmas[i] * self.sigmas[i] + 1.0).sqrt();
        (alpha, self.sigmas[i] * alpha)
    }

    /// From step `i` to `i + 1`; `x0` enters the multistep history as it is, steered or not.
    pub fn step(&mut self, i: usize, sample: Tensor<4>, x0: Tensor<4>) -> Tensor<4> {
        let previous = self.previous_x0.replace(x0.clone());
        if i + 2 == self.sigmas.len() {
            // To sigma zero, where the second-order term has no finite step size: diffusers takes
            // the last step at first order, and that is x0 itself.
            return x0;
        }
        let lambda = |i: usize| {
            let (alpha, sigma) = self.alpha_sigma(i);
            alpha.ln() - sigma.ln()
        };
        let (alpha, sigma) = self.alpha_sigma(i + 1);
        let h = lambda(i + 1) - lambda(i);
        let decay = (-h).exp() - 1.0;
        let first = sample * (sigma / self.alpha_sigma(i).1) - x0.clone() * (alpha * decay);
        match previous {
            Some(previous) => {
                let r0 = (lambda(i) - lambda(i - 1)) / h;
                let d1 = (x0 - previous) * (1.0 / r0);
                first - d1 * (0.5 * alpha * decay)
            }
            None => first,
        }
    }
}
