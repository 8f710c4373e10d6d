//! The errors of operations and of files.

use std::error::Error;
use std::path::PathBuf;
use std::{fmt, io};

use serde::{Deserialize, Serialize};

use super::Operation;

/// The reason why an operation has no result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum MatrixError {
    /// The operation needs another shape.
    Shape {
        /// What was asked for.
        operation: Operation,
        /// The shapes of the matrices.
        shapes: Vec<(usize, usize)>,
    },
    /// The matrix holds an infinity, or what is not a number.
    NotFinite,
    /// The matrix has no rows or no columns.
    Empty,
    /// The matrix has no inverse, or none that double precision can tell from others.
    Singular {
        /// The condition number, infinite if there is no inverse.
        condition: f64,
    },
    /// The iteration of the kernel did not end.
    NoConvergence,
    /// The result has values beyond those of double precision, or none that differs from zero.
    OutOfRange,
    /// The residual of the result is larger than that of a right one may be.
    Inaccurate {
        /// The residual.
        residual: f64,
        /// What it may be.
        bound: f64,
    },
}

impl fmt::Display for MatrixError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shape { operation, shapes } => {
                let shapes: Vec<_> = shapes.iter().map(|(m, n)| format!("{m}x{n}")).collect();
                let needed = match operation {
                    Operation::Multiply => "as many columns on the left as rows on the right",
                    _ => "a square matrix",
                };
                write!(f, "needs {needed}, and has {}", shapes.join(" and "))
            }
            Self::NotFinite => f.write_str("the matrix has values that are infinite or no numbers"),
            Self::Empty => f.write_str("the matrix is empty"),
            Self::Singular { condition } if condition.is_finite() => write!(
                f,
                "singular to double precision: the condition number is {condition:.1e}"
            ),
            Self::Singular { .. } => f.write_str("singular: there is no inverse"),
            Self::NoConvergence => f.write_str("the iteration did not converge"),
            Self::OutOfRange => f.write_str(
                "the result is too large or too small for double precision: multiply the matrix by \
                 a power of ten first",
            ),
            Self::Inaccurate { residual, bound } => write!(
                f,
                "the result is wrong: its residual is {residual:.1e}, and may be {bound:.1e}"
            ),
        }
    }
}

impl Error for MatrixError {}

/// The reason why a file gave no matrix.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReadError {
    /// The file could not be read.
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        error: io::Error,
    },
    /// The extension is neither `.npy` nor `.mtx`.
    Extension {
        /// The file.
        path: PathBuf,
    },
    /// The content is not that of the format.
    Content {
        /// The file.
        path: PathBuf,
        /// The line, in a text file.
        line: Option<usize>,
        /// What is wrong, and what to do.
        problem: String,
    },
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { path, error } => write!(f, "{}: cannot read: {error}", path.display()),
            Self::Extension { path } => write!(
                f,
                "{}: neither a .npy nor a .mtx file; save it with numpy.save or scipy.io.mmwrite",
                path.display()
            ),
            Self::Content {
                path,
                line: Some(line),
                problem,
            } => write!(f, "{}, line {line}: {problem}", path.display()),
            Self::Content { path, problem, .. } => write!(f, "{}: {problem}", path.display()),
        }
    }
}

impl Error for ReadError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io { error, .. } => Some(error),
            _ => None,
        }
    }
}
