//! Server streams: a bounded buffer between a handler's stream and its caller.
//!
//! The callee owns a [`Writer`], the caller a [`ReplyStream`]; between them lies one
//! [`Channel`]: a buffer of at most [`WINDOW`] items, how the stream ended, and one waker per
//! side. A free place in the buffer is a credit. The callee polls the handler's stream only
//! while it holds a credit, so that a slow consumer stops the producer after `WINDOW` items;
//! it is woken again once half of the window is free, so that credits travel in batches.
//!
//! Exactly one end is written, and it is always read after the items before it:
//! - `Finished`: the handler's stream was exhausted;
//! - `Failed`: the handler's error, a panic, a cancellation that is not the caller's,
//!   or the death of the worker. It never looks like `Finished`: a writer that is dropped
//!   without an end leaves [`CallError::WorkerDied`].
//!
//! Dropping the reading end cancels the call: the buffer is dropped, the callee is woken and
//! drops the handler's stream.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{self, Poll, Waker, ready};

use futures_core::Stream;
use insula_core::wake_contained;
use insula_sync::Mutex;

use crate::cell::{CallCell, Signal};
use crate::context::{Context, Scope};
use crate::contract::{Ended, How, StreamMethod};
use crate::error::CallError;
use crate::guard::{Stopped, Watchdog, catch};
use crate::payload::Traffic;
use crate::pending::{Running, died};
use crate::{ReplyStreamOf, WorkerId};

/// The most items that a callee may be ahead of its caller.
pub const WINDOW: usize = 32;

/// The items of a server stream, in the order in which the handler gave them.
///
/// Yields `Ok(item)` until the stream ends; an `Err` is the last thing it yields. No item is
/// lost before an end of either kind.
///
/// # Cancellation
/// Dropping the stream cancels the call; see [`Context`].
#[must_use = "a stream does nothing unless it is polled, and its drop cancels the call"]
pub struct ReplyStream<T, E> {
    channel: Arc<Channel<T, E>>,
    signal: Arc<dyn Signal>,
    is_over: bool,
}

struct Channel<T, E>(Mutex<State<T, E>>);

struct State<T, E> {
    items: VecDeque<T>,
    /// Bytes of all items so far.
    traffic: Traffic,
    /// Taken by the reader.
    end: Option<End<E>>,
    /// `true` once an end was written; nothing follows it.
    is_ended: bool,
    /// The caller has dropped its end.
    is_abandoned: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

enum End<E> {
    Finished,
    Failed(CallError<E>),
}

impl<T, E> ReplyStream<T, E> {
    /// The next item: `None` after the last one.
    ///
    /// # Cancellation
    /// Dropping the future loses no item.
    ///
    /// # Errors
    /// The handler failed, panicked or was stopped, or its worker ended; nothing follows.
    pub async fn next(&mut self) -> Option<Result<T, CallError<E>>> {
        poll_fn(|cx| self.poll_item(cx)).await
    }

    /// The bytes of the items that the callee has sent so far.
    pub fn traffic(&self) -> Traffic {
        self.channel.0.lock().traffic
    }

    fn poll_item(&mut self, cx: &mut task::Context<'_>) -> Poll<Option<Result<T, CallError<E>>>> {
        self.poll_item_with(cx.waker(), None)
    }

    /// `new` is a clone of `waker` for the lock's holder to keep, if it has been asked for.
    fn poll_item_with(
        &mut self,
        waker: &Waker,
        new: Option<Waker>,
    ) -> Poll<Option<Result<T, CallError<E>>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let mut state = self.channel.0.lock();
        if let Some(item) = state.items.pop_front() {
            // Half a window of credits at once: fewer wake-ups, and the callee has still work
            // to hand over while it is woken.
            let writer = if state.items.len() <= WINDOW / 2 {
                state.writer.take()
            } else {
                None
            };
            drop(state);
            wake(writer);
            return Poll::Ready(Some(Ok(item)));
        }
        if let Some(end) = state.end.take() {
            drop(state);
            self.is_over = true;
            return Poll::Ready(match end {
                End::Finished => None,
                End::Failed(error) => Some(Err(error)),
            });
        }
        match set_waker(&mut state.reader, waker, new) {
            Place::Set(old) => {
                drop(state);
                drop(old);
                Poll::Pending
            }
            Place::NeedsClone => {
                drop(state);
                self.poll_item_with(waker, Some(waker.clone()))
            }
        }
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
        let mut state = self.channel.0.lock();
        state.is_abandoned = true;
        let items = std::mem::take(&mut state.items);
        let (end, writer) = (state.end.take(), state.writer.take());
        drop(state);
        self.signal.cancel();
        wake(writer);
        drop((items, end));
    }
}

impl<T, E> fmt::Debug for ReplyStream<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplyStream")
            .field("is_over", &self.is_over)
            .finish_non_exhaustive()
    }
}

/// The callee's end. Dropping it without an end tells the reader that the worker has ended.
struct Writer<T, E> {
    channel: Arc<Channel<T, E>>,
    worker: WorkerId,
}

fn channel<T, E>(worker: WorkerId, signal: Arc<dyn Signal>) -> (Writer<T, E>, ReplyStream<T, E>) {
    let channel = Arc::new(Channel(Mutex::new(State {
        items: VecDeque::new(),
        traffic: Traffic::default(),
        end: None,
        is_ended: false,
        is_abandoned: false,
        reader: None,
        writer: None,
    })));
    let reader = ReplyStream {
        channel: Arc::clone(&channel),
        signal,
        is_over: false,
    };
    (Writer { channel, worker }, reader)
}

/// The answer to a writer that wants to send one more item.
enum Credit {
    Granted,
    /// The reader has gone.
    Abandoned,
}

impl<T, E> Writer<T, E> {
    fn poll_credit(&self, cx: &task::Context<'_>) -> Poll<Credit> {
        self.poll_credit_with(cx.waker(), None)
    }

    /// As for `poll_item_with`.
    fn poll_credit_with(&self, waker: &Waker, new: Option<Waker>) -> Poll<Credit> {
        let mut state = self.channel.0.lock();
        if state.is_abandoned {
            return Poll::Ready(Credit::Abandoned);
        }
        if state.items.len() < WINDOW {
            return Poll::Ready(Credit::Granted);
        }
        match set_waker(&mut state.writer, waker, new) {
            Place::Set(old) => {
                drop(state);
                drop(old);
                Poll::Pending
            }
            Place::NeedsClone => {
                drop(state);
                self.poll_credit_with(waker, Some(waker.clone()))
            }
        }
    }

    /// Puts an item into the place that a credit stands for.
    fn push(&self, item: T, bytes: u64) {
        let mut state = self.channel.0.lock();
        if state.is_abandoned {
            drop(state);
            return drop(item);
        }
        state.items.push_back(item);
        state.traffic.add(Traffic::moved(bytes));
        let reader = state.reader.take();
        drop(state);
        wake(reader);
    }

    /// Writes the end; the first one counts.
    fn end(&self, end: End<E>) {
        let mut state = self.channel.0.lock();
        if state.is_ended || state.is_abandoned {
            drop(state);
            return drop(end);
        }
        state.is_ended = true;
        state.end = Some(end);
        let reader = state.reader.take();
        drop(state);
        wake(reader);
    }

    /// The bytes of all items so far.
    fn traffic(&self) -> Traffic {
        self.channel.0.lock().traffic
    }
}

impl<T, E> Drop for Writer<T, E> {
    fn drop(&mut self) {
        self.end(End::Failed(died(self.worker)));
    }
}

impl<M> Running<M>
where
    M: StreamMethod<Response = ReplyStreamOf<M>>,
{
    /// Ends the call if its handler gave no stream; otherwise hands the reading end to the
    /// caller and runs the stream to its end.
    pub async fn stream<S>(
        self,
        outcome: Result<Result<S, M::Error>, Stopped>,
        scope: &Scope,
    ) -> Ended
    where
        S: Stream<Item = Result<M::Item, M::Error>>,
    {
        let stream = match outcome {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return self.finish(Ok(Err(error)), scope),
            Err(stopped) => return self.finish(Err(stopped), scope),
        };
        let cx = self.context();
        let (writer, reader) = channel(cx.worker(), Arc::clone(cx.signal()));
        let deposited = self
            .cell()
            .is_some_and(|cell| cell.deposit(Ok(reader)).is_ok());
        let (how, end) = match deposited {
            true => pump::<M, S>(&writer, stream, cx).await,
            false => (How::Cancelled, End::Finished),
        };
        let mut traffic = writer.traffic();
        traffic.add(
            self.cell()
                .map_or(Traffic::default(), CallCell::request_traffic),
        );
        // Before the end can be read: a reader that has seen the end drops its stream, which
        // must not look like a cancellation.
        let is_settled = self.cell().is_some_and(CallCell::settle_deposited);
        let how = if is_settled || how == How::Panicked {
            how
        } else {
            How::Cancelled
        };
        let ended = scope.record(Ended { how, traffic });
        writer.end(end);
        ended
    }
}

/// Moves items from the handler's stream to the caller's, as credits allow.
async fn pump<M, S>(
    writer: &Writer<M::Item, M::Error>,
    stream: S,
    cx: &Context,
) -> (How, End<M::Error>)
where
    M: StreamMethod,
    S: Stream<Item = Result<M::Item, M::Error>>,
{
    let mut stream = pin!(Some(stream));
    let mut watchdog = Watchdog::new(cx);
    let outcome = poll_fn(|task| {
        // At most one window per poll, so that a stream that is always ready lets others run.
        for _ in 0..WINDOW {
            let polled = writer.poll_credit(task);
            match polled {
                Poll::Ready(Credit::Granted) => {}
                Poll::Ready(Credit::Abandoned) => {
                    return Poll::Ready((How::Cancelled, End::Finished));
                }
                Poll::Pending => return watch(&mut watchdog, task),
            }
            let item = catch(|| match stream.as_mut().as_pin_mut() {
                Some(stream) => stream.poll_next(task),
                None => Poll::Ready(None),
            });
            match item {
                Ok(Poll::Ready(Some(Ok(item)))) => {
                    let bytes = M::item_bytes(&item);
                    writer.push(item, bytes);
                }
                Ok(Poll::Ready(Some(Err(error)))) => {
                    return Poll::Ready((How::Failed, End::Failed(CallError::App(error))));
                }
                Ok(Poll::Ready(None)) => return Poll::Ready((How::Answered, End::Finished)),
                Ok(Poll::Pending) => return watch(&mut watchdog, task),
                Err(panic) => {
                    let error = Stopped::Panicked(panic).into_error();
                    return Poll::Ready((How::Panicked, End::Failed(error)));
                }
            }
        }
        task.waker().wake_by_ref();
        watch(&mut watchdog, task)
    })
    .await;
    match catch(|| stream.set(None)) {
        Ok(()) => outcome,
        Err(panic) => match outcome {
            // The items are all there, and so is their end.
            (How::Answered, end) => (How::Panicked, end),
            (_, End::Failed(error)) => (How::Panicked, End::Failed(error)),
            _ => (
                How::Panicked,
                End::Failed(Stopped::Panicked(panic).into_error()),
            ),
        },
    }
}

fn watch<E>(watchdog: &mut Watchdog<'_>, task: &mut task::Context<'_>) -> Poll<(How, End<E>)> {
    let by = ready!(watchdog.poll(task));
    Poll::Ready((
        How::Cancelled,
        End::Failed(Stopped::Cancelled(by).into_error()),
    ))
}

/// The result of remembering a waker.
enum Place {
    /// It is remembered. The one that it replaced is dropped outside the lock.
    Set(Option<Waker>),
    /// A clone of it is needed, which is foreign code, and so made outside the lock.
    NeedsClone,
}

/// Remembers `new`, a clone of `waker`, unless an equal one is remembered.
fn set_waker(place: &mut Option<Waker>, waker: &Waker, new: Option<Waker>) -> Place {
    if place.as_ref().is_some_and(|old| old.will_wake(waker)) {
        return Place::Set(new);
    }
    match new {
        Some(new) => Place::Set(place.replace(new)),
        None => Place::NeedsClone,
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        wake_contained(waker);
    }
}
