//! The memory that Linux leaves to a process: what is available, and the limits of its cgroups.
//!
//! `/proc/self/cgroup` names the groups of the process, and `/proc/self/mountinfo` the folders in
//! which they are seen. Both may be on a machine at once, version 1 and version 2. A file that is
//! not there limits nothing: the group at the root has none, nor has one whose memory is not
//! controlled. A file that cannot be read is an error, since its limit may be the least.
//!
//! Texts are parsed by functions that touch no file.

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use super::BudgetError;

const MEMINFO: &str = "/proc/meminfo";
const CGROUP: &str = "/proc/self/cgroup";
const MOUNTINFO: &str = "/proc/self/mountinfo";

/// Returns the least of the memory that is available on the machine and of all limits.
pub(super) fn memory_of_process() -> Result<u64, BudgetError> {
    least(read)
}

/// [`memory_of_process`] by way of a function that reads a file, or returns `None` if it is not
/// there.
fn least(read: impl Fn(&Path) -> Result<Option<String>, BudgetError>) -> Result<u64, BudgetError> {
    let unknown = |path: &Path, wanted| BudgetError::Unknown {
        path: path.to_owned(),
        wanted,
    };
    let [meminfo, cgroup, mountinfo] = [MEMINFO, CGROUP, MOUNTINFO].map(Path::new);
    let text = read(meminfo)?;
    let mut least = text
        .as_deref()
        .and_then(available)
        .ok_or_else(|| unknown(meminfo, "`MemAvailable`"))?;
    // A kernel without cgroups has no such file.
    let Some(groups) = read(cgroup)? else {
        return Ok(least);
    };
    let mounts = read(mountinfo)?.unwrap_or_default();
    let files = limit_files(&groups, &mounts)
        .map_err(|NotMounted| unknown(mountinfo, "mount of the cgroup"))?;
    for file in files {
        let Some(text) = read(&file)? else {
            continue;
        };
        match limit(&text) {
            Ok(Some(bytes)) => least = least.min(bytes),
            Ok(None) => {}
            Err(NoLimit) => return Err(unknown(&file, "number of bytes")),
        }
    }
    Ok(least)
}

/// Returns `None` if there is no such file.
fn read(path: &Path) -> Result<Option<String>, BudgetError> {
    match fs::read(path) {
        // A path in it need not be UTF-8. What is replaced is the path of another mount.
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(BudgetError::Unreadable {
            path: path.to_owned(),
            error,
        }),
    }
}

/// Returns the bytes of `MemAvailable` in the text of `/proc/meminfo`, which counts in KiB.
fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// The text of a limit's file is neither a number nor `max`.
#[derive(Debug, PartialEq, Eq)]
struct NoLimit;

/// Returns the bytes in the text of a limit's file; `None` for `max`. (Version 1 says the same with
/// a number near `i64::MAX`, which is the least of nothing.)
fn limit(text: &str) -> Result<Option<u64>, NoLimit> {
    match text.trim() {
        "max" => Ok(None),
        number => number.parse().map(Some).map_err(|_| NoLimit),
    }
}

/// The process is in a group whose folder is not mounted.
#[derive(Debug, PartialEq, Eq)]
struct NotMounted;

/// Returns the files with the limits of a process, of its groups and of those around them, from the
/// texts of `/proc/self/cgroup` and `/proc/self/mountinfo`.
fn limit_files(cgroup: &str, mountinfo: &str) -> Result<Vec<PathBuf>, NotMounted> {
    let groups: Vec<_> = cgroup.lines().filter_map(Group::parse).collect();
    let mut files = Vec::new();
    for mount in mountinfo.lines().filter_map(Mount::parse) {
        let of_version = groups.iter().filter(|group| group.version == mount.version);
        for group in of_version {
            let file = match mount.version {
                Version::One => "memory.limit_in_bytes",
                Version::Two => "memory.max",
            };
            files.extend(mount.folders(&group.path).map(|folder| folder.join(file)));
        }
    }
    // Without any mount, a process at the root is one of a system that does not use cgroups.
    let is_at_root = groups.iter().all(|group| group.path == Path::new("/"));
    if files.is_empty() && !is_at_root {
        return Err(NotMounted);
    }
    Ok(files)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// A group that controls the memory of the process, or may do so.
struct Group {
    version: Version,
    path: PathBuf,
}

impl Group {
    /// Parses a line such as `0::/user.slice` (version 2) or `4:memory:/docker/1f` (version 1);
    /// `None` for a group of version 1 that does not control the memory.
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.splitn(3, ':');
        let (number, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        let version = match (number, controllers) {
            ("0", "") => Version::Two,
            _ if controllers.split(',').any(|it| it == "memory") => Version::One,
            _ => return None,
        };
        let path = PathBuf::from(path);
        Some(Self { version, path })
    }
}

/// A place where groups are mounted.
struct Mount {
    version: Version,
    /// The group whose folder is `point`.
    root: PathBuf,
    point: PathBuf,
}

impl Mount {
    /// Parses a line of `mountinfo`; `None` if it has no groups that control the memory. In
    /// `32 31 0:29 ROOT POINT rw,relatime shared:9 - cgroup2 SOURCE OPTIONS`, any number of fields
    /// comes before the hyphen.
    fn parse(line: &str) -> Option<Self> {
        let (place, kind) = line.split_once(" - ")?;
        let mut place = place.split(' ').skip(3);
        let (root, point) = (unescape(place.next()?), unescape(place.next()?));
        let mut kind = kind.split(' ');
        let version = match (kind.next()?, kind.nth(1)?) {
            ("cgroup2", _) => Version::Two,
            ("cgroup", options) if options.split(',').any(|it| it == "memory") => Version::One,
            _ => return None,
        };
        Some(Self {
            version,
            root,
            point,
        })
    }

    /// Returns the folder of a group and those of all groups around it that are in this mount.
    fn folders(&self, group: &Path) -> impl Iterator<Item = PathBuf> {
        // A group that is not below the root is seen from another namespace, or through `..`: the
        // mount's own folder is then the only one that is certain to be around it.
        let is_plain = !group.components().any(|it| it.as_os_str() == "..");
        let inside = group.strip_prefix(&self.root).ok().filter(|_| is_plain);
        let inside = inside.unwrap_or(Path::new("")).to_owned();
        let inside: Vec<_> = inside.ancestors().map(|it| self.point.join(it)).collect();
        inside.into_iter()
    }
}

/// Returns the path in a field of `mountinfo`, where spaces and a few others are octal, such as
/// `\040`.
fn unescape(field: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let code = (first == b'\\').then(|| octal(after)).flatten();
        bytes.push(code.unwrap_or(first));
        rest = if code.is_some() { &after[3..] } else { after };
    }
    PathBuf::from(OsString::from_vec(bytes))
}

/// Returns the byte that three octal digits are.
fn octal(digits: &[u8]) -> Option<u8> {
    let digits = std::str::from_utf8(digits.get(..3)?).ok()?;
    // A sign is no digit, though numbers may have one.
    let is_octal = digits.bytes().all(|it| (b'0'..=b'7').contains(&it));
    is_octal.then(|| u8::from_str_radix(digits, 8).ok())?
}
