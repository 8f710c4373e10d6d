//! A thread's own run queue: 256 places, pushed to and popped from by its owner, stolen from
//! by others.
//!
//! `head` and `tail` count up and wrap; place `i` is `i % 256`. Only the owner moves `tail`.
//! Whoever takes, owner or thief, first copies what it wants and then moves `head` past it
//! with a compare-exchange: if that succeeds, nobody else took any of it, and the owner cannot
//! have written over it, since it only writes where `tail - head` leaves room.

use std::ptr::{self, NonNull};

use insula_sync::atomic::{AtomicPtr, AtomicU32, Ordering};

/// Loom explores only so far, and Miri looks at each place whenever the ring is used.
const CAPACITY: usize = if cfg!(loom) {
    4
} else if cfg!(miri) {
    32
} else {
    256
};

/// A queue of pointers, which it does not own.
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

    /// How many there are, or were a moment ago.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        let tail = self.tail.load(Ordering::Acquire);
        // A head that is newer than the tail makes the difference negative.
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

    /// Appends. Only for the owner. Gives the item back if the ring is full.
    #[inline]
    pub(crate) fn push(&self, item: NonNull<T>) -> Result<(), NonNull<T>> {
        let tail = self.tail.load(Ordering::Relaxed);
        // Acquire pairs with a thief's compare-exchange: it has copied what it took.
        let head = self.head.load(Ordering::Acquire);
        if tail.wrapping_sub(head) as usize >= CAPACITY {
            return Err(item);
        }
        self.place(tail).store(item.as_ptr(), Ordering::Relaxed);
        // Release pairs with the Acquire of `tail` in `take`.
        self.tail.store(tail.wrapping_add(1), Ordering::Release);
        Ok(())
    }

    /// Takes the oldest. For the owner.
    #[inline]
    pub(crate) fn pop(&self) -> Option<NonNull<T>> {
        let mut taken = None;
        self.take(|_| 1, |item| taken = Some(item));
        taken
    }

    /// Takes the older half, the odd one included. For everybody. Returns how many.
    pub(crate) fn take_half(&self, each: impl FnMut(NonNull<T>)) -> usize {
        self.take(|len| len - len / 2, each)
    }

    fn take(&self, how_many: impl Fn(u32) -> u32, mut each: impl FnMut(NonNull<T>)) -> usize {
        let mut copies = [ptr::null_mut(); CAPACITY];
        let mut head = self.head.load(Ordering::Acquire);
        loop {
            let len = self.tail.load(Ordering::Acquire).wrapping_sub(head);
            if len == 0 || len as usize > CAPACITY {
                // Empty, or `head` is stale and the ring went on meanwhile.
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
            // Release: the copies are made before the owner may write there again. Acquire:
            // the next attempt, or the next taker, sees a current head.
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
