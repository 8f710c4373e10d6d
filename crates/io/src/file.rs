//! Open files, and files by path.

#[cfg(all(test, unix))]
mod tests;

use std::fmt;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use crate::request::{
    FileClose, FileCopy, FileCreate, FileCreatePipe, FileDelete, FileExists, FileFlush,
    FileLastAccessed, FileLastModified, FileLength, FileLengthFromPath, FileLock, FileOpen,
    FilePosition, FileRead, FileReadByte, FileReadInto, FileRename, FileResolveSymbolicLinks,
    FileSetLastAccessed, FileSetLastModified, FileSetPosition, FileTruncate, FileWriteByte,
    FileWriteFrom,
};
use crate::slot::Slot;
use crate::{IoError, IoService, Lease};

/// Bytes that whole files are read in at a time, where their length is not known.
const CHUNK: usize = 1 << 20;

/// What a file is opened for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum OpenMode {
    /// To read what is there.
    Read,
    /// To read and write an empty file, made if need be, emptied if need be.
    Write,
    /// To read, and to write at the end; made if need be.
    Append,
    /// To write an empty file, made if need be, emptied if need be.
    WriteOnly,
    /// To write at the end; made if need be.
    WriteOnlyAppend,
    /// To read and write what is there.
    Update,
    /// As the standard library's options say.
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

/// How a file is locked. The lock is of the whole file, belongs to the open file, and binds only
/// those who lock as well (on Windows, everybody).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum LockMode {
    /// Beside others that are shared; an error if somebody has it exclusively.
    Shared,
    /// Alone; an error if anybody has it.
    Exclusive,
    /// As `Shared`, and waits instead of failing. That takes one of the service's threads.
    BlockingShared,
    /// As `Exclusive`, and waits instead of failing. That takes one of the service's threads.
    BlockingExclusive,
    /// No more.
    Unlock,
}

impl LockMode {
    pub(crate) fn apply(self, file: &fs::File) -> io::Result<()> {
        match self {
            Self::Shared => file.try_lock_shared().map_err(io::Error::from),
            Self::Exclusive => file.try_lock().map_err(io::Error::from),
            Self::BlockingShared => file.lock_shared(),
            Self::BlockingExclusive => file.lock(),
            Self::Unlock => file.unlock(),
        }
    }
}

/// What lies in a file's slot.
#[derive(Debug)]
pub struct OpenFile {
    pub(crate) file: fs::File,
    /// The number and kind of the first flush that failed.
    flush_error: Option<(Option<i32>, io::ErrorKind)>,
}

impl OpenFile {
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if let Some((code, kind)) = self.flush_error {
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
/// Buffers are moved in and out, so that nothing is copied on the way. Clones are handles of one
/// file, with one position. The last one that is dropped closes it, right there; to wait for
/// that elsewhere, and not to block, [`close`](Self::close) it.
///
/// # Errors
/// All operations: [`IoError::Pending`] while another one is under way, [`IoError::Closed`] after
/// the file was closed, and what the operating system says.
///
/// # Cancellation
/// An operation whose future is dropped is carried out all the same, and keeps the file busy.
///
/// ```
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
/// # Ok::<(), insula_io::IoError>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct File {
    slot: Arc<Slot<OpenFile>>,
    service: IoService,
}

impl File {
    /// Opens a file. A named pipe is opened when its other end is.
    ///
    /// # Errors
    /// What the operating system says.
    pub async fn open(path: impl Into<PathBuf>, mode: OpenMode) -> Result<Self, IoError> {
        Self::open_by(IoService::global(), path.into(), mode).await
    }

    /// As [`open`](Self::open), by a service of one's own, which the file's operations use too.
    ///
    /// # Errors
    /// What the operating system says.
    pub async fn open_by(
        service: &IoService,
        path: PathBuf,
        mode: OpenMode,
    ) -> Result<Self, IoError> {
        let file = service.request(FileOpen { path, mode }).await?;
        Ok(Self::from_std(service, file))
    }

    /// Takes over a file that was opened elsewhere.
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

    /// Makes a pipe: an end to read from and one to write to. Reading finds the end when the
    /// writing end is closed, and waits on a thread of the service until then.
    ///
    /// # Errors
    /// What the operating system says.
    pub async fn create_pipe() -> Result<(Self, Self), IoError> {
        let service = IoService::global();
        let (reader, writer) = service.request(FileCreatePipe {}).await?;
        Ok((
            Self::from_std(service, reader),
            Self::from_std(service, writer),
        ))
    }

    /// Takes the right to the file's next operation, for a [`request`](crate::request).
    ///
    /// # Errors
    /// [`IoError::Pending`] and [`IoError::Closed`].
    pub fn lease(&self) -> Result<Lease<OpenFile>, IoError> {
        self.slot.lease()
    }

    /// Closes the file, for all handles.
    ///
    /// # Errors
    /// See [`File`].
    pub async fn close(&self) -> Result<(), IoError> {
        let file = self.lease()?;
        self.service.request(FileClose { file }).await
    }

    /// Reads once into `buffer`, at most as much as its length, and gives it back, in case of an
    /// error too. Zero bytes are the end.
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
        answer.unwrap_or_else(|error| (Err(error), Vec::new()))
    }

    /// Reads once into a new buffer, which is as long as what was read: at most `length` bytes,
    /// none at the end.
    ///
    /// # Errors
    /// See [`File`].
    pub async fn read_new(&self, length: usize) -> Result<Vec<u8>, IoError> {
        let file = self.lease()?;
        self.service.request(FileRead { file, length }).await
    }

    /// Writes all of `buffer`, and gives it back, in case of an error too. The error says how
    /// many bytes were written before it; those are in the file.
    ///
    /// # Errors
    /// See [`File`]. If the service is closed, the buffer is lost.
    pub async fn write_all(&self, buffer: Vec<u8>) -> (Result<(), IoError>, Vec<u8>) {
        let length = buffer.len();
        self.write_part(buffer, 0..length).await
    }

    /// As [`write_all`](Self::write_all), a part of the buffer.
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
        answer.unwrap_or_else(|error| (Err(error), Vec::new()))
    }

    /// Reads one byte; none at the end.
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

    /// Where the file is read and written next, in bytes from its beginning.
    ///
    /// # Errors
    /// See [`File`].
    pub async fn position(&self) -> Result<u64, IoError> {
        let file = self.lease()?;
        self.service.request(FilePosition { file }).await
    }

    /// Moves that place.
    ///
    /// # Errors
    /// See [`File`].
    pub async fn set_position(&self, position: u64) -> Result<(), IoError> {
        let file = self.lease()?;
        self.service
            .request(FileSetPosition { file, position })
            .await
    }

    /// Cuts the file off, or extends it with zeros.
    ///
    /// # Errors
    /// See [`File`].
    pub async fn truncate(&self, length: u64) -> Result<(), IoError> {
        let file = self.lease()?;
        self.service.request(FileTruncate { file, length }).await
    }

    /// The file's length in bytes.
    ///
    /// # Errors
    /// See [`File`].
    pub async fn length(&self) -> Result<u64, IoError> {
        let file = self.lease()?;
        self.service.request(FileLength { file }).await
    }

    /// Waits until everything that was written is on the device. Once it has failed it always
    /// fails: the operating system tells of what it lost only once.
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
    /// See [`File`]; of kind `WouldBlock` if somebody else has the lock.
    pub async fn lock(&self, mode: LockMode) -> Result<(), IoError> {
        let file = self.lease()?;
        self.service.request(FileLock { file, mode }).await
    }
}

/// Files by path, by the global service.
impl File {
    /// Whether there is a file, or a link to one.
    ///
    /// # Errors
    /// What the operating system says, but for that nothing is there.
    pub async fn exists(path: impl Into<PathBuf>) -> Result<bool, IoError> {
        let path = path.into();
        IoService::global().request(FileExists { path }).await
    }

    /// Makes an empty file, unless there is one.
    ///
    /// # Errors
    /// What the operating system says.
    pub async fn create(path: impl Into<PathBuf>) -> Result<(), IoError> {
        let (path, exclusive) = (path.into(), false);
        let request = FileCreate { path, exclusive };
        IoService::global().request(request).await
    }

    /// Makes an empty file where nothing is yet.
    ///
    /// # Errors
    /// What the operating system says; of kind `AlreadyExists` if something is there.
    pub async fn create_new(path: impl Into<PathBuf>) -> Result<(), IoError> {
        let (path, exclusive) = (path.into(), true);
        let request = FileCreate { path, exclusive };
        IoService::global().request(request).await
    }

    /// Deletes a file.
    ///
    /// # Errors
    /// What the operating system says.
    pub async fn delete(path: impl Into<PathBuf>) -> Result<(), IoError> {
        let path = path.into();
        IoService::global().request(FileDelete { path }).await
    }

    /// Renames a file; replaces a file at the new path.
    ///
    /// # Errors
    /// What the operating system says; of kind `IsADirectory` if it is a folder.
    pub async fn rename(from: impl Into<PathBuf>, to: impl Into<PathBuf>) -> Result<(), IoError> {
        let (from, to) = (from.into(), to.into());
        IoService::global().request(FileRename { from, to }).await
    }

    /// Copies a file with its permissions, inside of the operating system where that is
    /// possible. Returns its length in bytes.
    ///
    /// # Errors
    /// What the operating system says.
    pub async fn copy(from: impl Into<PathBuf>, to: impl Into<PathBuf>) -> Result<u64, IoError> {
        let (from, to) = (from.into(), to.into());
        IoService::global().request(FileCopy { from, to }).await
    }

    /// The absolute path without links in it.
    ///
    /// # Errors
    /// What the operating system says.
    pub async fn resolve_links(path: impl Into<PathBuf>) -> Result<PathBuf, IoError> {
        let path = path.into();
        let request = FileResolveSymbolicLinks { path };
        IoService::global().request(request).await
    }

    /// The length of a file in bytes.
    ///
    /// # Errors
    /// What the operating system says.
    pub async fn length_of(path: impl Into<PathBuf>) -> Result<u64, IoError> {
        let path = path.into();
        let request = FileLengthFromPath { path };
        IoService::global().request(request).await
    }

    /// When a file was read last, as far as its file system keeps account of that.
    ///
    /// # Errors
    /// What the operating system says.
    pub async fn last_accessed(path: impl Into<PathBuf>) -> Result<SystemTime, IoError> {
        let path = path.into();
        IoService::global().request(FileLastAccessed { path }).await
    }

    /// Changes when a file was read last.
    ///
    /// # Errors
    /// What the operating system says.
    pub async fn set_last_accessed(
        path: impl Into<PathBuf>,
        time: SystemTime,
    ) -> Result<(), IoError> {
        let path = path.into();
        let request = FileSetLastAccessed { path, time };
        IoService::global().request(request).await
    }

    /// When a file was written last.
    ///
    /// # Errors
    /// What the operating system says.
    pub async fn last_modified(path: impl Into<PathBuf>) -> Result<SystemTime, IoError> {
        let path = path.into();
        IoService::global().request(FileLastModified { path }).await
    }

    /// Changes when a file was written last.
    ///
    /// # Errors
    /// What the operating system says.
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
    /// What the operating system says.
    pub async fn read_all(path: impl Into<PathBuf>) -> Result<Vec<u8>, IoError> {
        let file = Self::open(path, OpenMode::Read).await?;
        // One byte more, so that the end is seen by the first read where the length is right.
        let length = usize::try_from(file.length().await?).unwrap_or(0) + 1;
        let mut all = file.read_new(length).await?;
        loop {
            let more = file.read_new(CHUNK).await?;
            if more.is_empty() {
                file.close().await?;
                return Ok(all);
            }
            all.extend_from_slice(&more);
        }
    }

    /// Writes a whole file, made or replaced.
    ///
    /// # Errors
    /// What the operating system says. Part of it may have been written.
    pub async fn write_whole(path: impl Into<PathBuf>, content: Vec<u8>) -> Result<(), IoError> {
        let file = Self::open(path, OpenMode::WriteOnly).await?;
        file.write_all(content).await.0?;
        file.close().await
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("File(..)")
    }
}
