//! Which device computes, in which precision.

use burn::tensor::FloatDType;

use super::{Key, Verdict, name_of};
use crate::device::{Adapter, DeviceChoice, Place, Precision};
use crate::error::{Error, Result};

/// f16 is taken where it is at least this times as fast as f32.
const HALF_PAYS: f64 = 0.95;

/// A device and a precision.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// Where.
    pub place: Place,
    /// f32 or f16.
    pub floats: FloatDType,
}

/// Follows `choice` and `precision` among `adapters`; `verdict` examines, or remembers.
///
/// `Auto` takes what the doctor `recommended` if it still passes, else the first real card that does,
/// else the processor. Software adapters are taken by number only.
///
/// # Errors
/// [`Error::Device`] where what was named is not there or does not compute rightly.
pub fn choose(
    choice: DeviceChoice,
    precision: Precision,
    adapters: &[Adapter],
    recommended: Option<&Key>,
    verdict: &mut dyn FnMut(&Place, FloatDType) -> Verdict,
) -> Result<Chosen> {
    let gpu = |adapter: &Adapter| Place::Gpu(Box::new(adapter.clone()));
    match choice {
        DeviceChoice::Cpu if precision == Precision::F16 => Err(Error::Device(
            "precision f16 needs a graphics card: leave --precision out or say f32".into(),
        )),
        DeviceChoice::Cpu => Ok(cpu()),
        DeviceChoice::Auto => {
            let mut cards: Vec<_> = adapters.iter().filter(|a| !a.is_software()).collect();
            if let Some(key) = recommended {
                if key.adapter.is_none() && precision != Precision::F16 {
                    return Ok(cpu());
                }
                // Stable: the recommended one first, the others as they were.
                cards.sort_by_key(|adapter| Some(&adapter.id) != key.adapter.as_ref());
            }
            for adapter in cards {
                if let Ok(chosen) = in_precision(gpu(adapter), precision, verdict) {
                    return Ok(chosen);
                }
            }
            match precision {
                Precision::F16 => Err(Error::Device(
                    "no graphics card here computes rightly in f16 (minkds devices lists them): leave \
                     --precision out or say f32"
                        .into(),
                )),
                _ => Ok(cpu()),
            }
        }
        DeviceChoice::Gpu(None) => match adapters.iter().find(|a| !a.is_software()) {
            Some(adapter) => in_precision(gpu(adapter), precision, verdict),
            None => Err(Error::Device(no_card(adapters))),
        },
        DeviceChoice::Gpu(Some(number)) => match adapters.get(number) {
            Some(adapter) => in_precision(gpu(adapter), precision, verdict),
            None if adapters.is_empty() => Err(Error::Device(no_card(adapters))),
            None => Err(Error::Device(format!(
                "there is no gpu:{number}; `minkds devices` lists gpu:0 to gpu:{}",
                adapters.len() - 1
            ))),
        },
        DeviceChoice::Cuda(number) => {
            in_precision(Place::Cuda(number.unwrap_or(0)), precision, verdict)
        }
    }
}

fn cpu() -> Chosen {
    Chosen {
        place: Place::Cpu,
        floats: FloatDType::F32,
    }
}

fn no_card(adapters: &[Adapter]) -> String {
    match adapters.first() {
        None => "no graphics card with Vulkan, Metal or DX12 was found; say --device cpu".into(),
        Some(first) => format!(
            "no graphics card was found, only software that computes on the processor ({}). \
             --device cpu is faster; gpu:{} takes it all the same",
            first.id.name, first.number
        ),
    }
}

/// `place` in `precision`, if it passes.
fn in_precision(
    place: Place,
    precision: Precision,
    verdict: &mut dyn FnMut(&Place, FloatDType) -> Verdict,
) -> Result<Chosen> {
    let knows_half = match &place {
        Place::Gpu(adapter) => adapter.f16,
        _ => true,
    };
    let refuse = |verdict: &Verdict, floats| {
        Error::Device(format!(
            "{} cannot be used in {}: {}. Update its driver, or say --device cpu (minkds doctor tells \
             more)",
            place.name(),
            name_of(floats),
            verdict.complaint().unwrap_or_default()
        ))
    };
    if precision == Precision::F16 && !knows_half {
        return Err(Error::Device(format!(
            "{} does not compute in f16: leave --precision out or say f32",
            place.name()
        )));
    }
    let half =
        (knows_half && precision != Precision::F32).then(|| verdict(&place, FloatDType::F16));
    if precision == Precision::F16
        && let Some(half) = half
    {
        return match half.passed() {
            true => Ok(Chosen {
                place,
                floats: FloatDType::F16,
            }),
            false => Err(refuse(&half, FloatDType::F16)),
        };
    }
    let full = verdict(&place, FloatDType::F32);
    let half_pays = half.is_some_and(|half| half.passed() && is_as_fast(&half, &full));
    match (half_pays, full.passed()) {
        (true, _) => Ok(Chosen {
            place,
            floats: FloatDType::F16,
        }),
        (false, true) => Ok(Chosen {
            place,
            floats: FloatDType::F32,
        }),
        (false, false) => Err(refuse(&full, FloatDType::F32)),
    }
}

fn is_as_fast(half: &Verdict, full: &Verdict) -> bool {
    match (half.speed, full.speed) {
        (Some(half), Some(full)) => half >= HALF_PAYS * full,
        _ => true,
    }
}
