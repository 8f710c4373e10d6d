//! UDP sockets.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use insula_core::{Direction, Source};
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};

use crate::{IoError, socket};

/// A socket that sends and receives datagrams. Clones are handles to one socket.
///
/// # Ordering
/// A datagram arrives whole or not at all. Datagrams may arrive in another order, or twice.
///
/// # Cancellation
/// Dropping a future loses no datagram.
#[derive(Clone, Debug)]
pub struct UdpSocket(Arc<Source>);

impl UdpSocket {
    /// Creates a socket bound to an address. Port 0 selects a free port.
    ///
    /// # Errors
    /// Returns the operating system's error, or one of kind `Unsupported` on a seeded runtime.
    pub fn bind(address: impl Into<SocketAddr>) -> Result<Self, IoError> {
        let bind = |address: SocketAddr| {
            let domain = Domain::for_address(address);
            let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
            socket.bind(&address.into())?;
            socket::watch(socket)
        };
        let source = bind(address.into());
        let source = source.map_err(|error| IoError::socket("bind a socket", error))?;
        Ok(Self(Arc::new(source)))
    }

    /// Connects the socket to an address: [`send`](Self::send) sends to it, and only datagrams
    /// from it are received.
    ///
    /// # Errors
    /// Returns the operating system's error.
    pub fn connect(&self, address: impl Into<SocketAddr>) -> Result<(), IoError> {
        let address = SockAddr::from(address.into());
        let connected = SockRef::from(&*self.0).connect(&address);
        connected.map_err(|error| IoError::socket("connect", error))
    }

    /// Sends a datagram to an address. Returns the number of bytes sent.
    ///
    /// # Errors
    /// Returns the operating system's error, also if the datagram is too long.
    pub async fn send_to(
        &self,
        bytes: &[u8],
        address: impl Into<SocketAddr>,
    ) -> Result<usize, IoError> {
        let address = SockAddr::from(address.into());
        let sent = socket::send_to(&self.0, bytes, &address).await;
        sent.map_err(|error| IoError::socket("send a datagram", error))
    }

    /// Sends a datagram to the connected address. Returns the number of bytes sent.
    ///
    /// # Errors
    /// Returns the operating system's error.
    pub async fn send(&self, bytes: &[u8]) -> Result<usize, IoError> {
        let sent = socket::send(&self.0, bytes).await;
        sent.map_err(|error| IoError::socket("send a datagram", error))
    }

    /// Receives the next datagram. Returns its length in bytes and the sender's address. Bytes
    /// that do not fit into the buffer are lost.
    ///
    /// # Errors
    /// Returns the operating system's error.
    pub async fn receive_from(&self, buffer: &mut [u8]) -> Result<(usize, SocketAddr), IoError> {
        let attempt = || receive_from(&self.0, buffer);
        let received = self.0.io(Direction::Read, attempt).await;
        received.map_err(|error| IoError::socket("receive a datagram", error))
    }

    /// Receives the next datagram from the connected address. Returns its length in bytes.
    ///
    /// # Errors
    /// Returns the operating system's error.
    pub async fn receive(&self, buffer: &mut [u8]) -> Result<usize, IoError> {
        socket::read(&self.0, buffer).await
    }

    /// Sets whether datagrams may be sent to broadcast addresses.
    ///
    /// # Errors
    /// Returns the operating system's error.
    pub fn set_broadcast(&self, on: bool) -> Result<(), IoError> {
        self.option(|socket| socket.set_broadcast(on))
    }

    /// Joins a multicast group: of IPv4 on any interface, of IPv6 on the one with the index
    /// `interface`.
    ///
    /// # Errors
    /// Returns the operating system's error.
    pub fn join_multicast(&self, group: IpAddr, interface: u32) -> Result<(), IoError> {
        self.option(|socket| match group {
            IpAddr::V4(group) => socket.join_multicast_v4(&group, &Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(group) => socket.join_multicast_v6(&group, interface),
        })
    }

    /// Leaves a multicast group.
    ///
    /// # Errors
    /// Returns the operating system's error.
    pub fn leave_multicast(&self, group: IpAddr, interface: u32) -> Result<(), IoError> {
        self.option(|socket| match group {
            IpAddr::V4(group) => socket.leave_multicast_v4(&group, &Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(group) => socket.leave_multicast_v6(&group, interface),
        })
    }

    /// Returns the local address.
    ///
    /// # Errors
    /// Returns the operating system's error.
    pub fn local_address(&self) -> Result<SocketAddr, IoError> {
        socket::address_of(SockRef::from(&*self.0).local_addr())
    }

    fn option(&self, set: impl FnOnce(&Socket) -> io::Result<()>) -> Result<(), IoError> {
        let set = set(&SockRef::from(&*self.0));
        set.map_err(|error| IoError::socket("set an option", error))
    }
}

#[cfg(unix)]
fn receive_from(source: &Source, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
    use rustix::net::{RecvFlags, recvfrom};
    // Not socket2's method, which receives into uninitialized memory and would need `unsafe` here.
    let (_, count, address) = recvfrom(source, buffer, RecvFlags::empty())?;
    let address = address.map(SocketAddr::try_from).transpose()?;
    let unknown = || io::Error::from(io::ErrorKind::Unsupported);
    Ok((count, address.ok_or_else(unknown)?))
}

/// Uses a second handle to the socket: only the standard library receives here without `unsafe`.
#[cfg(windows)]
fn receive_from(source: &Source, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
    let socket: std::net::UdpSocket = SockRef::from(source).try_clone()?.into();
    socket.recv_from(buffer)
}
