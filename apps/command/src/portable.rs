//! Paths as values that go to another process, with `#[serde(with = "command::portable")]`. On Unix
//! they are bytes, which need not be text.

use std::path::{Path, PathBuf};

use serde::{Deserializer, Serializer};

/// Writes a path.
///
/// # Errors
/// As the serializer.
#[cfg(unix)]
pub fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    use std::os::unix::ffi::OsStrExt;
    serde_bytes::serialize(path.as_os_str().as_bytes(), serializer)
}

/// Reads a path.
///
/// # Errors
/// As the deserializer.
#[cfg(unix)]
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;
    let bytes: Vec<u8> = serde_bytes::deserialize(deserializer)?;
    Ok(OsString::from_vec(bytes).into())
}

/// Writes a path.
///
/// # Errors
/// As the serializer. On this system a path has to be text.
#[cfg(not(unix))]
pub fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serde::Serialize::serialize(path, serializer)
}

/// Reads a path.
///
/// # Errors
/// As the deserializer.
#[cfg(not(unix))]
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    serde::Deserialize::deserialize(deserializer)
}
