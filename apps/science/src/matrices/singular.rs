//! The singular values of a matrix.

use super::compensated::{dot, rest};
use super::matrix::larger;
use super::multiply::Computed;
use super::scale::length;
use super::{Matrix, MatrixError, Precision, Refinement, Residual, Values};

/// Computes the singular values of a matrix.
pub(super) fn singular_values(
    matrix: &Matrix,
    precision: Precision,
) -> Result<Computed, MatrixError> {
    let solved = matrix.kernel().thin_svd();
    let solved = solved.map_err(|_| MatrixError::NoConvergence)?;
    let (left, right) = (
        Matrix::from_kernel(solved.U()),
        Matrix::from_kernel(solved.V()),
    );
    let mut values: Vec<f64> = solved.S().column_vector().iter().copied().collect();
    let transposed = matrix.transposed();
    let scale = values
        .iter()
        .fold(f64::MIN_POSITIVE, |most, value| most.max(*value));
    let (mut before, mut after, mut difference) = (0.0, 0.0, 0.0_f64);
    for (index, value) in values.iter_mut().enumerate() {
        let (u, v) = (left.column(index), right.column(index));
        let rest = rest(matrix, v, u, *value);
        let other = self::rest(&transposed, u, v, *value);
        before = larger(before, larger(length(&rest), length(&other)));
        if precision == Precision::High {
            // The lengths of both vectors are 1 but for their rounding.
            let excess = dot(u, u, 1.0) - dot(v, v, 1.0);
            let change = dot(u, &rest, 0.0) + 0.5 * *value * excess;
            *value = (*value + change).max(0.0);
            difference = difference.max(change.abs());
            let rest = self::rest(matrix, v, u, *value);
            let other = self::rest(&transposed, u, v, *value);
            after = larger(after, larger(length(&rest), length(&other)));
        }
    }
    values.sort_by(|one, other| other.total_cmp(one));
    let bound = 10.0 * matrix.rows().max(matrix.columns()) as f64 * f64::EPSILON;
    let value = match precision {
        Precision::Standard => before,
        Precision::High => after,
    };
    let refinement = (precision == Precision::High).then_some(Refinement {
        before: before / scale,
        difference: difference / scale,
        rounds: 1,
    });
    let value = value / scale;
    Ok(Computed {
        refinement,
        ..Computed::of(Values::Real(values), Residual { value, bound })
    })
}
