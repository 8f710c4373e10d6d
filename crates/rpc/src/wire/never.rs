//! The error of a method that never fails.

use std::error::Error;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The error of a method that never fails, in a contract whose calls cross a wire: serde does not know
/// [`Infallible`](std::convert::Infallible).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Never {}

impl fmt::Display for Never {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}

impl Error for Never {}
