//! Reductions whose results do not depend on the width.

use std::ops::Range;

use crate::kernel::{self, BLOCK, Compensated};
use crate::tree::tree;
use crate::{Compute, Scalar};

/// The most blocks that are summed by one thread without a look at whether another one could take a
/// half: 65,536 numbers, so that waking a thread is little beside its share. The grain changes the
/// time of a sum and not its result: the tree of additions is the same for each grain.
const GRAIN: usize = 512;

impl Compute {
    /// Splits the slice into chunks, maps each of them, and combines the results in pairs: those of
    /// neighboring chunks, then neighboring results of that, and so on. The last one of an odd number
    /// is passed on. Returns `None` for an empty slice.
    ///
    /// The result depends on the values and on `chunk_len`, and neither on the width nor on the
    /// time that anything takes, also if `combine` is not associative. `map` gets the index of the
    /// first value of its chunk, and the chunk. A `chunk_len` of 0 is taken as 1.
    ///
    /// ```
    /// use insula_compute::Compute;
    ///
    /// let compute = Compute::new();
    /// let text = compute.reduce(
    ///     &['a', 'b', 'c', 'd', 'e'],
    ///     1,
    ///     |_start, chunk| chunk[0].to_string(),
    ///     |left, right| format!("({left}{right})"),
    /// );
    /// assert_eq!(text.as_deref(), Some("(((ab)(cd))e)"));
    /// ```
    ///
    /// # Blocking
    /// The calling thread blocks until the result is there. Nested calls and thread-local values are
    /// as with [`parallel`](Self::parallel). With a width of 1, or for a single chunk, all runs on
    /// the calling thread.
    ///
    /// # Panics
    /// If `map` or `combine` panics, with the payload.
    pub fn reduce<T, R>(
        &self,
        values: &[T],
        chunk_len: usize,
        map: impl Fn(usize, &[T]) -> R + Sync,
        combine: impl Fn(R, R) -> R + Sync,
    ) -> Option<R>
    where
        T: Sync,
        R: Send,
    {
        let map = |range: Range<usize>| map(range.start, &values[range]);
        self.reduce_ranges(values.len(), chunk_len.max(1), 1, map, combine)
    }

    /// Returns the sum of the numbers. That of no numbers is 0.
    ///
    /// # Accuracy
    /// Let `u` be the unit roundoff of the type (2⁻⁵³ for `f64`, 2⁻²⁴ for `f32`), and
    /// γ(k) = ku / (1 - ku). The absolute error is at most γ(h) Σ|xᵢ|, where h is the most additions
    /// that one number passes through: 18 + ⌈log₂ ⌈n / 128⌉⌉ for n numbers. For a million numbers h
    /// is 31, where a loop has 999,999. (Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd
    /// edition, SIAM 2002, section 4.2. Blocks of 128 numbers are summed in 8 lanes, and the blocks in
    /// pairs.)
    ///
    /// Infinities and NaN propagate. A partial sum may overflow where another order would not.
    ///
    /// # Blocking
    /// As [`reduce`](Self::reduce).
    pub fn sum<S: Scalar>(&self, values: &[S]) -> S {
        self.sum_terms(values.len(), |range, terms| {
            terms.copy_from_slice(&values[range]);
        })
    }

    /// Returns the sum of the numbers, computed in the [wide](Scalar::Wide) type.
    ///
    /// # Accuracy
    /// As [`sum`](Self::sum), with the unit roundoff of the wide type.
    ///
    /// # Blocking
    /// As [`reduce`](Self::reduce).
    pub fn sum_mixed<S: Scalar>(&self, values: &[S]) -> S::Wide {
        self.sum_terms(values.len(), |range, terms| {
            for (term, value) in terms.iter_mut().zip(&values[range]) {
                *term = value.widen();
            }
        })
    }

    /// Returns the sum of the numbers, corrected by the errors of all its additions. That of no
    /// numbers is 0.
    ///
    /// This is Neumaier's summation (A. Neumaier, *Rundungsfehleranalyse einiger Verfahren zur
    /// Summation endlicher Summen*, ZAMM 54, 1974, pages 39 to 51), in the order of
    /// [`sum`](Self::sum): the error of an addition is computed exactly, and the errors are summed
    /// beside the numbers.
    ///
    /// ```
    /// use insula_compute::Compute;
    ///
    /// let compute = Compute::new();
    /// let values = [1.0, 1e100, 1.0, -1e100];
    /// assert_eq!(compute.sum(&values), 0.0);
    /// assert_eq!(compute.sum_compensated(&values), 2.0);
    /// ```
    ///
    /// # Accuracy
    /// With the terms of [`sum`](Self::sum), the absolute error is at most
    /// u |Σxᵢ| + γ(2h)² Σ|xᵢ|, about that of a sum that is computed with twice as many digits and
    /// then rounded. (Higham, section 4.3, on compensated summation. The bound is
    /// proved for a loop by T. Ogita, S. M. Rump and S. Oishi, *Accurate Sum and Dot Product*, SIAM
    /// Journal on Scientific Computing 26, 2005, proposition 4.5; of the order their proof uses only
    /// how many additions a number and an error pass through, here at most h and 2h.)
    ///
    /// If the plain sum is infinite or NaN, so is this one.
    ///
    /// # Blocking
    /// As [`reduce`](Self::reduce).
    pub fn sum_compensated<S: Scalar>(&self, values: &[S]) -> S {
        let block = |range| kernel::sum_compensated(&values[range]);
        let sum = self.reduce_ranges(values.len(), BLOCK, GRAIN, block, Compensated::merge);
        sum.map_or_else(S::default, Compensated::value)
    }

    /// Returns the sum of the products of the numbers at the same index. That of no numbers is 0.
    ///
    /// # Accuracy
    /// The absolute error is at most γ(h + 1) Σ|aᵢbᵢ|, with the terms of [`sum`](Self::sum), as long
    /// as no product underflows. (Higham, section 3.1.)
    ///
    /// # Blocking
    /// As [`reduce`](Self::reduce).
    ///
    /// # Panics
    /// If the slices have different lengths.
    pub fn dot<S: Scalar>(&self, a: &[S], b: &[S]) -> S {
        assert_same_length(a.len(), b.len());
        self.sum_terms(a.len(), |range, terms| {
            let factors = a[range.clone()].iter().zip(&b[range]);
            for (term, (&a, &b)) in terms.iter_mut().zip(factors) {
                *term = a * b;
            }
        })
    }

    /// Returns the sum of the products of the numbers at the same index, computed in the
    /// [wide](Scalar::Wide) type.
    ///
    /// # Accuracy
    /// The product of two `f32` has no error in `f64`, so the absolute error of their sum is at most
    /// γ(h) Σ|aᵢbᵢ| with u = 2⁻⁵³. Numbers of type `f64` are as with [`dot`](Self::dot).
    ///
    /// # Blocking
    /// As [`reduce`](Self::reduce).
    ///
    /// # Panics
    /// If the slices have different lengths.
    pub fn dot_mixed<S: Scalar>(&self, a: &[S], b: &[S]) -> S::Wide {
        assert_same_length(a.len(), b.len());
        self.sum_terms(a.len(), |range, terms| {
            let factors = a[range.clone()].iter().zip(&b[range]);
            for (term, (a, b)) in terms.iter_mut().zip(factors) {
                *term = a.widen() * b.widen();
            }
        })
    }

    /// Sums `len` terms, which `write` writes for one block after the other.
    fn sum_terms<S: Scalar>(&self, len: usize, write: impl Fn(Range<usize>, &mut [S]) + Sync) -> S {
        let block = |range: Range<usize>| {
            let mut terms = [S::default(); BLOCK];
            let terms = &mut terms[..range.len()];
            write(range, terms);
            kernel::sum(terms)
        };
        let sum = self.reduce_ranges(len, BLOCK, GRAIN, block, |a, b| a + b);
        sum.unwrap_or_default()
    }

    /// Reduces the ranges of `step` numbers, of which the last one may be shorter, in a tree of
    /// which parts with more than `grain` ranges are split between threads.
    fn reduce_ranges<R: Send>(
        &self,
        len: usize,
        step: usize,
        grain: usize,
        map: impl Fn(Range<usize>) -> R + Sync,
        combine: impl Fn(R, R) -> R + Sync,
    ) -> Option<R> {
        let ranges = len.div_ceil(step);
        if ranges == 0 {
            return None;
        }
        let leaf = |index: usize| {
            let start = index * step;
            map(start..len.min(start.saturating_add(step)))
        };
        let pieces = ranges.div_ceil(grain);
        Some(self.split(pieces, |place| {
            tree(place, 0..ranges, grain, &leaf, &combine)
        }))
    }
}

#[track_caller]
fn assert_same_length(a: usize, b: usize) {
    assert!(
        a == b,
        "the slices of a dot product have different lengths, {a} and {b}"
    );
}
