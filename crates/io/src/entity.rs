//! Queries about any path.

use std::path::PathBuf;

use crate::request::{FileIdentical, FileStat, FileType};
use crate::{EntityType, IoError, IoService, Metadata};

/// Returns the metadata of a path. Follows links.
///
/// # Errors
/// Returns the operating system's error, of kind `NotFound` if nothing is at the path.
pub async fn stat(path: impl Into<PathBuf>) -> Result<Metadata, IoError> {
    let (path, follow) = (path.into(), true);
    let request = FileStat { path, follow };
    IoService::global().request(request).await
}

/// Returns the metadata of a path. For a link, its own.
///
/// # Errors
/// Returns the operating system's error, of kind `NotFound` if nothing is at the path.
pub async fn link_stat(path: impl Into<PathBuf>) -> Result<Metadata, IoError> {
    let (path, follow) = (path.into(), false);
    let request = FileStat { path, follow };
    IoService::global().request(request).await
}

/// Returns the type of what is at a path. Follows links.
///
/// # Errors
/// Returns the operating system's error, unless nothing is at the path.
pub async fn entity_type(path: impl Into<PathBuf>) -> Result<EntityType, IoError> {
    let (path, follow) = (path.into(), true);
    let request = FileType { path, follow };
    IoService::global().request(request).await
}

/// Returns the type of what is at a path. Does not follow links.
///
/// # Errors
/// Returns the operating system's error, unless nothing is at the path.
pub async fn link_entity_type(path: impl Into<PathBuf>) -> Result<EntityType, IoError> {
    let (path, follow) = (path.into(), false);
    let request = FileType { path, follow };
    IoService::global().request(request).await
}

/// Returns whether two paths name the same file, directory or link. Does not follow links.
///
/// # Errors
/// Returns the operating system's error, also if one of the paths does not exist.
pub async fn identical(
    first: impl Into<PathBuf>,
    second: impl Into<PathBuf>,
) -> Result<bool, IoError> {
    let (first, second) = (first.into(), second.into());
    let request = FileIdentical { first, second };
    IoService::global().request(request).await
}
