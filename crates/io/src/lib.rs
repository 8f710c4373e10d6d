//! Files, folders, sockets and look-ups for isolates.
//!
//! # Two ways
//! What blocks in the operating system, as everything about files does, runs on the threads of
//! an [`IoService`]: 44 operations ([`IoOp`], [`request`]), those of the Dart VM with their
//! numbers. Sockets need no thread: the runtime's event handler waits until they are ready, and
//! the isolate itself reads and writes. So blocked files never hold up a socket, a timer or an
//! isolate.
//!
//! # What holds for all of it
//! - Futures may be awaited in isolates, and on any executor elsewhere. A pending operation keeps
//!   its isolate alive, and its result is an event like any other.
//! - An open file has one operation at a time; a second one fails at once ([`IoError::Pending`]).
//! - Nothing is buffered here. Who reads slowly makes who writes wait.
//! - Interrupted calls are made again, short writes are continued, and writing to who has gone is
//!   an error and never a signal.
//!
//! # TLS
//! With the feature `tls`: `TlsFilter` is operation 43, `TlsStream` a connection through it, by
//! rustls, whose configurations (and which certificates are trusted) are the program's.
//!
//! # Differences from the Dart VM
//! Locks are of whole files and belong to the open file rather than to the process, so that
//! closing one handle never drops another one's lock. Dropping a file closes it. Listings are
//! read as they are asked for.
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

pub use directory::{Directory, Entry, Listing, Walk};
pub use entity::{entity_type, identical, link_entity_type, link_stat, stat};
pub use error::{IoError, OsError};
pub use file::{File, LockMode, OpenFile, OpenMode};
pub use link::Link;
pub use metadata::{EntityType, Metadata};
pub use network::{Family, NetworkInterface, interfaces, lookup, reverse_lookup};
pub use op::IoOp;
pub use service::{IoService, Operation, Request};
pub use slot::Lease;
pub use tcp::{TcpListener, TcpStream};
#[cfg(feature = "tls")]
pub use tls::{TlsBytes, TlsFilter, TlsState, TlsStream};
pub use udp::UdpSocket;
#[cfg(unix)]
pub use unix::{UnixListener, UnixStream};
