//! The caller's end of a call that is answered with a stream.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};

use futures_core::Stream;

use crate::cell::{Cause, Cut, Signal};
use crate::channel::{Channel, Event, Reader};
use crate::error::{CallError, Outcome};
use crate::payload::Traffic;

/// The end of the items of an answer.
pub(crate) type ReplyEnd<E> = Result<(), CallError<E>>;

/// The items that answer a call, in the order in which the handler gave them.
///
/// Yields `Ok(item)` until the stream ends; an `Err` is the last thing it yields. No item is
/// lost before an end of either kind, and a stream that broke never looks like one that ended.
///
/// # Flow
/// The handler may be ahead by [`WINDOW`](crate::WINDOW) items or
/// [`WINDOW_BYTES`](crate::WINDOW_BYTES) bytes. A handler that waits for its reader occupies no
/// place of its worker.
///
/// # Cancellation
/// Dropping the stream cancels the call, and the handler's stream is dropped, without a grace
/// period; see [`Context`](crate::Context).
#[must_use = "a stream does nothing unless it is polled, and its drop cancels the call"]
pub struct ReplyStream<T, E> {
    pub(crate) reader: Reader<T, ReplyEnd<E>>,
    signal: Arc<dyn Signal>,
}

impl<T, E> ReplyStream<T, E> {
    pub(crate) fn new(reader: Reader<T, ReplyEnd<E>>, signal: Arc<dyn Signal>) -> Self {
        Self { reader, signal }
    }

    /// Returns the next item: `None` after the last one.
    ///
    /// # Cancellation
    /// Dropping the future loses no item.
    ///
    /// # Errors
    /// The handler failed, panicked or was stopped, or its worker ended; nothing follows.
    pub async fn next(&mut self) -> Option<Result<T, CallError<E>>> {
        poll_fn(|cx| self.poll_item(cx)).await
    }

    /// Returns the bytes of the items that the callee has sent so far.
    pub fn traffic(&self) -> Traffic {
        self.reader.channel().traffic()
    }

    fn poll_item(&mut self, cx: &mut task::Context<'_>) -> Poll<Option<Result<T, CallError<E>>>> {
        self.reader.poll_next(cx).map(|event| match event {
            Event::Item(item) => Some(Ok(item)),
            Event::End(Err(error)) => Some(Err(error)),
            Event::End(Ok(())) | Event::Over => None,
        })
    }
}

impl<T, E> Stream for ReplyStream<T, E> {
    type Item = Result<T, CallError<E>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_item(cx)
    }
}

impl<T, E> Drop for ReplyStream<T, E> {
    fn drop(&mut self) {
        if !self.reader.is_over() {
            // Closed first: a handler that is told finds the reader gone.
            self.reader.close();
            self.signal.cancel();
        }
    }
}

impl<T: Send, E: Send> Cut for Channel<T, ReplyEnd<E>> {
    fn cut(&self, why: &Cause) {
        // Its handler has written the end if the call has ended by itself.
        if let Cause::Died { worker, exit } = why {
            Channel::cut(
                self,
                Err(CallError::WorkerDied {
                    exit: exit.clone(),
                    worker: Some(*worker),
                    outcome: Outcome::MaybeExecuted,
                    request: None,
                }),
            );
        }
    }

    fn traffic(&self) -> Traffic {
        Channel::traffic(self)
    }
}

impl<T, E> fmt::Debug for ReplyStream<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplyStream")
            .field("is_over", &self.reader.is_over())
            .finish_non_exhaustive()
    }
}
