//! The folder of announcements on Unix, which belongs to one user.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::process::{Pid, geteuid, test_kill_process};

/// The rights to write of the group and of all others.
const WRITABLE_BY_OTHERS: u32 = 0o022;

pub(super) fn folder() -> PathBuf {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    match runtime.filter(|path| path.is_absolute()) {
        Some(path) => path.join("insula"),
        None => std::env::temp_dir().join(format!("insula-{}", geteuid().as_raw())),
    }
}

pub(super) fn create_folder(folder: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        result => result,
    }
}

/// Checks that no other user can change the folder. What is checked is the name itself, since a
/// link could lead elsewhere a moment later.
pub(super) fn check_folder(folder: &Path) -> io::Result<()> {
    let metadata = fs::symlink_metadata(folder)?;
    let wrong = if !metadata.is_dir() {
        "is no folder"
    } else if metadata.uid() != geteuid().as_raw() {
        "belongs to another user"
    } else if metadata.mode() & WRITABLE_BY_OTHERS != 0 {
        "can be changed by other users"
    } else {
        return Ok(());
    };
    Err(io::Error::new(
        io::ErrorKind::PermissionDenied,
        format!(
            "{} {wrong}; remove it, or set XDG_RUNTIME_DIR to a folder of your own",
            folder.display()
        ),
    ))
}

pub(super) fn create_private(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

/// Opens a plain file of this user that no other user can change. A link is not followed, and a
/// pipe not waited for.
pub(super) fn open_own(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)?;
    if is_own(&file.metadata()?) {
        Ok(file)
    } else {
        Err(io::ErrorKind::PermissionDenied.into())
    }
}

fn is_own(metadata: &Metadata) -> bool {
    metadata.is_file()
        && metadata.uid() == geteuid().as_raw()
        && metadata.mode() & WRITABLE_BY_OTHERS == 0
}

/// Returns whether there is a process of this number. It may be another one than before: then its
/// announced address leads nowhere, which a connection finds out.
pub(super) fn is_alive(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| test_kill_process(pid) != Err(Errno::SRCH))
}
