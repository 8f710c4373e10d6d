//! The reason why a command was not carried out, and the exit status that goes with it.

use std::io;
use std::process::ExitCode;

use insula_inspect::client::{AddressError, ClientError};

use crate::text::clean;

/// The exit statuses, as the last paragraph of `--help`.
pub(crate) const EXIT_STATUS: &str = "Exit status: 0 done, 1 the operation failed or its subject was not found, 2 wrong usage, 3 no program or no connection.";

/// The result of a command.
pub(crate) type Outcome = Result<(), Failure>;

/// A command that was not carried out.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The operation failed, or there is no such isolate or pool.
    Operation(Complaint),
    /// The command line makes no sense.
    Usage(Complaint),
    /// There is no program, or no connection to it.
    Connection(Complaint),
    /// The reader of standard output has gone, which is no failure of this program.
    ClosedOutput,
}

/// An event that kept a command from being carried out, and the remedy.
#[derive(Debug)]
pub(crate) struct Complaint {
    pub(crate) what: String,
    pub(crate) advice: String,
}

impl Failure {
    pub(crate) fn operation(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::Operation(Complaint::new(what, advice))
    }

    pub(crate) fn usage(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::Usage(Complaint::new(what, advice))
    }

    pub(crate) fn connection(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::Connection(Complaint::new(what, advice))
    }

    /// Returns the failure to read or write a file.
    pub(crate) fn file(what: &str, path: &std::path::Path, error: &io::Error) -> Self {
        let path = clean(&path.display().to_string());
        Self::operation(
            format!("cannot {what} {path}: {error}"),
            "check the path and its rights",
        )
    }

    /// Returns the line for standard error, if there is one.
    pub(crate) fn line(&self) -> Option<String> {
        match self {
            Self::Operation(complaint) | Self::Usage(complaint) | Self::Connection(complaint) => {
                Some(complaint.line())
            }
            Self::ClosedOutput => None,
        }
    }
}

impl Complaint {
    fn new(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            advice: advice.into(),
        }
    }

    /// Returns both parts as `what. what to do`.
    fn line(&self) -> String {
        let what = clean(self.what.trim_end_matches('.'));
        if self.advice.is_empty() {
            what
        } else {
            format!("{what}. {}", capitalized(&clean(&self.advice)))
        }
    }
}

/// Returns a sentence, which begins with a capital letter.
fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(letters).collect()
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let complaint = Complaint::new(error.what(), error.advice().unwrap_or_default());
        match error {
            ClientError::ReadOnly | ClientError::NotFound { .. } | ClientError::Failed { .. } => {
                Self::Operation(complaint)
            }
            _ => Self::Connection(complaint),
        }
    }
}

impl From<AddressError> for Failure {
    fn from(error: AddressError) -> Self {
        let text = error.to_string();
        let (what, advice) = text.split_once("; ").unwrap_or((&text, ""));
        Self::usage(what, advice)
    }
}

impl From<&Failure> for ExitCode {
    fn from(failure: &Failure) -> Self {
        match failure {
            Failure::ClosedOutput => Self::SUCCESS,
            Failure::Operation(_) => Self::from(1),
            Failure::Usage(_) => Self::from(2),
            Failure::Connection(_) => Self::from(3),
        }
    }
}
