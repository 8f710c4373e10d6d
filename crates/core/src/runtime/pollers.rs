//! Input that threads of the pool look for themselves, while they have nothing to run.

use std::sync::{Arc, Weak};

use insula_sync::Mutex;
use insula_sync::atomic::{AtomicBool, Ordering};

use crate::panic::contain;

/// A source of input that needs no wake-up while a thread of the pool is looking at it, such as a
/// ring that another process writes. See [`Runtime::add_poller`](crate::Runtime::add_poller).
///
/// A thread that has run out of work [begins](Self::begin) to look, [looks](Self::poll) again and
/// again, and [ends](Self::end) when there is work or its search is over. Several threads may do so
/// at the same time.
///
/// # Blocking
/// The methods are called outside of isolates and with no lock held. One that waits delays the
/// thread. A panic is discarded.
pub trait Poller: Send + Sync + 'static {
    /// A thread begins to look: until it ends, input need not wake anyone.
    fn begin(&self);
    /// Handles what has come, if anything has. Returns whether it has.
    fn poll(&self) -> bool;
    /// A thread looks no more. If it was the last one, input has to wake someone from now on; what
    /// has come before that is handled here.
    fn end(&self);
}

/// The sources of a runtime.
#[derive(Default)]
pub(crate) struct Pollers {
    /// Relaxed: a search that misses the first source leaves its input to a wake-up.
    has_any: AtomicBool,
    /// Replaced as a whole, so that a search copies one reference under the lock.
    list: Mutex<Arc<[Weak<dyn Poller>]>>,
}

impl Pollers {
    /// Adds a source, which is forgotten once it is dropped.
    pub(crate) fn add(&self, poller: Weak<dyn Poller>) {
        let mut list = self.list.lock();
        let alive = list.iter().filter(|it| it.strong_count() != 0).cloned();
        *list = alive.chain([poller]).collect();
        self.has_any.store(true, Ordering::Relaxed);
    }

    /// Begins to look at all sources.
    #[inline]
    pub(crate) fn begin(&self) -> Polling {
        if self.has_any.load(Ordering::Relaxed) {
            self.begin_each()
        } else {
            Polling(Vec::new())
        }
    }

    fn begin_each(&self) -> Polling {
        let list = Arc::clone(&self.list.lock());
        let alive: Vec<_> = list.iter().filter_map(Weak::upgrade).collect();
        for poller in &alive {
            contain(|| poller.begin());
        }
        Polling(alive)
    }
}

/// A thread's look at the sources. Ends when it is dropped.
pub(crate) struct Polling(Vec<Arc<dyn Poller>>);

impl Polling {
    /// Looks at each source once. Returns whether anything was handled.
    #[inline]
    pub(crate) fn poll(&self) -> bool {
        let mut has_found = false;
        for poller in &self.0 {
            contain(|| has_found |= poller.poll());
        }
        has_found
    }
}

impl Drop for Polling {
    fn drop(&mut self) {
        for poller in self.0.drain(..) {
            contain(|| poller.end());
            // The last owner may be this thread.
            contain(|| drop(poller));
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
