//! A reply that any thread or executor may wait for: a cell under a mutex.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use insula_sync::Mutex;

use crate::blocking::WaitError;
use crate::blocking::block_on::block_on_or_end;
use crate::panic::wake_contained;

/// The error of a question without an answer: it, or the right to answer it, was dropped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoReply;

impl fmt::Display for NoReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the question was dropped without an answer")
    }
}

impl std::error::Error for NoReply {}

enum State<R> {
    Waiting(Option<Waker>),
    Answered(Option<R>),
    /// The answer was taken, or the [`Reply`] was dropped.
    Done,
}

/// The answerer's end of the cell.
pub(super) struct Shared<R>(Arc<Mutex<State<R>>>);

pub(super) fn pair<R>() -> (Shared<R>, Reply<R>) {
    let cell = Arc::new(Mutex::new(State::Waiting(None)));
    (Shared(cell.clone()), Reply(cell))
}

impl<R> Shared<R> {
    /// Stores the answer, or its absence, and wakes the asker.
    pub(super) fn answer(self, value: Option<R>) {
        let mut state = self.0.lock();
        let unwanted = match &mut *state {
            State::Waiting(waker) => {
                let waker = waker.take();
                *state = State::Answered(value);
                drop(state);
                // The waker is the asker's code, so its panic must not reach the answerer.
                if let Some(waker) = waker {
                    wake_contained(waker);
                }
                return;
            }
            _ => value,
        };
        drop(state);
        drop(unwanted);
    }
}

/// A future that waits for an answer. Made by [`one_shot`](super::one_shot).
///
/// # Cancellation
/// Dropping it drops the answer when that arrives.
#[must_use = "futures do nothing unless awaited"]
pub struct Reply<R>(Arc<Mutex<State<R>>>);

impl<R> Reply<R> {
    /// Blocks the thread until the answer arrives.
    ///
    /// # Blocking
    /// Parks the thread. In an isolate, await the reply instead.
    ///
    /// # Cancellation
    /// A kill of the waiting isolate unwinds out of the wait.
    ///
    /// # Errors
    /// Returns [`NoReply`] if there will be no answer. Also if the waiting isolate is ending and
    /// cannot unwind out of the wait: in a destructor that runs while the stack unwinds, or because
    /// the isolate has ended.
    ///
    /// # Panics
    /// Panics on a seeded runtime if the answer has not arrived yet, as
    /// [`block_on`](crate::block_on) does. In a destructor that runs while the stack unwinds it
    /// returns [`NoReply`] instead.
    pub fn wait(self) -> Result<R, NoReply> {
        match block_on_or_end(self) {
            Ok(reply) => reply,
            // `NoReply` would report a dropped question, but the mistake is to wait here at all.
            Err(error @ WaitError::Seeded) if !std::thread::panicking() => panic!("{error}"),
            Err(_) => Err(NoReply),
        }
    }
}

impl<R> Future for Reply<R> {
    type Output = Result<R, NoReply>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // A waker is foreign code: cloned before the lock is acquired, dropped after its release.
        let new = cx.waker().clone();
        let mut state = self.0.lock();
        match &mut *state {
            State::Waiting(waker) => {
                let before = waker.replace(new);
                drop(state);
                drop(before);
                Poll::Pending
            }
            State::Answered(value) => {
                let value = value.take();
                *state = State::Done;
                Poll::Ready(value.ok_or(NoReply))
            }
            State::Done => panic!("polled again after it was ready"),
        }
    }
}

impl<R> Drop for Reply<R> {
    fn drop(&mut self) {
        // Two statements, so that an answer or a waker is dropped after the lock is released.
        let state = std::mem::replace(&mut *self.0.lock(), State::Done);
        drop(state);
    }
}

impl<R> fmt::Debug for Reply<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reply(..)")
    }
}
