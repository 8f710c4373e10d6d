//! The graph of waits, as a list.

use std::sync::Arc;

use crate::blocking::each_wait;
use crate::isolate::IsolateId;

/// An isolate, or a thread outside of isolates.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum PartySnapshot {
    /// An isolate.
    Isolate(IsolateId),
    /// A thread, with a number that no other one in this process has.
    Thread(u64),
}

/// A wait that blocks a thread, and that only known parties can end.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WaitSnapshot {
    /// Who waits.
    pub waiter: PartySnapshot,
    /// The name of the isolate or thread that waits.
    pub waiter_name: Arc<str>,
    /// Who can end the wait. Empty if it has just been ended, or others may end it too.
    pub holders: Vec<PartySnapshot>,
}

/// Returns the waits of the process that block a thread without a time-out and that only known
/// parties can end, in no order: for mailboxes, locks, answers and callbacks. A wait that would
/// close a cycle is refused, so there is no cycle among them.
pub fn waits() -> Vec<WaitSnapshot> {
    let mut waits = Vec::new();
    each_wait(|waiter, who, holders| waits.push((waiter, who, holders)));
    waits
        .into_iter()
        .map(|(waiter, who, holders)| WaitSnapshot {
            waiter: waiter.snapshot(),
            // Reads a lane, and so comes after the lock of the graph has been released.
            waiter_name: who.name(),
            holders: holders.into_iter().map(|it| it.snapshot()).collect(),
        })
        .collect()
}
