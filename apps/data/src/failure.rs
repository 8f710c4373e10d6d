//! Why the program ends without a result.

use std::io;
use std::path::Path;

use command::StartError;
use data::{DataError, SourceError};
use insula::CallError;

/// A message for the user.
#[derive(Debug)]
pub(crate) struct Failure(pub(crate) String);

impl Failure {
    /// A table that cannot be opened.
    pub(crate) fn open(path: &Path, error: &SourceError) -> Self {
        // A colon behind the file's name, as in all messages about a file.
        Self(format!("{}: {error}", path.display()))
    }

    /// A file that cannot be read or written.
    pub(crate) fn file(path: &Path, what: &str, error: &io::Error) -> Self {
        Self(format!("{}: {what}: {error}", path.display()))
    }
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self(message)
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        Self(error.to_string())
    }
}

impl<Q> From<CallError<DataError, Q>> for Failure {
    fn from(error: CallError<DataError, Q>) -> Self {
        // An error of the service speaks for itself. Others say whether the work may have run.
        match error {
            CallError::App(error) => Self(error.to_string()),
            other => Self(format!("{other} ({})", other.outcome())),
        }
    }
}
