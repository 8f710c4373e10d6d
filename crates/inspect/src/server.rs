//! The server: accepts connections, and gives each a thread.
//!
//! A connection sends one request. It is refused unless it is exactly one that the server knows
//! (`request.rs`); its token is compared before anything of the program is looked at. `GET /ws`
//! becomes a session (`session.rs`), everything else is answered and closed (`answer.rs`).
//!
//! # Limits
//! [`CLIENTS`] sessions, and [`GUESTS`] that have not shown the token; [`CONNECTIONS`] connections
//! in all, one head of at most
//! [`request::HEAD`] bytes within [`request::PATIENCE`]; more is refused or cut off, so that no
//! client holds more than its thread.

mod answer;
mod listener;
mod methods;
mod page;
mod request;
mod session;
#[cfg(test)]
mod tests;
mod token;

use std::io::{self, Write};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use insula_sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::program::Program;
use crate::start::Listen;
use answer::{Answer, Status};
use listener::{Listener, Stream};
use request::{Hosts, Request, Target};
pub(crate) use token::Token;

/// Sessions at a time.
const CLIENTS: usize = 8;

/// Sessions at a time that have not shown the token yet. They take no place of the others.
const GUESTS: usize = 8;

/// Connections at a time, those of sessions among them.
const CONNECTIONS: usize = 128;

/// The time in which a client must take what is sent to it.
const WRITES: Duration = Duration::from_secs(5);

pub(crate) struct Server {
    listener: Listener,
    hosts: Hosts,
    token: Token,
    can_control: bool,
    is_over: AtomicBool,
    connections: Places,
    clients: Places,
    guests: Places,
}

/// A number of places, of which some are taken.
struct Places {
    taken: AtomicUsize,
    most: usize,
}

/// A place that is free again when this is dropped.
struct Place<'a>(&'a Places);

impl Places {
    fn of(most: usize) -> Self {
        let taken = AtomicUsize::new(0);
        Self { taken, most }
    }

    fn take(&self) -> Option<Place<'_>> {
        // Relaxed, here and below: only the number counts.
        if self.taken.fetch_add(1, Ordering::Relaxed) >= self.most {
            self.taken.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(Place(self))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Server {
    pub(crate) fn bind(listen: &Listen, token: Token, can_control: bool) -> io::Result<Self> {
        let listener = Listener::bind(listen)?;
        Ok(Self {
            hosts: listener.hosts(),
            listener,
            token,
            can_control,
            is_over: AtomicBool::new(false),
            connections: Places::of(CONNECTIONS),
            clients: Places::of(CLIENTS),
            guests: Places::of(GUESTS),
        })
    }

    /// Returns the address with the token.
    pub(crate) fn address_with_token(&self) -> String {
        format!("{}#{}", self.listener.address(), self.token.text())
    }

    /// Accepts connections until the server is stopped.
    pub(crate) fn accept(self: &Arc<Self>, program: &Arc<Program>) {
        while !self.is_over() {
            match self.listener.accept() {
                Ok(stream) => self.begin(stream, program),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // There may be no descriptors left, and each further try would fail at once.
                Err(_) => thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    /// Serves a connection on a thread of its own. One that finds no place is closed.
    fn begin(self: &Arc<Self>, stream: Stream, program: &Arc<Program>) {
        let (server, program) = (self.clone(), program.clone());
        let thread = thread::Builder::new().name("insula-client".to_owned());
        // Without a thread the connection is closed, and the client may try again.
        let _ = thread.spawn(move || {
            if let Some(_place) = server.connections.take() {
                server.serve(stream, &program);
            }
        });
    }

    fn serve(&self, mut stream: Stream, program: &Program) {
        if stream.limit_writes(WRITES).is_err() {
            return;
        }
        let answer = match Request::read(&mut stream) {
            Err(refusal) => Answer::of(refusal),
            Ok(request) => match self.judge(&request) {
                Err(refusal) => Answer::of(refusal),
                Ok(Target::Session) => return self.begin_session(stream, request, program),
                Ok(Target::Page(file)) => Answer::page(file, request.is_of_person()),
                Ok(Target::Metrics) => {
                    let pools = program.pools().pools;
                    Answer::metrics(crate::metrics::text(&program.vm(false), &pools))
                }
            },
        };
        // A client that has gone needs no answer.
        if stream.write_all(&answer.into_bytes()).is_ok() {
            stream.end();
        }
    }

    /// As [`serve`](Self::serve), for a fuzz target.
    #[cfg(all(fuzzing, unix))]
    pub(crate) fn serve_unix(&self, stream: std::os::unix::net::UnixStream, program: &Program) {
        self.serve(Stream::Unix(stream), program);
    }

    /// Decides what a request may have. Nothing of the program is looked at before.
    fn judge(&self, request: &Request) -> Result<Target, Status> {
        self.hosts.check(request)?;
        let target = request.target()?;
        if matches!(target, Target::Page(_)) {
            return Ok(target);
        }
        match request.token() {
            Some(token) if self.token.is(token) => Ok(target),
            Some(_) => Err(Status::Forbidden),
            // The page cannot set a header, and sends the token first. It always has an origin.
            None if matches!(target, Target::Session) && request.has_origin() => Ok(target),
            None => Err(Status::Forbidden),
        }
    }

    fn begin_session(&self, mut stream: Stream, request: Request, program: &Program) {
        let places = match request.token() {
            Some(_) => &self.clients,
            None => &self.guests,
        };
        let Some(place) = places.take() else {
            let answer = Answer::of(Status::Busy).into_bytes();
            let _ = stream.write_all(&answer);
            return stream.end();
        };
        session::run(self, stream, request, program, place);
    }

    pub(crate) fn is_over(&self) -> bool {
        // Relaxed: a session looks again soon.
        self.is_over.load(Ordering::Relaxed)
    }

    /// Ends the accepting, and soon all sessions.
    pub(crate) fn stop(&self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.listener.stop();
    }
}
