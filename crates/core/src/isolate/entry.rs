//! Entries: plain functions and `async fn`s, with or without an error to return.

use std::fmt::Display;
use std::future::Future;

use super::errors::{ErrorCause, uncaught};
use crate::event_loop::task::{LocalFuture, Task};
use crate::isolate::ExitReason;
use crate::memory::Current;

/// The return type of an entry: nothing, a `Result<(), E>` whose error ends the isolate, `!` if the
/// entry loops until the isolate is killed, or a future of one of these, which becomes the
/// isolate's first task.
///
/// `Kind` only distinguishes plain functions from `async` ones; leave it to inference. The trait is
/// sealed: the list above is complete.
pub trait EntryOutput<Kind>: sealed::Output<Kind> + 'static {
    #[doc(hidden)]
    fn settle(self);
}

/// The result of an entry: its return value, or the output of its future. Sealed.
pub trait EntryResult: sealed::Result + 'static {
    #[doc(hidden)]
    fn into_failure(self) -> Option<String>;
}

mod sealed {
    pub trait Output<Kind> {}
    pub trait Result {}
}

impl sealed::Result for () {}
impl<E: Display + 'static> sealed::Result for Result<(), E> {}
impl sealed::Result for Never {}
impl<T: 'static> sealed::Result for crate::Listener<T> {}
impl<R: EntryResult> sealed::Output<Plain> for R {}
impl<F> sealed::Output<Async> for F
where
    F: Future + Send + 'static,
    F::Output: EntryResult,
{
}

impl EntryResult for () {
    fn into_failure(self) -> Option<String> {
        None
    }
}

impl<E: Display + 'static> EntryResult for Result<(), E> {
    fn into_failure(self) -> Option<String> {
        self.err().map(|error| error.to_string())
    }
}

/// The type `!`, which stable Rust can name only as the return type of a function.
type Never = <fn() -> ! as Returns>::Output;

#[doc(hidden)]
pub trait Returns {
    type Output;
}

impl<R> Returns for fn() -> R {
    type Output = R;
}

/// For an entry that never returns: it computes or waits until the isolate is killed.
impl EntryResult for Never {
    fn into_failure(self) -> Option<String> {
        self
    }
}

/// For an entry whose last expression is `port.listen(..)`.
impl<T: 'static> EntryResult for crate::Listener<T> {
    fn into_failure(self) -> Option<String> {
        None
    }
}

/// Marks plain functions.
#[derive(Debug)]
pub enum Plain {}

/// Marks functions that return a future.
#[derive(Debug)]
pub enum Async {}

impl<R: EntryResult> EntryOutput<Plain> for R {
    fn settle(self) {
        finish(self);
    }
}

impl<F> EntryOutput<Async> for F
where
    F: Future + Send + 'static,
    F::Output: EntryResult,
{
    fn settle(self) {
        Current::with(|isolate| {
            let isolate = isolate.expect("an entry runs in its isolate");
            isolate.spawn_task(Box::pin(async { finish(self.await) }));
        });
    }
}

/// Ends the isolate if its entry has returned an error, unless errors are not fatal. The error's
/// text is the exit reason.
pub(super) fn finish(result: impl EntryResult) {
    if let Some(failure) = result.into_failure() {
        Current::with(|isolate| {
            let failure: std::sync::Arc<str> = failure.into();
            if let Some(isolate) = isolate
                && uncaught(isolate, ErrorCause::Failed(failure.clone()))
            {
                isolate.end_with(ExitReason::Failed(failure));
            }
        });
    }
}

impl Current<'_> {
    /// Spawns a local task, which is polled for the first time as a microtask.
    pub(crate) fn spawn_task(self, future: LocalFuture) {
        let key =
            self.with_events(|events| events.tasks.insert_with(|key| Task::new(self, key, future)));
        // A dying isolate polls nothing: the next round of its teardown drops the task.
        if !self.is_dying() {
            self.push_poll(key);
        }
    }
}

/// Spawns a task of the current isolate. It is first polled after the current event, and is dropped
/// if it is not finished when the isolate ends.
///
/// A task keeps its isolate alive as long as something outside of the isolate can wake it.
///
/// # Panics
/// If there is no current isolate.
pub fn spawn_local(future: impl Future<Output = ()> + Send + 'static) {
    Current::with(|isolate| {
        isolate
            .expect("spawn_local needs a current isolate")
            .spawn_task(Box::pin(future));
    });
}
