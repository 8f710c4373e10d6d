//! The head of a request, and what it may ask for.
//!
//! Everything is compared as a whole and byte by byte: no path is normalized, no host is parsed, no
//! address is resolved. What is not exactly known is refused.

use std::io::{ErrorKind, Read};
use std::time::{Duration, Instant};

use super::answer::Status;
use super::listener::Stream;
use super::page::{self, File};

/// Bytes of the head.
pub(super) const HEAD: usize = 8 << 10;

/// The time in which the head must have come.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// Lines of the head.
const LINES: usize = 64;

/// What a request asks for.
#[derive(Debug)]
pub(super) enum Target {
    Page(File),
    Metrics,
    Session,
}

/// The head of a request. Its body, which must be empty, begins behind it.
pub(super) struct Request {
    method: String,
    path: String,
    headers: Vec<(String, Vec<u8>)>,
    /// What has come behind the head.
    pub(super) rest: Vec<u8>,
}

impl Request {
    /// Reads the head.
    pub(super) fn read(stream: &mut Stream) -> Result<Self, Status> {
        let deadline = Instant::now() + PATIENCE;
        let mut bytes = Vec::new();
        loop {
            if let Some(request) = Self::parse(&bytes)? {
                return Ok(request);
            }
            if bytes.len() >= HEAD {
                return Err(Status::TooLarge);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || stream.limit_reads(left).is_err() {
                return Err(Status::TooLate);
            }
            let mut part = [0; 1024];
            match stream.read(&mut part) {
                Ok(0) => return Err(Status::BadRequest),
                Ok(length) => bytes.extend_from_slice(&part[..length]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Err(Status::TooLate),
            }
        }
    }

    /// Parses a head. `None` if it is not complete.
    fn parse(bytes: &[u8]) -> Result<Option<Self>, Status> {
        let mut lines = [httparse::EMPTY_HEADER; LINES];
        let mut head = httparse::Request::new(&mut lines);
        let length = match head.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => return Err(Status::TooLarge),
            Err(_) => return Err(Status::BadRequest),
        };
        // A minor version 0 has no `Host`, which everything here relies on.
        let (Some(method), Some(path), Some(1)) = (head.method, head.path, head.version) else {
            return Err(Status::BadRequest);
        };
        let headers = head.headers.iter();
        Ok(Some(Self {
            method: method.to_owned(),
            path: path.to_owned(),
            headers: headers
                .map(|line| (line.name.to_ascii_lowercase(), line.value.to_vec()))
                .collect(),
            rest: bytes[length..].to_vec(),
        }))
    }

    /// Returns the value of a header. One that is there twice is refused, since two readers might
    /// take another one each.
    pub(super) fn header(&self, name: &str) -> Result<Option<&str>, Status> {
        let mut values = self.headers.iter().filter(|(known, _)| known == name);
        let value = values.next();
        if values.next().is_some() {
            return Err(Status::BadRequest);
        }
        let text = value.map(|(_, value)| std::str::from_utf8(value));
        text.transpose().map_err(|_| Status::BadRequest)
    }

    pub(super) fn has_origin(&self) -> bool {
        self.headers.iter().any(|(name, _)| name == "origin")
    }

    /// Returns whether a person has asked for it, by an address that was entered, and no page. A browser
    /// that does not say so may have been asked by a page.
    pub(super) fn is_of_person(&self) -> bool {
        self.header("sec-fetch-site") == Ok(Some("none"))
    }

    /// Returns the token, if the request has one.
    pub(super) fn token(&self) -> Option<&str> {
        // A header that is there twice is as good as a wrong one.
        let value = self.header("authorization").unwrap_or(Some(""))?;
        let (scheme, token) = value.split_once(' ').unwrap_or_default();
        let is_bearer = scheme.eq_ignore_ascii_case("bearer");
        Some(if is_bearer { token } else { "" })
    }

    /// Returns what the request asks for.
    pub(super) fn target(&self) -> Result<Target, Status> {
        if self.header("transfer-encoding")?.is_some() {
            return Err(Status::BadRequest);
        }
        if self.header("content-length")?.is_some_and(|it| it != "0") {
            return Err(Status::BadRequest);
        }
        let target = match self.path.as_str() {
            "/ws" => Target::Session,
            "/metrics" => Target::Metrics,
            path => Target::Page(page::file(path).ok_or(Status::NotFound)?),
        };
        if self.method != "GET" {
            return Err(Status::NotAllowed);
        }
        if matches!(target, Target::Session) {
            self.check_upgrade()?;
        }
        Ok(target)
    }

    fn check_upgrade(&self) -> Result<(), Status> {
        let has = |name, wanted: &str| {
            let value = self.header(name).map(Option::unwrap_or_default);
            let mut parts = value?.split(',');
            Ok(parts.any(|part| part.trim().eq_ignore_ascii_case(wanted)))
        };
        let is_upgrade = has("connection", "upgrade")?
            && has("upgrade", "websocket")?
            && self.header("sec-websocket-version")? == Some("13");
        // 16 bytes in base64.
        let is_key = |key: &str| key.len() == 24 && key.ends_with("==");
        if !is_upgrade || !self.header("sec-websocket-key")?.is_some_and(is_key) {
            return Err(Status::UpgradeNeeded);
        }
        Ok(())
    }
}

/// The hosts under which the server may be addressed, and the origins of its own page.
#[derive(Debug)]
pub(super) struct Hosts {
    pub(super) hosts: Vec<String>,
    pub(super) origins: Vec<String>,
}

impl Hosts {
    /// Returns the hosts of a server on a port of a loopback address.
    pub(super) fn on_port(address: &str, port: u16) -> Self {
        let hosts = [format!("{address}:{port}"), format!("localhost:{port}")];
        Self {
            origins: hosts.iter().map(|host| format!("http://{host}")).collect(),
            hosts: hosts.into(),
        }
    }

    /// Refuses a request to another host, as of a name that was rebound to the loopback address,
    /// and one from another origin.
    pub(super) fn check(&self, request: &Request) -> Result<(), Status> {
        let host = request.header("host")?.ok_or(Status::BadRequest)?;
        if !self.hosts.iter().any(|known| known == host) {
            return Err(Status::Forbidden);
        }
        match request.header("origin")? {
            Some(origin) if !self.origins.iter().any(|known| known == origin) => {
                Err(Status::Forbidden)
            }
            _ => Ok(()),
        }
    }
}
