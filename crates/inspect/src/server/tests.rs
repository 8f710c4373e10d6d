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
use std::net::{SocketAddr, TcpStream};
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
    address: SocketAddr,
    runtime: Runtime,
    /// Keeps the isolate alive.
    _port: SendPort<()>,
    accepts: Option<JoinHandle<()>>,
}

impl Served {
    fn start(can_control: bool) -> Self {
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
        let server = Server::bind(&Listen::default(), token, can_control);
        let server = Arc::new(server.expect("a port is free"));
        let address = server.listener.address();
        let address = address.trim_start_matches("http://").trim_end_matches('/');
        let accepts = {
            let (server, program) = (server.clone(), program.clone());
            std::thread::spawn(move || server.accept(&program))
        };
        Self {
            address: address.parse().expect("it is an address"),
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
        let stream = TcpStream::connect(self.address).expect("the server listens");
        let time = Some(Duration::from_secs(10));
        stream.set_read_timeout(time).expect("there is a time");
        stream
    }

    /// Puts the address and the token into a request: `{host}`, `{port}` and `{token}`.
    fn filled(&self, request: &str) -> String {
        request
            .replace("{host}", &self.address.to_string())
            .replace("{port}", &self.address.port().to_string())
            .replace("{token}", self.token())
    }

    /// Sends a request and returns all that comes back.
    fn send(&self, request: &[u8]) -> String {
        let mut stream = self.connect();
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
