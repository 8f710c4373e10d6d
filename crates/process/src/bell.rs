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
//! A process may also have threads that look at the ring by themselves, as long as they have nothing
//! else to do. While there are any, no sleep is announced and no bell rung. The last one to leave
//! announces the sleep, and then looks once more, as the sleeper does; the sleeper wakes if the bell rings
//! after that, although the announcement was not its own. If it sees something that it cannot take, since
//! another thread is taking things, it calls the sleeper.
//!
//! Such threads also go on with a frame for which there was no room. The writer of the frame says that it
//! is [stalled](Stall), and then looks for room once more: the one that leaves either sees that, or leaves
//! early enough for the bell to ring, or there is room in that look.
//!
//! A process calls its own sleeper over a second futex, which is in memory of its own: the other one may
//! write to the bell what it likes, and keeps no thread here asleep. Such calls are rare, and each of
//! them is a system call.

use std::time::Duration;

use insula_sync::atomic::{AtomicBool, AtomicU32, Ordering, fence};

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

/// Counts the threads of a process that look at the ring by themselves.
#[derive(Default)]
pub(crate) struct Lookers(AtomicU32);

/// Whether a frame waits for room, for the threads that look by themselves. Changed by one writer at a
/// time.
#[derive(Default)]
pub(crate) struct Stall(AtomicBool);

impl Stall {
    /// There was no room for the rest of a frame. Returns whether there is by now.
    pub(crate) fn begin(&self, has_room: impl FnOnce() -> bool) -> bool {
        self.0.store(true, Ordering::Relaxed);
        // Pairs with the fences of `ring` and `end_look`. If the other side has made room and has not rung,
        // since a thread was looking, and that thread has not seen the store, both were before this.
        fence(Ordering::SeqCst);
        has_room()
    }

    /// No frame waits any more.
    pub(crate) fn end(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    pub(crate) fn is_there(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Takes a sign of the other side back, if it is there. It changes nothing otherwise, also where the
/// other side does at the same time: a zero that is written over a zero could hide a sign that follows.
pub(crate) fn take(sign: &AtomicU32) -> bool {
    let (acquire, relaxed) = (Ordering::Acquire, Ordering::Relaxed);
    sign.load(relaxed) != 0 && sign.compare_exchange(1, 0, acquire, relaxed).is_ok()
}

impl<'a> Bell<'a> {
    pub(crate) fn new(word: &'a AtomicU32, sleeps: &'a AtomicU32) -> Self {
        Self { word, sleeps }
    }

    /// One more thread looks by itself. No bell need ring.
    pub(crate) fn begin_look(&self, lookers: &Lookers) {
        lookers.0.fetch_add(1, Ordering::AcqRel);
        // Only if needed: the other side reads it often.
        if self.sleeps.load(Ordering::Relaxed) != 0 {
            self.sleeps.store(0, Ordering::Relaxed);
        }
    }

    /// One thread less looks by itself. It looks a last time after this, and calls the sleeper if it
    /// leaves something behind.
    pub(crate) fn end_look(&self, lookers: &Lookers) {
        // Acquire and Release: what the others have written to `sleeps` comes before what the last one
        // does.
        if lookers.0.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.announce();
        }
    }

    fn announce(&self) {
        // Release pairs with the Acquire of `take`: a sleeper that is woken for this announcement sees
        // that there are no lookers.
        self.sleeps.store(1, Ordering::Release);
        // Pairs with the fence of `ring`.
        fence(Ordering::SeqCst);
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
        lookers: &Lookers,
        (calls, seen_calls): (&Calls, u32),
        most: Option<Duration>,
        has_work: impl FnOnce() -> bool,
    ) {
        let seen = self.word.load(Ordering::Acquire);
        // Relaxed: an old count does no harm. The last thread to leave has announced the sleep itself. If
        // the other side has taken that back, the word has changed: after the load above, which ends the
        // sleep, or before it, and then the count is seen as well.
        if lookers.0.load(Ordering::Relaxed) == 0 {
            self.announce();
        }
        if !has_work() {
            let word = self.word;
            let own = Word {
                word: &calls.0,
                seen: seen_calls,
            };
            futex.wait(Word { word, seen }, own, most);
        }
        // The announcement stays, if it was not taken back: at worst the bell rings once for nothing.
    }
}
