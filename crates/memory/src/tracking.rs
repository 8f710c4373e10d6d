//! A global allocator that counts for each thread.
//!
//! The counts are plain cells of the thread, so that counting takes a few instructions and no
//! atomic operation. They have no destructor: an allocation is counted until the thread has ended,
//! also in the destructors of other thread-local values.

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::OnceLock;

/// A global allocator that counts for each thread what the thread allocates and frees, and leaves
/// the work to another allocator.
///
/// Counting adds five instructions to an allocation and its free (2026-11-29,
/// `examples/counting.rs` of this crate under callgrind), on memory of the thread.
///
/// On platforms where a thread-local value is itself allocated (`*-windows-gnu`, Android and some
/// others) nothing is counted, and [`thread_counts`] returns `None`.
///
/// ```
/// use insula_memory::Tracking;
/// use std::alloc::System;
///
/// #[global_allocator]
/// static ALLOCATOR: Tracking = Tracking::new(System);
/// ```
#[derive(Debug, Default)]
pub struct Tracking<A = System> {
    inner: A,
}

impl<A> Tracking<A> {
    /// Counts the allocations of `inner`.
    pub const fn new(inner: A) -> Self {
        Self { inner }
    }
}

// SAFETY: each method hands its arguments to `inner` unchanged and returns its result, so the
// contract of the trait is kept where `inner` keeps it. Counting neither panics nor allocates.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Tracking<A> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller upholds the contract, which is that of this method.
        let memory = unsafe { self.inner.alloc(layout) };
        if !memory.is_null() {
            cells::allocated(layout.size());
        }
        memory
    }

    #[inline]
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as in `alloc`.
        unsafe { self.inner.dealloc(memory, layout) };
        cells::freed(layout.size());
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as in `alloc`. Forwarded, since `inner` may know of memory that is zeroed.
        let memory = unsafe { self.inner.alloc_zeroed(layout) };
        if !memory.is_null() {
            cells::allocated(layout.size());
        }
        memory
    }

    #[inline]
    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: as in `alloc`. Forwarded, since `inner` may grow the memory in place.
        let moved = unsafe { self.inner.realloc(memory, layout, new_size) };
        if !moved.is_null() {
            cells::resized(layout.size(), new_size);
        }
        moved
    }
}

/// What a thread, or the slices of an isolate, have allocated and freed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Bytes that were allocated. A reallocation counts the bytes by which the memory has grown.
    pub allocated: u64,
    /// Bytes that were freed. A reallocation counts the bytes by which the memory has shrunk.
    pub freed: u64,
    /// Allocations, without reallocations.
    pub allocations: u64,
}

impl Counts {
    /// Returns what was counted after `earlier`, an earlier reading on the same thread.
    ///
    /// The difference of two readings around a piece of work is what the work has allocated, with
    /// what the thread did in between otherwise. A future that suspends leaves its thread to
    /// others: measure from poll to poll, as [`MemoryMeter`](crate::MemoryMeter) does.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Self {
        Self {
            allocated: self.allocated.saturating_sub(earlier.allocated),
            freed: self.freed.saturating_sub(earlier.freed),
            allocations: self.allocations.saturating_sub(earlier.allocations),
        }
    }
}

/// Returns what the calling thread has allocated and freed since it began; `None` if the program's
/// global allocator is no [`Tracking`], or the platform is one where it does not count.
///
/// Can be called until the thread has ended. The first call in a program makes one allocation.
pub fn thread_counts() -> Option<Counts> {
    // Found out by a trial, so that the allocator itself has nothing to tell and no flag to set.
    static IS_TRACKING: OnceLock<bool> = OnceLock::new();
    IS_TRACKING
        .get_or_init(counts_an_allocation)
        .then(cells::read)
}

/// Allocates, and returns whether that was counted.
fn counts_an_allocation() -> bool {
    let before = cells::read();
    // Opaque to the compiler, which may otherwise leave the allocation out.
    drop(black_box(Box::new(black_box(0_u8))));
    cells::read() != before
}

/// The counts, where a thread-local value without a destructor is plain memory of the thread.
///
/// Elsewhere, `std` allocates such a value at its first use, and the allocator would call itself. A
/// newer `std` asks the system's allocator for that (rust-lang/rust#144465); that of the oldest Rust
/// that compiles this crate does not.
#[cfg(any(
    all(target_os = "linux", not(target_env = "ohos")),
    target_os = "macos",
    target_os = "freebsd",
    all(windows, target_env = "msvc"),
))]
mod cells {
    use std::cell::Cell;

    use super::Counts;

    /// Separate cells, so that an operation writes only what it changes.
    struct Cells {
        allocated: Cell<u64>,
        freed: Cell<u64>,
        allocations: Cell<u64>,
    }

    thread_local! {
        static CELLS: Cells = const {
            Cells {
                allocated: Cell::new(0),
                freed: Cell::new(0),
                allocations: Cell::new(0),
            }
        };
    }

    #[inline]
    pub(super) fn allocated(bytes: usize) {
        CELLS.with(|cells| {
            add(&cells.allocated, bytes);
            add(&cells.allocations, 1);
        });
    }

    #[inline]
    pub(super) fn freed(bytes: usize) {
        CELLS.with(|cells| add(&cells.freed, bytes));
    }

    #[inline]
    pub(super) fn resized(from: usize, to: usize) {
        CELLS.with(|cells| {
            if to > from {
                add(&cells.allocated, to - from);
            } else {
                add(&cells.freed, from - to);
            }
        });
    }

    pub(super) fn read() -> Counts {
        CELLS.with(|cells| Counts {
            allocated: cells.allocated.get(),
            freed: cells.freed.get(),
            allocations: cells.allocations.get(),
        })
    }

    /// Wraps instead of panicking, which an allocator must not, though no count gets that far.
    #[inline]
    fn add(cell: &Cell<u64>, count: usize) {
        cell.set(cell.get().wrapping_add(count as u64));
    }
}

/// No counts: a thread-local value cannot be used in an allocator here.
#[cfg(not(any(
    all(target_os = "linux", not(target_env = "ohos")),
    target_os = "macos",
    target_os = "freebsd",
    all(windows, target_env = "msvc"),
)))]
mod cells {
    use super::Counts;

    #[inline]
    pub(super) fn allocated(_bytes: usize) {}

    #[inline]
    pub(super) fn freed(_bytes: usize) {}

    #[inline]
    pub(super) fn resized(_from: usize, _to: usize) {}

    pub(super) fn read() -> Counts {
        Counts::default()
    }
}
