//! Isolates for Rust: private state with an event loop, ports that move messages, typed calls
//! between isolates, and pools of workers.
//!
//! # Where to begin
//! - [`Isolate`] starts isolates; [`SendPort`] and [`ReceivePort`] connect them.
//! - [`contract`](macro@contract) turns a trait into typed calls. [`serve`] answers them in one
//!   isolate, a [`WorkerPool`] in several.
//! - [`main`](macro@main) and [`test`](macro@test) run the body of a program or a test in an
//!   isolate. Neither is needed: the first use of an isolate starts the global [`Runtime`], from
//!   any thread and from inside any async program.
//!
//! # Modules
//! The root of this crate has the items of everyday use. Each module has all items of its subject,
//! those of the root among them:
//!
//! | module | holds |
//! |---|---|
//! | [`isolate`] | starting isolates, groups, state, tasks |
//! | [`port`] | messages, questions and answers, names, native ports |
//! | [`time`] | timers and sleeps |
//! | [`control`] | kills, pauses, pings, errors, exits |
//! | [`sync`] | mailboxes, locks, rendezvous, [`block_on`] |
//! | [`callback`] | functions that foreign threads call |
//! | [`rpc`], [`pool`] | typed calls and pools of workers |
//! | [`runtime`] | threads, settings, shutdown |
//! | [`embed`] | foreign main loops, task runners, frames |
//! | [`io`] | files, folders, sockets |
//! | [`memory`] | counts of memory, budgets, segments for large values, deferred drops |
//!
//! This crate only re-exports. The features below add modules to these.
//!
//! # Features
//! - `tokio`: the module `tokio`, for libraries that need tokio inside of isolates.
//! - `wire`: the module [`rpc`]`::wire`, for contracts whose calls can be written as bytes.
//! - `tracing`: a span of the crate `tracing` around each call that runs; see [`rpc`].
//! - `process`: the module `process`, for workers that are child processes.
//! - `nats`: the module `nats`, for workers on other machines.
//! - `inspect`: the module `inspect`, which shows what the program does to a browser, a terminal and
//!   Prometheus.
//! - `otel`: the numbers of the inspector as instruments of OpenTelemetry.
//! - `compute`: the module `compute`, for computations that use several cores within one call.
//!
//! ```standalone_crate
//! use insula::isolate::RunError;
//! use insula::{Isolate, ReceivePort};
//!
//! # fn main() -> Result<(), RunError> {
//! let longest = Isolate::run_async(async || {
//!     let mut words = ReceivePort::new();
//!     for text in ["sea and land", "an island"] {
//!         let reply = words.send_port();
//!         let reader = move |text: &str| {
//!             for word in text.split(' ') {
//!                 // Fails only if the port is closed.
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

#[cfg(feature = "compute")]
pub use insula_compute as compute;
#[doc(inline)]
pub use insula_core::{
    Instant, Isolate, IsolateCell, IsolateGroup, IsolateId, Mailbox, ReceivePort, Reply, ReplyTo,
    Runtime, SendPort, Timer, block_on, checkpoint, one_shot, sleep, spawn_local, yield_now,
};
#[cfg(feature = "inspect")]
pub use insula_inspect as inspect;
#[doc(inline)]
pub use insula_macros::{contract, main, test};
#[cfg(feature = "nats")]
pub use insula_nats as nats;
#[doc(inline)]
pub use insula_pool::WorkerPool;
#[cfg(feature = "process")]
pub use insula_process as process;
#[doc(inline)]
pub use insula_rpc::{Call, CallError, Context, Inbound, Payload, serve};
pub use {insula_io as io, insula_memory as memory, insula_pool as pool, insula_rpc as rpc};

pub mod isolate {
    //! Starting isolates, their state, and the tasks inside of them.
    pub use insula_core::{
        Builder, CellError, EntryOutput, EntryResult, GroupShared, Isolate, IsolateCell,
        IsolateGroup, IsolateId, IsolateLocal, KeepsAlive, LocalError, Pinned, Run, RunError,
        YieldNow, isolate_local, schedule_microtask, spawn_local, yield_now,
    };
}

pub mod port {
    //! Ports and the messages between them: sends, questions with one answer, names, native ports.
    pub use insula_core::{
        Ask, AskBlockingError, AskError, IsolateNameServer, Listener, NameTaken, NativePort,
        NoReply, PortId, ReceivePort, Recv, Reply, ReplyTo, SendBlockingError, SendError, SendPort,
        SendWait, Undelivered, one_shot,
    };
}

pub mod time {
    //! Timers and the clock of a runtime.
    pub use insula_core::{Instant, Sleep, Timer, sleep, sleep_until};
}

pub mod control {
    //! Control of an isolate from outside: kills, pauses, pings, and the reports of its errors and
    //! its end.
    pub use insula_core::{
        Capability, ControlPort, Ending, ErrorCause, ErrorPolicy, ExitReason, Exited, PanicReport,
        Priority, UncaughtError, catch_panic, checkpoint, set_error_hook, try_checkpoint,
    };
}

pub mod sync {
    //! Waiting synchronously: mailboxes, locks, rendezvous, and futures on a blocked thread.
    //!
    //! A wait that could never end is refused; see [`WaitError`].
    pub use insula_core::{
        ConditionVariable, Deadlock, LockError, Mailbox, MailboxError, Mutex, MutexGuard, NotHeld,
        RawMutex, RendezvousState, RequestError, Requester, Responder, WaitError, block_on,
        block_on_by, rendezvous,
    };
}

pub mod callback {
    //! Native callbacks: functions of an isolate that foreign threads call.
    pub use insula_core::{
        BlockingCallback, CallbackError, CallbackReply, GroupBoundCallback, IsolateLocalCallback,
        ListenerCallback, NotOnIsolateThread,
    };
}

pub mod runtime {
    //! The threads that run isolates, and how a program enters and ends them.
    pub use insula_core::{
        Compat, Entered, Poller, Runtime, RuntimeBuilder, StillRunning, blocking,
    };
}

pub mod embed {
    //! Isolates on a thread with a foreign main loop: root isolates, task runners, frames.
    pub use insula_core::{Handled, RootBuilder, RootIsolate, RootPhase};
    pub use insula_embed::*;
}

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
