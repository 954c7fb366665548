//! The graphics cards of this machine, and what they can do.

use std::sync::OnceLock;

use burn::tensor::wgpu::wgpu;
use serde::{Deserialize, Serialize};

/// What an adapter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A card with its own memory.
    Discrete,
    /// Part of the processor, with the processor's memory.
    Integrated,
    /// A card lent to a virtual machine.
    Virtual,
    /// Something that the system does not name.
    Other,
    /// The processor, pretending (lavapipe, SwiftShader, WARP).
    Software,
}

/// What tells one adapter, with its driver, from every other: verdicts on it are kept by this.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdapterId {
    /// The device's name.
    pub name: String,
    /// `Vulkan`, `Metal` or `Dx12`.
    pub api: String,
    /// The driver and its version.
    pub driver: String,
    /// PCI vendor and device.
    pub pci: [u32; 2],
}

/// One adapter.
#[derive(Clone, Debug, Serialize)]
pub struct Adapter {
    /// N of `--device gpu:N`.
    pub number: usize,
    /// Which one it is.
    #[serde(flatten)]
    pub id: AdapterId,
    /// What it is.
    pub kind: Kind,
    /// Bytes of its own memory, where the driver tells.
    pub memory: Option<u64>,
    /// Whether shaders may compute with f16.
    pub f16: bool,
    /// The sizes of subgroups, smallest and largest, where shaders may use them.
    pub subgroups: Option<[u32; 2]>,
    /// Shapes of cooperative matrices, "M×N×K in type, out type".
    pub cooperative_matrices: Vec<String>,
    /// Bytes of the largest tensor that a shader can see.
    pub largest_binding: u64,
    /// Bytes of the largest buffer.
    pub largest_buffer: u64,
    /// Bytes of memory that a workgroup shares.
    pub workgroup_memory: u32,
    /// Threads of a workgroup.
    pub workgroup_threads: u32,
    /// How many adapters of this kind and graphics API come before it, in the system's order.
    #[serde(skip)]
    pub(super) place: usize,
    #[serde(skip)]
    pub(super) handle: Option<(wgpu::Instance, wgpu::Adapter)>,
}

impl Adapter {
    /// Whether it is the processor, pretending.
    pub fn is_software(&self) -> bool {
        self.kind == Kind::Software
    }
}

/// The graphics APIs that can compute, best first.
const APIS: [wgpu::Backend; 3] = [
    wgpu::Backend::Vulkan,
    wgpu::Backend::Metal,
    wgpu::Backend::Dx12,
];

/// Every adapter, real ones first; the order is the same at every start. Looked up once: Vulkan's
/// loader does not like instances that come and go.
pub fn adapters() -> &'static [Adapter] {
    static ADAPTERS: OnceLock<Vec<Adapter>> = OnceLock::new();
    ADAPTERS.get_or_init(look_up)
}

fn look_up() -> Vec<Adapter> {
    let mut found = Vec::new();
    for api in APIS {
        let backends = wgpu::Backends::from(api);
        if !wgpu::Instance::enabled_backend_features().contains(backends) {
            continue;
        }
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
            backends,
            ..wgpu::InstanceDescriptor::new_without_display_handle()
        });
        for adapter in pollster::block_on(instance.enumerate_adapters(backends)) {
            let mut adapter = describe(&instance, adapter);
            let same =
                |other: &&Adapter| other.kind == adapter.kind && other.id.api == adapter.id.api;
            adapter.place = found.iter().filter(same).count();
            found.push(adapter);
        }
    }
    in_order(found)
}

/// Numbers adapters, the best kind of device first.
fn in_order(mut adapters: Vec<Adapter>) -> Vec<Adapter> {
    // Stable: within a kind the graphics API's own order stays.
    adapters.sort_by_key(|adapter| adapter.kind);
    for (number, adapter) in adapters.iter_mut().enumerate() {
        adapter.number = number;
    }
    adapters
}

fn describe(instance: &wgpu::Instance, adapter: wgpu::Adapter) -> Adapter {
    let (info, features, limits) = (adapter.get_info(), adapter.features(), adapter.limits());
    let matrices = adapter.cooperative_matrix_properties();
    Adapter {
        number: 0,
        id: AdapterId {
            name: info.name.clone(),
            api: format!("{:?}", info.backend),
            driver: format!("{} {}", info.driver, info.driver_info)
                .trim()
                .into(),
            pci: [info.vendor, info.device],
        },
        kind: match info.device_type {
            wgpu::DeviceType::DiscreteGpu => Kind::Discrete,
            wgpu::DeviceType::IntegratedGpu => Kind::Integrated,
            wgpu::DeviceType::VirtualGpu => Kind::Virtual,
            wgpu::DeviceType::Cpu => Kind::Software,
            wgpu::DeviceType::Other => Kind::Other,
        },
        memory: device_memory(instance, &adapter),
        f16: features.contains(wgpu::Features::SHADER_F16),
        subgroups: features
            .contains(wgpu::Features::SUBGROUP)
            .then_some([info.subgroup_min_size, info.subgroup_max_size]),
        cooperative_matrices: matrices
            .iter()
            .map(|m| {
                format!(
                    "{}×{}×{} {:?}, {:?}",
                    m.m_size, m.n_size, m.k_size, m.ab_type, m.cr_type
                )
            })
            .collect(),
        largest_binding: limits.max_storage_buffer_binding_size,
        largest_buffer: limits.max_buffer_size,
        workgroup_memory: limits.max_compute_workgroup_storage_size,
        workgroup_threads: limits.max_compute_invocations_per_workgroup,
        place: 0,
        handle: Some((instance.clone(), adapter)),
    }
}

/// Bytes of the largest heap on the device, which only Vulkan tells.
#[cfg(not(target_vendor = "apple"))]
fn device_memory(instance: &wgpu::Instance, adapter: &wgpu::Adapter) -> Option<u64> {
    use wgpu::hal::api::Vulkan;
    // SAFETY: the handles are only asked for properties, while their owners are alive.
    let properties = unsafe {
        let adapter = adapter.as_hal::<Vulkan>()?;
        let instance = instance
            .as_hal::<Vulkan>()?
            .shared_instance()
            .raw_instance();
        instance.get_physical_device_memory_properties(adapter.raw_physical_device())
    };
    let heaps = &properties.memory_heaps[..properties.memory_heap_count as usize];
    // VK_MEMORY_HEAP_DEVICE_LOCAL_BIT
    let local = heaps.iter().filter(|heap| heap.flags.as_raw() & 1 != 0);
    local.map(|heap| heap.size).max()
}

#[cfg(target_vendor = "apple")]
fn device_memory(_: &wgpu::Instance, _: &wgpu::Adapter) -> Option<u64> {
    None
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An adapter that is not there.
    pub fn imagined(name: &str, kind: Kind) -> Adapter {
        Adapter {
            number: 0,
            id: AdapterId {
                name: name.into(),
                api: "Vulkan".into(),
                driver: "driver 1.0".into(),
                pci: [1, 2],
            },
            kind,
            memory: Some(8 << 30),
            f16: true,
            subgroups: None,
            cooperative_matrices: Vec::new(),
            largest_binding: 1 << 30,
            largest_buffer: 1 << 30,
            workgroup_memory: 16 << 10,
            workgroup_threads: 256,
            place: 0,
            handle: None,
        }
    }

    #[test]
    fn real_cards_come_first_in_the_systems_order() {
        let adapters = in_order(vec![
            imagined("llvmpipe", Kind::Software),
            imagined("in the processor", Kind::Integrated),
            imagined("big", Kind::Discrete),
            imagined("small", Kind::Discrete),
        ]);
        let listed: Vec<_> = adapters
            .iter()
            .map(|a| (a.number, a.id.name.as_str()))
            .collect();
        assert_eq!(
            listed,
            [
                (0, "big"),
                (1, "small"),
                (2, "in the processor"),
                (3, "llvmpipe")
            ]
        );
    }
}
