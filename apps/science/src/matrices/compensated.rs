//! Sums in twice the precision.
//!
//! The error of an addition is a number that can be computed exactly (Knuth, 1969), and that of a
//! product too, with a fused multiplication and addition. A sum that keeps these errors has a
//! result as if it was computed in twice the precision and rounded once (Ogita, Rump and Oishi,
//! 2005).

use pulp::Arch;

use super::Matrix;

/// A column of sums, each of a rounded part and what the rounding has lost.
#[derive(Debug)]
pub(super) struct Sums {
    high: Vec<f64>,
    low: Vec<f64>,
    arch: Arch,
}

impl Sums {
    /// Creates so many sums of nothing.
    pub(super) fn new(count: usize) -> Self {
        Self {
            high: vec![0.0; count],
            low: vec![0.0; count],
            arch: Arch::new(),
        }
    }

    pub(super) fn clear(&mut self) {
        self.high.fill(0.0);
        self.low.fill(0.0);
    }

    /// Adds `factor` times one value to each sum.
    pub(super) fn add(&mut self, values: &[f64], factor: f64) {
        let (high, low) = (&mut self.high, &mut self.low);
        self.arch.dispatch(
            #[inline(always)]
            || add(high, low, values, factor),
        );
    }

    /// Adds a matrix times a vector.
    pub(super) fn add_product(&mut self, matrix: &Matrix, vector: &[f64]) {
        for (column, factor) in vector.iter().enumerate() {
            self.add(matrix.column(column), *factor);
        }
    }

    /// Writes the sums to a slice, rounded.
    pub(super) fn round_to(&self, to: &mut [f64]) {
        for ((to, high), low) in to.iter_mut().zip(&self.high).zip(&self.low) {
            *to = high + low;
        }
    }

    /// Returns the rounded sums.
    pub(super) fn rounded(&self) -> Vec<f64> {
        let mut rounded = vec![0.0; self.high.len()];
        self.round_to(&mut rounded);
        rounded
    }
}

// A loop without a reduction, which the compiler turns into vector instructions.
#[inline(always)]
fn add(high: &mut [f64], low: &mut [f64], values: &[f64], factor: f64) {
    for ((high, low), value) in high.iter_mut().zip(low).zip(values) {
        let product = value * factor;
        let product_error = value.mul_add(factor, -product);
        let sum = *high + product;
        let part = sum - *high;
        let sum_error = (*high - (sum - part)) + (product - part);
        *high = sum;
        *low += sum_error + product_error;
    }
}

/// Returns the matrix times `vector`, less the value times `image`.
pub(super) fn rest(matrix: &Matrix, vector: &[f64], image: &[f64], value: f64) -> Vec<f64> {
    let mut sums = Sums::new(matrix.rows());
    sums.add_product(matrix, vector);
    sums.add(image, -value);
    sums.rounded()
}

/// Returns the product of two vectors, less `less`.
pub(super) fn dot(left: &[f64], right: &[f64], less: f64) -> f64 {
    let mut sums = Sums::new(1);
    for (left, right) in left.iter().zip(right) {
        sums.add(&[*left], *right);
    }
    sums.add(&[less], -1.0);
    sums.high[0] + sums.low[0]
}
