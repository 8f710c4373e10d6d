//! Isolates for Rust: private state with an event loop, ports that move messages, typed calls
//! between isolates, and pools of workers.
//!
//! # Where to begin
//! - [`Isolate`] starts isolates; [`SendPort`] and [`ReceivePort`] connect them. All items for the
//!   isolates of a process are at the root of this crate.
//! - [`contract`](macro@contract) turns a trait into typed calls. [`serve`] answers them in one
//!   isolate, a [`WorkerPool`] in several.
//! - [`main`](macro@main) and [`test`](macro@test) run the body of a program or a test in an
//!   isolate. Neither is needed: the first use of an isolate starts the global [`Runtime`], from
//!   any thread and from inside any async program.
//!
//! # Modules
//! This crate only re-exports. The modules [`rpc`] and [`pool`] are whole crates, for programs
//! that put an implementation of their own behind a contract; [`embed`] is for programs with a
//! foreign main loop, and [`io`] has files and sockets. The items of everyday use are at the root
//! too.
//!
//! # Features
//! - `tokio`: the module `tokio`, for libraries that need tokio inside of isolates.
//!
//! ```
//! use insula::{Isolate, ReceivePort, RunError};
//!
//! # fn main() -> Result<(), RunError> {
//! let longest = Isolate::run_async(async || {
//!     let mut words = ReceivePort::new();
//!     for text in ["sea and land", "an island"] {
//!         let reply = words.send_port();
//!         let reader = move |text: &str| {
//!             for word in text.split(' ') {
//!                 // Fails only when nobody listens any more.
//!                 let _ = reply.send(word.to_owned());
//!             }
//!         };
//!         Isolate::spawn(reader, text);
//!     }
//!     let mut longest = String::new();
//!     // Ends when both readers, and so all senders, are gone.
//!     while let Some(word) = words.recv().await {
//!         longest = if word.len() > longest.len() { word } else { longest };
//!     }
//!     longest
//! });
//! assert_eq!(longest.wait()?, "island");
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

pub use insula_core::{
    Ask, AskBlockingError, AskError, BlockingCallback, Builder as IsolateBuilder, CallbackError,
    CallbackReply, Capability, CellError, Compat, ConditionVariable, ControlPort, Deadlock, Ending,
    Entered, EntryOutput, EntryResult, ErrorCause, ExitReason, Exited, GroupBoundCallback,
    GroupShared, Handled, Instant, Isolate, IsolateCell, IsolateGroup, IsolateId, IsolateLocal,
    IsolateLocalCallback, IsolateNameServer, KeepsAlive, Listener, ListenerCallback, LocalError,
    LockError, Mailbox, MailboxError, Mutex, MutexGuard, NameTaken, NativePort, NoReply, NotHeld,
    NotOnIsolateThread, PanicReport, Pinned, PortId, Priority, RawMutex, ReceivePort, Recv,
    RendezvousState, Reply, ReplyTo, RequestError, Requester, Responder, RootBuilder, RootIsolate,
    RootPhase, Run, RunError, Runtime, RuntimeBuilder, SendBlockingError, SendError, SendPort,
    SendWait, Sleep, StillRunning, Timer, UncaughtError, Undelivered, WaitError, YieldNow,
    block_on, block_on_by, blocking, catch_panic, checkpoint, isolate_local, one_shot, rendezvous,
    schedule_microtask, set_error_hook, sleep, sleep_until, spawn_local, try_checkpoint, yield_now,
};
pub use insula_macros::{contract, main, test};
pub use insula_pool::{
    Balance, BuildError, FactoryError, Latency, Measure, Overflow, PoolBuilder, PoolPhase,
    PoolStats, PoolStatus, Queue, Shutdown, ShutdownReport, WorkerCondition, WorkerContext,
    WorkerFault, WorkerPool, WorkerStats, WorkerStatus,
};
pub use insula_rpc::{
    Call, CallError, CallFuture, CancelToken, Cancelled, CancelledBy, Context, Detailed,
    DetailedCall, Outcome, Payload, Phase, Reject, ReplyStream, ReplyStreamOf, Respond, Traffic,
    WorkerExit, WorkerId, serve,
};
pub use {insula_embed as embed, insula_io as io, insula_pool as pool, insula_rpc as rpc};

#[cfg(feature = "tokio")]
pub mod tokio;

#[doc(hidden)]
pub use insula_rpc::__private;

#[doc(hidden)]
pub mod __rt;

/// The example of the README, compiled and run with the doc tests.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
