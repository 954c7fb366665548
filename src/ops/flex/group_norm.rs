//! Group normalisation with SiLU: two passes for the statistics, one for the result.

use rayon::prelude::*;

use crate::ops::GroupNorm;

/// Values summed in f32 before the sum goes into an f64.
const CHUNK: usize = 4096;
const LANES: usize = 16;
/// Values that one core sums at a time.
const BLOCK: usize = 16 * CHUNK;

/// Normalises `values`, `[N, C, H, W]`, in place; `weight` and `bias` are `[C]`. With `x` of the
/// same shape, that is what is normalised, and `values` only receives the result.
pub fn group_norm(
    x: Option<&[f32]>,
    values: &mut [f32],
    [_, channels, height, width]: [usize; 4],
    weight: &[f32],
    bias: &[f32],
    params: GroupNorm,
) {
    let per_group = channels / params.groups;
    let plane = height * width;
    if values.is_empty() {
        return;
    }
    values
        .par_chunks_mut(per_group * plane)
        .enumerate()
        .for_each(|(i, values)| {
            if let Some(x) = x {
                values.copy_from_slice(&x[i * per_group * plane..][..per_group * plane]);
            }
            let first = i % params.groups * per_group;
            let channels = first..first + per_group;
            group(
                values,
                plane,
                &weight[channels.clone()],
                &bias[channels],
                params,
            );
        });
}

/// One group: `values` are its channels' planes, `weight` and `bias` theirs. A network may have but one
/// group, so that blocks and planes are shared among the cores, too.
fn group(values: &mut [f32], plane: usize, weight: &[f32], bias: &[f32], params: GroupNorm) {
    let count = values.len() as f64;
    let mean = total(values, |x| Sum { x }) / count;
    let centre = mean as f32;
    // Centring by the rounded mean leaves a known rest, which is taken off again.
    let variance =
        total(values, |x| Squares { x, centre }) / count - (mean - f64::from(centre)).powi(2);
    let scale = 1.0 / (variance.max(0.0) + params.eps).sqrt();
    values
        .par_chunks_mut(plane)
        .zip(weight.par_iter().zip(bias))
        .for_each(|(values, (&weight, &bias))| {
            let a = (scale * f64::from(weight)) as f32;
            let b = bias - (mean * f64::from(a)) as f32;
            let silu = params.silu;
            best(Affine { values, a, b, silu });
        });
}

/// Sum over blocks of `values`, always in the same order.
fn total<'a, L: Leaf<Out = f64>>(values: &'a [f32], leaf: impl Fn(&'a [f32]) -> L + Sync) -> f64 {
    let blocks: Vec<f64> = (values.par_chunks(BLOCK))
        .map(|block| best(leaf(block)))
        .collect();
    blocks.iter().sum()
}

/// A loop over numbers, compiled for what processors have.
trait Leaf {
    type Out;
    fn run<const FUSED: bool>(self) -> Self::Out;
}

/// Runs `leaf` with the best instructions of this processor.
fn best<L: Leaf>(leaf: L) -> L::Out {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        // SAFETY: the features were just found.
        return unsafe { best_avx2(leaf) };
    }
    leaf.run::<{ cfg!(target_arch = "aarch64") }>()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn best_avx2<L: Leaf>(leaf: L) -> L::Out {
    leaf.run::<true>()
}

struct Sum<'a> {
    x: &'a [f32],
}

impl Leaf for Sum<'_> {
    type Out = f64;

    #[inline(always)]
    fn run<const FUSED: bool>(self) -> f64 {
        sum(self.x, |v| v)
    }
}

/// Squared distances from `centre`, summed.
struct Squares<'a> {
    x: &'a [f32],
    centre: f32,
}

impl Leaf for Squares<'_> {
    type Out = f64;

    #[inline(always)]
    fn run<const FUSED: bool>(self) -> f64 {
        let centre = self.centre;
        sum(self.x, |v| (v - centre) * (v - centre))
    }
}

/// `a v + b` in the place of each value, and SiLU of that where asked.
struct Affine<'a> {
    values: &'a mut [f32],
    a: f32,
    b: f32,
    silu: bool,
}

impl Leaf for Affine<'_> {
    type Out = ();

    #[inline(always)]
    fn run<const FUSED: bool>(self) {
        for value in self.values {
            let v = multiply_add::<FUSED>(self.a, *value, self.b);
            *value = if self.silu {
                v / (1.0 + exp::<FUSED>(-v))
            } else {
                v
            };
        }
    }
}

/// Sum of `f` over `x`: sixteen f32 lanes per chunk, chunks in f64.
#[inline(always)]
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

/// `a b + c`, in one instruction where there is one.
#[inline(always)]
fn multiply_add<const FUSED: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}

/// `e^x` to 2e-7 relative, branch-free so that it vectorises; the argument is clamped to the range
/// where the result and its reciprocal are normal numbers.
#[inline(always)]
fn exp<const FUSED: bool>(x: f32) -> f32 {
    // 2^23 · 1.5: adding it rounds to a whole number, which is then in the last bits.
    const ROUND: f32 = 12_582_912.0;
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    const EXPONENT: u32 = 23;
    let add = multiply_add::<FUSED>;
    let x = x.clamp(-87.0, 87.0);
    let shifted = add(x, std::f32::consts::LOG2_E, ROUND);
    let whole = shifted - ROUND;
    let r = add(whole, -LN2_LOW, add(whole, -LN2_HIGH, x));
    // Taylor to the sixth power on |r| <= ln 2 / 2: truncation 1.2e-7.
    let mut p = 1.0 / 720.0;
    for coefficient in [1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        p = add(r, p, coefficient);
    }
    let power = (shifted.to_bits() << EXPONENT).wrapping_add(1f32.to_bits());
    p * f32::from_bits(power)
}

#[cfg(test)]
mod tests {
    use super::exp;

    #[test]
    fn exp_is_accurate_everywhere() {
        for i in -8700..=8700 {
            let x = i as f32 / 100.0;
            let want = f64::from(x).exp();
            for got in [exp::<false>(x), exp::<true>(x)] {
                let error = (f64::from(got) / want - 1.0).abs();
                assert!(error < 4e-7, "exp({x}) = {got}, not {want}");
            }
        }
        assert!(exp::<true>(f32::NAN).is_nan());
        assert!(exp::<true>(1e30).is_finite() && exp::<true>(-1e30) > 0.0);
    }
}
