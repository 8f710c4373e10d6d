//! Who waits, and who holds something.

use std::fmt;

use insula_sync::Serial;
use insula_sync::atomic::{AtomicU64, Ordering};

use crate::isolate::Current;

/// An isolate, or a thread outside of isolates.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct PartyId(u64);

insula_sync::thread_cell! {
    /// This thread's own number; 0 until it is asked for.
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

/// Who could end a wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Held {
    pub(crate) by: PartyId,
    /// Somebody said so, or the lock says so. Otherwise its use says so, and it may have moved on
    /// unused since.
    pub(crate) is_certain: bool,
}

impl Held {
    pub(crate) fn certain(by: PartyId) -> Self {
        let is_certain = true;
        Self { by, is_certain }
    }
}

const NOBODY: u64 = 0;
const SEVERAL: u64 = u64::MAX;
/// The lowest bit, below the party.
const CERTAIN: u64 = 1;

/// Who holds something, as far as its use shows.
///
/// More than one user makes it nobody's in particular for good: a wait for it is then never
/// taken for a part of a cycle, so that no wait is refused which would have ended.
pub(crate) struct Holder(AtomicU64);

impl Holder {
    pub(crate) fn unknown() -> Self {
        Self(AtomicU64::new(NOBODY))
    }

    /// The current party uses it.
    #[inline]
    pub(crate) fn used(&self) {
        let party = PartyId::current().0 << 1;
        // Relaxed throughout: who looks holds the lock of the graph, which this party took
        // later, before it waited.
        let before = self.0.load(Ordering::Relaxed);
        if before & !CERTAIN != party && before != SEVERAL {
            let first =
                self.0
                    .compare_exchange(NOBODY, party, Ordering::Relaxed, Ordering::Relaxed);
            if first.is_err() {
                self.0.store(SEVERAL, Ordering::Relaxed);
            }
        }
    }

    /// From now on it is `party`'s for certain.
    pub(crate) fn set(&self, party: PartyId) {
        self.0.store(party.0 << 1 | CERTAIN, Ordering::Relaxed);
    }

    pub(crate) fn held(&self) -> Option<Held> {
        match self.0.load(Ordering::Relaxed) {
            NOBODY | SEVERAL => None,
            known => Some(Held {
                by: PartyId(known >> 1),
                is_certain: known & CERTAIN != 0,
            }),
        }
    }
}

impl fmt::Debug for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Holder").field(&self.held()).finish()
    }
}
