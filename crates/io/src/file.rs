//! Open files, and files by path.

#[cfg(all(test, unix))]
mod tests;

use std::fmt;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use fs4::FileExt;

use crate::request::{
    FileClose, FileCopy, FileCreate, FileCreatePipe, FileDelete, FileExists, FileFlush,
    FileLastAccessed, FileLastModified, FileLength, FileLengthFromPath, FileLock, FileOpen,
    FilePosition, FileRead, FileReadByte, FileReadInto, FileRename, FileResolveSymbolicLinks,
    FileSetLastAccessed, FileSetLastModified, FileSetPosition, FileTruncate, FileWriteByte,
    FileWriteFrom,
};
use crate::slot::Slot;
use crate::{IoError, IoService, Lease};

/// The number of bytes per read of a whole file beyond its reported length.
const CHUNK: usize = 1 << 20;

/// The mode in which a file is opened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum OpenMode {
    /// Reads an existing file.
    Read,
    /// Reads and writes a file, which is created if missing and truncated to length 0.
    Write,
    /// Reads, and writes at the end. The file is created if missing.
    Append,
    /// Writes a file, which is created if missing and truncated to length 0.
    WriteOnly,
    /// Writes at the end. The file is created if missing.
    WriteOnlyAppend,
    /// Reads and writes an existing file.
    Update,
    /// Uses the standard library's options.
    Custom(fs::OpenOptions),
}

impl OpenMode {
    pub(crate) fn options(&self) -> fs::OpenOptions {
        let mut options = fs::OpenOptions::new();
        match self {
            Self::Read => options.read(true),
            Self::Write => options.read(true).write(true).create(true).truncate(true),
            Self::Append => options.read(true).append(true).create(true),
            Self::WriteOnly => options.write(true).create(true).truncate(true),
            Self::WriteOnlyAppend => options.append(true).create(true),
            Self::Update => options.read(true).write(true),
            Self::Custom(options) => return options.clone(),
        };
        options
    }
}

/// The mode of a file lock. The lock is of the whole file and belongs to the open file. It is
/// advisory: it binds only programs that lock as well. (On Windows it binds all.)
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum LockMode {
    /// Acquires a shared lock. Fails while another holder has an exclusive one.
    Shared,
    /// Acquires an exclusive lock. Fails while another holder has any lock.
    Exclusive,
    /// Like `Shared`, but waits instead of failing. Occupies a thread of the service meanwhile.
    BlockingShared,
    /// Like `Exclusive`, but waits instead of failing. Occupies a thread of the service meanwhile.
    BlockingExclusive,
    /// Releases the lock.
    Unlock,
}

impl LockMode {
    pub(crate) fn apply(self, file: &fs::File) -> io::Result<()> {
        // The same methods of std's `File` need Rust 1.89.
        match self {
            Self::Shared => FileExt::try_lock_shared(file).map_err(io::Error::from),
            Self::Exclusive => FileExt::try_lock(file).map_err(io::Error::from),
            Self::BlockingShared => FileExt::lock_shared(file),
            Self::BlockingExclusive => FileExt::lock(file),
            Self::Unlock => FileExt::unlock(file),
        }
    }
}

/// The state of an open file, which its slot holds.
#[derive(Debug)]
pub struct OpenFile {
    pub(crate) file: fs::File,
    /// The number and kind of the error of the first flush that failed.
    flush_error: Option<(Option<i32>, io::ErrorKind)>,
}

impl OpenFile {
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        // The operating system reports a loss once, and success from then on.
        if let Some((code, kind)) = self.flush_error {
            // Made anew, since an `io::Error` cannot be cloned.
            return Err(code.map_or_else(|| kind.into(), io::Error::from_raw_os_error));
        }
        let result = loop {
            match self.file.sync_all() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result,
            }
        };
        if let Err(error) = &result {
            self.flush_error = Some((error.raw_os_error(), error.kind()));
        }
        result
    }
}

/// An open file. Its operations run on the threads of an [`IoService`], one at a time.
///
/// Buffers are moved in and out, so nothing is copied on the way. Clones are handles to one file,
/// with one position. Dropping the last handle closes the file on the calling thread, which may
/// block; [`close`](Self::close) closes it on a thread of the service.
///
/// # Errors
/// All operations return [`IoError::Pending`] while another one is under way, [`IoError::Closed`]
/// after the file was closed, or the operating system's error.
///
/// # Cancellation
/// An operation whose future is dropped is still carried out, and keeps the file busy until then.
///
/// ```
/// # fn main() -> Result<(), insula_io::IoError> {
/// # insula_core::block_on(async {
/// use insula_io::{Directory, File, OpenMode};
/// let folder = Directory::create_temp("insula-example").await?;
/// let file = File::open(folder.join("notes"), OpenMode::Write).await?;
/// let (written, buffer) = file.write_all(b"an island".to_vec()).await;
/// written?;
/// file.set_position(3).await?;
/// let (count, buffer) = file.read(buffer).await;
/// assert_eq!(&buffer[..count?], b"island");
/// Directory::delete_recursive(folder).await?;
/// # Ok(())
/// # })
/// # }
/// ```
#[derive(Clone)]
pub struct File {
    slot: Arc<Slot<OpenFile>>,
    service: IoService,
}

impl File {
    /// Opens a file. Opening a named pipe waits until its other end is opened.
    ///
    /// # Errors
    /// Returns the operating system's error.
    pub async fn open(path: impl Into<PathBuf>, mode: OpenMode) -> Result<Self, IoError> {
        Self::open_by(IoService::global(), path.into(), mode).await
    }

    /// Like [`open`](Self::open), but uses `service`, also for the operations of the file.
    ///
    /// # Errors
    /// Returns the operating system's error.
    pub async fn open_by(
        service: &IoService,
        path: PathBuf,
        mode: OpenMode,
    ) -> Result<Self, IoError> {
        let file = service.request(FileOpen { path, mode }).await?;
        Ok(Self::from_std(service, file))
    }

    /// Takes over a file that the standard library opened.
    pub fn from_std(service: &IoService, file: fs::File) -> Self {
        let open = OpenFile {
            file,
            flush_error: None,
        };
        Self {
            slot: Slot::new(open),
            service: service.clone(),
        }
    }

    /// Creates a pipe, and returns its reading end and its writing end. A read waits, on a thread
    /// of the service, until there are bytes or the writing end is closed.
    ///
    /// # Errors
    /// Returns the operating system's error.
    pub async fn create_pipe() -> Result<(Self, Self), IoError> {
        let service = IoService::global();
        let (reader, writer) = service.request(FileCreatePipe {}).await?;
        Ok((
            Self::from_std(service, reader),
            Self::from_std(service, writer),
        ))
    }

    /// Acquires the right to the file's next operation, for a [`request`](crate::request).
    ///
    /// # Errors
    /// Returns [`IoError::Pending`] or [`IoError::Closed`].
    pub fn lease(&self) -> Result<Lease<OpenFile>, IoError> {
        self.slot.lease()
    }

    /// Closes the file for all handles.
    ///
    /// # Errors
    /// See [`File`].
    pub async fn close(&self) -> Result<(), IoError> {
        let file = self.lease()?;
        self.service.request(FileClose { file }).await
    }

    /// Reads once into `buffer`, at most its length. Returns the number of bytes read, 0 at the
    /// end, and the buffer, also with an error.
    ///
    /// # Errors
    /// See [`File`]. If the service is closed, the buffer is lost.
    pub async fn read(&self, buffer: Vec<u8>) -> (Result<usize, IoError>, Vec<u8>) {
        let file = match self.lease() {
            Ok(file) => file,
            Err(error) => return (Err(error), buffer),
        };
        let request = FileReadInto {
            range: 0..buffer.len(),
            file,
            buffer,
        };
        let answer = self.service.request(request).await;
        // The buffer is lost with the request.
        answer.unwrap_or_else(|error| (Err(error), Vec::new()))
    }

    /// Reads once into a new buffer, at most `length` bytes. Returns the bytes read, none at the
    /// end.
    ///
    /// # Errors
    /// See [`File`].
    pub async fn read_new(&self, length: usize) -> Result<Vec<u8>, IoError> {
        let file = self.lease()?;
        self.service.request(FileRead { file, length }).await
    }

    /// Writes all of `buffer`, and returns it, also with an error. The error has the number of
    /// bytes written before it; those are in the file.
    ///
    /// # Errors
    /// See [`File`]. If the service is closed, the buffer is lost.
    pub async fn write_all(&self, buffer: Vec<u8>) -> (Result<(), IoError>, Vec<u8>) {
        let length = buffer.len();
        self.write_part(buffer, 0..length).await
    }

    /// Like [`write_all`](Self::write_all), but writes only the bytes in `range`.
    ///
    /// # Errors
    /// See [`File`].
    pub async fn write_part(
        &self,
        buffer: Vec<u8>,
        range: std::ops::Range<usize>,
    ) -> (Result<(), IoError>, Vec<u8>) {
        let file = match self.lease() {
            Ok(file) => file,
            Err(error) => return (Err(error), buffer),
        };
        let request = FileWriteFrom {
            file,
            buffer,
            range,
        };
        let answer = self.service.request(request).await;
        // The buffer is lost with the request.
        answer.unwrap_or_else(|error| (Err(error), Vec::new()))
    }

    /// Reads one byte. Returns `None` at the end.
    ///
    /// # Errors
    /// See [`File`].
    pub async fn read_byte(&self) -> Result<Option<u8>, IoError> {
        let file = self.lease()?;
        self.service.request(FileReadByte { file }).await
    }

    /// Writes one byte.
    ///
    /// # Errors
    /// See [`File`].
    pub async fn write_byte(&self, byte: u8) -> Result<(), IoError> {
        let file = self.lease()?;
        self.service.request(FileWriteByte { file, byte }).await
    }

    /// Returns the position of the next read or write, in bytes from the beginning.
    ///
    /// # Errors
    /// See [`File`].
    pub async fn position(&self) -> Result<u64, IoError> {
        let file = self.lease()?;
        self.service.request(FilePosition { file }).await
    }

    /// Sets the position of the next read or write.
    ///
    /// # Errors
    /// See [`File`].
    pub async fn set_position(&self, position: u64) -> Result<(), IoError> {
        let file = self.lease()?;
        self.service
            .request(FileSetPosition { file, position })
            .await
    }

    /// Sets the file's length: cuts the file off, or extends it with zeros.
    ///
    /// # Errors
    /// See [`File`].
    pub async fn truncate(&self, length: u64) -> Result<(), IoError> {
        let file = self.lease()?;
        self.service.request(FileTruncate { file, length }).await
    }

    /// Returns the file's length in bytes.
    ///
    /// # Errors
    /// See [`File`].
    pub async fn length(&self) -> Result<u64, IoError> {
        let file = self.lease()?;
        self.service.request(FileLength { file }).await
    }

    /// Waits until all written bytes are on the device. Once it has failed, it fails always:
    /// the operating system reports a loss only once.
    ///
    /// # Errors
    /// See [`File`].
    pub async fn flush(&self) -> Result<(), IoError> {
        let file = self.lease()?;
        self.service.request(FileFlush { file }).await
    }

    /// Locks or unlocks the file.
    ///
    /// # Errors
    /// See [`File`]; of kind `WouldBlock` if another holder has the lock.
    pub async fn lock(&self, mode: LockMode) -> Result<(), IoError> {
        let file = self.lease()?;
        self.service.request(FileLock { file, mode }).await
    }
}

/// Operations on files by path, through the global service.
impl File {
    /// Returns whether there is a file, or a link to one, at `path`.
    ///
    /// # Errors
    /// Returns the operating system's error, unless nothing is at the path.
    pub async fn exists(path: impl Into<PathBuf>) -> Result<bool, IoError> {
        let path = path.into();
        IoService::global().request(FileExists { path }).await
    }

    /// Creates an empty file, unless there is a file.
    ///
    /// # Errors
    /// Returns the operating system's error.
    pub async fn create(path: impl Into<PathBuf>) -> Result<(), IoError> {
        let (path, exclusive) = (path.into(), false);
        let request = FileCreate { path, exclusive };
        IoService::global().request(request).await
    }

    /// Creates an empty file. Fails if anything is at `path`.
    ///
    /// # Errors
    /// Returns the operating system's error, of kind `AlreadyExists` if something is there.
    pub async fn create_new(path: impl Into<PathBuf>) -> Result<(), IoError> {
        let (path, exclusive) = (path.into(), true);
        let request = FileCreate { path, exclusive };
        IoService::global().request(request).await
    }

    /// Deletes a file.
    ///
    /// # Errors
    /// Returns the operating system's error.
    pub async fn delete(path: impl Into<PathBuf>) -> Result<(), IoError> {
        let path = path.into();
        IoService::global().request(FileDelete { path }).await
    }

    /// Renames a file, and replaces a file at the new path.
    ///
    /// # Errors
    /// Returns the operating system's error, of kind `IsADirectory` if `from` is a directory.
    pub async fn rename(from: impl Into<PathBuf>, to: impl Into<PathBuf>) -> Result<(), IoError> {
        let (from, to) = (from.into(), to.into());
        IoService::global().request(FileRename { from, to }).await
    }

    /// Copies a file and its permissions, inside of the operating system where possible. Returns
    /// its length in bytes.
    ///
    /// # Errors
    /// Returns the operating system's error.
    pub async fn copy(from: impl Into<PathBuf>, to: impl Into<PathBuf>) -> Result<u64, IoError> {
        let (from, to) = (from.into(), to.into());
        IoService::global().request(FileCopy { from, to }).await
    }

    /// Returns the absolute path with all links resolved.
    ///
    /// # Errors
    /// Returns the operating system's error.
    pub async fn resolve_links(path: impl Into<PathBuf>) -> Result<PathBuf, IoError> {
        let path = path.into();
        let request = FileResolveSymbolicLinks { path };
        IoService::global().request(request).await
    }

    /// Returns the length of a file in bytes.
    ///
    /// # Errors
    /// Returns the operating system's error.
    pub async fn length_of(path: impl Into<PathBuf>) -> Result<u64, IoError> {
        let path = path.into();
        let request = FileLengthFromPath { path };
        IoService::global().request(request).await
    }

    /// Returns when a file was last read, as far as its file system records that.
    ///
    /// # Errors
    /// Returns the operating system's error.
    pub async fn last_accessed(path: impl Into<PathBuf>) -> Result<SystemTime, IoError> {
        let path = path.into();
        IoService::global().request(FileLastAccessed { path }).await
    }

    /// Sets the time at which a file was last read.
    ///
    /// # Errors
    /// Returns the operating system's error.
    pub async fn set_last_accessed(
        path: impl Into<PathBuf>,
        time: SystemTime,
    ) -> Result<(), IoError> {
        let path = path.into();
        let request = FileSetLastAccessed { path, time };
        IoService::global().request(request).await
    }

    /// Returns when a file was last written.
    ///
    /// # Errors
    /// Returns the operating system's error.
    pub async fn last_modified(path: impl Into<PathBuf>) -> Result<SystemTime, IoError> {
        let path = path.into();
        IoService::global().request(FileLastModified { path }).await
    }

    /// Sets the time at which a file was last written.
    ///
    /// # Errors
    /// Returns the operating system's error.
    pub async fn set_last_modified(
        path: impl Into<PathBuf>,
        time: SystemTime,
    ) -> Result<(), IoError> {
        let path = path.into();
        let request = FileSetLastModified { path, time };
        IoService::global().request(request).await
    }

    /// Reads a whole file.
    ///
    /// # Errors
    /// Returns the operating system's error.
    pub async fn read_all(path: impl Into<PathBuf>) -> Result<Vec<u8>, IoError> {
        let file = Self::open(path, OpenMode::Read).await?;
        // The length is a hint only: some files of the kernel report 0, and a file may grow. So
        // the loop reads on until a read finds the end.
        // One byte more, so that the first read of a file that reports 0 is not empty.
        let length = usize::try_from(file.length().await?).unwrap_or(0) + 1;
        let mut all = file.read_new(length).await?;
        loop {
            let more = file.read_new(CHUNK).await?;
            if more.is_empty() {
                // Not left to the drop, which would close the file on this thread, and may block.
                file.close().await?;
                return Ok(all);
            }
            all.extend_from_slice(&more);
        }
    }

    /// Writes a whole file, which is created or replaced.
    ///
    /// # Errors
    /// Returns the operating system's error. Part of the content may have been written by then.
    pub async fn write_whole(path: impl Into<PathBuf>, content: Vec<u8>) -> Result<(), IoError> {
        let file = Self::open(path, OpenMode::WriteOnly).await?;
        file.write_all(content).await.0?;
        // As in `read_all`.
        file.close().await
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("File(..)")
    }
}
