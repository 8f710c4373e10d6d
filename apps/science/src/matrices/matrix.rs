//! The matrix type of the contract.

use std::fmt;

use faer::MatRef;
pub use faer::c64 as Complex;
use insula::Payload;
use serde::{Deserialize, Serialize};

use super::scale;

/// A dense matrix of real numbers, stored column after column.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Untested")]
pub struct Matrix {
    rows: usize,
    columns: usize,
    values: Vec<f64>,
}

/// A matrix that comes from another process, with any number of values.
#[derive(Deserialize)]
struct Untested {
    rows: usize,
    columns: usize,
    values: Vec<f64>,
}

impl TryFrom<Untested> for Matrix {
    type Error = &'static str;

    fn try_from(untested: Untested) -> Result<Self, &'static str> {
        let Untested {
            rows,
            columns,
            values,
        } = untested;
        match rows.checked_mul(columns) == Some(values.len()) {
            true => Ok(Self {
                rows,
                columns,
                values,
            }),
            false => Err("a matrix with more or fewer values than its shape has"),
        }
    }
}

impl Matrix {
    /// The largest number of values. A larger matrix would need gigabytes for its result.
    pub const MOST_VALUES: usize = 1 << 28;

    /// Creates a matrix of zeros.
    pub fn zeros(rows: usize, columns: usize) -> Self {
        Self {
            rows,
            columns,
            values: vec![0.0; rows * columns],
        }
    }

    /// Creates the identity.
    pub fn identity(rows: usize) -> Self {
        Self::from_fn(rows, rows, |row, column| f64::from(u8::from(row == column)))
    }

    /// Creates a matrix from its values.
    pub fn from_fn(
        rows: usize,
        columns: usize,
        mut value: impl FnMut(usize, usize) -> f64,
    ) -> Self {
        let mut values = Vec::with_capacity(rows * columns);
        for column in 0..columns {
            values.extend((0..rows).map(|row| value(row, column)));
        }
        Self {
            rows,
            columns,
            values,
        }
    }

    /// Copies a matrix of the kernels.
    pub(super) fn from_kernel(matrix: MatRef<'_, f64>) -> Self {
        Self::from_fn(matrix.nrows(), matrix.ncols(), |row, column| {
            matrix[(row, column)]
        })
    }

    /// Returns the matrix as the kernels take it.
    pub(super) fn kernel(&self) -> MatRef<'_, f64> {
        MatRef::from_column_major_slice(&self.values, self.rows, self.columns)
    }

    /// Returns the number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Returns the number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Returns whether the numbers of rows and columns are equal.
    pub fn is_square(&self) -> bool {
        self.rows == self.columns
    }

    /// Returns whether the matrix equals its transpose.
    pub fn is_symmetric(&self) -> bool {
        self.is_square()
            && (0..self.columns)
                .all(|column| (0..column).all(|row| self.at(row, column) == self.at(column, row)))
    }

    /// Returns one value.
    ///
    /// # Panics
    /// If there is none.
    pub fn at(&self, row: usize, column: usize) -> f64 {
        self.column(column)[row]
    }

    /// Returns one column.
    ///
    /// # Panics
    /// If there is none.
    pub fn column(&self, column: usize) -> &[f64] {
        &self.values[column * self.rows..(column + 1) * self.rows]
    }

    /// Returns one column.
    ///
    /// # Panics
    /// If there is none.
    pub fn column_mut(&mut self, column: usize) -> &mut [f64] {
        &mut self.values[column * self.rows..(column + 1) * self.rows]
    }

    /// Returns all values, column after column.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    pub(super) fn values_mut(&mut self) -> &mut [f64] {
        &mut self.values
    }

    /// Returns the transpose.
    #[must_use]
    pub fn transposed(&self) -> Self {
        Self::from_fn(self.columns, self.rows, |row, column| self.at(column, row))
    }

    /// Returns whether all values are finite.
    pub fn is_finite(&self) -> bool {
        self.values.iter().all(|value| value.is_finite())
    }

    /// Returns the largest sum of the absolute values of a row.
    pub fn row_norm(&self) -> f64 {
        let mut sums = vec![0.0; self.rows];
        for column in 0..self.columns {
            for (sum, value) in sums.iter_mut().zip(self.column(column)) {
                *sum += value.abs();
            }
        }
        sums.into_iter().fold(0.0, larger)
    }

    /// Returns the root of the sum of the squares, after Frobenius.
    pub fn norm(&self) -> f64 {
        scale::length(&self.values)
    }

    /// Returns the largest absolute value.
    pub fn largest(&self) -> f64 {
        scale::largest(self.values.iter().copied())
    }

    /// Returns the largest difference to another matrix of the same shape, relative to the largest
    /// value of this one.
    pub fn difference(&self, other: &Self) -> f64 {
        let pairs = self.values.iter().zip(&other.values);
        let most = pairs.map(|(own, other)| (own - other).abs());
        most.fold(0.0, f64::max) / self.largest().max(f64::MIN_POSITIVE)
    }
}

/// The larger of two numbers, or NaN if one is none: `f64::max` would lose it.
pub(super) fn larger(one: f64, other: f64) -> f64 {
    if one.is_nan() || one > other {
        one
    } else {
        other
    }
}

impl fmt::Debug for Matrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Matrix({}x{})", self.rows, self.columns)
    }
}

impl Payload for Matrix {
    fn size_hint(&self) -> u64 {
        (size_of::<Self>() + size_of_val(self.values.as_slice())) as u64
    }
}
