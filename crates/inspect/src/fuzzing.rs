//! What the fuzz targets need of this crate: a server and a client whose other side is some bytes.
//! They are in `fuzz` at the root of the repository.

use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

use insula_core::{Isolate, ReceivePort, Runtime, SendPort};

use crate::client::Client;
use crate::program::{Limits, Program};
use crate::server::{Server, Token};
use crate::start::Listen;

/// The most bytes of a message to a client. Room for a frame is made when its length is read.
pub const MOST_FOR_CLIENT: usize = crate::client::MAX_MESSAGE;

/// A program with one isolate, and the server beside it.
#[expect(
    missing_debug_implementations,
    reason = "it is for a fuzz target alone"
)]
pub struct Inspected {
    server: Server,
    program: Program,
    _port: SendPort<()>,
}

impl Inspected {
    /// Starts the isolate, and binds the server to a path.
    ///
    /// # Errors
    /// The path cannot be bound.
    pub fn start(path: &std::path::Path) -> io::Result<Self> {
        let runtime = Runtime::builder().seeded(1).build();
        let builder = Isolate::builder().name("inspected").runtime(&runtime);
        let port = builder.spawn_with_port(|port: ReceivePort<()>| port.listen(|()| {}));
        runtime.run_until_idle();
        let program = Program::new("a program".to_owned(), runtime, Limits::default());
        program.tick();
        Ok(Self {
            server: Server::bind(&Listen::Unix(path.to_owned()), Token::new()?, false)?,
            program,
            _port: port,
        })
    }

    /// Returns the token that a client has to show.
    pub fn token(&self) -> String {
        let address = self.server.address_with_token();
        address.rsplit('#').next().unwrap_or_default().to_owned()
    }

    /// Serves a client that sends these bytes, which are few enough for a socket, and nothing more.
    /// Returns what it gets.
    ///
    /// # Errors
    /// There are no sockets.
    pub fn serve(&self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let (mut near, far) = UnixStream::pair()?;
        near.write_all(bytes)?;
        near.shutdown(Shutdown::Write)?;
        self.server.serve_unix(far, &self.program);
        let mut answer = Vec::new();
        match near.read_to_end(&mut answer) {
            // The server has not read all that was sent.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(answer),
            Err(error) => Err(error),
            Ok(_) => Ok(answer),
        }
    }
}

/// Makes a client whose server sends these bytes, which are few enough for a socket, and nothing more.
/// The end of that server is returned with it.
///
/// # Errors
/// There are no sockets.
pub fn client(bytes: &[u8]) -> io::Result<(Client, UnixStream)> {
    let (near, mut far) = UnixStream::pair()?;
    far.write_all(bytes)?;
    far.shutdown(Shutdown::Write)?;
    Ok((Client::over(near), far))
}
