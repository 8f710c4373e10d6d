//! Requests about open files.

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
    /// Closes a file. Later operations find it closed.
    FileClose {
        /// Which.
        file: Lease<OpenFile>,
    } -> ();
    |it| {
        drop(it.file.close());
        Ok(())
    }
}

request! {
    /// Where the file is read and written next, in bytes from its beginning.
    FilePosition {
        /// Which.
        file: Lease<OpenFile>,
    } -> u64;
    |mut it| of(IoOp::FilePosition, it.file.file.stream_position())
}

request! {
    /// Moves that place. It may lie beyond the end.
    FileSetPosition {
        /// Which.
        file: Lease<OpenFile>,
        /// Bytes from the beginning.
        position: u64,
    } -> ();
    |mut it| {
        let position = SeekFrom::Start(it.position);
        of(IoOp::FileSetPosition, it.file.file.seek(position).map(drop))
    }
}

request! {
    /// Cuts a file off, or extends it with zeros.
    FileTruncate {
        /// Which.
        file: Lease<OpenFile>,
        /// Its length from now on, in bytes.
        length: u64,
    } -> ();
    |it| of(IoOp::FileTruncate, it.file.file.set_len(it.length))
}

request! {
    /// The length of a file in bytes.
    FileLength {
        /// Which.
        file: Lease<OpenFile>,
    } -> u64;
    |it| of(IoOp::FileLength, it.file.file.metadata().map(|metadata| metadata.len()))
}

request! {
    /// Waits until everything that was written is on the device. After it has failed once it
    /// fails always: what had been written since may be lost, and the operating system says so
    /// only once.
    FileFlush {
        /// Which.
        file: Lease<OpenFile>,
    } -> ();
    |mut it| of(IoOp::FileFlush, it.file.flush())
}

request! {
    /// Reads one byte; none at the end.
    FileReadByte {
        /// Which.
        file: Lease<OpenFile>,
    } -> Option<u8>;
    |mut it| {
        let mut byte = [0];
        let count = read(&mut it.file.file, &mut byte)?;
        Ok((count == 1).then_some(byte[0]))
    }
}

request! {
    /// Writes one byte.
    FileWriteByte {
        /// Which.
        file: Lease<OpenFile>,
        /// What.
        byte: u8,
    } -> ();
    |mut it| write_all(&mut it.file.file, &[it.byte])
}

request! {
    /// Reads once, into a buffer of its own. Empty at the end of the file.
    FileRead {
        /// Which.
        file: Lease<OpenFile>,
        /// Bytes at most.
        length: usize,
    } -> Vec<u8>;
    |mut it| {
        let mut buffer = Vec::new();
        let reserved = buffer.try_reserve_exact(it.length);
        of(IoOp::FileRead, reserved.map_err(|_| io::ErrorKind::OutOfMemory.into()))?;
        of(IoOp::FileRead, read_new(&mut it.file.file, &mut buffer, it.length))?;
        Ok(buffer)
    }
}

request! {
    /// Reads once, into the caller's buffer, which comes back also with an error.
    FileReadInto {
        /// Which.
        file: Lease<OpenFile>,
        /// Where to.
        buffer: Vec<u8>,
        /// Which part of it.
        range: Range<usize>,
    } -> (Result<usize, IoError>, Vec<u8>);
    |mut it| {
        let count = match it.buffer.get_mut(it.range) {
            Some(part) => read(&mut it.file.file, part),
            None => Err(out_of_range(IoOp::FileReadInto)),
        };
        Ok((count, it.buffer))
    }
}

request! {
    /// Writes a part of a buffer, all of it. An error says how many bytes were written before.
    /// The buffer comes back in any case.
    FileWriteFrom {
        /// Which.
        file: Lease<OpenFile>,
        /// Where from.
        buffer: Vec<u8>,
        /// Which part of it.
        range: Range<usize>,
    } -> (Result<(), IoError>, Vec<u8>);
    |mut it| {
        let result = match it.buffer.get(it.range) {
            Some(part) => write_all(&mut it.file.file, part),
            None => Err(out_of_range(IoOp::FileWriteFrom)),
        };
        Ok((result, it.buffer))
    }
}

request! {
    /// Locks or unlocks a file.
    FileLock {
        /// Which.
        file: Lease<OpenFile>,
        /// How.
        mode: LockMode,
    } -> ();
    |it| of(IoOp::FileLock, it.mode.apply(&it.file.file))
}

request! {
    /// Makes a pipe: an end to read from and one to write to.
    FileCreatePipe {} -> (fs::File, fs::File);
    |_| of(IoOp::FileCreatePipe, create_pipe())
}

fn read(file: &mut fs::File, buffer: &mut [u8]) -> Result<usize, IoError> {
    loop {
        match file.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return of(IoOp::FileRead, result),
        }
    }
}

/// Reads into memory that need not be zeroed first.
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
    buffer.resize(length, 0);
    let count = file.read(buffer)?;
    buffer.truncate(count);
    Ok(())
}

/// Writes everything, however little the operating system takes at a time.
fn write_all(file: &mut fs::File, bytes: &[u8]) -> Result<(), IoError> {
    let mut written = 0;
    while written < bytes.len() {
        let error = match file.write(&bytes[written..]) {
            Ok(0) => io::ErrorKind::WriteZero.into(),
            Ok(count) => {
                written += count;
                continue;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => error,
        };
        return Err(IoError::after(IoOp::FileWriteFrom, written, error));
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
