//! Listening sockets that keep working when the process has no descriptor left.

use std::io;
use std::time::Duration;

use insula_core::{Direction, Source, sleep};
use insula_sync::Mutex;
use socket2::{SockAddr, SockRef, Socket};

use crate::{IoError, socket};

/// The first pause after an `accept` that failed for lack of resources. Each further pause is
/// twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(5);

/// The longest pause. Once it is reached, the lack counts as lasting.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// A socket that accepts connections.
///
/// # Lack of descriptors
/// When `accept` fails for lack of descriptors or memory, it returns the error, and the next
/// `accept` pauses first, longer each time. So a loop of it does not spin while connections wait,
/// and they are served once resources are free again. While the lack lasts, each `accept` takes
/// one waiting connection with a descriptor held in reserve and closes it at once, so that its
/// peer does not wait in vain.
#[derive(Debug)]
pub(crate) struct Acceptor {
    source: Source,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Zero unless the last `accept` failed for lack of resources.
    pause: Duration,
    reserve: Option<Reserve>,
}

/// A descriptor that is held only to be released when one is needed.
#[derive(Debug)]
struct Reserve {
    _descriptor: Socket,
}

impl Reserve {
    fn take() -> Option<Self> {
        // Any descriptor would do. A datagram socket exists on every platform, and needs neither a
        // path nor a port.
        let socket = Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None);
        socket.ok().map(|_descriptor| Self { _descriptor })
    }
}

impl Acceptor {
    /// Takes over a listening socket.
    pub(crate) fn new(socket: Socket) -> io::Result<Self> {
        let source = socket::watch(socket)?;
        // The reserve is taken now, while there are descriptors.
        let state = State {
            pause: Duration::ZERO,
            reserve: Reserve::take(),
        };
        Ok(Self {
            source,
            state: Mutex::new(state),
        })
    }

    pub(crate) fn source(&self) -> &Source {
        &self.source
    }

    pub(crate) async fn accept(&self) -> Result<(Source, SockAddr), IoError> {
        self.accept_connection()
            .await
            .map_err(|error| IoError::socket("accept a connection", error))
    }

    async fn accept_connection(&self) -> io::Result<(Source, SockAddr)> {
        // Copied, so that the lock is not held across the await.
        let pause = self.state.lock().pause;
        // Before this attempt and not after the one that failed, so that its caller got the error
        // at once.
        if !pause.is_zero() {
            sleep(pause).await;
        }
        let attempt = || match SockRef::from(&self.source).accept() {
            // The peer is gone before its connection was accepted. `Interrupted` makes `io` try
            // again at once, with the next connection.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {
                Err(io::ErrorKind::Interrupted.into())
            }
            result => result,
        };
        let accepted = self.source.io(Direction::Read, attempt).await;
        // Watching the new socket may fail for lack of resources too.
        let watched = accepted.and_then(|(socket, peer)| Ok((socket::watch(socket)?, peer)));
        match &watched {
            Err(error) if is_lack(error) => self.make_do(),
            // Any other outcome, an error too, shows that the lack is over.
            _ => self.recover(),
        }
        watched
    }

    /// Lengthens the pause, and closes a waiting connection if the lack lasts.
    fn make_do(&self) {
        let mut state = self.state.lock();
        let lasts = state.pause >= LONGEST_PAUSE;
        // From zero, the clamp makes it the first pause.
        state.pause = (state.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        if lasts && let Some(reserve) = state.reserve.take() {
            // Under the lock, so that no other task refills the reserve with the freed
            // descriptor.
            drop(reserve);
            // Accepted and closed. An error only means that no connection waits any more.
            drop(SockRef::from(&self.source).accept());
            state.reserve = Reserve::take();
        }
    }

    /// Ends the pauses, and refills the reserve.
    fn recover(&self) {
        let mut state = self.state.lock();
        if !state.pause.is_zero() {
            state.pause = Duration::ZERO;
            if state.reserve.is_none() {
                state.reserve = Reserve::take();
            }
        }
    }
}

/// Returns whether the process or the system has run out of a resource, so that the error does
/// not concern the connection.
#[cfg(unix)]
fn is_lack(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let code = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(
        code,
        // `NOSPC` is epoll's, at the limit on the descriptors that one user may watch.
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM | Errno::NOSPC)
    )
}

#[cfg(windows)]
fn is_lack(error: &io::Error) -> bool {
    /// `WSAEMFILE`, `WSAENOBUFS`.
    const CODES: [i32; 2] = [10024, 10055];
    error
        .raw_os_error()
        .is_some_and(|code| CODES.contains(&code))
}

#[cfg(test)]
mod tests;
