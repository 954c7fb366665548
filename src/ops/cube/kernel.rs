//! Kernels: a shader's text with constants in front, the sizes it reads at run time, and how many
//! workgroups it wants.
//!
//! [`Kernel::source`] is exactly what a device is given, so that tests can look at it without one. What
//! belongs to a layer or a picture is a size rather than a constant: a network needs few shaders, and the
//! next picture none.

use std::fmt::Write;

use burn::backend::wgpu::{CubeTensor, KernelSource, SourceKernel, SourceTemplate};
use burn::cubecl::ir::attributes::BufferIOAttr;
use burn::cubecl::prelude::*;
use burn::cubecl::server::{KernelArguments, MetadataBindingInfo};
use burn::tensor::DType;

use crate::kds::{MeanShift, single};
use crate::ops::{Conv2d, GroupNorm};

/// The largest number of workgroups in one direction that every device takes.
const MAX_GROUPS: usize = 65_535;

/// A shader, the constants it wants, and the workgroups it runs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    name: &'static str,
    text: &'static str,
    constants: String,
    threads: u32,
    groups: [u32; 3],
    sizes: Vec<u32>,
}

impl Kernel {
    fn new(name: &'static str, text: &'static str, threads: usize, groups: [usize; 3]) -> Self {
        Kernel {
            name,
            text,
            constants: String::new(),
            threads: threads as u32,
            groups: groups.map(|n| n as u32),
            sizes: Vec::new(),
        }
    }

    /// The shader's `Sizes`, in its order.
    fn sizes<const N: usize>(mut self, sizes: [usize; N]) -> Self {
        self.sizes = sizes.map(|n| n as u32).to_vec();
        self
    }

    fn number(mut self, name: &str, value: usize) -> Self {
        // Writing into a String cannot fail.
        let _ = writeln!(self.constants, "const {name} = {value}u;");
        self
    }

    fn float(mut self, name: &str, value: f64) -> Self {
        let _ = writeln!(self.constants, "const {name} = {:e}f;", value as f32);
        self
    }

    fn flag(mut self, name: &str, value: bool) -> Self {
        let _ = writeln!(self.constants, "const {name} = {value};");
        self
    }

    /// What tensors hold: the shader's type `T`.
    fn stores(mut self, dtype: DType) -> Self {
        self.constants.push_str(match dtype {
            DType::F16 => "enable f16;\nalias T = f16;\n",
            _ => "alias T = f32;\n",
        });
        self
    }

    /// The shader's file name without its ending.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Workgroups in x, y, z.
    pub fn groups(&self) -> [u32; 3] {
        self.groups
    }

    /// The whole WGSL text.
    pub fn source(&self) -> String {
        format!("{}{}", self.constants, self.text)
    }

    /// Runs the kernel: `inputs` and `outputs` are bound in this order.
    pub(super) fn launch(self, inputs: &[&CubeTensor], outputs: &[&CubeTensor]) {
        let mut arguments = KernelArguments::new();
        for tensor in inputs {
            arguments =
                arguments.with_buffer_io(tensor.handle.clone().binding(), BufferIOAttr::ReadOnly);
        }
        for tensor in outputs {
            arguments =
                arguments.with_buffer_io(tensor.handle.clone().binding(), BufferIOAttr::WriteOnly);
        }
        // Two u32 to a word, the lower half first.
        let words = self.sizes.chunks(2).map(|pair| {
            let high = pair.get(1).copied().unwrap_or(0);
            u64::from(pair[0]) | u64::from(high) << 32
        });
        arguments = arguments.with_info(MetadataBindingInfo::custom(words.collect()));
        let [x, y, z] = self.groups;
        let dim = CubeDim::new_1d(self.threads);
        let client = inputs[0].client.clone();
        client.launch(
            Box::new(SourceKernel::new(self, dim)),
            CubeCount::Static(x, y, z),
            arguments,
        );
    }
}

impl KernelSource for Kernel {
    fn source(&self) -> SourceTemplate {
        SourceTemplate::new(Kernel::source(self))
    }

    fn id(&self) -> KernelId {
        KernelId::new::<Self>()
            .cube_dim(*CubeDim::new_1d(self.threads))
            .info((self.name, self.constants.clone()))
    }

    fn lang(&self) -> &'static str {
        "wgsl"
    }
}

/// Mean shift of f32 `[N, C, H, W]`.
pub fn mean_shift_kernel(shape: [usize; 4], params: &MeanShift) -> Kernel {
    let [n, c, h, w] = shape;
    let pairs = (n * (n - 1) / 2).max(1);
    let values = c * params.patch_size * params.patch_size;
    // A small patch keeps a small workgroup busy.
    let threads: usize = if n * values <= 1024 { 64 } else { 256 };
    let lanes = (threads / pairs.next_power_of_two()).clamp(1, values.next_power_of_two());
    let scale = single::scale(params);
    Kernel::new(
        "mean_shift",
        include_str!("../../../shaders/mean_shift.wgsl"),
        threads,
        [
            w.div_ceil(params.patch_size),
            h.div_ceil(params.patch_size),
            1,
        ],
    )
    .number("N", n)
    .number("C", c)
    .number("P", params.patch_size)
    .float("DOWN", single::DOWN)
    .float("ROOT_SCALE", scale.sqrt())
    .float("FAR", single::far(scale))
    .float("CUTOFF", single::CUTOFF)
    .number("THREADS", threads)
    .number("LANES", lanes)
    .number("PAIRS", pairs)
    .sizes([h, w])
}

/// Values that one workgroup takes the statistics of, at least ...
const PART: usize = 16_384;
/// ... and workgroups that share a group at most: every thread of the second kernel joins them.
const MOST_PARTS: usize = 32;
/// Values of a channel that one workgroup normalises.
const RUN: usize = 4096;

/// The two kernels of group normalisation of `[N, C, H, W]`: statistics, which go into an f32 tensor
/// `[groups of the batch, parts, 2]` (the first kernel's workgroups in y and x), and the rest.
pub fn group_norm_kernels(
    [n, c, h, w]: [usize; 4],
    params: GroupNorm,
    dtype: DType,
) -> (Kernel, Kernel) {
    let values = c / params.groups * h * w;
    let part = PART.max(values.div_ceil(MOST_PARTS));
    let parts = values.div_ceil(part);
    let statistics = Kernel::new(
        "group_norm_statistics",
        include_str!("../../../shaders/group_norm_statistics.wgsl"),
        256,
        [parts, n * params.groups, 1],
    )
    .stores(dtype)
    .sizes([values, parts, part]);
    let layers = (n * c).min(MAX_GROUPS);
    let apply = Kernel::new(
        "group_norm",
        include_str!("../../../shaders/group_norm.wgsl"),
        256,
        [(h * w).div_ceil(RUN), layers, 1],
    )
    .stores(dtype)
    .number("RUN", RUN)
    .float("EPS", params.eps)
    .flag("SILU", params.silu)
    .sizes([c, params.groups, h * w, parts, part, n * c, layers]);
    (statistics, apply)
}

/// Floating-point operations of one launch: tens of milliseconds on a weak card, so that the desktop stays
/// alive and no driver believes that the card hangs.
pub const MOST_FLOPS: f64 = 2e10;

/// A convolution of `[N, I, H, W]` by `[O, I, K, K]`, in pieces of about `most` operations each.
pub fn conv2d_kernels(
    [n, i, h, w]: [usize; 4],
    [o, _, k, _]: [usize; 4],
    params: Conv2d,
    dtype: DType,
    most: f64,
) -> Vec<Kernel> {
    let [out_h, out_w] = [h, w].map(|size| params.extent(size, k));
    // Threads along channels and along pixels, 4 × 4 values each: few channels (pictures, latents)
    // waste none.
    let (down, across, depth) = if o > 16 { (16, 16, 16) } else { (4, 64, 8) };
    // Tiles of pixels lie in x, as many as a piece may have, and such slices of them in z.
    let tiles = (out_h * out_w).div_ceil(4 * across);
    let flops_of_tile = (2 * 4 * across * o * i * k * k) as f64;
    let allowed = ((most / flops_of_tile) as usize).clamp(1, MAX_GROUPS);
    let groups = tiles.min(allowed);
    let splits = tiles.div_ceil(groups.max(1));
    let slices = n * splits;
    let at_a_time = (allowed / groups.max(1)).clamp(1, MAX_GROUPS);
    (0..slices)
        .step_by(at_a_time)
        .map(|first| {
            let count = at_a_time.min(slices - first);
            Kernel::new(
                "conv2d",
                include_str!("../../../shaders/conv2d.wgsl"),
                down * across,
                [groups, o.div_ceil(4 * down), count],
            )
            .stores(dtype)
            .number("K", k)
            .number("STRIDE", params.stride)
            .number("PAD", params.pad_start)
            .number("DOWN", down)
            .number("ACROSS", across)
            .number("DEPTH", depth)
            .sizes([i, h, w, o, out_h, out_w, groups, splits, first])
        })
        .collect()
}

/// Doubles `[N, C, H, W]`.
pub fn upsample_nearest_2x_kernel([n, c, h, w]: [usize; 4], dtype: DType) -> Kernel {
    let layers = (n * c).min(MAX_GROUPS);
    Kernel::new(
        "upsample_nearest_2x",
        include_str!("../../../shaders/upsample_nearest_2x.wgsl"),
        64,
        [w.div_ceil(64), h, layers],
    )
    .stores(dtype)
    .sizes([h, w, n * c, layers])
}
