//! A token bucket, in whole numbers: what is left of a token is not lost by rounding.

use std::time::Duration;

use insula_core::Instant;

use crate::config::Rate;

/// The tokens of a bucket. A token is a second's worth of nanoseconds, so in each nanosecond as many
/// parts of one come as the rate has calls per second.
pub(super) struct Bucket {
    rate: Rate,
    /// Parts of tokens, at most those of the burst.
    parts: u64,
    /// The time up to which parts have come; `None` before the first call, with a full bucket.
    filled_at: Option<Instant>,
}

/// The parts of a token.
const TOKEN: u64 = 1_000_000_000;

impl Bucket {
    pub(super) fn new(rate: Rate) -> Self {
        Self {
            rate,
            parts: u64::from(rate.burst) * TOKEN,
            filled_at: None,
        }
    }

    /// Adds the tokens that have come by now.
    ///
    /// # Errors
    /// There is none; the error is the time until there is one.
    pub(super) fn fill(&mut self, now: Instant) -> Result<(), Duration> {
        let filled_at = self.filled_at.unwrap_or(now);
        let passed = now.saturating_duration_since(filled_at).as_nanos();
        let come = passed.saturating_mul(u128::from(self.rate.per_second));
        let come = u64::try_from(come).unwrap_or(u64::MAX);
        let full = u64::from(self.rate.burst) * TOKEN;
        self.parts = self.parts.saturating_add(come).min(full);
        // A caller of another thread may have read its clock before the one that came last.
        self.filled_at = Some(filled_at.max(now));
        if self.parts >= TOKEN {
            return Ok(());
        }
        let missing = TOKEN - self.parts;
        Err(Duration::from_nanos(
            missing.div_ceil(u64::from(self.rate.per_second)),
        ))
    }

    /// Takes a token, which [`fill`](Self::fill) has found.
    pub(super) fn take(&mut self) {
        self.parts = self.parts.saturating_sub(TOKEN);
    }
}
