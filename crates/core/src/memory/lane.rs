//! The normal lane of an isolate, and the state word that locks it.
//!
//! # The word
//! The word is one byte that is its own lock ([`StateLock`]): one atomic operation acquires the
//! lane and reads the state, one store publishes the new state and releases the lane. A holder
//! moves a few words and sometimes allocates a block; it never runs user code.
//!
//! | state | meaning | set by | cleared by |
//! |---|---|---|---|
//! | (none) | idle: the lane is empty, the isolate is in no run queue | | |
//! | `SCHEDULED` | in a run queue, or running on exactly one thread | the thread that makes an idle isolate non-empty, which then schedules it | the running thread, when it finds the lane empty |
//! | `OOB` | the out-of-band lane has a message | the sender of the message | the running thread, when it takes the messages |
//! | `PAUSED` | scheduled, but paused and in no run queue | the running thread, instead of going idle | the sender of an out-of-band message, which then schedules the isolate |
//! | `DEAD` | no record is accepted any more | the running thread, once | never |
//! | `DETACHED` | some answers bypass the lane (`port/reply/pending.rs`) | the running thread | the thread that takes the last of their cells out |
//!
//! Running needs no bit of its own: a send to a running isolate sees `SCHEDULED` and returns. No
//! wake-up is lost, because emptiness and `SCHEDULED` change under the same lock: either the
//! runner finds the sender's record, or the sender finds the bit clear.
//!
//! # The lane
//! Records ([`record`](crate::memory::record)) are kept in arrival order: the first one in place
//! (`first`), so that an isolate that gets one message at a time never allocates, the others in a
//! chain of blocks. Only the sender that finds the isolate idle writes `first`. It then belongs to
//! the runner until the isolate is idle again: the runner reads it without the lock when a slice
//! begins, so a single message costs one locking instead of two. It is always the oldest record.
//! The runner takes the whole chain, reads it without the lock, and gives its last block back as
//! the next empty one, so a steady stream of messages alternates between two blocks.
//!
//! The lane is unbounded by design, as the VM's is: a bounded port counts its own messages, and
//! the runtime's own records are bounded by the tasks, timers and calls that they refer to.

mod block;

use std::mem::MaybeUninit;

use insula_sync::cell::UnsafeCell;
use insula_sync::{StateGuard, StateLock};

use crate::memory::record::{Head, words_of};
use block::BlockPtr;
pub(crate) use block::Burst;

const SCHEDULED: u8 = 1;
const OOB: u8 = 2;
const DEAD: u8 = 4;
const PAUSED: u8 = 8;
const DETACHED: u8 = 16;

/// Words of the record that is stored in the lane itself, header included.
const FIRST_WORDS: usize = 4;

/// The normal lane of one isolate, with the word that guards it.
pub(crate) struct Lane {
    word: StateLock,
    /// Accessed by the lock's holder while the isolate is idle, else only by its runner.
    first: UnsafeCell<First>,
    /// Accessed only by the lock's holder.
    inner: UnsafeCell<Inner>,
    /// Records that have arrived, modulo 2^32; set to the isolate's turns whenever it goes idle, so
    /// that their difference is the length of its queue. Accessed only by the lock's holder.
    arrived: UnsafeCell<u32>,
}

// SAFETY: only the lock's holder accesses `inner` and `arrived`, and only the lock's holder or the runner, as the
// field says, accesses `first`; records are `Send` by the bounds of the functions that push them.
unsafe impl Sync for Lane {}
// SAFETY: as above; a lane has no tie to a thread.
unsafe impl Send for Lane {}

/// The chain of blocks.
struct Inner {
    /// Next free word in `tail`, and the number of its words; both 0 while there is no block.
    write: u32,
    capacity: u32,
    head: BlockPtr,
    tail: BlockPtr,
}

/// The record that is stored in the lane itself.
struct First {
    filled: bool,
    words: [MaybeUninit<u64>; FIRST_WORDS],
}

impl Lane {
    /// Creates an empty lane of an idle isolate.
    pub(crate) fn new() -> Self {
        Self {
            word: StateLock::new(),
            first: UnsafeCell::new(First {
                filled: false,
                words: [MaybeUninit::uninit(); FIRST_WORDS],
            }),
            inner: UnsafeCell::new(Inner::new()),
            arrived: UnsafeCell::new(0),
        }
    }

    /// Acquires the lane.
    #[inline]
    pub(crate) fn lock(&self) -> LaneGuard<'_> {
        LaneGuard {
            lane: self,
            word: self.word.lock(),
        }
    }

    /// Returns whether the out-of-band lane has a message, without the lock. Returns `false` while
    /// the lane is held: the next turn asks again.
    #[inline]
    pub(crate) fn peek_oob(&self) -> bool {
        self.word.peek().is_some_and(|state| state & OOB != 0)
    }

    /// Like [`peek_oob`](Self::peek_oob), but exact: takes the lock if it is contended. Call it
    /// before sleeping.
    pub(crate) fn has_oob(&self) -> bool {
        let state = self.word.peek();
        let state = state.unwrap_or_else(|| self.lock().word.state);
        state & OOB != 0
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.lock().is_dead()
    }

    /// Takes the record that woke the isolate, if it is stored in the lane itself. The caller
    /// delivers or discards it before it uses the lane again.
    #[inline]
    pub(crate) unsafe fn take_first(&self) -> Option<(Head, *const u64)> {
        self.first.with_mut(|first| {
            // SAFETY: while the isolate runs, only its runner accesses `first`.
            let first = unsafe { &mut *first };
            if !std::mem::replace(&mut first.filled, false) {
                return None;
            }
            let at = first.words.as_ptr().cast::<u64>();
            // SAFETY: it is filled, so it begins with a header.
            Some((unsafe { Head::read_from(at) }, at.wrapping_add(1)))
        })
    }

    /// Settles answers ahead of their turn: calls `settle` with the header and the payload of each
    /// record that has arrived. `settle` moves the payload out and returns `true`, or returns
    /// `false`, and the record keeps its place.
    ///
    /// # Safety
    /// The caller is inside a turn of the isolate, or has entered it while it is idle.
    pub(crate) unsafe fn sift(
        &self,
        burst: &Burst,
        mut settle: impl FnMut(Head, *const u64) -> bool,
    ) {
        let mut kept = Inner::new();
        let lane = self.lock();
        // An idle isolate that was entered may be scheduled at any time, and `first` then belongs
        // to its next runner.
        let first = if lane.word.state & SCHEDULED == 0 {
            None
        } else {
            // SAFETY: the isolate is scheduled, and the caller is its runner.
            unsafe { self.take_first() }
        };
        drop(lane);
        let mut next = first;
        loop {
            // SAFETY: by the caller's promise: no other thread runs the isolate.
            match next.take().or_else(|| unsafe { burst.next() }) {
                Some((head, payload)) => {
                    if !settle(head, payload) {
                        // SAFETY: the whole record is moved, and it is not read here again.
                        unsafe { kept.push_raw(head, payload) };
                    }
                }
                None if self.lock().take_chain(burst) => {}
                None => break,
            }
        }
        // The burst has been read to its end, and the kept records are older than any that may be
        // in the chain by now.
        if kept.write != 0 {
            burst.exchange(kept.head, kept.tail, kept.write).free();
        }
    }

    /// Returns whether the isolate is scheduled and not paused; `None` while the lane is held.
    #[inline]
    pub(crate) fn peek_scheduled(&self) -> Option<bool> {
        self.word
            .peek()
            .map(|state| state & (SCHEDULED | PAUSED) == SCHEDULED)
    }
}

/// The acquired lane.
pub(crate) struct LaneGuard<'a> {
    lane: &'a Lane,
    /// The last field: dropping it releases the lane.
    word: StateGuard<'a>,
}

impl LaneGuard<'_> {
    #[inline]
    pub(crate) fn is_dead(&self) -> bool {
        self.word.state & DEAD != 0
    }

    /// Returns whether the isolate has detached questions.
    #[inline]
    pub(crate) fn has_detached(&self) -> bool {
        self.word.state & DETACHED != 0
    }

    pub(crate) fn set_detached(&mut self, has_detached: bool) {
        self.word.state &= !DETACHED;
        self.word.state |= if has_detached { DETACHED } else { 0 };
    }

    /// Marks the lane as non-empty. A caller that gets `true` must schedule the isolate after it
    /// has released the lane; no other thread does.
    #[inline]
    #[must_use]
    pub(crate) fn mark_scheduled(&mut self) -> bool {
        let was_idle = self.word.state & SCHEDULED == 0;
        self.word.state |= SCHEDULED;
        was_idle
    }

    /// Marks the out-of-band lane as non-empty. A caller that gets `true` must schedule the
    /// isolate, as after [`mark_scheduled`](Self::mark_scheduled).
    #[must_use]
    pub(crate) fn mark_oob(&mut self) -> bool {
        let runs = self.word.state & (SCHEDULED | PAUSED) == SCHEDULED;
        self.word.state = (self.word.state | OOB | SCHEDULED) & !PAUSED;
        !runs
    }

    /// Marks the isolate as paused: normal messages do not schedule it. A filled `first` remains
    /// the runner's.
    pub(crate) fn go_paused(&mut self) {
        // `SCHEDULED` stays set, so that `mark_scheduled` returns `false`.
        self.word.state |= PAUSED;
    }

    /// Returns whether the chain has no records.
    pub(crate) fn is_empty(&mut self) -> bool {
        self.lane.inner.with_mut(|inner| {
            // SAFETY: only the lock's holder accesses `inner`, and `self` is its guard.
            unsafe { &*inner }.write == 0
        })
    }

    pub(crate) fn has_oob(&self) -> bool {
        self.word.state & OOB != 0
    }

    /// Returns whether the isolate is in a run queue or runs.
    pub(crate) fn is_scheduled(&self) -> bool {
        self.word.state & (SCHEDULED | PAUSED) == SCHEDULED
    }

    /// Returns whether the isolate is paused and waits for a control message.
    pub(crate) fn is_paused(&self) -> bool {
        self.word.state & PAUSED != 0
    }

    /// Returns the number of records that the isolate, after so many turns, has not handled. A few
    /// answers are settled without a turn, and count until the isolate is idle.
    pub(crate) fn queued(&mut self, turns: u32) -> u32 {
        self.lane.arrived.with_mut(|arrived| {
            // SAFETY: only the lock's holder accesses it, and `self` is its guard.
            let queued = unsafe { *arrived }.wrapping_sub(turns);
            // Negative if a turn has just begun that was counted by its thread alone.
            if queued > u32::MAX / 2 { 0 } else { queued }
        })
    }

    pub(crate) fn take_oob(&mut self) -> bool {
        let had = self.word.state & OOB != 0;
        self.word.state &= !OOB;
        had
    }

    /// Appends a record.
    ///
    /// # Safety
    /// The lane is not dead, `head` is the header of payloads of type `P`, and `P` is stored inline
    /// ([`is_inline`](crate::memory::record::is_inline)).
    #[inline]
    pub(crate) unsafe fn push<P>(&mut self, head: Head, payload: P) {
        let words = 1 + words_of::<P>();
        self.lane.arrived.with_mut(|arrived| {
            // SAFETY: only the lock's holder accesses it, and `self` is its guard.
            let arrived = unsafe { &mut *arrived };
            *arrived = arrived.wrapping_add(1);
        });
        // `first` only while the isolate is idle: otherwise the runner may read it, and older
        // records may be in the chain.
        let at = if words as usize <= FIRST_WORDS && self.word.state & SCHEDULED == 0 {
            self.fill_first()
        } else {
            self.lane.inner.with_mut(|inner| {
                // SAFETY: only the lock's holder accesses `inner`, and `self` is its guard.
                unsafe { &mut *inner }.reserve(words)
            })
        };
        // SAFETY: `at` was reserved for one word and the payload's words.
        unsafe { head.write_to(at) };
        let to = at.wrapping_add(1).cast::<P>();
        // SAFETY: as above; the address is aligned to eight bytes, which is enough by `is_inline`.
        unsafe { to.write(payload) };
    }

    /// Reserves `first`. Only while the isolate is idle, and so has no records.
    #[inline]
    fn fill_first(&mut self) -> *mut u64 {
        self.lane.first.with_mut(|first| {
            // SAFETY: while the isolate is idle, only the lock's holder accesses `first`.
            let first = unsafe { &mut *first };
            first.filled = true;
            first.words.as_mut_ptr().cast()
        })
    }

    /// Moves all records of the chain to the runner; returns `false` if there were none. `burst`
    /// must have been read to its end.
    #[inline]
    pub(crate) fn take_chain(&mut self, burst: &Burst) -> bool {
        self.lane.inner.with_mut(|inner| {
            // SAFETY: only the lock's holder accesses `inner`, and `self` is its guard.
            let inner = unsafe { &mut *inner };
            let filled = inner.write != 0;
            if filled {
                let empty = burst.exchange(inner.head, inner.tail, inner.write);
                inner.install(empty);
            }
            filled
        })
    }

    /// Marks the isolate as idle, after so many turns. Returns the empty block that it no longer
    /// needs.
    ///
    /// Call it only after [`take_chain`](Self::take_chain) found nothing under the same guard.
    #[inline]
    pub(crate) fn go_idle(&mut self, turns: u32) -> BlockPtr {
        self.word.state &= !SCHEDULED;
        // SAFETY: only the lock's holder accesses it, and `self` is its guard.
        self.lane
            .arrived
            .with_mut(|arrived| unsafe { *arrived = turns });
        self.remove_empty_block()
    }

    /// Marks the isolate as dead: no record is accepted any more.
    pub(crate) fn go_dead(&mut self) {
        // `SCHEDULED` too: a dead isolate never counts as idle, though the host of a root isolate
        // may end it while it is idle.
        self.word.state |= DEAD | SCHEDULED;
    }

    fn remove_empty_block(&mut self) -> BlockPtr {
        self.lane.inner.with_mut(|inner| {
            // SAFETY: only the lock's holder accesses `inner`, and `self` is its guard.
            let inner = unsafe { &mut *inner };
            let empty = inner.head;
            inner.install(BlockPtr::NONE);
            empty
        })
    }
}

impl Inner {
    fn new() -> Self {
        Self {
            write: 0,
            capacity: 0,
            head: BlockPtr::NONE,
            tail: BlockPtr::NONE,
        }
    }

    /// Appends a record that is stored elsewhere.
    ///
    /// # Safety
    /// `payload` belongs to a record with this header, and is not used there any more.
    unsafe fn push_raw(&mut self, head: Head, payload: *const u64) {
        let at = self.reserve(1 + head.words());
        // SAFETY: `at` was reserved for one word and the payload's words.
        unsafe { head.write_to(at) };
        // SAFETY: as above; the payload is in another block, or in the lane itself.
        unsafe { payload.copy_to_nonoverlapping(at.wrapping_add(1), head.words() as usize) };
    }

    #[inline]
    fn reserve(&mut self, words: u32) -> *mut u64 {
        if self.write + words <= self.capacity {
            let at = self.write;
            self.write += words;
            return self.tail.word(at);
        }
        self.reserve_slow(words)
    }

    #[inline(never)]
    fn reserve_slow(&mut self, words: u32) -> *mut u64 {
        let block = BlockPtr::allocate_after(self.capacity);
        if self.tail == BlockPtr::NONE {
            self.head = block;
        } else {
            self.tail.seal(self.write, block);
        }
        self.tail = block;
        self.write = words;
        self.capacity = block.capacity();
        block.word(0)
    }

    fn install(&mut self, block: BlockPtr) {
        self.head = block;
        self.tail = block;
        self.write = 0;
        self.capacity = block.capacity();
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        // The isolate's teardown has emptied the lane, so at most an empty block is left.
        let empty = self.lock().remove_empty_block();
        empty.free();
    }
}
