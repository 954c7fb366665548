//! Group normalisation with SiLU: two passes for the statistics, one for the result.

use rayon::prelude::*;

use crate::ops::GroupNorm;

/// Values summed in f32 before the sum goes into an f64.
const CHUNK: usize = 4096;
const LANES: usize = 16;

/// `x` is `[N, C, H, W]`, `weight` and `bias` `[C]`; returns the values in `x`'s shape.
pub fn group_norm(
    x: &[f32],
    [_, channels, height, width]: [usize; 4],
    weight: &[f32],
    bias: &[f32],
    params: GroupNorm,
) -> Vec<f32> {
    let per_group = channels / params.groups;
    let plane = height * width;
    let mut out = vec![0.0; x.len()];
    if x.is_empty() {
        return out;
    }
    out.par_chunks_mut(per_group * plane)
        .zip(x.par_chunks(per_group * plane))
        .enumerate()
        .for_each(|(i, (out, x))| {
            let group = i % params.groups;
            let count = x.len() as f64;
            let mean = sum(x, |v| v) / count;
            let centre = mean as f32;
            // Centring by the rounded mean leaves a known rest, which is taken off again.
            let variance = sum(x, |v| (v - centre) * (v - centre)) / count
                - (mean - f64::from(centre)).powi(2);
            let scale = 1.0 / (variance.max(0.0) + params.eps).sqrt();
            for (k, (out, x)) in out.chunks_mut(plane).zip(x.chunks(plane)).enumerate() {
                let channel = group * per_group + k;
                let a = (scale * f64::from(weight[channel])) as f32;
                let b = bias[channel] - (mean * f64::from(a)) as f32;
                affine(x, a, b, params.silu, out);
            }
        });
    out
}

/// Sum of `f` over `x`: sixteen f32 lanes per chunk, chunks in f64.
fn sum(x: &[f32], f: impl Fn(f32) -> f32) -> f64 {
    x.chunks(CHUNK)
        .map(|chunk| {
            let mut lanes = [0f32; LANES];
            let (blocks, rest) = chunk.as_chunks::<LANES>();
            for block in blocks {
                for (lane, &v) in lanes.iter_mut().zip(block) {
                    *lane += f(v);
                }
            }
            let rest: f32 = rest.iter().map(|&v| f(v)).sum();
            f64::from(lanes.iter().sum::<f32>() + rest)
        })
        .sum()
}

/// `out = a x + b`, then SiLU where asked, with the widest vectors this processor has.
fn affine(x: &[f32], a: f32, b: f32, silu: bool, out: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        // SAFETY: the features were just found.
        return unsafe { affine_avx2(x, a, b, silu, out) };
    }
    affine_plain(x, a, b, silu, out);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn affine_avx2(x: &[f32], a: f32, b: f32, silu: bool, out: &mut [f32]) {
    affine_plain(x, a, b, silu, out);
}

#[inline(always)]
fn affine_plain(x: &[f32], a: f32, b: f32, silu: bool, out: &mut [f32]) {
    if silu {
        for (out, &v) in out.iter_mut().zip(x) {
            let v = a * v + b;
            *out = v / (1.0 + exp(-v));
        }
    } else {
        for (out, &v) in out.iter_mut().zip(x) {
            *out = a * v + b;
        }
    }
}

/// `e^x` to 2e-7 relative, branch-free so that it vectorises; the argument is clamped to the range
/// where the result and its reciprocal are normal numbers.
#[inline(always)]
fn exp(x: f32) -> f32 {
    // 2^23 · 1.5: adding it rounds to a whole number.
    const ROUND: f32 = 12_582_912.0;
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let x = x.clamp(-87.0, 87.0);
    let whole = x * std::f32::consts::LOG2_E + ROUND - ROUND;
    let r = x - whole * LN2_HIGH - whole * LN2_LOW;
    // Taylor to the sixth power on |r| <= ln 2 / 2: truncation 1.2e-7.
    let p = 1.0
        + r * (1.0
            + r * (0.5
                + r * (1.0 / 6.0 + r * (1.0 / 24.0 + r * (1.0 / 120.0 + r * (1.0 / 720.0))))));
    p * f32::from_bits(((whole as i32 + 127) << 23) as u32)
}

#[cfg(test)]
mod tests {
    #[test]
    fn exp_is_accurate_everywhere() {
        for i in -8700..=8700 {
            let x = i as f32 / 100.0;
            let (got, want) = (f64::from(super::exp(x)), f64::from(x).exp());
            assert!(
                (got / want - 1.0).abs() < 4e-7,
                "exp({x}) = {got}, not {want}"
            );
        }
        assert!(super::exp(f32::NAN).is_nan());
        assert!(super::exp(1e30).is_finite() && super::exp(-1e30) > 0.0);
    }
}
