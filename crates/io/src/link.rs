//! Symbolic links.

use std::path::PathBuf;

use crate::request::{FileCreateLink, FileDeleteLink, FileLinkTarget, FileRenameLink};
use crate::{IoError, IoService};

/// Operations on symbolic links by path, through the global service.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Link;

impl Link {
    /// Creates a link at `path` to `target`, which need not exist.
    ///
    /// # Errors
    /// Returns the operating system's error.
    pub async fn create(
        path: impl Into<PathBuf>,
        target: impl Into<PathBuf>,
    ) -> Result<(), IoError> {
        let (path, target) = (path.into(), target.into());
        let request = FileCreateLink { path, target };
        IoService::global().request(request).await
    }

    /// Deletes a link, not its target.
    ///
    /// # Errors
    /// Returns the operating system's error, or an argument error if the path is no link.
    pub async fn delete(path: impl Into<PathBuf>) -> Result<(), IoError> {
        let path = path.into();
        IoService::global().request(FileDeleteLink { path }).await
    }

    /// Renames a link.
    ///
    /// # Errors
    /// Returns the operating system's error, or an argument error if the path is no link.
    pub async fn rename(from: impl Into<PathBuf>, to: impl Into<PathBuf>) -> Result<(), IoError> {
        let (from, to) = (from.into(), to.into());
        let request = FileRenameLink { from, to };
        IoService::global().request(request).await
    }

    /// Returns the target of a link, as it was written.
    ///
    /// # Errors
    /// Returns the operating system's error.
    pub async fn target(path: impl Into<PathBuf>) -> Result<PathBuf, IoError> {
        let path = path.into();
        IoService::global().request(FileLinkTarget { path }).await
    }
}
