//! Matrices that need no file.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

use super::Matrix;

/// A kind of matrix and its size. Its text is `KIND:ROWS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generate {
    /// Numbers from -1 to 1.
    Random(usize),
    /// Such a matrix times its transpose, and the identity: symmetric and positive definite.
    Positive(usize),
    /// `1 / (row + column + 1)`: symmetric, and harder to invert than any other of its size.
    Hilbert(usize),
    /// 2 on the diagonal and -1 beside it: the second difference, whose eigenvalues are known.
    Difference(usize),
}

impl Generate {
    /// Makes the matrix. The same seed gives the same bits.
    pub fn matrix(self, seed: u64) -> Matrix {
        match self {
            Self::Random(rows) => random(rows, seed),
            Self::Positive(rows) => {
                let factor = random(rows, seed);
                let square = factor.kernel() * factor.kernel().transpose();
                Matrix::from_fn(rows, rows, |row, column| {
                    // The two halves of a product may differ in their last bits.
                    let (low, high) = (row.min(column), row.max(column));
                    square[(high, low)] + f64::from(u8::from(row == column))
                })
            }
            Self::Hilbert(rows) => {
                Matrix::from_fn(rows, rows, |row, column| 1.0 / (row + column + 1) as f64)
            }
            Self::Difference(rows) => {
                Matrix::from_fn(rows, rows, |row, column| match row.abs_diff(column) {
                    0 => 2.0,
                    1 => -1.0,
                    _ => 0.0,
                })
            }
        }
    }
}

fn random(rows: usize, seed: u64) -> Matrix {
    let mut random = fastrand::Rng::with_seed(seed);
    Matrix::from_fn(rows, rows, |_, _| 2.0 * random.f64() - 1.0)
}

impl fmt::Display for Generate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, rows) = match self {
            Self::Random(rows) => ("random", rows),
            Self::Positive(rows) => ("positive", rows),
            Self::Hilbert(rows) => ("hilbert", rows),
            Self::Difference(rows) => ("difference", rows),
        };
        write!(f, "{kind}-{rows}")
    }
}

/// A text that names no matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseGenerateError;

impl fmt::Display for ParseGenerateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "expected KIND:ROWS, where KIND is random, positive, hilbert or difference, and ROWS a \
             number from 1 to 16384",
        )
    }
}

impl Error for ParseGenerateError {}

impl FromStr for Generate {
    type Err = ParseGenerateError;

    fn from_str(text: &str) -> Result<Self, ParseGenerateError> {
        let (kind, rows) = text.split_once(':').ok_or(ParseGenerateError)?;
        let rows: usize = rows.parse().map_err(|_| ParseGenerateError)?;
        if rows == 0 || rows > Matrix::MOST_VALUES.isqrt() {
            return Err(ParseGenerateError);
        }
        match kind {
            "random" => Ok(Self::Random(rows)),
            "positive" => Ok(Self::Positive(rows)),
            "hilbert" => Ok(Self::Hilbert(rows)),
            "difference" => Ok(Self::Difference(rows)),
            _ => Err(ParseGenerateError),
        }
    }
}
