//! The streams of a call on the two sides of a wire.
//!
//! Each stream has two channels, the one of the side that sends and the one of the side that reads.
//! The ends between them are here: what takes items out of the first channel ([`Source`],
//! [`ReplySource`]) and what puts them into the second one ([`Feed`], [`Sink`]). An item counts
//! against the window of the first channel until it was consumed out of the second one, so no window
//! is added by the wire.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::task::{self, Poll, ready};

use serde::Serialize;

use super::codec::{CodecError, Crosses, Encoded, Limits, read, write};
use super::message::{Ending, Failure};
use crate::cell::{Cut, Signal};
use crate::channel::{Channel, Closed, Event, WINDOW, Writer, channel};
use crate::error::{CallError, Part};
use crate::guard::catch;
use crate::inbound::{Aborted, Inbound, SentEnd};
use crate::reply::{ReplyEnd, ReplyStream};

/// An item or an end that was taken out of a channel, encoded.
pub(super) enum Taken<R> {
    Item(Encoded),
    End(R),
    /// An item or an end that cannot be encoded; nothing follows.
    Fault(CodecError, Part),
}

/// The sizes of the items that were passed on and not consumed. Bounded by the window of the
/// channel that they come from.
#[derive(Default)]
struct Passed(VecDeque<u64>);

impl Passed {
    /// Forgets that many items, and returns how many there were and their bytes.
    fn consume(&mut self, items: u64) -> (usize, u64) {
        let items = usize::try_from(items).unwrap_or(usize::MAX);
        let items = items.min(self.0.len());
        let bytes = self.0.drain(..items).fold(0, u64::saturating_add);
        (items, bytes)
    }
}

/// The items of a caller, on its own side.
pub struct Source(Box<dyn AnySource>);

trait AnySource: Send {
    fn poll(&mut self, cx: &task::Context<'_>, limits: Limits) -> Poll<Taken<SentEnd>>;
    fn consume(&mut self, items: u64);
}

struct Items<T> {
    items: Inbound<T>,
    passed: Passed,
}

/// Takes the items out of a request. Called by generated code.
pub fn source<T: Crosses>(items: Inbound<T>) -> Source {
    Source(Box::new(Items {
        items,
        passed: Passed::default(),
    }))
}

impl Source {
    pub(super) fn poll(&mut self, cx: &task::Context<'_>, limits: Limits) -> Poll<Taken<SentEnd>> {
        self.0.poll(cx, limits)
    }

    /// The handler has consumed that many more.
    pub(super) fn consume(&mut self, items: u64) {
        self.0.consume(items);
    }
}

impl<T: Crosses> AnySource for Items<T> {
    fn poll(&mut self, cx: &task::Context<'_>, limits: Limits) -> Poll<Taken<SentEnd>> {
        Poll::Ready(match ready!(self.items.0.poll_pass(cx)) {
            Event::Item((item, bytes)) => {
                self.passed.0.push_back(bytes);
                taken(item, Part::SentItem, limits)
            }
            Event::End(end) => Taken::End(end),
            Event::Over => return Poll::Pending,
        })
    }

    fn consume(&mut self, items: u64) {
        let (items, bytes) = self.passed.consume(items);
        self.items.0.consume(items, bytes);
    }
}

/// The items of an answer, on the side of the callee.
pub struct ReplySource(Box<dyn AnyReplySource>);

trait AnyReplySource: Send {
    /// The end is encoded too.
    fn poll(&mut self, cx: &task::Context<'_>, limits: Limits) -> Poll<Taken<Encoded>>;
    fn consume(&mut self, items: u64);
}

struct Reply<T, E> {
    stream: ReplyStream<T, E>,
    passed: Passed,
}

/// Takes the items out of an answer. Called by generated code.
pub fn reply_source<T: Crosses, E: Crosses>(stream: ReplyStream<T, E>) -> ReplySource {
    ReplySource(Box::new(Reply {
        stream,
        passed: Passed::default(),
    }))
}

impl ReplySource {
    pub(super) fn poll(&mut self, cx: &task::Context<'_>, limits: Limits) -> Poll<Taken<Encoded>> {
        self.0.poll(cx, limits)
    }

    /// The caller has consumed that many more.
    pub(super) fn consume(&mut self, items: u64) {
        self.0.consume(items);
    }
}

impl<T: Crosses, E: Crosses> AnyReplySource for Reply<T, E> {
    fn poll(&mut self, cx: &task::Context<'_>, limits: Limits) -> Poll<Taken<Encoded>> {
        Poll::Ready(match ready!(self.stream.reader.poll_pass(cx)) {
            Event::Item((item, bytes)) => {
                self.passed.0.push_back(bytes);
                taken(item, Part::Item, limits)
            }
            Event::End(end) => {
                let end: Ending<(), E> = match end {
                    Ok(()) => Ending::Value(()),
                    Err(error) => Ending::of_error(error, |error| error),
                };
                match encode(end, limits) {
                    Ok(bytes) => Taken::End(bytes),
                    Err(why) => Taken::Fault(why, Part::Answer),
                }
            }
            Event::Over => return Poll::Pending,
        })
    }

    fn consume(&mut self, items: u64) {
        let (items, bytes) = self.passed.consume(items);
        self.stream.reader.consume(items, bytes);
    }
}

fn taken<T: Serialize, R>(item: T, part: Part, limits: Limits) -> Taken<R> {
    match encode(item, limits) {
        Ok(bytes) => Taken::Item(bytes),
        Err(why) => Taken::Fault(why, part),
    }
}

/// Encodes a value and drops it. Both are the user's code.
pub(super) fn encode<T: Serialize>(value: T, limits: Limits) -> Result<Encoded, CodecError> {
    let mut encoded = Encoded::default();
    let written = write(&value, &mut encoded, limits);
    let _dropped = catch(move || drop(value));
    written.map(|()| encoded)
}

/// The items of a caller, on the side of the callee.
pub struct Feed(Box<dyn AnyFeed>);

trait AnyFeed: Send {
    /// The size of an item, or why there is none.
    fn push(&mut self, encoded: &Encoded, limits: Limits) -> Result<(), CodecError>;
    fn end(&mut self, end: SentEnd);
    fn poll_consumed(&mut self, cx: &task::Context<'_>) -> Poll<Result<u64, Closed>>;
    fn cut(&self) -> Arc<dyn Cut>;
}

struct Fed<T> {
    writer: Writer<T, SentEnd>,
    measure: fn(&T) -> u64,
    consumed: u64,
}

/// Makes the items of a request. Called by generated code.
pub fn feed<T: Crosses>(measure: fn(&T) -> u64) -> (Feed, Inbound<T>) {
    let (writer, reader) = channel();
    let fed = Fed {
        writer,
        measure,
        consumed: 0,
    };
    (Feed(Box::new(fed)), Inbound(reader))
}

impl Feed {
    pub(super) fn push(&mut self, encoded: &Encoded, limits: Limits) -> Result<(), CodecError> {
        self.0.push(encoded, limits)
    }

    pub(super) fn end(&mut self, end: Result<(), String>) {
        self.0.end(end.map_err(Aborted::new));
    }

    /// Returns how many more items the handler has consumed.
    pub(super) fn poll_consumed(&mut self, cx: &task::Context<'_>) -> Poll<Result<u64, Closed>> {
        self.0.poll_consumed(cx)
    }

    pub(super) fn cut(&self) -> Arc<dyn Cut> {
        self.0.cut()
    }
}

impl<T: Crosses> AnyFeed for Fed<T> {
    fn push(&mut self, encoded: &Encoded, limits: Limits) -> Result<(), CodecError> {
        put(&self.writer, self.measure, encoded, limits)
    }

    fn end(&mut self, end: SentEnd) {
        self.writer.end(end);
    }

    fn poll_consumed(&mut self, cx: &task::Context<'_>) -> Poll<Result<u64, Closed>> {
        self.writer.poll_consumed(cx, &mut self.consumed)
    }

    fn cut(&self) -> Arc<dyn Cut> {
        Arc::<Channel<T, SentEnd>>::clone(self.writer.channel()) as _
    }
}

/// The items of an answer, on the side of the caller.
pub struct Sink(Box<dyn AnySink>);

trait AnySink: Send {
    fn push(&mut self, encoded: &Encoded, limits: Limits) -> Result<(), CodecError>;
    /// Decodes an end. What comes back writes it.
    fn end(&mut self, encoded: &Encoded, limits: Limits) -> Result<WriteEnd<'_>, CodecError>;
    /// Ends the stream with an error of the library.
    fn fail(&mut self, failure: Failure);
    fn poll_consumed(&mut self, cx: &task::Context<'_>) -> Poll<Result<u64, Closed>>;
    fn has_credit(&self) -> bool;
    fn cut(&self) -> Arc<dyn Cut>;
}

/// The end of a stream, and the function that writes it.
pub(super) struct WriteEnd<'a> {
    pub(super) how: HowEnded,
    pub(super) write: Box<dyn FnOnce() + 'a>,
}

/// The ways in which a stream can end, as far as it matters to the books.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum HowEnded {
    Answered,
    Failed,
    Stopped,
}

struct Answer<T, E> {
    writer: Writer<T, ReplyEnd<E>>,
    measure: fn(&T) -> u64,
    consumed: u64,
}

/// Makes an answer that is a stream. Called by generated code.
pub fn sink<T: Crosses, E: Crosses>(
    measure: fn(&T) -> u64,
    signal: Arc<dyn Signal>,
) -> (ReplyStream<T, E>, Sink) {
    let (writer, reader) = channel();
    let answer = Answer {
        writer,
        measure,
        consumed: 0,
    };
    (ReplyStream::new(reader, signal), Sink(Box::new(answer)))
}

impl Sink {
    pub(super) fn push(&mut self, encoded: &Encoded, limits: Limits) -> Result<(), CodecError> {
        self.0.push(encoded, limits)
    }

    pub(super) fn end(
        &mut self,
        encoded: &Encoded,
        limits: Limits,
    ) -> Result<WriteEnd<'_>, CodecError> {
        self.0.end(encoded, limits)
    }

    pub(super) fn fail(&mut self, failure: Failure) {
        self.0.fail(failure);
    }

    /// Returns how many more items the caller has consumed.
    pub(super) fn poll_consumed(&mut self, cx: &task::Context<'_>) -> Poll<Result<u64, Closed>> {
        self.0.poll_consumed(cx)
    }

    /// Returns whether the handler may send an item.
    pub(super) fn has_credit(&self) -> bool {
        self.0.has_credit()
    }

    pub(super) fn cut(&self) -> Arc<dyn Cut> {
        self.0.cut()
    }
}

impl<T: Crosses, E: Crosses> AnySink for Answer<T, E> {
    fn push(&mut self, encoded: &Encoded, limits: Limits) -> Result<(), CodecError> {
        put(&self.writer, self.measure, encoded, limits)
    }

    fn end(&mut self, encoded: &Encoded, limits: Limits) -> Result<WriteEnd<'_>, CodecError> {
        let (how, end) = match read::<Ending<(), E>>(encoded, limits)? {
            Ending::Value(()) => (HowEnded::Answered, Ok(())),
            Ending::App(error) => (HowEnded::Failed, Err(CallError::App(error))),
            Ending::Failed(failure) => (HowEnded::Stopped, Err(failure.into_error())),
        };
        Ok(WriteEnd {
            how,
            write: Box::new(|| self.writer.end(end)),
        })
    }

    fn fail(&mut self, failure: Failure) {
        self.writer.end(Err(failure.into_error()));
    }

    fn poll_consumed(&mut self, cx: &task::Context<'_>) -> Poll<Result<u64, Closed>> {
        self.writer.poll_consumed(cx, &mut self.consumed)
    }

    fn has_credit(&self) -> bool {
        self.writer.has_credit()
    }

    fn cut(&self) -> Arc<dyn Cut> {
        Arc::<Channel<T, ReplyEnd<E>>>::clone(self.writer.channel()) as _
    }
}

/// Decodes an item and sends it. The credits were looked at where it came from, and by the other
/// side: that it has sent no more items than it may is checked here.
fn put<T: Crosses, R>(
    writer: &Writer<T, R>,
    measure: fn(&T) -> u64,
    encoded: &Encoded,
    limits: Limits,
) -> Result<(), CodecError> {
    if writer.is_full() {
        let why = format!("the stream has more than {WINDOW} items on their way");
        return Err(CodecError::Undecodable(why));
    }
    let item: T = read(encoded, limits)?;
    let size = catch(|| measure(&item)).map_err(|panic| {
        let why = format!("its size panicked: {}", panic.message);
        CodecError::Undecodable(why)
    });
    let unread = match size {
        Ok(size) => writer.push(item, size).err(),
        Err(fault) => {
            let _dropped = catch(move || drop(item));
            return Err(fault);
        }
    };
    // No more items are read; the side that reads has been told, or will be by its channel.
    let _dropped = catch(move || drop(unread));
    Ok(())
}

macro_rules! opaque {
    ($($type:ident)*) => {
        $(
            impl fmt::Debug for $type {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.debug_struct(stringify!($type)).finish_non_exhaustive()
                }
            }
        )*
    };
}

opaque! { Source ReplySource Feed Sink }
