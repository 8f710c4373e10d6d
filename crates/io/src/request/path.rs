//! Requests about what is at a path.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use filetime::FileTime;

use super::request;
use crate::{EntityType, IoError, IoOp, Metadata, OpenMode};

/// Names operation and path in what the operating system said.
fn at<T>(op: IoOp, path: &Path, result: io::Result<T>) -> Result<T, IoError> {
    result.map_err(|error| IoError::at(op, path, error))
}

request! {
    /// Whether there is a file at a path, or a link to one.
    FileExists {
        /// Where to look.
        path: PathBuf,
    } -> bool;
    |it| match fs::metadata(&it.path) {
        Ok(metadata) => Ok(metadata.is_file()),
        Err(error) if is_absent(&error) => Ok(false),
        Err(error) => Err(IoError::at(IoOp::FileExists, &it.path, error)),
    }
}

request! {
    /// Makes an empty file. One that is there stays as it is.
    FileCreate {
        /// Where.
        path: PathBuf,
        /// Whether it is an error if something is there already.
        exclusive: bool,
    } -> ();
    |it| {
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).create_new(it.exclusive);
        at(IoOp::FileCreate, &it.path, options.open(&it.path).map(drop))
    }
}

request! {
    /// Deletes a file, not a folder. Of a link to a file, the link.
    FileDelete {
        /// Which.
        path: PathBuf,
    } -> ();
    |it| at(IoOp::FileDelete, &it.path, fs::remove_file(&it.path))
}

request! {
    /// Renames a file, or a link to one; replaces what is a file at the new path.
    FileRename {
        /// Where it is.
        from: PathBuf,
        /// Where it is to be.
        to: PathBuf,
    } -> ();
    |it| rename(IoOp::FileRename, &it.from, &it.to, EntityType::File)
}

request! {
    /// Copies a file with its permissions. Results in its length in bytes.
    FileCopy {
        /// Where it is.
        from: PathBuf,
        /// Where the copy is to be; a file there is replaced.
        to: PathBuf,
    } -> u64;
    |it| at(IoOp::FileCopy, &it.from, fs::copy(&it.from, &it.to))
}

request! {
    /// Opens a file.
    FileOpen {
        /// Which.
        path: PathBuf,
        /// What for.
        mode: OpenMode,
    } -> fs::File;
    |it| at(IoOp::FileOpen, &it.path, it.mode.options().open(&it.path))
}

request! {
    /// The absolute path without links in it.
    FileResolveSymbolicLinks {
        /// Which.
        path: PathBuf,
    } -> PathBuf;
    |it| at(IoOp::FileResolveSymbolicLinks, &it.path, fs::canonicalize(&it.path))
}

request! {
    /// The length of a file in bytes.
    FileLengthFromPath {
        /// Which.
        path: PathBuf,
    } -> u64;
    |it| {
        let length = fs::metadata(&it.path).map(|metadata| metadata.len());
        at(IoOp::FileLengthFromPath, &it.path, length)
    }
}

request! {
    /// When a file was read last, as far as its file system keeps account of that.
    FileLastAccessed {
        /// Which.
        path: PathBuf,
    } -> SystemTime;
    |it| {
        let time = fs::metadata(&it.path).and_then(|metadata| metadata.accessed());
        at(IoOp::FileLastAccessed, &it.path, time)
    }
}

request! {
    /// Changes when a file was read last.
    FileSetLastAccessed {
        /// Which.
        path: PathBuf,
        /// To when.
        time: SystemTime,
    } -> ();
    |it| {
        let set = filetime::set_file_atime(&it.path, FileTime::from_system_time(it.time));
        at(IoOp::FileSetLastAccessed, &it.path, set)
    }
}

request! {
    /// When a file was written last.
    FileLastModified {
        /// Which.
        path: PathBuf,
    } -> SystemTime;
    |it| {
        let time = fs::metadata(&it.path).and_then(|metadata| metadata.modified());
        at(IoOp::FileLastModified, &it.path, time)
    }
}

request! {
    /// Changes when a file was written last.
    FileSetLastModified {
        /// Which.
        path: PathBuf,
        /// To when.
        time: SystemTime,
    } -> ();
    |it| {
        let set = filetime::set_file_mtime(&it.path, FileTime::from_system_time(it.time));
        at(IoOp::FileSetLastModified, &it.path, set)
    }
}

request! {
    /// Makes a symbolic link. Its target need not exist.
    FileCreateLink {
        /// Where the link is to be.
        path: PathBuf,
        /// Where it is to lead.
        target: PathBuf,
    } -> ();
    |it| at(IoOp::FileCreateLink, &it.path, create_link(&it.target, &it.path))
}

request! {
    /// Deletes a link, not what it leads to.
    FileDeleteLink {
        /// Which.
        path: PathBuf,
    } -> ();
    |it| at(IoOp::FileDeleteLink, &it.path, delete_link(&it.path))
}

request! {
    /// Renames a link.
    FileRenameLink {
        /// Where it is.
        from: PathBuf,
        /// Where it is to be.
        to: PathBuf,
    } -> ();
    |it| rename(IoOp::FileRenameLink, &it.from, &it.to, EntityType::Link)
}

request! {
    /// Where a link leads.
    FileLinkTarget {
        /// Which.
        path: PathBuf,
    } -> PathBuf;
    |it| at(IoOp::FileLinkTarget, &it.path, fs::read_link(&it.path))
}

request! {
    /// What is at a path.
    FileType {
        /// Where.
        path: PathBuf,
        /// Whether a link stands for what it leads to.
        follow: bool,
    } -> EntityType;
    |it| match stat(&it.path, it.follow) {
        Ok(metadata) => Ok(EntityType::of(metadata.file_type())),
        Err(error) if is_absent(&error) => Ok(EntityType::NotFound),
        Err(error) => Err(IoError::at(IoOp::FileType, &it.path, error)),
    }
}

request! {
    /// Whether two paths lead to the same file, folder or link. Both must exist; a link is not
    /// what it leads to.
    FileIdentical {
        /// One.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    } -> bool;
    |it| {
        let first = at(IoOp::FileIdentical, &it.first, identity(&it.first))?;
        let second = at(IoOp::FileIdentical, &it.second, identity(&it.second))?;
        Ok(first == second)
    }
}

request! {
    /// Everything about a path.
    FileStat {
        /// Which.
        path: PathBuf,
        /// Whether a link stands for what it leads to.
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

/// Nothing is there: not even a folder that it could be in.
pub(super) fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// Renames something of one type only. As in the Dart VM a look comes first, so another process
/// may change the type in between.
pub(super) fn rename(
    op: IoOp,
    from: &Path,
    to: &Path,
    expected: EntityType,
) -> Result<(), IoError> {
    let follow = expected != EntityType::Link;
    let found = stat(from, follow).map(|metadata| EntityType::of(metadata.file_type()));
    let found = match found {
        // A link that leads nowhere is renamed as the file that it may have led to.
        Err(error) if is_absent(&error) && expected == EntityType::File => {
            at(op, from, fs::symlink_metadata(from))?;
            expected
        }
        found => at(op, from, found)?,
    };
    let kind = match (found, expected) {
        (EntityType::Directory, EntityType::File) => io::ErrorKind::IsADirectory,
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

/// Windows knows links to files and to folders: what is there decides, and a file if nothing is.
#[cfg(windows)]
fn create_link(target: &Path, link: &Path) -> io::Result<()> {
    let base = link.parent().unwrap_or(Path::new(""));
    if base.join(target).is_dir() {
        std::os::windows::fs::symlink_dir(target, link)
    } else {
        std::os::windows::fs::symlink_file(target, link)
    }
}

fn delete_link(path: &Path) -> io::Result<()> {
    let file_type = fs::symlink_metadata(path)?.file_type();
    if !file_type.is_symlink() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
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
    /// Opens folders as well.
    const FILE_FLAG_BACKUP_SEMANTICS: u32 = 0x0200_0000;
    /// Opens a link itself.
    const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;
    let file = fs::OpenOptions::new()
        .access_mode(0)
        .custom_flags(FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT)
        .open(path)?;
    same_file::Handle::from_file(file)
}
