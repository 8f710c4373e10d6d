//! The stream below a connection, with a deadline for each read and write.

use std::io::{self, Read, Write};
use std::net::TcpStream;
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use super::address::{Address, Place};
use super::error::ClientError;
use crate::streams::{either, uninterrupted};

/// A stream to a server on this machine.
///
/// A time-out of the operating system would begin anew with each byte, so what is left until the
/// deadline is set before each operation.
#[derive(Debug)]
pub(super) struct Transport {
    stream: Stream,
    deadline: Option<Instant>,
}

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

impl Transport {
    /// # Errors
    /// Returns an error if nothing listens at the address.
    pub(super) fn connect(address: &Address, timeout: Duration) -> Result<Self, ClientError> {
        let stream = match address.place() {
            Place::Local { .. } | Place::Tcp(_) => tcp(address, timeout),
            Place::Unix(path) => unix(path),
        };
        let stream = stream.map_err(|source| match source.kind() {
            io::ErrorKind::TimedOut => ClientError::TimedOut { after: timeout },
            _ => ClientError::Unreachable {
                place: address.to_string(),
                source,
            },
        })?;
        Ok(Self {
            stream,
            deadline: None,
        })
    }

    /// Makes the stream of a connection. For a fuzz target.
    #[cfg(all(fuzzing, unix))]
    pub(super) fn over(stream: UnixStream) -> Self {
        Self {
            stream: Stream::Unix(stream),
            deadline: None,
        }
    }

    /// Sets the instant after which reads and writes fail. `None` is no limit.
    pub(super) fn set_deadline(&mut self, deadline: Option<Instant>) {
        self.deadline = deadline;
    }

    /// Returns the time that is left, which is never zero: the operating system takes that for no
    /// limit.
    fn time_left(&self) -> io::Result<Option<Duration>> {
        let Some(deadline) = self.deadline else {
            return Ok(None);
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(Some(left.max(Duration::from_millis(1))))
    }
}

fn tcp(address: &Address, timeout: Duration) -> io::Result<Stream> {
    let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for candidate in address.place().candidates() {
        match TcpStream::connect_timeout(&candidate, timeout.max(Duration::from_millis(1))) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(Stream::Tcp(stream));
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

#[cfg(unix)]
fn unix(path: &std::path::Path) -> io::Result<Stream> {
    UnixStream::connect(path).map(Stream::Unix)
}

#[cfg(not(unix))]
fn unix(_: &std::path::Path) -> io::Result<Stream> {
    Err(io::ErrorKind::Unsupported.into())
}

impl Read for Transport {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        uninterrupted(|| {
            let left = self.time_left()?;
            either!(&mut self.stream, stream => {
                stream.set_read_timeout(left)?;
                stream.read(bytes)
            })
        })
    }
}

impl Write for Transport {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        uninterrupted(|| {
            let left = self.time_left()?;
            either!(&mut self.stream, stream => {
                stream.set_write_timeout(left)?;
                stream.write(bytes)
            })
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        either!(&mut self.stream, stream => stream.flush())
    }
}
