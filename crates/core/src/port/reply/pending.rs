//! The table of an isolate's unanswered questions.
//!
//! # Detached questions
//! The future of a question may be polled outside of its isolate, on the isolate's own thread,
//! under [`block_on`](crate::block_on). Answers in the lane get no turn meanwhile. So the first
//! such poll makes a cell and
//! 1. registers it under the question's key, holding the lane's lock. An answerer holds that lock
//!    when it appends the record of an answer, and checks for a cell first. So the answer either
//!    has been appended before, or is stored in the cell;
//! 2. scans the appended records, and settles the answers among them ahead of their turn. All
//!    other records stay as they are;
//! 3. removes the question from the table. If it has been answered the cell is not needed.
//!    Otherwise the future waits on the cell from now on, as it does outside of isolates.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::pin::Pin;
use std::task::{Context, Poll};

use super::ReplyTo;
use super::shared::{self, Reply, Shared};
use crate::event_loop::task::{self, Wakeup};
use crate::isolate::IsolateId;
use crate::memory::lane::LaneGuard;
use crate::memory::record::{
    Head, RecordVtable, Settle, SystemRecord, SystemVtable, is_inline, system_head, take_payload,
    words_of,
};
use crate::memory::slab::{Key, Slab};
use crate::memory::{Current, IsolateCore, IsolateRef};
use crate::panic::contain;
use crate::port::{SendError, SendPort};

/// Words of an answer that are stored in the table; a larger answer is boxed.
const VALUE_WORDS: usize = 2;

/// The questions of an isolate whose answers have not been taken.
#[derive(Default)]
pub(crate) struct PendingReplies(Slab<Question>);

/// An entry of the table, and the isolate that was asked, for those who look on. 0 is none.
struct Question {
    pending: Pending,
    asked: u64,
}

/// The state of a question.
enum Pending {
    Waiting(Wakeup),
    Answered(Value),
    /// There will be no answer.
    Dropped,
}

/// The previous content of a question's entry, or an answer that came too late for it.
pub(crate) struct Settled(Pending);

impl Settled {
    /// Wakes the waiter, if there is one, as the last step of an event.
    #[inline]
    fn wake_last(self, isolate: Current<'_>) {
        if let Pending::Waiting(wakeup) = self.0 {
            wakeup.wake_last(isolate);
        }
    }

    /// Wakes the waiter, if there is one.
    fn wake(self, isolate: Current<'_>) {
        if let Pending::Waiting(wakeup) = self.0 {
            wakeup.wake(isolate);
        }
    }
}

/// The detached questions, each with its cell, a [`Shared`] of some type. Bounded by the
/// unanswered questions.
#[derive(Default)]
pub(crate) struct DetachedReplies(Vec<(Key, Box<dyn Any + Send>)>);

/// Removes and returns the cell of a question, if that is detached.
#[inline]
fn take_detached<R: Send + 'static>(
    isolate: &IsolateCore,
    lane: &mut LaneGuard<'_>,
    key: Key,
) -> Option<Shared<R>> {
    #[cold]
    fn take(
        isolate: &IsolateCore,
        lane: &mut LaneGuard<'_>,
        key: Key,
    ) -> Option<Box<dyn Any + Send>> {
        let (cell, has_more) = isolate.with_details(lane, |details| {
            let detached = &mut details.detached.0;
            let index = detached.iter().position(|(other, _)| *other == key)?;
            let (_, cell) = detached.swap_remove(index);
            Some((cell, !detached.is_empty()))
        })?;
        lane.set_detached(has_more);
        Some(cell)
    }
    if !lane.has_detached() {
        return None;
    }
    let cell = take(isolate, lane, key)?.downcast::<Shared<R>>();
    // Never fails: the key belongs to a question of this type.
    cell.ok().map(|cell| *cell)
}

impl PendingReplies {
    /// Returns `true` if the table has no entry.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Removes and returns all entries, for a teardown.
    pub(crate) fn take_all(&mut self) -> Vec<impl Sized + use<>> {
        self.0.take_all()
    }

    /// Returns for each question without an answer the isolate that was asked, if it is one.
    pub(crate) fn asked(&self) -> impl Iterator<Item = Option<IsolateId>> {
        let waiting = self
            .0
            .values()
            .filter(|it| matches!(it.pending, Pending::Waiting(_)));
        waiting.map(|it| (it.asked != 0).then_some(IsolateId(it.asked)))
    }

    /// Returns the number of questions without an answer and of answers not taken yet.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// An answer of a type that only the asker knows.
struct Value {
    words: [MaybeUninit<u64>; VALUE_WORDS],
    drop: unsafe fn(*mut ()),
}

impl Value {
    /// Returns whether an `R` is stored in the words, and not in a box.
    const fn fits<R>() -> bool {
        size_of::<R>() <= VALUE_WORDS * 8 && align_of::<R>() <= 8
    }

    fn new<R>(value: R) -> Self {
        if Self::fits::<R>() {
            Self::hold(value)
        } else {
            Self::hold(Box::new(value))
        }
    }

    fn hold<P>(value: P) -> Self {
        let mut this = Self {
            words: [MaybeUninit::uninit(); VALUE_WORDS],
            // SAFETY: called at most once, by `drop`, on the words that hold a `P`.
            drop: |at| unsafe { at.cast::<P>().drop_in_place() },
        };
        // SAFETY: `P` fits: `new` checked it, or it is a box, which is one word.
        unsafe { this.words.as_mut_ptr().cast::<P>().write(value) };
        this
    }

    /// Moves the answer out.
    ///
    /// # Safety
    /// The value was made from an `R`.
    unsafe fn into<R>(self) -> R {
        let this = ManuallyDrop::new(self);
        let at = this.words.as_ptr();
        if Self::fits::<R>() {
            // SAFETY: holds an `R`, moved out once.
            unsafe { at.cast::<R>().read() }
        } else {
            // SAFETY: holds a box of an `R`, moved out once.
            *unsafe { at.cast::<Box<R>>().read() }
        }
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        // SAFETY: the words still hold the payload that they were made from: `into` moves it out
        // only of a value that is never dropped.
        unsafe { (self.drop)(self.words.as_mut_ptr().cast()) };
    }
}

/// The record of an answer: a key, and the answer or its box.
pub(super) struct Answer<P>(PhantomData<P>);

impl<P: Send + 'static> Answer<P> {
    const VTABLE: &'static SystemVtable = &SystemVtable(&RecordVtable {
        deliver: |_, payload, isolate| {
            // SAFETY: the record is of this type, and delivered once.
            let (key, value) = unsafe { take_payload::<(Key, P)>(payload) };
            // SAFETY: the record owns a reference, see `post`.
            unsafe { IsolateCore::release(isolate.this()) };
            settle(isolate, key, Some(Value::new(value))).wake_last(isolate);
        },
        discard: |_, payload, isolate| {
            // Before the drop, which may panic and would then keep the count.
            // SAFETY: as above.
            unsafe { IsolateCore::release(isolate.this()) };
            // SAFETY: as above.
            drop(unsafe { take_payload::<(Key, P)>(payload) });
        },
        settle: Some(|payload, isolate| {
            // SAFETY: as for `deliver`, instead of which this is called.
            let (key, value) = unsafe { take_payload::<(Key, P)>(payload) };
            // SAFETY: as above.
            unsafe { IsolateCore::release(isolate.this()) };
            settle(isolate, key, Some(Value::new(value)))
        }),
    });
}

impl Answer<()> {
    /// Sends an answer to the isolate that asked, boxed if it does not fit into a record.
    #[inline]
    pub(super) fn send<R: Send + 'static>(isolate: IsolateRef, key: Key, value: R) {
        if is_inline::<(Key, R)>() && Value::fits::<R>() {
            Self::post::<R, R>(isolate, key, value, |value| value);
        } else {
            Self::post::<R, Box<R>>(isolate, key, Box::new(value), |value| *value);
        }
    }

    /// Posts the record, which takes over the reference to the isolate. The isolate releases it
    /// without an atomic operation.
    #[inline]
    fn post<R: Send + 'static, P: Send + 'static>(
        isolate: IsolateRef,
        key: Key,
        value: P,
        unboxed: impl FnOnce(P) -> R,
    ) {
        let mut lane = isolate.lane.lock();
        if let Some(cell) = take_detached::<R>(&isolate, &mut lane, key) {
            drop(lane);
            return cell.answer(Some(unboxed(value)));
        }
        if lane.is_dead() {
            drop(lane);
            drop(value);
            return;
        }
        // SAFETY: not dead, and the head is that of this payload.
        unsafe {
            lane.push(
                Head::of(Answer::<P>::VTABLE, words_of::<(Key, P)>()),
                (key, value),
            );
        }
        let schedule = lane.mark_scheduled();
        // Taken under the lock, as in `IsolateCore::post_to`: once that is released the isolate may
        // handle the record, which owns the reference, and end.
        let home = if schedule { isolate.home() } else { None };
        drop(lane);
        let isolate = isolate.into_raw();
        match home {
            Some(home) => home.wake(),
            None if schedule => IsolateCore::schedule(isolate),
            None => {}
        }
    }
}

/// The record that reports that there will be no answer.
pub(super) struct Dropped(pub(super) Key);

impl Dropped {
    /// Reports to the asker of an `R` that there will be no answer.
    pub(super) fn send<R: Send + 'static>(isolate: IsolateRef, key: Key) {
        let mut lane = isolate.lane.lock();
        if let Some(cell) = take_detached::<R>(&isolate, &mut lane, key) {
            drop(lane);
            return cell.answer(None);
        }
        if lane.is_dead() {
            return;
        }
        // SAFETY: not dead, and the head is that of a `Dropped`.
        unsafe { lane.push(system_head::<Self>(), Self(key)) };
        let schedule = lane.mark_scheduled();
        drop(lane);
        // `isolate` still holds its count here, unlike in `Answer::post`, so it is alive.
        if schedule {
            IsolateCore::schedule(isolate.as_ptr());
        }
    }
}

impl SystemRecord for Dropped {
    const SETTLE: Option<Settle> = Some(|payload, isolate| {
        // SAFETY: the record is of this type, and settled once.
        let this = unsafe { take_payload::<Self>(payload) };
        settle(isolate, this.0, None)
    });

    fn run(self, isolate: Current<'_>) {
        settle(isolate, self.0, None).wake_last(isolate);
    }
}

/// The record of a question whose future was dropped in another isolate.
struct Forget(Key);

impl SystemRecord for Forget {
    fn run(self, isolate: Current<'_>) {
        drop(isolate.with_events(|events| events.replies.0.remove(self.0)));
    }
}

/// Stores an answer for its future, and returns the entry's previous content. An answer that is
/// too late is returned instead, because its destructor is user code and must not run in
/// `with_events`.
#[inline]
fn settle(isolate: Current<'_>, key: Key, answer: Option<Value>) -> Settled {
    let settled = answer.map_or(Pending::Dropped, Pending::Answered);
    Settled(
        isolate.with_events(|events| match events.replies.0.get_mut(key) {
            Some(question) => std::mem::replace(&mut question.pending, settled),
            None => settled,
        }),
    )
}

/// The reason why a question has no answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum AskError {
    /// The port was closed, or its isolate was dead: the question was not delivered.
    Closed,
    /// The port is bounded and was full: the question was not delivered.
    Full,
    /// The question was delivered and dropped without an answer.
    NoReply,
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "the port is closed",
            Self::Full => "the port is full",
            Self::NoReply => "the question was dropped without an answer",
        })
    }
}

impl std::error::Error for AskError {}

/// A future that waits for the answer to a question. Made by [`SendPort::ask`].
///
/// # Cancellation
/// Dropping it drops the answer when that arrives; the question is not taken back.
///
/// # Panics
/// A future made in an isolate may be polled there, and on the isolate's own thread under
/// [`block_on`](crate::block_on). It panics if it is first polled elsewhere.
#[must_use = "futures do nothing unless awaited"]
pub struct Ask<R: Send + 'static>(State<R>);

enum State<R: Send + 'static> {
    Pending(IsolateRef, Key),
    Shared(Reply<R>),
    Failed(AskError),
    Done,
}

impl<T: Send + 'static> SendPort<T> {
    /// Sends a question immediately and returns a future that waits for the answer. `question`
    /// makes the message from the right to answer it.
    ///
    /// ```
    /// # insula_core::block_on(async {
    /// use insula_core::{Isolate, ReplyTo};
    /// struct Double(u64, ReplyTo<u64>);
    /// let doubler = Isolate::spawn_with_port(|port| {
    ///     port.listen(|Double(n, reply)| reply.send(2 * n));
    /// });
    /// assert_eq!(doubler.ask(|reply| Double(21, reply)).await, Ok(42));
    /// # });
    /// ```
    ///
    /// # Errors
    /// The future returns an [`AskError`] if there is no answer.
    pub fn ask<R: Send + 'static>(&self, question: impl FnOnce(ReplyTo<R>) -> T) -> Ask<R> {
        ask_by(question, self.isolate_id().0, |question| {
            self.send(question)
        })
    }
}

/// Sends a question to the isolate `asked`, which is 0 if there is none, by `send`. The asker is the
/// current isolate, or else the thread.
pub(crate) fn ask_by<T, R: Send + 'static>(
    question: impl FnOnce(ReplyTo<R>) -> T,
    asked: u64,
    send: impl FnOnce(T) -> Result<(), SendError<T>>,
) -> Ask<R> {
    let (reply_to, state) = Current::with(|current| match current {
        Some(isolate) => {
            let pending = Pending::Waiting(Wakeup::Nobody);
            let key =
                isolate.with_events(|events| events.replies.0.insert(Question { pending, asked }));
            let home = IsolateRef::new(isolate.core());
            (ReplyTo::to_isolate(isolate, key), State::Pending(home, key))
        }
        None => {
            let (reply_to, reply) = super::one_shot();
            (reply_to, State::Shared(reply))
        }
    });
    let mut ask = Ask(state);
    if let Err(error) = send(question(reply_to)) {
        let failure = match error {
            SendError::Closed(_) => AskError::Closed,
            SendError::Full(_) => AskError::Full,
        };
        // Drops the question, and with it the right to answer, before the future.
        drop(error);
        ask = Ask(State::Failed(failure));
    }
    ask
}

impl<R: Send + 'static> Future for Ask<R> {
    type Output = Result<R, AskError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let result = match &mut self.0 {
            State::Pending(home, key) => {
                let (home, key) = (home.as_ptr().as_ptr().cast_const(), *key);
                let here = Current::with(|current| {
                    let isolate = current.filter(|isolate| isolate.is(home))?;
                    if task::must_return(isolate, cx) {
                        return Some(Poll::Pending);
                    }
                    Some(poll_here(isolate, key, cx))
                });
                match here {
                    Some(poll) => poll,
                    None => return self.detach(home, key, cx),
                }
            }
            State::Shared(reply) => Pin::new(reply)
                .poll(cx)
                .map(|result| result.map_err(|_| AskError::NoReply)),
            State::Failed(error) => Poll::Ready(Err(*error)),
            State::Done => panic!("polled again after it was ready"),
        };
        if result.is_ready() {
            // `poll_here` has removed the entry, so dropping this must not remove it again.
            self.0 = State::Done;
        }
        result
    }
}

impl<R: Send + 'static> Ask<R> {
    /// Detaches the question, see the [module](self): the first poll outside of the isolate.
    #[cold]
    fn detach(
        &mut self,
        home: *const IsolateCore,
        key: Key,
        cx: &mut Context<'_>,
    ) -> Poll<Result<R, AskError>> {
        let (cell, reply) = shared::pair::<R>();
        let settled = Current::back_in(home, |isolate| {
            register(isolate, key, Box::new(cell));
            let woken = settle_all(isolate);
            let settled = isolate.with_events(|events| events.replies.0.remove(key));
            let settled = settled.map(|question| question.pending);
            if let Some(Pending::Waiting(_)) = settled {
                self.0 = State::Shared(reply);
            } else {
                self.0 = State::Done;
                let cell = take_detached::<R>(isolate.core(), &mut isolate.lane.lock(), key);
                drop(cell);
            }
            for settled in woken {
                // Contained: it wakes foreign wakers, and drops late answers, which are the user's.
                contain(|| settled.wake(isolate));
            }
            settled
        });
        match settled {
            None => panic!("an Ask can only be polled by the isolate that asked"),
            // SAFETY: as in `poll_here`.
            Some(Some(Pending::Answered(value))) => Poll::Ready(Ok(unsafe { open(value) })),
            Some(Some(Pending::Waiting(wakeup))) => {
                drop(wakeup);
                Pin::new(self).poll(cx)
            }
            Some(Some(Pending::Dropped) | None) => Poll::Ready(Err(AskError::NoReply)),
        }
    }
}

/// Registers the cell, which receives the answer from now on.
fn register(isolate: Current<'_>, key: Key, cell: Box<dyn Any + Send>) {
    let mut lane = isolate.lane.lock();
    isolate.with_details(&mut lane, |details| details.detached.0.push((key, cell)));
    lane.set_detached(true);
}

/// Settles all questions whose answers are in the lane, ahead of their turns.
fn settle_all(isolate: Current<'_>) -> Vec<Settled> {
    // Collected, and woken by the caller: foreign wakers must not run while the lane is sifted.
    let mut settled = Vec::new();
    let settle = |head: Head, payload| {
        // SAFETY: a record's head is alive, see `turn` in the event loop.
        let Some(settle) = (unsafe { head.vtable() }).settle else {
            return false;
        };
        // SAFETY: the lane passes each record once, and removes those that are settled.
        settled.push(unsafe { settle(payload, isolate) });
        true
    };
    // SAFETY: this is the isolate's thread, in the middle of its turn.
    unsafe { isolate.lane.sift(&isolate.local().burst, settle) };
    settled
}

/// Polls a question in its own isolate.
fn poll_here<R>(isolate: Current<'_>, key: Key, cx: &Context<'_>) -> Poll<Result<R, AskError>> {
    let own = task::own_task(isolate, cx);
    let settled = isolate.with_events(|events| {
        match events.replies.0.get_mut(key).map(|it| &mut it.pending) {
            Some(Pending::Waiting(wakeup)) => {
                // A waker is foreign code: cloned, or dropped if it is replaced, after `with_events`.
                match (own, &wakeup) {
                    (Some(own), Wakeup::Nobody | Wakeup::Task(_)) => {
                        *wakeup = Wakeup::Task(own);
                        Ok(None)
                    }
                    _ => Err(std::mem::take(wakeup)),
                }
            }
            _ => Ok(events
                .replies
                .0
                .remove(key)
                .map_or(Some(Pending::Dropped), |it| Some(it.pending))),
        }
    });
    match settled {
        // SAFETY: the key belongs to a question whose answer is an `R`, boxed or not as
        // `Answer::send` decided.
        Ok(Some(Pending::Answered(value))) => Poll::Ready(Ok(unsafe { open(value) })),
        Ok(Some(_)) => Poll::Ready(Err(AskError::NoReply)),
        Ok(None) => Poll::Pending,
        Err(before) => {
            drop(before);
            let wakeup = Wakeup::capture(isolate, cx);
            isolate.with_events(|events| {
                if let Some(question) = events.replies.0.get_mut(key) {
                    question.pending = Pending::Waiting(wakeup);
                }
            });
            Poll::Pending
        }
    }
}

/// Moves an answer out, and out of its box if it has one.
///
/// # Safety
/// The value was made by a record that [`Answer::send`] posted with an `R`.
unsafe fn open<R>(value: Value) -> R {
    if is_inline::<(Key, R)>() && Value::fits::<R>() {
        // SAFETY: sent as an `R`.
        unsafe { value.into::<R>() }
    } else {
        // SAFETY: sent as a boxed `R`.
        *unsafe { value.into::<Box<R>>() }
    }
}

impl<R: Send + 'static> Drop for Ask<R> {
    fn drop(&mut self) {
        if let State::Pending(home, key) = &self.0 {
            let key = *key;
            Current::with(|current| match current {
                Some(isolate) if isolate.is(&raw const **home) => Forget(key).run(isolate),
                // An error is ignored: a dead isolate has dropped its table.
                _ => drop(home.post(Forget(key))),
            });
        }
    }
}

impl<R: Send + 'static> fmt::Debug for Ask<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ask(..)")
    }
}
