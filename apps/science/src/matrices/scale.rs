//! Lengths of vectors, and operations on matrices of very large or very small values.
//!
//! The square of 10¹⁷⁰ is infinite in double precision, and that of 10⁻¹⁷⁰ is zero, so a norm of such
//! values says nothing about them. They are multiplied by a power of two first, which changes no
//! digit. Values that are near 1 are left as they are.

use std::borrow::Cow;

use super::matrix::larger;
use super::multiply::Computed;
use super::{Matrix, MatrixError};

/// Up to this power of two a value is near 1: products of four such values are within the range of
/// double precision.
const NEAR: i32 = 200;

/// Returns the power of two next to a positive number, or 0 if that is near 1. Zero, infinity and
/// NaN have none, which is 0 too.
pub(super) fn exponent(value: f64) -> i32 {
    if value == 0.0 || !value.is_finite() {
        return 0;
    }
    let exponent = value.log2() as i32;
    if exponent.abs() > NEAR { exponent } else { 0 }
}

/// Multiplies values by a power of two. That is exact, unless a product is outside of the range of
/// normal numbers.
pub(super) fn shift(values: &mut [f64], exponent: i32) {
    // In three steps, since the power alone may be outside of the range.
    let third = exponent / 3;
    for part in [third, third, exponent - 2 * third] {
        let factor = 2.0_f64.powi(part);
        values.iter_mut().for_each(|value| *value *= factor);
    }
}

/// Returns the largest absolute value, or NaN if there is one.
pub(super) fn largest(values: impl IntoIterator<Item = f64>) -> f64 {
    values
        .into_iter()
        .fold(0.0, |most, value| larger(most, value.abs()))
}

/// Returns the root of the sum of the squares.
pub(super) fn length(values: &[f64]) -> f64 {
    let exponent = exponent(largest(values.iter().copied()));
    let mut near = Cow::Borrowed(values);
    if exponent != 0 {
        shift(near.to_mut(), -exponent);
    }
    let squares: f64 = near.iter().map(|value| value * value).sum();
    let mut length = [squares.sqrt()];
    shift(&mut length, exponent);
    length[0]
}

/// Returns the matrix if its values are near 1, or else its product with a power of two whose values
/// are; and the exponent of what has been taken out.
pub(super) fn near_one(matrix: &Matrix) -> (Cow<'_, Matrix>, i32) {
    let exponent = exponent(matrix.largest());
    (shifted(matrix, -exponent), exponent)
}

/// Returns the product of a matrix and a power of two.
pub(super) fn shifted(matrix: &Matrix, exponent: i32) -> Cow<'_, Matrix> {
    let mut shifted = Cow::Borrowed(matrix);
    if exponent != 0 {
        shift(shifted.to_mut().values_mut(), exponent);
    }
    shifted
}

/// Does an operation on a matrix whose values are near 1, and returns the result for `matrix`. The
/// result grows with the matrix to the power of `degree`.
///
/// # Errors
/// Those of the operation, and one if no value of the result is within the range of double
/// precision.
pub(super) fn scaled(
    matrix: &Matrix,
    degree: i32,
    operation: impl FnOnce(&Matrix) -> Result<Computed, MatrixError>,
) -> Result<Computed, MatrixError> {
    let (near, exponent) = near_one(matrix);
    let mut computed = operation(&near)?;
    if exponent != 0 && computed.values.largest() > 0.0 {
        computed.values.shift(degree * exponent);
        if !computed.values.is_in_range() {
            return Err(MatrixError::OutOfRange);
        }
    }
    Ok(computed)
}
