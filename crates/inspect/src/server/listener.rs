//! Loopback and Unix sockets as one.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
#[cfg(unix)]
use std::os::fd::AsFd;
#[cfg(unix)]
use std::os::unix::net::{UnixListener, UnixStream};
#[cfg(unix)]
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

#[cfg(unix)]
use rustix::event::{PollFd, PollFlags, poll};

use super::WRITES;
use super::request::Hosts;
use crate::start::Listen;
use crate::streams::{either, uninterrupted};

/// A socket that accepts connections, until it is woken to accept no more.
pub(super) struct Listener {
    socket: Socket,
    wake: Wake,
}

enum Socket {
    Tcp(TcpListener, SocketAddr),
    #[cfg(unix)]
    Unix(UnixListener, Place),
}

/// The file of a Unix socket, and its identity: another one may have taken its place.
#[cfg(unix)]
struct Place {
    path: PathBuf,
    identity: (u64, u64),
}

/// A connection.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

impl Listener {
    pub(super) fn bind(listen: &Listen) -> io::Result<Self> {
        let socket = match listen {
            Listen::Tcp(address) if !address.ip().is_loopback() => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    format!(
                        "{address} is no loopback address: an inspector listens on this machine \
                         only. Listen on 127.0.0.1, and forward the port with `ssh -L` to look from \
                         elsewhere"
                    ),
                ));
            }
            Listen::Tcp(address) => {
                let listener =
                    TcpListener::bind(address).map_err(|error| named(address, &error))?;
                listener.set_nonblocking(true)?;
                let address = listener.local_addr()?;
                Socket::Tcp(listener, address)
            }
            #[cfg(unix)]
            Listen::Unix(path) => bind_unix(path).map_err(|error| named(path.display(), &error))?,
            #[cfg(not(unix))]
            Listen::Unix(_) => return Err(io::ErrorKind::Unsupported.into()),
        };
        let wake = Wake::new()?;
        Ok(Self { socket, wake })
    }

    /// Waits for a connection.
    ///
    /// # Errors
    /// `Interrupted` once the listener was woken, and the errors of the socket.
    pub(super) fn accept(&self) -> io::Result<Stream> {
        loop {
            let accepted = match &self.socket {
                Socket::Tcp(listener, _) => {
                    self.wake.wait_beside(listener)?;
                    listener.accept().and_then(|(stream, _)| {
                        // Small messages, each of which is waited for.
                        stream.set_nodelay(true)?;
                        Ok(Stream::Tcp(stream))
                    })
                }
                #[cfg(unix)]
                Socket::Unix(listener, _) => {
                    self.wake.wait_beside(listener)?;
                    listener.accept().map(|it| Stream::Unix(it.0))
                }
            };
            match accepted {
                // The client has gone in between.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
                Ok(stream) => {
                    // Some systems pass it on from the listener.
                    either!(&stream, stream => stream.set_nonblocking(false))?;
                    return Ok(stream);
                }
            }
        }
    }

    /// Lets the thread that accepts, and each later one, go on with an error, and removes the file of
    /// the socket, if it has one and that is still its own.
    pub(super) fn stop(&self) {
        self.wake.wake();
        #[cfg(unix)]
        if let Socket::Unix(_, place) = &self.socket
            && identity(&place.path).is_ok_and(|now| now == place.identity)
        {
            let _ = std::fs::remove_file(&place.path);
        }
    }

    /// Returns the address without the token.
    pub(super) fn address(&self) -> String {
        match &self.socket {
            Socket::Tcp(_, address) => format!("http://{address}/"),
            #[cfg(unix)]
            Socket::Unix(_, place) => format!("unix:{}", place.path.display()),
        }
    }

    pub(super) fn hosts(&self) -> Hosts {
        match &self.socket {
            Socket::Tcp(_, address) => {
                let ip = match address {
                    SocketAddr::V4(address) => address.ip().to_string(),
                    SocketAddr::V6(address) => format!("[{}]", address.ip()),
                };
                Hosts::on_port(&ip, address.port())
            }
            // No browser gets here, so there is no origin that is its own.
            #[cfg(unix)]
            Socket::Unix(..) => Hosts {
                hosts: vec!["localhost".to_owned()],
                origins: Vec::new(),
            },
        }
    }
}

/// Names the address of an error.
fn named(address: impl std::fmt::Display, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{address}: {error}"))
}

/// Wakes a thread that accepts. Not by a connection to the listener itself, whose path may lead
/// elsewhere by then.
#[cfg(unix)]
struct Wake(UnixStream, UnixStream);

#[cfg(unix)]
impl Wake {
    fn new() -> io::Result<Self> {
        let (near, far) = UnixStream::pair()?;
        Ok(Self(near, far))
    }

    fn wake(&self) {
        // The end of what can be read, and it stays so for each later wait.
        let _ = self.0.shutdown(Shutdown::Both);
    }

    /// Waits until the listener has a connection.
    fn wait_beside(&self, listener: &impl AsFd) -> io::Result<()> {
        let mut watched = [
            PollFd::new(&self.1, PollFlags::IN),
            PollFd::new(listener, PollFlags::IN),
        ];
        while let Err(error) = poll(&mut watched, None) {
            if error != rustix::io::Errno::INTR {
                return Err(error.into());
            }
        }
        match watched[0].revents().is_empty() {
            true => Ok(()),
            false => Err(io::ErrorKind::Interrupted.into()),
        }
    }
}

/// Without a wait for two things at once, the thread looks now and then.
#[cfg(not(unix))]
struct Wake(insula_sync::atomic::AtomicBool);

#[cfg(not(unix))]
impl Wake {
    fn new() -> io::Result<Self> {
        Ok(Self(insula_sync::atomic::AtomicBool::new(false)))
    }

    fn wake(&self) {
        // Relaxed: the next look finds it.
        self.0.store(true, insula_sync::atomic::Ordering::Relaxed);
    }

    fn wait_beside(&self, _: &TcpListener) -> io::Result<()> {
        if self.0.load(insula_sync::atomic::Ordering::Relaxed) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        std::thread::sleep(Duration::from_millis(20));
        Ok(())
    }
}

/// Listens on a socket that only this user can open, from its first moment on.
#[cfg(unix)]
fn bind_unix(path: &Path) -> io::Result<Socket> {
    use std::os::unix::fs::PermissionsExt;
    // Absolute, since tools have another folder than the program.
    let path = std::path::absolute(path)?;
    // Refused here: the socket is bound under a shorter name.
    std::os::unix::net::SocketAddr::from_pathname(&path)?;
    remove_stale(&path)?;
    // In a folder that only this user can enter, and moved from there: between `bind` and a change
    // of its mode the socket would be open to all whom the mask of the process lets in.
    let folder = tempfile::Builder::new()
        .permissions(std::fs::Permissions::from_mode(0o700))
        .tempdir_in(path.parent().unwrap_or(Path::new("/")))
        .map_err(|error| io::Error::new(error.kind(), "its folder cannot be written to"))?;
    let hidden = folder.path().join("s");
    let listener = UnixListener::bind(&hidden)?;
    listener.set_nonblocking(true)?;
    std::fs::set_permissions(&hidden, std::fs::Permissions::from_mode(0o600))?;
    let identity = identity(&hidden)?;
    std::fs::rename(&hidden, &path)?;
    Ok(Socket::Unix(listener, Place { path, identity }))
}

/// Removes the socket of a program that was killed. Anything else at the path is an error.
#[cfg(unix)]
fn remove_stale(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::FileTypeExt;
    let Ok(found) = std::fs::symlink_metadata(path) else {
        return Ok(());
    };
    if found.file_type().is_socket() && UnixStream::connect(path).is_err() {
        return std::fs::remove_file(path);
    }
    let text = "it exists, and is in use or no socket: choose another path";
    Err(io::Error::new(io::ErrorKind::AlreadyExists, text))
}

/// Returns what no other file has.
#[cfg(unix)]
fn identity(path: &Path) -> io::Result<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    let file = std::fs::symlink_metadata(path)?;
    Ok((file.dev(), file.ino()))
}

impl Stream {
    pub(super) fn limit_reads(&self, time: Duration) -> io::Result<()> {
        either!(self, stream => stream.set_read_timeout(Some(time)))
    }

    pub(super) fn limit_writes(&self, time: Duration) -> io::Result<()> {
        either!(self, stream => stream.set_write_timeout(Some(time)))
    }

    /// Returns whether the client has gone, as far as that can be told without a read.
    #[cfg(unix)]
    pub(super) fn is_over(&self) -> bool {
        use rustix::net::{RecvFlags, recv};
        let mut byte = [0];
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        let peeked = either!(self, stream => recv(stream, &mut byte[..], flags));
        matches!(peeked, Ok((0, _))) || peeked.is_err_and(|error| error != rustix::io::Errno::AGAIN)
    }

    /// It cannot be told here.
    #[cfg(not(unix))]
    pub(super) fn is_over(&self) -> bool {
        false
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
        let deadline = Instant::now() + WRITES;
        uninterrupted(|| {
            // Signals without an end would make it last without an end.
            if Instant::now() >= deadline {
                return Err(io::ErrorKind::TimedOut.into());
            }
            either!(self, stream => stream.write(bytes))
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        either!(self, stream => stream.flush())
    }
}
