//! The formats of tables.

use std::error::Error;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The format of a file with records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Format {
    /// Values with a separator between them, and names in the first record.
    Csv {
        /// The separator.
        delimiter: u8,
    },
    /// One JSON object in each line.
    JsonLines,
    /// Apache Parquet.
    Parquet,
}

impl Format {
    /// CSV with commas.
    pub const CSV: Self = Self::Csv { delimiter: b',' };

    /// Returns the format that a file's name promises.
    pub fn of_path(path: &Path) -> Option<Self> {
        path.extension()?.to_str()?.parse().ok()
    }
}

impl FromStr for Format {
    type Err = ParseFormatError;

    fn from_str(text: &str) -> Result<Self, ParseFormatError> {
        match text.to_ascii_lowercase().as_str() {
            "csv" => Ok(Self::CSV),
            "tsv" => Ok(Self::Csv { delimiter: b'\t' }),
            "jsonl" | "ndjson" => Ok(Self::JsonLines),
            "parquet" => Ok(Self::Parquet),
            _ => Err(ParseFormatError),
        }
    }
}

/// A text that names no format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseFormatError;

impl fmt::Display for ParseFormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected csv, tsv, jsonl, ndjson or parquet")
    }
}

impl Error for ParseFormatError {}
