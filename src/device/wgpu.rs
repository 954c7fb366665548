//! Opening an adapter through wgpu.

use std::sync::Arc;

use burn::tensor::Device;
use burn::tensor::wgpu::{WgpuSetup, wgpu};

use super::adapter::Adapter;
use super::target::Faults;
use crate::error::{Error, Result};

/// Whether shaders are compiled by something else than wgpu's own compiler (a matter of this build).
const FOREIGN_COMPILER: bool = cfg!(any(feature = "vulkan", feature = "metal"));

/// Opens `adapter`, and writes what goes wrong there into `faults`.
pub(super) fn open(adapter: &Adapter, faults: &Faults) -> Result<(Device, wgpu::Device)> {
    let fail = |what: String| {
        Error::Device(format!(
            "gpu:{} ({}) cannot be opened: {what}",
            adapter.number, adapter.id.name
        ))
    };
    configure();
    let (device, setup) = if FOREIGN_COMPILER {
        acquire(adapter).map_err(fail)?
    } else {
        create(adapter).map_err(fail)?
    };
    let faults = faults.clone();
    // In the place of burn's handler, which panics without telling what it was. Panic it must, or
    // the computation would go on with what memory holds.
    setup.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
        faults.record(&error);
        panic!("{error}");
    }));
    Ok((device, setup))
}

/// A device of our own on the adapter's handle.
fn create(adapter: &Adapter) -> Result<(Device, wgpu::Device), String> {
    let (instance, handle) = adapter.handle.clone().ok_or("it is not there")?;
    // Host-visible primary buffers are slow on cards, and experimental features need a promise.
    let features = handle.features()
        - wgpu::Features::MAPPABLE_PRIMARY_BUFFERS
        - wgpu::Features::all_experimental_mask();
    let request = handle.request_device(&wgpu::DeviceDescriptor {
        label: Some("minkds"),
        required_features: features,
        required_limits: handle.limits(),
        memory_hints: wgpu::MemoryHints::MemoryUsage,
        ..Default::default()
    });
    let (device, queue) = pollster::block_on(request).map_err(|e| e.to_string())?;
    let setup = WgpuSetup {
        backend: handle.get_info().backend,
        instance,
        adapter: handle,
        device: device.clone(),
        queue,
    };
    let opened = Device::wgpu_options().setup(setup).init();
    Ok((opened.map_err(|e| e.to_string())?, device))
}

/// burn's own choice of device extensions, which its other compilers need; each adapter once a process.
fn acquire(adapter: &Adapter) -> Result<(Device, wgpu::Device), String> {
    use super::adapter::Kind;
    use burn::tensor::DeviceKind;
    let kind = match adapter.kind {
        Kind::Discrete => DeviceKind::DiscreteGpu(adapter.place),
        Kind::Integrated => DeviceKind::IntegratedGpu(adapter.place),
        Kind::Virtual => DeviceKind::VirtualGpu(adapter.place),
        Kind::Software => DeviceKind::Cpu,
        Kind::Other => return Err("this build does not know its kind of device".into()),
    };
    let opened = Device::wgpu_options().device_kind(kind).init_with_setup();
    let (device, setup) = opened.map_err(|e| e.to_string())?;
    Ok((device, setup.device))
}

/// Keeps burn and cubecl from reading `burn.toml` and `cubecl.toml` in whatever folder this runs.
pub(super) fn configure() {
    use burn::cubecl::config::{CubeClRuntimeConfig, RuntimeConfig};
    // The first call counts; later ones say so, and change nothing.
    CubeClRuntimeConfig::try_set(CubeClRuntimeConfig::default());
    burn::BurnConfig::try_set(burn::BurnConfig::default());
}
