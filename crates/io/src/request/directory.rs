//! Requests about folders.

use std::fs;
use std::path::PathBuf;

use super::path::{is_absent, rename};
use super::request;
use crate::directory::{Entry, Walk};
use crate::{EntityType, IoError, IoOp, Lease};

/// Entries that a [`DirectoryListNext`] results in at most, as in the Dart VM.
const ENTRIES: usize = 128;

request! {
    /// Makes a folder. It is no error if it is there already.
    DirectoryCreate {
        /// Where.
        path: PathBuf,
        /// Whether the folders that it is to be in are made as well.
        recursive: bool,
    } -> ();
    |it| {
        let created = fs::DirBuilder::new().recursive(it.recursive).create(&it.path);
        match created {
            Err(_) if it.path.is_dir() => Ok(()),
            created => created.map_err(|error| IoError::at(IoOp::DirectoryCreate, &it.path, error)),
        }
    }
}

request! {
    /// Deletes a folder.
    DirectoryDelete {
        /// Which.
        path: PathBuf,
        /// Whether with everything in it. Links are deleted, not followed.
        recursive: bool,
    } -> ();
    |it| {
        let deleted = if it.recursive {
            fs::remove_dir_all(&it.path)
        } else {
            fs::remove_dir(&it.path)
        };
        deleted.map_err(|error| IoError::at(IoOp::DirectoryDelete, &it.path, error))
    }
}

request! {
    /// Whether there is a folder at a path, or a link to one.
    DirectoryExists {
        /// Where to look.
        path: PathBuf,
    } -> bool;
    |it| match fs::metadata(&it.path) {
        Ok(metadata) => Ok(metadata.is_dir()),
        Err(error) if is_absent(&error) => Ok(false),
        Err(error) => Err(IoError::at(IoOp::DirectoryExists, &it.path, error)),
    }
}

request! {
    /// Makes a folder with a name that nothing else has, for its owner alone. Results in its
    /// path; nobody deletes it.
    DirectoryCreateTemp {
        /// In which folder.
        within: PathBuf,
        /// What its name begins with.
        prefix: String,
    } -> PathBuf;
    |it| {
        let made = tempfile::Builder::new().prefix(&it.prefix).tempdir_in(&it.within);
        let made = made.map(tempfile::TempDir::keep);
        made.map_err(|error| IoError::at(IoOp::DirectoryCreateTemp, &it.within, error))
    }
}

request! {
    /// Begins to list a folder.
    DirectoryListStart {
        /// Which.
        path: PathBuf,
        /// Whether with everything below it.
        recursive: bool,
        /// Whether links stand for what they lead to.
        follow: bool,
    } -> Walk;
    |it| Walk::start(it.path, it.recursive, it.follow)
}

request! {
    /// The next entries, at most 128. Empty when there are no others.
    DirectoryListNext {
        /// Of which listing.
        walk: Lease<Walk>,
    } -> Vec<Result<Entry, IoError>>;
    |mut it| Ok(it.walk.by_ref().take(ENTRIES).collect())
}

request! {
    /// Ends a listing before its end.
    DirectoryListStop {
        /// Which.
        walk: Lease<Walk>,
    } -> ();
    |it| {
        drop(it.walk.close());
        Ok(())
    }
}

request! {
    /// Renames a folder.
    DirectoryRename {
        /// Where it is.
        from: PathBuf,
        /// Where it is to be.
        to: PathBuf,
    } -> ();
    |it| rename(IoOp::DirectoryRename, &it.from, &it.to, EntityType::Directory)
}
