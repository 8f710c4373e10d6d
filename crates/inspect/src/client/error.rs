//! The errors of a client.

use std::error::Error;
use std::time::Duration;
use std::{fmt, io};

use tungstenite::Error as SocketError;
use tungstenite::http::StatusCode;

use crate::model::{PROTOCOL, Version};

/// The reason why there is no connection or no result.
///
/// `Display` says what has happened and, behind a semicolon, what to do; [`what`](Self::what) and
/// [`advice`](Self::advice) return the two parts.
#[derive(Debug)]
#[non_exhaustive]
pub enum ClientError {
    /// Nothing listens at the address.
    Unreachable {
        /// The address, without its token.
        place: String,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The inspector refuses the token.
    Refused,
    /// Something listens at the address that is no inspector.
    NoInspector {
        /// Its answer.
        reason: String,
    },
    /// The inspector refuses another connection, because it has too many.
    Busy,
    /// The inspector speaks a version of the protocol that this client cannot read.
    Version {
        /// The version of the program.
        theirs: Version,
    },
    /// There was no answer in time.
    TimedOut {
        /// The time that was waited.
        after: Duration,
    },
    /// The connection has ended, most often because the program has.
    Ended,
    /// The connection has failed.
    Io(io::Error),
    /// The server has sent more than the client takes.
    TooLarge,
    /// The server has sent what makes no sense.
    Broken {
        /// The part that makes no sense.
        reason: String,
    },
    /// The connection may only read, and the method changes something.
    ReadOnly,
    /// There is no such isolate, port or pool, or it has ended.
    NotFound {
        /// The message of the server.
        message: String,
    },
    /// The server has not done what was asked for.
    Failed {
        /// The code of the error, as the protocol lists them.
        code: i64,
        /// The message of the server.
        message: String,
    },
}

impl ClientError {
    /// Returns what has happened.
    pub fn what(&self) -> String {
        match self {
            Self::Unreachable { place, source } => format!("nothing listens at {place}: {source}"),
            Self::Refused => "the program refuses the token".to_owned(),
            Self::NoInspector { reason } => {
                format!("what listens at the address is no inspector: {reason}")
            }
            Self::Busy => "the inspector has as many connections as it takes".to_owned(),
            Self::Version { theirs } => format!(
                "the program speaks version {} of the protocol, and this is version {}",
                theirs.major, PROTOCOL.major
            ),
            Self::TimedOut { after } => {
                format!("the program has not answered within {after:?}")
            }
            Self::Ended => "the connection has ended".to_owned(),
            Self::Io(error) => format!("the connection has failed: {error}"),
            Self::TooLarge => "the program has sent too large a message".to_owned(),
            Self::Broken { reason } => format!("the program has sent nonsense: {reason}"),
            Self::ReadOnly => "the connection may only read".to_owned(),
            Self::NotFound { message } if message.is_empty() => "there is no such thing".to_owned(),
            Self::NotFound { message } => message.clone(),
            Self::Failed { code, message } if message.is_empty() => format!("error {code}"),
            Self::Failed { message, .. } => message.clone(),
        }
    }

    /// Returns what to do about it, if there is something.
    pub fn advice(&self) -> Option<&'static str> {
        Some(match self {
            Self::Unreachable { .. } => {
                "check that the program still runs, and that its inspector is on"
            }
            Self::Refused => {
                "copy the whole address that it has printed at its latest start, with what follows #"
            }
            Self::NoInspector { .. } => "check the address",
            Self::Busy => "close another page or tool",
            Self::Version { .. } => "use the tool that belongs to the version of the program",
            Self::TimedOut { .. } => {
                "try again with a longer time-out, or look whether a debugger holds the program"
            }
            Self::Ended | Self::Io(_) => "look whether the program has ended",
            Self::TooLarge | Self::Broken { .. } => {
                "check that the program and this tool are of the same version"
            }
            Self::ReadOnly => "start the program with control",
            Self::NotFound { .. } | Self::Failed { .. } => return None,
        })
    }

    pub(super) fn broken(reason: &str) -> Self {
        Self::Broken {
            reason: reason.to_owned(),
        }
    }

    pub(super) fn of_remote(code: i64, message: String) -> Self {
        match code {
            105 => Self::NotFound { message },
            110 => Self::ReadOnly,
            _ => Self::Failed { code, message },
        }
    }

    /// Returns the error of a connection that was open.
    pub(super) fn of_socket(error: SocketError, timeout: Duration) -> Self {
        match error {
            SocketError::ConnectionClosed | SocketError::AlreadyClosed => Self::Ended,
            SocketError::Io(error) => Self::of_io(error, timeout),
            SocketError::Capacity(_) | SocketError::WriteBufferFull(_) => Self::TooLarge,
            // The connection was cut off without a word, as when a process is killed.
            SocketError::Protocol(
                tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
            ) => Self::Ended,
            error => Self::Broken {
                reason: error.to_string(),
            },
        }
    }

    /// Returns the error of a connection that was not opened.
    pub(super) fn of_handshake(error: SocketError, timeout: Duration) -> Self {
        match error {
            SocketError::Http(response) => match response.status() {
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Self::Refused,
                StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => Self::Busy,
                status => Self::NoInspector {
                    reason: format!("it answers with status {}", status.as_u16()),
                },
            },
            SocketError::Io(error) => Self::of_io(error, timeout),
            SocketError::Protocol(
                tungstenite::error::ProtocolError::HandshakeIncomplete
                | tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
            ) => Self::Ended,
            error => Self::NoInspector {
                reason: error.to_string(),
            },
        }
    }

    fn of_io(error: io::Error, timeout: Duration) -> Self {
        use io::ErrorKind;
        match error.kind() {
            ErrorKind::TimedOut | ErrorKind::WouldBlock => Self::TimedOut { after: timeout },
            ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe
            | ErrorKind::UnexpectedEof => Self::Ended,
            _ => Self::Io(error),
        }
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what())?;
        match self.advice() {
            Some(advice) => write!(f, "; {advice}"),
            None => Ok(()),
        }
    }
}

impl Error for ClientError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Unreachable { source, .. } => Some(source),
            Self::Io(error) => Some(error),
            _ => None,
        }
    }
}
