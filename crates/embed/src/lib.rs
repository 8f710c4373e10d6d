//! Root isolates on message loops, by themselves or inside of a foreign loop.
//!
//! In a program with a window the main thread belongs to the window system. This crate runs an
//! isolate there: a [`MessageLoop`] runs tasks on that thread, beside or inside of the window
//! system's own loop. A [`UiBinding`] turns each message of a root isolate into such a task, and
//! runs the isolate's code that paints a frame.
//!
//! # The way of a message to the root isolate
//! 1. The message is queued in the isolate's lane, and the lane's notify function posts a task to
//!    the loop (`ui_binding.rs`).
//! 2. The loop's wake function wakes the foreign loop, which calls
//!    [`MessageLoop::flush_tasks`] on its thread.
//! 3. The task has the isolate handle one message and its microtasks. If there are more messages,
//!    it posts another task. So messages, input and frames take turns.
//!
//! # Example
//! A thread with a loop of its own, to which any thread posts tasks:
//! ```
//! use insula_embed::LoopThread;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let raster = LoopThread::start("raster")?;
//! let runner = raster.task_runner();
//! let (send, receive) = std::sync::mpsc::channel();
//! runner.post(move || drop(send.send("drawn")));
//! assert_eq!(receive.recv()?, "drawn");
//! # Ok(())
//! # }
//! ```
//! `examples/progress.rs` is a program with a window's loop, messages and frames.
//!
//! # Locks
//! One per loop; `shared.rs` says where two are held. No task, observer or destructor runs under
//! a lock.
#![forbid(unsafe_code)]

mod frame;
mod message_loop;
mod queue;
mod shared;
mod task_runner;
mod ui_binding;

#[cfg(all(test, loom))]
mod loom_models;

pub use frame::Frame;
pub use message_loop::{Flush, Flushed, LoopThread, MessageLoop, ObserverId};
pub use task_runner::{TaskRunner, TaskRunners};
pub use ui_binding::{BindError, FrameHandler, UiBinding, UiRemote};
