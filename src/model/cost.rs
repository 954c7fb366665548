//! What an evaluation costs, from the config alone: for honest estimates and for memory budgets.

use super::config::{AutoencoderConfig, UNetConfig};
use super::unet::up_inputs;

/// Bytes of an f32.
const F32: f64 = 4.0;
/// What allocators and the layers' small workspaces add, with some slack: at 1.0 the estimate of a whole
/// run comes within a tenth of what was measured.
const OVERHEAD: f64 = 1.25;
/// The workspace of chunked attention: scores, their softmax, and the products (see `ops::attention`).
const ATTENTION_WORKSPACE: f64 = 3.0 * 64.0 * 1024.0 * 1024.0;

/// The cost of one evaluation for one picture.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// Floating-point operations (a multiply-add is two).
    pub flops: f64,
    /// Most bytes of activations alive at a time.
    pub peak_bytes: f64,
    /// Bytes of the largest tensor.
    pub largest_bytes: f64,
}

impl Cost {
    /// A residual block on `pixels`, while `held` values are kept for later.
    fn resnet(&mut self, channels_in: usize, channels_out: usize, pixels: f64, held: f64) {
        let (i, o) = (channels_in as f64, channels_out as f64);
        let shortcut = if channels_in == channels_out {
            0.0
        } else {
            i * o
        };
        self.flops += 2.0 * pixels * (9.0 * i * o + 9.0 * o * o + shortcut);
        self.tensor(pixels * i.max(o));
        // The input, its normalised copy and the first result; then the input and three results.
        self.hold(held + pixels * (i + o + i.max(2.0 * o)));
    }

    fn attention(&mut self, channels: usize, pixels: f64, held: f64) {
        let c = channels as f64;
        self.tensor(c * pixels);
        self.flops += 2.0 * pixels * (4.0 * c * c) + 4.0 * pixels * pixels * c;
        self.hold(held + 6.0 * c * pixels + (ATTENTION_WORKSPACE / F32).min(3.0 * pixels * pixels));
    }

    fn conv3(&mut self, channels_in: usize, channels_out: usize, pixels: f64) {
        self.flops += 2.0 * pixels * 9.0 * (channels_in * channels_out) as f64;
    }

    fn tensor(&mut self, values: f64) {
        self.largest_bytes = self.largest_bytes.max(values * F32);
    }

    fn hold(&mut self, values: f64) {
        self.peak_bytes = self.peak_bytes.max(values * F32 * OVERHEAD);
    }
}

/// One UNet evaluation on latents of `height` × `width`.
pub fn unet(config: &UNetConfig, height: usize, width: usize) -> Cost {
    let widths = &config.block_out_channels;
    let levels = widths.len();
    let layers = config.layers_per_block;
    let pixels = |level: usize| (height * width) as f64 / 4f64.powi(level as i32);
    let attends = |kinds: &[String], i: usize| kinds[i].starts_with("Attn");
    let mut cost = Cost::default();
    cost.conv3(config.in_channels, widths[0], pixels(0));
    let mut states = vec![widths[0] as f64 * pixels(0)];
    let held = |states: &[f64]| states.iter().sum::<f64>();
    for level in 0..levels {
        for layer in 0..layers {
            let input = if layer == 0 {
                widths[level.saturating_sub(1)]
            } else {
                widths[level]
            };
            cost.resnet(input, widths[level], pixels(level), held(&states));
            if attends(&config.down_block_types, level) {
                cost.attention(widths[level], pixels(level), held(&states));
            }
            states.push(widths[level] as f64 * pixels(level));
        }
        if level + 1 < levels {
            cost.conv3(widths[level], widths[level], pixels(level + 1));
            states.push(widths[level] as f64 * pixels(level + 1));
        }
    }
    let deepest = widths[levels - 1];
    for _ in 0..2 {
        cost.resnet(deepest, deepest, pixels(levels - 1), held(&states));
    }
    if config.add_attention {
        cost.attention(deepest, pixels(levels - 1), held(&states));
    }
    for level in (0..levels).rev() {
        for input in up_inputs(widths, level, layers) {
            cost.resnet(input, widths[level], pixels(level), held(&states));
            states.pop();
            if attends(&config.up_block_types, levels - 1 - level) {
                cost.attention(widths[level], pixels(level), held(&states));
            }
        }
        if level > 0 {
            cost.conv3(widths[level], widths[level], pixels(level - 1));
            cost.tensor(widths[level] as f64 * pixels(level - 1));
            cost.hold(held(&states) + 2.0 * widths[level] as f64 * pixels(level - 1));
        }
    }
    cost.conv3(widths[0], config.out_channels, pixels(0));
    cost
}

/// One decode of latents of `height` × `width`.
pub fn decoder(config: &AutoencoderConfig, height: usize, width: usize) -> Cost {
    let widths = &config.block_out_channels;
    let levels = widths.len();
    let pixels = |level: usize| (height * width) as f64 * 4f64.powi((levels - 1 - level) as i32);
    let deepest = widths[levels - 1];
    let mut cost = Cost::default();
    cost.conv3(config.latent_channels, deepest, pixels(levels - 1));
    for _ in 0..2 {
        cost.resnet(deepest, deepest, pixels(levels - 1), 0.0);
    }
    if config.mid_block_add_attention {
        cost.attention(deepest, pixels(levels - 1), 0.0);
    }
    let mut input = deepest;
    for level in (0..levels).rev() {
        for _ in 0..=config.layers_per_block {
            cost.resnet(input, widths[level], pixels(level), 0.0);
            input = widths[level];
        }
        if level > 0 {
            cost.conv3(widths[level], widths[level], pixels(level - 1));
            cost.tensor(widths[level] as f64 * pixels(level - 1));
            cost.hold(2.25 * widths[level] as f64 * pixels(level - 1));
        }
    }
    cost.conv3(widths[0], config.out_channels, pixels(0));
    cost
}
