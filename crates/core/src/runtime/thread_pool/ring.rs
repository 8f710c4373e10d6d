//! A thread's own run queue of 256 places. Its owner pushes and pops; other threads steal.
//!
//! `head` and `tail` count up and wrap; index `i` is at place `i % 256`. Only the owner moves
//! `tail`. A taker, owner or thief, first copies the items that it wants and then moves `head` past
//! them with a compare-exchange. If that succeeds, no other taker took any of them, and the owner
//! cannot have overwritten them, since it only writes where `tail - head` leaves room.
//!
//! # Orderings
//! - `tail`: the Release store in `push` pairs with the Acquire loads in `take` and `len`, so that
//!   a taker sees the items in the places before `tail`.
//! - `head`: the Release half of the compare-exchange in `take` pairs with the Acquire load in
//!   `push`, so that the copies are made before the owner overwrites the places. It pairs with the
//!   Acquire loads in `take` as well, so that a `tail` that is read after a `head` is not older
//!   than the one from which that `head` was made.
//! - Places are Relaxed: `tail` publishes them, and a copy of an overwritten place is discarded
//!   because the compare-exchange fails.

use std::ptr::{self, NonNull};

use insula_sync::atomic::{AtomicPtr, AtomicU32, Ordering};

/// Less under Loom, so that it can explore everything, and under Miri, which visits each place
/// whenever the ring is used.
const CAPACITY: usize = if cfg!(loom) {
    4
} else if cfg!(miri) {
    32
} else {
    256
};

/// A queue of pointers, which does not own the values behind them.
pub(crate) struct Ring<T> {
    head: AtomicU32,
    tail: AtomicU32,
    places: Box<[AtomicPtr<T>]>,
}

impl<T> Ring<T> {
    pub(crate) fn new() -> Self {
        let places = (0..CAPACITY)
            .map(|_| AtomicPtr::new(ptr::null_mut()))
            .collect();
        Self {
            head: AtomicU32::new(0),
            tail: AtomicU32::new(0),
            places,
        }
    }

    /// Returns the number of items, which may have changed already.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        let tail = self.tail.load(Ordering::Acquire);
        // `head` may be newer than `tail`, and then the difference is negative.
        let len = tail.wrapping_sub(self.head.load(Ordering::Acquire));
        if len as usize > CAPACITY {
            0
        } else {
            len as usize
        }
    }

    fn place(&self, index: u32) -> &AtomicPtr<T> {
        &self.places[index as usize % CAPACITY]
    }

    /// Appends an item. Only the owner may call this.
    ///
    /// # Errors
    /// Returns the item if the ring is full.
    #[inline]
    pub(crate) fn push(&self, item: NonNull<T>) -> Result<(), NonNull<T>> {
        // Relaxed: only this thread writes `tail`.
        let tail = self.tail.load(Ordering::Relaxed);
        let head = self.head.load(Ordering::Acquire);
        if tail.wrapping_sub(head) as usize >= CAPACITY {
            return Err(item);
        }
        self.place(tail).store(item.as_ptr(), Ordering::Relaxed);
        self.tail.store(tail.wrapping_add(1), Ordering::Release);
        Ok(())
    }

    /// Takes the oldest item. Called by the owner.
    #[inline]
    pub(crate) fn pop(&self) -> Option<NonNull<T>> {
        let mut taken = None;
        self.take(|_| 1, |item| taken = Some(item));
        taken
    }

    /// Takes the older half of the items, rounded up, and returns their number. Any thread may call
    /// this.
    pub(crate) fn take_half(&self, each: impl FnMut(NonNull<T>)) -> usize {
        self.take(|len| len - len / 2, each)
    }

    fn take(&self, how_many: impl Fn(u32) -> u32, mut each: impl FnMut(NonNull<T>)) -> usize {
        let mut copies = [ptr::null_mut(); CAPACITY];
        let mut head = self.head.load(Ordering::Acquire);
        loop {
            let len = self.tail.load(Ordering::Acquire).wrapping_sub(head);
            if len == 0 || len as usize > CAPACITY {
                // The ring is empty, or `head` is stale and the owner has pushed beyond it.
                let now = self.head.load(Ordering::Acquire);
                if len == 0 || now == head {
                    return 0;
                }
                head = now;
                continue;
            }
            let count = how_many(len);
            for (offset, copy) in (0..count).zip(&mut copies) {
                *copy = self
                    .place(head.wrapping_add(offset))
                    .load(Ordering::Relaxed);
            }
            // Fails if another taker has moved `head`. Then the copies are stale, and are dropped.
            match self.head.compare_exchange(
                head,
                head.wrapping_add(count),
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => {
                    copies[..count as usize]
                        .iter()
                        .copied()
                        .filter_map(NonNull::new)
                        .for_each(&mut each);
                    return count as usize;
                }
                Err(now) => head = now,
            }
        }
    }
}
