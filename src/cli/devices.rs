//! `minkds devices` and `minkds doctor`.

use std::io::Write;
use std::path::{Path, PathBuf};

use burn::tensor::FloatDType;
use bytesize::ByteSize;

use super::args::Doctor;
use super::progress::Screen;
use crate::device::{
    Adapter, DeviceChoice, Kind, Place, Precision, Target, adapters, memory_budget,
};
use crate::doctor::{self, Progress};
use crate::error::{Error, Result};
use crate::image_io::{Existing, ImageError, write_atomically};
use crate::job::refuse_missing_folder;

/// The list that `minkds devices` prints.
pub fn list() -> String {
    let mut text = String::new();
    for adapter in adapters() {
        text += &format!("gpu:{}  {}\n", adapter.number, describe(adapter));
    }
    if text.is_empty() {
        text += "no graphics card with Vulkan, Metal or DX12\n";
    }
    if cfg!(feature = "cuda") {
        text += &match Target::open(&Place::Cuda(0), FloatDType::F32) {
            Ok(_) => "cuda:0  the first card through CUDA\n".to_string(),
            Err(error) => format!("cuda    {error}\n"),
        };
    }
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
    let free = bytes(memory_budget(None));
    text + &format!("cpu    {threads} threads, {free} free\n")
}

fn describe(adapter: &Adapter) -> String {
    let kind = match adapter.kind {
        Kind::Discrete => "card",
        Kind::Integrated => "in the processor",
        Kind::Virtual => "virtual card",
        Kind::Other => "device of an unknown kind",
        Kind::Software => "software, taken only when named",
    };
    let f16 = if adapter.f16 { "yes" } else { "no" };
    let memory = adapter.memory.map_or("unknown".into(), bytes);
    let subgroups = match adapter.subgroups {
        Some([least, most]) if least == most => least.to_string(),
        Some([least, most]) => format!("{least} to {most}"),
        None => "no".into(),
    };
    let matrices = match adapter.cooperative_matrices.as_slice() {
        [] => "no".to_string(),
        shapes => shapes.join("; "),
    };
    let lines = [
        format!("{}, {} ({kind})", adapter.id.name, adapter.id.api),
        format!("driver {}", adapter.id.driver),
        format!(
            "memory {memory}, largest tensor {}, largest buffer {}",
            bytes(adapter.largest_binding),
            bytes(adapter.largest_buffer)
        ),
        format!("f16 {f16}, subgroups {subgroups}, cooperative matrices {matrices}"),
        format!(
            "workgroups of {} threads and {}",
            adapter.workgroup_threads,
            bytes(u64::from(adapter.workgroup_memory))
        ),
    ];
    lines.join("\n       ")
}

fn bytes(count: u64) -> String {
    ByteSize::b(count).display().iec().to_string()
}

/// The verdict on one device, as JSON: the answer of the copy that the program starts of itself.
pub fn examine(choice: DeviceChoice, precision: Precision) -> Result<String> {
    let floats = match precision {
        Precision::F16 => FloatDType::F16,
        _ => FloatDType::F32,
    };
    let verdict = doctor::examine(&Place::named(choice)?, floats);
    serde_json::to_string(&verdict).map_err(|e| Error::Device(e.to_string()))
}

/// Examines everything, prints what comes out, and writes the report.
pub fn doctor(args: &Doctor, screen: &Screen, out: &mut dyn Write) -> Result<()> {
    let path = report_path(args.output.as_deref())?;
    // A closed pipe is nobody's loss.
    let mut say = |text: &str| drop(writeln!(out, "{text}"));
    for adapter in adapters()
        .iter()
        .filter(|a| a.is_software() && !args.software)
    {
        say(&format!(
            "{} is software and slower than the processor itself; --software examines it too",
            adapter.id.name
        ));
    }
    let report = doctor::examine_all(args.software, &mut |progress| match progress {
        Progress::Examining(label) => screen.note(&format!("examining {label}")),
        Progress::Found(finding) => say(&match finding.verdict.complaint() {
            Some(complaint) => format!("{}: {complaint}", finding.label),
            None => format!(
                "{}: computes rightly, {:.1} GFLOP/s",
                finding.label,
                finding.speed()
            ),
        }),
    });
    let recommended = (report.findings.iter())
        .find(|finding| finding.key == report.recommended)
        .map_or("the processor", |finding| &finding.label);
    say(&format!(
        "recommended, and taken by --device auto: {recommended}"
    ));
    let json = serde_json::to_vec_pretty(&report).map_err(|e| Error::Device(e.to_string()))?;
    write_atomically(&path, Existing::Overwrite, |sink| sink.write_all(&json))
        .map_err(ImageError::from)?;
    say(&format!("report: {}", path.display()));
    Ok(())
}

fn report_path(wanted: Option<&Path>) -> Result<PathBuf> {
    if let Some(path) = wanted {
        refuse_missing_folder(path, "the report")?;
        return Ok(path.to_path_buf());
    }
    let folder = dirs::cache_dir()
        .map(|cache| cache.join("minkds"))
        .ok_or_else(|| Error::Paths("name the report's file with -o".into()))?;
    std::fs::create_dir_all(&folder)
        .map_err(|e| Error::Paths(format!("cannot create {}: {e}", folder.display())))?;
    Ok(folder.join("doctor.json"))
}
