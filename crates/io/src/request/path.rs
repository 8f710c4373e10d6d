//! Requests for what is at a path.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use filetime::FileTime;

use super::request;
use crate::{EntityType, IoError, IoOp, Metadata, OpenMode};

/// Adds the operation and the path to the operating system's error.
fn at<T>(op: IoOp, path: &Path, result: io::Result<T>) -> Result<T, IoError> {
    result.map_err(|error| IoError::at(op, path, error))
}

request! {
    /// Checks whether there is a file, or a link to one, at a path.
    FileExists {
        /// The path to look at.
        path: PathBuf,
    } -> bool;
    |it| match fs::metadata(&it.path) {
        Ok(metadata) => Ok(metadata.is_file()),
        Err(error) if is_absent(&error) => Ok(false),
        Err(error) => Err(IoError::at(IoOp::FileExists, &it.path, error)),
    }
}

request! {
    /// Creates an empty file. A file that exists stays as it is.
    FileCreate {
        /// The path of the file.
        path: PathBuf,
        /// `true` if it is an error that something is there already.
        exclusive: bool,
    } -> ();
    |it| {
        let mut options = fs::OpenOptions::new();
        // `create_new` wins over `create`.
        options.write(true).create(true).create_new(it.exclusive);
        at(IoOp::FileCreate, &it.path, options.open(&it.path).map(drop))
    }
}

request! {
    /// Deletes a file, not a directory. For a link, deletes the link, not its target.
    FileDelete {
        /// The path of the file.
        path: PathBuf,
    } -> ();
    |it| at(IoOp::FileDelete, &it.path, fs::remove_file(&it.path))
}

request! {
    /// Renames a file, or a link to one. Replaces a file at the new path.
    FileRename {
        /// The old path.
        from: PathBuf,
        /// The new path.
        to: PathBuf,
    } -> ();
    |it| rename(IoOp::FileRename, &it.from, &it.to, EntityType::File)
}

request! {
    /// Copies a file and its permissions. Returns its length in bytes.
    FileCopy {
        /// The path of the file.
        from: PathBuf,
        /// The path of the copy. A file there is replaced.
        to: PathBuf,
    } -> u64;
    // The error names the source also where it is about the target: `fs::copy` does not tell which.
    |it| at(IoOp::FileCopy, &it.from, fs::copy(&it.from, &it.to))
}

request! {
    /// Opens a file.
    FileOpen {
        /// The path of the file.
        path: PathBuf,
        /// The mode in which the file is opened.
        mode: OpenMode,
    } -> fs::File;
    |it| at(IoOp::FileOpen, &it.path, it.mode.options().open(&it.path))
}

request! {
    /// Returns the absolute path with all links resolved.
    FileResolveSymbolicLinks {
        /// The path to resolve.
        path: PathBuf,
    } -> PathBuf;
    |it| at(IoOp::FileResolveSymbolicLinks, &it.path, fs::canonicalize(&it.path))
}

request! {
    /// Returns the length of a file in bytes.
    FileLengthFromPath {
        /// The path of the file.
        path: PathBuf,
    } -> u64;
    |it| {
        let length = fs::metadata(&it.path).map(|metadata| metadata.len());
        at(IoOp::FileLengthFromPath, &it.path, length)
    }
}

request! {
    /// Returns when a file was last read, as far as its file system records that.
    FileLastAccessed {
        /// The path of the file.
        path: PathBuf,
    } -> SystemTime;
    |it| {
        let time = fs::metadata(&it.path).and_then(|metadata| metadata.accessed());
        at(IoOp::FileLastAccessed, &it.path, time)
    }
}

request! {
    /// Sets the time at which a file was last read.
    FileSetLastAccessed {
        /// The path of the file.
        path: PathBuf,
        /// The new time.
        time: SystemTime,
    } -> ();
    |it| {
        // By path: std sets the times of an open file only, and who may set them need not be
        // allowed to open the file.
        let set = filetime::set_file_atime(&it.path, FileTime::from_system_time(it.time));
        at(IoOp::FileSetLastAccessed, &it.path, set)
    }
}

request! {
    /// Returns when a file was last written.
    FileLastModified {
        /// The path of the file.
        path: PathBuf,
    } -> SystemTime;
    |it| {
        let time = fs::metadata(&it.path).and_then(|metadata| metadata.modified());
        at(IoOp::FileLastModified, &it.path, time)
    }
}

request! {
    /// Sets the time at which a file was last written.
    FileSetLastModified {
        /// The path of the file.
        path: PathBuf,
        /// The new time.
        time: SystemTime,
    } -> ();
    |it| {
        let set = filetime::set_file_mtime(&it.path, FileTime::from_system_time(it.time));
        at(IoOp::FileSetLastModified, &it.path, set)
    }
}

request! {
    /// Creates a symbolic link. Its target need not exist.
    FileCreateLink {
        /// The path of the link.
        path: PathBuf,
        /// The target of the link.
        target: PathBuf,
    } -> ();
    |it| at(IoOp::FileCreateLink, &it.path, create_link(&it.target, &it.path))
}

request! {
    /// Deletes a link, not its target.
    FileDeleteLink {
        /// The path of the link.
        path: PathBuf,
    } -> ();
    |it| at(IoOp::FileDeleteLink, &it.path, delete_link(&it.path))
}

request! {
    /// Renames a link.
    FileRenameLink {
        /// The old path.
        from: PathBuf,
        /// The new path.
        to: PathBuf,
    } -> ();
    |it| rename(IoOp::FileRenameLink, &it.from, &it.to, EntityType::Link)
}

request! {
    /// Returns the target of a link.
    FileLinkTarget {
        /// The path of the link.
        path: PathBuf,
    } -> PathBuf;
    |it| at(IoOp::FileLinkTarget, &it.path, fs::read_link(&it.path))
}

request! {
    /// Returns the type of what is at a path.
    FileType {
        /// The path.
        path: PathBuf,
        /// `true` if a link is followed.
        follow: bool,
    } -> EntityType;
    |it| match stat(&it.path, it.follow) {
        Ok(metadata) => Ok(EntityType::of(metadata.file_type())),
        Err(error) if is_absent(&error) => Ok(EntityType::NotFound),
        Err(error) => Err(IoError::at(IoOp::FileType, &it.path, error)),
    }
}

request! {
    /// Checks whether two paths name the same file, directory or link. Both must exist. Does not
    /// follow links.
    FileIdentical {
        /// The first path.
        first: PathBuf,
        /// The second path.
        second: PathBuf,
    } -> bool;
    |it| {
        // Both are kept until the comparison: on Windows they are open handles, without which the
        // numbers could be reused in between.
        let first = at(IoOp::FileIdentical, &it.first, identity(&it.first))?;
        let second = at(IoOp::FileIdentical, &it.second, identity(&it.second))?;
        Ok(first == second)
    }
}

request! {
    /// Returns the metadata of a path.
    FileStat {
        /// The path.
        path: PathBuf,
        /// `true` if a link is followed.
        follow: bool,
    } -> Metadata;
    |it| at(IoOp::FileStat, &it.path, stat(&it.path, it.follow).map(Metadata::from))
}

fn stat(path: &Path, follow: bool) -> io::Result<fs::Metadata> {
    if follow {
        fs::metadata(path)
    } else {
        fs::symlink_metadata(path)
    }
}

/// Returns whether nothing is at the path, including that its parent is no directory.
pub(super) fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// Renames what is at a path, if it is of the expected type. As in the Dart VM the type is checked
/// first, so another process may change it before the rename.
pub(super) fn rename(
    op: IoOp,
    from: &Path,
    to: &Path,
    expected: EntityType,
) -> Result<(), IoError> {
    let follow = expected != EntityType::Link;
    let found = stat(from, follow).map(|metadata| EntityType::of(metadata.file_type()));
    let found = match found {
        // A link without a target is renamed as a link to a file.
        Err(error) if is_absent(&error) && expected == EntityType::File => {
            at(op, from, fs::symlink_metadata(from))?;
            expected
        }
        found => at(op, from, found)?,
    };
    let kind = match (found, expected) {
        (EntityType::Directory, EntityType::File) => io::ErrorKind::IsADirectory,
        // What is no directory counts as a file here: pipes, sockets and devices too.
        (EntityType::Directory, EntityType::Directory) | (_, EntityType::File) => {
            return at(op, from, fs::rename(from, to));
        }
        (_, EntityType::Directory) => io::ErrorKind::NotADirectory,
        (EntityType::Link, _) => return at(op, from, fs::rename(from, to)),
        _ => io::ErrorKind::InvalidInput,
    };
    Err(IoError::at(op, from, kind.into()))
}

#[cfg(unix)]
fn create_link(target: &Path, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

/// Windows has links to files and links to directories. The target decides; a missing one counts
/// as a file.
#[cfg(windows)]
fn create_link(target: &Path, link: &Path) -> io::Result<()> {
    // A relative target is relative to the link's directory.
    let base = link.parent().unwrap_or(Path::new(""));
    if base.join(target).is_dir() {
        std::os::windows::fs::symlink_dir(target, link)
    } else {
        std::os::windows::fs::symlink_file(target, link)
    }
}

fn delete_link(path: &Path) -> io::Result<()> {
    let file_type = fs::symlink_metadata(path)?.file_type();
    // Checked here, since `remove_file` would delete a file as well.
    if !file_type.is_symlink() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // A link to a directory counts as a directory there.
    #[cfg(windows)]
    if std::os::windows::fs::FileTypeExt::is_symlink_dir(&file_type) {
        return fs::remove_dir(path);
    }
    fs::remove_file(path)
}

#[cfg(unix)]
fn identity(path: &Path) -> io::Result<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

#[cfg(windows)]
fn identity(path: &Path) -> io::Result<same_file::Handle> {
    use std::os::windows::fs::OpenOptionsExt;
    /// Opens directories too.
    const FILE_FLAG_BACKUP_SEMANTICS: u32 = 0x0200_0000;
    /// Opens a link itself, not its target.
    const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;
    let file = fs::OpenOptions::new()
        // Without access, which the identity does not need.
        .access_mode(0)
        .custom_flags(FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT)
        .open(path)?;
    same_file::Handle::from_file(file)
}
