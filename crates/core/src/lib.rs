//! Isolates in one process: ports, turns, microtasks, timers, and the threads that run them.
//!
//! # The path of a message
//! 1. [`SendPort::send`] (`port/send.rs`) locks the receiving isolate's lane, checks that the port
//!    is open and has room, and appends a record (`memory/record.rs`, `memory/lane.rs`).
//! 2. If that isolate was idle, the sender schedules it (`runtime/thread_pool.rs`). A thread of
//!    the pool runs it next itself, and wakes no other thread.
//! 3. The thread takes all records out of the lane at once and handles them, one turn per record
//!    (`event_loop.rs`).
//! 4. The record's header leads to the port, whose listener gets the message; or the port buffers
//!    the message, and the future that waits for it is polled as a microtask
//!    (`port/receive.rs`).
//! 5. When the lane is empty the isolate is idle, or ends.
//!
//! # Access and protocols
//! `memory/core.rs` says which thread may touch which part of an isolate. Each protocol is
//! described at the top of its module: the word and the lane in `memory/lane.rs`, ports in
//! `port.rs`, tasks in `event_loop/task.rs`, threads in `runtime/thread_pool.rs` and
//! `runtime/thread_pool/sleep.rs`.
//!
//! # Lock order
//! ARCHITECTURE.md has the table of the locks that nest. All others are leaves: no lock is taken
//! while one of them is held. Debug builds check this (`insula_sync::Rank`). No user code runs
//! under any of them.

mod blocking;
mod event_loop;
mod inspect;
mod isolate;
mod memory;
mod panic;
mod port;
mod runtime;

#[cfg(all(test, loom))]
mod loom_models;

#[doc(hidden)]
pub use blocking::block_on::awaits_event;
pub use blocking::block_on::block_on;
pub use blocking::callback::{
    BlockingCallback, CallbackError, CallbackReply, GroupBoundCallback, GroupShared,
    IsolateLocalCallback, ListenerCallback, NotOnIsolateThread,
};
pub use blocking::mailbox::{
    ConditionVariable, LockError, Mailbox, MailboxError, Mutex, MutexGuard, NotHeld, RawMutex,
    RendezvousState, RequestError, Requester, Responder, Undelivered, rendezvous,
};
pub use blocking::{AskBlockingError, Deadlock, SendBlockingError, WaitError, block_on_by};
#[doc(hidden)]
pub use blocking::{Completer, block_on_completer};
pub use event_loop::microtask::schedule_microtask;
#[doc(hidden)]
pub use event_loop::slice_watch::{SliceWatch, watch_slices};
#[doc(hidden)]
pub use event_loop::task::{isolate_around, isolate_of};
pub use event_loop::timer::{Sleep, Timer, sleep, sleep_until};
pub use event_loop::yield_now::{YieldNow, yield_now};
pub use inspect::{
    IsolateDetail, IsolateKind, IsolateObserver, IsolateSnapshot, IsolateState, MailboxKind,
    MailboxSnapshot, NativePortSnapshot, PartySnapshot, PortDetail, PortMode, RuntimeSnapshot,
    ThreadSnapshot, WaitSnapshot, mailboxes, native_ports, waits,
};
pub use isolate::cell::{CellError, IsolateCell, IsolateLocal, LocalError};
pub use isolate::pinned::Pinned;
#[doc(hidden)]
pub use isolate::report_panic;
pub use isolate::root::{Handled, RootBuilder, RootIsolate, RootPhase};
pub use isolate::{
    Async, Builder, Capability, ControlPort, Ending, EntryOutput, EntryResult, ErrorCause,
    ErrorPolicy, ExitReason, Exited, Isolate, IsolateGroup, IsolateId, KeepsAlive, Plain, Priority,
    Run, RunError, UncaughtError, checkpoint, set_error_hook, spawn_local, try_checkpoint,
};
#[doc(hidden)]
pub use panic::{Kept, contain, is_catching, wake_contained};
pub use panic::{PanicReport, catch_panic};
pub use port::name_server::{IsolateNameServer, NameTaken};
pub use port::native_port::NativePort;
pub use port::reply::{Ask, AskError, NoReply, Reply, ReplyTo, one_shot};
pub use port::{Listener, PortId, ReceivePort, Recv, SendError, SendPort, SendWait};
pub use runtime::event_handler::{Direction, Handle as SourceHandle, Source};
pub use runtime::pollers::Poller;
pub use runtime::thread_pool::blocking;
pub use runtime::time::Instant;
pub use runtime::{Compat, Entered, Runtime, RuntimeBuilder, StillRunning};
