//! Which worker the calls of a key are pinned to.

use super::Job;
use super::worker::Worker;

/// The workers that calls can be pinned to.
pub(super) struct Homes(Vec<bool>);

impl Homes {
    pub(super) fn of<J: Job>(workers: &[Worker<J>]) -> Self {
        let of = |is: fn(&Worker<J>) -> bool| -> Vec<bool> { workers.iter().map(is).collect() };
        let settled = of(|worker| !worker.is_gone() && !worker.is_joining);
        // One that joins has calls pinned to it once it is ready, unless there is no other.
        if settled.contains(&true) {
            return Self(settled);
        }
        Self(of(|worker| !worker.is_gone()))
    }

    /// Returns whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        !self.0.contains(&true)
    }

    /// The worker with the highest mix of its index and the key (rendezvous hashing, Thaler and
    /// Ravishankar 1998), so that the loss of a worker moves only the keys that it had. The mix is
    /// the finalizer of MurmurHash3.
    pub(super) fn find(&self, key: u64) -> Option<usize> {
        let mix = |worker: usize| {
            // The first constant is 2^64 divided by the golden ratio. Without it, small keys and
            // indices would be combined to the same few numbers.
            let mut hash = key ^ (worker as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
            hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
            hash ^ (hash >> 33)
        };
        let alive = (0..self.0.len()).filter(|&worker| self.0[worker]);
        alive.max_by_key(|&worker| mix(worker))
    }
}
