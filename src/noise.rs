//! Random numbers that depend on nothing but their place: `noise(seed, particle, step, channel, y, x)`.
//!
//! Counter-based (Philox4x32-10; Salmon, Moraes, Dror, Shaw: *Parallel Random Numbers: As Easy as
//! 1, 2, 3*, SC 2011), so that more particles, other batches or tiles never change the others'
//! values. Box-Muller runs in f64 with the pure-Rust `libm`, so that every platform gives the same
//! bits.

use rayon::prelude::*;

/// Step number of the start noise; the noise that eta adds after step `i` has number `i + 1`.
pub const START: u32 = 0;

const ROUNDS: usize = 10;
const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

/// Philox4x32-10: four random words for a 128-bit counter under a 64-bit key.
pub fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for round in 0..ROUNDS {
        if round > 0 {
            key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
        }
        let a = u64::from(MULTIPLIERS[0]) * u64::from(counter[0]);
        let b = u64::from(MULTIPLIERS[1]) * u64::from(counter[2]);
        counter = [
            (b >> 32) as u32 ^ counter[1] ^ key[0],
            b as u32,
            (a >> 32) as u32 ^ counter[3] ^ key[1],
            a as u32,
        ];
    }
    counter
}

/// One standard normal value, bounded by |value| < 6.8.
pub fn normal(seed: u64, particle: u32, step: u32, channel: u32, y: u32, x: u32) -> f32 {
    // Steps (at most 1000) and channels (at most 2^16) share a word.
    let counter = [x, y, channel | (step << 16), particle];
    let words = philox(counter, [seed as u32, (seed >> 32) as u32]);
    // (0, 1]: the logarithm stays finite.
    let u = (f64::from(words[0]) + 1.0) * 2f64.powi(-32);
    let angle = std::f64::consts::TAU * f64::from(words[1]) * 2f64.powi(-32);
    (libm::sqrt(-2.0 * libm::log(u)) * libm::cos(angle)) as f32
}

/// Noise for one particle at one step: `[C, H, W]`, row-major.
pub fn field(seed: u64, particle: u32, step: u32, shape: [usize; 3]) -> Vec<f32> {
    part(seed, particle, step, shape, [0, 0])
}

/// The part of [`field`] that begins at row and column `origin`.
pub fn part(
    seed: u64,
    particle: u32,
    step: u32,
    shape: [usize; 3],
    origin: [usize; 2],
) -> Vec<f32> {
    let [channels, height, width] = shape;
    let mut values = vec![0.0; channels * height * width];
    values
        .par_chunks_mut(width.max(1))
        .enumerate()
        .for_each(|(row, out)| {
            let (channel, y) = (row / height, origin[0] + row % height);
            for (x, value) in out.iter_mut().enumerate() {
                let x = origin[1] + x;
                *value = normal(seed, particle, step, channel as u32, y as u32, x as u32);
            }
        });
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Known answers of the reference implementation (Random123, `kat_vectors`).
    #[test]
    fn philox_matches_random123() {
        let ones = u32::MAX;
        assert_eq!(
            philox([0; 4], [0; 2]),
            [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]
        );
        assert_eq!(
            philox([ones; 4], [ones; 2]),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
        assert_eq!(
            philox(
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0]
            ),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn values_are_standard_normal() {
        let values = field(7, 3, START, [8, 128, 128]);
        let n = values.len() as f64;
        let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
        let moment = |k: i32| values.iter().map(|&v| f64::from(v).powi(k)).sum::<f64>() / n;
        // 131072 draws: the standard errors are 0.003, 0.004 and 0.03.
        assert!(mean.abs() < 0.012, "mean {mean}");
        assert!((moment(2) - 1.0).abs() < 0.016, "variance {}", moment(2));
        assert!((moment(4) - 3.0).abs() < 0.12, "kurtosis {}", moment(4));
        assert!(values.iter().all(|v| v.is_finite() && v.abs() < 6.8));
    }

    #[test]
    fn a_value_depends_on_its_place_only() {
        let (small, large) = (field(1, 2, 3, [2, 4, 5]), field(1, 2, 3, [3, 9, 11]));
        for c in 0..2 {
            for y in 0..4 {
                for x in 0..5 {
                    assert_eq!(small[(c * 4 + y) * 5 + x], large[(c * 9 + y) * 11 + x]);
                }
            }
        }
        for other in [
            field(2, 2, 3, [2, 4, 5]),
            field(1, 1, 3, [2, 4, 5]),
            field(1, 2, 2, [2, 4, 5]),
        ] {
            assert!(small.iter().zip(&other).all(|(a, b)| a != b));
        }
    }
}
