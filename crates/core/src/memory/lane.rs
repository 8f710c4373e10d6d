//! The handler's word and the normal lane.
//!
//! # The word
//! One byte per isolate that is its own lock ([`StateLock`]): one atomic operation takes the
//! lane and reads the state, one store publishes the new state and lets go. Nothing but a few
//! moves of words, and now and then an allocation of a block, happens in between; never user
//! code.
//!
//! | state | meaning | set by | cleared by |
//! |---|---|---|---|
//! | (none) | idle: empty, in no run queue | | |
//! | `SCHEDULED` | in a run queue, or being run, by exactly one thread | whoever makes an idle isolate non-empty; that one schedules it | the running thread, when it finds the lane empty |
//! | `OOB` | the out-of-band lane has something | who posts there | the running thread, when it takes it |
//! | `PAUSED` | scheduled, but paused and in no run queue | the running thread, instead of going idle | who posts out of band; that one schedules it |
//! | `DEAD` | nothing is accepted any more | the running thread, once | never |
//! | `DETACHED` | some answers go elsewhere (`port/reply/pending.rs`) | the running thread | who takes the last of them out |
//!
//! "Running" needs no bit of its own: sends meanwhile see `SCHEDULED` and go home. No wake-up
//! is lost because emptiness and `SCHEDULED` change under the same lock: either the sender's
//! record was there when the runner looked, or the sender sees that the bit is clear.
//!
//! # The lane
//! Records ([`record`](crate::record)) in arrival order: one in place (`first`), so that an
//! isolate that gets one message at a time never allocates, the others in a chain of blocks.
//! `first` is written only by the sender that finds the isolate idle. From then on until the
//! isolate is idle again it is the runner's: it reads it without the lock when it begins, and
//! so handles a single message with one locking instead of two. It is always the oldest.
//! The chain the runner takes whole, reads it without the lock, and gives its last block back
//! as the next empty one, so that a steady stream runs over the same two blocks.
//!
//! Unbounded by design, as the VM's is: a bounded port counts its own messages, and the
//! runtime's own records are bounded by what they speak of (tasks, timers, calls).

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

/// Words of the record that lies in the lane itself, header included.
const FIRST_WORDS: usize = 4;

/// The normal lane of one isolate and the word that guards it.
pub(crate) struct Lane {
    word: StateLock,
    /// The holder's of the lock, while the isolate is idle; else the runner's.
    first: UnsafeCell<First>,
    inner: UnsafeCell<Inner>,
}

// SAFETY: `inner` is only touched by the holder of the lock; records are `Send` by the bounds
// of the functions that push them.
unsafe impl Sync for Lane {}
// SAFETY: as above; a lane has no tie to a thread.
unsafe impl Send for Lane {}

struct Inner {
    /// Next free word in `tail`, and the words it has; both 0 while there is no block.
    write: u32,
    capacity: u32,
    head: BlockPtr,
    tail: BlockPtr,
}

/// The record that lies in the lane itself.
struct First {
    filled: bool,
    words: [MaybeUninit<u64>; FIRST_WORDS],
}

impl Lane {
    /// An empty lane of an idle isolate.
    pub(crate) fn new() -> Self {
        Self {
            word: StateLock::new(),
            first: UnsafeCell::new(First {
                filled: false,
                words: [MaybeUninit::uninit(); FIRST_WORDS],
            }),
            inner: UnsafeCell::new(Inner::new()),
        }
    }

    /// Takes the lane.
    #[inline(always)]
    pub(crate) fn lock(&self) -> LaneGuard<'_> {
        LaneGuard {
            inner: &self.inner,
            first: &self.first,
            word: self.word.lock(),
        }
    }

    /// Whether the out-of-band lane has something, as far as can be seen without the lock:
    /// while somebody holds it the answer is no, and the next turn asks again.
    #[inline(always)]
    pub(crate) fn peek_oob(&self) -> bool {
        self.word.peek().is_some_and(|state| state & OOB != 0)
    }

    /// As [`peek_oob`](Self::peek_oob), for who sleeps if there is none: while somebody else holds
    /// the lane, that one cannot tell.
    pub(crate) fn has_oob(&self) -> bool {
        let state = self.word.peek();
        let state = state.unwrap_or_else(|| self.lock().word.state);
        state & OOB != 0
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.lock().is_dead()
    }

    /// The record with which the isolate was woken, if that lies in the lane itself. The
    /// caller delivers or discards it before it comes back to the lane.
    ///
    /// # Safety
    /// The caller runs the isolate.
    #[inline(always)]
    pub(crate) unsafe fn take_first(&self) -> Option<(Head, *const u64)> {
        self.first.with_mut(|first| {
            // SAFETY: while the isolate runs only its runner touches `first`.
            let first = unsafe { &mut *first };
            if !std::mem::replace(&mut first.filled, false) {
                return None;
            }
            let at = first.words.as_ptr().cast::<u64>();
            // SAFETY: filled, so it begins with a header.
            Some((unsafe { Head::read_from(at) }, at.wrapping_add(1)))
        })
    }

    /// Hands answers out that have not had their turn: `settle` is called with the header and the
    /// payload of each record that has come, moves the payload out or leaves it, and tells which.
    /// What it leaves stays in its order.
    ///
    /// # Safety
    /// The caller is in the middle of a turn of the isolate, or has entered it while it is idle.
    pub(crate) unsafe fn sift(
        &self,
        burst: &Burst,
        mut settle: impl FnMut(Head, *const u64) -> bool,
    ) {
        let mut kept = Inner::new();
        let lane = self.lock();
        // An idle isolate that was entered may be scheduled at any time, and then `first` is the
        // runner's.
        let first = if lane.word.state & SCHEDULED == 0 {
            None
        } else {
            // SAFETY: the isolate is scheduled, and the caller is its runner.
            unsafe { self.take_first() }
        };
        drop(lane);
        let mut next = first;
        loop {
            // SAFETY: the caller is the runner.
            match next.take().or_else(|| unsafe { burst.next() }) {
                Some((head, payload)) => {
                    if !settle(head, payload) {
                        // SAFETY: the record is passed on whole, and not read here again.
                        unsafe { kept.push_raw(head, payload) };
                    }
                }
                None if self.lock().take_chain(burst) => {}
                None => break,
            }
        }
        if kept.write != 0 {
            burst.exchange(kept.head, kept.tail, kept.write).free();
        }
    }

    /// Whether the isolate has been scheduled, and may run; `None` while somebody holds the
    /// lane.
    #[inline]
    pub(crate) fn peek_scheduled(&self) -> Option<bool> {
        self.word
            .peek()
            .map(|state| state & (SCHEDULED | PAUSED) == SCHEDULED)
    }
}

/// The lane, held.
pub(crate) struct LaneGuard<'a> {
    inner: &'a UnsafeCell<Inner>,
    first: &'a UnsafeCell<First>,
    /// Last: dropping it lets the lane go.
    word: StateGuard<'a>,
}

impl LaneGuard<'_> {
    #[inline(always)]
    pub(crate) fn is_dead(&self) -> bool {
        self.word.state & DEAD != 0
    }

    /// Whether the isolate has questions that are detached.
    #[inline(always)]
    pub(crate) fn has_detached(&self) -> bool {
        self.word.state & DETACHED != 0
    }

    pub(crate) fn set_detached(&mut self, has_detached: bool) {
        self.word.state &= !DETACHED;
        self.word.state |= if has_detached { DETACHED } else { 0 };
    }

    /// Says that the lane is not empty any more. The caller that gets `true` schedules the
    /// isolate after it has let the lane go; nobody else will.
    #[inline(always)]
    #[must_use]
    pub(crate) fn mark_scheduled(&mut self) -> bool {
        let was_idle = self.word.state & SCHEDULED == 0;
        self.word.state |= SCHEDULED;
        was_idle
    }

    /// Says that the out-of-band lane has something. The caller that gets `true` schedules the
    /// isolate, as after [`mark_scheduled`](Self::mark_scheduled).
    #[must_use]
    pub(crate) fn mark_oob(&mut self) -> bool {
        let runs = self.word.state & (SCHEDULED | PAUSED) == SCHEDULED;
        self.word.state = (self.word.state | OOB | SCHEDULED) & !PAUSED;
        !runs
    }

    /// The isolate is paused: normal messages do not schedule it. `first`, if it is filled,
    /// stays the runner's.
    pub(crate) fn go_paused(&mut self) {
        self.word.state |= PAUSED;
    }

    /// Whether no record waits in the chain.
    pub(crate) fn is_empty(&mut self) -> bool {
        self.inner.with_mut(|inner| {
            // SAFETY: the guard is the only way to `inner`.
            unsafe { &*inner }.write == 0
        })
    }

    pub(crate) fn has_oob(&self) -> bool {
        self.word.state & OOB != 0
    }

    pub(crate) fn take_oob(&mut self) -> bool {
        let had = self.word.state & OOB != 0;
        self.word.state &= !OOB;
        had
    }

    /// Appends a record.
    ///
    /// # Safety
    /// The lane is not dead, `head` goes with a payload of type `P`, and `P` lies in a record
    /// ([`is_inline`](crate::memory::record::is_inline)).
    #[inline(always)]
    pub(crate) unsafe fn push<P>(&mut self, head: Head, payload: P) {
        let words = 1 + words_of::<P>();
        let at = if words as usize <= FIRST_WORDS && self.word.state & SCHEDULED == 0 {
            self.fill_first()
        } else {
            self.inner.with_mut(|inner| {
                // SAFETY: the guard is the only way to `inner`.
                unsafe { &mut *inner }.reserve(words)
            })
        };
        // SAFETY: room for one word and the payload's.
        unsafe { head.write_to(at) };
        let to = at.wrapping_add(1).cast::<P>();
        // SAFETY: as above, and eight-byte aligned, which `is_inline` promises is enough.
        unsafe { to.write(payload) };
    }

    /// Only while the isolate is idle, and so has no record at all.
    #[inline(always)]
    fn fill_first(&mut self) -> *mut u64 {
        self.first.with_mut(|first| {
            // SAFETY: while the isolate is idle, `first` is the lock holder's.
            let first = unsafe { &mut *first };
            first.filled = true;
            first.words.as_mut_ptr().cast()
        })
    }

    /// Moves all records of the chain to the runner; `false` if there were none. `burst` must
    /// have been read to its end.
    #[inline]
    pub(crate) fn take_chain(&mut self, burst: &Burst) -> bool {
        self.inner.with_mut(|inner| {
            // SAFETY: the guard is the only way to `inner`.
            let inner = unsafe { &mut *inner };
            let filled = inner.write != 0;
            if filled {
                let empty = burst.exchange(inner.head, inner.tail, inner.write);
                inner.install(empty);
            }
            filled
        })
    }

    /// The isolate becomes idle. Returns the empty block that it no longer needs.
    ///
    /// Only after [`take_chain`](Self::take_chain) found nothing under the same guard.
    #[inline]
    pub(crate) fn go_idle(&mut self) -> BlockPtr {
        self.word.state &= !SCHEDULED;
        self.remove_empty_block()
    }

    /// The isolate is dead: no record is accepted from here on.
    pub(crate) fn go_dead(&mut self) {
        self.word.state |= DEAD | SCHEDULED;
    }

    fn remove_empty_block(&mut self) -> BlockPtr {
        self.inner.with_mut(|inner| {
            // SAFETY: the guard is the only way to `inner`.
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

    /// Appends a record that lies elsewhere.
    ///
    /// # Safety
    /// `payload` is that of a record with this header, and is not used there any more.
    unsafe fn push_raw(&mut self, head: Head, payload: *const u64) {
        let at = self.reserve(1 + head.words());
        // SAFETY: room for one word and the payload's.
        unsafe { head.write_to(at) };
        // SAFETY: as above; the payload lies in another block, or in the lane itself.
        unsafe { payload.copy_to_nonoverlapping(at.wrapping_add(1), head.words() as usize) };
    }

    #[inline(always)]
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
        // The isolate's teardown has emptied the lane; at most an empty block is left.
        let empty = self.lock().remove_empty_block();
        empty.free();
    }
}
