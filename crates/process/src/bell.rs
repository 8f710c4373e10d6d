//! How one process wakes the other.
//!
//! A side that has nothing to do sleeps on its own bell, a futex in the shared memory. The other
//! side rings the bell after each write, and pays for a system call only if the side
//! sleeps.
//!
//! The sleeper announces that it sleeps and then looks once more; the ringer has written first and
//! looks at the announcement then. Each has a fence between its two steps, so at least one of them
//! sees the other. The ringer takes the announcement back, so that of many rings one wakes. The word
//! of the futex counts the wake-ups: a sleeper that has read it before finds it changed, and does
//! not sleep.
//!
//! A process calls its own sleeper over a second futex, which is in memory of its own: the other one may
//! write to the bell what it likes, and keeps no thread here asleep. Such calls are rare, and each of
//! them is a system call.

use std::time::Duration;

use insula_sync::atomic::{AtomicU32, Ordering, fence};

/// The bell of one side.
pub(crate) struct Bell<'a> {
    word: &'a AtomicU32,
    sleeps: &'a AtomicU32,
}

/// A word, and the value that was seen there.
#[derive(Clone, Copy)]
pub(crate) struct Word<'a> {
    pub(crate) word: &'a AtomicU32,
    pub(crate) seen: u32,
}

/// What puts a thread to sleep as long as two words have their values.
pub(crate) trait Futex {
    /// Sleeps until it is woken, at most for a time, and not at all if one of the words has changed: a
    /// shared one, or one of this process. May wake for no reason.
    fn wait(&self, shared: Word<'_>, own: Word<'_>, most: Option<Duration>);
    /// Wakes a thread that sleeps on a shared word.
    fn wake(&self, word: &AtomicU32);
    /// Wakes a thread that sleeps on a word of this process.
    fn wake_own(&self, word: &AtomicU32);
}

/// Counts what a process tells its own sleeper.
#[derive(Default)]
pub(crate) struct Calls(AtomicU32);

impl Calls {
    /// Wakes the sleeper. What was written before is seen by it.
    pub(crate) fn call(&self, futex: &impl Futex) {
        // Release pairs with `count`.
        self.0.fetch_add(1, Ordering::Release);
        futex.wake_own(&self.0);
    }

    /// The calls until now. What was written before them is seen.
    pub(crate) fn count(&self) -> u32 {
        self.0.load(Ordering::Acquire)
    }
}

/// Takes a sign of the other side back, if it is there. It changes nothing otherwise, also where the
/// other side does at the same time: a zero that is written over a zero could hide a sign that follows.
pub(crate) fn take(sign: &AtomicU32) -> bool {
    let relaxed = Ordering::Relaxed;
    sign.load(relaxed) != 0 && sign.compare_exchange(1, 0, relaxed, relaxed).is_ok()
}

impl<'a> Bell<'a> {
    pub(crate) fn new(word: &'a AtomicU32, sleeps: &'a AtomicU32) -> Self {
        Self { word, sleeps }
    }

    /// Wakes the side, if it sleeps. What was written before is seen by it.
    pub(crate) fn ring(&self, futex: &impl Futex) {
        // Pairs with the fence of `sleep`.
        fence(Ordering::SeqCst);
        if take(self.sleeps) {
            self.word.fetch_add(1, Ordering::Release);
            futex.wake(self.word);
        }
    }

    /// Sleeps until the bell rings, there are more calls than were seen or the time has passed, unless
    /// there is something to do.
    pub(crate) fn sleep(
        &self,
        futex: &impl Futex,
        (calls, seen_calls): (&Calls, u32),
        most: Option<Duration>,
        has_work: impl FnOnce() -> bool,
    ) {
        let seen = self.word.load(Ordering::Acquire);
        self.sleeps.store(1, Ordering::Relaxed);
        // Pairs with the fence of `ring`.
        fence(Ordering::SeqCst);
        if !has_work() {
            let word = self.word;
            let own = Word {
                word: &calls.0,
                seen: seen_calls,
            };
            futex.wait(Word { word, seen }, own, most);
        }
        self.sleeps.store(0, Ordering::Relaxed);
    }
}
