//! Numbers that are given out once in a process.

use std::sync::atomic::{AtomicU64, Ordering};

/// Gives out 1, 2, 3 and so on, each once. Hidden from loom also in its models, so that it can
/// be a `static`: no protocol waits for it.
#[derive(Debug)]
pub struct Serial(AtomicU64);

impl Serial {
    /// One that has not given out anything.
    #[expect(
        clippy::new_without_default,
        reason = "two of them give out the same numbers"
    )]
    pub const fn new() -> Self {
        Self(AtomicU64::new(1))
    }

    /// The next number.
    #[inline]
    pub fn next(&self) -> u64 {
        // Relaxed: only uniqueness counts.
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}
