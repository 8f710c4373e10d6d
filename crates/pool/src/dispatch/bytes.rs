//! The bytes of the queued requests, and their bound.

use super::Job;
use super::order::Rank;
use super::worker::Lane;

/// Counts nothing if there is no bound.
pub(super) struct Bytes {
    bound: Option<u64>,
    /// Of the calls in the queues, by their ranks. The number of calls that wait is not bounded, so
    /// their sum may exceed a `u64`.
    queued: [u128; Rank::ALL.len()],
    /// Of the calls for which lanes were woken that have not asked yet. They come on top of the
    /// bound, so that two calls in a row that find two free workers are not in each other's way.
    expected: u128,
}

impl Bytes {
    pub(super) fn new(bound: Option<u64>) -> Self {
        Self {
            bound,
            queued: [0; Rank::ALL.len()],
            expected: 0,
        }
    }

    /// Sets the bound, with the calls that are queued.
    pub(super) fn set_bound(
        &mut self,
        bound: Option<u64>,
        queued: impl Iterator<Item = (Rank, u64)>,
    ) {
        let mut sums = [0; Rank::ALL.len()];
        if bound.is_some() {
            for (rank, bytes) in queued {
                sums[rank as usize] += u128::from(bytes);
            }
        }
        (self.bound, self.queued) = (bound, sums);
    }

    /// The bytes of a call, if they matter.
    pub(super) fn of(&self, job: &impl Job) -> u64 {
        self.bound.map_or(0, |_| job.bytes())
    }

    /// Returns whether a call has more bytes than an empty queue has room for.
    pub(super) fn is_too_large(&self, bytes: u64) -> bool {
        self.bound.is_some_and(|bound| bytes > bound)
    }

    pub(super) fn has_room(&self, bytes: u64) -> bool {
        self.fits(&Rank::ALL, bytes)
    }

    /// Returns whether there would be room if no call of this rank or a lower one were queued.
    pub(super) fn has_room_above(&self, rank: Rank, bytes: u64) -> bool {
        self.fits(&Rank::ALL[..rank as usize], bytes)
    }

    fn fits(&self, beside: &[Rank], bytes: u64) -> bool {
        self.bound.is_none_or(|bound| {
            let queued: u128 = beside.iter().map(|&rank| self.queued[rank as usize]).sum();
            queued + u128::from(bytes) <= u128::from(bound) + self.expected
        })
    }

    /// A call comes into a queue.
    pub(super) fn come(&mut self, job: &impl Job) {
        if self.bound.is_none() {
            return;
        }
        self.queued[Rank::of(job) as usize] += u128::from(self.of(job));
    }

    /// A call has left its queue.
    pub(super) fn leave(&mut self, job: &impl Job) {
        if self.bound.is_none() {
            return;
        }
        self.queued[Rank::of(job) as usize] -= u128::from(self.of(job));
    }

    /// A lane is woken for a call.
    pub(super) fn expect<J: Job>(&mut self, lane: &mut Lane<J>, bytes: u64) {
        if self.bound.is_some() {
            lane.expected = bytes;
            self.expected += u128::from(bytes);
        }
    }

    /// A lane that was woken asks, or will never ask.
    pub(super) fn settle<J: Job>(&mut self, lane: &mut Lane<J>) {
        // Also without a bound, which may have been there when it was woken.
        self.expected -= u128::from(std::mem::take(&mut lane.expected));
    }

    #[cfg(test)]
    pub(super) fn sums(&self) -> (u128, u128) {
        (self.queued.iter().sum(), self.expected)
    }
}
