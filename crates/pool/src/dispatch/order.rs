//! The order in which calls of different ranks start.
//!
//! A worker starts the call of the highest rank that waits for it. So that no rank is starved, it
//! counts the calls that it starts past each lower rank that waits, and after [`MOST`] of them it
//! starts one of that rank. If both lower ranks are due, the higher of them is first, so a worker
//! starts at most `MOST` calls past one of normal rank, and `MOST + 1` past one of low rank.
//!
//! A count, and not the age of the calls: it needs no clock, and a long queue of one rank does not
//! become urgent as a whole.

use insula_rpc::Priority;

use super::Job;

/// The calls that a worker starts past one of a lower rank.
pub(super) const MOST: u8 = 16;

/// The rank of a call among those that wait, highest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Rank {
    High,
    Normal,
    Low,
}

/// The calls that a worker has started past each rank that waited for it, since the last one of
/// that rank.
#[derive(Debug, Default)]
pub(super) struct Passed([u8; Rank::ALL.len()]);

impl Rank {
    pub(super) const ALL: [Self; 3] = [Self::High, Self::Normal, Self::Low];

    pub(super) fn of(job: &impl Job) -> Self {
        match job.priority() {
            // The calls of a key start in the order of their submission.
            _ if job.pin().is_some() => Self::Normal,
            Priority::High => Self::High,
            Priority::Normal => Self::Normal,
            Priority::Low => Self::Low,
        }
    }
}

impl Passed {
    /// Returns the rank that starts next, of those that wait.
    pub(super) fn choose(&mut self, waits: [bool; Rank::ALL.len()]) -> Option<Rank> {
        let waiting = || Rank::ALL.into_iter().filter(|&rank| waits[rank as usize]);
        let is_due = |rank: &Rank| *rank != Rank::High && self.0[*rank as usize] >= MOST;
        let chosen = waiting().find(is_due).or_else(|| waiting().next())?;
        for rank in Rank::ALL {
            let passed = &mut self.0[rank as usize];
            *passed = if rank != chosen && waits[rank as usize] {
                passed.saturating_add(1)
            } else {
                0
            };
        }
        Some(chosen)
    }
}
