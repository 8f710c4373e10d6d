//! How a connection is opened, and how its links work.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use async_nats::ServerAddr;

use crate::error::NatsError;
use crate::subjects::Subjects;

/// The least silence: beats are at most as frequent as a third of it.
const LEAST_SILENCE: Duration = Duration::from_millis(100);

/// The longest silence. A node takes none from a caller that is longer.
pub(crate) const LONGEST_SILENCE: Duration = Duration::from_secs(600);

/// The settings of a connection.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) urls: Vec<String>,
    pub(crate) login: Login,
    pub(crate) root_certificates: Option<PathBuf>,
    /// The certificate and its key.
    pub(crate) client_certificate: Option<(PathBuf, PathBuf)>,
    pub(crate) allows_plain: bool,
    pub(crate) name: String,
    pub(crate) subjects: Subjects,
    /// The most bytes of a value.
    pub(crate) most: usize,
    pub(crate) silence: Duration,
    pub(crate) patience: Duration,
}

/// What this side shows to the server.
#[derive(Debug, Clone)]
pub(crate) enum Login {
    None,
    User(String, Secret),
    Token(Secret),
    File(PathBuf),
}

/// A text that is never shown.
#[derive(Clone)]
pub(crate) struct Secret(pub(crate) String);

impl Plan {
    /// # Errors
    /// The settings make no sense.
    pub(crate) fn check(&self) -> Result<(), NatsError> {
        if self.urls.is_empty() {
            return Err(NatsError::settings("there is no URL of a NATS server"));
        }
        for url in &self.urls {
            let address: ServerAddr = url.parse().map_err(|why| NatsError::url(url, &why))?;
            if address.username().is_some() || address.password().is_some() {
                // A URL is shown in errors and lists of processes.
                let problem = "a URL with a user or a password: give them with `Nats::user`";
                return Err(NatsError::settings(problem));
            }
            if address.is_websocket() {
                return Err(NatsError::settings(format!("{url}: not over websockets")));
            }
        }
        if let Some(problem) = self.subjects.problem() {
            return Err(NatsError::settings(problem));
        }
        if !(LEAST_SILENCE..=LONGEST_SILENCE).contains(&self.silence) {
            let problem = "a silence is from 100 milliseconds to 10 minutes";
            return Err(NatsError::settings(problem));
        }
        Ok(())
    }

    /// Returns whether the connection has to be encrypted: if it leaves this machine, unless that is
    /// allowed.
    pub(crate) fn requires_tls(&self) -> bool {
        let leaves = |url: &String| {
            url.parse()
                .map_or(true, |it: ServerAddr| !is_local(it.host()))
        };
        !self.allows_plain && self.urls.iter().any(leaves)
    }

    /// Returns the servers, for a person.
    pub(crate) fn servers(&self) -> String {
        self.urls.join(", ")
    }
}

fn is_local(host: &str) -> bool {
    let address: Result<IpAddr, _> = host.parse();
    address.map_or(host == "localhost", |it| it.is_loopback())
}

/// Returns the interval of beats, of which three fall in the shorter silence of both ends.
pub(crate) fn beat(ours: Duration, theirs: Duration) -> Duration {
    ours.min(theirs).max(LEAST_SILENCE) / 3
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
}
