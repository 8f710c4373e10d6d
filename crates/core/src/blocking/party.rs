//! Parties, which wait for things and hold them, and calls at the end of a party.

use std::fmt;

use insula_sync::Serial;
use insula_sync::atomic::{AtomicU64, Ordering};

use super::life::{EndCall, Ended, ThreadLife};
use crate::inspect::PartySnapshot;
use crate::isolate::{Isolate, IsolateId};
use crate::memory::{Current, IsolateRef};

/// The number of an isolate, or of a thread outside of isolates; the lowest bit is set for threads.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct PartyId(u64);

insula_sync::thread_cell! {
    /// This thread's own `PartyId`; 0 until it is needed.
    static THREAD: u64 = 0;
}

impl PartyId {
    #[inline]
    pub(crate) fn current() -> Self {
        Current::with(|isolate| match isolate {
            Some(isolate) => Self::isolate(isolate.id),
            None => Self::thread(),
        })
    }

    pub(crate) fn isolate(id: u64) -> Self {
        Self(id << 1)
    }

    /// Returns the party as tools see it.
    pub(crate) fn snapshot(self) -> PartySnapshot {
        match self.0 & 1 {
            0 => PartySnapshot::Isolate(IsolateId(self.0 >> 1)),
            _ => PartySnapshot::Thread(self.0 >> 1),
        }
    }

    #[inline]
    fn thread() -> Self {
        static NEXT: Serial = Serial::new();
        THREAD.with(|thread| {
            if thread.get() == 0 {
                thread.set(NEXT.next() << 1 | 1);
            }
            Self(thread.get())
        })
    }
}

/// A party, and the means to register calls at its end.
#[derive(Clone)]
pub(crate) struct Party {
    pub(crate) id: PartyId,
    life: Life,
}

#[derive(Clone)]
enum Life {
    Isolate(IsolateRef),
    /// `None` if the thread's storage was destroyed already, so that its end is not announced.
    Thread(Option<ThreadLife>),
}

impl Party {
    pub(crate) fn current() -> Self {
        Current::with(|isolate| match isolate {
            Some(isolate) => Self {
                id: PartyId::isolate(isolate.id),
                life: Life::Isolate(IsolateRef::new(isolate.core())),
            },
            None => Self {
                id: PartyId::thread(),
                life: Life::Thread(ThreadLife::current()),
            },
        })
    }

    pub(crate) fn isolate(isolate: &Isolate) -> Self {
        Self {
            id: PartyId::isolate(isolate.0.id),
            life: Life::Isolate(IsolateRef::new(&isolate.0)),
        }
    }

    /// Calls `function` when the party has ended: after all destructors of an isolate, and among
    /// those of a thread's storage. No lock is held during the call.
    ///
    /// # Errors
    /// If the party has ended; there is no call then.
    pub(crate) fn when_ended(
        &self,
        function: impl FnOnce() + Send + 'static,
    ) -> Result<EndCall, Ended> {
        match &self.life {
            Life::Isolate(isolate) => EndCall::of_isolate(isolate, function),
            Life::Thread(Some(thread)) => thread.when_ended(function),
            Life::Thread(None) => Ok(EndCall::never()),
        }
    }
}

/// No party has used it.
const UNUSED: u64 = 0;
/// Several parties have used it.
const SHARED: u64 = u64::MAX;
/// The lowest bit, below the party's number: the party was [set](Holder::set).
const CERTAIN: u64 = 1;

/// The holder of a thing: the party that attached it or that its peer named, otherwise unknown.
///
/// A use by another party proves that the thing was handed on, so the holder is unknown from then
/// on. A use without such a call proves nothing: the user may hand the thing on afterwards, and a
/// wait for it must not be taken for a part of a cycle.
pub(crate) struct Holder(AtomicU64);

impl Holder {
    pub(crate) fn unknown() -> Self {
        Self(AtomicU64::new(UNUSED))
    }

    /// Notes a use by the current party.
    #[inline]
    pub(crate) fn used(&self) {
        let party = PartyId::current().0 << 1;
        // Relaxed throughout: the lock of the graph orders this. A reader holds it, and this party
        // acquires it after the use, before it waits.
        // The load comes first, so that further uses by the same party write nothing.
        let before = self.0.load(Ordering::Relaxed);
        if before & !CERTAIN != party && before != SHARED {
            let first =
                self.0
                    .compare_exchange(UNUSED, party, Ordering::Relaxed, Ordering::Relaxed);
            if first.is_err() {
                self.0.store(SHARED, Ordering::Relaxed);
            }
        }
    }

    /// Makes `party` the holder.
    pub(crate) fn set(&self, party: PartyId) {
        // Relaxed, here and below, as in `used`.
        self.0.store(party.0 << 1 | CERTAIN, Ordering::Relaxed);
    }

    /// Returns the holder, if it is certain.
    pub(crate) fn party(&self) -> Option<PartyId> {
        match self.0.load(Ordering::Relaxed) {
            SHARED => None,
            known => (known & CERTAIN != 0).then_some(PartyId(known >> 1)),
        }
    }

    /// Returns whether several parties have used it.
    pub(crate) fn is_shared(&self) -> bool {
        self.0.load(Ordering::Relaxed) == SHARED
    }
}

impl fmt::Debug for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Holder").field(&self.party()).finish()
    }
}
