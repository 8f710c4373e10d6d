//! Time series: trend, seasonality, autocorrelation.

use std::error::Error;
use std::fmt;

use rustfft::FftPlanner;
use rustfft::num_complex::Complex;
use serde::{Deserialize, Serialize};

use crate::description::mean;

/// The analysis of a series with equal steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// The values that were missing, and were bridged.
    pub bridged: usize,
    /// The change in one step, by the method of least squares.
    pub slope: f64,
    /// The value of that line at the first step.
    pub intercept: f64,
    /// The share of the variance that the line explains, from 0 to 1.
    pub explained: f64,
    /// The correlation of the series with itself a number of steps later, from zero on.
    pub autocorrelation: Vec<f64>,
    /// Correlations within plus and minus this number are what a series without memory has, in 95 of
    /// 100 cases.
    pub chance: f64,
    /// The strongest periods.
    pub peaks: Vec<Peak>,
    /// What recurs with a period, if one was given or found.
    pub season: Option<Season>,
}

/// A period of a series.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Peak {
    /// Its length in steps.
    pub period: f64,
    /// The share of the variance around the trend that a wave of this length has.
    pub share: f64,
}

/// The parts of a series whose sum it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Season {
    /// The steps of a period.
    pub period: usize,
    /// The moving average over a period. There is none at both ends.
    pub trend: Vec<Option<f64>>,
    /// What recurs, for each step of a period; the sum is zero.
    pub pattern: Vec<f64>,
    /// What is left. There is none where there is no trend.
    pub rest: Vec<Option<f64>>,
    /// How strong the trend is, from 0 to 1, by Wang, Smith and Hyndman (2006).
    pub trend_strength: f64,
    /// How strong the season is, likewise.
    pub season_strength: f64,
}

/// The most lags of an autocorrelation.
const LAGS: usize = 1_000;

/// The strongest periods that are named.
const PEAKS: usize = 5;

/// The least share of the variance that makes a period a season.
const SEASON: f64 = 0.1;

impl Series {
    /// Analyzes a series of which NaN is missing. Without a `period`, the strongest one is used.
    ///
    /// # Errors
    /// See [`SeriesError`].
    pub fn of(values: &[f64], period: Option<usize>) -> Result<Self, SeriesError> {
        let (values, bridged) = bridged(values)?;
        let line = Line::through(&values);
        let rest: Vec<f64> = values
            .iter()
            .enumerate()
            .map(|(step, value)| value - line.at(step))
            .collect();
        let lags = (values.len() - 1).min(LAGS.max(period.unwrap_or(0).saturating_mul(2)));
        let peaks = peaks(&rest);
        let period = period.or_else(|| {
            let strongest = peaks.first().filter(|peak| peak.share >= SEASON)?;
            // Half of an odd number of steps would be rounded up, and have no two whole periods.
            let period = (strongest.period.round() as usize).min(values.len() / 2);
            Some(period).filter(|it| *it >= 2)
        });
        let season = match period {
            Some(period) => Some(decompose(&values, period)?),
            None => None,
        };
        Ok(Self {
            bridged,
            slope: line.slope,
            intercept: line.intercept,
            explained: line.explained,
            autocorrelation: autocorrelation(&values, lags),
            chance: 1.96 / (values.len() as f64).sqrt(),
            peaks,
            season,
        })
    }
}

/// The least values of a series.
const LEAST: usize = 8;

/// Returns a series with its gaps bridged by straight lines, and the number of values that were
/// missing. Those before the first value and behind the last are like them.
///
/// # Errors
/// Returns [`SeriesError::TooShort`] if there are too few values.
pub fn bridged(values: &[f64]) -> Result<(Vec<f64>, usize), SeriesError> {
    let present: Vec<usize> = (0..values.len())
        .filter(|it| !values[*it].is_nan())
        .collect();
    let found = present.len();
    if found < LEAST {
        let needed = LEAST;
        return Err(SeriesError::TooShort { found, needed });
    }
    let mut whole = values.to_vec();
    for pair in present.windows(2) {
        let (start, end) = (pair[0], pair[1]);
        let step = (values[end] - values[start]) / (end - start) as f64;
        for (distance, value) in whole[start..end].iter_mut().enumerate().skip(1) {
            *value = values[start] + step * distance as f64;
        }
    }
    let (first, last) = (present[0], present[found - 1]);
    whole[..first].fill(values[first]);
    whole[last..].fill(values[last]);
    Ok((whole, values.len() - found))
}

/// A straight line through a series.
struct Line {
    slope: f64,
    intercept: f64,
    explained: f64,
}

impl Line {
    fn through(values: &[f64]) -> Self {
        let middle = (values.len() - 1) as f64 / 2.0;
        let mean = mean(values).unwrap_or_default();
        let (mut both, mut steps, mut squares) = (0.0, 0.0, 0.0);
        for (step, value) in values.iter().enumerate() {
            let (step, value) = (step as f64 - middle, value - mean);
            both += step * value;
            steps += step * step;
            squares += value * value;
        }
        let slope = both / steps;
        Self {
            slope,
            intercept: mean - slope * middle,
            explained: if squares > 0.0 {
                both * slope / squares
            } else {
                0.0
            },
        }
    }

    fn at(&self, step: usize) -> f64 {
        self.intercept + self.slope * step as f64
    }
}

/// Returns the correlation of a series with itself 0, 1 and so on to `lags` steps later. Equal values
/// have none but the first.
///
/// By the theorem of Wiener and Khinchin, in time n log n for n values.
pub fn autocorrelation(values: &[f64], lags: usize) -> Vec<f64> {
    let mean = mean(values).unwrap_or_default();
    // Zeros behind the series, so that its end is not correlated with its beginning.
    let length = (2 * values.len()).next_power_of_two();
    let mut buffer: Vec<Complex<f64>> = values.iter().map(|it| (it - mean).into()).collect();
    buffer.resize(length, Complex::default());
    let mut planner = FftPlanner::new();
    planner.plan_fft_forward(length).process(&mut buffer);
    for value in &mut buffer {
        *value = value.norm_sqr().into();
    }
    planner.plan_fft_inverse(length).process(&mut buffer);
    let variance = buffer.first().map_or(0.0, |it| it.re);
    let lags = lags.min(values.len().saturating_sub(1));
    let at = |lag: usize| match (lag, variance > 0.0) {
        (0, _) => 1.0,
        (_, true) => buffer[lag].re / variance,
        (_, false) => 0.0,
    };
    (0..=lags).map(at).collect()
}

/// Returns the strongest periods of a series around zero, of which it has at least two.
fn peaks(values: &[f64]) -> Vec<Peak> {
    let length = values.len();
    let mut buffer: Vec<Complex<f64>> = values.iter().map(|it| (*it).into()).collect();
    FftPlanner::new()
        .plan_fft_forward(length)
        .process(&mut buffer);
    // The other half mirrors this one.
    let power: Vec<f64> = buffer[..length / 2 + 1]
        .iter()
        .map(Complex::norm_sqr)
        .collect();
    let total: f64 = power.iter().skip(1).sum();
    let is_peak = |at: &usize| {
        let beside = |at: usize| power.get(at).copied().unwrap_or(0.0);
        power[*at] > beside(at - 1) && power[*at] >= beside(at + 1)
    };
    let mut peaks: Vec<usize> = (2..power.len()).filter(is_peak).collect();
    peaks.sort_by(|a, b| power[*b].total_cmp(&power[*a]));
    let peak = |at: &usize| Peak {
        period: length as f64 / *at as f64,
        share: power[*at] / total,
    };
    peaks
        .iter()
        .take(PEAKS)
        .map(peak)
        .filter(|peak| peak.share > 0.0)
        .collect()
}

/// Splits a series without gaps into trend, season and rest, whose sum it is: the classical
/// decomposition by moving averages.
///
/// # Errors
/// Returns [`SeriesError::Period`] unless there are two whole periods of at least two steps.
pub fn decompose(values: &[f64], period: usize) -> Result<Season, SeriesError> {
    if period < 2 || values.len() / 2 < period {
        let length = values.len();
        return Err(SeriesError::Period { period, length });
    }
    let trend = moving_average(values, period);
    let around: Vec<_> = values
        .iter()
        .zip(&trend)
        .map(|(it, trend)| Some(it - (*trend)?))
        .collect();
    let pattern = pattern(&around, period);
    let rest: Vec<_> = around
        .iter()
        .enumerate()
        .map(|(step, value)| Some((*value)? - pattern[step % period]))
        .collect();
    let with = |other: &dyn Fn(usize) -> f64| {
        let sums = rest
            .iter()
            .enumerate()
            .filter_map(|(step, it)| Some((*it)? + other(step)));
        strength(&rest, sums)
    };
    let (trend_strength, season_strength) = (
        with(&|step| trend[step].unwrap_or_default()),
        with(&|step| pattern[step % period]),
    );
    Ok(Season {
        period,
        trend_strength,
        season_strength,
        pattern,
        rest,
        trend,
    })
}

/// Returns the averages of a period around each step. Of an even period, the values at both ends
/// count half.
///
/// From the sums of all values before each step, so that the time does not grow with the period. The
/// values are taken around their mean, which keeps those sums small.
fn moving_average(values: &[f64], period: usize) -> Vec<Option<f64>> {
    let half = period / 2;
    let level = mean(values).unwrap_or_default();
    let mut sum = 0.0;
    let mut before = vec![0.0];
    before.extend(values.iter().map(|value| {
        sum += value - level;
        sum
    }));
    let average = |step: usize| {
        let start = step.checked_sub(half)?;
        let last = values.get(step + half)? - level;
        let sum = before[step + half] - before[start] + last;
        let sum = match period % 2 {
            0 => sum - (values[start] - level + last) / 2.0,
            _ => sum,
        };
        Some(level + sum / period as f64)
    };
    (0..values.len()).map(average).collect()
}

/// Returns the mean of each step of a period, less the mean of all.
fn pattern(values: &[Option<f64>], period: usize) -> Vec<f64> {
    let of_step = |step: usize| {
        let values: Vec<f64> = values
            .iter()
            .skip(step)
            .step_by(period)
            .flatten()
            .copied()
            .collect();
        mean(&values).unwrap_or_default()
    };
    let means: Vec<f64> = (0..period).map(of_step).collect();
    let level = mean(&means).unwrap_or_default();
    means.iter().map(|it| it - level).collect()
}

/// Returns the share of the variance of the sums that is not that of the rest.
fn strength(rest: &[Option<f64>], sums: impl Iterator<Item = f64>) -> f64 {
    let variance = |values: &[f64]| {
        let mean = mean(values).unwrap_or_default();
        values
            .iter()
            .map(|it| (it - mean) * (it - mean))
            .sum::<f64>()
    };
    let rest: Vec<f64> = rest.iter().flatten().copied().collect();
    let sums: Vec<f64> = sums.collect();
    let share = 1.0 - variance(&rest) / variance(&sums);
    if share.is_nan() { 0.0 } else { share.max(0.0) }
}

/// Why a series cannot be analyzed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum SeriesError {
    /// There are too few values.
    TooShort {
        /// The values that there are.
        found: usize,
        /// Those that are needed.
        needed: usize,
    },
    /// The period does not fit.
    Period {
        /// The period.
        period: usize,
        /// The steps of the series.
        length: usize,
    },
}

impl fmt::Display for SeriesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort { found, needed } => {
                write!(f, "a series needs {needed} values, and there are {found}")
            }
            Self::Period { period, length } => write!(
                f,
                "a period of {period} steps needs at least 2 steps, and two whole periods in the \
                 {length} steps of the series"
            ),
        }
    }
}

impl Error for SeriesError {}
