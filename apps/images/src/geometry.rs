//! Sizes, and the ways to resize a picture to one.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Width and height in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Size {
    /// The number of pixels per row.
    pub width: u32,
    /// The number of rows.
    pub height: u32,
}

impl Size {
    /// Creates a size of `width` by `height` pixels.
    pub const fn new(width: u32, height: u32) -> Self {
        Self { width, height }
    }

    /// Returns the number of pixels.
    pub const fn pixels(self) -> u64 {
        self.width as u64 * self.height as u64
    }

    /// Returns the size with width and height exchanged.
    pub(crate) const fn transposed(self) -> Self {
        Self::new(self.height, self.width)
    }

    /// Returns whether `other` fits inside, in both directions.
    pub(crate) const fn covers(self, other: Self) -> bool {
        self.width >= other.width && self.height >= other.height
    }

    /// Returns the size after a reduction to 1/`denominator`, rounded up as JPEG decoders do.
    pub(crate) const fn divided_by(self, denominator: u32) -> Self {
        Self::new(
            self.width.div_ceil(denominator),
            self.height.div_ceil(denominator),
        )
    }

    fn scaled_by(self, factor: f64) -> Self {
        // At least 1: the short side of a panorama could round to 0, and no format stores that.
        let scaled = |length: u32| ((f64::from(length) * factor).round() as u32).max(1);
        Self::new(scaled(self.width), scaled(self.height))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

impl FromStr for Size {
    type Err = ParseSizeError;

    /// Parses `800x600`. Both numbers must be between 1 and 65535, the maximum of JPEG.
    fn from_str(text: &str) -> Result<Self, ParseSizeError> {
        let (width, height) = text.split_once(['x', 'X']).ok_or(ParseSizeError)?;
        let length = |digits: &str| digits.parse().ok().filter(|&n: &u16| n > 0);
        match (length(width), length(height)) {
            (Some(width), Some(height)) => Ok(Self::new(width.into(), height.into())),
            _ => Err(ParseSizeError),
        }
    }
}

/// The part of a decoded picture that shows the photo, in fractions of its pixels.
///
/// It is the whole picture, except after a reduced decoding: 1/4 of 637 columns are 159.25, for
/// which the decoder makes 160. Without this the photo would be squeezed by the difference.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Extent {
    pub(crate) left: f64,
    pub(crate) top: f64,
    pub(crate) width: f64,
    pub(crate) height: f64,
}

impl Extent {
    pub(crate) fn whole(size: Size) -> Self {
        Self {
            left: 0.0,
            top: 0.0,
            width: size.width.into(),
            height: size.height.into(),
        }
    }

    /// Returns the largest centered part that has the shape of `target`.
    pub(crate) fn cut_to_shape(self, target: Size) -> Self {
        let shape = f64::from(target.width) / f64::from(target.height);
        let width = self.width.min(self.height * shape);
        let height = self.height.min(self.width / shape);
        Self {
            left: self.left + (self.width - width) / 2.0,
            top: self.top + (self.height - height) / 2.0,
            width,
            height,
        }
    }
}

/// The error for a text that is not a [`Size`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseSizeError;

impl fmt::Display for ParseSizeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected WIDTHxHEIGHT, such as 800x600, each between 1 and 65535")
    }
}

impl std::error::Error for ParseSizeError {}

/// The behavior if the wanted size and the picture have different shapes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ResizeMode {
    /// Exactly the wanted size, stretching the picture if necessary.
    Exact,
    /// The largest size inside the wanted one that keeps the shape. Never enlarges.
    #[default]
    Fit,
    /// Exactly the wanted size, cutting off the protruding sides equally.
    Fill,
}

impl ResizeMode {
    /// Returns the size of the result for a picture of `source` size.
    pub fn target(self, source: Size, wanted: Size) -> Size {
        match self {
            Self::Exact | Self::Fill => wanted,
            Self::Fit => source.scaled_by(ratios(source, wanted).0.min(1.0)),
        }
    }

    /// Returns the smallest size to which a picture of `source` size may be reduced beforehand
    /// without loss of detail in the result.
    pub(crate) fn least_source(self, source: Size, wanted: Size) -> Size {
        match self {
            Self::Exact | Self::Fit => self.target(source, wanted),
            Self::Fill => source.scaled_by(ratios(source, wanted).1),
        }
    }
}

/// Returns the smaller and the larger of the two factors that scale `source` to `wanted`.
fn ratios(source: Size, wanted: Size) -> (f64, f64) {
    let across = f64::from(wanted.width) / f64::from(source.width);
    let down = f64::from(wanted.height) / f64::from(source.height);
    (across.min(down), across.max(down))
}

#[cfg(test)]
mod tests;
