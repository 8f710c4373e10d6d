//! What is asked of a worker, and what it answers.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use insula::Payload;
use serde::{Deserialize, Serialize};

use super::{Complex, Matrix, scale};

/// The operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Operation {
    /// The product of two matrices.
    Multiply,
    /// The inverse.
    Invert,
    /// The eigenvalues.
    Eigenvalues,
    /// The singular values.
    SingularValues,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Multiply => "multiply",
            Self::Invert => "invert",
            Self::Eigenvalues => "eigenvalues",
            Self::SingularValues => "singular-values",
        })
    }
}

/// An operation with its matrices. They are shared with the caller, so no call copies one, unless its
/// worker is in another process.
///
/// ```
/// use std::sync::Arc;
/// use science::matrices::{Matrix, MatrixError, Precision, Task, Values};
///
/// # fn main() -> Result<(), MatrixError> {
/// let matrix = Matrix::from_fn(2, 2, |row, column| [[2.0, 1.0], [1.0, 2.0]][row][column]);
/// let solution = Task::Eigenvalues(Arc::new(matrix)).solve(Precision::High)?;
/// assert_eq!(solution.values, Values::Real(vec![1.0, 3.0]));
/// assert!(solution.residual.value < 1e-15);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Task {
    /// Computes `left` times `right`.
    Multiply {
        /// The first factor.
        left: Arc<Matrix>,
        /// The second factor.
        right: Arc<Matrix>,
    },
    /// Computes the inverse.
    Invert(Arc<Matrix>),
    /// Computes the eigenvalues.
    Eigenvalues(Arc<Matrix>),
    /// Computes the singular values.
    SingularValues(Arc<Matrix>),
}

impl Task {
    /// Returns the operation.
    pub fn operation(&self) -> Operation {
        match self {
            Self::Multiply { .. } => Operation::Multiply,
            Self::Invert(_) => Operation::Invert,
            Self::Eigenvalues(_) => Operation::Eigenvalues,
            Self::SingularValues(_) => Operation::SingularValues,
        }
    }

    /// Returns the matrices.
    pub fn matrices(&self) -> Vec<&Matrix> {
        match self {
            Self::Multiply { left, right } => vec![left, right],
            Self::Invert(matrix) | Self::Eigenvalues(matrix) | Self::SingularValues(matrix) => {
                vec![matrix]
            }
        }
    }
}

/// The precision of a result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Precision {
    /// What the kernel returns.
    #[default]
    Standard,
    /// Refined with residuals of twice the precision.
    High,
}

/// A result, and how good it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Solution {
    /// The result.
    pub values: Values,
    /// How well it fits the input.
    pub residual: Residual,
    /// What the refinement has changed, with [`Precision::High`].
    pub refinement: Option<Refinement>,
    /// For an inverse the condition number: by how much an error of the input is magnified.
    pub condition: Option<f64>,
    /// The time of the operation and of its check.
    pub time: Duration,
}

/// The values of a result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Values {
    /// A product or an inverse.
    Matrix(Matrix),
    /// Singular values from the largest on, or eigenvalues of a symmetric matrix from the smallest
    /// on.
    Real(Vec<f64>),
    /// Eigenvalues, by real and then by imaginary part.
    Complex(#[serde(with = "pairs")] Vec<Complex>),
}

impl Values {
    /// Returns the largest absolute value of a number or of its parts, or NaN if there is one.
    pub(super) fn largest(&self) -> f64 {
        match self {
            Self::Matrix(matrix) => matrix.largest(),
            Self::Real(values) => scale::largest(values.iter().copied()),
            Self::Complex(values) => scale::largest(values.iter().flat_map(|it| [it.re, it.im])),
        }
    }

    /// Returns whether the largest value is a normal number.
    pub(super) fn is_in_range(&self) -> bool {
        (f64::MIN_POSITIVE..=f64::MAX).contains(&self.largest())
    }

    /// Multiplies all values by a power of two.
    pub(super) fn shift(&mut self, exponent: i32) {
        match self {
            Self::Matrix(matrix) => scale::shift(matrix.values_mut(), exponent),
            Self::Real(values) => scale::shift(values, exponent),
            Self::Complex(values) => {
                for value in values {
                    let mut parts = [value.re, value.im];
                    scale::shift(&mut parts, exponent);
                    *value = Complex::new(parts[0], parts[1]);
                }
            }
        }
    }
}

/// Complex numbers as pairs, since their own type is none of serde's.
mod pairs {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Complex;

    pub(super) fn serialize<S: Serializer>(
        values: &[Complex],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(values.iter().map(|it| (it.re, it.im)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<Complex>, D::Error> {
        let pairs: Vec<(f64, f64)> = Vec::deserialize(deserializer)?;
        Ok(pairs
            .into_iter()
            .map(|(re, im)| Complex::new(re, im))
            .collect())
    }
}

/// A relative error, seen from the result.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Residual {
    /// The largest one.
    pub value: f64,
    /// What a right result may have.
    pub bound: f64,
}

impl Residual {
    /// Returns whether the result is right. Not if the residual is no number.
    pub fn is_within_bound(&self) -> bool {
        self.value <= self.bound
    }
}

/// The effect of a refinement.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Refinement {
    /// The residual before.
    pub before: f64,
    /// The largest change of a value, relative to the largest value.
    pub difference: f64,
    /// The number of corrections.
    pub rounds: u32,
}

impl Payload for Solution {
    fn size_hint(&self) -> u64 {
        let owned = match &self.values {
            Values::Matrix(matrix) => size_of_val(matrix.values()),
            Values::Real(values) => size_of_val(values.as_slice()),
            Values::Complex(values) => size_of_val(values.as_slice()),
        };
        (size_of::<Self>() + owned) as u64
    }
}
