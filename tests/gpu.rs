//! What a graphics card computes equals what the processor computes. Runs on the first adapter there is,
//! software or not; with `MINKDS_REQUIRE_GPU=1` there must be one.

mod common;

#[path = "gpu/failures.rs"]
mod failures;
#[path = "gpu/operations.rs"]
mod operations;
#[path = "gpu/runs.rs"]
mod runs;

use std::sync::OnceLock;

use burn::tensor::FloatDType;
use minkds::device::{Place, Target, adapters};

/// The adapter that is tested: real ones come first.
fn place() -> Option<Place> {
    common::adapter_is_there().then(|| Place::Gpu(Box::new(adapters()[0].clone())))
}

/// That adapter in f32, opened once for all tests.
fn gpu() -> Option<&'static Target> {
    static TARGET: OnceLock<Option<Target>> = OnceLock::new();
    TARGET
        .get_or_init(|| Some(Target::open(&place()?, FloatDType::F32).expect("the adapter opens")))
        .as_ref()
}

/// The same in f16, where it has that.
fn gpu_f16() -> Option<Target> {
    let target = gpu()?;
    match target.place() {
        Place::Gpu(adapter) if adapter.f16 => Some(target.with_floats(FloatDType::F16)),
        _ => {
            common::skipped("the adapter has no f16");
            None
        }
    }
}
