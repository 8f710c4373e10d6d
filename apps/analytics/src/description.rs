//! The description of a column.

use serde::{Deserialize, Serialize};

/// The percentiles of a description, in percent.
const PERCENTILES: [f64; 7] = [1.0, 5.0, 25.0, 50.0, 75.0, 95.0, 99.0];

/// The statistics of numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// How many numbers there are.
    pub count: usize,
    /// How many are missing.
    pub missing: usize,
    /// The mean.
    pub mean: f64,
    /// The value in the middle.
    pub median: f64,
    /// The standard deviation of a sample; zero of one number.
    pub standard_deviation: f64,
    /// The least number.
    pub min: f64,
    /// The greatest number.
    pub max: f64,
    /// Percents, and the numbers below which so many of all lie. Between two numbers they are
    /// interpolated.
    pub percentiles: Vec<(f64, f64)>,
    /// How far the numbers lean to one side: the third moment. Zero of equal numbers.
    pub skewness: f64,
    /// How heavy the tails are, compared with a normal distribution: the fourth moment minus three.
    /// Zero of equal numbers.
    pub kurtosis: f64,
    /// The numbers by size.
    pub histogram: Vec<Bin>,
}

/// The numbers within a range.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// The least number that belongs to it.
    pub from: f64,
    /// The end. The number itself belongs to the next bin, if there is one.
    pub to: f64,
    /// How many numbers there are.
    pub count: usize,
}

impl Description {
    /// Describes numbers, of which NaN is missing. Returns `None` if there are none.
    pub fn of(values: &[f64]) -> Option<Self> {
        let mut sorted: Vec<f64> = values.iter().copied().filter(|it| !it.is_nan()).collect();
        let (count, missing) = (sorted.len(), values.len() - sorted.len());
        let mean = mean(&sorted)?;
        let moment = |power| {
            let sum: f64 = sorted.iter().map(|it| (it - mean).powi(power)).sum();
            sum / count as f64
        };
        let (second, third, fourth) = (moment(2), moment(3), moment(4));
        // Equal numbers have moments of zero, up to rounding.
        let is_flat = second <= (mean * f64::EPSILON).powi(2);
        let shape = |value: f64| if is_flat { 0.0 } else { value };
        let deviation = (second * count as f64 / (count.max(2) - 1) as f64).sqrt();
        sorted.sort_unstable_by(f64::total_cmp);
        let percentile = |percent| (percent, percentile(&sorted, percent));
        Some(Self {
            count,
            missing,
            mean,
            median: percentile(50.0).1,
            standard_deviation: deviation,
            min: sorted[0],
            max: sorted[count - 1],
            percentiles: PERCENTILES.map(percentile).to_vec(),
            skewness: shape(third / second.powf(1.5)),
            kurtosis: shape(fourth / (second * second) - 3.0),
            histogram: histogram(&sorted),
        })
    }
}

/// In two passes, of which the second one corrects the rounding of the first.
pub(crate) fn mean(values: &[f64]) -> Option<f64> {
    let count = values.len() as f64;
    let rough = (count > 0.0).then(|| values.iter().sum::<f64>() / count)?;
    Some(rough + values.iter().map(|it| it - rough).sum::<f64>() / count)
}

/// Interpolates as NumPy does by default.
fn percentile(sorted: &[f64], percent: f64) -> f64 {
    let place = percent / 100.0 * (sorted.len() - 1) as f64;
    let (low, high) = (place.floor() as usize, place.ceil() as usize);
    sorted[low] + (sorted[high] - sorted[low]) * place.fract()
}

/// Selects the width of the bins by the rule of Freedman and Diaconis (1981).
fn histogram(sorted: &[f64]) -> Vec<Bin> {
    let (min, max) = (sorted[0], sorted[sorted.len() - 1]);
    let quartiles = percentile(sorted, 75.0) - percentile(sorted, 25.0);
    let width = 2.0 * quartiles / (sorted.len() as f64).cbrt();
    // Of numbers that are mostly equal the rule has no width.
    let bins = match width > 0.0 {
        true => ((max - min) / width).ceil().clamp(1.0, 60.0),
        false if max > min => 20.0,
        false => 1.0,
    };
    let edge = |index: usize| match index == bins as usize {
        true => max,
        false => min + (max - min) * index as f64 / bins,
    };
    let mut start = 0;
    let bin = |index: usize| {
        let (from, to) = (edge(index), edge(index + 1));
        let is_last = index + 1 == bins as usize;
        let end = match is_last {
            true => sorted.len(),
            false => sorted.partition_point(|value| *value < to),
        };
        let count = end - start;
        start = end;
        Bin { from, to, count }
    };
    (0..bins as usize).map(bin).collect()
}
