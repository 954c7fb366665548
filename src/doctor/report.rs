//! Examining every device of a machine.

use burn::tensor::FloatDType;
use serde::Serialize;

use super::{Key, Remembered, Verdict, examine_apart, name_of};
use crate::device::{Adapter, Place, adapters};

/// Reports of another number look otherwise.
const FORMAT: u32 = 1;

/// What the doctor found: what one attaches to a bug.
#[derive(Serialize)]
pub struct Report {
    format: u32,
    version: &'static str,
    system: String,
    /// Every adapter, examined or not.
    pub adapters: &'static [Adapter],
    /// The devices and precisions that were examined.
    pub findings: Vec<Finding>,
    /// What `--device auto` takes from now on.
    pub recommended: Key,
}

/// One device in one precision.
#[derive(Serialize)]
pub struct Finding {
    /// For people.
    pub label: String,
    /// For the memory.
    pub key: Key,
    /// What came out.
    pub verdict: Verdict,
    #[serde(skip)]
    may_be_recommended: bool,
}

/// Examines the processor and every card, each in every precision it has, and remembers the verdicts and
/// the fastest that passed. `software` adapters are examined if asked for, and never recommended.
pub fn examine_all(software: bool, found: &mut dyn FnMut(Progress)) -> Report {
    use FloatDType::{F16, F32};
    let mut places = vec![(Place::Cpu, vec![F32])];
    if cfg!(feature = "cuda") {
        places.push((Place::Cuda(0), vec![F32, F16]));
    }
    for adapter in adapters() {
        let precisions = if adapter.f16 {
            vec![F32, F16]
        } else {
            vec![F32]
        };
        if software || !adapter.is_software() {
            places.push((Place::Gpu(Box::new(adapter.clone())), precisions));
        }
    }
    let mut remembered = Remembered::read();
    let mut findings = Vec::new();
    for (place, precisions) in places {
        for floats in precisions {
            let label = format!("{} in {}", place.name(), name_of(floats));
            found(Progress::Examining(&label));
            let verdict = examine_apart(&place, floats);
            let key = Key::new(&place, floats);
            remembered.insert(key.clone(), verdict.clone());
            let finding = Finding {
                label,
                key,
                verdict,
                may_be_recommended: !matches!(&place, Place::Gpu(card) if card.is_software()),
            };
            found(Progress::Found(&finding));
            findings.push(finding);
        }
    }
    let best = (findings.iter())
        .filter(|finding| finding.may_be_recommended && finding.verdict.passed())
        .max_by(|a, b| a.speed().total_cmp(&b.speed()));
    let recommended = match best {
        Some(finding) => finding.key.clone(),
        None => Key::new(&Place::Cpu, F32),
    };
    remembered.recommended = Some(recommended.clone());
    remembered.write();
    Report {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION"),
        system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        adapters: adapters(),
        findings,
        recommended,
    }
}

/// How far the doctor is.
pub enum Progress<'a> {
    /// This is next.
    Examining(&'a str),
    /// This came out.
    Found(&'a Finding),
}

impl Finding {
    /// GFLOP/s, 0 where it is not known.
    pub fn speed(&self) -> f64 {
        self.verdict.speed.unwrap_or(0.0)
    }
}
