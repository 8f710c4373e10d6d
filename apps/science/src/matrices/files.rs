//! Matrices in files.

mod market;
mod npy;

use std::fs;
use std::path::Path;

use super::{Matrix, ReadError};

pub use npy::write_npy;

/// What is wrong with the content of a file.
#[derive(Debug, PartialEq, Eq)]
struct Problem {
    /// The line, in a text file.
    line: Option<usize>,
    text: String,
}

impl Problem {
    fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { line: None, text }
    }

    fn in_line(line: usize, text: impl Into<String>) -> Self {
        let (line, text) = (Some(line), text.into());
        Self { line, text }
    }
}

/// Reads a matrix from a `.npy` file of NumPy, or a `.mtx` file of the Matrix Market.
///
/// # Blocking
/// Waits for the disk.
///
/// # Errors
/// See [`ReadError`].
pub fn read(path: &Path) -> Result<Matrix, ReadError> {
    let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
    let parse = match extension.to_str() {
        Some("npy") => npy::parse,
        Some("mtx") => market::parse,
        _ => {
            return Err(ReadError::Extension {
                path: path.to_owned(),
            });
        }
    };
    let bytes = fs::read(path).map_err(|error| ReadError::Io {
        path: path.to_owned(),
        error,
    })?;
    parse(&bytes).map_err(|Problem { line, text }| ReadError::Content {
        path: path.to_owned(),
        line,
        problem: text,
    })
}

/// Returns the number of values of a shape, if a matrix may have so many.
fn values(rows: usize, columns: usize) -> Option<usize> {
    rows.checked_mul(columns)
        .filter(|values| *values <= Matrix::MOST_VALUES)
}

#[cfg(test)]
mod tests;
