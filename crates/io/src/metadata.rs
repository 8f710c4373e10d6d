//! What is at a path, and everything about it.

use std::fs;
use std::time::SystemTime;

/// What is at a path.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum EntityType {
    /// A file.
    File,
    /// A folder.
    Directory,
    /// A symbolic link.
    Link,
    /// A named pipe.
    Pipe,
    /// A socket of the file system.
    Socket,
    /// A device, or something else.
    Other,
    /// Nothing.
    NotFound,
}

impl EntityType {
    pub(crate) fn of(file_type: fs::FileType) -> Self {
        #[cfg(unix)]
        {
            use std::os::unix::fs::FileTypeExt;
            if file_type.is_fifo() {
                return Self::Pipe;
            }
            if file_type.is_socket() {
                return Self::Socket;
            }
        }
        if file_type.is_file() {
            Self::File
        } else if file_type.is_dir() {
            Self::Directory
        } else if file_type.is_symlink() {
            Self::Link
        } else {
            Self::Other
        }
    }
}

/// Everything about a path.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Metadata {
    /// What is there.
    pub entity_type: EntityType,
    /// Its length in bytes.
    pub length: u64,
    /// When its content changed, where that is known.
    pub modified: Option<SystemTime>,
    /// When it was read, where that is known.
    pub accessed: Option<SystemTime>,
    /// On Unix, when anything about it changed; on Windows, when it was created.
    pub changed: Option<SystemTime>,
    /// On Unix, type and permission bits as the operating system has them; on Windows the
    /// attributes.
    pub mode: u32,
    /// Whether it may not be written at all.
    pub read_only: bool,
}

impl From<fs::Metadata> for Metadata {
    fn from(metadata: fs::Metadata) -> Self {
        Self {
            entity_type: EntityType::of(metadata.file_type()),
            length: metadata.len(),
            modified: metadata.modified().ok(),
            accessed: metadata.accessed().ok(),
            changed: changed(&metadata),
            mode: mode(&metadata),
            read_only: metadata.permissions().readonly(),
        }
    }
}

#[cfg(unix)]
fn changed(metadata: &fs::Metadata) -> Option<SystemTime> {
    use std::os::unix::fs::MetadataExt;
    use std::time::Duration;
    let nanoseconds = Duration::from_nanos(u64::try_from(metadata.ctime_nsec()).ok()?);
    let seconds = Duration::from_secs(metadata.ctime().unsigned_abs());
    let whole = if metadata.ctime() < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(seconds)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(seconds)
    };
    whole?.checked_add(nanoseconds)
}

#[cfg(windows)]
fn changed(metadata: &fs::Metadata) -> Option<SystemTime> {
    metadata.created().ok()
}

#[cfg(unix)]
fn mode(metadata: &fs::Metadata) -> u32 {
    std::os::unix::fs::MetadataExt::mode(metadata)
}

#[cfg(windows)]
fn mode(metadata: &fs::Metadata) -> u32 {
    std::os::windows::fs::MetadataExt::file_attributes(metadata)
}
