//! Paths in JSON: text where they are text, which nearly all are, else their bytes.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A path's JSON form. Backslashes of Windows become slashes in what is relative, so that journals travel.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
enum Form {
    Text(String),
    /// The bytes of a name on Unix that is not UTF-8.
    Bytes {
        bytes: Vec<u8>,
    },
}

/// For `#[serde(serialize_with = …)]`.
pub fn serialize<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
    form(path).serialize(to)
}

/// For `#[serde(deserialize_with = …)]`.
pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<PathBuf, D::Error> {
    Ok(match Form::deserialize(from)? {
        Form::Text(text) => text.into(),
        Form::Bytes { bytes } => path_of(bytes),
    })
}

/// A path by itself.
pub fn value(path: &Path) -> serde_json::Value {
    serde_json::to_value(form(path)).unwrap_or_default()
}

fn form(path: &Path) -> Form {
    match path.to_str() {
        Some(text) if cfg!(windows) && path.is_relative() => Form::Text(text.replace('\\', "/")),
        Some(text) => Form::Text(text.into()),
        None => Form::Bytes {
            bytes: path.as_os_str().as_encoded_bytes().to_vec(),
        },
    }
}

#[cfg(unix)]
fn path_of(bytes: Vec<u8>) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    std::ffi::OsString::from_vec(bytes).into()
}

#[cfg(not(unix))]
fn path_of(bytes: Vec<u8>) -> PathBuf {
    String::from_utf8_lossy(&bytes).into_owned().into()
}
