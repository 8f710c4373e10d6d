//! Sums of one block of numbers, in a fixed order.
//!
//! A block is summed in [`LANES`] lanes: number `i` is added to lane `i % LANES`, and then the
//! lanes are added in pairs. The compiler may not change the order of floating-point additions, and
//! in this order one vector instruction can add to several lanes at once.

use crate::Scalar;

/// The most numbers of a block.
pub(crate) const BLOCK: usize = 128;

/// Eight numbers of 32 bits fill a vector of AVX2. With other vectors there are several per
/// addition, or the last one is not full; the result is the same.
const LANES: usize = 8;

/// A sum, and the sum of the errors of its additions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Compensated<S> {
    sum: S,
    error: S,
}

/// Adds the numbers of a block.
pub(crate) fn sum<S: Scalar>(values: &[S]) -> S {
    let mut lanes = [S::NEUTRAL; LANES];
    let (groups, rest) = values.as_chunks::<LANES>();
    for group in groups {
        add(&mut lanes, group);
    }
    add(&mut lanes, rest);
    in_pairs(lanes, |a, b| a + b)
}

fn add<S: Scalar>(lanes: &mut [S; LANES], values: &[S]) {
    for (lane, &value) in lanes.iter_mut().zip(values) {
        *lane = *lane + value;
    }
}

/// Adds the numbers of a block, and collects the error of each addition.
pub(crate) fn sum_compensated<S: Scalar>(values: &[S]) -> Compensated<S> {
    // Two arrays instead of one of pairs, which would have to be taken apart for vectors.
    let mut sums = [S::NEUTRAL; LANES];
    let mut errors = [S::default(); LANES];
    let (groups, rest) = values.as_chunks::<LANES>();
    for group in groups {
        add_compensated(&mut sums, &mut errors, group);
    }
    add_compensated(&mut sums, &mut errors, rest);
    let lane = |index: usize| Compensated {
        sum: sums[index],
        error: errors[index],
    };
    in_pairs(std::array::from_fn(lane), Compensated::merge)
}

fn add_compensated<S: Scalar>(sums: &mut [S; LANES], errors: &mut [S; LANES], values: &[S]) {
    for ((sum, error), &value) in sums.iter_mut().zip(errors).zip(values) {
        let (next, lost) = add_exactly(*sum, value);
        *sum = next;
        *error = *error + lost;
    }
}

/// Returns the rounded sum of two numbers, and its error. As long as the sum is finite, the two
/// results are together exactly the sum of the arguments.
///
/// This is the step of Neumaier's summation (see [`Compute::sum_compensated`]): Dekker's exact
/// addition, which needs the number with the larger absolute value first.
///
/// [`Compute::sum_compensated`]: crate::Compute::sum_compensated
fn add_exactly<S: Scalar>(a: S, b: S) -> (S, S) {
    let (larger, smaller) = if a.abs() >= b.abs() { (a, b) } else { (b, a) };
    let sum = larger + smaller;
    (sum, (larger - sum) + smaller)
}

impl<S: Scalar> Compensated<S> {
    /// Adds two sums, and the errors of both and of this addition.
    pub(crate) fn merge(self, other: Self) -> Self {
        let (sum, lost) = add_exactly(self.sum, other.sum);
        let error = (self.error + other.error) + lost;
        Self { sum, error }
    }

    /// Returns the sum, corrected by its errors.
    pub(crate) fn value(self) -> S {
        // The error of a sum that overflowed is the difference of two infinities, a NaN.
        if self.sum.is_finite() {
            self.sum + self.error
        } else {
            self.sum
        }
    }
}

/// Combines the lanes in a tree: neighbors, then neighboring pairs, then the two halves.
fn in_pairs<T>(lanes: [T; LANES], combine: impl Fn(T, T) -> T) -> T {
    let [a, b, c, d, e, f, g, h] = lanes;
    let left = combine(combine(a, b), combine(c, d));
    let right = combine(combine(e, f), combine(g, h));
    combine(left, right)
}
