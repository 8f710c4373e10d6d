//! Workers in child processes, with shared memory between.
//!
//! A pool whose workers are processes is built as any other, with the
//! [kind](insula_pool::PoolBuilder::kind) [`Process`] in the place of a service. Its callers, the
//! meaning of its errors and its options stay the same. What is new is what a process can do and an
//! isolate cannot: a handler that ends its process, or is killed by the system, ends its own worker
//! only.
//!
//! The program of the workers calls [`main`] first of all. In the program itself that returns at once;
//! in a worker it serves calls and never returns.
//!
//! # Of what a worker consists
//! In the parent, a worker of the pool is an isolate as always. Its service passes each call on
//! through a link (`insula-link`), whose frames go through two rings in shared memory, one for each
//! direction. The child submits them to a pool of one worker of its own, which has the service.
//!
//! # Large values
//! A value is written to a ring and read from it. A [`Segment`](insula_memory::Segment) that is mapped
//! is not: its file goes to the other process over a socket, and is mapped there. So a picture of 40 MB
//! costs as much as one of 1 MB, and [`Traffic`](insula_rpc::Traffic) counts its bytes as moved. Both
//! sides can read it for as long as they keep it, and neither can write to it.
//!
//! # The life of a child
//! 1. The isolate of the worker makes the memory, a file without a name, and starts the child with a
//!    socket as its standard input, in which the memory lies. Nothing is on a disk or in a namespace. The
//!    child takes it, and has `/dev/null` there from then on.
//! 2. The child asks the system to be killed with its parent, maps the memory, and builds its service.
//!    If that fails, the reason comes back, and the worker's start fails with it.
//! 3. Calls go back and forth. A thread of a pool that has nothing to run looks at the rings for as long
//!    as it [searches](insula_core::RuntimeBuilder::search_time), on either side, and handles itself what
//!    has come. While none looks, a thread that watches over the child sleeps on a futex in the shared
//!    memory, and on one of its own, where its own process calls it.
//! 4. A retired worker tells the child to go. The child ends its pool and itself. After a second it is
//!    killed.
//! 5. A child that ends otherwise is known at once. The parent reads what it has written until then.
//!    Calls that had begun end as `WorkerDied`, maybe executed, and others as not started: before a
//!    handler begins, its number is written to the shared memory, so that no word of it can be lost.
//!    Then the isolate of the worker ends, with the reason, and the pool's policy decides on a new one.
//!
//! # A child that lies
//! The child may write anything into the shared memory at any time. The parent reads each position
//! and each length once, checks it, and copies what it covers. What it then decodes it treats as any
//! bytes from elsewhere. A segment is mapped only if its file is sealed, so that it cannot change any
//! more. What the parent's own threads tell each other is not in the shared memory. So a child that is
//! broken loses its own worker, and nothing else; once it is found out, it is killed.
//!
//! # Platforms
//! Linux. Elsewhere [`Process`] is there, and its workers fail to start with an error that says so.

#![deny(unsafe_code)]

#[cfg(any(loom, target_os = "linux"))]
mod bell;
#[cfg(all(target_os = "linux", not(loom)))]
mod carrier;
#[cfg(all(target_os = "linux", not(loom)))]
mod child;
#[cfg(any(loom, target_os = "linux"))]
mod claim;
#[cfg(all(target_os = "linux", not(loom), target_pointer_width = "64"))]
mod confine;
#[cfg(all(target_os = "linux", not(loom)))]
mod death;
mod entry;
#[cfg(any(loom, target_os = "linux"))]
mod flight;
#[cfg(all(fuzzing, target_os = "linux"))]
#[doc(hidden)]
pub mod fuzzing;
#[cfg(all(target_os = "linux", not(loom)))]
mod handles;
mod kind;
#[cfg(all(test, loom))]
mod loom_models;
#[cfg(all(target_os = "linux", not(loom)))]
mod parent;
#[cfg(any(loom, target_os = "linux"))]
mod ring;
#[cfg(all(target_os = "linux", not(loom)))]
#[expect(unsafe_code, reason = "maps memory that another process writes")]
mod shared;
#[cfg(all(target_os = "linux", not(loom), not(target_pointer_width = "64")))]
mod unconfined;

pub use entry::{Worker, main};
pub use kind::{Deny, Process};
