//! The reads, writes and connects that all sockets share.

use std::io::{self, Read};
use std::net::{Shutdown, SocketAddr};

use insula_core::{Direction, Source};
use socket2::{SockAddr, SockRef, Socket};

use crate::IoError;

/// Makes writing to a connection that the peer has closed an error and no signal, whatever the
/// process does about signals. Apple's systems have an option of the socket for this, which is
/// set where sockets are made.
#[cfg(all(unix, not(target_vendor = "apple")))]
const SEND_FLAGS: i32 = rustix::net::SendFlags::NOSIGNAL.bits() as i32;
#[cfg(not(all(unix, not(target_vendor = "apple"))))]
const SEND_FLAGS: i32 = 0;

/// Registers a socket with the runtime, to be watched for readiness.
pub(crate) fn watch(socket: Socket) -> io::Result<Source> {
    socket.set_nonblocking(true)?;
    Source::new(socket)
}

pub(crate) async fn read(source: &Source, buffer: &mut [u8]) -> Result<usize, IoError> {
    let attempt = || (&*SockRef::from(source)).read(buffer);
    let result = source.io(Direction::Read, attempt).await;
    result.map_err(|error| IoError::socket("read from a socket", error))
}

pub(crate) async fn read_exact(source: &Source, buffer: &mut [u8]) -> Result<(), IoError> {
    let mut count = 0;
    while count < buffer.len() {
        let attempt = || (&*SockRef::from(source)).read(&mut buffer[count..]);
        let error = match source.io(Direction::Read, attempt).await {
            Ok(0) => io::ErrorKind::UnexpectedEof.into(),
            Ok(more) => {
                count += more;
                continue;
            }
            Err(error) => error,
        };
        return Err(IoError::socket_after("read from a socket", count, error));
    }
    Ok(())
}

pub(crate) async fn write(source: &Source, bytes: &[u8]) -> Result<usize, IoError> {
    let result = send(source, bytes).await;
    result.map_err(|error| IoError::socket("write to a socket", error))
}

pub(crate) async fn write_all(source: &Source, bytes: &[u8]) -> Result<(), IoError> {
    let mut written = 0;
    while written < bytes.len() {
        let error = match send(source, &bytes[written..]).await {
            // Otherwise this would loop for ever.
            Ok(0) => io::ErrorKind::WriteZero.into(),
            Ok(count) => {
                written += count;
                continue;
            }
            Err(error) => error,
        };
        return Err(IoError::socket_after("write to a socket", written, error));
    }
    Ok(())
}

pub(crate) async fn send(source: &Source, bytes: &[u8]) -> io::Result<usize> {
    let attempt = || SockRef::from(source).send_with_flags(bytes, SEND_FLAGS);
    source.io(Direction::Write, attempt).await
}

pub(crate) async fn send_to(
    source: &Source,
    bytes: &[u8],
    address: &SockAddr,
) -> io::Result<usize> {
    let attempt = || SockRef::from(source).send_to_with_flags(bytes, address, SEND_FLAGS);
    source.io(Direction::Write, attempt).await
}

pub(crate) fn shut_down(source: &Source, how: Shutdown) -> Result<(), IoError> {
    match SockRef::from(source).shutdown(how) {
        // The peer has closed the connection already.
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
        result => result.map_err(|error| IoError::socket("shut a socket down", error)),
    }
}

/// Connects a socket, and waits until it is connected.
pub(crate) async fn connect(socket: Socket, address: &SockAddr) -> io::Result<Source> {
    let source = watch(socket)?;
    let mut begun = false;
    let attempt = || {
        let socket = SockRef::from(&source);
        // Only once. `io` repeats the attempt after each readiness, and a second `connect` would
        // return an error of its own.
        if !std::mem::replace(&mut begun, true) {
            match socket.connect(address) {
                Ok(()) => return Ok(()),
                // Asks for the outcome at once, since it may be known by now.
                Err(error) if is_under_way(&error) => {}
                Err(error) => return Err(error),
            }
        }
        // A failed connect makes the socket ready too, so the error is looked at first.
        if let Some(error) = socket.take_error()? {
            return Err(error);
        }
        match socket.peer_addr() {
            Ok(_) => Ok(()),
            // Neither an error nor a peer: the connection is still under way.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => {
                Err(io::ErrorKind::WouldBlock.into())
            }
            Err(error) => Err(error),
        }
    };
    source.io(Direction::Write, attempt).await?;
    Ok(source)
}

/// Returns whether a `connect` is under way rather than failed. An interrupted one is: it
/// continues in the background.
fn is_under_way(error: &io::Error) -> bool {
    #[cfg(unix)]
    let in_progress = error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error());
    #[cfg(windows)]
    let in_progress = false;
    in_progress
        || matches!(
            error.kind(),
            io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
        )
}

pub(crate) fn address_of(found: io::Result<SockAddr>) -> Result<SocketAddr, IoError> {
    let unknown = || io::Error::from(io::ErrorKind::Unsupported);
    found
        .and_then(|address| address.as_socket().ok_or_else(unknown))
        .map_err(|error| IoError::socket("tell an address", error))
}
