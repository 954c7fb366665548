//! The config files of a diffusers folder: what can be built, and what is refused by name.

mod autoencoder;
mod unet;

use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

pub use autoencoder::{AutoencoderConfig, AutoencoderKind};
pub use unet::UNetConfig;

use crate::error::{Error, Result};

/// Config files are a few KiB; anything far larger is something else.
pub const MAX_CONFIG_BYTES: u64 = 4 << 20;
/// Bounds that no published model comes near; they keep a broken config from asking for the moon.
const MAX_CHANNELS: usize = 16_384;
const MAX_LAYERS: usize = 64;
const MAX_LEVELS: usize = 8;

/// The JSON object in `bytes`.
pub fn json_object(at: &Path, bytes: &[u8]) -> Result<Map<String, Value>> {
    serde_json::from_slice(bytes).map_err(|e| {
        Error::model(
            at,
            format!("is no valid JSON object ({e}); download it again"),
        )
    })
}

/// `object` as a `T` that knows `keys`: whatever else it holds and is not null, not private (`_…`)
/// and not in `ignored` is refused by name.
pub fn parse<T: DeserializeOwned>(
    at: &Path,
    mut object: Map<String, Value>,
    keys: &[&str],
    ignored: &[&str],
) -> Result<T> {
    object.retain(|key, _| !ignored.contains(&key.as_str()));
    for (key, value) in &object {
        let known = keys.contains(&key.as_str()) || key.starts_with('_') || value.is_null();
        if !known {
            return Err(Error::model(
                at,
                format!("option \"{key}\": {value} is not supported by this program"),
            ));
        }
    }
    from_object(at, object)
}

/// `object` as a `T` whose fields all have defaults; an error names the field that does not fit.
pub fn from_object<T: DeserializeOwned>(at: &Path, object: Map<String, Value>) -> Result<T> {
    let whole = Value::Object(object.clone());
    serde_json::from_value(whole).map_err(|error| {
        let culprit = object.iter().find_map(|(key, value)| {
            let alone = Value::Object(Map::from_iter([(key.clone(), value.clone())]));
            let error = serde_json::from_value::<T>(alone).err()?;
            Some(format!(
                "option \"{key}\": {value} is not supported ({error})"
            ))
        });
        Error::model(at, culprit.unwrap_or_else(|| error.to_string()))
    })
}

/// The `_class_name` of a config, if it is one of `classes`.
pub fn expect_class<'a>(
    at: &Path,
    object: &'a Map<String, Value>,
    classes: &[&str],
) -> Result<&'a str> {
    let class = object.get("_class_name").and_then(Value::as_str);
    match class {
        Some(class) if classes.contains(&class) => Ok(class),
        _ => Err(Error::model(
            at,
            format!(
                "_class_name is {}; this program builds {}",
                class.map_or("missing".into(), |c| format!("\"{c}\"")),
                classes.join(" or ")
            ),
        )),
    }
}

fn only(name: &str, value: &str, allowed: &[&str]) -> Result<(), String> {
    if allowed.contains(&value) {
        Ok(())
    } else {
        Err(format!(
            "{name} \"{value}\" is not supported; this program builds {}",
            allowed.join(", ")
        ))
    }
}

fn positive(name: &str, value: f64) -> Result<(), String> {
    if value > 0.0 && value.is_finite() {
        Ok(())
    } else {
        Err(format!("{name} is {value}; it must be a positive number"))
    }
}

fn channels(name: &str, value: usize) -> Result<(), String> {
    if (1..=MAX_CHANNELS).contains(&value) {
        Ok(())
    } else {
        Err(format!(
            "{name} is {value}; 1 to {MAX_CHANNELS} are supported"
        ))
    }
}

fn groups_divide(name: &str, groups: usize, width: usize) -> Result<(), String> {
    if groups > 0 && width.is_multiple_of(groups) {
        Ok(())
    } else {
        Err(format!("{name} {groups} does not divide {width} channels"))
    }
}

fn stack(widths: &[usize], layers: usize, groups: usize) -> Result<(), String> {
    if !(1..=MAX_LEVELS).contains(&widths.len()) {
        return Err(format!(
            "block_out_channels has {} entries; 1 to {MAX_LEVELS} are supported",
            widths.len()
        ));
    }
    if !(1..=MAX_LAYERS).contains(&layers) {
        return Err(format!(
            "layers_per_block is {layers}; 1 to {MAX_LAYERS} are supported"
        ));
    }
    for &width in widths {
        channels("block_out_channels", width)?;
        groups_divide("norm_num_groups", groups, width)?;
    }
    Ok(())
}
