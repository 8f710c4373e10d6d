//! Two channels of one stream, one after the other.
//!
//! The items of a stream that crosses a wire lie in two channels, one on each side. What lies in
//! either counts against the window of the first one: its reader passes items on without consuming
//! them, and consumes as many as the reader of the second one has consumed.

use std::task::{self, Poll, ready};

use super::{Closed, Event, Place, Reader, Sized, WINDOW, Writer, report, set_waker, wake};

impl<T, R> Reader<T, R> {
    /// Returns the next item and its bytes, which [`consume`](Self::consume) reports later.
    pub(crate) fn poll_pass(&mut self, cx: &task::Context<'_>) -> Poll<Event<(T, u64), R>> {
        let event = if self.batch.0.is_empty() {
            ready!(self.poll_batch(cx))
        } else {
            None
        };
        Poll::Ready(match (event, self.batch.0.pop_front()) {
            (None, Some(Sized { item, bytes })) => Event::Item((item, bytes)),
            (Some(Event::End(end)), _) => Event::End(end),
            (Some(Event::Item(_) | Event::Over) | None, _) => Event::Over,
        })
    }

    /// Reports that items were consumed that were passed on.
    pub(crate) fn consume(&mut self, mut items: usize, mut bytes: u64) {
        let mut state = self.channel.0.lock();
        let writer = report(&mut state, &mut items, &mut bytes);
        drop(state);
        wake(writer);
    }
}

impl<T, R> Writer<T, R> {
    /// Returns whether as many items are on their way as may be. By their number only: the bytes
    /// were measured where they were sent, and a value that was decoded may be of another size.
    pub(crate) fn is_full(&self) -> bool {
        self.0.0.lock().used >= WINDOW
    }

    /// Returns whether the writer need not wait for its reader.
    pub(crate) fn has_credit(&self) -> bool {
        let state = self.0.0.lock();
        state.is_closed || state.has_credit()
    }

    /// Returns the number of items that were consumed since `seen`, and adds it there.
    ///
    /// The reader wakes a writer only once there is credit. As long as there is none here, there is
    /// none for the first channel either, so nothing is late.
    ///
    /// # Errors
    /// No more items are read, and all that were consumed have been reported.
    pub(crate) fn poll_consumed(
        &self,
        cx: &task::Context<'_>,
        seen: &mut u64,
    ) -> Poll<Result<u64, Closed>> {
        let mut new = None;
        loop {
            let mut state = self.0.0.lock();
            if state.consumed > *seen {
                let consumed = state.consumed - *seen;
                *seen = state.consumed;
                return Poll::Ready(Ok(consumed));
            }
            if state.is_closed {
                return Poll::Ready(Err(Closed));
            }
            match set_waker(&mut state.writer, cx.waker(), new.take()) {
                Place::Set(old) => {
                    drop(state);
                    drop(old);
                    return Poll::Pending;
                }
                Place::NeedsClone => {
                    drop(state);
                    new = Some(cx.waker().clone());
                }
            }
        }
    }
}
