//! The times of calls on their way into histograms.
//!
//! A histogram has a lock, and to take one for each call costs as much as all that is counted of it.
//! So the isolate that ends calls writes their times into a ring. They are moved to the histograms by the
//! isolate when the ring is full, and by a reader of the histograms.
//!
//! One thread writes at a time: an isolate, whose slices follow each other. One thread drains at a time,
//! which holds the lock of the histograms. *Tail* is the number of samples that were ever written,
//! and changes after the words of a sample. *Head* is the number that were ever drained, and changes
//! after the words were read. Release of each pairs with Acquire of the other side.

use insula_sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// The times of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) method: usize,
    /// Nanoseconds from its coming to its beginning.
    pub(crate) queue_wait: u64,
    /// Nanoseconds from there to its end; `None` if its handler has not run.
    pub(crate) run_time: Option<u64>,
}

/// The samples of one writer.
pub(crate) struct Samples {
    /// A power of two.
    places: Box<[Words]>,
    tail: AtomicUsize,
    head: AtomicUsize,
}

/// A sample as words of memory.
#[derive(Default)]
struct Words {
    method: AtomicUsize,
    queue_wait: AtomicU64,
    /// One more than the time; 0 if there is none.
    run_time: AtomicU64,
}

impl Samples {
    /// Makes room for so many samples, a power of two.
    pub(crate) fn new(places: usize) -> Self {
        Self {
            places: (0..places).map(|_| Words::default()).collect(),
            tail: AtomicUsize::new(0),
            head: AtomicUsize::new(0),
        }
    }

    /// Writes a sample. Returns `false` if there is no room for it.
    pub(crate) fn push(&self, sample: Sample) -> bool {
        // Relaxed: written by this side alone.
        let tail = self.tail.load(Ordering::Relaxed);
        if tail.wrapping_sub(self.head.load(Ordering::Acquire)) == self.places.len() {
            return false;
        }
        let words = self.words(tail);
        let run_time = sample.run_time.map_or(0, |it| it.saturating_add(1));
        words.method.store(sample.method, Ordering::Relaxed);
        words.queue_wait.store(sample.queue_wait, Ordering::Relaxed);
        words.run_time.store(run_time, Ordering::Relaxed);
        self.tail.store(tail.wrapping_add(1), Ordering::Release);
        true
    }

    /// Gives each sample that is there to `take`.
    pub(crate) fn drain(&self, mut take: impl FnMut(Sample)) {
        let tail = self.tail.load(Ordering::Acquire);
        // Relaxed: written by this side alone, under the lock of the histograms.
        let mut head = self.head.load(Ordering::Relaxed);
        while head != tail {
            let words = self.words(head);
            take(Sample {
                method: words.method.load(Ordering::Relaxed),
                queue_wait: words.queue_wait.load(Ordering::Relaxed),
                run_time: words.run_time.load(Ordering::Relaxed).checked_sub(1),
            });
            head = head.wrapping_add(1);
        }
        self.head.store(head, Ordering::Release);
    }

    fn words(&self, position: usize) -> &Words {
        &self.places[position & (self.places.len() - 1)]
    }
}
