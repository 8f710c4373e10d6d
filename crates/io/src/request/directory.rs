//! Requests for directories.

use std::fs;
use std::path::PathBuf;

use super::path::{is_absent, rename};
use super::request;
use crate::directory::{Entry, Walk};
use crate::{EntityType, IoError, IoOp, Lease};

/// The most entries that a [`DirectoryListNext`] returns, as in the Dart VM.
const ENTRIES: usize = 128;

request! {
    /// Creates a directory. It is no error if there is one already.
    DirectoryCreate {
        /// The path of the directory.
        path: PathBuf,
        /// `true` if missing parents are created as well.
        recursive: bool,
    } -> ();
    |it| {
        let created = fs::DirBuilder::new().recursive(it.recursive).create(&it.path);
        match created {
            // Whatever the error is: another process may have created it meanwhile.
            Err(_) if it.path.is_dir() => Ok(()),
            created => created.map_err(|error| IoError::at(IoOp::DirectoryCreate, &it.path, error)),
        }
    }
}

request! {
    /// Deletes a directory.
    DirectoryDelete {
        /// The path of the directory.
        path: PathBuf,
        /// `true` if everything in it is deleted too. Links are deleted, not followed.
        recursive: bool,
    } -> ();
    |it| {
        let deleted = if it.recursive {
            // std opens each directory relative to its parent. So a directory that another process
            // replaces by a link meanwhile is not followed.
            fs::remove_dir_all(&it.path)
        } else {
            fs::remove_dir(&it.path)
        };
        deleted.map_err(|error| IoError::at(IoOp::DirectoryDelete, &it.path, error))
    }
}

request! {
    /// Checks whether there is a directory, or a link to one, at a path.
    DirectoryExists {
        /// The path to look at.
        path: PathBuf,
    } -> bool;
    |it| match fs::metadata(&it.path) {
        Ok(metadata) => Ok(metadata.is_dir()),
        Err(error) if is_absent(&error) => Ok(false),
        Err(error) => Err(IoError::at(IoOp::DirectoryExists, &it.path, error)),
    }
}

request! {
    /// Creates a directory with a new name, accessible to its owner alone. Returns its path. It
    /// is not deleted automatically.
    DirectoryCreateTemp {
        /// The directory in which it is created.
        within: PathBuf,
        /// The beginning of its name.
        prefix: String,
    } -> PathBuf;
    |it| {
        let made = tempfile::Builder::new().prefix(&it.prefix).tempdir_in(&it.within);
        // Kept, since the guard would delete the directory.
        let made = made.map(tempfile::TempDir::keep);
        made.map_err(|error| IoError::at(IoOp::DirectoryCreateTemp, &it.within, error))
    }
}

request! {
    /// Begins to list a directory.
    DirectoryListStart {
        /// The path of the directory.
        path: PathBuf,
        /// `true` if everything below it is listed too.
        recursive: bool,
        /// `true` if links are listed as their targets.
        follow: bool,
    } -> Walk;
    |it| Walk::start(it.path, it.recursive, it.follow)
}

request! {
    /// Returns the next entries, at most 128, or none at the end.
    DirectoryListNext {
        /// The listing.
        walk: Lease<Walk>,
    } -> Vec<Result<Entry, IoError>>;
    |mut it| Ok(it.walk.by_ref().take(ENTRIES).collect())
}

request! {
    /// Stops a listing before its end.
    DirectoryListStop {
        /// The listing.
        walk: Lease<Walk>,
    } -> ();
    |it| {
        // Here and not with the last handle: closing the open directories may block.
        drop(it.walk.close());
        Ok(())
    }
}

request! {
    /// Renames a directory.
    DirectoryRename {
        /// The old path.
        from: PathBuf,
        /// The new path.
        to: PathBuf,
    } -> ();
    |it| rename(IoOp::DirectoryRename, &it.from, &it.to, EntityType::Directory)
}
