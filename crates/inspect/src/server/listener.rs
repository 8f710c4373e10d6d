//! Loopback and Unix sockets as one.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
#[cfg(unix)]
use std::os::unix::net::{UnixListener, UnixStream};
#[cfg(unix)]
use std::path::PathBuf;
use std::time::Duration;

use super::request::Hosts;
use crate::start::Listen;

/// A socket that accepts connections.
pub(super) enum Listener {
    Tcp(TcpListener, SocketAddr),
    #[cfg(unix)]
    Unix(UnixListener, PathBuf),
}

/// A connection.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

/// Calls the same method of either kind of stream.
macro_rules! either {
    ($stream:expr, $inner:ident => $call:expr) => {
        match $stream {
            Stream::Tcp($inner) => $call,
            #[cfg(unix)]
            Stream::Unix($inner) => $call,
        }
    };
}

impl Listener {
    pub(super) fn bind(listen: &Listen) -> io::Result<Self> {
        match listen {
            Listen::Tcp(address) if !address.ip().is_loopback() => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!(
                    "{address} is no loopback address: an inspector listens on this machine only. \
                     Listen on 127.0.0.1, and forward the port with `ssh -L` to look from elsewhere"
                ),
            )),
            Listen::Tcp(address) => {
                let listener = TcpListener::bind(address)?;
                let address = listener.local_addr()?;
                Ok(Self::Tcp(listener, address))
            }
            #[cfg(unix)]
            Listen::Unix(path) => bind_unix(path.clone()),
            #[cfg(not(unix))]
            Listen::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    pub(super) fn accept(&self) -> io::Result<Stream> {
        match self {
            Self::Tcp(listener, _) => {
                let stream = listener.accept()?.0;
                // Small messages, each of which is waited for.
                stream.set_nodelay(true)?;
                Ok(Stream::Tcp(stream))
            }
            #[cfg(unix)]
            Self::Unix(listener, _) => Ok(Stream::Unix(listener.accept()?.0)),
        }
    }

    /// Lets a thread that accepts go on once.
    pub(super) fn wake(&self) {
        // If this fails, there is no thread that accepts, or a connection wakes it.
        match self {
            Self::Tcp(_, address) => {
                let _ = TcpStream::connect_timeout(address, Duration::from_secs(1));
            }
            #[cfg(unix)]
            Self::Unix(_, path) => {
                let _ = UnixStream::connect(path);
            }
        }
    }

    /// Returns the address without the token.
    pub(super) fn address(&self) -> String {
        match self {
            Self::Tcp(_, address) => format!("http://{address}/"),
            #[cfg(unix)]
            Self::Unix(_, path) => format!("unix:{}", path.display()),
        }
    }

    pub(super) fn hosts(&self) -> Hosts {
        match self {
            Self::Tcp(_, address) => {
                let ip = match address {
                    SocketAddr::V4(address) => address.ip().to_string(),
                    SocketAddr::V6(address) => format!("[{}]", address.ip()),
                };
                Hosts::on_port(&ip, address.port())
            }
            // No browser gets here, so there is no origin that is its own.
            #[cfg(unix)]
            Self::Unix(..) => Hosts {
                hosts: vec!["localhost".to_owned()],
                origins: Vec::new(),
            },
        }
    }
}

/// Listens on a socket that only this user can open, from its first moment on.
#[cfg(unix)]
fn bind_unix(path: PathBuf) -> io::Result<Listener> {
    use std::os::unix::fs::PermissionsExt;
    // In a folder that only this user can enter, and moved from there: between `bind` and a change
    // of its mode the socket would be open to all whom the mask of the process lets in.
    let parent = path.parent().filter(|it| !it.as_os_str().is_empty());
    let parent = parent.map_or_else(|| PathBuf::from("."), PathBuf::from);
    if path.exists() {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            format!(
                "{} exists: remove it if no program listens there",
                path.display()
            ),
        ));
    }
    let folder = tempfile::Builder::new()
        .permissions(std::fs::Permissions::from_mode(0o700))
        .tempdir_in(parent)?;
    let hidden = folder.path().join("socket");
    let listener = UnixListener::bind(&hidden)?;
    std::fs::set_permissions(&hidden, std::fs::Permissions::from_mode(0o600))?;
    std::fs::rename(&hidden, &path)?;
    Ok(Listener::Unix(listener, path))
}

#[cfg(unix)]
impl Drop for Listener {
    fn drop(&mut self) {
        if let Self::Unix(_, path) = self {
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Stream {
    pub(super) fn limit_reads(&self, time: Duration) -> io::Result<()> {
        either!(self, stream => stream.set_read_timeout(Some(time)))
    }

    pub(super) fn limit_writes(&self, time: Duration) -> io::Result<()> {
        either!(self, stream => stream.set_write_timeout(Some(time)))
    }

    /// Ends the connection so that the client gets all that was written. A close with bytes that
    /// were not read would reset it.
    pub(super) fn end(mut self) {
        let _ = either!(&self, stream => stream.shutdown(Shutdown::Write));
        let _ = self.limit_reads(Duration::from_millis(100));
        let mut rest = [0; 1024];
        // Bounded: a client that goes on sending is cut off.
        for _ in 0..64 {
            if !matches!(self.read(&mut rest), Ok(1..)) {
                return;
            }
        }
    }
}

impl Read for Stream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        either!(self, stream => stream.read(bytes))
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        either!(self, stream => stream.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        either!(self, stream => stream.flush())
    }
}
