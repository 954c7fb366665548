//! Every shader is valid WGSL and translates to SPIR-V, MSL and HLSL, for every shape that counts and
//! without a graphics card.

use burn::tensor::DType;
use minkds::kds::MeanShift;
use minkds::ops::{Conv2d, GroupNorm, cube};
use minkds::settings;
use naga::back::{hlsl, msl, spv};
use naga::valid::{Capabilities, ValidationFlags, Validator};

/// The kernels as the program makes them.
fn kernels() -> Vec<cube::Kernel> {
    let mut kernels = Vec::new();
    for n in [1, 2, 3, 4, 10, 16, 64] {
        for (c, h, w, p) in [
            (8, 128, 128, 4),
            (3, 33, 17, 128),
            (3, 5, 7, 1),
            (4, 1, 1, 2),
        ] {
            for bandwidth in [f64::MIN_POSITIVE, 1e-3, 11.3, 1e6, f64::MAX] {
                let params = MeanShift::new(p, bandwidth, settings::Kernel::Gaussian);
                kernels.push(cube::mean_shift_kernel([n, c, h, w], &params));
            }
        }
    }
    for dtype in [DType::F32, DType::F16] {
        for silu in [false, true] {
            let params = GroupNorm {
                groups: 4,
                eps: 1e-6,
                silu,
            };
            for shape in [[1, 8, 5, 7], [10, 64, 128, 128], [64, 1280, 3, 2]] {
                let (statistics, apply) = cube::group_norm_kernels(shape, params, dtype);
                kernels.extend([statistics, apply]);
            }
        }
        for (i, o, k, stride) in [
            (11, 48, 3, 1),
            (160, 160, 3, 2),
            (48, 3, 3, 1),
            (9, 5, 1, 1),
        ] {
            let params = Conv2d {
                stride,
                pad_start: k / 2,
                pad_end: k / 2,
            };
            for side in [1, 17, 4096] {
                let (shape, filters) = ([2, i, side, side], [o, i, k, k]);
                kernels.extend(cube::conv2d_kernels(
                    shape,
                    filters,
                    params,
                    dtype,
                    cube::MOST_FLOPS,
                ));
            }
        }
        kernels.push(cube::upsample_nearest_2x_kernel([10, 64, 33, 17], dtype));
    }
    kernels
}

#[test]
fn every_shader_translates_to_every_language() {
    let mut names = Vec::new();
    for kernel in kernels() {
        let (name, text) = (kernel.name(), kernel.source());
        let module = naga::front::wgsl::parse_str(&text)
            .unwrap_or_else(|e| panic!("{name}: {}", e.emit_to_string(&text)));
        let info = Validator::new(ValidationFlags::all(), Capabilities::SHADER_FLOAT16)
            .validate(&module)
            .unwrap_or_else(|e| panic!("{name}: {}", e.emit_to_string(&text)));
        let words = spv::write_vec(&module, &info, &spv::Options::default(), None).expect(name);
        assert!(words.len() > 100, "{name}");
        let options = msl::Options {
            fake_missing_bindings: true,
            ..msl::Options::default()
        };
        let pipeline = msl::PipelineOptions::default();
        let (metal, _) = msl::write_string(&module, &info, &options, &pipeline).expect(name);
        assert!(metal.contains("kernel void"), "{name}");
        let options = hlsl::Options {
            shader_model: hlsl::ShaderModel::V6_2,
            fake_missing_bindings: true,
            ..hlsl::Options::default()
        };
        let mut direct = String::new();
        let pipeline = hlsl::PipelineOptions::default();
        hlsl::Writer::new(&mut direct, &options, &pipeline)
            .write(&module, &info, None)
            .expect(name);
        assert!(direct.contains("numthreads"), "{name}");
        names.push(name);
    }
    names.sort_unstable();
    names.dedup();
    assert_eq!(
        names,
        files(),
        "each file in shaders/ is a kernel, and the other way round"
    );
}

/// The names of the files in `shaders/`.
fn files() -> Vec<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/shaders");
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            assert_eq!(path.extension().unwrap(), "wgsl");
            path.file_stem().unwrap().to_str().unwrap().to_string()
        })
        .collect();
    names.sort();
    names
}

#[test]
fn no_kernel_asks_for_more_than_every_device_has() {
    // WebGPU's guaranteed limits.
    for kernel in kernels() {
        let groups = kernel.groups();
        assert!(
            groups.iter().all(|&n| (1..=65_535).contains(&n)),
            "{}: {groups:?}",
            kernel.name()
        );
        let text = kernel.source();
        let module = naga::front::wgsl::parse_str(&text).unwrap();
        let entry = &module.entry_points[0];
        assert!(entry.workgroup_size.iter().product::<u32>() <= 256);
        let mut layouter = naga::proc::Layouter::default();
        layouter.update(module.to_ctx()).unwrap();
        let shared: u32 = (module.global_variables.iter())
            .filter(|(_, variable)| variable.space == naga::AddressSpace::WorkGroup)
            .map(|(_, variable)| layouter[variable.ty].size)
            .sum();
        assert!(shared <= 16_384, "{}: {shared} bytes", kernel.name());
    }
}
