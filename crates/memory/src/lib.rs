//! The memory of a program with isolates: counts for each thread, budgets, segments for large
//! values, and drops on a thread of their own.
//!
//! # What is here
//! - [`Tracking`] is a global allocator that counts for each thread what the thread allocates and
//!   frees. [`thread_counts`] reads the counts, and a [`MemoryMeter`] sums them up over the slices
//!   of one isolate.
//! - [`Budget`] is a number of bytes: one that the program names, or a share of what the machine
//!   and the cgroups of the process leave to it.
//! - [`purge`] returns the free memory of the allocator to the system.
//! - [`SegmentPool`] makes [`SegmentMut`]s, writable bytes with a mapping of their own, which
//!   become [`Segment`]s: shared, read-only, and returned to the system with the last clone.
//! - [`Reaper`] drops values on its own thread.
//!
//! # Limits
//! Memory is a resource of the process. No isolate can be held to a limit: `std`'s collections end
//! the process if an allocation is refused, and no `catch_unwind` helps. What this crate offers is
//! to measure, to plan, and to give memory back early. A hard limit needs a process of its own.
//!
//! # Example
//! ```
//! use insula_memory::{Tracking, thread_counts};
//! use std::alloc::System;
//!
//! #[global_allocator]
//! static ALLOCATOR: Tracking = Tracking::new(System);
//!
//! let before = thread_counts().unwrap_or_default();
//! let bytes = vec![0_u8; 1_000];
//! let after = thread_counts().unwrap_or_default();
//! # if cfg!(target_os = "linux") {
//! assert_eq!(after.since(before).allocated, 1_000);
//! # }
//! # drop(bytes);
//! ```

mod budget;
mod meter;
mod purge;
mod reaper;
mod segment;
mod tracking;

pub use budget::{Budget, BudgetError};
pub use meter::MemoryMeter;
pub use purge::purge;
pub use reaper::Reaper;
pub use segment::{FreezeError, HugePages, Segment, SegmentError, SegmentMut, SegmentPool};
#[cfg(feature = "serde")]
pub use segment::{read_beside, write_beside};
pub use tracking::{Counts, Tracking, thread_counts};
