//! The inverse of a matrix.

use faer::linalg::solvers::DenseSolveCore;

use super::compensated::Sums;
use super::multiply::Computed;
use super::{Matrix, MatrixError, Operation, Precision, Refinement, Residual, Values};

/// More corrections change nothing: each one doubles the number of right digits.
const MOST_ROUNDS: u32 = 4;

/// Inverts a matrix.
pub(super) fn invert(matrix: &Matrix, precision: Precision) -> Result<Computed, MatrixError> {
    if !matrix.is_square() {
        return Err(MatrixError::Shape {
            operation: Operation::Invert,
            shapes: vec![(matrix.rows(), matrix.columns())],
        });
    }
    let mut inverse = Matrix::from_kernel(matrix.kernel().partial_piv_lu().inverse().as_ref());
    let condition = condition(matrix, &inverse)?;
    let mut rest = rest(matrix, &inverse);
    let before = residual(matrix, &inverse, &rest);
    if precision == Precision::Standard {
        return Ok(Computed {
            condition: Some(condition),
            ..Computed::of(Values::Matrix(inverse), before)
        });
    }
    let standard = inverse.clone();
    let (mut rounds, mut last) = (0, f64::INFINITY);
    while rounds < MOST_ROUNDS {
        let next = correct(&inverse, &rest);
        // Not the residual: that of the right inverse is the one of its rounding, and so as large
        // as the one of a bad inverse of a bad matrix.
        let change = next.difference(&inverse);
        if change == 0.0 || change > 0.5 * last {
            break;
        }
        inverse = next;
        rest = self::rest(matrix, &inverse);
        last = change;
        rounds += 1;
        if change <= f64::EPSILON {
            break;
        }
    }
    let refinement = Refinement {
        before: before.value,
        difference: inverse.difference(&standard),
        rounds,
    };
    let residual = residual(matrix, &inverse, &rest);
    Ok(Computed {
        values: Values::Matrix(inverse),
        residual,
        refinement: Some(refinement),
        condition: Some(condition),
    })
}

/// Returns the condition number.
fn condition(matrix: &Matrix, inverse: &Matrix) -> Result<f64, MatrixError> {
    let condition = match inverse.is_finite() {
        true => matrix.row_norm() * inverse.row_norm(),
        false => f64::INFINITY,
    };
    // A matrix that is singular, and differs from this one by roundings, cannot be told from it.
    if condition < 1.0 / f64::EPSILON {
        Ok(condition)
    } else {
        Err(MatrixError::Singular { condition })
    }
}

/// Returns the identity less the matrix times its inverse.
fn rest(matrix: &Matrix, inverse: &Matrix) -> Matrix {
    let mut rest = Matrix::zeros(matrix.rows(), matrix.rows());
    let mut sums = Sums::new(matrix.rows());
    let mut unit = vec![0.0; matrix.rows()];
    let negative: Vec<f64> = inverse.values().iter().map(|value| -value).collect();
    for (column, factors) in negative.chunks(matrix.rows()).enumerate() {
        sums.clear();
        unit[column] = 1.0;
        sums.add(&unit, 1.0);
        unit[column] = 0.0;
        sums.add_product(matrix, factors);
        sums.round_to(rest.column_mut(column));
    }
    rest
}

/// Returns `inverse + inverse rest`, a step of the method of Newton and Schulz. The sum is rounded
/// once, since the second term is small.
fn correct(inverse: &Matrix, rest: &Matrix) -> Matrix {
    let change = inverse.kernel() * rest.kernel();
    Matrix::from_fn(inverse.rows(), inverse.columns(), |row, column| {
        inverse.at(row, column) + change[(row, column)]
    })
}

fn residual(matrix: &Matrix, inverse: &Matrix, rest: &Matrix) -> Residual {
    let scale = matrix.row_norm() * inverse.row_norm();
    Residual {
        value: rest.row_norm() / scale,
        bound: 4.0 * matrix.rows() as f64 * f64::EPSILON,
    }
}
