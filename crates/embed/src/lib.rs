//! Isolates inside of somebody else's loop.
//!
//! A program with a window has a main thread that belongs to the window system. This crate lets
//! an isolate live there: a [`MessageLoop`] runs tasks on that thread, beside or inside of the
//! window system's own loop, and a [`UiBinding`] makes the messages of a root isolate such
//! tasks, one each, and frames the moments at which it paints.
//!
//! # The way of a message to the root isolate
//! 1. It goes into the isolate's lane, and the lane's notify function posts a task to the loop
//!    (`ui_binding.rs`).
//! 2. The loop's wake function tells the foreign loop, which calls
//!    [`MessageLoop::flush_tasks`] on its thread.
//! 3. The task has the isolate handle one message and its microtasks; if there are more, it
//!    posts another task. So messages, input and frames take turns.
//!
//! # Locks
//! One per loop; `shared.rs` tells who holds two. No task, observer or destructor runs under
//! any.
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
