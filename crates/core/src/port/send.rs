//! The sending side of a port.

use std::fmt;
use std::future::Future;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll};

use super::bound::Left;
use super::{PortId, PortSlot};
use crate::isolate::{ExitCall, IsolateId};
use crate::memory::IsolateCore;
use crate::memory::record::{Head, is_inline, words_of};
use crate::memory::waiters::Ticket;
use crate::panic;

/// The sending side of a port: sends messages of type `T` to it, from any thread.
///
/// Cloning is cheap. Equality and hash compare the [`id`](Self::id), also after the port closed.
///
/// # Ordering
/// The messages of one sender to one isolate arrive in the order in which they were sent, also
/// across several ports of that isolate. Messages of different senders interleave.
///
/// # Example
/// ```
/// # insula_core::block_on(async {
/// use insula_core::{Isolate, ReceivePort};
/// let sum = Isolate::run_async(async || {
///     let mut port = ReceivePort::new();
///     let sender = port.send_port();
///     Isolate::spawn(async move |n: u64| drop((1..=n).map(|i| sender.send(i)).count()), 4);
///     let mut sum = 0;
///     while let Some(i) = port.recv().await {
///         sum += i;
///     }
///     sum
/// });
/// assert_eq!(sum.await, Ok(10));
/// # });
/// ```
pub struct SendPort<T>(NonNull<PortSlot>, PhantomData<fn(T)>);

// SAFETY: the slot may be reached from any thread, see `port`; `T` moves through it.
unsafe impl<T: Send> Send for SendPort<T> {}
// SAFETY: as above; sending needs only a shared reference.
unsafe impl<T: Send> Sync for SendPort<T> {}

/// The error of a message that could not be sent. Contains the message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum SendError<T> {
    /// The port has been closed, or its isolate is dead.
    Closed(T),
    /// The port is bounded and full at the moment.
    Full(T),
}

impl<T> SendError<T> {
    /// Returns the message.
    pub fn into_inner(self) -> T {
        match self {
            Self::Closed(message) | Self::Full(message) => message,
        }
    }

    fn map<U>(self, f: impl FnOnce(T) -> U) -> SendError<U> {
        match self {
            Self::Closed(message) => SendError::Closed(f(message)),
            Self::Full(message) => SendError::Full(f(message)),
        }
    }
}

impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed(_) => "Closed(..)",
            Self::Full(_) => "Full(..)",
        })
    }
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed(_) => "the port is closed",
            Self::Full(_) => "the port is full",
        })
    }
}

impl<T> std::error::Error for SendError<T> {}

impl<T: Send + 'static> SendPort<T> {
    /// Makes a sender that takes over a sender's units of `slot`.
    pub(super) fn from_slot(slot: NonNull<PortSlot>) -> Self {
        Self(slot, PhantomData)
    }

    #[inline]
    fn slot(&self) -> &PortSlot {
        // SAFETY: alive while this sender owns its units.
        unsafe { self.0.as_ref() }
    }

    /// Sends a message. Never waits and never copies: the message is moved.
    ///
    /// # Errors
    /// Returns the message if the port is closed, or bounded and full.
    #[inline]
    pub fn send(&self, message: T) -> Result<(), SendError<T>> {
        if is_inline::<T>() {
            self.post(message)
        } else {
            // Boxed before the lane is locked, so that the hold stays short.
            self.post(Box::new(message))
                .map_err(|error| error.map(|message| *message))
        }
    }

    /// Appends a record of the message. `P` is `T`, or its box.
    #[inline]
    fn post<P>(&self, payload: P) -> Result<(), SendError<P>> {
        let slot = self.slot();
        let core = slot.isolate();
        let mut lane = core.lane.lock();
        if !slot.is_open(&lane) {
            drop(lane);
            return Err(SendError::Closed(payload));
        }
        if let Some(bound) = slot.bound()
            && !bound.try_take(&mut lane)
        {
            drop(lane);
            return Err(SendError::Full(payload));
        }
        // SAFETY: an open port's isolate is not dead, and all vtables of the slot are those of
        // a port of `T`, whose messages travel as a `P`.
        unsafe { lane.push(Head::of_slot(self.0, words_of::<P>()), payload) };
        let schedule = lane.mark_scheduled();
        drop(lane);
        if schedule {
            IsolateCore::schedule(core.this());
        }
        Ok(())
    }

    /// Sends a message as soon as the port has room. An unbounded port always has room.
    ///
    /// # Ordering
    /// Waiting futures are woken in the order in which they began to wait. No place is reserved
    /// for a woken future: until it is polled, another send may take the place, and a millisecond
    /// later the next waiting futures are woken too. So a future that is kept and not polled
    /// blocks none of the others.
    ///
    /// # Cancellation
    /// Dropping the future before it is ready drops the message unsent, and wakes the next waiting
    /// future if this one had been woken.
    ///
    /// # Errors
    /// Returns the message if the port is or becomes closed.
    pub fn send_wait(&self, message: T) -> SendWait<'_, T> {
        SendWait {
            port: self,
            message: Some(message),
            ticket: Ticket::default(),
        }
    }

    /// Returns `true` if the port accepts no more messages: it was closed, or its isolate is dead.
    pub fn is_closed(&self) -> bool {
        !self.slot().is_open(&self.slot().isolate().lane.lock())
    }

    /// Calls `function` when the port's isolate ends. Returns `None`, and never calls it, if the
    /// isolate has ended already.
    pub(crate) fn when_isolate_ends(
        &self,
        function: impl FnOnce() + Send + 'static,
    ) -> Option<ExitCall> {
        ExitCall::new(self.slot().isolate(), function)
    }

    /// Returns the identity of the port.
    pub fn id(&self) -> PortId {
        PortId(self.slot().serial.get())
    }

    /// Returns the identity of the isolate that owns the port.
    pub fn isolate_id(&self) -> IsolateId {
        IsolateId(self.slot().isolate().id)
    }
}

impl<T> Clone for SendPort<T> {
    fn clone(&self) -> Self {
        // SAFETY: alive while this sender owns its units.
        unsafe { self.0.as_ref() }.add_sender();
        Self(self.0, PhantomData)
    }
}

impl<T> Drop for SendPort<T> {
    fn drop(&mut self) {
        // SAFETY: this sender owns its units, and is gone afterwards.
        unsafe { PortSlot::drop_sender(self.0) };
    }
}

impl<T: Send + 'static> PartialEq for SendPort<T> {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}

impl<T: Send + 'static> Eq for SendPort<T> {}

impl<T: Send + 'static> Hash for SendPort<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id().hash(state);
    }
}

impl<T: Send + 'static> fmt::Debug for SendPort<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SendPort").field(&self.id()).finish()
    }
}

/// A future that sends a message when a port has room. Made by [`SendPort::send_wait`].
#[must_use = "futures do nothing unless awaited"]
pub struct SendWait<'a, T: Send + 'static> {
    port: &'a SendPort<T>,
    message: Option<T>,
    ticket: Ticket,
}

impl<T: Send + 'static> Unpin for SendWait<'_, T> {}

impl<T: Send + 'static> Future for SendWait<'_, T> {
    type Output = Result<(), SendError<T>>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut message = self
            .message
            .take()
            .expect("polled again after it was ready");
        // The first poll tries without a waker: if there is room, none is cloned or queued.
        if !self.ticket.is_some() {
            match self.port.send(message) {
                Err(SendError::Full(full)) => message = full,
                result => return Poll::Ready(result),
            }
        }
        self.poll_waiting(message, cx)
    }
}

impl<T: Send + 'static> SendWait<'_, T> {
    /// Returns the message, unless it was sent or returned before.
    pub(crate) fn take(mut self) -> Option<T> {
        self.message.take()
    }

    /// Joins the queue of waiters, then tries again: the port was full, but a place returned
    /// before this waiter was queued would not wake it.
    fn poll_waiting(&mut self, message: T, cx: &Context<'_>) -> Poll<Result<(), SendError<T>>> {
        let slot = self.port.slot();
        let Some(bound) = slot.bound() else {
            unreachable!("an unbounded port is never full");
        };
        // A waker is foreign code: cloned before the lane is locked, dropped after its release.
        let waker = cx.waker().clone();
        let mut lane = slot.isolate().lane.lock();
        let before = bound.wait(&mut lane, &mut self.ticket, waker);
        drop(lane);
        drop(before);
        match self.port.send(message) {
            Err(SendError::Full(message)) => {
                self.message = Some(message);
                Poll::Pending
            }
            result => {
                self.leave();
                Poll::Ready(result)
            }
        }
    }

    /// Leaves the queue of waiters. If this waiter had been woken and there is room, wakes the next
    /// one.
    fn leave(&mut self) {
        if !self.ticket.is_some() {
            return;
        }
        let slot = self.port.slot();
        // The guard is dropped with this statement, before a waker is woken or dropped.
        let left = slot
            .bound()
            .map(|bound| bound.leave(&mut slot.isolate().lane.lock(), &mut self.ticket));
        match left {
            Some(Left::Called(Some(next))) => panic::contain(|| next.wake()),
            Some(Left::Row(own)) => drop(own),
            Some(Left::Called(None)) | None => {}
        }
    }
}

impl<T: Send + 'static> Drop for SendWait<'_, T> {
    fn drop(&mut self) {
        self.leave();
    }
}

impl<T: Send + 'static> fmt::Debug for SendWait<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendWait")
            .field("port", self.port)
            .finish_non_exhaustive()
    }
}
