//! Latents in files: start noise in, final latents out, as safetensors with one array `latents`.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use crate::error::{Error, Result};
use crate::image_io::{Existing, write_atomically};
use crate::kds::{self, Choice};
use crate::settings::Select;

const NAME: &str = "latents";
/// The largest file that is read: far more than 64 particles of any picture that fits in memory.
const MAX_BYTES: u64 = 16 << 30;

/// Latents of all particles, `[N, C, H, W]`, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Latents {
    /// `[N, C, H, W]`.
    pub shape: [usize; 4],
    /// The values.
    pub values: Vec<f32>,
}

impl Latents {
    /// Reads the array `latents` of a safetensors file: f32 with four dimensions.
    pub fn read(path: &Path) -> Result<Self> {
        let unreadable = |e: std::io::Error| Error::latents(path, format!("cannot be read: {e}"));
        let size = std::fs::metadata(path).map_err(unreadable)?.len();
        if size > MAX_BYTES {
            return Err(Error::latents(
                path,
                format!("has {size} bytes, too many for start noise"),
            ));
        }
        let bytes = std::fs::read(path).map_err(unreadable)?;
        let file = SafeTensors::deserialize(&bytes)
            .map_err(|e| Error::latents(path, format!("is no whole safetensors file ({e})")))?;
        let array = file.tensor(NAME).map_err(|_| {
            Error::latents(
                path,
                format!("holds no array \"{NAME}\", only {:?}", file.names()),
            )
        })?;
        if array.dtype() != Dtype::F32 {
            return Err(Error::latents(
                path,
                format!("holds {:?} values; store them as F32", array.dtype()),
            ));
        }
        let shape: [usize; 4] = array.shape().try_into().map_err(|_| {
            Error::latents(
                path,
                format!("has shape {:?}; [N, C, H, W] is needed", array.shape()),
            )
        })?;
        let values: Vec<f32> = array
            .data()
            .as_chunks::<4>()
            .0
            .iter()
            .map(|&b| f32::from_le_bytes(b))
            .collect();
        if !values.iter().all(|v| v.is_finite()) {
            return Err(Error::latents(path, "holds values that are no numbers"));
        }
        Ok(Latents { shape, values })
    }

    /// The latents for a run of `particles` (any number, if `None`) on a canvas of `shape`
    /// `[C, H, W]`; `path` is named in errors. With `first_only`, particle 0 alone.
    pub fn fit(
        mut self,
        path: &Path,
        particles: Option<usize>,
        shape: [usize; 3],
        first_only: bool,
    ) -> Result<Self> {
        let [n, c, h, w] = self.shape;
        let wanted = particles.unwrap_or(n);
        if [c, h, w] != shape || n == 0 || (n != wanted && !first_only) {
            let wanted = particles.map_or("N".into(), |n| n.to_string());
            return Err(Error::latents(
                path,
                format!(
                    "has shape {:?}; this picture and model need [{wanted}, {}, {}, {}]",
                    self.shape, shape[0], shape[1], shape[2]
                ),
            ));
        }
        if first_only {
            self.shape[0] = 1;
            self.values.truncate(c * h * w);
        }
        Ok(self)
    }

    /// Which particle `select` chooses.
    pub fn choose(&self, select: Select) -> Choice {
        kds::choose(select, &self.values, self.shape[0])
    }

    /// What is decoded: the latents of one picture each, `[C, H, W]`.
    pub fn chosen(&self, choice: Choice) -> Vec<Vec<f32>> {
        match choice {
            Choice::Particle(i) => vec![self.particle(i)],
            Choice::Mean => vec![self.mean().values],
            Choice::All => (0..self.shape[0]).map(|i| self.particle(i)).collect(),
        }
    }

    /// The average of all particles: `[1, C, H, W]`.
    pub fn mean(&self) -> Self {
        let [n, c, h, w] = self.shape;
        let mut values = vec![0f32; c * h * w];
        for particle in self.values.chunks_exact(values.len().max(1)) {
            for (sum, value) in values.iter_mut().zip(particle) {
                *sum += value / n as f32;
            }
        }
        Latents {
            shape: [1, c, h, w],
            values,
        }
    }

    /// Writes the array, with `selected` in the metadata: the index of the decoded particle, -1 for
    /// the mean or all of them.
    pub fn write(&self, path: &Path, choice: &Choice) -> Result<()> {
        let selected = match choice {
            Choice::Particle(i) => i.to_string(),
            Choice::Mean | Choice::All => "-1".to_string(),
        };
        let bytes: Vec<u8> = self.values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let view = TensorView::new(Dtype::F32, self.shape.to_vec(), &bytes)
            .map_err(|e| Error::latents(path, e.to_string()))?;
        let metadata = HashMap::from([("selected".to_string(), selected)]);
        let file = safetensors::serialize([(NAME, view)], Some(metadata))
            .map_err(|e| Error::latents(path, e.to_string()))?;
        write_atomically(path, Existing::Overwrite, |sink| sink.write_all(&file))
            .map_err(crate::image_io::ImageError::from)?;
        Ok(())
    }
}
