//! Numbers with 120 binary digits after the point: exact enough for pictures 30 decimal digits
//! deep, where an `f64` has lost all of them.

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;

/// A number from -128 to below 128, in steps of 2^-120.
///
/// Sums wrap, and products that are too large lose digits. An orbit leaves the circle of radius 2
/// long before that.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Fixed(i128);

/// Binary digits after the point.
const FRACTION: u32 = 120;

impl Fixed {
    /// Returns `mantissa` times 2 to the `exponent`, rounded towards negative infinity.
    pub fn scaled(mantissa: i128, exponent: i32) -> Self {
        let shift = exponent + FRACTION as i32;
        match u32::try_from(shift) {
            Ok(left) => Self(mantissa.checked_shl(left).unwrap_or(0)),
            // A shift by 128 or more overflows. One by 127 leaves the sign, which is the rounded
            // result.
            Err(_) => Self(mantissa >> shift.unsigned_abs().min(127)),
        }
    }

    /// Returns the nearest fixed number; digits that do not fit are cut off.
    pub fn from_f64(value: f64) -> Self {
        // Scaling by a power of two is exact.
        Self((value * 2f64.powi(FRACTION as i32)) as i128)
    }

    /// Returns the nearest `f64`. Small differences of fixed numbers keep all their digits.
    pub fn to_f64(self) -> f64 {
        self.0 as f64 * 2f64.powi(-(FRACTION as i32))
    }

    /// Returns how many times 2 to the `exponent` fits in the number, rounded down: the cell of a
    /// grid with that step.
    pub fn cell(self, exponent: i32) -> i128 {
        let shift = exponent + FRACTION as i32;
        self.0 >> shift.clamp(0, 127)
    }

    /// Returns the product, rounded towards zero.
    pub fn times(self, other: Self) -> Self {
        let product = multiply(self.0.unsigned_abs(), other.0.unsigned_abs()) as i128;
        // The halves of `multiply` have no sign, so the signs are handled apart.
        let is_negative = (self.0 < 0) != (other.0 < 0);
        Self(if is_negative { -product } else { product })
    }

    /// Returns twice the number.
    pub fn doubled(self) -> Self {
        Self(self.0.wrapping_mul(2))
    }
}

/// Returns the product of two numbers with 120 digits after the point, in schoolbook multiplication
/// of 64-bit halves.
fn multiply(a: u128, b: u128) -> u128 {
    const LOW: u128 = u64::MAX as u128;
    let (a_high, a_low) = (a >> 64, a & LOW);
    let (b_high, b_low) = (b >> 64, b & LOW);
    let low = a_low * b_low;
    let (middle, overflow) = (a_high * b_low).overflowing_add(a_low * b_high);
    let (low, carry) = low.overflowing_add(middle << 64);
    let high = a_high * b_high + (middle >> 64) + (u128::from(overflow) << 64) + u128::from(carry);
    (high << (128 - FRACTION)) | (low >> FRACTION)
}

impl Add for Fixed {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.wrapping_add(other.0))
    }
}

impl Sub for Fixed {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0.wrapping_sub(other.0))
    }
}

/// The error for a text that is not a number from -128 to 128.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoNumber;

impl fmt::Display for NoNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a decimal number between -128 and 128")
    }
}

impl std::error::Error for NoNumber {}

/// Parses a decimal number with any number of digits, such as `-0.7436438870371587`.
impl FromStr for Fixed {
    type Err = NoNumber;

    fn from_str(text: &str) -> Result<Self, NoNumber> {
        // Not left to the parser of the whole part: that of `-0.5` is 0, which has no sign.
        let (is_negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        let whole: u8 = whole.parse().map_err(|_| NoNumber)?;
        if whole > 127 || fraction.is_empty() || !fraction.bytes().all(|it| it.is_ascii_digit()) {
            return Err(NoNumber);
        }
        // Starting with the last digit: each step divides by ten, so nothing overflows.
        let fraction = fraction.bytes().rev().fold(0, |value: i128, digit| {
            (value + (i128::from(digit - b'0') << FRACTION)) / 10
        });
        let value = (i128::from(whole) << FRACTION) + fraction;
        Ok(Self(if is_negative { -value } else { value }))
    }
}

#[cfg(test)]
mod tests;
