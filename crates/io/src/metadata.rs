//! The type and the metadata of what is at a path.

use std::fs;
use std::time::SystemTime;

/// The type of what is at a path.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum EntityType {
    /// A file.
    File,
    /// A directory.
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

/// The metadata of a path.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Metadata {
    /// The type of what is there.
    pub entity_type: EntityType,
    /// The length in bytes.
    pub length: u64,
    /// The time of the last change of the content, if known.
    pub modified: Option<SystemTime>,
    /// The time of the last read, if known.
    pub accessed: Option<SystemTime>,
    /// On Unix the time of the last change of content or metadata, on Windows that of creation.
    pub changed: Option<SystemTime>,
    /// On Unix the operating system's type and permission bits, on Windows the attributes.
    pub mode: u32,
    /// `true` if the permissions allow no writing at all.
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
    // Before 1970 the seconds count backwards, and the nanoseconds forwards all the same.
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
