//! The channel of a stream, the same for both directions.
//!
//! A channel has one [`Writer`] and one [`Reader`], which may be in different isolates. Between
//! them lie the items that were sent and not read, and an *end* of the type `R`, which is written
//! once and read after all items.
//!
//! # Credits
//! The writer may be ahead of the reader by [`WINDOW`] items and [`WINDOW_BYTES`] bytes. What it
//! has sent counts until the reader has *consumed* it, which is when the item is handed to the
//! program that reads. An item larger than the whole window may be sent while nothing else is on
//! its way. The reader gives credits back in batches of half a window, so that the writer is not
//! woken for each item.
//!
//! The reader takes all items out of the shared state at once and hands them out from a buffer of
//! its own. It thus takes the lock once per batch, and reports with the next batch how many of the
//! last one were consumed.
//!
//! # Ends
//! - The writer writes an end: no item follows.
//! - The reader goes away or is *closed* from outside: the writer is told with its next item, and
//!   what it had sent is dropped.
//! - [`Channel::cut`] ends both sides at once. It is for ends of the call from outside (a shutdown,
//!   the loss of a worker), after which the program that would write the end may never run again.
//!
//! # Locks
//! No foreign code runs under the lock: wakers and items are moved out, and are dropped or woken
//! after it is released.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{self, Poll, Waker, ready};

use insula_core::{contain, wake_contained};
use insula_sync::{Mutex, Rank};

use crate::payload::Traffic;

#[cfg(feature = "wire")]
mod passing;

/// The number of items by which a writer may be ahead of its reader.
pub const WINDOW: usize = 32;

/// The number of bytes by which a writer may be ahead of its reader; see
/// [`Payload`](crate::Payload) for how an item is measured.
pub const WINDOW_BYTES: u64 = 4 << 20;

pub(crate) struct Channel<T, R>(Mutex<State<T, R>>);

struct State<T, R> {
    items: Items<T>,
    /// Items and bytes that were sent and that the reader has not reported as consumed.
    used: usize,
    used_bytes: u64,
    /// Items that the reader has reported as consumed.
    consumed: u64,
    /// The bytes of all items so far.
    traffic: Traffic,
    /// Taken by the reader.
    end: Option<R>,
    /// `true` once an end was written; nothing follows it.
    is_ended: bool,
    /// The reader has gone, or the channel was closed from outside.
    is_closed: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

struct Sized<T> {
    item: T,
    bytes: u64,
}

/// Items on their way. They are the user's, and so are their drops, each of which may panic: they are
/// dropped one by one, because a second panic in one unwinding would end the process.
struct Items<T>(VecDeque<Sized<T>>);

impl<T> Drop for Items<T> {
    fn drop(&mut self) {
        while let Some(Sized { item, .. }) = self.0.pop_front() {
            contain(move || drop(item));
        }
    }
}

/// The sending end. Its owner writes the end before it drops it.
pub(crate) struct Writer<T, R>(Arc<Channel<T, R>>);

/// The reading end. Its drop closes the channel.
pub(crate) struct Reader<T, R> {
    channel: Arc<Channel<T, R>>,
    /// Items that were taken out of the shared state.
    batch: Items<T>,
    /// Items that were consumed and not yet reported.
    consumed: usize,
    consumed_bytes: u64,
    is_over: bool,
}

// The items are moved out, never pinned.
impl<T, R> Unpin for Reader<T, R> {}

/// A reader's find.
pub(crate) enum Event<T, R> {
    Item(T),
    /// The end, once.
    End(R),
    /// There is nothing after the end.
    Over,
}

/// No more items are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Closed;

pub(crate) fn channel<T, R>() -> (Writer<T, R>, Reader<T, R>) {
    let channel = Arc::new(Channel(Mutex::ranked(
        State {
            items: Items(VecDeque::new()),
            used: 0,
            used_bytes: 0,
            consumed: 0,
            traffic: Traffic::default(),
            end: None,
            is_ended: false,
            is_closed: false,
            reader: None,
            writer: None,
        },
        Rank::new(52, "the channel of a stream"),
    )));
    let reader = Reader {
        channel: Arc::clone(&channel),
        batch: Items(VecDeque::new()),
        consumed: 0,
        consumed_bytes: 0,
        is_over: false,
    };
    (Writer(channel), reader)
}

impl<T, R> State<T, R> {
    fn has_credit(&self) -> bool {
        // The size of the next item is not known yet, so the last one may go beyond the bytes.
        self.used == 0 || (self.used < WINDOW && self.used_bytes < WINDOW_BYTES)
    }
}

impl<T, R> Channel<T, R> {
    /// Ends both sides: the reader gets what was sent and then `end`, unless an end was written
    /// before; the writer is told that no more items are read.
    pub(crate) fn cut(&self, end: R) {
        let mut state = self.0.lock();
        let unused = if state.is_ended {
            Some(end)
        } else {
            state.end.replace(end)
        };
        state.is_ended = true;
        state.is_closed = true;
        let (reader, writer) = (state.reader.take(), state.writer.take());
        drop(state);
        wake(reader);
        wake(writer);
        drop(unused);
    }

    /// The bytes of all items so far.
    pub(crate) fn traffic(&self) -> Traffic {
        self.0.lock().traffic
    }

    /// The number of items that the reader has consumed and reported.
    pub(crate) fn consumed(&self) -> u64 {
        self.0.lock().consumed
    }
}

impl<T, R> Writer<T, R> {
    pub(crate) fn channel(&self) -> &Arc<Channel<T, R>> {
        &self.0
    }

    /// Waits for a credit. It stays until [`push`](Self::push) uses it: there is one writer.
    pub(crate) fn poll_credit(&self, cx: &task::Context<'_>) -> Poll<Result<(), Closed>> {
        let mut new = None;
        loop {
            let mut state = self.0.0.lock();
            if state.is_closed {
                return Poll::Ready(Err(Closed));
            }
            if state.has_credit() {
                return Poll::Ready(Ok(()));
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

    /// Sends an item without looking at the credits. Returns whether there is credit for one more.
    ///
    /// # Errors
    /// No more items are read; here is the item.
    pub(crate) fn push(&self, item: T, bytes: u64) -> Result<bool, T> {
        let mut state = self.0.0.lock();
        if state.is_closed {
            drop(state);
            return Err(item);
        }
        state.used += 1;
        state.used_bytes = state.used_bytes.saturating_add(bytes);
        state.traffic.add(Traffic::moved(bytes));
        state.items.0.push_back(Sized { item, bytes });
        let has_credit = state.has_credit();
        let reader = state.reader.take();
        drop(state);
        wake(reader);
        Ok(has_credit)
    }

    /// Writes the end; the first one counts.
    pub(crate) fn end(&self, end: R) {
        let mut state = self.0.0.lock();
        if state.is_ended || state.is_closed {
            drop(state);
            return drop(end);
        }
        state.is_ended = true;
        state.end = Some(end);
        let reader = state.reader.take();
        drop(state);
        wake(reader);
    }
}

impl<T, R> Reader<T, R> {
    pub(crate) fn channel(&self) -> &Arc<Channel<T, R>> {
        &self.channel
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }

    #[inline]
    pub(crate) fn poll_next(&mut self, cx: &task::Context<'_>) -> Poll<Event<T, R>> {
        if self.batch.0.is_empty()
            && let Some(end) = ready!(self.poll_batch(cx))
        {
            return Poll::Ready(end);
        }
        // Items of the batch need the lock only to give credits back.
        let Some(Sized { item, bytes }) = self.batch.0.pop_front() else {
            // Not reached: `poll_batch` is ready without an end only if it has taken an item.
            return Poll::Ready(Event::Over);
        };
        self.consumed += 1;
        self.consumed_bytes = self.consumed_bytes.saturating_add(bytes);
        if self.consumed >= WINDOW / 2 || self.consumed_bytes >= WINDOW_BYTES / 2 {
            self.give_credits();
        }
        Poll::Ready(Event::Item(item))
    }

    /// Takes all items out of the shared state. Ready with an event if there are none to come.
    fn poll_batch(&mut self, cx: &task::Context<'_>) -> Poll<Option<Event<T, R>>> {
        if self.is_over {
            return Poll::Ready(Some(Event::Over));
        }
        let mut new = None;
        loop {
            let mut state = self.channel.0.lock();
            let writer = report(&mut state, &mut self.consumed, &mut self.consumed_bytes);
            if !state.items.0.is_empty() {
                // The batch is empty by now, and the writer goes on in its memory.
                std::mem::swap(&mut state.items.0, &mut self.batch.0);
                drop(state);
                wake(writer);
                return Poll::Ready(None);
            }
            // The writer, if it still waits, is not woken: no item follows an end.
            if let Some(end) = state.end.take() {
                drop(state);
                self.is_over = true;
                return Poll::Ready(Some(Event::End(end)));
            }
            let place = set_waker(&mut state.reader, cx.waker(), new.take());
            drop(state);
            wake(writer);
            match place {
                Place::Set(old) => {
                    drop(old);
                    return Poll::Pending;
                }
                Place::NeedsClone => new = Some(cx.waker().clone()),
            }
        }
    }

    fn give_credits(&mut self) {
        let mut state = self.channel.0.lock();
        let writer = report(&mut state, &mut self.consumed, &mut self.consumed_bytes);
        drop(state);
        wake(writer);
    }

    /// Reads no more. The items that were not read are dropped.
    pub(crate) fn close(&mut self) {
        let mut state = self.channel.0.lock();
        // It takes the writer out if there is credit now.
        let with_credit = report(&mut state, &mut self.consumed, &mut self.consumed_bytes);
        // What is left in the batch was not handed out, and is not reported as consumed.
        state.is_closed = true;
        let items = Items(std::mem::take(&mut state.items.0));
        let (end, reader, writer) = (state.end.take(), state.reader.take(), state.writer.take());
        drop(state);
        wake(writer.or(with_credit));
        drop(items);
        // It may hold an error of the handler's.
        contain(move || drop(end));
        drop(reader);
    }
}

/// Adds to the shared state what a reader has consumed. Returns the writer if it has a credit now.
fn report<T, R>(state: &mut State<T, R>, consumed: &mut usize, bytes: &mut u64) -> Option<Waker> {
    let (items, bytes) = (std::mem::take(consumed), std::mem::take(bytes));
    state.consumed += items as u64;
    state.used = state.used.saturating_sub(items);
    state.used_bytes = state.used_bytes.saturating_sub(bytes);
    // A report of nothing gives no credit back, and would wake a writer in vain.
    if items > 0 && state.has_credit() {
        state.writer.take()
    } else {
        None
    }
}

impl<T, R> Drop for Reader<T, R> {
    fn drop(&mut self) {
        self.close();
    }
}

/// The result of remembering a waker.
pub(crate) enum Place {
    /// It is remembered. The one that it replaced is dropped outside the lock.
    Set(Option<Waker>),
    /// A clone of it is needed, which is foreign code, and so made outside the lock.
    NeedsClone,
}

/// Remembers `new`, a clone of `waker`, unless an equal one is remembered.
pub(crate) fn set_waker(place: &mut Option<Waker>, waker: &Waker, new: Option<Waker>) -> Place {
    if place.as_ref().is_some_and(|old| old.will_wake(waker)) {
        return Place::Set(new);
    }
    match new {
        Some(new) => Place::Set(place.replace(new)),
        None => Place::NeedsClone,
    }
}

pub(crate) fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        wake_contained(waker);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_writer_learns_that_its_reader_was_dropped() {
        let (writer, reader) = channel::<u32, ()>();
        assert_eq!(writer.push(1, 0), Ok(true));
        drop(reader);
        assert_eq!(writer.push(2, 0), Err(2));
        let cx = task::Context::from_waker(Waker::noop());
        assert_eq!(writer.poll_credit(&cx), Poll::Ready(Err(Closed)));
    }
}
