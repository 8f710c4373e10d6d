//! Paths as values that go to another process. On Unix they are bytes, which need not be text.

use std::path::{Path, PathBuf};

use serde::{Deserializer, Serializer};

#[cfg(unix)]
pub(crate) fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    use std::os::unix::ffi::OsStrExt;
    serde_bytes::serialize(path.as_os_str().as_bytes(), serializer)
}

#[cfg(unix)]
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;
    let bytes: Vec<u8> = serde_bytes::deserialize(deserializer)?;
    Ok(OsString::from_vec(bytes).into())
}

#[cfg(not(unix))]
pub(crate) fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serde::Serialize::serialize(path, serializer)
}

#[cfg(not(unix))]
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    serde::Deserialize::deserialize(deserializer)
}
