//! Directories and their entries.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::request::{
    DirectoryCreate, DirectoryCreateTemp, DirectoryDelete, DirectoryExists, DirectoryListNext,
    DirectoryListStart, DirectoryListStop, DirectoryRename,
};
use crate::slot::Slot;
use crate::{EntityType, IoError, IoOp, IoService};

/// Operations on directories by path, through the global service.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Directory;

impl Directory {
    /// Creates a directory, unless there is one.
    ///
    /// # Errors
    /// Returns the operating system's error.
    pub async fn create(path: impl Into<PathBuf>) -> Result<(), IoError> {
        let (path, recursive) = (path.into(), false);
        let request = DirectoryCreate { path, recursive };
        IoService::global().request(request).await
    }

    /// Creates a directory and its missing parents.
    ///
    /// # Errors
    /// Returns the operating system's error.
    pub async fn create_recursive(path: impl Into<PathBuf>) -> Result<(), IoError> {
        let (path, recursive) = (path.into(), true);
        let request = DirectoryCreate { path, recursive };
        IoService::global().request(request).await
    }

    /// Creates a directory with a new name, accessible to its owner alone, where the system keeps
    /// temporary files. It is not deleted automatically.
    ///
    /// # Errors
    /// Returns the operating system's error.
    pub async fn create_temp(prefix: impl Into<String>) -> Result<PathBuf, IoError> {
        Self::create_temp_in(std::env::temp_dir(), prefix).await
    }

    /// Like [`create_temp`](Self::create_temp), but in the directory `within`.
    ///
    /// # Errors
    /// Returns the operating system's error.
    pub async fn create_temp_in(
        within: impl Into<PathBuf>,
        prefix: impl Into<String>,
    ) -> Result<PathBuf, IoError> {
        let (within, prefix) = (within.into(), prefix.into());
        let request = DirectoryCreateTemp { within, prefix };
        IoService::global().request(request).await
    }

    /// Deletes an empty directory.
    ///
    /// # Errors
    /// Returns the operating system's error.
    pub async fn delete(path: impl Into<PathBuf>) -> Result<(), IoError> {
        let (path, recursive) = (path.into(), false);
        let request = DirectoryDelete { path, recursive };
        IoService::global().request(request).await
    }

    /// Deletes a directory and everything in it. Links are deleted, not followed.
    ///
    /// # Errors
    /// Returns the operating system's error. Part of the content may be gone by then.
    pub async fn delete_recursive(path: impl Into<PathBuf>) -> Result<(), IoError> {
        let (path, recursive) = (path.into(), true);
        let request = DirectoryDelete { path, recursive };
        IoService::global().request(request).await
    }

    /// Returns whether there is a directory, or a link to one, at `path`.
    ///
    /// # Errors
    /// Returns the operating system's error, unless nothing is at the path.
    pub async fn exists(path: impl Into<PathBuf>) -> Result<bool, IoError> {
        let path = path.into();
        IoService::global().request(DirectoryExists { path }).await
    }

    /// Renames a directory.
    ///
    /// # Errors
    /// Returns the operating system's error, of kind `NotADirectory` if `from` is none.
    pub async fn rename(from: impl Into<PathBuf>, to: impl Into<PathBuf>) -> Result<(), IoError> {
        let (from, to) = (from.into(), to.into());
        let request = DirectoryRename { from, to };
        IoService::global().request(request).await
    }

    /// Begins to list a directory.
    ///
    /// # Errors
    /// Returns the operating system's error.
    pub async fn list(path: impl Into<PathBuf>) -> Result<Listing, IoError> {
        Self::list_by(IoService::global(), path.into(), Depth::One, Links::Keep).await
    }

    /// Begins to list a directory and all directories below it.
    ///
    /// # Errors
    /// Returns the operating system's error.
    pub async fn list_recursive(path: impl Into<PathBuf>) -> Result<Listing, IoError> {
        Self::list_by(IoService::global(), path.into(), Depth::All, Links::Keep).await
    }

    /// Begins to list a directory, through `service`.
    ///
    /// # Errors
    /// Returns the operating system's error.
    pub async fn list_by(
        service: &IoService,
        path: PathBuf,
        depth: Depth,
        links: Links,
    ) -> Result<Listing, IoError> {
        let request = DirectoryListStart {
            path,
            recursive: depth == Depth::All,
            follow: links == Links::Follow,
        };
        let walk = service.request(request).await?;
        Ok(Listing {
            slot: Slot::new(walk),
            service: service.clone(),
            ready: VecDeque::new(),
        })
    }
}

/// The directories that a listing includes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Depth {
    /// Only the directory itself.
    One,
    /// The directory and all directories below it.
    All,
}

/// The treatment of links by a listing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Links {
    /// A link is listed as a link.
    Keep,
    /// A link is listed as its target, unless it leads to a directory that it is in.
    Follow,
}

/// An entry of a directory.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Entry {
    /// The path of the listed directory as it was given, joined with the path from there.
    pub path: PathBuf,
    /// The type of the entry.
    pub entity_type: EntityType,
}

/// A listing of a directory, read on demand, 128 entries at a time, in the order of the file
/// system. Made by [`Directory::list`].
///
/// # Cancellation
/// Dropping the future of [`next`](Self::next) may lose the entries that were being read.
#[derive(Debug)]
pub struct Listing {
    slot: Arc<Slot<Walk>>,
    service: IoService,
    /// At most 128.
    ready: VecDeque<Result<Entry, IoError>>,
}

impl Listing {
    /// Returns the next entry, or `None` at the end. After an error in one directory the listing
    /// continues with the others.
    pub async fn next(&mut self) -> Option<Result<Entry, IoError>> {
        if self.ready.is_empty() {
            self.ready = match self.next_batch().await {
                Ok(batch) => batch.into(),
                // A listing that was stopped is at its end.
                Err(IoError::Closed) => VecDeque::new(),
                Err(error) => return Some(Err(error)),
            };
        }
        self.ready.pop_front()
    }

    /// Returns the next entries, at most 128, or none at the end. Entries that
    /// [`next`](Self::next) has already read are not among them.
    ///
    /// # Errors
    /// Returns [`IoError::Pending`] or [`IoError::Closed`].
    pub async fn next_batch(&self) -> Result<Vec<Result<Entry, IoError>>, IoError> {
        let walk = self.slot.lease()?;
        self.service.request(DirectoryListNext { walk }).await
    }

    /// Stops the listing before its end.
    ///
    /// # Errors
    /// Returns [`IoError::Pending`] or [`IoError::Closed`].
    pub async fn stop(&self) -> Result<(), IoError> {
        let walk = self.slot.lease()?;
        self.service.request(DirectoryListStop { walk }).await
    }
}

impl std::fmt::Debug for Slot<Walk> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Slot(..)")
    }
}

/// The state of a listing: the open directories, the innermost last.
#[derive(Debug)]
pub struct Walk {
    /// Bounded by the depth of the tree: a link back to an open directory is not entered.
    open: Vec<Level>,
    recursive: bool,
    follow: bool,
}

#[derive(Debug)]
struct Level {
    path: PathBuf,
    entries: fs::ReadDir,
    /// The path with all links resolved, to detect a link back. `Some` when links are followed.
    resolved: Option<PathBuf>,
}

impl Walk {
    pub(crate) fn start(path: PathBuf, recursive: bool, follow: bool) -> Result<Self, IoError> {
        let mut walk = Self {
            open: Vec::new(),
            recursive,
            follow,
        };
        let resolved = walk.resolve(IoOp::DirectoryListStart, &path)?;
        // An error of the listed directory itself fails the listing. An error below it is an item.
        walk.enter(IoOp::DirectoryListStart, path, resolved)?;
        Ok(walk)
    }

    fn resolve(&self, op: IoOp, path: &Path) -> Result<Option<PathBuf>, IoError> {
        // Only a recursive listing through links can come back to an open directory, so only it
        // pays for the system calls of resolving.
        if !(self.follow && self.recursive) {
            return Ok(None);
        }
        let resolved = fs::canonicalize(path);
        let resolved = resolved.map_err(|error| IoError::at(op, path, error))?;
        Ok(Some(resolved))
    }

    fn enter(&mut self, op: IoOp, path: PathBuf, resolved: Option<PathBuf>) -> Result<(), IoError> {
        let entries = fs::read_dir(&path).map_err(|error| IoError::at(op, &path, error))?;
        self.open.push(Level {
            path,
            entries,
            resolved,
        });
        Ok(())
    }

    /// Returns an entry with its type, and enters it if it is a directory to be listed as well.
    fn visit(&mut self, entry: &fs::DirEntry) -> Result<Entry, IoError> {
        let path = entry.path();
        // Most file systems store the type in the entry, so this needs no system call of its own.
        let file_type = entry.file_type().map_err(|error| failed(&path, error))?;
        let mut entity_type = EntityType::of(file_type);
        if entity_type == EntityType::Link && self.follow {
            // A link without a target stays a link.
            if let Ok(metadata) = fs::metadata(&path) {
                entity_type = EntityType::of(metadata.file_type());
            }
        }
        if entity_type == EntityType::Directory && self.recursive {
            let resolved = self.resolve(IoOp::DirectoryListNext, &path)?;
            // Without `follow` nothing is resolved, and nothing leads back.
            let leads_back = |level: &Level| resolved.is_some() && level.resolved == resolved;
            // Only open directories are compared. One that was left may be listed again through a
            // second link, which cannot go on for ever.
            if self.open.iter().any(leads_back) {
                entity_type = EntityType::Link;
            } else {
                self.enter(IoOp::DirectoryListNext, path.clone(), resolved)?;
            }
        }
        Ok(Entry { path, entity_type })
    }
}

fn failed(path: &Path, error: std::io::Error) -> IoError {
    IoError::at(IoOp::DirectoryListNext, path, error)
}

impl Iterator for Walk {
    type Item = Result<Entry, IoError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let level = self.open.last_mut()?;
            match level.entries.next() {
                Some(Ok(entry)) => return Some(self.visit(&entry)),
                Some(Err(error)) => {
                    let error = failed(&level.path, error);
                    // The rest of this directory cannot be read.
                    self.open.pop();
                    return Some(Err(error));
                }
                None => drop(self.open.pop()),
            }
        }
    }
}
