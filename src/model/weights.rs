//! Weight files as named tensors: safetensors and PyTorch's `.bin`, both read as data.
//!
//! Layers *take* tensors by name and shape. What is missing, mis-shaped or left over is collected
//! and becomes one error that names the file and the first offenders: a model is never half-loaded.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::File;
use std::io::{Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use burn::tensor::{Device, FloatDType, Tensor, TensorData};
use half::{bf16, f16};
use pytorch_reader::{DType, PickleValue, PytorchReader};
use safetensors::Dtype;
use safetensors::tensor::Metadata;

use crate::error::{Error, Result};

/// Offenders named in an error.
const SHOWN: usize = 4;
/// safetensors' own bound on its JSON header.
const MAX_HEADER: u64 = 100_000_000;

/// One weight file being loaded onto a device.
pub struct Weights {
    path: PathBuf,
    device: Device,
    floats: FloatDType,
    entries: RefCell<HashMap<String, Entry>>,
    source: RefCell<Source>,
    problems: RefCell<Vec<String>>,
}

struct Entry {
    shape: Vec<usize>,
    format: Format,
    place: Place,
}

#[derive(Clone, Copy)]
enum Format {
    F32,
    F16,
    Bf16,
}

enum Place {
    /// Byte range in the source.
    Bytes(u64, usize),
    Pickle(pytorch_reader::Tensor),
}

trait ReadSeek: Read + Seek {}
impl<T: Read + Seek> ReadSeek for T {}
type Source = Option<Box<dyn ReadSeek>>;

impl Weights {
    /// `diffusion_pytorch_model.safetensors`, or `.bin` where there is none, in `folder`.
    pub fn file_in(folder: &Path) -> Result<PathBuf> {
        let names = [
            "diffusion_pytorch_model.safetensors",
            "diffusion_pytorch_model.bin",
        ];
        let mut files = names.iter().map(|name| folder.join(name));
        files.find(|file| file.exists()).ok_or_else(|| {
            Error::model(
                folder,
                "holds no diffusion_pytorch_model.safetensors or .bin; is the download complete?",
            )
        })
    }

    /// Opens the file of [`Weights::file_in`].
    pub fn open(folder: &Path, device: &Device) -> Result<Self> {
        let path = Self::file_in(folder)?;
        if path.extension().is_some_and(|ending| ending == "bin") {
            return Self::pickle(&path, device);
        }
        let file =
            File::open(&path).map_err(|e| Error::model(&path, format!("cannot be opened: {e}")))?;
        Self::safetensors(&path, Box::new(file), device)
    }

    /// Reads safetensors that are in memory; `name` stands for the file in messages.
    pub fn from_static(name: &Path, bytes: &'static [u8], device: &Device) -> Result<Self> {
        Self::safetensors(name, Box::new(Cursor::new(bytes)), device)
    }

    fn safetensors(path: &Path, mut source: Box<dyn ReadSeek>, device: &Device) -> Result<Self> {
        let damaged = |what: String| {
            Error::model(
                path,
                format!("is no whole safetensors file ({what}); download it again"),
            )
        };
        let io = |e: std::io::Error| damaged(e.to_string());
        let size = source.seek(SeekFrom::End(0)).map_err(io)?;
        source.rewind().map_err(io)?;
        let mut length = [0; 8];
        source
            .read_exact(&mut length)
            .map_err(|_| damaged(format!("it has {size} bytes")))?;
        let header = u64::from_le_bytes(length);
        if header > MAX_HEADER || header + 8 > size {
            return Err(damaged(format!(
                "its header claims {header} bytes, the file has {size}"
            )));
        }
        let mut json = vec![0; header as usize];
        source.read_exact(&mut json).map_err(io)?;
        let metadata: Metadata =
            serde_json::from_slice(&json).map_err(|e| damaged(format!("header: {e}")))?;
        let expected = (metadata.data_len() as u64).checked_add(8 + header);
        if expected != Some(size) {
            return Err(damaged(format!(
                "its tensors need {} bytes, the file has {size}",
                expected.map_or("far more".into(), |n| n.to_string())
            )));
        }
        let mut entries = HashMap::new();
        for (name, info) in metadata.tensors() {
            let format = match info.dtype {
                Dtype::F32 => Format::F32,
                Dtype::F16 => Format::F16,
                Dtype::BF16 => Format::Bf16,
                other => return Err(unsupported_type(path, &name, &format!("{other:?}"))),
            };
            let (start, end) = info.data_offsets;
            entries.insert(
                name,
                Entry {
                    shape: info.shape.clone(),
                    format,
                    place: Place::Bytes(8 + header + start as u64, end - start),
                },
            );
        }
        Ok(Self::new(path, device, entries, Some(source)))
    }

    fn pickle(path: &Path, device: &Device) -> Result<Self> {
        let damaged = |e: pytorch_reader::PytorchError| {
            Error::model(
                path,
                format!(
                    "is no checkpoint that can be read as data ({e}); convert it to safetensors"
                ),
            )
        };
        let content = PytorchReader::read_pickle_data(path, None).map_err(damaged)?;
        if let Some(call) = foreign_call(&content) {
            return Err(Error::model(
                path,
                format!(
                    "holds more than weights: it names \"{call}\". Nothing in it was run. Get the \
                     model from a source you trust, as safetensors"
                ),
            ));
        }
        let size = std::fs::metadata(path).map_or(0, |file| file.len());
        let mut entries = HashMap::new();
        for (name, tensor) in PytorchReader::new(path).map_err(damaged)?.into_tensors() {
            let format = match tensor.dtype() {
                DType::F32 => Format::F32,
                DType::F16 => Format::F16,
                DType::BF16 => Format::Bf16,
                other => return Err(unsupported_type(path, &name, &format!("{other:?}"))),
            };
            // A view may repeat what a file holds as often as it likes.
            if tensor.byte_len() as u64 > size {
                let (claimed, shape) = (tensor.byte_len(), tensor.shape());
                return Err(Error::model(
                    path,
                    format!(
                        "{name} of shape {shape:?} would be {claimed} bytes, and the whole file has \
                         {size}; get the model from a source you trust, as safetensors"
                    ),
                ));
            }
            entries.insert(
                name,
                Entry {
                    shape: tensor.shape().to_vec(),
                    format,
                    place: Place::Pickle(tensor),
                },
            );
        }
        Ok(Self::new(path, device, entries, None))
    }

    fn new(path: &Path, device: &Device, entries: HashMap<String, Entry>, source: Source) -> Self {
        Weights {
            path: path.to_path_buf(),
            device: device.clone(),
            floats: FloatDType::F32,
            entries: RefCell::new(entries),
            source: RefCell::new(source),
            problems: RefCell::default(),
        }
    }

    /// The same, with convolutions that hold `floats`; everything else stays f32.
    pub fn holding(mut self, floats: FloatDType) -> Self {
        self.floats = floats;
        self
    }

    /// Where layers take their tensors from.
    pub fn root(&self) -> Scope<'_> {
        Scope {
            weights: self,
            prefix: String::new(),
        }
    }

    /// Ends loading: an error if anything was missing, mis-shaped, or is left over.
    pub fn finish(self) -> Result<()> {
        let mut problems = self.problems.into_inner();
        let mut left: Vec<_> = self.entries.into_inner().into_keys().collect();
        left.sort();
        problems.extend(left.into_iter().map(|name| format!("unexpected {name}")));
        if problems.is_empty() {
            return Ok(());
        }
        let more = match problems.len().saturating_sub(SHOWN) {
            0 => String::new(),
            n => format!(", and {n} more"),
        };
        problems.truncate(SHOWN);
        Err(Error::model(
            self.path,
            format!(
                "does not fit its config.json: {}{more}. Weights and config must come from the \
                 same model",
                problems.join(", ")
            ),
        ))
    }

    /// The tensor `name` with exactly `shape`, or with one of the `alternatives`, flattened to it.
    fn take<const D: usize>(
        &self,
        names: &[String],
        shape: [usize; D],
        alternative: Option<Vec<usize>>,
    ) -> Tensor<D> {
        let problem = |text: String| {
            self.problems.borrow_mut().push(text);
            // Never used: `finish` fails.
            Tensor::zeros([1; D], &self.device)
        };
        let found = names
            .iter()
            .find_map(|name| Some((name, self.entries.borrow_mut().remove(name)?)));
        let Some((name, entry)) = found else {
            return problem(format!("missing {}", names[0]));
        };
        if entry.shape != shape && Some(&entry.shape) != alternative.as_ref() {
            return problem(format!(
                "{name} has shape {:?} instead of {shape:?}",
                entry.shape
            ));
        }
        match self.read(&entry) {
            Ok(values) => Tensor::from_data(TensorData::new(values, shape), &self.device),
            Err(e) => problem(format!("{name} cannot be read ({e})")),
        }
    }

    fn read(&self, entry: &Entry) -> std::io::Result<Vec<f32>> {
        let bytes = match &entry.place {
            Place::Pickle(tensor) => tensor.read()?,
            Place::Bytes(start, length) => {
                let mut source = self.source.borrow_mut();
                let source = source.as_mut().ok_or(std::io::ErrorKind::NotFound)?;
                let mut bytes = vec![0; *length];
                source.seek(SeekFrom::Start(*start))?;
                source.read_exact(&mut bytes)?;
                bytes
            }
        };
        let halves = || bytes.as_chunks::<2>().0.iter();
        Ok(match entry.format {
            Format::F32 => bytes
                .as_chunks::<4>()
                .0
                .iter()
                .map(|&b| f32::from_le_bytes(b))
                .collect(),
            Format::F16 => halves().map(|&b| f16::from_le_bytes(b).to_f32()).collect(),
            Format::Bf16 => halves().map(|&b| bf16::from_le_bytes(b).to_f32()).collect(),
        })
    }
}

fn unsupported_type(path: &Path, name: &str, found: &str) -> Error {
    Error::model(
        path,
        format!("{name} is stored as {found}; weights must be F32, F16 or BF16"),
    )
}

/// The first thing in a pickle that is neither plain data nor a tensor.
fn foreign_call(value: &PickleValue) -> Option<&str> {
    match value {
        PickleValue::Unsupported(name) if name == "torch.Tensor" => None,
        PickleValue::Unsupported(name) => Some(name),
        PickleValue::List(items) => items.iter().find_map(foreign_call),
        PickleValue::Dict(items) => items.values().find_map(foreign_call),
        _ => None,
    }
}

/// A place in the names of a weight file, such as `down_blocks.0.resnets.1`.
#[derive(Clone)]
pub struct Scope<'a> {
    weights: &'a Weights,
    prefix: String,
}

impl Scope<'_> {
    /// A named part of this place.
    pub fn child(&self, name: &str) -> Self {
        Scope {
            weights: self.weights,
            prefix: self.full(name),
        }
    }

    /// The i-th part of the list `name`.
    pub fn item(&self, name: &str, i: usize) -> Self {
        self.child(&format!("{name}.{i}"))
    }

    /// The tensor `name` here, of exactly `shape`.
    pub fn tensor<const D: usize>(&self, name: &str, shape: [usize; D]) -> Tensor<D> {
        self.weights.take(&[self.full(name)], shape, None)
    }

    /// What convolutions hold.
    pub fn floats(&self) -> FloatDType {
        self.weights.floats
    }

    /// A `[out, in]` matrix under any of `names`; `[out, in, 1, 1]` is the same to old checkpoints.
    pub fn matrix(&self, names: &[String], shape: [usize; 2]) -> Tensor<2> {
        let names: Vec<_> = names.iter().map(|name| self.full(name)).collect();
        let as_conv = vec![shape[0], shape[1], 1, 1];
        self.weights.take(&names, shape, Some(as_conv))
    }

    /// A vector under any of `names`.
    pub fn vector(&self, names: &[String], length: usize) -> Tensor<1> {
        let names: Vec<_> = names.iter().map(|name| self.full(name)).collect();
        self.weights.take(&names, [length], None)
    }

    fn full(&self, name: &str) -> String {
        if self.prefix.is_empty() {
            name.to_string()
        } else {
            format!("{}.{name}", self.prefix)
        }
    }
}
