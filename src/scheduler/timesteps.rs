//! Which training steps a sampler visits, as diffusers' `set_timesteps` chooses them.

use serde::Deserialize;

/// How the visited steps are spread over training time (`timestep_spacing`); see table 2 of
/// Lin et al., *Common Diffusion Noise Schedules and Sample Steps are Flawed* (2305.08891).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spacing {
    /// From 0 upwards.
    Leading,
    /// From the last training step downwards.
    Trailing,
    /// Both ends included.
    Linspace,
}

/// `DDIMScheduler.set_timesteps`: `steps` of `total` training steps, descending.
pub fn ddim(spacing: Spacing, total: usize, steps: usize, offset: usize) -> Vec<i64> {
    match spacing {
        Spacing::Linspace => descending(linspace_rounded(total, steps)),
        Spacing::Leading => descending(leading(total / steps, steps, offset)),
        Spacing::Trailing => trailing(total, steps),
    }
}

/// `DPMSolverMultistepScheduler.set_timesteps`: one more point than steps, the lowest dropped.
pub fn dpm_solver(spacing: Spacing, total: usize, steps: usize, offset: usize) -> Vec<i64> {
    let mut timesteps = match spacing {
        Spacing::Linspace => descending(linspace_rounded(total, steps + 1)),
        Spacing::Leading => descending(leading(total / (steps + 1), steps + 1, offset)),
        Spacing::Trailing => return trailing(total, steps),
    };
    timesteps.pop();
    timesteps
}

fn descending(mut ascending: Vec<i64>) -> Vec<i64> {
    ascending.reverse();
    ascending
}

fn leading(ratio: usize, points: usize, offset: usize) -> Vec<i64> {
    (0..points).map(|i| (i * ratio + offset) as i64).collect()
}

/// `np.linspace(0, total - 1, points).round()`.
fn linspace_rounded(total: usize, points: usize) -> Vec<i64> {
    let last = (total - 1) as f64;
    if points == 1 {
        return vec![0];
    }
    let step = last / (points - 1) as f64;
    (0..points)
        .map(|i| {
            let value = if i + 1 == points {
                last
            } else {
                i as f64 * step
            };
            value.round_ties_even() as i64
        })
        .collect()
}

/// `np.round(np.arange(total, 0, -total / steps)) - 1`.
fn trailing(total: usize, steps: usize) -> Vec<i64> {
    let (total, ratio) = (total as f64, total as f64 / steps as f64);
    (0..steps)
        .map(|i| (total - i as f64 * ratio).round_ties_even() as i64 - 1)
        .collect()
}
