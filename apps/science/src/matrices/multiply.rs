//! The product of two matrices.

use super::compensated::Sums;
use super::matrix::larger;
use super::scale::{near_one, shifted};
use super::{Matrix, MatrixError, Operation, Precision, Refinement, Residual, Values};

/// A result without its time.
pub(super) struct Computed {
    pub(super) values: Values,
    pub(super) residual: Residual,
    pub(super) refinement: Option<Refinement>,
    pub(super) condition: Option<f64>,
}

/// Multiplies two matrices.
pub(super) fn multiply(
    left: &Matrix,
    right: &Matrix,
    precision: Precision,
) -> Result<Computed, MatrixError> {
    if left.columns() != right.rows() {
        return Err(MatrixError::Shape {
            operation: Operation::Multiply,
            shapes: [left, right].map(|m| (m.rows(), m.columns())).to_vec(),
        });
    }
    let product = Matrix::from_kernel((left.kernel() * right.kernel()).as_ref());
    let residual = residual(left, right, &product);
    if precision == Precision::Standard {
        return Ok(Computed::of(Values::Matrix(product), residual));
    }
    let refined = round_once(left, right);
    let refinement = Refinement {
        before: residual.value,
        difference: refined.difference(&product),
        rounds: 1,
    };
    let residual = self::residual(left, right, &refined);
    Ok(Computed {
        refinement: Some(refinement),
        ..Computed::of(Values::Matrix(refined), residual)
    })
}

impl Computed {
    pub(super) fn of(values: Values, residual: Residual) -> Self {
        Self {
            values,
            residual,
            refinement: None,
            condition: None,
        }
    }
}

/// Computes each value in twice the precision, and rounds it.
fn round_once(left: &Matrix, right: &Matrix) -> Matrix {
    let mut product = Matrix::zeros(left.rows(), right.columns());
    let mut sums = Sums::new(left.rows());
    for column in 0..right.columns() {
        sums.clear();
        sums.add_product(left, right.column(column));
        sums.round_to(product.column_mut(column));
    }
    product
}

/// The largest value of `(product - left right) x`, where each value of x is 1 or -1, relative to
/// the norms of the factors. The method of Freivalds (1977): it takes the square of the time that
/// the product takes to the third, and a wrong value is seen whatever x is, unless it meets others
/// that cancel it.
///
/// The check is done near 1, and the product is not: its values may be of any size, those of one
/// factor large and those of the other one small.
fn residual(left: &Matrix, right: &Matrix, product: &Matrix) -> Residual {
    let ((left, by_left), (right, by_right)) = (near_one(left), near_one(right));
    let product = shifted(product, -by_left - by_right);
    let mut random = fastrand::Rng::with_seed(1);
    let mut value = 0.0_f64;
    for _ in 0..3 {
        let signs: Vec<f64> = (0..right.columns())
            .map(|_| if random.bool() { 1.0 } else { -1.0 })
            .collect();
        let mut inner = Sums::new(right.rows());
        inner.add_product(&right, &signs);
        // The rounding of this vector alone is within the bound.
        let inner: Vec<f64> = inner.rounded().iter().map(|value| -value).collect();
        let mut sums = Sums::new(left.rows());
        sums.add_product(&product, &signs);
        sums.add_product(&left, &inner);
        for rest in sums.rounded() {
            value = larger(value, rest.abs());
        }
    }
    let scale = (left.row_norm() * right.row_norm()).max(f64::MIN_POSITIVE);
    Residual {
        value: value / scale,
        bound: 2.0 * (left.columns() as f64 + 1.0) * f64::EPSILON,
    }
}
