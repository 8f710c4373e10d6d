//! The order in which locks are taken, checked in debug builds.
//!
//! Each lock has a [`Rank`]. A thread may take a lock only if its level is above the levels of all
//! locks that the thread holds. Almost all locks are leaves, the highest level: no lock is taken
//! while a leaf is held. The few others have ranks of their own, and ARCHITECTURE.md lists what may
//! be taken under them.
//!
//! Debug builds keep the ranks that each thread holds, and panic with both names where the order
//! is wrong: a deadlock then shows in the first test that takes the locks in this order, and not
//! only where two threads meet. Release builds keep nothing. Under loom, deadlocks are found by the
//! models.

#[cfg(all(test, debug_assertions, not(loom)))]
mod tests;

#[cfg(all(debug_assertions, not(loom)))]
use std::cell::Cell;

/// The place of a lock in the order of all locks.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(
    any(not(debug_assertions), loom),
    expect(dead_code, reason = "only debug builds check the order")
)]
pub struct Rank {
    level: u8,
    name: &'static str,
}

impl Rank {
    /// The rank of a lock under which no other one is taken.
    pub const LEAF: Self = Self::new(u8::MAX, "a lock that is a leaf");

    /// For a lock around a value of a user, which is held while code of the user runs: it has no
    /// place in the order, and neither forbids other locks nor is forbidden by them.
    pub const UNCHECKED: Self = Self::new(0, "a lock of a user");

    /// A rank below the leaves, of a level above zero. `name` stands in the panic of a wrong order.
    pub const fn new(level: u8, name: &'static str) -> Self {
        Self { level, name }
    }
}

/// Ranks that a thread can hold at a time. More are not checked.
#[cfg(all(debug_assertions, not(loom)))]
const DEPTH: usize = 8;

#[cfg(all(debug_assertions, not(loom)))]
std::thread_local! {
    // Without a destructor, so that locks can be taken in other destructors of the thread.
    static HELD: Cell<[Option<Rank>; DEPTH]> = const { Cell::new([None; DEPTH]) };
}

/// A rank that this thread holds until this is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    #[cfg(all(debug_assertions, not(loom)))]
    place: Option<usize>,
}

#[cfg(all(debug_assertions, not(loom)))]
impl Held {
    /// Checks the order. Called before the lock is taken, so that a wrong order panics instead of
    /// waiting.
    #[track_caller]
    pub(crate) fn enter(rank: Rank) -> Self {
        Self::enter_if(rank, |held| held.level < rank.level)
    }

    /// As [`enter`](Self::enter), where a lock of the same level may be held.
    #[track_caller]
    pub(crate) fn enter_beside(rank: Rank) -> Self {
        Self::enter_if(rank, |held| held.level <= rank.level)
    }

    #[track_caller]
    fn enter_if(rank: Rank, may_follow: impl Fn(&Rank) -> bool) -> Self {
        HELD.with(|all| {
            if rank.level == Rank::UNCHECKED.level {
                return Self { place: None };
            }
            let mut held = all.get();
            let wrong = held.iter().flatten().find(|held| !may_follow(held));
            // A second panic would abort the process, and hide the first.
            if let Some(wrong) = wrong
                && !std::thread::panicking()
            {
                panic!(
                    "{} is taken while {} is held, against the order of locks in ARCHITECTURE.md",
                    rank.name, wrong.name
                );
            }
            // Any free place: guards may be dropped in any order, so this is not a stack.
            let place = held.iter().position(Option::is_none);
            if let Some(place) = place {
                held[place] = Some(rank);
                all.set(held);
            }
            Self { place }
        })
    }
}

#[cfg(all(debug_assertions, not(loom)))]
impl Drop for Held {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            HELD.with(|all| {
                let mut held = all.get();
                held[place] = None;
                all.set(held);
            });
        }
    }
}

#[cfg(not(all(debug_assertions, not(loom))))]
impl Held {
    #[inline]
    pub(crate) fn enter(_rank: Rank) -> Self {
        Self {}
    }

    #[inline]
    pub(crate) fn enter_beside(_rank: Rank) -> Self {
        Self {}
    }
}

/// Returns whether the calling thread is known to hold a lock of the runtime, which only debug builds
/// know. For code that may run anywhere, such as a hook for panics.
pub fn holds_any() -> bool {
    #[cfg(all(debug_assertions, not(loom)))]
    return HELD.with(|all| all.get().iter().any(Option::is_some));
    #[cfg(not(all(debug_assertions, not(loom))))]
    false
}

/// Checks, in debug builds, that the calling thread holds no lock of the runtime: before code of a
/// user runs, which may take any lock.
///
/// # Panics
/// If it holds one, unless it unwinds already.
#[inline]
#[track_caller]
pub fn assert_none_held() {
    #[cfg(all(debug_assertions, not(loom)))]
    HELD.with(|all| {
        if let Some(held) = all.get().iter().flatten().next()
            && !std::thread::panicking()
        {
            panic!("code of a user is to run while {} is held", held.name);
        }
    });
}
