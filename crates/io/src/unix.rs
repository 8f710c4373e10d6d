//! Unix domain sockets.

use std::net::Shutdown;
use std::path::Path;
use std::sync::Arc;

use insula_core::Source;
use socket2::{Domain, SockAddr, Socket, Type};

use crate::acceptor::Acceptor;
use crate::{IoError, socket};

/// The number of connections that may wait to be accepted. The operating system may limit it
/// further.
const BACKLOG: i32 = 1024;

/// A socket that accepts connections at a path. Errors and cancellation are as for
/// [`TcpListener`](crate::TcpListener).
#[derive(Clone, Debug)]
pub struct UnixListener(Arc<Acceptor>);

impl UnixListener {
    /// Listens at a path, where nothing may exist yet. The path is not deleted automatically.
    ///
    /// # Errors
    /// Returns the operating system's error, or one of kind `Unsupported` on a seeded runtime.
    pub fn bind(path: impl AsRef<Path>) -> Result<Self, IoError> {
        let bind = |path: &Path| {
            let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
            socket.bind(&SockAddr::unix(path)?)?;
            socket.listen(BACKLOG)?;
            Acceptor::new(socket)
        };
        let acceptor = bind(path.as_ref()).map_err(|error| IoError::socket("listen", error))?;
        Ok(Self(Arc::new(acceptor)))
    }

    /// Accepts the next connection.
    ///
    /// # Errors
    /// Returns the operating system's error. The listener stays usable.
    pub async fn accept(&self) -> Result<UnixStream, IoError> {
        let (source, _) = self.0.accept().await?;
        Ok(UnixStream(Arc::new(source)))
    }
}

/// A connection inside of this machine. Clones, ordering and cancellation are as for
/// [`TcpStream`](crate::TcpStream).
#[derive(Clone, Debug)]
pub struct UnixStream(Arc<Source>);

impl UnixStream {
    /// Connects to the listener at a path.
    ///
    /// # Errors
    /// Returns the operating system's error, or one of kind `Unsupported` on a seeded runtime.
    pub async fn connect(path: impl AsRef<Path>) -> Result<Self, IoError> {
        let failed = |error| IoError::socket("connect", error);
        let address = SockAddr::unix(path.as_ref()).map_err(failed)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(failed)?;
        let source = socket::connect(socket, &address).await.map_err(failed)?;
        Ok(Self(Arc::new(source)))
    }

    /// Creates a connection and returns its two ends.
    ///
    /// # Errors
    /// Returns the operating system's error, or one of kind `Unsupported` on a seeded runtime.
    pub fn pair() -> Result<(Self, Self), IoError> {
        let failed = |error| IoError::socket("make a pair of sockets", error);
        let (one, other) = Socket::pair(Domain::UNIX, Type::STREAM, None).map_err(failed)?;
        let one = socket::watch(one).map_err(failed)?;
        let other = socket::watch(other).map_err(failed)?;
        Ok((Self(Arc::new(one)), Self(Arc::new(other))))
    }

    /// Reads the bytes that have arrived, at least one. Returns their number, 0 at the end.
    ///
    /// # Errors
    /// Returns the operating system's error.
    pub async fn read(&self, buffer: &mut [u8]) -> Result<usize, IoError> {
        socket::read(&self.0, buffer).await
    }

    /// Reads until the buffer is full.
    ///
    /// # Errors
    /// Returns the operating system's error, with the number of bytes read before it; of kind
    /// `UnexpectedEof` if the connection ends first.
    pub async fn read_exact(&self, buffer: &mut [u8]) -> Result<(), IoError> {
        socket::read_exact(&self.0, buffer).await
    }

    /// Writes as many bytes as there is room for, at least one. Returns their number.
    ///
    /// # Errors
    /// Returns the operating system's error, of kind `BrokenPipe` if the peer is gone.
    pub async fn write(&self, bytes: &[u8]) -> Result<usize, IoError> {
        socket::write(&self.0, bytes).await
    }

    /// Writes all bytes, and waits for room as needed.
    ///
    /// # Errors
    /// Returns the operating system's error, with the number of bytes written before it.
    pub async fn write_all(&self, bytes: &[u8]) -> Result<(), IoError> {
        socket::write_all(&self.0, bytes).await
    }

    /// Shuts down one direction or both. A read or write that waits there ends.
    ///
    /// # Errors
    /// Returns the operating system's error.
    pub fn shut_down(&self, how: Shutdown) -> Result<(), IoError> {
        socket::shut_down(&self.0, how)
    }
}
