//! The only door to atomics, locks, cells and parking.
//!
//! In a normal build every name here is the standard library's (or a thin, poison-free
//! wrapper of it). Under `--cfg loom` the same names are loom's, so that the protocols of
//! the other crates can be run through every interleaving. Nothing else in the workspace
//! names `std::sync::atomic` or a lock of `std`; `cargo xtask tidy` holds that.
//!
//! Locks do not poison: a panic of user code never happens under a runtime lock, and a panic
//! of our own must not turn every later call into a second panic.
#![forbid(unsafe_code)]

mod mutex;
mod parker;
mod serial;
mod state;
mod thread;

pub mod cell;

pub use mutex::{Condvar, Mutex, MutexGuard};
pub use parker::Parker;
pub use serial::Serial;
pub use state::{StateGuard, StateLock};
pub use thread::thread_number;

#[cfg(loom)]
#[doc(hidden)]
pub use loom as __loom;

/// Declares a `Cell` of which each thread has its own, to be opened with `with`. Loom's model
/// threads share one thread of the operating system, so they need loom's.
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

/// Declares a value of which each thread has its own, to be opened with `with` or `try_with`. It is
/// dropped when the thread ends, also one of loom's.
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

/// What a waiting loop says to the processor or to the scheduler.
pub mod wait {
    /// Tells the processor that this is a short spin.
    #[inline]
    pub fn spin() {
        #[cfg(loom)]
        loom::thread::yield_now();
        #[cfg(not(loom))]
        std::hint::spin_loop();
    }

    /// Gives the rest of this thread's time slice away.
    #[inline]
    pub fn yield_thread() {
        #[cfg(loom)]
        loom::thread::yield_now();
        #[cfg(not(loom))]
        std::thread::yield_now();
    }
}
