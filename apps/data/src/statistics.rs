//! Statistics of numbers that come in any number of parts.

use serde::{Deserialize, Serialize};

/// The statistics of some numbers, kept up to date as they come.
///
/// Uses the recurrence of Welford (1962), which loses little precision in long series, and merges
/// parts with the formula of Chan, Golub and LeVeque (1979).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Statistics {
    count: u64,
    mean: f64,
    /// The sum of the squared distances from the mean.
    squares: f64,
    min: f64,
    max: f64,
}

/// What is shown of [`Statistics`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Shown {
    pub(crate) count: u64,
    pub(crate) mean: Option<f64>,
    pub(crate) standard_deviation: Option<f64>,
    pub(crate) min: Option<f64>,
    pub(crate) max: Option<f64>,
}

impl Statistics {
    /// Adds a number.
    pub fn push(&mut self, value: f64) {
        if self.count == 0 {
            (self.min, self.max) = (value, value);
        }
        self.count += 1;
        let distance = value - self.mean;
        self.mean += distance / self.count as f64;
        self.squares += distance * (value - self.mean);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    /// Adds all numbers that `other` has seen.
    pub fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        if self.count == 0 {
            *self = *other;
            return;
        }
        let (own, others) = (self.count as f64, other.count as f64);
        let distance = other.mean - self.mean;
        self.count += other.count;
        self.mean += distance * others / (own + others);
        self.squares += other.squares + distance * distance * own * others / (own + others);
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// Returns how many numbers there were.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Returns the mean, unless there were no numbers.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then_some(self.mean)
    }

    /// Returns the standard deviation of a sample, which needs two numbers.
    pub fn standard_deviation(&self) -> Option<f64> {
        (self.count > 1).then(|| (self.squares / (self.count - 1) as f64).sqrt())
    }

    /// Returns the least number, if there is one.
    pub fn min(&self) -> Option<f64> {
        (self.count > 0).then_some(self.min)
    }

    /// Returns the greatest number, if there is one.
    pub fn max(&self) -> Option<f64> {
        (self.count > 0).then_some(self.max)
    }

    pub(crate) fn shown(&self) -> Shown {
        Shown {
            count: self.count,
            mean: self.mean(),
            standard_deviation: self.standard_deviation(),
            min: self.min(),
            max: self.max(),
        }
    }
}
