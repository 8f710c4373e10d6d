//! Calls that a pool discards before a handler has seen them.

use std::fmt;

use insula_core::contain;
use insula_rpc::Reject;

/// A call that a pool has discarded: it was submitted, and no handler has seen it. See
/// [`PoolBuilder::on_discard`](crate::PoolBuilder::on_discard).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Discarded {
    /// The name of the call's contract.
    pub contract: &'static str,
    /// The name of its method.
    pub method: &'static str,
    /// The reason.
    pub why: DiscardReason,
}

/// Why a call was discarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DiscardReason {
    /// It was not admitted, or turned away from the queue.
    Rejected(Reject),
    /// Its deadline passed in the queue.
    Expired,
}

impl fmt::Display for DiscardReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected(why) => why.fmt(f),
            Self::Expired => f.write_str("its deadline passed in the queue"),
        }
    }
}

/// The functions that are told of discarded calls.
#[derive(Default)]
pub(crate) struct Discards(Vec<Box<Hook>>);

type Hook = dyn Fn(&Discarded) + Send + Sync;

impl Discards {
    pub(crate) fn add(&mut self, hook: Box<Hook>) {
        self.0.push(hook);
    }

    /// Tells of a call, which is described only if there is a hook. Called without a lock.
    pub(crate) fn tell(&self, discarded: impl FnOnce() -> Discarded) {
        if self.0.is_empty() {
            return;
        }
        let discarded = discarded();
        // One after the other, as they were given, and each contained: a hook is foreign code.
        for hook in &self.0 {
            contain(|| hook(&discarded));
        }
    }
}

impl fmt::Debug for Discards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Discards").field(&self.0.len()).finish()
    }
}
