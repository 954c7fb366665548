//! CUDA, where this build has it.

use burn::tensor::Device;

use crate::error::{Error, Result};

/// Opens the card with this number.
#[cfg(feature = "cuda")]
pub(super) fn open(number: usize) -> Result<Device> {
    use burn::tensor::Tensor;
    super::wgpu::configure();
    // burn's CUDA opens the driver when it is first used, and panics where there is none.
    let opened = std::panic::catch_unwind(|| {
        let device = Device::cuda(number);
        let one = Tensor::<1>::ones([1], &device).try_into_vec_as::<f32>();
        (one.is_ok_and(|one| one == [1.0])).then_some(device)
    });
    opened.ok().flatten().ok_or_else(|| {
        Error::Device(format!(
            "cannot open cuda:{number}: there is no such card, or no NVIDIA driver with CUDA on this \
             machine. Use --device gpu or --device cpu"
        ))
    })
}

/// Says that this build has no CUDA.
#[cfg(not(feature = "cuda"))]
pub(super) fn open(_: usize) -> Result<Device> {
    Err(Error::Device(
        "this build has no CUDA: use --device gpu, or build with --features cuda".into(),
    ))
}
