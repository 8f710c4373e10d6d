//! The memory that the slices of one isolate allocate and free.

#[cfg(test)]
mod tests;

use std::cell::RefCell;

use insula_sync::atomic::{AtomicU64, Ordering};

use crate::{Counts, thread_counts};

thread_local! {
    /// The slices that this thread is in, the innermost last. Almost always there is one at most:
    /// an isolate that blocks on a seeded runtime runs others inside of its slice.
    static SLICES: RefCell<Vec<Slice>> = const { RefCell::new(Vec::new()) };
}

/// A slice that a thread is in.
#[derive(Default)]
struct Slice {
    /// The counts of the thread at the beginning.
    began: Counts,
    /// The counts of the slices that ran inside of it.
    inside: Counts,
}

/// Sums up what the slices of one isolate, or of several in one place, allocate and free.
///
/// The runtime of the isolate calls [`begin`](Self::begin) before a slice and [`end`](Self::end)
/// after it, on the thread that runs it. Slices of one meter may run at once on several threads,
/// and one that runs inside of another counts for its own meter only.
///
/// # What the counts mean
/// A thread knows what is allocated and freed while a slice runs, and not to which isolate the
/// freed memory was charged. A message that moves from one isolate to another is charged to the
/// sender, which allocated it, and credited to the receiver, which frees it. So
/// [`held`](Self::held) is an estimate: it is exact for an isolate that frees what it allocates,
/// too high for one that sends more than it gets, and too low for one that gets more. What a
/// [`Reaper`](crate::Reaper) drops is credited to no isolate. Memory from the time before the first
/// slice, and memory that does not come from the global allocator, such as a
/// [`Segment`](crate::Segment), is not seen.
///
/// # No limit
/// A meter measures and cannot refuse: `std`'s collections end the process if an allocation is
/// refused. A pool can react between two calls, for example by recycling a worker. A hard limit
/// needs a process of its own.
///
/// # Example
/// ```
/// use insula_memory::{MemoryMeter, Tracking};
/// use std::alloc::System;
///
/// #[global_allocator]
/// static ALLOCATOR: Tracking = Tracking::new(System);
///
/// let meter = MemoryMeter::new();
/// meter.begin();
/// let kept = vec![0_u8; 1_000];
/// meter.end();
/// # if cfg!(target_os = "linux") {
/// assert_eq!(meter.held(), Some(1_000));
/// # }
/// # drop(kept);
/// ```
#[derive(Debug, Default)]
pub struct MemoryMeter {
    allocated: AtomicU64,
    freed: AtomicU64,
    allocations: AtomicU64,
    peak: AtomicU64,
}

impl MemoryMeter {
    /// Returns a meter that has counted nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins a slice on the calling thread.
    pub fn begin(&self) {
        if thread_counts().is_none() {
            return;
        }
        on_slices(|slices| {
            // Before the counts are read: if the list grows, that is not memory of this slice.
            slices.push(Slice::default());
            if let (Some(slice), Some(now)) = (slices.last_mut(), thread_counts()) {
                slice.began = now;
            }
        });
    }

    /// Ends the slice that has begun last on the calling thread. Without one, does nothing.
    pub fn end(&self) {
        let now = thread_counts();
        let own = on_slices(|slices| {
            let slice = slices.pop()?;
            let whole = now?.since(slice.began);
            if let Some(outer) = slices.last_mut() {
                outer.inside = plus(outer.inside, whole);
            }
            Some(whole.since(slice.inside))
        });
        if let Some(own) = own.flatten() {
            self.add(own);
        }
    }

    /// Returns the counts of all slices that have ended; `None` if the program's global allocator
    /// is no [`Tracking`](crate::Tracking).
    pub fn counts(&self) -> Option<Counts> {
        thread_counts()?;
        Some(Counts {
            allocated: self.allocated.load(Ordering::Relaxed),
            freed: self.freed.load(Ordering::Relaxed),
            allocations: self.allocations.load(Ordering::Relaxed),
        })
    }

    /// Returns the bytes that the slices have allocated and not freed, an estimate as explained
    /// [above](Self#what-the-counts-mean). Zero if they have freed more than they have allocated;
    /// `None` if nothing is counted, as in [`counts`](Self::counts).
    pub fn held(&self) -> Option<u64> {
        self.counts().map(held)
    }

    /// Returns as [`held`](Self::held), with what the slice has used so far that has begun last on
    /// the calling thread, which is one of this meter. `None` as in [`counts`](Self::counts).
    pub fn held_inside(&self) -> Option<u64> {
        let (counts, now) = (self.counts()?, thread_counts()?);
        let so_far = on_slices(|slices| {
            let slice = slices.last()?;
            Some(now.since(slice.began).since(slice.inside))
        });
        let so_far = so_far.flatten().unwrap_or_default();
        Some(held(plus(counts, so_far)))
    }

    /// Returns the greatest value that [`held`](Self::held) had at the end of a slice. Memory that
    /// a slice has both allocated and freed is not seen. `None` as in [`counts`](Self::counts).
    pub fn peak(&self) -> Option<u64> {
        thread_counts()?;
        Some(self.peak.load(Ordering::Relaxed))
    }

    fn add(&self, own: Counts) {
        // Relaxed: the sums say nothing about other memory. If two slices end at once, the peak is
        // that of one of the orders in which their sums may be seen.
        let add = |sum: &AtomicU64, count| sum.fetch_add(count, Ordering::Relaxed) + count;
        let after = Counts {
            allocated: add(&self.allocated, own.allocated),
            freed: add(&self.freed, own.freed),
            allocations: add(&self.allocations, own.allocations),
        };
        self.peak.fetch_max(held(after), Ordering::Relaxed);
    }
}

/// Returns `None` at the end of the thread, when the list is destroyed: a slice that a destructor
/// runs after that is not measured.
fn on_slices<R>(f: impl FnOnce(&mut Vec<Slice>) -> R) -> Option<R> {
    SLICES.try_with(|slices| f(&mut slices.borrow_mut())).ok()
}

fn held(counts: Counts) -> u64 {
    counts.allocated.saturating_sub(counts.freed)
}

fn plus(a: Counts, b: Counts) -> Counts {
    Counts {
        allocated: a.allocated + b.allocated,
        freed: a.freed + b.freed,
        allocations: a.allocations + b.allocations,
    }
}
