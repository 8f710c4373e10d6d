//! Steps that turn the number of a record into its result.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One step of the processing. Steps run in the order given.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Step {
    /// Multiplies by a factor.
    Scale(f64),
    /// Adds a number.
    Offset(f64),
    /// Raises to a power.
    Power(f64),
    /// Takes the natural logarithm.
    Log,
    /// Takes the exponential.
    Exp,
    /// Takes the square root.
    Sqrt,
    /// Takes the absolute value.
    Abs,
    /// Rounds to a number of decimal places, ties away from zero.
    Round(u8),
    /// Limits to a range, both ends included.
    Clamp(f64, f64),
}

impl Step {
    /// Returns the result of this step alone.
    pub fn of(self, value: f64) -> f64 {
        match self {
            Self::Scale(factor) => value * factor,
            Self::Offset(term) => value + term,
            Self::Power(exponent) => value.powf(exponent),
            Self::Log => value.ln(),
            Self::Exp => value.exp(),
            Self::Sqrt => value.sqrt(),
            Self::Abs => value.abs(),
            Self::Round(places) => round(value, places),
            Self::Clamp(low, high) => value.clamp(low, high),
        }
    }
}

/// Applies all steps.
///
/// # Errors
/// Returns the first step whose result is not finite, with the number that it was given.
pub fn apply(steps: &[Step], value: f64) -> Result<f64, (Step, f64)> {
    steps.iter().try_fold(value, |value, step| {
        let result = step.of(value);
        match result.is_finite() {
            true => Ok(result),
            false => Err((*step, value)),
        }
    })
}

fn round(value: f64, places: u8) -> f64 {
    let factor = 10_f64.powi(places.into());
    let scaled = value * factor;
    // A number of this size has no digits behind the point.
    match scaled.abs() < 2_f64.powi(52) {
        true => scaled.round() / factor,
        false => value,
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scale(factor) => write!(f, "scale:{factor}"),
            Self::Offset(term) => write!(f, "offset:{term}"),
            Self::Power(exponent) => write!(f, "power:{exponent}"),
            Self::Log => f.write_str("log"),
            Self::Exp => f.write_str("exp"),
            Self::Sqrt => f.write_str("sqrt"),
            Self::Abs => f.write_str("abs"),
            Self::Round(places) => write!(f, "round:{places}"),
            Self::Clamp(low, high) => write!(f, "clamp:{low}:{high}"),
        }
    }
}

impl FromStr for Step {
    type Err = ParseStepError;

    fn from_str(text: &str) -> Result<Self, ParseStepError> {
        let mut parts = text.split(':');
        let name = parts.next().unwrap_or_default();
        let mut number = || parts.next().and_then(finite).ok_or(ParseStepError);
        let step = match name {
            "scale" => Self::Scale(number()?),
            "offset" => Self::Offset(number()?),
            "power" => Self::Power(number()?),
            "log" => Self::Log,
            "exp" => Self::Exp,
            "sqrt" => Self::Sqrt,
            "abs" => Self::Abs,
            "round" => Self::Round(places(number()?)?),
            "clamp" => range(number()?, number()?)?,
            _ => return Err(ParseStepError),
        };
        match parts.next() {
            None => Ok(step),
            Some(_) => Err(ParseStepError),
        }
    }
}

fn finite(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

fn places(number: f64) -> Result<u8, ParseStepError> {
    match (0.0..=15.0).contains(&number) && number.fract() == 0.0 {
        true => Ok(number as u8),
        false => Err(ParseStepError),
    }
}

fn range(low: f64, high: f64) -> Result<Step, ParseStepError> {
    match low <= high {
        true => Ok(Step::Clamp(low, high)),
        false => Err(ParseStepError),
    }
}

/// A text that is no step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseStepError;

impl fmt::Display for ParseStepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "expected scale:FACTOR, offset:TERM, power:EXPONENT, log, exp, sqrt, abs, \
             round:PLACES (0 to 15) or clamp:LOW:HIGH",
        )
    }
}

impl Error for ParseStepError {}
