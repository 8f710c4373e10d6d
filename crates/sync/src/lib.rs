//! The workspace's atomics, locks, cells and parking.
//!
//! In a normal build every name here is the standard library's or a thin wrapper of it without
//! poisoning. Under `--cfg loom` the same names are loom's, so that loom can explore the
//! interleavings of the other crates' protocols. No other crate of the workspace uses
//! `std::sync::atomic` or a lock of `std`; `cargo xtask tidy` checks that.
//!
//! Locks do not poison: user code never runs under a runtime lock, and a panic of the runtime
//! itself must not turn every later call into a second panic.
#![forbid(unsafe_code)]

mod mutex;
mod parker;
mod rank;
mod serial;
mod state;
mod thread;

pub mod cell;

pub use mutex::{Condvar, Mutex, MutexGuard};
pub use parker::Parker;
pub use rank::{Rank, assert_none_held, holds_any};
pub use serial::Serial;
pub use state::{StateGuard, StateLock};
pub use thread::thread_number;

#[cfg(loom)]
#[doc(hidden)]
pub use loom as __loom;

/// Declares a thread-local `Cell`, accessed through `with`. Loom runs its model threads on one
/// thread of the operating system, so under loom this is loom's `thread_local!`.
#[macro_export]
macro_rules! thread_cell {
    ($(#[$attribute:meta])* $visibility:vis static $name:ident: $type:ty = $init:expr;) => {
        #[cfg(not(loom))]
        ::std::thread_local! {
            $(#[$attribute])*
            $visibility static $name: ::std::cell::Cell<$type> =
                const { ::std::cell::Cell::new($init) };
        }
        #[cfg(loom)]
        $crate::__loom::thread_local! {
            $(#[$attribute])*
            $visibility static $name: ::std::cell::Cell<$type> = ::std::cell::Cell::new($init);
        }
    };
}

/// Declares a thread-local value, accessed through `with` or `try_with`. It is dropped when the
/// thread ends; under loom, when the model thread ends.
#[macro_export]
macro_rules! thread_value {
    ($(#[$attribute:meta])* $visibility:vis static $name:ident: $type:ty = $init:expr;) => {
        #[cfg(not(loom))]
        ::std::thread_local! {
            $(#[$attribute])*
            $visibility static $name: $type = $init;
        }
        #[cfg(loom)]
        $crate::__loom::thread_local! {
            $(#[$attribute])*
            $visibility static $name: $type = $init;
        }
    };
}

/// Atomic integers, pointers and fences.
pub mod atomic {
    #[cfg(loom)]
    pub use loom::sync::atomic::{
        AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
    };
    #[cfg(not(loom))]
    pub use std::sync::atomic::{
        AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
    };
}

/// The locks of `std` that users have, to implement traits for. Not for use: loom cannot see them.
pub mod of_users {
    pub use std::sync::{Mutex, RwLock};
}

/// Hints for loops that wait.
pub mod wait {
    /// Signals to the processor that the thread spins for a moment.
    #[inline]
    pub fn spin() {
        // Loom changes to another thread only where one yields, and would spin here for ever.
        #[cfg(loom)]
        loom::thread::yield_now();
        #[cfg(not(loom))]
        std::hint::spin_loop();
    }

    /// Yields the rest of the calling thread's time slice.
    #[inline]
    pub fn yield_thread() {
        #[cfg(loom)]
        loom::thread::yield_now();
        #[cfg(not(loom))]
        std::thread::yield_now();
    }
}
