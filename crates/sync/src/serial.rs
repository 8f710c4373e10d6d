//! Numbers that are unique in the process.

use std::sync::atomic::{AtomicU64, Ordering};

/// A counter that returns 1, 2, 3 and so on, each once. It uses std's atomic even under loom, so
/// that it can be a `static`; no protocol waits for it.
#[derive(Debug)]
pub struct Serial(AtomicU64);

impl Serial {
    /// Creates a counter whose first number is 1.
    #[expect(
        clippy::new_without_default,
        reason = "two of them give out the same numbers"
    )]
    pub const fn new() -> Self {
        Self(AtomicU64::new(1))
    }

    /// Returns the next number.
    #[inline]
    pub fn next(&self) -> u64 {
        // Relaxed: only uniqueness counts.
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}
