//! What can be asked about any path.

use std::path::PathBuf;

use crate::request::{FileIdentical, FileStat, FileType};
use crate::{EntityType, IoError, IoService, Metadata};

/// Everything about a path; of a link, about what it leads to.
///
/// # Errors
/// What the operating system says; of kind `NotFound` if nothing is there.
pub async fn stat(path: impl Into<PathBuf>) -> Result<Metadata, IoError> {
    let (path, follow) = (path.into(), true);
    let request = FileStat { path, follow };
    IoService::global().request(request).await
}

/// Everything about a path; of a link, about itself.
///
/// # Errors
/// What the operating system says; of kind `NotFound` if nothing is there.
pub async fn link_stat(path: impl Into<PathBuf>) -> Result<Metadata, IoError> {
    let (path, follow) = (path.into(), false);
    let request = FileStat { path, follow };
    IoService::global().request(request).await
}

/// What is at a path; of a link, what it leads to.
///
/// # Errors
/// What the operating system says, but for that nothing is there.
pub async fn entity_type(path: impl Into<PathBuf>) -> Result<EntityType, IoError> {
    let (path, follow) = (path.into(), true);
    let request = FileType { path, follow };
    IoService::global().request(request).await
}

/// What is at a path; a link is a link.
///
/// # Errors
/// What the operating system says, but for that nothing is there.
pub async fn link_entity_type(path: impl Into<PathBuf>) -> Result<EntityType, IoError> {
    let (path, follow) = (path.into(), false);
    let request = FileType { path, follow };
    IoService::global().request(request).await
}

/// Whether two paths lead to the same file, folder or link. A link is not what it leads to.
///
/// # Errors
/// What the operating system says, also if one of them does not exist.
pub async fn identical(
    first: impl Into<PathBuf>,
    second: impl Into<PathBuf>,
) -> Result<bool, IoError> {
    let (first, second) = (first.into(), second.into());
    let request = FileIdentical { first, second };
    IoService::global().request(request).await
}
