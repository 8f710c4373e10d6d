//! Which threads are awake, and how none of them oversleeps.
//!
//! # States of a thread
//! `Vacant` (not started yet) or `Parked` → `Awake` by [`Sleep::wake_one`]; `Awake` → `Parked`
//! by itself, when its search was in vain; `Awake` → `Stuck` by the monitor, when one turn
//! takes long, or by itself, before a section that blocks; `Stuck` → `Awake` by itself, after
//! that turn. If by then others have filled its place it goes on to `Parked` at once.
//!
//! At most `limit` threads are `Awake`: that many isolates make progress on the pool's account.
//! Stuck ones do not count: the operating system shares the cores among all of them.
//!
//! # No lost wake-up
//! An `Awake` thread without work is *searching* for a while. Who injects work makes it
//! visible, then looks at `searching`: with a searcher about, it goes home. A searcher that
//! gives up takes itself out of `searching`, then looks for injected work a last time. Both
//! orders are sequentially consistent, so one of the two sees the other. A searcher that finds
//! something and was the last one wakes another if there is more. A woken thread counts as
//! searching from the moment it is chosen.
//!
//! Work in a thread's own queue is not part of this: its owner comes back to it, and if one of
//! its turns takes long, the monitor, which is awake whenever work waits anywhere, hands the
//! queue over.

use insula_sync::Mutex;
use insula_sync::atomic::{AtomicUsize, Ordering, fence};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Status {
    Vacant,
    Parked,
    Awake,
    Stuck,
}

/// What a transition asks the caller to do, after it has let the lock go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wake {
    /// Unpark this thread.
    Unpark(usize),
    /// Start this thread.
    Start(usize),
}

pub(crate) struct Sleep {
    roster: Mutex<Roster>,
    /// Mirrors the roster, for looks without the lock.
    idle: AtomicUsize,
    /// Threads that are neither vacant nor parked.
    active: AtomicUsize,
    searching: AtomicUsize,
}

struct Roster {
    status: Vec<Status>,
    /// Vacant threads, the one with the lowest index on top.
    vacant: Vec<usize>,
    /// Parked threads, the last one to park on top: its caches are the warmest.
    parked: Vec<usize>,
    /// The last thread that was to be started could not be.
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
    /// `limit` threads run isolates, `threads` at most exist.
    pub(crate) fn new(limit: usize, threads: usize) -> Self {
        let roster = Roster {
            status: vec![Status::Vacant; threads],
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
        self.idle.store(roster.idle(), Ordering::SeqCst);
        self.active
            .store(roster.awake + roster.stuck, Ordering::SeqCst);
        result
    }

    /// Whether no thread runs or searches.
    pub(crate) fn all_parked(&self) -> bool {
        self.active.load(Ordering::SeqCst) == 0
    }

    /// Whether a thread could be woken and none is searching, as far as can be seen in passing.
    #[inline]
    pub(crate) fn could_use_a_thread(&self) -> bool {
        self.idle.load(Ordering::Relaxed) != 0 && self.searching.load(Ordering::Relaxed) == 0
    }

    /// Work has been made visible to searchers: wakes one if that needs to be.
    pub(crate) fn work_injected(&self) -> Injected {
        // Pairs with the fence in `stop_searching`.
        fence(Ordering::SeqCst);
        if self.searching.load(Ordering::SeqCst) != 0 {
            return Injected::Seen;
        }
        self.wake_one().map_or(Injected::AllBusy, Injected::Wake)
    }

    /// Chooses a thread to wake, which counts as searching from now on.
    pub(crate) fn wake_one(&self) -> Option<Wake> {
        self.with(|roster| {
            let wake = roster.wake_one();
            if wake.is_some() {
                self.searching.fetch_add(1, Ordering::SeqCst);
            }
            wake
        })
    }

    /// A thread that has run isolates is out of work.
    pub(crate) fn start_searching(&self) {
        self.searching.fetch_add(1, Ordering::SeqCst);
    }

    /// A searcher found something. The last one to do so is asked to wake another if there is
    /// more.
    pub(crate) fn found_work(&self) -> LastSearcher {
        LastSearcher(self.searching.fetch_sub(1, Ordering::SeqCst) == 1)
    }

    /// A searcher gives up. Afterwards it looks for injected work once more; if there is any it
    /// asks [`resume`](Self::resume), otherwise it parks.
    pub(crate) fn park(&self, index: usize) {
        self.with(|roster| roster.park(index));
        self.searching.fetch_sub(1, Ordering::SeqCst);
        // Pairs with the fence in `work_injected`.
        fence(Ordering::SeqCst);
    }

    /// There was work after all. `false` if somebody has chosen this thread already, in which
    /// case a token is on its way, or if enough others are awake. Otherwise it searches again.
    pub(crate) fn resume(&self, index: usize) -> bool {
        self.with(|roster| {
            let resumed = roster.unpark_self(index);
            if resumed {
                self.searching.fetch_add(1, Ordering::SeqCst);
            }
            resumed
        })
    }

    /// How many threads are stuck, if there are no others and none can be added.
    pub(crate) fn stuck_if_exhausted(&self) -> Option<usize> {
        let roster = self.roster.lock();
        let more = !roster.vacant.is_empty() && !roster.start_failed;
        let exhausted = roster.awake == 0 && roster.parked.is_empty() && !more;
        exhausted.then_some(roster.stuck)
    }

    /// A thread is in a turn that takes long, or is about to block.
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

    /// The long turn of this thread is over. `false` if its place has been filled: then it is
    /// parked already, and its queue is to be given away.
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

    /// A thread that was to be started could not be.
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

/// What became of the news that there is work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Injected {
    /// A searcher will find it.
    Seen,
    Wake(Wake),
    /// As many threads as may be are running isolates: the monitor must watch them.
    AllBusy,
}

/// Whether a thread that found work was the last one to search.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct LastSearcher(pub(crate) bool);
