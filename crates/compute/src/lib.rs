//! Computations on several cores, with results that do not depend on the number of cores.
//!
//! A [`Compute`] says how many threads one computation may use at the moment. It runs closures
//! that use rayon on exactly so many threads ([`Compute::parallel`]), and splits slices without
//! rayon in the caller's code ([`Compute::map_chunks`], [`Compute::for_each_chunk_mut`]). A
//! [`Simd`] is the level of vector instructions of the CPU, for kernels that select their code at
//! run time.
//!
//! ```
//! use insula_compute::Compute;
//!
//! let compute = Compute::builder().cores(2).build();
//! let numbers: Vec<f64> = (1..=1000).map(f64::from).collect();
//! assert_eq!(compute.sum(&numbers), 500_500.0);
//!
//! let longest = compute.map_chunks(&["an", "island", "in", "the", "sea"], 2, |_start, words| {
//!     words.iter().map(|word| word.len()).max()
//! });
//! assert_eq!(longest, [Some(6), Some(3), Some(3)]);
//! ```
//!
//! # Width
//! The *width* of a computation is the number of threads that it uses: the cores that the handle
//! may use, less the cores that others use at the moment, and at least 1. It is asked when a
//! computation begins, and stays the same until its end.
//!
//! # Reductions
//! An addition of floating-point numbers rounds, so the order of the additions changes the result.
//! [`Compute::reduce`] and the sums ([`sum`](Compute::sum), [`sum_mixed`](Compute::sum_mixed),
//! [`sum_compensated`](Compute::sum_compensated), [`dot`](Compute::dot),
//! [`dot_mixed`](Compute::dot_mixed)) use an order that depends on the number of values alone.
//! Their results have the same bits for each width, on each run, and on each machine whose
//! arithmetic is that of IEEE 754, which x86 without SSE2 lacks. Only the payload of a NaN is not
//! determined.
//!
//! # Threads
//! A computation on more than one thread borrows a pool of threads, of which the process keeps some
//! for later computations of the same width. No two computations share a pool, so none waits for
//! another one, and a computation never uses more threads than its width. All pools that wait to be
//! used again have together at most four threads for each core of the machine; the pool that was
//! used last is kept whatever its width is.
//!
//! The threads belong to no isolate. Code on them has no current isolate: it finds neither the
//! locals nor the tasks of the isolate that began the computation, and a checkpoint on them does
//! nothing. What a computation needs of its isolate is read before it begins. A kill of the isolate
//! takes effect after the computation.
//!
//! # Locks
//! One, around the pools that wait to be used. It is a leaf. Threads are started and ended, and code
//! of the caller runs, after it was released.

#![forbid(unsafe_code)]

mod chunks;
mod compute;
mod kernel;
mod pools;
mod reduce;
mod scalar;
mod simd;
mod tree;

pub use compute::{Compute, ComputeBuilder, Parallel};
pub use scalar::Scalar;
pub use simd::{Simd, UnknownSimd};
