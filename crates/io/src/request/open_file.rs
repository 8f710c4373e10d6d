//! Requests for open files.

use std::fs;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;

use super::request;
use crate::file::{LockMode, OpenFile};
use crate::{IoError, IoOp, Lease};

fn of<T>(op: IoOp, result: io::Result<T>) -> Result<T, IoError> {
    result.map_err(|error| IoError::of(op, error))
}

request! {
    /// Closes a file. Later operations fail with [`IoError::Closed`].
    FileClose {
        /// The file.
        file: Lease<OpenFile>,
    } -> ();
    |it| {
        // Dropped here, on a thread of the service: closing may block.
        drop(it.file.close());
        Ok(())
    }
}

request! {
    /// Returns the position of the next read or write, in bytes from the beginning.
    FilePosition {
        /// The file.
        file: Lease<OpenFile>,
    } -> u64;
    |mut it| of(IoOp::FilePosition, it.file.file.stream_position())
}

request! {
    /// Sets the position of the next read or write. It may be beyond the end.
    FileSetPosition {
        /// The file.
        file: Lease<OpenFile>,
        /// The position in bytes from the beginning.
        position: u64,
    } -> ();
    |mut it| {
        let position = SeekFrom::Start(it.position);
        of(IoOp::FileSetPosition, it.file.file.seek(position).map(drop))
    }
}

request! {
    /// Sets the length of a file: cuts it off, or extends it with zeros.
    FileTruncate {
        /// The file.
        file: Lease<OpenFile>,
        /// The new length in bytes.
        length: u64,
    } -> ();
    |it| of(IoOp::FileTruncate, it.file.file.set_len(it.length))
}

request! {
    /// Returns the length of a file in bytes.
    FileLength {
        /// The file.
        file: Lease<OpenFile>,
    } -> u64;
    |it| of(IoOp::FileLength, it.file.file.metadata().map(|metadata| metadata.len()))
}

request! {
    /// Waits until all written bytes are on the device. Once it has failed, it fails always:
    /// written bytes may be lost, and the operating system reports that only once.
    FileFlush {
        /// The file.
        file: Lease<OpenFile>,
    } -> ();
    |mut it| of(IoOp::FileFlush, it.file.flush())
}

request! {
    /// Reads one byte. Returns `None` at the end.
    FileReadByte {
        /// The file.
        file: Lease<OpenFile>,
    } -> Option<u8>;
    |mut it| {
        let mut byte = [0];
        let count = read(IoOp::FileReadByte, &mut it.file.file, &mut byte)?;
        Ok((count == 1).then_some(byte[0]))
    }
}

request! {
    /// Writes one byte.
    FileWriteByte {
        /// The file.
        file: Lease<OpenFile>,
        /// The byte.
        byte: u8,
    } -> ();
    |mut it| write_all(IoOp::FileWriteByte, &mut it.file.file, &[it.byte])
}

request! {
    /// Reads once into a new buffer, which is empty at the end of the file.
    FileRead {
        /// The file.
        file: Lease<OpenFile>,
        /// The most bytes to read.
        length: usize,
    } -> Vec<u8>;
    |mut it| {
        let mut buffer = Vec::new();
        // A request for more than there is fails, and does not abort the process.
        let reserved = buffer.try_reserve_exact(it.length);
        of(IoOp::FileRead, reserved.map_err(|_| io::ErrorKind::OutOfMemory.into()))?;
        of(IoOp::FileRead, read_new(&mut it.file.file, &mut buffer, it.length))?;
        Ok(buffer)
    }
}

request! {
    /// Reads once into the caller's buffer, which is returned also with an error.
    FileReadInto {
        /// The file.
        file: Lease<OpenFile>,
        /// The buffer.
        buffer: Vec<u8>,
        /// The part of the buffer to read into.
        range: Range<usize>,
    } -> (Result<usize, IoError>, Vec<u8>);
    |mut it| {
        // Not indexed: a wrong range must not panic on a thread of the service.
        let count = match it.buffer.get_mut(it.range) {
            Some(part) => read(IoOp::FileReadInto, &mut it.file.file, part),
            None => Err(out_of_range(IoOp::FileReadInto)),
        };
        Ok((count, it.buffer))
    }
}

request! {
    /// Writes all bytes of a part of a buffer. An error has the number of bytes written before
    /// it. The buffer is returned in any case.
    FileWriteFrom {
        /// The file.
        file: Lease<OpenFile>,
        /// The buffer.
        buffer: Vec<u8>,
        /// The part of the buffer to write.
        range: Range<usize>,
    } -> (Result<(), IoError>, Vec<u8>);
    |mut it| {
        // As in `FileReadInto`.
        let result = match it.buffer.get(it.range) {
            Some(part) => write_all(IoOp::FileWriteFrom, &mut it.file.file, part),
            None => Err(out_of_range(IoOp::FileWriteFrom)),
        };
        Ok((result, it.buffer))
    }
}

request! {
    /// Locks or unlocks a file.
    FileLock {
        /// The file.
        file: Lease<OpenFile>,
        /// The mode of the lock.
        mode: LockMode,
    } -> ();
    |it| of(IoOp::FileLock, it.mode.apply(&it.file.file))
}

request! {
    /// Creates a pipe, and returns its reading end and its writing end.
    FileCreatePipe {} -> (fs::File, fs::File);
    |_| of(IoOp::FileCreatePipe, create_pipe())
}

fn read(op: IoOp, file: &mut fs::File, buffer: &mut [u8]) -> Result<usize, IoError> {
    loop {
        // `read` of std does not repeat an interrupted call.
        match file.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return of(op, result),
        }
    }
}

/// Reads into spare capacity, so that the buffer need not be zeroed first.
#[cfg(unix)]
fn read_new(file: &mut fs::File, buffer: &mut Vec<u8>, _: usize) -> io::Result<()> {
    loop {
        match rustix::io::read(&*file, rustix::buffer::spare_capacity(buffer)) {
            Err(rustix::io::Errno::INTR) => {}
            result => return Ok(result.map(drop)?),
        }
    }
}

#[cfg(windows)]
fn read_new(file: &mut fs::File, buffer: &mut Vec<u8>, length: usize) -> io::Result<()> {
    // Zeroed: std reads only into initialized memory.
    buffer.resize(length, 0);
    // Not repeated as on Unix: no signal interrupts a call on Windows.
    let count = file.read(buffer)?;
    buffer.truncate(count);
    Ok(())
}

/// Writes all bytes, however few the operating system accepts at a time.
fn write_all(op: IoOp, file: &mut fs::File, bytes: &[u8]) -> Result<(), IoError> {
    let mut written = 0;
    while written < bytes.len() {
        let error = match file.write(&bytes[written..]) {
            // Otherwise this would loop for ever.
            Ok(0) => io::ErrorKind::WriteZero.into(),
            Ok(count) => {
                written += count;
                continue;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => error,
        };
        return Err(IoError::after(op, written, error));
    }
    Ok(())
}

fn out_of_range(op: IoOp) -> IoError {
    let what = "the range is not inside of the buffer";
    IoError::of(op, io::Error::new(io::ErrorKind::InvalidInput, what))
}

#[cfg(unix)]
fn create_pipe() -> io::Result<(fs::File, fs::File)> {
    use std::os::fd::OwnedFd;
    let (reader, writer) = io::pipe()?;
    Ok((OwnedFd::from(reader).into(), OwnedFd::from(writer).into()))
}

#[cfg(windows)]
fn create_pipe() -> io::Result<(fs::File, fs::File)> {
    use std::os::windows::io::OwnedHandle;
    let (reader, writer) = io::pipe()?;
    Ok((
        OwnedHandle::from(reader).into(),
        OwnedHandle::from(writer).into(),
    ))
}
