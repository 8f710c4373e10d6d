//! The items that a caller sends in the course of a call: what a handler reads, and what sends
//! them.

use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{self, Poll};

use futures_core::Stream;

use crate::cell::{Cause, Cut};
use crate::channel::{Channel, Closed, Event, Reader, Writer, channel};
use crate::contract::ClientStreaming;
use crate::guard::measured;
use crate::payload::Traffic;

/// The end of a caller's items.
pub(crate) type SentEnd = Result<(), Aborted>;

/// The items that a caller sends, as a handler reads them.
///
/// Yields `Ok(item)` until the caller [finishes](Sender::finish) and then `None`. If the caller
/// [aborts](Sender::abort), drops its [`Sender`] or lets go of the call, the last thing is an
/// [`Aborted`]: what was cut off never looks complete.
///
/// A handler may answer before it has read everything. What it has not read is dropped, and the
/// sender learns with its next item that no more are read, and how many were consumed.
#[must_use = "its drop tells the caller that no more items are wanted"]
pub struct Inbound<T>(pub(crate) Reader<T, SentEnd>);

/// Sends the items of a client-streaming or bidirectional call; see
/// [`StreamingCall::open`](crate::StreamingCall::open).
///
/// Ends in one of three ways: [`finish`](Self::finish) says that all items were sent,
/// [`abort`](Self::abort) that the rest will not come, and so does dropping it.
#[must_use = "dropping a sender aborts its stream: call `finish` after the last item"]
pub struct Sender<T> {
    /// `None` once the end was written.
    writer: Option<Writer<T, SentEnd>>,
    /// The bytes that move with an item.
    measure: fn(&T) -> u64,
}

/// The right to send one item at once; see [`Sender::reserve`].
#[must_use = "a permit is for sending one item"]
pub struct Permit<'a, T>(&'a mut Sender<T>);

/// A caller has ended its items before their end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aborted {
    reason: Arc<str>,
}

/// An item that was not sent, because the call reads no more items: it has an answer, or it has
/// ended otherwise. Await the call for the reason.
#[derive(Clone, PartialEq, Eq)]
pub struct NotSent<T> {
    /// The item.
    pub item: T,
    /// The items that the handler has consumed.
    pub consumed: u64,
}

/// The reason that [`Sender::try_send`] did not send an item, and the item.
#[derive(Clone, PartialEq, Eq)]
pub enum TrySendError<T> {
    /// The handler has as many items as it may have.
    Full(T),
    /// The call reads no more items.
    Closed(NotSent<T>),
}

/// Makes the two ends of a caller's items. Called by generated code.
pub fn inbound<M: ClientStreaming>() -> (Sender<M::Sent>, Inbound<M::Sent>) {
    let (writer, reader) = channel();
    let sender = Sender {
        writer: Some(writer),
        measure: M::sent_bytes,
    };
    (sender, Inbound(reader))
}

impl<T> Inbound<T> {
    /// Returns the next item: `None` once the caller has finished.
    ///
    /// # Cancellation
    /// Dropping the future loses no item.
    ///
    /// # Errors
    /// The caller has ended its items before their end; nothing follows.
    pub async fn next(&mut self) -> Option<Result<T, Aborted>> {
        poll_fn(|cx| self.poll_item(cx)).await
    }

    /// Returns the bytes of the items that the caller has sent so far.
    pub fn traffic(&self) -> Traffic {
        self.0.channel().traffic()
    }

    fn poll_item(&mut self, cx: &mut task::Context<'_>) -> Poll<Option<Result<T, Aborted>>> {
        self.0.poll_next(cx).map(|event| match event {
            Event::Item(item) => Some(Ok(item)),
            Event::End(Err(aborted)) => Some(Err(aborted)),
            Event::End(Ok(())) | Event::Over => None,
        })
    }
}

impl<T> Stream for Inbound<T> {
    type Item = Result<T, Aborted>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_item(cx)
    }
}

impl<T> Sender<T> {
    /// Sends an item; waits while the handler has as many as it may have.
    ///
    /// The deadline of a call that no worker has taken is seen where the call is polled. Poll it beside
    /// this, for example with a `join`, if the call may wait in a queue for long.
    ///
    /// # Cancellation
    /// Dropping the future drops the item, unless it was sent.
    ///
    /// # Errors
    /// The call reads no more items; the error returns the item.
    pub async fn send(&mut self, item: T) -> Result<(), NotSent<T>> {
        match poll_fn(|cx| self.poll_credit(cx)).await {
            Ok(()) => self.push(item),
            Err(Closed) => Err(self.not_sent(item)),
        }
    }

    /// Waits until an item can be sent at once, so that it need not be made in vain.
    ///
    /// # Cancellation
    /// Dropping the future, or the permit, has no effect.
    ///
    /// # Errors
    /// The call reads no more items.
    pub async fn reserve(&mut self) -> Result<Permit<'_, T>, NotSent<()>> {
        match poll_fn(|cx| self.poll_credit(cx)).await {
            Ok(()) => Ok(Permit(self)),
            Err(Closed) => Err(self.not_sent(())),
        }
    }

    /// Sends an item if that is possible at once.
    ///
    /// # Errors
    /// The handler has as many as it may have, or the call reads no more; the error returns the
    /// item.
    pub fn try_send(&mut self, item: T) -> Result<(), TrySendError<T>> {
        // This may replace the waker of an earlier `send`, whose future has gone: it borrowed
        // `self`.
        match self.poll_credit(&task::Context::from_waker(task::Waker::noop())) {
            Poll::Ready(Ok(())) => self.push(item).map_err(TrySendError::Closed),
            Poll::Ready(Err(Closed)) => Err(TrySendError::Closed(self.not_sent(item))),
            Poll::Pending => Err(TrySendError::Full(item)),
        }
    }

    /// Sends all items of a stream and finishes.
    ///
    /// # Cancellation
    /// Dropping the future aborts the items.
    ///
    /// # Errors
    /// The call reads no more items; the error returns the first one that was not sent.
    pub async fn send_all(mut self, items: impl Stream<Item = T>) -> Result<(), NotSent<T>> {
        let mut items = pin!(items);
        while let Some(item) = poll_fn(|cx| items.as_mut().poll_next(cx)).await {
            // An early return drops the sender, whose abort changes nothing: the channel is closed.
            self.send(item).await?;
        }
        self.finish();
        Ok(())
    }

    /// Says that all items were sent. The call goes on.
    pub fn finish(mut self) {
        self.end(Ok(()));
    }

    /// Says that the rest of the items will not come. The handler reads the reason as an error,
    /// after what was sent before, and decides how the call goes on.
    pub fn abort(mut self, reason: impl Into<Arc<str>>) {
        self.end(Err(Aborted::new(reason)));
    }

    /// Returns the number of items that the handler has consumed. It grows in batches while the
    /// handler reads, and is exact once the handler reads no more.
    pub fn consumed(&self) -> u64 {
        let writer = self.writer.as_ref();
        writer.map_or(0, |writer| writer.channel().consumed())
    }

    fn poll_credit(&self, cx: &task::Context<'_>) -> Poll<Result<(), Closed>> {
        match &self.writer {
            Some(writer) => writer.poll_credit(cx),
            // Not reached: what takes the writer out consumes the sender.
            None => Poll::Ready(Err(Closed)),
        }
    }

    fn push(&mut self, item: T) -> Result<(), NotSent<T>> {
        // Before the lock of the channel is taken, since the size is the user's code.
        let bytes = measured(&item, self.measure);
        let pushed = match &self.writer {
            Some(writer) => writer.push(item, bytes).map(drop),
            None => Err(item),
        };
        pushed.map_err(|item| self.not_sent(item))
    }

    fn not_sent<I>(&self, item: I) -> NotSent<I> {
        let consumed = self.consumed();
        NotSent { item, consumed }
    }

    fn end(&mut self, end: SentEnd) {
        if let Some(writer) = self.writer.take() {
            writer.end(end);
        }
    }

    /// The channel, for the cell of the call.
    pub(crate) fn cut(&self) -> Option<Arc<dyn Cut>>
    where
        T: Send + 'static,
    {
        let writer = self.writer.as_ref()?;
        Some(Arc::<Channel<T, SentEnd>>::clone(writer.channel()) as _)
    }
}

impl<T> Permit<'_, T> {
    /// Sends the item.
    ///
    /// # Errors
    /// The call has stopped reading items since the permit was given; the error returns the item.
    pub fn send(self, item: T) -> Result<(), NotSent<T>> {
        self.0.push(item)
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.end(Err(Aborted::new("the sender was dropped")));
    }
}

impl<T: Send> Cut for Channel<T, SentEnd> {
    fn cut(&self, why: &Cause) {
        let reason = match why {
            Cause::Died { .. } => "the worker was given up",
            Cause::CallEnded => "the call has ended",
        };
        Channel::cut(self, Err(Aborted::new(reason)));
    }

    fn traffic(&self) -> Traffic {
        Channel::traffic(self)
    }
}

impl Aborted {
    pub(crate) fn new(reason: impl Into<Arc<str>>) -> Self {
        let reason = reason.into();
        Self { reason }
    }

    /// Returns the reason that the caller gave.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl fmt::Display for Aborted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the caller's items were aborted: {}", self.reason)
    }
}

impl Error for Aborted {}

impl<T> fmt::Display for NotSent<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let consumed = self.consumed;
        write!(f, "the call reads no more items: {consumed} were consumed")
    }
}

impl<T> Error for NotSent<T> {}

/// Shows everything but the item, which need not be `Debug`.
impl<T> fmt::Debug for NotSent<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotSent")
            .field("consumed", &self.consumed)
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Display for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(_) => f.write_str("the handler has as many items as it may have"),
            Self::Closed(not_sent) => not_sent.fmt(f),
        }
    }
}

impl<T> Error for TrySendError<T> {}

/// Shows everything but the item, which need not be `Debug`.
impl<T> fmt::Debug for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(_) => f.write_str("Full(..)"),
            Self::Closed(not_sent) => f.debug_tuple("Closed").field(not_sent).finish(),
        }
    }
}

impl<T> fmt::Debug for Inbound<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbound")
            .field("is_over", &self.0.is_over())
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("is_over", &self.writer.is_none())
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Permit<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Permit").finish_non_exhaustive()
    }
}
