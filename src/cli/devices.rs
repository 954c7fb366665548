//! `minkds devices` and `minkds doctor`, and how `--device` becomes an opened device.

use std::io::Write;
use std::path::{Path, PathBuf};

use burn::tensor::FloatDType;
use bytesize::ByteSize;
use serde::Serialize;

use super::args::Doctor;
use super::progress::Screen;
use crate::device::{
    Adapter, DeviceChoice, Kind, Place, Precision, Target, adapters, memory_budget,
};
use crate::doctor::{self, Chosen, Key, Remembered, Verdict, name_of};
use crate::error::{Error, Result};
use crate::image_io::{Existing, ImageError, write_atomically};
use crate::job::refuse_missing_folder;

/// Opens what `choice` and `precision` ask for. A card that nobody examined yet is examined now.
pub fn open(choice: DeviceChoice, precision: Precision, screen: &Screen) -> Result<Target> {
    if choice == DeviceChoice::Cpu && precision != Precision::F16 {
        // Nothing is asked of any driver.
        return Ok(Target::cpu());
    }
    let mut remembered = Remembered::read();
    let recommended = remembered.recommended.clone();
    let advises_cpu = recommended
        .as_ref()
        .is_some_and(|key| key.adapter.is_none());
    if choice == DeviceChoice::Auto && precision != Precision::F16 && advises_cpu {
        return Ok(Target::cpu());
    }
    let mut examined = false;
    let mut verdict = |place: &Place, floats| {
        let key = Key::new(place, floats);
        if let Some(verdict) = remembered.verdict(&key) {
            return verdict.clone();
        }
        screen.note(&format!(
            "examining {} in {}, once",
            place.name(),
            name_of(floats)
        ));
        let verdict = doctor::examine_apart(place, floats);
        remembered.insert(key, verdict.clone());
        examined = true;
        verdict
    };
    let adapters = match choice {
        DeviceChoice::Cuda(number) => {
            // Before it is examined: a machine without CUDA is told so in one sentence.
            Target::open(&Place::Cuda(number.unwrap_or(0)), FloatDType::F32)?;
            &[]
        }
        _ => adapters(),
    };
    let chosen = doctor::choose(
        choice,
        precision,
        adapters,
        recommended.as_ref(),
        &mut verdict,
    );
    if examined {
        remembered.write();
    }
    let Chosen { place, floats } = chosen?;
    match Target::open(&place, floats) {
        Ok(target) => Ok(target),
        // A card that passed yesterday may be taken by something else today.
        Err(error) if choice == DeviceChoice::Auto => {
            screen.note(&format!("{error}; going on on the processor"));
            Ok(Target::cpu())
        }
        Err(error) => Err(Error::Device(format!("{error}; say --device cpu"))),
    }
}

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
    text += &format!(
        "cpu    {threads} threads, {} free\n",
        bytes(memory_budget(None))
    );
    text
}

fn describe(adapter: &Adapter) -> String {
    let kind = match adapter.kind {
        Kind::Discrete => "card",
        Kind::Integrated => "in the processor",
        Kind::Virtual => "virtual card",
        Kind::Other => "device of an unknown kind",
        Kind::Software => "software, taken only when named",
    };
    let yes = |can| if can { "yes" } else { "no" };
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
    format!(
        "{}, {} ({kind})\n       driver {}\n       memory {memory}, largest tensor {}, largest \
         buffer {}\n       f16 {}, subgroups {subgroups}, cooperative matrices {matrices}\n       \
         workgroups of {} threads and {}",
        adapter.id.name,
        adapter.id.api,
        adapter.id.driver,
        bytes(adapter.largest_binding),
        bytes(adapter.largest_buffer),
        yes(adapter.f16),
        adapter.workgroup_threads,
        bytes(u64::from(adapter.workgroup_memory)),
    )
}

fn bytes(count: u64) -> String {
    ByteSize::b(count).display().iec().to_string()
}

/// What the doctor found, to be attached to a bug.
#[derive(Serialize)]
struct Report {
    format: u32,
    version: &'static str,
    system: String,
    adapters: &'static [Adapter],
    verdicts: Vec<(Key, Verdict)>,
    recommended: Key,
}

/// The verdict on one device, as JSON: the answer of the copy that a program starts of itself.
pub fn examine(choice: DeviceChoice, precision: Precision) -> Result<String> {
    let place = Place::named(choice)?;
    let floats = match precision {
        Precision::F16 => FloatDType::F16,
        _ => FloatDType::F32,
    };
    let verdict = doctor::examine(&place, floats);
    serde_json::to_string(&verdict).map_err(|e| Error::Device(e.to_string()))
}

/// Examines everything, prints what comes out, and keeps it.
pub fn doctor(args: &Doctor, screen: &Screen, out: &mut dyn Write) -> Result<()> {
    let mut say = |text: String| {
        // A closed pipe is nobody's loss.
        let _ = writeln!(out, "{text}");
    };
    let path = report_path(args.output.as_deref())?;
    let mut places = vec![(Place::Cpu, vec![FloatDType::F32])];
    if cfg!(feature = "cuda") {
        places.push((Place::Cuda(0), vec![FloatDType::F32, FloatDType::F16]));
    }
    for adapter in adapters() {
        if adapter.is_software() && !args.software {
            say(format!(
                "{} is software and slower than the processor itself; --software examines it too",
                adapter.id.name
            ));
            continue;
        }
        let mut precisions = vec![FloatDType::F32];
        if adapter.f16 {
            precisions.push(FloatDType::F16);
        }
        places.push((Place::Gpu(Box::new(adapter.clone())), precisions));
    }
    let mut remembered = Remembered::read();
    let mut verdicts = Vec::new();
    let mut best: Option<(f64, Key, String)> = None;
    for (place, precisions) in &places {
        for &floats in precisions {
            let label = format!("{} in {}", place.name(), name_of(floats));
            screen.note(&format!("examining {label}"));
            let verdict = doctor::examine_apart(place, floats);
            let key = Key::new(place, floats);
            match (verdict.complaint(), verdict.speed) {
                (Some(complaint), _) => say(format!("{label}: {complaint}")),
                (None, speed) => {
                    let speed = speed.unwrap_or(0.0);
                    say(format!("{label}: computes rightly, {speed:.1} GFLOP/s"));
                    let software = matches!(place, Place::Gpu(card) if card.is_software());
                    if !software && best.as_ref().is_none_or(|(most, ..)| speed > *most) {
                        best = Some((speed, key.clone(), label));
                    }
                }
            }
            remembered.insert(key.clone(), verdict.clone());
            verdicts.push((key, verdict));
        }
    }
    let (_, recommended, label) = best.unwrap_or_else(|| {
        let key = Key::new(&Place::Cpu, FloatDType::F32);
        (0.0, key, "the processor".into())
    });
    say(format!("recommended, and taken by --device auto: {label}"));
    remembered.recommended = Some(recommended.clone());
    remembered.write();
    let report = Report {
        format: 1,
        version: env!("CARGO_PKG_VERSION"),
        system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        adapters: adapters(),
        verdicts,
        recommended,
    };
    let json = serde_json::to_vec_pretty(&report).map_err(|e| Error::Device(e.to_string()))?;
    write_atomically(&path, Existing::Overwrite, |sink| sink.write_all(&json))
        .map_err(ImageError::from)?;
    say(format!("report: {}", path.display()));
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
