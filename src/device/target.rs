//! One opened device in one precision, with its limits and what went wrong on it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use burn::tensor::wgpu::wgpu;
use burn::tensor::{Device, FloatDType, Tensor};

use super::adapter::{Adapter, Kind, adapters};
use super::{DeviceChoice, cuda, memory};
use crate::error::{Error, Result};

/// Latent cells per network evaluation that keep a processor busy …
const CPU_CELLS: usize = 64 * 64;
/// … and a graphics card.
const GPU_CELLS: usize = 8 * 128 * 128;
/// The part of a card's memory that a run may take; the rest is the desktop's.
const GPU_SHARE: f64 = 0.85;

/// Something that can be opened.
#[derive(Clone, Debug)]
pub enum Place {
    /// The processor.
    Cpu,
    /// A graphics card through wgpu.
    Gpu(Box<Adapter>),
    /// A graphics card through CUDA, by number.
    Cuda(usize),
}

impl Place {
    /// What `choice` names among this machine's adapters. Whether it computes rightly is another matter.
    ///
    /// # Errors
    /// [`Error::Device`] where it is not there, and for `Auto`, which names nothing.
    pub fn named(choice: DeviceChoice) -> Result<Place> {
        match choice {
            DeviceChoice::Auto | DeviceChoice::AllGpus => {
                Err(Error::Device("name a device: cpu, gpu:N or cuda:N".into()))
            }
            DeviceChoice::Cpu => Ok(Place::Cpu),
            DeviceChoice::Gpu(number) => Self::card(number, adapters()),
            DeviceChoice::Cuda(number) => Ok(Place::Cuda(number.unwrap_or(0))),
        }
    }

    /// The card of this number, else the first that is no software.
    pub(crate) fn card(number: Option<usize>, adapters: &[Adapter]) -> Result<Place> {
        let found = match number {
            Some(number) => adapters.get(number),
            None => adapters.iter().find(|adapter| !adapter.is_software()),
        };
        if let Some(adapter) = found {
            return Ok(Place::Gpu(Box::new(adapter.clone())));
        }
        Err(Error::Device(match (adapters, number) {
            ([], _) => {
                "no graphics card with Vulkan, Metal or DX12 was found; say --device cpu".into()
            }
            ([.., last], Some(number)) => format!(
                "there is no gpu:{number}; `minkds devices` lists gpu:0 to gpu:{}",
                last.number
            ),
            ([first, ..], None) => format!(
                "no graphics card was found, only software that computes on the processor ({}). \
                 --device cpu is faster; gpu:{} takes it all the same",
                first.id.name, first.number
            ),
        }))
    }

    /// What a person calls it.
    pub fn name(&self) -> String {
        match self {
            Place::Cpu => "the processor".into(),
            Place::Gpu(adapter) => format!("{} ({})", adapter.id.name, adapter.id.api),
            Place::Cuda(number) => format!("cuda:{number}"),
        }
    }
}

/// What a device can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the largest tensor.
    pub largest: u64,
    /// Latent cells per network evaluation that keep it busy; smaller pictures share an evaluation,
    /// larger ones have it to themselves (and can then be cancelled sooner).
    pub busy_cells: usize,
}

/// What went wrong on a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Its memory was not enough.
    OutOfMemory,
    /// Something else, in the driver's words.
    Other(String),
}

/// Where a device's error handler leaves word.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults(Arc<Mutex<Option<Fault>>>);

impl Faults {
    pub(super) fn record(&self, error: &wgpu::Error) {
        let fault = match error {
            wgpu::Error::OutOfMemory { .. } => Fault::OutOfMemory,
            other => Fault::Other(other.to_string()),
        };
        // The first one is the cause of the others.
        self.lock().get_or_insert(fault);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Fault>> {
        // Handlers panic by design; what they wrote is whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An opened device in one precision.
#[derive(Clone, Debug)]
pub struct Target {
    place: Place,
    device: Device,
    floats: FloatDType,
    limits: Limits,
    faults: Faults,
    handle: Option<wgpu::Device>,
}

impl Target {
    /// The processor, in f32.
    pub fn cpu() -> Self {
        memory::keep_freed_memory();
        Target {
            place: Place::Cpu,
            device: Device::flex(),
            floats: FloatDType::F32,
            limits: Limits {
                largest: u64::MAX,
                busy_cells: CPU_CELLS,
            },
            faults: Faults::default(),
            handle: None,
        }
    }

    /// Opens `place`, where convolutions will hold `floats` (f32 or f16).
    ///
    /// # Errors
    /// [`Error::Device`](crate::error::Error::Device) where the driver refuses.
    pub fn open(place: &Place, floats: FloatDType) -> Result<Self> {
        let faults = Faults::default();
        let target = |device, limits, handle| Target {
            place: place.clone(),
            device,
            floats,
            limits,
            faults: faults.clone(),
            handle,
        };
        match place {
            Place::Cpu => Ok(Self::cpu()),
            Place::Gpu(adapter) => {
                let (device, handle) = super::wgpu::open(adapter, &faults)?;
                let limits = Limits {
                    largest: adapter.largest_binding.min(adapter.largest_buffer),
                    busy_cells: match adapter.kind {
                        Kind::Software => CPU_CELLS,
                        _ => GPU_CELLS,
                    },
                };
                Ok(target(device, limits, Some(handle)))
            }
            Place::Cuda(number) => {
                let limits = Limits {
                    largest: u64::MAX,
                    busy_cells: GPU_CELLS,
                };
                Ok(target(cuda::open(*number)?, limits, None))
            }
        }
    }

    /// The same device in another precision.
    pub fn with_floats(&self, floats: FloatDType) -> Self {
        Target {
            floats,
            ..self.clone()
        }
    }

    /// The same device, believed to take tensors of `bytes` at most.
    pub fn with_largest(mut self, bytes: u64) -> Self {
        self.limits.largest = bytes;
        self
    }

    /// Where it is.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// burn's handle.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// What convolutions hold.
    pub fn floats(&self) -> FloatDType {
        self.floats
    }

    /// What it can hold.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Whether it is the processor, by its own name.
    pub fn is_cpu(&self) -> bool {
        matches!(self.place, Place::Cpu)
    }

    /// wgpu's own handle, on graphics cards.
    pub fn wgpu_device(&self) -> Option<&wgpu::Device> {
        self.handle.as_ref()
    }

    /// Waits until `x` is computed. A graphics card works on while the program goes on; what fails there
    /// is known from here on.
    ///
    /// # Errors
    /// [`Error::Compute`], [`Error::DeviceLost`].
    pub fn finish(&self, x: &Tensor<4>) -> Result<()> {
        if self.is_cpu() {
            return Ok(());
        }
        let one = x.clone().slice([0..1, 0..1, 0..1, 0..1]);
        one.try_into_vec_as::<f32>()
            .map_err(Error::reading)
            .map(drop)
    }

    /// Gives memory that nothing uses back to the device.
    pub fn clean_up(&self) {
        // On a device that failed this may fail too, which changes nothing.
        let _ = catch_unwind(AssertUnwindSafe(|| self.device.memory_cleanup()));
    }

    /// What went wrong since this was last asked.
    pub fn take_fault(&self) -> Option<Fault> {
        self.faults.lock().take()
    }

    /// Whether runs there share the memory that everything else in this program takes.
    pub fn shares_memory(&self) -> bool {
        match &self.place {
            Place::Cpu => true,
            Place::Gpu(adapter) => matches!(adapter.kind, Kind::Software | Kind::Integrated),
            _ => false,
        }
    }

    /// Bytes that a run may take there, `limit` being the person's wish for the whole program.
    pub fn memory_budget(&self, limit: Option<u64>) -> u64 {
        let own = match &self.place {
            Place::Gpu(adapter) => adapter.memory,
            // Nothing tells how much memory a card under CUDA has; it says so itself when it is not enough.
            _ => None,
        };
        let own = own.map_or(u64::MAX, |bytes| (bytes as f64 * GPU_SHARE) as u64);
        own.min(match self.shares_memory() {
            true => memory::memory_budget(limit),
            false => limit.unwrap_or(u64::MAX),
        })
    }
}
