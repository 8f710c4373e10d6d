//! Announcements: how tools of a user find the programs of the same user that have an inspector.
//!
//! A program writes its address, with the token, into a file that only its user can read, in a
//! folder that only its user can change: `$XDG_RUNTIME_DIR/insula`, or `insula-UID` in the folder
//! for temporary files. The file appears whole or not at all, and is removed when the guard is
//! dropped. Files of processes that have ended without that are removed by the next reader.
//!
//! On systems other than Unix the folder is `insula` in the user's folder for temporary files, and
//! its rights are those that the system gives to it.

#[cfg(test)]
mod tests;

#[cfg_attr(unix, path = "announce/unix.rs")]
#[cfg_attr(not(unix), path = "announce/portable.rs")]
mod system;

use std::fmt;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The most entries of the folder that are looked at.
const MAX_FILES: usize = 10_000;

/// The longest announcement in bytes; usual ones have 150.
const MAX_LENGTH: u64 = 64 << 10;

/// The most names that are tried for a temporary file.
const MAX_ATTEMPTS: u32 = 100;

/// A program that has an inspector.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    /// The name of the program.
    pub name: String,
    /// The number of its process.
    pub pid: u32,
    /// The address of its inspector, with the token.
    pub address: String,
}

/// Leaves the token out.
impl fmt::Debug for Announcement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.address.split('#').next();
        f.debug_struct("Announcement")
            .field("name", &self.name)
            .field("pid", &self.pid)
            .field("place", &place.unwrap_or_default())
            .finish_non_exhaustive()
    }
}

/// Keeps an announcement. Dropping it removes the file.
#[derive(Debug)]
#[must_use = "the announcement ends when this is dropped"]
pub struct Announced {
    path: PathBuf,
    content: Content,
}

/// The bytes of a file, which hold a token and so are not shown.
struct Content(Vec<u8>);

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl Announced {
    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Announced {
    fn drop(&mut self) {
        // Another inspector of the same process may have replaced the file, which is its own then.
        let is_ours = fs::read(&self.path).is_ok_and(|content| content == self.content.0);
        if is_ours {
            // Without the file there is nothing to remove, and readers skip one that is left.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Announces a program to the tools of its user.
///
/// # Blocking
/// Writes a file.
///
/// # Errors
/// Returns an error if the folder belongs to another user or can be changed by other users, or if
/// the file cannot be written.
pub fn announce(announcement: &Announcement) -> io::Result<Announced> {
    announce_in(&system::folder(), announcement)
}

/// Returns the programs of this user that have announced themselves and still run, by the numbers
/// of their processes. Files of others, and files that make no sense, are skipped. Those of
/// processes that have ended are removed.
///
/// # Blocking
/// Reads files.
///
/// # Errors
/// Returns an error if the folder cannot be read, or could be changed by other users. A folder that
/// is not there has no announcements.
pub fn announced() -> io::Result<Vec<Announcement>> {
    announced_in(&system::folder())
}

fn announce_in(folder: &Path, announcement: &Announcement) -> io::Result<Announced> {
    system::create_folder(folder)?;
    system::check_folder(folder)?;
    let content = serde_json::to_vec(announcement)?;
    let path = folder.join(format!("{}.json", announcement.pid));
    let (mut file, unfinished) = create_unfinished(folder, announcement.pid)?;
    let written = file
        .write_all(&content)
        .and_then(|()| fs::rename(&unfinished, &path));
    if let Err(error) = written {
        // The first error says more than one of the removal.
        let _ = fs::remove_file(&unfinished);
        return Err(error);
    }
    let content = Content(content);
    Ok(Announced { path, content })
}

/// Creates a file that readers do not look at. Its names are those of this process, so a name that
/// is taken is left from a process of the same number, or is used by another thread.
fn create_unfinished(folder: &Path, pid: u32) -> io::Result<(fs::File, PathBuf)> {
    let mut last = io::Error::from(io::ErrorKind::AlreadyExists);
    for attempt in 0..MAX_ATTEMPTS {
        let path = folder.join(format!(".{pid}-{attempt}.part"));
        match system::create_private(&path) {
            Ok(file) => return Ok((file, path)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

fn announced_in(folder: &Path) -> io::Result<Vec<Announcement>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    system::check_folder(folder)?;
    let mut found = Vec::new();
    for entry in entries.take(MAX_FILES) {
        let path = entry?.path();
        let Some(pid) = pid_of(&path) else {
            continue;
        };
        if !system::is_alive(pid) {
            // Another reader may have removed it at the same time.
            let _ = fs::remove_file(&path);
            continue;
        }
        let is_finished = path.extension().is_some_and(|it| it == "json");
        if let Some(announcement) = read(&path).filter(|it| is_finished && it.pid == pid) {
            found.push(announcement);
        }
    }
    found.sort_by_key(|it| it.pid);
    Ok(found)
}

/// Returns the number of the process in the name of a file, `PID.json` or `.PID-N.part`.
fn pid_of(path: &Path) -> Option<u32> {
    let name = path.file_name()?.to_str()?;
    let digits = match name.strip_suffix(".json") {
        Some(digits) => digits,
        None => {
            let (digits, _) = name
                .strip_prefix('.')?
                .strip_suffix(".part")?
                .split_once('-')?;
            digits
        }
    };
    let pid: u32 = digits.parse().ok()?;
    // So that a process has one name only.
    (pid.to_string() == digits).then_some(pid)
}

fn read(path: &Path) -> Option<Announcement> {
    let file = system::open_own(path).ok()?;
    let mut content = Vec::new();
    file.take(MAX_LENGTH + 1).read_to_end(&mut content).ok()?;
    let is_short = u64::try_from(content.len()).is_ok_and(|length| length <= MAX_LENGTH);
    is_short
        .then(|| serde_json::from_slice(&content).ok())
        .flatten()
}
