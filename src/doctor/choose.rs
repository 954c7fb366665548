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
/// else the processor; `left_out` receives why cards before it were not taken. Software adapters are
/// taken by number only.
///
/// # Errors
/// [`Error::Device`] where what was named is not there or does not compute rightly.
pub fn choose(
    choice: DeviceChoice,
    precision: Precision,
    adapters: &[Adapter],
    recommended: Option<&Key>,
    verdict: &mut dyn FnMut(&Place, FloatDType) -> Verdict,
    left_out: &mut Vec<String>,
) -> Result<Chosen> {
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
                let place = Place::Gpu(Box::new(adapter.clone()));
                match in_precision(place, precision, verdict) {
                    Ok(chosen) => return Ok(chosen),
                    Err(error) => left_out.push(error.to_string()),
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
        DeviceChoice::AllGpus => Err(Error::Device(
            "gpu:all shares out the pictures of a batch: say --no-gui, or name one device".into(),
        )),
        DeviceChoice::Gpu(number) => {
            in_precision(Place::card(number, adapters)?, precision, verdict)
        }
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

/// `place` in `precision`, if it passes.
fn in_precision(
    place: Place,
    precision: Precision,
    verdict: &mut dyn FnMut(&Place, FloatDType) -> Verdict,
) -> Result<Chosen> {
    if let Place::Gpu(adapter) = &place
        && cfg!(feature = "vulkan")
        && adapter.is_software()
    {
        return Err(Error::Device(format!(
            "{} is software, and this build's shaders (feature vulkan) crash it: use an ordinary build, \
             or --device cpu",
            place.name()
        )));
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::{Kind, imagined};
    use crate::doctor::Check;

    fn passing(speed: f64) -> Verdict {
        let check = Check {
            name: "x".into(),
            error: Some(0.0),
            limit: 1.0,
            failure: None,
            seconds: 0.0,
        };
        Verdict {
            checks: vec![check],
            failure: None,
            speed: Some(speed),
        }
    }

    /// Chooses among `cards`, each with the speeds of f32 and f16, 0 where it computes wrongly.
    fn choice(
        choice: DeviceChoice,
        precision: Precision,
        cards: &[(&str, Kind, f64, f64)],
        recommended: Option<&str>,
    ) -> Result<String, String> {
        choice_and_left_out(choice, precision, cards, recommended).0
    }

    /// The same, and what is said of others.
    fn choice_and_left_out(
        choice: DeviceChoice,
        precision: Precision,
        cards: &[(&str, Kind, f64, f64)],
        recommended: Option<&str>,
    ) -> (Result<String, String>, Vec<String>) {
        let adapters: Vec<Adapter> = (cards.iter().enumerate())
            .map(|(number, &(name, kind, ..))| {
                let mut adapter = imagined(name, kind);
                adapter.number = number;
                adapter
            })
            .collect();
        let recommended = recommended.map(|name| Key {
            adapter: adapters
                .iter()
                .find(|a| a.id.name == name)
                .map(|a| a.id.clone()),
            floats: "f32".into(),
        });
        let mut verdict = |place: &Place, floats| {
            let Place::Gpu(adapter) = place else {
                return Verdict::failed("no CUDA");
            };
            let (_, _, full, half) = cards[adapter.number];
            match if floats == FloatDType::F16 {
                half
            } else {
                full
            } {
                0.0 => Verdict::failed("it computes nonsense"),
                speed => passing(speed),
            }
        };
        let mut left_out = Vec::new();
        let chosen = choose(
            choice,
            precision,
            &adapters,
            recommended.as_ref(),
            &mut verdict,
            &mut left_out,
        )
        .map(|chosen| match chosen.place {
            Place::Gpu(adapter) => format!("{} {}", adapter.id.name, name_of(chosen.floats)),
            place => place.name(),
        })
        .map_err(|error| error.to_string());
        (chosen, left_out)
    }

    const MANY: [(&str, Kind, f64, f64); 4] = [
        ("big", Kind::Discrete, 10.0, 20.0),
        ("small", Kind::Discrete, 5.0, 3.0),
        ("inside", Kind::Integrated, 2.0, 2.0),
        ("llvmpipe", Kind::Software, 0.1, 0.1),
    ];

    #[test]
    fn auto_takes_the_first_card_that_computes_rightly() {
        use DeviceChoice::Auto;
        let auto = |cards: &[_], recommended| choice(Auto, Precision::Auto, cards, recommended);
        assert_eq!(auto(&MANY, None), Ok("big f16".into()));
        assert_eq!(auto(&MANY, Some("small")), Ok("small f32".into()));
        assert_eq!(auto(&MANY, Some("cpu")), Ok("the processor".into()));
        let mut broken = MANY;
        broken[0].3 = 0.0;
        assert_eq!(auto(&broken, None), Ok("big f32".into()));
        broken[0].2 = 0.0;
        assert_eq!(auto(&broken, None), Ok("small f32".into()));
        assert_eq!(auto(&MANY[3..], None), Ok("the processor".into()));
        assert_eq!(auto(&[], None), Ok("the processor".into()));
        let half = |cards: &[_]| choice(Auto, Precision::F16, cards, None);
        assert_eq!(half(&MANY), Ok("big f16".into()));
        assert!(half(&[]).unwrap_err().contains("f16"));
    }

    #[test]
    fn auto_says_why_it_takes_no_card() {
        let left_out =
            |cards: &[_]| choice_and_left_out(DeviceChoice::Auto, Precision::Auto, cards, None).1;
        assert_eq!(left_out(&MANY), [""; 0]);
        let wrong = [
            ("big", Kind::Discrete, 0.0, 0.0),
            ("small", Kind::Discrete, 0.0, 0.0),
        ];
        let said = left_out(&wrong);
        assert_eq!(said.len(), 2, "{said:?}");
        for (text, name) in said.iter().zip(["big", "small"]) {
            assert!(text.contains(name) && text.contains("nonsense"), "{text}");
        }
    }

    #[test]
    fn what_is_named_is_taken_or_refused() {
        let named = |number| DeviceChoice::Gpu(number);
        let auto = |number| choice(named(number), Precision::Auto, &MANY, None);
        assert_eq!(auto(None), Ok("big f16".into()));
        assert_eq!(auto(Some(1)), Ok("small f32".into()));
        assert_eq!(auto(Some(3)), Ok("llvmpipe f16".into()));
        assert!(auto(Some(4)).unwrap_err().contains("gpu:0 to gpu:3"));
        let precise = |precision| choice(named(Some(1)), precision, &MANY, None);
        assert_eq!(precise(Precision::F16), Ok("small f16".into()));
        let software = choice(named(None), Precision::Auto, &MANY[3..], None);
        assert!(software.unwrap_err().contains("llvmpipe"));
        let wrong = [("big", Kind::Discrete, 0.0, 0.0)];
        for precision in [Precision::Auto, Precision::F32, Precision::F16] {
            let refused = choice(named(None), precision, &wrong, None).unwrap_err();
            assert!(
                refused.contains("big") && refused.contains("nonsense"),
                "{refused}"
            );
        }
        let cuda = choice(DeviceChoice::Cuda(None), Precision::Auto, &MANY, None);
        assert!(cuda.unwrap_err().contains("no CUDA"));
    }
}
