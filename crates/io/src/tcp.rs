//! TCP listeners and connections.

use std::io;
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::sync::Arc;

use insula_core::Source;
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};

use crate::acceptor::Acceptor;
use crate::{Family, IoError, lookup, socket};

/// The number of connections that may wait to be accepted. The operating system may limit it
/// further.
const BACKLOG: i32 = 1024;

/// A TCP socket that accepts connections.
///
/// # Errors
/// [`accept`](Self::accept) reports a lack of descriptors or memory, and may be called again. It
/// then pauses first, longer each time, so that a loop does not spin. Connections wait meanwhile;
/// if the lack lasts, some are closed unserved, so that their peers do not wait in vain.
///
/// # Cancellation
/// Dropping the future of `accept` loses no connection.
#[derive(Clone, Debug)]
pub struct TcpListener(Arc<Acceptor>);

impl TcpListener {
    /// Listens at an address. Port 0 selects a free port.
    ///
    /// # Errors
    /// Returns the operating system's error, or one of kind `Unsupported` on a seeded runtime.
    pub fn bind(address: impl Into<SocketAddr>) -> Result<Self, IoError> {
        let bind = |address: SocketAddr| {
            let socket = new_socket(address)?;
            // On Unix, lets a restarted program bind while old connections linger. On Windows it
            // would let other programs take over the address.
            #[cfg(unix)]
            socket.set_reuse_address(true)?;
            socket.bind(&address.into())?;
            socket.listen(BACKLOG)?;
            Acceptor::new(socket)
        };
        let acceptor = bind(address.into()).map_err(|error| IoError::socket("listen", error))?;
        Ok(Self(Arc::new(acceptor)))
    }

    /// Accepts the next connection, and returns it with the peer's address.
    ///
    /// # Errors
    /// Returns the operating system's error. The listener stays usable.
    pub async fn accept(&self) -> Result<(TcpStream, SocketAddr), IoError> {
        let (source, peer) = self.0.accept().await?;
        let peer = socket::address_of(Ok(peer))?;
        Ok((TcpStream(Arc::new(source)), peer))
    }

    /// Returns the address at which the socket listens.
    ///
    /// # Errors
    /// Returns the operating system's error.
    pub fn local_address(&self) -> Result<SocketAddr, IoError> {
        socket::address_of(SockRef::from(self.0.source()).local_addr())
    }
}

/// A TCP connection. Clones are handles to one connection, so that one task may read while
/// another one writes. Dropping the last handle closes it.
///
/// # Ordering
/// Only one task at a time should read: each of several readers gets some of the bytes.
///
/// # Cancellation
/// Dropping the future of `read` or `write` loses no bytes. The future of `read_exact` or
/// `write_all` may have read or written some when it is dropped.
#[derive(Clone, Debug)]
pub struct TcpStream(Arc<Source>);

impl TcpStream {
    /// Connects to an address.
    ///
    /// # Errors
    /// Returns the operating system's error, or one of kind `Unsupported` on a seeded runtime.
    pub async fn connect(address: impl Into<SocketAddr>) -> Result<Self, IoError> {
        let address = address.into();
        let failed = |error| IoError::socket("connect", error);
        let socket = new_socket(address).map_err(failed)?;
        let source = socket::connect(socket, &SockAddr::from(address)).await;
        Ok(Self(Arc::new(source.map_err(failed)?)))
    }

    /// Looks up a host and connects to the first of its addresses that answers.
    ///
    /// # Errors
    /// Returns the error of the look-up, or that of the last attempt.
    pub async fn connect_host(host: &str, port: u16) -> Result<Self, IoError> {
        let addresses: Vec<IpAddr> = lookup(host, Family::Any).await?;
        // Only until the first attempt: a look-up returns one address at least.
        let mut last = IoError::socket("connect", io::ErrorKind::NotFound.into());
        // One after the other. To race all of them finds the fastest sooner, but opens connections
        // that the servers have to accept and that are closed unused.
        for address in addresses {
            match Self::connect((address, port)).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Takes over a connection that the standard library made.
    ///
    /// # Errors
    /// Returns the operating system's error, or one of kind `Unsupported` on a seeded runtime.
    pub fn from_std(stream: std::net::TcpStream) -> Result<Self, IoError> {
        let source = socket::watch(stream.into());
        let source = source.map_err(|error| IoError::socket("watch a connection", error))?;
        Ok(Self(Arc::new(source)))
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

    /// Sets whether small packets are sent at once (`TCP_NODELAY`) rather than gathered.
    ///
    /// # Errors
    /// Returns the operating system's error.
    pub fn set_no_delay(&self, on: bool) -> Result<(), IoError> {
        let set = SockRef::from(&*self.0).set_tcp_nodelay(on);
        set.map_err(|error| IoError::socket("set an option", error))
    }

    /// Returns the local address.
    ///
    /// # Errors
    /// Returns the operating system's error.
    pub fn local_address(&self) -> Result<SocketAddr, IoError> {
        socket::address_of(SockRef::from(&*self.0).local_addr())
    }

    /// Returns the peer's address.
    ///
    /// # Errors
    /// Returns the operating system's error.
    pub fn peer_address(&self) -> Result<SocketAddr, IoError> {
        socket::address_of(SockRef::from(&*self.0).peer_addr())
    }
}

impl TryFrom<std::net::TcpStream> for TcpStream {
    type Error = IoError;

    /// As [`from_std`](Self::from_std).
    fn try_from(stream: std::net::TcpStream) -> Result<Self, IoError> {
        Self::from_std(stream)
    }
}

fn new_socket(address: SocketAddr) -> io::Result<Socket> {
    Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )
}
