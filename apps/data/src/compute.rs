//! Named computations over numbers.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A named computation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Operation {
    /// The sum, compensated as by Neumaier (1974).
    Sum,
    /// The product.
    Product,
    /// The arithmetic mean.
    Mean,
    /// The value in the middle, or the mean of the two there.
    Median,
    /// The variance of a sample.
    Variance,
    /// The standard deviation of a sample.
    Deviation,
    /// The least number.
    Minimum,
    /// The greatest number.
    Maximum,
    /// The greatest number minus the least.
    Range,
    /// The number below which a share of all numbers lies, in percent; between two numbers it is
    /// interpolated, as NumPy does by default.
    Percentile(f64),
    /// The Euclidean norm.
    Norm,
    /// The n-th root of the product of n positive numbers.
    GeometricMean,
    /// The inverse of the mean of the inverses of positive numbers.
    HarmonicMean,
    /// The correlation of the numbers with those that come so many places later.
    Autocorrelation(usize),
}

impl Operation {
    /// Computes the operation.
    ///
    /// # Errors
    /// See [`ComputeError`].
    pub fn compute(self, numbers: &[f64]) -> Result<f64, ComputeError> {
        self.check(numbers)?;
        let result = match self {
            Self::Sum => sum(numbers.iter().copied()),
            Self::Product => numbers.iter().product(),
            Self::Mean => mean(numbers),
            Self::Median => percentile(numbers, 50.0),
            Self::Variance => variance(numbers),
            Self::Deviation => variance(numbers).sqrt(),
            Self::Minimum => minimum(numbers),
            Self::Maximum => maximum(numbers),
            Self::Range => maximum(numbers) - minimum(numbers),
            Self::Percentile(percent) => percentile(numbers, percent),
            Self::Norm => norm(numbers),
            Self::GeometricMean => {
                (sum(numbers.iter().map(|it| it.ln())) / numbers.len() as f64).exp()
            }
            Self::HarmonicMean => numbers.len() as f64 / sum(numbers.iter().map(|it| it.recip())),
            Self::Autocorrelation(lag) => autocorrelation(numbers, lag),
        };
        match result.is_finite() {
            true => Ok(result),
            false => Err(ComputeError::NotFinite),
        }
    }

    fn check(self, numbers: &[f64]) -> Result<(), ComputeError> {
        let needed = match self {
            Self::Variance | Self::Deviation => 2,
            Self::Autocorrelation(lag) => lag.saturating_add(1).max(2),
            _ => 1,
        };
        if numbers.len() < needed {
            let found = numbers.len();
            return Err(ComputeError::TooFew { found, needed });
        }
        if numbers.iter().any(|number| !number.is_finite()) {
            return Err(ComputeError::NotFinite);
        }
        let needs_positive = matches!(self, Self::GeometricMean | Self::HarmonicMean);
        match numbers.iter().find(|number| **number <= 0.0) {
            Some(number) if needs_positive => Err(ComputeError::NotPositive(*number)),
            _ => Ok(()),
        }
    }
}

fn sum(numbers: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut lost) = (0.0_f64, 0.0);
    for number in numbers {
        let next = sum + number;
        lost += match sum.abs() >= number.abs() {
            true => (sum - next) + number,
            false => (number - next) + sum,
        };
        sum = next;
    }
    sum + lost
}

fn mean(numbers: &[f64]) -> f64 {
    sum(numbers.iter().copied()) / numbers.len() as f64
}

/// In two passes, with the correction of Chan, Golub and LeVeque (1983) for the rounding of the mean.
fn variance(numbers: &[f64]) -> f64 {
    let mean = mean(numbers);
    let squares = sum(numbers.iter().map(|it| (it - mean) * (it - mean)));
    let error = sum(numbers.iter().map(|it| it - mean));
    let count = numbers.len() as f64;
    ((squares - error * error / count) / (count - 1.0)).max(0.0)
}

fn minimum(numbers: &[f64]) -> f64 {
    numbers.iter().copied().fold(f64::INFINITY, f64::min)
}

fn maximum(numbers: &[f64]) -> f64 {
    numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

fn percentile(numbers: &[f64], percent: f64) -> f64 {
    let place = percent / 100.0 * (numbers.len() - 1) as f64;
    let (index, share) = (place.floor() as usize, place.fract());
    let mut numbers = numbers.to_vec();
    // Only two neighbors in the order are needed, not the order of all.
    let (_, low, above) = numbers.select_nth_unstable_by(index, f64::total_cmp);
    let low = *low;
    let high = above.iter().copied().fold(f64::INFINITY, f64::min);
    match share > 0.0 {
        true => low + (high - low) * share,
        false => low,
    }
}

/// Divides by the greatest number first, whose square may be too large.
fn norm(numbers: &[f64]) -> f64 {
    let largest = numbers.iter().fold(0.0, |most: f64, it| most.max(it.abs()));
    match largest > 0.0 {
        true => largest * sum(numbers.iter().map(|it| (it / largest).powi(2))).sqrt(),
        false => 0.0,
    }
}

fn autocorrelation(numbers: &[f64], lag: usize) -> f64 {
    let mean = mean(numbers);
    let pairs = numbers.iter().zip(&numbers[lag..]);
    let products = sum(pairs.map(|(a, b)| (a - mean) * (b - mean)));
    // Of equal numbers this is 0/0, which `compute` reports.
    products / sum(numbers.iter().map(|it| (it - mean) * (it - mean)))
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sum => f.write_str("sum"),
            Self::Product => f.write_str("product"),
            Self::Mean => f.write_str("mean"),
            Self::Median => f.write_str("median"),
            Self::Variance => f.write_str("variance"),
            Self::Deviation => f.write_str("deviation"),
            Self::Minimum => f.write_str("min"),
            Self::Maximum => f.write_str("max"),
            Self::Range => f.write_str("range"),
            Self::Percentile(percent) => write!(f, "percentile:{percent}"),
            Self::Norm => f.write_str("norm"),
            Self::GeometricMean => f.write_str("geometric-mean"),
            Self::HarmonicMean => f.write_str("harmonic-mean"),
            Self::Autocorrelation(lag) => write!(f, "autocorrelation:{lag}"),
        }
    }
}

impl FromStr for Operation {
    type Err = ParseOperationError;

    fn from_str(text: &str) -> Result<Self, ParseOperationError> {
        let operation = match text.split_once(':') {
            None => Self::named(text),
            Some(("percentile", percent)) => percent.parse().ok().and_then(Self::percentile),
            Some(("autocorrelation", lag)) => lag.parse().ok().map(Self::Autocorrelation),
            Some(_) => None,
        };
        operation.ok_or(ParseOperationError)
    }
}

impl Operation {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "sum" => Self::Sum,
            "product" => Self::Product,
            "mean" => Self::Mean,
            "median" => Self::Median,
            "variance" => Self::Variance,
            "deviation" => Self::Deviation,
            "min" => Self::Minimum,
            "max" => Self::Maximum,
            "range" => Self::Range,
            "norm" => Self::Norm,
            "geometric-mean" => Self::GeometricMean,
            "harmonic-mean" => Self::HarmonicMean,
            _ => return None,
        })
    }

    fn percentile(percent: f64) -> Option<Self> {
        (0.0..=100.0)
            .contains(&percent)
            .then_some(Self::Percentile(percent))
    }
}

/// A text that is no operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseOperationError;

impl fmt::Display for ParseOperationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "expected sum, product, mean, median, variance, deviation, min, max, range, norm, \
             geometric-mean, harmonic-mean, percentile:PERCENT (0 to 100) or autocorrelation:LAG",
        )
    }
}

impl Error for ParseOperationError {}

/// Why a computation is not possible.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ComputeError {
    /// There are too few numbers.
    TooFew {
        /// The numbers that there are.
        found: usize,
        /// Those that are needed.
        needed: usize,
    },
    /// A mean of this kind has positive numbers only.
    NotPositive(f64),
    /// A number, or the result, is not finite.
    NotFinite,
}

// A number that is not positive is never NaN here, because `check` refuses it before.
impl Eq for ComputeError {}

impl fmt::Display for ComputeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooFew { found, needed } => {
                write!(
                    f,
                    "this needs at least {needed} numbers, and there are {found}"
                )
            }
            Self::NotPositive(number) => {
                write!(f, "this needs positive numbers, and {number} is none")
            }
            Self::NotFinite => f.write_str("the result is not a finite number"),
        }
    }
}

impl Error for ComputeError {}
