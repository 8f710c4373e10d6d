//! Files, directories, sockets and look-ups for isolates.
//!
//! # Two ways
//! Operations that block in the operating system, as all operations on files do, run on the
//! threads of an [`IoService`]. There are 44 ([`IoOp`], [`request`]): those of the Dart VM, with
//! its numbers. Sockets need no thread: the runtime's event handler waits until they are ready,
//! and the isolate itself reads and writes. So blocked files never delay a socket, a timer or an
//! isolate.
//!
//! # What holds everywhere
//! - Futures may be awaited in isolates, and on any executor elsewhere. A pending operation keeps
//!   its isolate alive, and its result is an event like any other.
//! - An open file has one operation at a time; a second one fails at once ([`IoError::Pending`]).
//! - Nothing is buffered here. A slow reader makes the writer wait.
//! - Interrupted calls are repeated and short writes are continued. Writing to a peer that is gone
//!   is an error and never a signal.
//!
//! # TLS
//! With the feature `tls`, `TlsFilter` is operation 43, and `TlsStream` is a connection through
//! it. Both use rustls; the program supplies its configuration, with the trusted certificates.
//!
//! # Example
//! ```
//! use insula_io::{Directory, File, IoError, TcpListener, TcpStream};
//!
//! # fn main() -> Result<(), IoError> {
//! insula_core::block_on(async {
//!     let folder = Directory::create_temp("insula-example-").await?;
//!     File::write_whole(folder.join("island"), b"land".to_vec()).await?;
//!     let land = File::read_all(folder.join("island")).await?;
//!     Directory::delete_recursive(folder).await?;
//!
//!     let listener = TcpListener::bind(([127, 0, 0, 1], 0))?;
//!     let client = TcpStream::connect(listener.local_address()?).await?;
//!     let (server, _) = listener.accept().await?;
//!     server.write_all(&land).await?;
//!     let mut received = [0; 4];
//!     client.read_exact(&mut received).await?;
//!     assert_eq!(&received, b"land");
//!     Ok(())
//! })
//! # }
//! ```
//! `examples/send_file.rs` is a program.
//!
//! # Differences from the Dart VM
//! Locks are of whole files and belong to the open file rather than to the process, so closing
//! one handle never releases the lock of another. Dropping a file closes it. Listings are read on
//! demand.
#![forbid(unsafe_code)]

mod acceptor;
mod directory;
mod entity;
mod error;
mod file;
mod link;
mod metadata;
mod network;
mod op;
pub mod request;
mod service;
mod slot;
mod socket;
mod tcp;
#[cfg(feature = "tls")]
mod tls;
mod udp;
#[cfg(unix)]
mod unix;

pub use directory::{Depth, Directory, Entry, Links, Listing, Walk};
pub use entity::{entity_type, identical, link_entity_type, link_stat, stat};
pub use error::{IoError, OsError};
pub use file::{File, LockMode, OpenFile, OpenMode};
pub use link::Link;
pub use metadata::{EntityType, Metadata};
pub use network::{Family, Loopback, NetworkInterface, interfaces, lookup, reverse_lookup};
pub use op::IoOp;
pub use service::{IoService, Operation, Request};
pub use slot::Lease;
pub use tcp::{TcpListener, TcpStream};
#[cfg(feature = "tls")]
pub use tls::{TlsBytes, TlsFilter, TlsState, TlsStream};
pub use udp::UdpSocket;
#[cfg(unix)]
pub use unix::{UnixListener, UnixStream};
