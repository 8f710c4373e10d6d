//! Standard output: plain text or JSON, without anything that acts on a terminal.

use std::io::{self, ErrorKind, Write};

use serde::Serialize;

use crate::failure::{Failure, Outcome};
use crate::text::clean_json;

/// Prints text that was cleaned.
///
/// # Errors
/// Returns an error if it cannot be written. A reader that has gone is a [`Failure`] of its own.
pub(crate) fn print(text: &str) -> Outcome {
    print_bytes(text.as_bytes())
}

/// Prints bytes that this program has made.
///
/// # Errors
/// As [`print()`].
pub(crate) fn print_bytes(bytes: &[u8]) -> Outcome {
    let mut output = io::stdout().lock();
    let result = output.write_all(bytes).and_then(|()| output.flush());
    result.map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => Failure::ClosedOutput,
        _ => Failure::operation(format!("cannot write the output: {error}"), ""),
    })
}

/// Prints a value as one JSON document, on several lines.
///
/// # Errors
/// As [`print()`].
pub(crate) fn print_json<T: Serialize + ?Sized>(value: &T) -> Outcome {
    let json = serde_json::to_string_pretty(value).map_err(unwritable)?;
    print(&(clean_json(&json) + "\n"))
}

/// Prints a value as JSON on one line.
///
/// # Errors
/// As [`print()`].
pub(crate) fn print_json_line<T: Serialize + ?Sized>(value: &T) -> Outcome {
    let json = serde_json::to_string(value).map_err(unwritable)?;
    print(&(clean_json(&json) + "\n"))
}

/// Returns the failure to write a value as JSON.
pub(crate) fn unwritable(error: serde_json::Error) -> Failure {
    Failure::operation(format!("cannot write JSON: {error}"), "")
}
