//! What several tests share: reading fixtures, comparing, running the binary.
#![allow(dead_code)] // each test binary uses a part

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use safetensors::SafeTensors;

/// A file below `tests/fixtures`.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

/// A fixture's JSON.
pub fn json(name: &str) -> serde_json::Value {
    let text = std::fs::read(fixture(name)).expect(name);
    serde_json::from_slice(&text).expect(name)
}

/// The f32 arrays of a safetensors file.
pub struct Arrays(HashMap<String, (Vec<f32>, Vec<usize>)>);

impl Arrays {
    pub fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).expect("fixture");
        let file = SafeTensors::deserialize(&bytes).expect("safetensors");
        Arrays(
            file.iter()
                .map(|(name, view)| {
                    let values = view.data().as_chunks::<4>().0;
                    let values = values.iter().map(|&b| f32::from_le_bytes(b)).collect();
                    (name.to_string(), (values, view.shape().to_vec()))
                })
                .collect(),
        )
    }

    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub fn values(&self, name: &str) -> &[f32] {
        &self.get(name).0
    }

    pub fn shape(&self, name: &str) -> &[usize] {
        &self.get(name).1
    }

    pub fn shape4(&self, name: &str) -> [usize; 4] {
        self.shape(name).try_into().expect("four dimensions")
    }

    pub fn tensor<const D: usize>(&self, name: &str, device: &Device) -> Tensor<D> {
        let (values, shape) = self.get(name);
        Tensor::from_data(TensorData::new(values.clone(), shape.clone()), device)
    }

    fn get(&self, name: &str) -> &(Vec<f32>, Vec<usize>) {
        self.0
            .get(name)
            .unwrap_or_else(|| panic!("no array {name}"))
    }
}

/// A JSON list of numbers as f32.
pub fn floats(value: &serde_json::Value) -> Vec<f32> {
    value
        .as_array()
        .expect("a list")
        .iter()
        .map(|v| v.as_f64().expect("a number") as f32)
        .collect()
}

/// The largest |a - b|, relative to the largest |b|.
pub fn relative_error(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    assert!(a.iter().all(|v| v.is_finite()));
    let scale = b.iter().fold(0f32, |m, v| m.max(v.abs()));
    let worst = a.iter().zip(b).fold(0f32, |m, (a, b)| m.max((a - b).abs()));
    if worst == 0.0 { 0.0 } else { worst / scale }
}

pub fn assert_close(a: &[f32], b: &[f32], tolerance: f32, what: &str) {
    let error = relative_error(a, b);
    assert!(
        error <= tolerance,
        "{what}: relative error {error:e}, allowed {tolerance:e}"
    );
}

pub fn read<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.try_into_vec_as::<f32>().expect("readable")
}

/// Says loudly that a test could not do its work here: past the test harness, which swallows what passing
/// tests print.
pub fn skipped(why: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
}

/// Whether there is an adapter to test; where `MINKDS_REQUIRE_GPU=1` asks for one, there must be.
pub fn adapter_is_there() -> bool {
    let there = !minkds::device::adapters().is_empty();
    if !there {
        let required = std::env::var("MINKDS_REQUIRE_GPU").is_ok_and(|value| value == "1");
        assert!(!required, "MINKDS_REQUIRE_GPU=1, and there is no adapter");
        skipped("no adapter with Vulkan, Metal or DX12 was found, so nothing was tested here");
    }
    there
}

/// Copies the folder `from`, with everything in it, to `to`.
pub fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_folder(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}
