//! Symbolic links.

use std::path::PathBuf;

use crate::request::{FileCreateLink, FileDeleteLink, FileLinkTarget, FileRenameLink};
use crate::{IoError, IoService};

/// Symbolic links by path, by the global service.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Link;

impl Link {
    /// Makes a link at `path` that leads to `target`, which need not exist.
    ///
    /// # Errors
    /// What the operating system says.
    pub async fn create(
        path: impl Into<PathBuf>,
        target: impl Into<PathBuf>,
    ) -> Result<(), IoError> {
        let (path, target) = (path.into(), target.into());
        let request = FileCreateLink { path, target };
        IoService::global().request(request).await
    }

    /// Deletes a link, not what it leads to.
    ///
    /// # Errors
    /// What the operating system says; an argument error if it is no link.
    pub async fn delete(path: impl Into<PathBuf>) -> Result<(), IoError> {
        let path = path.into();
        IoService::global().request(FileDeleteLink { path }).await
    }

    /// Renames a link.
    ///
    /// # Errors
    /// What the operating system says; an argument error if it is no link.
    pub async fn rename(from: impl Into<PathBuf>, to: impl Into<PathBuf>) -> Result<(), IoError> {
        let (from, to) = (from.into(), to.into());
        let request = FileRenameLink { from, to };
        IoService::global().request(request).await
    }

    /// Where a link leads, as it was written.
    ///
    /// # Errors
    /// What the operating system says.
    pub async fn target(path: impl Into<PathBuf>) -> Result<PathBuf, IoError> {
        let path = path.into();
        IoService::global().request(FileLinkTarget { path }).await
    }
}
