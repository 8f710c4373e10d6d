//! The levels of vector instructions.

#[cfg(test)]
mod tests;

use std::error::Error;
use std::fmt;
use std::str::FromStr;

/// A level of vector instructions, for kernels that exist in several versions and select one at run
/// time.
///
/// A level changes no code that is compiled already. The compiler uses the instructions of the
/// target that the program was built for, whatever the level is, and the functions of this crate are
/// compiled once and do not read it. Only a kernel that asks for the level, and has a version for
/// it, is changed by one: a function with `#[target_feature]` per level, or a library that takes
/// its level as an argument.
///
/// # Order
/// Levels are ordered by the width of their vectors. `Neon` and `Sse2` have vectors of the same
/// width; `Neon` comes first.
///
/// ```
/// use insula_compute::Simd;
///
/// # fn main() -> Result<(), insula_compute::UnknownSimd> {
/// let cap: Simd = "avx2".parse()?;
/// let kernel = match Simd::detect().at_most(cap) {
///     Simd::Avx2 => "eight numbers at once",
///     Simd::Sse2 | Simd::Neon => "four numbers at once",
///     _ => "one number at once",
/// };
/// # let _ = kernel;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Simd {
    /// No vector instructions.
    Scalar,
    /// Vectors of 128 bits on Arm: NEON, also called Advanced SIMD.
    Neon,
    /// Vectors of 128 bits on x86: SSE2.
    Sse2,
    /// Vectors of 256 bits on x86: AVX2 and FMA.
    Avx2,
    /// Vectors of 512 bits on x86: AVX-512 F, BW, DQ and VL, and all of [`Avx2`](Self::Avx2).
    Avx512,
}

/// The error of a text that names no level of vector instructions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownSimd {
    text: String,
}

/// The levels, each with its name.
const NAMES: [(Simd, &str); 5] = [
    (Simd::Scalar, "scalar"),
    (Simd::Neon, "neon"),
    (Simd::Sse2, "sse2"),
    (Simd::Avx2, "avx2"),
    (Simd::Avx512, "avx512"),
];

/// The levels of each architecture, the highest first.
const X86: &[Simd] = &[Simd::Avx512, Simd::Avx2, Simd::Sse2];
const ARM: &[Simd] = &[Simd::Neon];

impl Simd {
    /// Returns the highest level that this CPU and the operating system support. The CPU is asked
    /// once; later calls read what it said.
    ///
    /// Architectures other than x86 and 64-bit Arm have the level [`Scalar`](Self::Scalar).
    pub fn detect() -> Self {
        detect()
    }

    /// Returns the highest level of the same architecture that is neither above `self` nor has
    /// wider vectors than `cap`. A cap is a width, so one of another architecture can be given:
    /// capped at `Avx2` or `Sse2`, the level `Neon` stays what it is.
    #[must_use]
    pub fn at_most(self, cap: Self) -> Self {
        let levels = match self {
            Self::Scalar => &[],
            Self::Neon => ARM,
            Self::Sse2 | Self::Avx2 | Self::Avx512 => X86,
        };
        let fits = |level: &&Self| **level <= self && level.bits() <= cap.bits();
        levels.iter().find(fits).copied().unwrap_or(Self::Scalar)
    }

    /// Returns the width of a vector.
    fn bits(self) -> u32 {
        match self {
            Self::Scalar => 0,
            Self::Neon | Self::Sse2 => 128,
            Self::Avx2 => 256,
            Self::Avx512 => 512,
        }
    }
}

#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
fn detect() -> Simd {
    let has_avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    let has_avx512 = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl");
    if has_avx512 && has_avx2 {
        Simd::Avx512
    } else if has_avx2 {
        Simd::Avx2
    } else if is_x86_feature_detected!("sse2") {
        Simd::Sse2
    } else {
        Simd::Scalar
    }
}

#[cfg(target_arch = "aarch64")]
fn detect() -> Simd {
    if std::arch::is_aarch64_feature_detected!("neon") {
        Simd::Neon
    } else {
        Simd::Scalar
    }
}

#[cfg(not(any(target_arch = "x86", target_arch = "x86_64", target_arch = "aarch64")))]
fn detect() -> Simd {
    Simd::Scalar
}

/// Writes the name of the level in lower case: `avx2`.
impl fmt::Display for Simd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names = NAMES.iter();
        let name = names.find(|(level, _)| level == self);
        f.pad(name.map_or("", |(_, name)| name))
    }
}

/// Reads the name of a level, in upper or lower case.
impl FromStr for Simd {
    type Err = UnknownSimd;

    fn from_str(text: &str) -> Result<Self, UnknownSimd> {
        let mut names = NAMES.iter();
        let named = names.find(|(_, name)| name.eq_ignore_ascii_case(text));
        named.map(|(level, _)| *level).ok_or_else(|| UnknownSimd {
            text: text.to_owned(),
        })
    }
}

impl fmt::Display for UnknownSimd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "no level of vector instructions has the name {:?}; the names are ",
            self.text
        )?;
        for (index, (_, name)) in NAMES.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{name}")?;
        }
        Ok(())
    }
}

impl Error for UnknownSimd {}
