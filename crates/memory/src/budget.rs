//! A number of bytes to plan with.

#[cfg(target_os = "linux")]
mod linux;

#[cfg(test)]
mod tests;

use std::error::Error;
use std::fmt;
use std::io;
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// The memory that a program, or a part of it, plans to use at most.
///
/// A budget is a number and enforces nothing.
///
/// ```
/// use insula_memory::{Budget, BudgetError};
/// use std::num::NonZeroUsize;
///
/// # fn main() -> Result<(), BudgetError> {
/// let fixed = Budget::bytes(1 << 30);
/// # if cfg!(target_os = "linux") {
/// let most = Budget::fraction(0.7)?;
/// let each = most.per_worker(NonZeroUsize::MIN.saturating_add(3));
/// assert_eq!(each.limit(), most.limit() / 4);
/// # }
/// # assert_eq!(fixed.limit(), 1 << 30);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Budget {
    bytes: u64,
}

impl Budget {
    /// A budget of so many bytes.
    pub const fn bytes(bytes: u64) -> Self {
        Self { bytes }
    }

    /// A share, from 0 to 1, of the memory that the process can have now: the least of
    /// `MemAvailable` of `/proc/meminfo` and the limits of the cgroups that the process is in.
    ///
    /// Of a cgroup of version 2 that is `memory.max`, of version 1 `memory.limit_in_bytes`, each of
    /// the group itself and of all groups around it that the process can see. What the group has
    /// used already is not subtracted.
    ///
    /// # Blocking
    /// Reads a few small files of the kernel.
    ///
    /// # Errors
    /// If `share` is not in the range, and if one of these numbers cannot be found out: there is no
    /// default. A kernel without cgroups, and a group without a limit, are no errors. On other
    /// systems than Linux always [`BudgetError::Unsupported`].
    pub fn fraction(share: f64) -> Result<Self, BudgetError> {
        // Not in the range either, since it compares as false with everything: NaN.
        if !(0.0..=1.0).contains(&share) {
            return Err(BudgetError::Share(share));
        }
        let all = memory_of_process()?;
        Ok(Self::bytes(share_of(all, share)))
    }

    /// Returns the number of bytes.
    pub const fn limit(self) -> u64 {
        self.bytes
    }

    /// Returns the equal part that each of so many workers has, rounded down.
    #[must_use]
    pub const fn per_worker(self, workers: NonZeroUsize) -> Self {
        Self::bytes(self.bytes / workers.get() as u64)
    }
}

/// Why a share of the memory is not known. The text says what to do.
#[derive(Debug)]
#[non_exhaustive]
pub enum BudgetError {
    /// The share is no number from 0 to 1.
    Share(f64),
    /// A file that says how much memory there is could not be read.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why it could not be read.
        error: io::Error,
    },
    /// A file that says how much memory there is has no such number where one is expected.
    Unknown {
        /// The file.
        path: PathBuf,
        /// The number that is missing.
        wanted: &'static str,
    },
    /// This system is none that the memory is asked of.
    Unsupported,
}

impl fmt::Display for BudgetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Share(share) => write!(f, "a share of the memory is from 0 to 1, not {share}"),
            Self::Unreadable { path, error } => {
                write!(f, "cannot read {}: {error}{INSTEAD}", path.display())
            }
            Self::Unknown { path, wanted } => {
                write!(f, "{} has no {wanted}{INSTEAD}", path.display())
            }
            Self::Unsupported => {
                write!(f, "the available memory is known on Linux only{INSTEAD}")
            }
        }
    }
}

const INSTEAD: &str = "; name a number of bytes with `Budget::bytes`";

impl Error for BudgetError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Unreadable { error, .. } => Some(error),
            Self::Share(_) | Self::Unknown { .. } | Self::Unsupported => None,
        }
    }
}

#[cfg(target_os = "linux")]
use linux::memory_of_process;

#[cfg(not(target_os = "linux"))]
fn memory_of_process() -> Result<u64, BudgetError> {
    Err(BudgetError::Unsupported)
}

/// Returns a share from 0 to 1 of so many bytes, and no more than all, though a large number is
/// rounded when it becomes a `f64`.
fn share_of(bytes: u64, share: f64) -> u64 {
    ((bytes as f64 * share) as u64).min(bytes)
}
