//! What can be wrong with rows and with calls.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use insula::rpc::{Aborted, Cancelled};
use serde::{Deserialize, Serialize};

use crate::MAX_RECORD;

/// A row that could not be processed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BadRow {
    /// The line of the file at which the row begins, or the number of the row in a Parquet file.
    /// Both count from one.
    pub line: u64,
    /// The reason.
    pub error: RowError,
}

impl fmt::Display for BadRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.line, self.error)
    }
}

/// The reason why a row could not be processed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum RowError {
    /// The row has another number of fields than the first record.
    Fields {
        /// The fields of the row.
        found: usize,
        /// Those of the first record.
        expected: usize,
    },
    /// A field has something else than a finite number.
    NotANumber {
        /// The name of the field.
        field: Arc<str>,
        /// What it has, shortened.
        text: String,
    },
    /// A field that names the record has no text.
    NoName {
        /// The name of the field.
        field: Arc<str>,
    },
    /// A field is not UTF-8.
    NotUtf8 {
        /// The name of the field.
        field: Arc<str>,
    },
    /// The line is not a JSON object.
    Json {
        /// The parser's message.
        reason: String,
        /// The place in the line, from one on.
        column: usize,
    },
    /// A quote opens in the row and is not closed.
    OpenQuote,
    /// The row is longer than a row may be.
    TooLong,
    /// The steps have no finite result for the number.
    NoResult {
        /// The number.
        value: String,
        /// The step that has none.
        step: String,
    },
}

impl fmt::Display for RowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fields { found, expected } => write!(
                f,
                "{found} fields, but the first line has {expected}; is a separator or a quote missing?"
            ),
            Self::NotANumber { field, text } => {
                write!(f, "`{text}` in the field `{field}` is not a finite number")
            }
            Self::NoName { field } => write!(f, "the field `{field}` is neither text nor a number"),
            Self::NotUtf8 { field } => write!(f, "the field `{field}` is not UTF-8"),
            Self::Json { reason, column } => {
                write!(f, "not a JSON object: {reason} (column {column})")
            }
            Self::OpenQuote => f.write_str("a quote opens here and is not closed"),
            Self::TooLong => write!(f, "longer than {MAX_RECORD} bytes"),
            Self::NoResult { value, step } => {
                write!(f, "`{step}` of {value} is not a finite number")
            }
        }
    }
}

impl Error for RowError {}

/// The number of bad rows, and the first of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BadRows {
    /// How many there are.
    pub count: u64,
    /// The first ones, at most [`BadRows::KEPT`], so that a file of nothing else needs no memory.
    pub first: Vec<BadRow>,
}

impl BadRows {
    /// How many rows are kept.
    pub const KEPT: usize = 20;

    /// Counts a row, and keeps it if there are few.
    pub fn push(&mut self, line: u64, error: RowError) {
        self.count += 1;
        if self.first.len() < Self::KEPT {
            self.first.push(BadRow { line, error });
        }
    }

    /// Counts those of `other`, and keeps the first of all in the order of their lines.
    pub fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.first.extend(other.first);
        self.first.sort_by_key(|row| row.line);
        self.first.truncate(Self::KEPT);
    }
}

/// The error of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum DataError {
    /// A row group of a Parquet file is damaged, or of a kind that cannot be read.
    RowGroup {
        /// Its number, from zero on.
        number: usize,
        /// The reader's message, as text, so that the error can be sent to another process.
        reason: String,
    },
    /// A computation is not possible.
    Compute(crate::ComputeError),
    /// The caller did not send all chunks. This is the message of [`Aborted`], which cannot be sent to
    /// another process.
    Incomplete(String),
    /// The call was cancelled. This is the message of [`Cancelled`], likewise.
    Cancelled(String),
}

impl fmt::Display for DataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RowGroup { number, reason } => {
                write!(f, "row group {number} cannot be read: {reason}")
            }
            Self::Compute(error) => error.fmt(f),
            Self::Incomplete(message) | Self::Cancelled(message) => f.write_str(message),
        }
    }
}

impl Error for DataError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Compute(error) => Some(error),
            Self::RowGroup { .. } | Self::Incomplete(_) | Self::Cancelled(_) => None,
        }
    }
}

impl From<crate::ComputeError> for DataError {
    fn from(error: crate::ComputeError) -> Self {
        Self::Compute(error)
    }
}

impl From<Aborted> for DataError {
    fn from(error: Aborted) -> Self {
        Self::Incomplete(error.to_string())
    }
}

impl From<Cancelled> for DataError {
    fn from(error: Cancelled) -> Self {
        Self::Cancelled(error.to_string())
    }
}
