//! Kernel Density Steering: moving every patch of every particle by mean shift towards where the
//! particles agree (Hu et al., 2507.05604). The paper's kernel and selection are the default, minKDS' can
//! be chosen.

mod agreement;
pub mod cpu;
mod select;
pub(crate) mod single;
mod steer;
pub mod tensor_ops;

pub use agreement::distance;
pub use select::{Choice, choose};
pub use steer::steer;

use crate::settings::{Kernel, Settings};

/// One mean shift: how patches are cut and how distance becomes weight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MeanShift {
    /// Side of the square patches; the grid starts at the top-left corner, the last patches of a
    /// row or column are smaller where the size is no multiple.
    pub patch_size: usize,
    /// The weight is `exp(-inverse_width * d²)`.
    pub inverse_width: f64,
}

impl MeanShift {
    /// For any finite bandwidth `h` > 0: `1 / 2h²` (`gaussian`) or `1 / 2h⁴` (`minkds`).
    pub fn new(patch_size: usize, bandwidth: f64, kernel: Kernel) -> Self {
        let squared = bandwidth * bandwidth;
        let width = match kernel {
            Kernel::Gaussian => squared,
            Kernel::Minkds => squared * squared,
        };
        MeanShift {
            patch_size,
            // A bandwidth so small that its square is 0 means that only equal patches agree.
            inverse_width: (0.5 / width).min(f64::MAX),
        }
    }

    /// The mean shift that `settings` ask for.
    pub fn from_settings(settings: &Settings) -> Self {
        MeanShift::new(
            settings.patch_size as usize,
            settings.bandwidth.value(),
            settings.kernel,
        )
    }
}
