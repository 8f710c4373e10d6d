//! The risk: a page of another site, or a program of another user, reads or changes the state of a
//! program that is inspected.
//!
//! `refused` sends what an attacker would, and holds that nothing of the program comes back. Its
//! program has an isolate and a pool-less runtime whose names are secrets that no answer may have.

mod refused;
mod sessions;
#[cfg(unix)]
mod sockets;

use std::io::{Read, Write};
use std::net::TcpStream;
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use insula_core::{Isolate, IsolateState, ReceivePort, Runtime, SendPort};

use super::{Server, Token};
use crate::program::{Limits, Program};
use crate::start::Listen;

/// A name that no refused request may see.
const SECRET: &str = "secret-of-the-program";

/// A server beside a program with one isolate.
struct Served {
    server: Arc<Server>,
    program: Arc<Program>,
    /// The host that it takes requests for.
    host: String,
    /// The path of its socket, if it has one.
    path: Option<PathBuf>,
    runtime: Runtime,
    /// Keeps the isolate alive.
    _port: SendPort<()>,
    accepts: Option<JoinHandle<()>>,
}

impl Served {
    fn start(can_control: bool) -> Self {
        Self::on(&Listen::default(), can_control)
    }

    fn on(listen: &Listen, can_control: bool) -> Self {
        let runtime = Runtime::builder().threads(1).build();
        let builder = Isolate::builder().name(SECRET).runtime(&runtime);
        let port = builder.spawn_with_port(|port: ReceivePort<()>| {
            port.listen(|()| {});
        });
        let limits = Limits::default();
        let is_idle = || runtime.snapshot().isolates[0].state == IsolateState::Idle;
        while !is_idle() {
            std::thread::yield_now();
        }
        let program = Arc::new(Program::new(SECRET.to_owned(), runtime.clone(), limits));
        program.tick();
        let token = Token::new().expect("there are random bytes");
        let server = Server::bind(listen, token, can_control);
        let server = Arc::new(server.expect("a port is free"));
        let address = server.listener.address();
        let (host, path) = match address.strip_prefix("unix:") {
            Some(path) => ("localhost".to_owned(), Some(path.into())),
            None => {
                let host = address.trim_start_matches("http://").trim_end_matches('/');
                (host.to_owned(), None)
            }
        };
        let accepts = {
            let (server, program) = (server.clone(), program.clone());
            std::thread::spawn(move || server.accept(&program))
        };
        Self {
            host,
            path,
            server,
            program,
            runtime,
            _port: port,
            accepts: Some(accepts),
        }
    }

    fn token(&self) -> &str {
        self.server.token.text()
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.host).expect("the server listens");
        let time = Some(Duration::from_secs(10));
        stream.set_read_timeout(time).expect("there is a time");
        stream
    }

    /// Puts the address and the token into a request: `{host}`, `{port}` and `{token}`.
    fn filled(&self, request: &str) -> String {
        // A socket with a path has no port.
        let port = self.host.split_once(':').map_or("80", |it| it.1);
        request
            .replace("{host}", &self.host)
            .replace("{port}", port)
            .replace("{token}", self.token())
    }

    /// Sends a request and returns all that comes back.
    fn send(&self, request: &[u8]) -> String {
        #[cfg(unix)]
        if let Some(path) = &self.path {
            let stream = UnixStream::connect(path).expect("the server listens");
            return Self::send_to(stream, request);
        }
        Self::send_to(self.connect(), request)
    }

    fn send_to(mut stream: impl Read + Write, request: &[u8]) -> String {
        // The server may have refused it before the end.
        let _ = stream.write_all(request);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.server.stop();
        if let Some(accepts) = self.accepts.take() {
            accepts.join().expect("the thread has not panicked");
        }
        self.runtime.shut_down();
    }
}
