//! From what a person asked for to an opened device that computes rightly.

use burn::tensor::FloatDType;

use super::{Chosen, Key, Remembered, choose, examine_apart, name_of};
use crate::device::{DeviceChoice, Place, Precision, Target, adapters};
use crate::error::{Error, Result};

/// Opens what `choice` and `precision` ask for; `notice` hears what takes a while or goes wrong. A card
/// that nobody examined yet is examined now, in a copy of this program, which must be `minkds`.
///
/// # Errors
/// [`Error::Device`] where what was named is not there or does not compute rightly. `Auto` always opens
/// something, unless f16 is insisted on.
pub fn open(
    choice: DeviceChoice,
    precision: Precision,
    notice: &mut dyn FnMut(&str),
) -> Result<Target> {
    let mut remembered = Remembered::read();
    let recommended = remembered.recommended.clone();
    let advised = choice == DeviceChoice::Auto
        && recommended
            .as_ref()
            .is_some_and(|key| key.adapter.is_none());
    if precision != Precision::F16 && (choice == DeviceChoice::Cpu || advised) {
        // Nothing is asked of any driver.
        return Ok(Target::cpu());
    }
    let adapters = match choice {
        DeviceChoice::Cuda(number) => {
            // Before it is examined: a machine without CUDA is told so in one sentence.
            Target::open(&Place::Cuda(number.unwrap_or(0)), FloatDType::F32)?;
            &[]
        }
        _ => adapters(),
    };
    let mut examined = false;
    let mut verdict = |place: &Place, floats| {
        let key = Key::new(place, floats);
        if let Some(verdict) = remembered.verdict(&key) {
            return verdict.clone();
        }
        notice(&format!(
            "examining {} in {}, once",
            place.name(),
            name_of(floats)
        ));
        let verdict = examine_apart(place, floats);
        remembered.insert(key, verdict.clone());
        examined = true;
        verdict
    };
    let mut left_out = Vec::new();
    let chosen = choose(
        choice,
        precision,
        adapters,
        recommended.as_ref(),
        &mut verdict,
        &mut left_out,
    );
    if examined {
        remembered.write();
    }
    let Chosen { place, floats } = chosen?;
    if !left_out.is_empty() {
        // A driver that hangs takes minutes to be found out: that is not done again unasked.
        notice(&format!(
            "{}; going on on {} (minkds doctor examines again)",
            left_out.join("; "),
            place.name()
        ));
    }
    match Target::open(&place, floats) {
        Ok(target) => Ok(target),
        // A card that passed yesterday may be taken by something else today.
        Err(error) if choice == DeviceChoice::Auto => {
            notice(&format!("{error}; going on on the processor"));
            Ok(Target::cpu())
        }
        Err(error) => Err(Error::Device(format!("{error}; say --device cpu"))),
    }
}

/// Opens every graphics card that computes rightly; software adapters only where there is nothing else.
/// `notice` hears about the others.
///
/// # Errors
/// [`Error::Device`] where none can be opened.
pub fn open_all(precision: Precision, notice: &mut dyn FnMut(&str)) -> Result<Vec<Target>> {
    let cards = adapters().iter().filter(|adapter| !adapter.is_software());
    let mut numbers: Vec<usize> = cards.map(|adapter| adapter.number).collect();
    if numbers.is_empty() {
        numbers = adapters().iter().map(|adapter| adapter.number).collect();
    }
    let mut targets = Vec::new();
    for number in numbers {
        match open(DeviceChoice::Gpu(Some(number)), precision, notice) {
            Ok(target) => targets.push(target),
            Err(error) => notice(&format!("gpu:{number} is left out: {error}")),
        }
    }
    if targets.is_empty() {
        let what = "no graphics card can be used (minkds devices lists them): say --device cpu";
        return Err(Error::Device(what.into()));
    }
    Ok(targets)
}
