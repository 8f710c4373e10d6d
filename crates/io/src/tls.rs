//! TLS: a filter between plain and encrypted bytes, run by the service, and streams through it.

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;

use insula_sync::Mutex;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection};

use crate::request::TlsProcessFilter;
use crate::slot::Slot;
use crate::{IoError, IoOp, IoService, TcpStream};

/// The number of bytes that are read from a connection at a time.
const CHUNK: usize = 16 * 1024;

/// The input or the output of one pass through a filter.
#[derive(Clone, Default, Debug, PartialEq, Eq)]
pub struct TlsBytes {
    /// In: bytes to encrypt. Out: decrypted bytes.
    pub plain: Vec<u8>,
    /// In: bytes from the peer. Out: bytes to send to the peer.
    pub encrypted: Vec<u8>,
    /// In: nothing more will be encrypted. Out: nothing more will be decrypted, because the peer
    /// has ended its side.
    pub end: bool,
    /// Out: the handshake is not over yet.
    pub handshaking: bool,
}

/// The state of a filter, which its slot holds.
pub struct TlsState {
    connection: Connection,
}

impl fmt::Debug for TlsState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsState(..)")
    }
}

impl TlsState {
    pub(crate) fn process(&mut self, input: &TlsBytes) -> Result<TlsBytes, IoError> {
        let result = self.pass(input);
        result.map_err(|error| IoError::of(IoOp::TlsProcessFilter, error))
    }

    fn pass(&mut self, input: &TlsBytes) -> io::Result<TlsBytes> {
        let mut output = TlsBytes::default();
        // With rustls' default limit `write_all` would fail for longer input.
        self.connection.set_buffer_limit(None);
        self.connection.writer().write_all(&input.plain)?;
        // After the bytes above, which come before the end.
        if input.end {
            self.connection.send_close_notify();
        }
        let mut encrypted = input.encrypted.as_slice();
        while !encrypted.is_empty() {
            if self.connection.read_tls(&mut encrypted)? == 0 {
                break;
            }
            // After each step, since rustls accepts no more bytes while its buffer of decrypted
            // ones is full.
            output.end |= self.decrypt(&mut output.plain)?;
        }
        output.end |= self.decrypt(&mut output.plain)?;
        // A vector takes all that is written, so this ends.
        while self.connection.wants_write() {
            self.connection.write_tls(&mut output.encrypted)?;
        }
        output.handshaking = self.connection.is_handshaking();
        Ok(output)
    }

    /// Appends the decrypted bytes to `plain`, and returns whether the peer has ended its side.
    fn decrypt(&mut self, plain: &mut Vec<u8>) -> io::Result<bool> {
        let state = self.connection.process_new_packets();
        let state = state.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        // Exactly the decrypted bytes. `read_to_end` would fail with `WouldBlock` behind them,
        // unless the peer has ended its side.
        let mut part = vec![0; state.plaintext_bytes_to_read()];
        self.connection.reader().read_exact(&mut part)?;
        plain.append(&mut part);
        Ok(state.peer_has_closed())
    }
}

/// One side of a TLS connection without a socket: it turns bytes into bytes, by operation 43 of
/// the service. [`TlsStream`] is made of it.
#[derive(Clone)]
pub struct TlsFilter {
    slot: Arc<Slot<TlsState>>,
    service: IoService,
}

impl TlsFilter {
    /// Creates the side that connects to `name`.
    ///
    /// # Errors
    /// Returns an argument error if `name` is no name, or rustls' error for the configuration.
    pub fn client(config: Arc<ClientConfig>, name: &str) -> Result<Self, IoError> {
        let make = || {
            let invalid = |error| io::Error::new(io::ErrorKind::InvalidInput, error);
            let name = ServerName::try_from(name.to_owned()).map_err(invalid)?;
            ClientConnection::new(config, name).map_err(io::Error::other)
        };
        Self::new(make().map(Connection::Client))
    }

    /// Creates the side that accepted the connection.
    ///
    /// # Errors
    /// Returns rustls' error for the configuration.
    pub fn server(config: Arc<ServerConfig>) -> Result<Self, IoError> {
        let connection = ServerConnection::new(config).map_err(io::Error::other);
        Self::new(connection.map(Connection::Server))
    }

    fn new(connection: io::Result<Connection>) -> Result<Self, IoError> {
        let connection = connection.map_err(|error| IoError::of(IoOp::TlsProcessFilter, error))?;
        Ok(Self {
            slot: Slot::new(TlsState { connection }),
            service: IoService::global().clone(),
        })
    }

    /// Passes all bytes of `input` through the filter. A first call with empty input begins the
    /// handshake.
    ///
    /// # Errors
    /// Returns an error of kind `InvalidData` if the peer violates TLS or cannot prove its name;
    /// [`IoError::Pending`] while another call is under way.
    pub async fn process(&self, input: TlsBytes) -> Result<TlsBytes, IoError> {
        let filter = self.slot.lease()?;
        let request = TlsProcessFilter { filter, input };
        self.service.request(request).await
    }
}

impl fmt::Debug for TlsFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsFilter(..)")
    }
}

/// An encrypted TCP connection.
///
/// # Errors
/// A call that is made while another one is under way may fail with [`IoError::Pending`].
///
/// # Cancellation
/// Dropping a future before its end leaves the connection in an unknown state; do not use it
/// afterwards.
#[derive(Debug)]
pub struct TlsStream {
    stream: TcpStream,
    filter: TlsFilter,
    incoming: Mutex<Incoming>,
}

#[derive(Debug, Default)]
struct Incoming {
    /// Decrypted bytes, of which the first `read` have been read. Bounded by what one chunk brings.
    plain: Vec<u8>,
    read: usize,
    ended: bool,
}

impl TlsStream {
    /// Encrypts a connection to `name`.
    ///
    /// # Errors
    /// Returns the connection's error, or one of kind `InvalidData` if the peer is not trusted.
    pub async fn connect(
        stream: TcpStream,
        config: Arc<ClientConfig>,
        name: &str,
    ) -> Result<Self, IoError> {
        Self::begin(stream, TlsFilter::client(config, name)?).await
    }

    /// Encrypts a connection that was accepted.
    ///
    /// # Errors
    /// Returns the connection's error, or one of kind `InvalidData` if the handshake fails.
    pub async fn accept(stream: TcpStream, config: Arc<ServerConfig>) -> Result<Self, IoError> {
        Self::begin(stream, TlsFilter::server(config)?).await
    }

    async fn begin(stream: TcpStream, filter: TlsFilter) -> Result<Self, IoError> {
        let this = Self {
            stream,
            filter,
            incoming: Mutex::new(Incoming::default()),
        };
        // An empty pass gives the first message of a client. That of a server gives nothing, since
        // the client begins.
        let mut handshaking = this.exchange(TlsBytes::default()).await?;
        while handshaking {
            let encrypted = this.receive().await?;
            if encrypted.is_empty() {
                let error = io::ErrorKind::UnexpectedEof.into();
                return Err(IoError::of(IoOp::TlsProcessFilter, error));
            }
            let input = TlsBytes {
                encrypted,
                ..TlsBytes::default()
            };
            handshaking = this.exchange(input).await?;
        }
        Ok(this)
    }

    /// Reads the bytes that have arrived, at least one. Returns their number, 0 once the peer has
    /// ended its side.
    ///
    /// # Errors
    /// Returns the connection's error, of kind `UnexpectedEof` if the connection ends before the
    /// peer has ended its side, as when it is cut off.
    pub async fn read(&self, buffer: &mut [u8]) -> Result<usize, IoError> {
        loop {
            if let Some(count) = self.incoming.lock().take(buffer) {
                return Ok(count);
            }
            let encrypted = self.receive().await?;
            if encrypted.is_empty() {
                let error = io::ErrorKind::UnexpectedEof.into();
                return Err(IoError::of(IoOp::TlsProcessFilter, error));
            }
            let input = TlsBytes {
                encrypted,
                ..TlsBytes::default()
            };
            // Not always enough: a chunk may hold part of a record, or no bytes of the program.
            self.exchange(input).await?;
        }
    }

    /// Encrypts and writes all bytes.
    ///
    /// # Errors
    /// Returns the connection's error.
    pub async fn write_all(&self, bytes: &[u8]) -> Result<(), IoError> {
        let input = TlsBytes {
            // Copied, since the caller keeps its bytes while a thread of the service encrypts them.
            plain: bytes.to_vec(),
            ..TlsBytes::default()
        };
        self.exchange(input).await.map(drop)
    }

    /// Ends this side: informs the peer that nothing more will be written.
    ///
    /// # Errors
    /// Returns the connection's error.
    pub async fn finish(&self) -> Result<(), IoError> {
        let input = TlsBytes {
            end: true,
            ..TlsBytes::default()
        };
        self.exchange(input).await.map(drop)
    }

    /// Passes bytes through the filter and sends its encrypted output. Returns whether the
    /// handshake continues.
    async fn exchange(&self, input: TlsBytes) -> Result<bool, IoError> {
        let output = self.filter.process(input).await?;
        // Before the write, so that nothing decrypted is lost if that fails.
        self.incoming.lock().add(output.plain, output.end);
        self.stream.write_all(&output.encrypted).await?;
        Ok(output.handshaking)
    }

    async fn receive(&self) -> Result<Vec<u8>, IoError> {
        let mut encrypted = vec![0; CHUNK];
        let count = self.stream.read(&mut encrypted).await?;
        encrypted.truncate(count);
        Ok(encrypted)
    }
}

impl Incoming {
    fn add(&mut self, mut plain: Vec<u8>, ended: bool) {
        // Once per addition: a drain for each read would move the rest every time.
        self.plain.drain(..self.read);
        self.read = 0;
        self.plain.append(&mut plain);
        self.ended |= ended;
    }

    /// Moves decrypted bytes into `buffer` and returns their number, or `None` if more must be
    /// received first.
    fn take(&mut self, buffer: &mut [u8]) -> Option<usize> {
        let left = &self.plain[self.read..];
        let count = left.len().min(buffer.len());
        buffer[..count].copy_from_slice(&left[..count]);
        self.read += count;
        (count != 0 || buffer.is_empty() || self.ended).then_some(count)
    }
}
