//! The eigenvalues of a matrix.

use faer::linalg::solvers::DenseSolveCore;
use faer::{Mat, MatRef, Side};

use super::compensated::{Sums, dot, rest};
use super::matrix::larger;
use super::multiply::Computed;
use super::scale::{exponent, largest, length, shift};
use super::{Complex, Matrix, MatrixError, Operation, Precision, Refinement, Residual, Values};

/// Computes the eigenvalues of a matrix: real ones if it is symmetric.
pub(super) fn eigenvalues(matrix: &Matrix, precision: Precision) -> Result<Computed, MatrixError> {
    if !matrix.is_square() {
        return Err(MatrixError::Shape {
            operation: Operation::Eigenvalues,
            shapes: vec![(matrix.rows(), matrix.columns())],
        });
    }
    if matrix.is_symmetric() {
        symmetric(matrix, precision)
    } else {
        general(matrix, precision)
    }
}

fn symmetric(matrix: &Matrix, precision: Precision) -> Result<Computed, MatrixError> {
    let solved = matrix.kernel().self_adjoint_eigen(Side::Lower);
    let solved = solved.map_err(|_| MatrixError::NoConvergence)?;
    let vectors = Matrix::from_kernel(solved.U());
    let mut values: Vec<f64> = solved.S().column_vector().iter().copied().collect();
    let scale = matrix.norm().max(f64::MIN_POSITIVE);
    let (mut before, mut after, mut difference) = (0.0, 0.0, 0.0_f64);
    for (index, value) in values.iter_mut().enumerate() {
        let vector = vectors.column(index);
        let rest = rest(matrix, vector, vector, *value);
        before = larger(before, length(&rest));
        if precision == Precision::High {
            let change = dot(vector, &rest, 0.0) / dot(vector, vector, 0.0);
            *value += change;
            difference = difference.max(change.abs());
            let rest = self::rest(matrix, vector, vector, *value);
            after = larger(after, length(&rest));
        }
    }
    values.sort_by(f64::total_cmp);
    let quality = Quality {
        before: before / scale,
        after: after / scale,
        difference: difference / largest(values.iter().copied()).max(f64::MIN_POSITIVE),
    };
    Ok(quality.computed(Values::Real(values), matrix.rows(), precision))
}

fn general(matrix: &Matrix, precision: Precision) -> Result<Computed, MatrixError> {
    let solved = matrix.kernel().eigen();
    let solved = solved.map_err(|_| MatrixError::NoConvergence)?;
    let mut values: Vec<Complex> = solved.S().column_vector().iter().copied().collect();
    let scale = matrix.norm().max(f64::MIN_POSITIVE);
    // The rows of the inverse are the vectors from the left.
    let left = (precision == Precision::High).then(|| solved.U().partial_piv_lu().inverse());
    let (mut before, mut after, mut difference) = (0.0, 0.0, 0.0_f64);
    for (index, value) in values.iter_mut().enumerate() {
        let vector = Parts::of(solved.U(), index);
        let rest = vector.rest(matrix, *value);
        before = larger(before, rest.length());
        let Some(left) = &left else { continue };
        let change = quotient(left, index, &vector, &rest);
        // None for vectors that depend on each other, as those of a matrix that cannot be
        // diagonalized do.
        if change.re.is_finite() && change.im.is_finite() && change.norm() <= rest.length() * 1e3 {
            *value += change;
            difference = difference.max(change.norm());
        }
        after = larger(after, vector.rest(matrix, *value).length());
    }
    values.sort_by(|one, other| {
        one.re
            .total_cmp(&other.re)
            .then_with(|| one.im.total_cmp(&other.im))
    });
    let quality = Quality {
        before: before / scale,
        after: after / scale,
        difference: difference / largest(values.iter().map(|it| it.norm())).max(f64::MIN_POSITIVE),
    };
    Ok(quality.computed(Values::Complex(values), matrix.rows(), precision))
}

struct Quality {
    before: f64,
    after: f64,
    difference: f64,
}

impl Quality {
    fn computed(self, values: Values, rows: usize, precision: Precision) -> Computed {
        let bound = 10.0 * rows as f64 * f64::EPSILON;
        let refinement = (precision == Precision::High).then_some(Refinement {
            before: self.before,
            difference: self.difference,
            rounds: 1,
        });
        let value = match refinement {
            Some(_) => self.after,
            None => self.before,
        };
        Computed {
            refinement,
            ..Computed::of(values, Residual { value, bound })
        }
    }
}

/// A vector of complex numbers, by its two parts.
struct Parts {
    re: Vec<f64>,
    im: Vec<f64>,
}

impl Parts {
    fn of(vectors: MatRef<'_, Complex>, column: usize) -> Self {
        let column = vectors.col(column);
        let mut parts = Self {
            re: column.iter().map(|value| value.re).collect(),
            im: column.iter().map(|value| value.im).collect(),
        };
        // The kernel returns vectors of any length, for a matrix that cannot be diagonalized of a
        // very large one. A quotient by an infinite length would be a vector of zeros, whose rest is
        // zero whatever the value is.
        let exponent = exponent(largest(parts.re.iter().chain(&parts.im).copied()));
        shift(&mut parts.re, -exponent);
        shift(&mut parts.im, -exponent);
        let length = parts.length();
        let values = parts.re.iter_mut().chain(&mut parts.im);
        values.for_each(|value| *value /= length);
        parts
    }

    /// Returns the matrix times this vector, less the value times this vector.
    fn rest(&self, matrix: &Matrix, value: Complex) -> Self {
        let mut sums = [Sums::new(matrix.rows()), Sums::new(matrix.rows())];
        let [re, im] = &mut sums;
        re.add_product(matrix, &self.re);
        re.add(&self.re, -value.re);
        re.add(&self.im, value.im);
        im.add_product(matrix, &self.im);
        im.add(&self.re, -value.im);
        im.add(&self.im, -value.re);
        Self {
            re: re.rounded(),
            im: im.rounded(),
        }
    }

    fn length(&self) -> f64 {
        length(&self.re).hypot(length(&self.im))
    }

    fn at(&self, index: usize) -> Complex {
        Complex::new(self.re[index], self.im[index])
    }
}

/// The change of an eigenvalue, which the vectors from both sides give: the quotient of Rayleigh.
fn quotient(left: &Mat<Complex>, index: usize, vector: &Parts, rest: &Parts) -> Complex {
    let zero = Complex::new(0.0, 0.0);
    let (mut above, mut below) = (zero, zero);
    for column in 0..left.ncols() {
        above += left[(index, column)] * rest.at(column);
        below += left[(index, column)] * vector.at(column);
    }
    above / below
}
