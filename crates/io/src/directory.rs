//! Folders, and what is in them.

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

/// Folders by path, by the global service.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Directory;

impl Directory {
    /// Makes a folder, unless there is one.
    ///
    /// # Errors
    /// What the operating system says.
    pub async fn create(path: impl Into<PathBuf>) -> Result<(), IoError> {
        let (path, recursive) = (path.into(), false);
        let request = DirectoryCreate { path, recursive };
        IoService::global().request(request).await
    }

    /// Makes a folder, and those that it is to be in.
    ///
    /// # Errors
    /// What the operating system says.
    pub async fn create_recursive(path: impl Into<PathBuf>) -> Result<(), IoError> {
        let (path, recursive) = (path.into(), true);
        let request = DirectoryCreate { path, recursive };
        IoService::global().request(request).await
    }

    /// Makes a folder of a new name, for its owner alone, where the system keeps temporary
    /// files. Nobody deletes it.
    ///
    /// # Errors
    /// What the operating system says.
    pub async fn create_temp(prefix: impl Into<String>) -> Result<PathBuf, IoError> {
        Self::create_temp_in(std::env::temp_dir(), prefix).await
    }

    /// As [`create_temp`](Self::create_temp), in a folder of one's choice.
    ///
    /// # Errors
    /// What the operating system says.
    pub async fn create_temp_in(
        within: impl Into<PathBuf>,
        prefix: impl Into<String>,
    ) -> Result<PathBuf, IoError> {
        let (within, prefix) = (within.into(), prefix.into());
        let request = DirectoryCreateTemp { within, prefix };
        IoService::global().request(request).await
    }

    /// Deletes an empty folder.
    ///
    /// # Errors
    /// What the operating system says.
    pub async fn delete(path: impl Into<PathBuf>) -> Result<(), IoError> {
        let (path, recursive) = (path.into(), false);
        let request = DirectoryDelete { path, recursive };
        IoService::global().request(request).await
    }

    /// Deletes a folder and everything in it. Links are deleted, not followed.
    ///
    /// # Errors
    /// What the operating system says. Part of it may be gone.
    pub async fn delete_recursive(path: impl Into<PathBuf>) -> Result<(), IoError> {
        let (path, recursive) = (path.into(), true);
        let request = DirectoryDelete { path, recursive };
        IoService::global().request(request).await
    }

    /// Whether there is a folder, or a link to one.
    ///
    /// # Errors
    /// What the operating system says, but for that nothing is there.
    pub async fn exists(path: impl Into<PathBuf>) -> Result<bool, IoError> {
        let path = path.into();
        IoService::global().request(DirectoryExists { path }).await
    }

    /// Renames a folder.
    ///
    /// # Errors
    /// What the operating system says; of kind `NotADirectory` if it is none.
    pub async fn rename(from: impl Into<PathBuf>, to: impl Into<PathBuf>) -> Result<(), IoError> {
        let (from, to) = (from.into(), to.into());
        let request = DirectoryRename { from, to };
        IoService::global().request(request).await
    }

    /// Begins to list what is in a folder.
    ///
    /// # Errors
    /// What the operating system says.
    pub async fn list(path: impl Into<PathBuf>) -> Result<Listing, IoError> {
        Self::list_by(IoService::global(), path.into(), false, false).await
    }

    /// Begins to list what is in a folder and in all those below it.
    ///
    /// # Errors
    /// What the operating system says.
    pub async fn list_recursive(path: impl Into<PathBuf>) -> Result<Listing, IoError> {
        Self::list_by(IoService::global(), path.into(), true, false).await
    }

    /// Begins to list a folder, by a service of one's own. With `follow` a link stands for what
    /// it leads to, but for one that leads to a folder it is in.
    ///
    /// # Errors
    /// What the operating system says.
    pub async fn list_by(
        service: &IoService,
        path: PathBuf,
        recursive: bool,
        follow: bool,
    ) -> Result<Listing, IoError> {
        let request = DirectoryListStart {
            path,
            recursive,
            follow,
        };
        let walk = service.request(request).await?;
        Ok(Listing {
            slot: Slot::new(walk),
            service: service.clone(),
            ready: VecDeque::new(),
        })
    }
}

/// Something in a folder.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Entry {
    /// The folder's path as it was given, and what leads to the entry from there.
    pub path: PathBuf,
    /// What it is.
    pub entity_type: EntityType,
}

/// What is in a folder, read 128 entries at a time as they are asked for, in the order of the
/// file system. Made by [`Directory::list`].
///
/// # Cancellation
/// Dropping [`next`](Self::next)'s future may lose the entries that were on their way.
#[derive(Debug)]
pub struct Listing {
    slot: Arc<Slot<Walk>>,
    service: IoService,
    /// At most 128.
    ready: VecDeque<Result<Entry, IoError>>,
}

impl Listing {
    /// The next entry; none at the end. After an error about one folder the others go on.
    pub async fn next(&mut self) -> Option<Result<Entry, IoError>> {
        if self.ready.is_empty() {
            self.ready = match self.next_batch().await {
                Ok(batch) => batch.into(),
                Err(IoError::Closed) => VecDeque::new(),
                Err(error) => return Some(Err(error)),
            };
        }
        self.ready.pop_front()
    }

    /// The next entries, at most 128; none at the end. Mind that [`next`](Self::next) may have
    /// some already.
    ///
    /// # Errors
    /// [`IoError::Pending`] and [`IoError::Closed`].
    pub async fn next_batch(&self) -> Result<Vec<Result<Entry, IoError>>, IoError> {
        let walk = self.slot.lease()?;
        self.service.request(DirectoryListNext { walk }).await
    }

    /// Ends the listing before its end.
    ///
    /// # Errors
    /// [`IoError::Pending`] and [`IoError::Closed`].
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

/// A listing under way: the folders that it is in, the innermost last.
#[derive(Debug)]
pub struct Walk {
    /// Bounded by the depth of the tree: a folder that is inside of itself is not entered.
    open: Vec<Level>,
    recursive: bool,
    follow: bool,
}

#[derive(Debug)]
struct Level {
    path: PathBuf,
    entries: fs::ReadDir,
    /// The folder without links, to notice that one leads back. Known when links are followed.
    resolved: Option<PathBuf>,
}

impl Walk {
    pub(crate) fn start(path: PathBuf, recursive: bool, follow: bool) -> Result<Self, IoError> {
        let mut walk = Self {
            open: Vec::new(),
            recursive,
            follow,
        };
        let resolved = walk.resolve(&path)?;
        walk.enter(path, resolved)?;
        Ok(walk)
    }

    fn resolve(&self, path: &Path) -> Result<Option<PathBuf>, IoError> {
        if !(self.follow && self.recursive) {
            return Ok(None);
        }
        let resolved = fs::canonicalize(path);
        let resolved = resolved.map_err(|error| failed(path, error))?;
        Ok(Some(resolved))
    }

    fn enter(&mut self, path: PathBuf, resolved: Option<PathBuf>) -> Result<(), IoError> {
        let entries = fs::read_dir(&path).map_err(|error| failed(&path, error))?;
        self.open.push(Level {
            path,
            entries,
            resolved,
        });
        Ok(())
    }

    /// What an entry is, and enters it if it is a folder to be listed as well.
    fn visit(&mut self, entry: &fs::DirEntry) -> Result<Entry, IoError> {
        let path = entry.path();
        let file_type = entry.file_type().map_err(|error| failed(&path, error))?;
        let mut entity_type = EntityType::of(file_type);
        if entity_type == EntityType::Link && self.follow {
            // A link that leads nowhere stays a link.
            if let Ok(metadata) = fs::metadata(&path) {
                entity_type = EntityType::of(metadata.file_type());
            }
        }
        if entity_type == EntityType::Directory && self.recursive {
            let resolved = self.resolve(&path)?;
            let leads_back = |level: &Level| resolved.is_some() && level.resolved == resolved;
            if self.open.iter().any(leads_back) {
                entity_type = EntityType::Link;
            } else {
                self.enter(path.clone(), resolved)?;
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
                    // The rest of this folder cannot be read.
                    self.open.pop();
                    return Some(Err(error));
                }
                None => drop(self.open.pop()),
            }
        }
    }
}
