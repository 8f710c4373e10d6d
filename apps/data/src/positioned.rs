//! A file that several isolates read at once.
//!
//! The reader of `parquet` for files moves the position of the file, which all copies of its
//! descriptor share, so two isolates would read from each other's places.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use parquet::errors::Result;
use parquet::file::reader::{ChunkReader, Length};
use serde::{Deserialize, Serialize};

/// A file without a position.
#[derive(Clone, Debug)]
pub(crate) struct Positioned {
    file: Arc<File>,
    version: Version,
}

/// What differs between two files of one name, such as one that has replaced the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Version {
    length: u64,
    /// The time since 1970 at which it was modified, where the system knows it.
    modified: Option<Duration>,
}

impl Positioned {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        let modified = metadata.modified().ok();
        let version = Version {
            length: metadata.len(),
            modified: modified.and_then(|it| it.duration_since(UNIX_EPOCH).ok()),
        };
        let file = Arc::new(file);
        Ok(Self { file, version })
    }

    pub(crate) fn version(&self) -> Version {
        self.version
    }

    fn reader(&self, start: u64) -> Part {
        let file = Arc::clone(&self.file);
        Part { file, at: start }
    }
}

impl Length for Positioned {
    fn len(&self) -> u64 {
        self.version.length
    }
}

impl ChunkReader for Positioned {
    type T = io::BufReader<Part>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        Ok(io::BufReader::new(self.reader(start)))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        // A damaged file may name any length, so it is not allocated before it is read.
        let mut bytes = Vec::new();
        let read = self
            .reader(start)
            .take(length as u64)
            .read_to_end(&mut bytes)?;
        match read == length {
            true => Ok(bytes.into()),
            false => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
        }
    }
}

/// The bytes of a file from a place on.
#[derive(Debug)]
pub(crate) struct Part {
    file: Arc<File>,
    at: u64,
}

impl Read for Part {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = read_at(&self.file, buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

#[cfg(unix)]
fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, at)
}

/// Moves the position of the file too, which nothing uses.
#[cfg(windows)]
fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, at)
}
