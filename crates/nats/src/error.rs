//! What goes wrong before there is a link.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use insula_rpc::wire::Hello;

use crate::plan::Plan;

/// A connection, a node or a worker that could not be started. The error of a worker's start is a
/// fault of its pool; see [`WorkerFault`](insula_pool::WorkerFault).
#[derive(Debug)]
#[non_exhaustive]
pub enum NatsError {
    /// The settings make no sense.
    Settings {
        /// What is wrong with them.
        problem: String,
    },
    /// The file with the credentials cannot be used.
    Credentials {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// No server could be reached.
    NotConnected {
        /// The servers.
        servers: String,
        /// The reason.
        why: String,
    },
    /// The server does not accept the credentials, or has forbidden a subject.
    Denied {
        /// The servers.
        servers: String,
        /// The reason.
        why: String,
    },
    /// No node serves this version of the contract.
    NoNode {
        /// The contract and its version.
        contract: String,
        /// What the nodes serve in its place, if there are any.
        why: Option<String>,
    },
    /// The nodes that serve the contract have no free worker.
    NoFreeWorker {
        /// The contract and its version.
        contract: String,
    },
    /// A node has not answered, or not as a node does.
    NoAnswer {
        /// The contract and its version.
        contract: String,
        /// The reason.
        why: String,
    },
    /// The server keeps no [jobs](crate::Jobs), or has not kept this one.
    NotKept {
        /// The servers.
        servers: String,
        /// The reason.
        why: String,
    },
    /// The thread of the connection could not be started, or has ended.
    Thread {
        /// The reason.
        why: String,
    },
}

impl NatsError {
    pub(crate) fn settings(problem: impl Into<String>) -> Self {
        let problem = problem.into();
        Self::Settings { problem }
    }

    /// Of a URL, which is not shown where it may have a password.
    pub(crate) fn url(url: &str, why: &dyn Error) -> Self {
        let shown = if url.contains('@') { "a URL" } else { url };
        Self::settings(format!("{shown}: {why}"))
    }

    pub(crate) fn credentials(path: &Path, source: &io::Error) -> Self {
        Self::Credentials {
            path: path.to_owned(),
            // Without what was read: an error of the parser may show a part of the file.
            source: io::Error::from(source.kind()),
        }
    }

    pub(crate) fn connect(plan: &Plan, error: &dyn Error, is_denied: bool) -> Self {
        let servers = plan.servers();
        let mut why = error.to_string();
        // The message of the client may have that of its source already.
        if let Some(source) = error.source().map(|it| it.to_string())
            && !why.contains(&source)
        {
            why = format!("{why}: {source}");
        }
        if is_denied {
            return Self::Denied { servers, why };
        }
        if plan.requires_tls() {
            why.push_str(" (TLS is required, see `Nats::allow_plain`)");
        }
        Self::NotConnected { servers, why }
    }

    /// Of a connection that was lost, with the last error that it has told.
    pub(crate) fn disconnected(plan: &Plan, last: &str) -> Self {
        let mut why = "the connection was lost, and is tried again".to_owned();
        if !last.is_empty() {
            why = format!("{why} ({last})");
        }
        Self::NotConnected {
            servers: plan.servers(),
            why,
        }
    }

    pub(crate) fn no_answer(hello: &Hello, why: impl Into<String>) -> Self {
        Self::NoAnswer {
            contract: shown(hello),
            why: why.into(),
        }
    }

    pub(crate) fn jetstream(plan: &Plan, error: &dyn Error) -> Self {
        Self::not_kept(plan, error.to_string())
    }

    pub(crate) fn not_kept(plan: &Plan, why: String) -> Self {
        let servers = plan.servers();
        Self::NotKept { servers, why }
    }

    pub(crate) fn thread(why: impl fmt::Display) -> Self {
        let why = why.to_string();
        Self::Thread { why }
    }
}

/// A contract with its version.
pub(crate) fn shown(hello: &Hello) -> String {
    format!("version {} of {}", hello.version, hello.contract)
}

impl fmt::Display for NatsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settings { problem } => f.write_str(problem),
            Self::Credentials { path, source } => {
                write!(f, "the credentials in {}: {source}", path.display())
            }
            Self::NotConnected { servers, why } => {
                write!(f, "not connected to NATS at {servers}: {why}")
            }
            Self::Denied { servers, why } => {
                write!(f, "NATS at {servers} does not allow this: {why}")
            }
            Self::NoNode {
                contract,
                why: None,
            } => write!(f, "no node serves {contract}"),
            Self::NoNode {
                contract,
                why: Some(why),
            } => write!(f, "no node serves {contract}: {why}"),
            Self::NoFreeWorker { contract } => {
                write!(f, "no node that serves {contract} has a free worker")
            }
            Self::NoAnswer { contract, why } => {
                write!(f, "no answer of a node that serves {contract}: {why}")
            }
            Self::NotKept { servers, why } => write!(
                f,
                "NATS at {servers} does not do this for jobs: {why} (they need JetStream, `jetstream {{}}` in \
                 the configuration of the server, and the permissions of jobs)"
            ),
            Self::Thread { why } => write!(f, "the thread of the connection: {why}"),
        }
    }
}

impl Error for NatsError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Credentials { source, .. } => Some(source),
            _ => None,
        }
    }
}
