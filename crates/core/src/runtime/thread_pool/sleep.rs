//! The states of the pool's threads, and the protocol by which no wake-up is lost.
//!
//! # States of a thread
//! - `Vacant` (not started yet) or `Parked` → `Awake`, by [`Sleep::wake_one`].
//! - `Awake` → `Parked`, by the thread itself, after a search in vain.
//! - `Awake` → `Stuck`, by the monitor when one turn takes long, or by the thread itself before a
//!   section that blocks.
//! - `Stuck` → `Awake`, by the thread itself after that turn; at once on to `Parked` if other
//!   threads have filled its place.
//!
//! At most `limit` threads are `Awake`. Stuck threads do not count: the operating system shares
//! the cores among all of them.
//!
//! # No lost wake-up
//! An `Awake` thread without work is *searching* for a while. A thread that injects work makes it
//! visible, then reads `searching`, and wakes no thread if there is a searcher. A searcher that
//! gives up takes itself out of `searching`, then looks for injected work a last time. A
//! sequentially consistent fence separates the two steps of each side, so at least one side sees
//! the other. The last searcher to find something wakes another thread if there is more. A
//! woken thread counts as searching from the moment it is chosen.
//!
//! Work in a thread's own queues is not part of this: the owner comes back to it, and if one of
//! its turns takes long, the monitor, which is awake whenever a thread is, hands the queues over.

use insula_sync::Mutex;
use insula_sync::atomic::{AtomicUsize, Ordering, fence};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Status {
    Vacant,
    Parked,
    Awake,
    Stuck,
}

/// An action for the caller of a transition, to be done after the roster's lock is released.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wake {
    /// Unpark this thread.
    Unpark(usize),
    /// Start this thread.
    Start(usize),
}

/// The roster of threads, and counts that can be read without its lock.
pub(crate) struct Sleep {
    roster: Mutex<Roster>,
    /// The number of threads that can be woken or started, written under the lock.
    idle: AtomicUsize,
    /// Threads that are neither vacant nor parked, written under the lock. Its SeqCst accesses pair
    /// with those of the monitor's `asleep`.
    active: AtomicUsize,
    /// Awake threads without work. Paired with the injected work by the two fences below.
    searching: AtomicUsize,
}

struct Roster {
    status: Vec<Status>,
    /// Vacant threads as a stack, the one with the lowest index on top.
    vacant: Vec<usize>,
    /// Parked threads as a stack, the last one to park on top: its caches are the warmest.
    parked: Vec<usize>,
    /// Set when a thread could not be started, until the next attempt.
    start_failed: bool,
    awake: usize,
    stuck: usize,
    limit: usize,
}

impl Roster {
    fn wake_one(&mut self) -> Option<Wake> {
        if self.awake >= self.limit {
            return None;
        }
        let wake = match self.parked.pop() {
            Some(index) => Wake::Unpark(index),
            None => {
                let index = self.vacant.pop()?;
                self.start_failed = false;
                Wake::Start(index)
            }
        };
        let (Wake::Unpark(index) | Wake::Start(index)) = wake;
        self.status[index] = Status::Awake;
        self.awake += 1;
        Some(wake)
    }

    fn park(&mut self, index: usize) {
        // The monitor may have found it stuck just before.
        match self.status[index] {
            Status::Stuck => self.stuck -= 1,
            _ => self.awake -= 1,
        }
        self.status[index] = Status::Parked;
        self.parked.push(index);
    }

    fn unpark_self(&mut self, index: usize) -> bool {
        let possible = self.status[index] == Status::Parked && self.awake < self.limit;
        if possible {
            self.parked.retain(|&other| other != index);
            self.status[index] = Status::Awake;
            self.awake += 1;
        }
        possible
    }

    fn idle(&self) -> usize {
        if self.awake >= self.limit {
            return 0;
        }
        let vacant = usize::from(!self.vacant.is_empty());
        (self.parked.len() + vacant).min(self.limit - self.awake)
    }
}

impl Sleep {
    /// Creates the roster of a pool in which at most `limit` threads run isolates, and at most
    /// `threads` exist.
    pub(crate) fn new(limit: usize, threads: usize) -> Self {
        let roster = Roster {
            status: vec![Status::Vacant; threads],
            // A list, so that no change of state has to look at all threads.
            vacant: (0..threads).rev().collect(),
            parked: Vec::new(),
            start_failed: false,
            awake: 0,
            stuck: 0,
            limit,
        };
        Self {
            idle: AtomicUsize::new(roster.idle()),
            active: AtomicUsize::new(0),
            searching: AtomicUsize::new(0),
            roster: Mutex::new(roster),
        }
    }

    fn with<R>(&self, f: impl FnOnce(&mut Roster) -> R) -> R {
        let mut roster = self.roster.lock();
        let result = f(&mut roster);
        // `idle` is read with Relaxed, as a hint. The store to `active` comes before the thread in
        // question loads `asleep` in `watch`; the monitor stores `asleep` and then loads `active`.
        self.idle.store(roster.idle(), Ordering::SeqCst);
        self.active
            .store(roster.awake + roster.stuck, Ordering::SeqCst);
        result
    }

    /// Returns whether no thread runs or searches.
    pub(crate) fn all_parked(&self) -> bool {
        // SeqCst: pairs with the store in `with`.
        self.active.load(Ordering::SeqCst) == 0
    }

    /// Returns whether, at a glance, a thread could be woken and none is searching.
    #[inline]
    pub(crate) fn could_use_a_thread(&self) -> bool {
        // Relaxed: a hint, for work to which the calling thread comes back itself.
        self.idle.load(Ordering::Relaxed) != 0 && self.searching.load(Ordering::Relaxed) == 0
    }

    /// Chooses a thread to wake if none is searching, after work was made visible to searchers.
    pub(crate) fn work_injected(&self) -> Injected {
        // Between the work and the load of `searching`; pairs with the fence in `park`.
        fence(Ordering::SeqCst);
        if self.searching.load(Ordering::SeqCst) != 0 {
            return Injected::Seen;
        }
        self.wake_one().map_or(Injected::AllBusy, Injected::Wake)
    }

    /// Chooses a thread to wake, if there is room for one. It counts as searching from now on.
    pub(crate) fn wake_one(&self) -> Option<Wake> {
        self.with(|roster| {
            let wake = roster.wake_one();
            if wake.is_some() {
                // Before the caller wakes it: meanwhile no other thread is woken for the same work.
                self.searching.fetch_add(1, Ordering::SeqCst);
            }
            wake
        })
    }

    /// Counts a thread that has run out of work as searching.
    pub(crate) fn start_searching(&self) {
        self.searching.fetch_add(1, Ordering::SeqCst);
    }

    /// Ends the search of a thread that found something. Returns whether it was the last searcher,
    /// which should wake another thread if there is more work.
    pub(crate) fn found_work(&self) -> LastSearcher {
        LastSearcher(self.searching.fetch_sub(1, Ordering::SeqCst) == 1)
    }

    /// Ends a search in vain and marks the thread as parked. The caller then looks for injected
    /// work once more. If there is any it calls [`resume`](Self::resume), otherwise it sleeps.
    pub(crate) fn park(&self, index: usize) {
        self.with(|roster| roster.park(index));
        self.searching.fetch_sub(1, Ordering::SeqCst);
        // Between `searching` and the caller's last look; pairs with the fence in `work_injected`.
        fence(Ordering::SeqCst);
    }

    /// Lets a parked thread that has seen work search again. Returns `false` if the thread must
    /// sleep all the same: another thread has chosen it already, and its token is on the way, or
    /// enough others are awake.
    pub(crate) fn resume(&self, index: usize) -> bool {
        self.with(|roster| {
            let resumed = roster.unpark_self(index);
            if resumed {
                self.searching.fetch_add(1, Ordering::SeqCst);
            }
            resumed
        })
    }

    /// Returns the number of stuck threads, if there are no others and none can be added.
    pub(crate) fn stuck_if_exhausted(&self) -> Option<usize> {
        let roster = self.roster.lock();
        // A vacant thread counts only if the last attempt to start one succeeded.
        let more = !roster.vacant.is_empty() && !roster.start_failed;
        let exhausted = roster.awake == 0 && roster.parked.is_empty() && !more;
        exhausted.then_some(roster.stuck)
    }

    /// Marks an awake thread as stuck: its turn takes long, or it is about to block. Returns
    /// `false` if the thread was not awake.
    pub(crate) fn stick(&self, index: usize) -> bool {
        self.with(|roster| {
            let awake = roster.status[index] == Status::Awake;
            if awake {
                roster.status[index] = Status::Stuck;
                roster.awake -= 1;
                roster.stuck += 1;
            }
            awake
        })
    }

    /// Marks a stuck thread as awake again, after its long turn. Returns `false` if its place has
    /// been filled: then it counts as parked, and the caller must give its queues away and sleep.
    pub(crate) fn unstick(&self, index: usize) -> bool {
        self.with(|roster| {
            if roster.status[index] != Status::Stuck {
                return true;
            }
            roster.status[index] = Status::Awake;
            roster.awake += 1;
            roster.stuck -= 1;
            let fits = roster.awake <= roster.limit;
            if !fits {
                roster.park(index);
            }
            fits
        })
    }

    #[cfg(all(test, loom))]
    pub(crate) fn awake(&self) -> usize {
        self.roster.lock().awake
    }

    /// Marks a thread that could not be started as vacant again.
    pub(crate) fn start_failed(&self, index: usize) {
        self.with(|roster| {
            roster.status[index] = Status::Vacant;
            roster.vacant.push(index);
            roster.start_failed = true;
            roster.awake -= 1;
        });
        self.searching.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The result of [`Sleep::work_injected`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Injected {
    /// A searcher will find the work.
    Seen,
    Wake(Wake),
    /// No thread can be added: the running threads reach the work, watched by the monitor.
    AllBusy,
}

/// `true` if a thread that found work was the last searcher.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct LastSearcher(pub(crate) bool);
