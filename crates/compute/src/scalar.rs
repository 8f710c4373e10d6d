//! The types of numbers that can be summed.

use std::fmt::{Debug, Display};
use std::ops::{Add, Div, Mul, Neg, Sub};

/// A floating-point number: `f32` or `f64`. Sealed: the list is complete.
///
/// A computation that is generic over its `Scalar` has its precision as a type parameter. The type
/// [`Wide`](Self::Wide) is for mixed precision: the values are stored in one type, and the results
/// are computed in another one with more digits.
///
/// ```
/// use insula_compute::{Compute, Scalar};
///
/// fn mean<S: Scalar>(compute: &Compute, values: &[S], count: S::Wide) -> S::Wide {
///     compute.sum_mixed(values) / count
/// }
///
/// let compute = Compute::new();
/// assert_eq!(mean(&compute, &[1.5_f32, 2.5], 2.0), 2.0_f64);
/// ```
pub trait Scalar:
    Copy
    + PartialEq
    + PartialOrd
    + Default
    + Debug
    + Display
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + Send
    + Sync
    + 'static
    + sealed::Float
{
    /// The type in which mixed precision computes: `f64`, for both types.
    type Wide: Scalar<Wide = Self::Wide>;

    /// Converts the number, which rounds nothing.
    fn widen(self) -> Self::Wide;
}

impl Scalar for f32 {
    type Wide = f64;

    fn widen(self) -> f64 {
        f64::from(self)
    }
}

impl Scalar for f64 {
    type Wide = Self;

    fn widen(self) -> Self {
        self
    }
}

/// What only the kernels need. The module keeps other types from being a [`Scalar`].
pub(crate) mod sealed {
    pub trait Float: Sized {
        /// `-0.0`, to which each number can be added without a change, `-0.0` itself included.
        const NEUTRAL: Self;

        fn abs(self) -> Self;
        fn is_finite(&self) -> bool;
    }
}

impl sealed::Float for f32 {
    const NEUTRAL: Self = -0.0;

    fn abs(self) -> Self {
        f32::abs(self)
    }

    fn is_finite(&self) -> bool {
        f32::is_finite(*self)
    }
}

impl sealed::Float for f64 {
    const NEUTRAL: Self = -0.0;

    fn abs(self) -> Self {
        f64::abs(self)
    }

    fn is_finite(&self) -> bool {
        f64::is_finite(*self)
    }
}
