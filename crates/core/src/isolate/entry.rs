//! Entry points: plain functions and `async fn`s, with or without an error to return.

use std::fmt::Display;
use std::future::Future;

use super::core::{Current, Oob};
use crate::isolate::ExitReason;
use crate::task::{LocalFuture, Task};

/// What an isolate can begin with: a function of one message, plain or `async`, that returns
/// nothing or a `Result<(), E>` whose error ends the isolate.
///
/// `Kind` only tells the two apart; leave it to inference.
pub trait Entry<M, Kind>: Send + 'static {
    #[doc(hidden)]
    fn start(self, message: M);
}

/// What an entry point may return.
pub trait Outcome: 'static {
    #[doc(hidden)]
    fn into_failure(self) -> Option<String>;
}

impl Outcome for () {
    fn into_failure(self) -> Option<String> {
        None
    }
}

impl<E: Display + 'static> Outcome for Result<(), E> {
    fn into_failure(self) -> Option<String> {
        self.err().map(|error| error.to_string())
    }
}

/// Ports and their handles may be what a plain entry's last expression happens to be.
impl<T: 'static> Outcome for crate::Listener<T> {
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

impl<M, F, O> Entry<M, (Plain, O)> for F
where
    F: FnOnce(M) -> O + Send + 'static,
    O: Outcome,
{
    fn start(self, message: M) {
        finish(self(message));
    }
}

impl<M, F, Fut> Entry<M, (Async, Fut)> for F
where
    F: FnOnce(M) -> Fut + Send + 'static,
    Fut: Future + Send + 'static,
    Fut::Output: Outcome,
{
    fn start(self, message: M) {
        let future = self(message);
        Current::with(|isolate| {
            let isolate = isolate.expect("an entry runs in its isolate");
            isolate.spawn_task(Box::pin(async { finish(future.await) }));
        });
    }
}

/// An entry's error ends the isolate, with that error as the reason.
pub(super) fn finish(outcome: impl Outcome) {
    if let Some(failure) = outcome.into_failure() {
        Current::with(|isolate| {
            if let Some(isolate) = isolate {
                let reason = ExitReason::Failed(failure.into());
                isolate.with_events(|events| events.failure = Some(reason));
                isolate.post_oob(Oob::Kill);
            }
        });
    }
}

impl Current<'_> {
    /// Starts a local task; it is polled for the first time as a microtask.
    pub(crate) fn spawn_task(self, future: LocalFuture) {
        if self.local().flags.dying.get() {
            return;
        }
        let key = self.with_events(|events| {
            events.tasks.insert_with(|key| Task::new(self, key, future))
        });
        self.push_microtask(crate::microtask::Microtask::Task(key));
    }
}

/// Starts a task of the current isolate. It is polled after the current event, and dropped if
/// it is not finished when the isolate ends.
///
/// A task keeps its isolate alive as long as something outside can wake it.
///
/// # Panics
/// If there is no current isolate.
pub fn spawn_local(future: impl Future<Output = ()> + Send + 'static) {
    Current::with(|isolate| {
        isolate.expect("spawn_local needs a current isolate").spawn_task(Box::pin(future));
    });
}
