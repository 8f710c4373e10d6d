//! The cell of one call: where a caller and a callee meet.
//!
//! A call is one allocation, shared by its caller ([`Call`](crate::Call)) and its callee
//! ([`Pending`](crate::Pending) before the start, [`Running`](crate::callee::Running) after). The
//! cell holds the request until a callee takes it, then the answer until the caller takes it, the
//! caller's waker, and one atomic state that decides every race:
//!
//! ```text
//!             start               open              close
//!   Queued ─────────► Started ─────────► Streaming ───────► Done
//!    │ │ │             │ │ │                 │               ▲ ▲
//!    │ │ │             │ │ └───── settle ────│───────────────┘ │
//!    │ │ └── refuse ───│─│───────────────────│─────────────────┘
//!    │ └──── expire ───┴─│──► Expired        │
//!    └────── leave ──────┴───────────────────┴──► Left
//!
//!             lease            begin
//!   Queued ◄────────► Leased ─────────► Started
//!            unlease
//! ```
//!
//! Each arrow is decided once: the state is written only under the lock of the slot, together with
//! the data that belongs to it, so the second of two racing sides finds the new state and changes
//! nothing. (A compare-and-swap beside the lock would decide nothing that the lock does not.) The
//! state can be read without the lock.
//! - *start* wins the right to take the request and to run the handler. From here on the outcome
//!   of a failure is "maybe executed"; before, it is "not started".
//! - *settle* and *refuse* write the answer and wake the caller.
//! - *open* writes an answer that is a stream, whose items follow; *close* ends it.
//! - *expire* is the deadline. Whichever side sees first that it has passed goes this way and
//!   writes the error that the caller gets, so that it is the same error in each case. A
//!   handler that runs is told, and its answer comes too late. The deadline is over once a stream
//!   is open.
//! - *leave* ends the call without an answer, because the caller has gone. From `Queued` it takes
//!   the request back.
//!
//! A call that crosses a wire has two cells, one on each side. The cell of the callee has a
//! [`Lease`], which starts the call at its origin: only if the cell of the caller goes from `Queued`
//! to `Started` may the other one start. So the cell of the caller decides all races, as for any
//! call.
//!
//! That needs a step that both cells take at once, which two programs do not have. A call that goes
//! to another program is *leased* first: the request has gone out, and no start was reported. The
//! cell keeps the original of the request. *begin* is the report that the handler is about to run.
//! *unlease* is the knowledge that it never will, since the other program has refused the call, or
//! has ended and all that it had said before is known; so the call is as if it had not gone out, and
//! its next error returns the request. A caller that leaves or a deadline that passes cannot know
//! whether the handler has begun: the outcome is "maybe executed" from the lease on.
//!
//! # What is beside the state
//! - `asked`: the handler was asked to stop by a side that still waits for its answer, which is
//!   delivered if it comes in time. The first request to stop is the cause.
//! - `is_over`: the callee's side has ended. Written once, by the callee or by the shutdown that
//!   gives the callee up; the side that writes it counts the call. So each call that was started is
//!   counted exactly once.
//! - the streams of the call, which end with it, whichever side ends it.
//!
//! # Locks
//! No foreign code runs under the slot's lock: requests, answers and wakers are moved out and
//! dropped or woken after the lock is released. The books of a worker are written under it, so that
//! a call is counted before its answer can be seen.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Poll, Waker};

use insula_core::{Completer, Instant, IsolateId, isolate_around, isolate_of, wake_contained};
use insula_sync::atomic::{AtomicU8, Ordering};
use insula_sync::{Mutex, MutexGuard, Rank};

use crate::WorkerId;
use crate::channel::{Place, set_waker, wake};
use crate::contract::{Ended, How, Method, MethodDescriptor, Refusal};
use crate::envelope::{Envelope, Lease, Metadata, Progress};
use crate::error::{CallError, CancelledBy, Outcome, Phase, WorkerExit};
use crate::guard::{catch, measured};
use crate::payload::Traffic;
use crate::share::Share;

#[cfg(feature = "wire")]
mod wired;

/// The call has not been started.
const QUEUED: u8 = 0;
/// A callee in another program has the request, and has not said that it starts the call.
const LEASED: u8 = 1;
/// A callee runs it.
const STARTED: u8 = 2;
/// A callee runs it, and the caller has its stream.
const STREAMING: u8 = 3;
/// It has its answer.
const DONE: u8 = 4;
// The cancelled states come last: `is_cancelled` compares with the first of them.
/// Its deadline has passed.
const EXPIRED: u8 = 5;
/// Its caller has gone.
const LEFT: u8 = 6;

/// The result that a caller gets.
pub(crate) type Answer<M> =
    Result<<M as Method>::Response, CallError<<M as Method>::Error, <M as Method>::Request>>;

/// An answer and how it came about.
pub(crate) struct Answered<M: Method> {
    pub(crate) answer: Answer<M>,
    pub(crate) details: Details,
}

/// The way in which an answer came about.
#[derive(Default)]
pub(crate) struct Details {
    pub(crate) traffic: Traffic,
    pub(crate) worker: Option<WorkerId>,
    pub(crate) trailing: Option<Box<Metadata>>,
}

/// The part of a cell that a caller takes at the end of its call: the answer alone, or with its
/// details, which most callers do not move about.
pub(crate) trait Take<M: Method>: Sized {
    fn new(answer: Answer<M>, details: impl FnOnce() -> Details) -> Self;
    fn answer(&self) -> &Answer<M>;
}

impl<M: Method> Take<M> for Answer<M> {
    fn new(answer: Self, _details: impl FnOnce() -> Details) -> Self {
        answer
    }

    fn answer(&self) -> &Self {
        self
    }
}

impl<M: Method> Take<M> for Answered<M> {
    fn new(answer: Answer<M>, details: impl FnOnce() -> Details) -> Self {
        Self {
            answer,
            details: details(),
        }
    }

    fn answer(&self) -> &Answer<M> {
        &self.answer
    }
}

/// Something for the caller.
pub(crate) enum News<T> {
    Report(Progress),
    Answer(T),
}

/// The shared part of one call.
pub(crate) struct CallCell<M: Method> {
    /// Written under the lock of `slot` only; see the protocol above.
    state: AtomicU8,
    /// The [`CancelledBy`] that asked the handler to stop, plus one. Written once, under the lock
    /// of `slot`.
    asked: AtomicU8,
    /// Never changes.
    deadline: Option<Instant>,
    /// Never changes.
    request_traffic: Traffic,
    /// It was made with an envelope. Without one, the lock need not be taken to look for what is in it.
    /// Never changes.
    has_envelope: bool,
    slot: Mutex<Slot<M>>,
}

struct Slot<M: Method> {
    /// Present until it is taken by the winner of *start*, *refuse*, *expire* or *leave*.
    request: Option<M::Request>,
    /// Written once, taken by the caller.
    answer: Option<Answer<M>>,
    /// The task that the answer wakes.
    caller: Option<Waker>,
    /// The isolate that has left `caller` here, if that does not tell it.
    polled_in: Option<IsolateId>,
    /// Sent along by the caller; taken by the start.
    envelope: Option<Box<Envelope>>,
    /// For a call whose handler waits, streams or reports; others have none.
    bystanders: Option<Box<Bystanders>>,
    traffic: Traffic,
    worker: Option<WorkerId>,
    /// Sent along with the handler's answer.
    trailing: Option<Box<Metadata>>,
    is_over: bool,
    /// The caller lets the call run by itself, and will not take its answer.
    is_detached: bool,
}

#[derive(Default)]
struct Bystanders {
    watchers: Watchers,
    /// The streams of the call, at most one for each direction.
    streams: Vec<Arc<dyn Cut>>,
    /// The last report that the caller has not seen.
    progress: Option<Progress>,
}

/// The tasks that a cancellation wakes, one entry for each future that watches, by its place. The
/// first one needs no allocation, since most calls have no other.
#[derive(Default)]
struct Watchers {
    first: Option<(u64, Waker)>,
    more: BTreeMap<u64, Waker>,
    next: u64,
}

/// A channel that can be ended from outside.
pub(crate) trait Cut: Send + Sync {
    /// Ends both sides of it.
    fn cut(&self, why: &Cause);
    /// The bytes of all items so far.
    fn traffic(&self) -> Traffic;
}

/// Why a stream ends that its handler has not ended.
pub(crate) enum Cause {
    /// The callee was given up.
    Died { worker: WorkerId, exit: WorkerExit },
    /// The call has ended otherwise; its caller knows how.
    CallEnded,
}

/// The isolates that could end the wait of a caller that blocks.
pub(crate) struct Callees<M: Method> {
    pub(crate) cell: Arc<CallCell<M>>,
    /// Of the workers, each in its place; empty if that is not known.
    pub(crate) isolates: Vec<IsolateId>,
}

impl<M: Method> Completer for Callees<M> {
    fn each_isolate(&self, found: &mut dyn FnMut(IsolateId)) {
        let slot = self.cell.slot.lock();
        match (self.cell.state.load(Ordering::Relaxed), slot.worker) {
            // Any of them may start it.
            (QUEUED, _) => self.isolates.iter().copied().for_each(found),
            (LEASED | STARTED, Some(worker)) => {
                let isolate = self.isolates.get(worker.index());
                isolate.copied().into_iter().for_each(found);
            }
            // There is an answer, so that the wait ends by itself.
            _ => {}
        }
    }

    fn is_limited(&self) -> bool {
        self.cell.deadline.is_some()
    }
}

/// The state in which the caller's side left a call.
pub(crate) enum Left<Q> {
    /// It had not started; here is the request.
    Unstarted(Option<Q>),
    /// It is running and has been told to stop.
    Running,
    /// It has ended already.
    Ended,
}

/// A call as its callee and a shutdown see it, without its types.
pub trait Signal: Any + Send + Sync {
    /// Returns the line of its method in the method table.
    fn method(&self) -> MethodDescriptor;
    /// Returns whether the caller has gone, the deadline has passed or the handler was asked to
    /// stop.
    fn is_cancelled(&self) -> bool;
    /// Returns the isolate that awaits the answer, alone or among others. `None` for a caller outside
    /// of isolates, and for a call that was sent and is not awaited.
    fn awaited_by(&self) -> Option<IsolateId>;
    /// Returns the cause of the cancellation, if the call was cancelled.
    fn cancelled_by(&self) -> Option<CancelledBy>;
    /// Has `waker` woken at the cancellation. `true` if it has happened already.
    ///
    /// `place` is that of the future which watches, `None` at first: it has one waker here.
    fn watch(&self, place: &mut Option<u64>, waker: &Waker) -> bool;
    /// Forgets the waker of this place: its future watches no more.
    fn forget(&self, place: u64);
    /// Cancels the call, because its caller lets go of it.
    fn cancel(&self);
    /// Asks the handler to stop; an answer that still comes is delivered.
    fn ask_to_stop(&self, by: CancelledBy);
    /// Ends the call, because its deadline has passed. `false` if it has ended already, or its
    /// stream is open.
    fn expire(&self) -> bool;
    /// Ends a running call whose worker is gone or is given up, unless the callee's side has ended
    /// already. `count` is called if this ends it, before the end can be seen.
    fn abandon(&self, worker: WorkerId, exit: WorkerExit, count: &mut dyn FnMut());
    /// Reports the progress of the handler; the caller sees the last report.
    fn report(&self, progress: Progress);
    /// Sends metadata of the handler along with its answer.
    fn trail(&self, trailing: Metadata);
}

impl<M: Method> CallCell<M> {
    pub(crate) fn new(
        request: M::Request,
        deadline: Option<Instant>,
        caller: Option<Waker>,
        envelope: Option<Box<Envelope>>,
    ) -> Self {
        // Measured here, where there is no lock, since the size is the user's code.
        let traffic = Traffic::moved(measured(&request, M::request_bytes));
        Self {
            state: AtomicU8::new(QUEUED),
            asked: AtomicU8::new(0),
            deadline,
            request_traffic: traffic,
            has_envelope: envelope.is_some(),
            slot: Mutex::ranked(
                Slot {
                    request: Some(request),
                    answer: None,
                    polled_in: caller.as_ref().and_then(isolate_around),
                    caller,
                    envelope,
                    bystanders: None,
                    traffic,
                    worker: None,
                    trailing: None,
                    is_over: false,
                    is_detached: false,
                },
                Rank::new(50, "the slot of a call"),
            ),
        }
    }

    /// Puts this cell, which is new, into the memory of one whose call is over, if its callee has
    /// let go of that.
    pub(crate) fn within(self, mut memory: Arc<Self>) -> Arc<Self> {
        match Arc::get_mut(&mut memory) {
            Some(over) => {
                *over = self;
                memory
            }
            None => Arc::new(self),
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    pub(crate) fn is_queued(&self) -> bool {
        self.state.load(Ordering::Acquire) == QUEUED
    }

    pub(crate) fn is_answered(&self) -> bool {
        self.state.load(Ordering::Acquire) > STARTED
    }

    /// Returns whether an answer wakes this waker.
    pub(crate) fn knows(&self, waker: &Waker) -> bool {
        let slot = self.slot.lock();
        slot.caller.as_ref().is_some_and(|it| it.will_wake(waker))
    }

    /// Looks at the idempotency key of a call that has one and has not started.
    pub(crate) fn with_idempotency_key<R>(&self, look: impl FnOnce(&str) -> R) -> Option<R> {
        if !self.has_envelope {
            return None;
        }
        let slot = self.slot.lock();
        let key = slot.envelope.as_ref()?.idempotency_key.as_ref()?;
        Some(look(key))
    }

    /// Returns the share of a call that has one and has not started.
    pub(crate) fn share(&self) -> Option<Share> {
        if !self.has_envelope {
            return None;
        }
        self.slot.lock().envelope.as_ref()?.share
    }

    pub(crate) fn request_traffic(&self) -> Traffic {
        self.request_traffic
    }

    /// A stream that ends with the call. Given before the call is submitted.
    pub(crate) fn add_stream(&self, stream: Arc<dyn Cut>) {
        self.slot.lock().bystanders().streams.push(stream);
    }

    /// One arrow of the diagram: the slot, in the new state, if the call was in the old one.
    fn go(&self, from: u8, to: u8) -> Option<MutexGuard<'_, Slot<M>>> {
        let slot = self.slot.lock();
        if self.state.load(Ordering::Relaxed) != from {
            return None;
        }
        self.set(to);
        Some(slot)
    }

    /// Called under the lock of the slot.
    fn set(&self, state: u8) {
        // Release pairs with the Acquire of readers that do not take the lock.
        self.state.store(state, Ordering::Release);
    }

    /// The callee starts the call and takes the request. Otherwise it must not run.
    ///
    /// # Errors
    /// Says how the call has ended.
    pub(crate) fn start(
        &self,
        worker: WorkerId,
    ) -> Result<(M::Request, Option<Box<Envelope>>), How> {
        // The caller's timer runs only where its future is polled, so the callee looks at the clock
        // too: a call whose time is up must not start because its caller is slow.
        if self.has_expired() {
            self.expire();
        }
        let mut slot = self.slot.lock();
        match self.state.load(Ordering::Relaxed) {
            QUEUED => {}
            EXPIRED => return Err(How::Expired),
            _ => return Err(How::Cancelled),
        }
        // Taken out: the second start, which follows, finds none.
        if let Some(lease) = slot.envelope.as_mut().and_then(|it| it.lease.take()) {
            drop(slot);
            return self.start_leased(&lease, worker);
        }
        let Some(request) = slot.request.take() else {
            return Err(How::Cancelled);
        };
        self.set(STARTED);
        slot.worker = Some(worker);
        let envelope = slot.envelope.take();
        Ok((request, envelope))
    }

    /// Starts the call at its origin first, which decides whether it may start. It is the cell of
    /// that call, so its lock is not taken under the one of this call.
    #[cold]
    fn start_leased(
        &self,
        lease: &Lease,
        worker: WorkerId,
    ) -> Result<(M::Request, Option<Box<Envelope>>), How> {
        match lease.start(worker) {
            Ok(()) => return self.start(worker),
            Err(CancelledBy::Deadline) => {
                self.expire();
            }
            Err(CancelledBy::Caller | CancelledBy::Shutdown) => {
                // What comes back is the user's, and its drop must not reach the worker.
                let _dropped = catch(|| drop(self.leave()));
            }
        }
        self.start(worker)
    }

    /// The callee's side of a call ends that must not run. Returns whether it was counted before: the
    /// worker that has taken it may have been given up just then.
    pub(crate) fn ends_unstarted(&self) -> bool {
        std::mem::replace(&mut self.slot.lock().is_over, true)
    }

    fn has_expired(&self) -> bool {
        self.deadline
            .is_some_and(|deadline| deadline <= Instant::now())
    }

    /// The callee ends an unstarted call.
    pub(crate) fn refuse(&self, why: Refusal) -> bool {
        let Some(mut slot) = self.go(QUEUED, DONE) else {
            return false;
        };
        let request = slot.request.take();
        slot.answer = Some(Err(match why {
            Refusal::Rejected(why) => CallError::Rejected { why, request },
            Refusal::WorkerDied { exit, worker } => CallError::WorkerDied {
                exit,
                worker,
                outcome: Outcome::NotStarted,
                request,
            },
            Refusal::Protocol(why) => CallError::Protocol {
                why,
                outcome: Outcome::NotStarted,
                request,
            },
        }));
        let caller = slot.caller.take();
        let bystanders = slot.bystanders.take();
        drop(slot);
        wake(caller);
        Bystanders::tell(bystanders, &Cause::CallEnded);
        true
    }

    /// The callee's side of a started call ends with an answer. `record` is told, at most once
    /// for each call, before the answer can be seen. Returns how the call ended, and the answer if
    /// the call has ended otherwise.
    ///
    /// The response must have been measured before, since that is foreign code.
    pub(crate) fn settle(
        &self,
        how: How,
        answer: Answer<M>,
        response_bytes: u64,
        record: impl FnOnce(Ended),
    ) -> (Ended, Option<Answer<M>>) {
        let mut slot = self.slot.lock();
        let state = self.state.load(Ordering::Relaxed);
        let is_late = state != STARTED && matches!(how, How::Answered | How::Failed);
        let how = how_ended(state, how);
        let mut traffic = slot.traffic();
        traffic.add(Traffic::moved(response_bytes));
        let ended = Ended {
            is_late,
            ..Ended::ran(how, traffic)
        };
        if !std::mem::replace(&mut slot.is_over, true) {
            record(ended);
        }
        if state != STARTED {
            // Whatever has ended the call before has told its bystanders, too.
            return (ended, Some(answer));
        }
        self.set(DONE);
        slot.traffic = traffic;
        let unread = if slot.is_detached {
            Some(answer)
        } else {
            // The only answer, since this call has left `STARTED` just now.
            slot.answer = Some(answer);
            None
        };
        let caller = slot.caller.take();
        // The handler has dropped its end of a stream, but may have passed it on.
        // The last report is for the caller, which comes for it before the answer.
        let report = slot.take_report();
        let bystanders = slot.bystanders.take();
        if report.is_some() {
            slot.bystanders().progress = report;
        }
        drop(slot);
        wake(caller);
        Bystanders::tell(bystanders, &Cause::CallEnded);
        (ended, unread)
    }

    /// Hands over an answer that is a stream. The call goes on.
    ///
    /// # Errors
    /// The call has ended otherwise; here is the answer.
    pub(crate) fn open(&self, answer: Answer<M>, stream: Arc<dyn Cut>) -> Result<(), Answer<M>> {
        let mut slot = self.slot.lock();
        // A stream that has no reader would wait for credits for ever.
        if self.state.load(Ordering::Relaxed) != STARTED || slot.is_detached {
            return Err(answer);
        }
        self.set(STREAMING);
        slot.answer = Some(answer);
        slot.bystanders().streams.push(stream);
        let caller = slot.caller.take();
        drop(slot);
        wake(caller);
        Ok(())
    }

    /// The callee's side of a call with an open stream ends; the end of the stream is written by
    /// `end`, which runs after the call was counted and only if the call has not ended otherwise.
    pub(crate) fn close(&self, how: How, record: impl FnOnce(Ended), end: impl FnOnce()) -> Ended {
        let mut slot = self.slot.lock();
        let state = self.state.load(Ordering::Relaxed);
        let how = how_ended(state, how);
        let ended = Ended::ran(how, slot.traffic());
        if !std::mem::replace(&mut slot.is_over, true) {
            record(ended);
        }
        if state == STREAMING {
            self.set(DONE);
        }
        let bystanders = slot.bystanders.take();
        drop(slot);
        if state == STREAMING {
            end();
        }
        Bystanders::tell(bystanders, &Cause::CallEnded);
        ended
    }

    /// The caller's side of the call ends.
    pub(crate) fn leave(&self) -> Left<M::Request> {
        let mut slot = self.slot.lock();
        let state = self.state.load(Ordering::Relaxed);
        if state >= DONE {
            return Left::Ended;
        }
        self.set(LEFT);
        let request = slot.request.take();
        // A stream that the caller has not taken may be in the answer.
        let (answer, caller) = (slot.answer.take(), slot.caller.take());
        let bystanders = slot.bystanders.take();
        drop(slot);
        Bystanders::tell(bystanders, &Cause::CallEnded);
        drop((answer, caller));
        if state == QUEUED {
            return Left::Unstarted(request);
        }
        // That of a leased call, whose drop is the user's code.
        let _dropped = catch(move || drop(request));
        Left::Running
    }

    /// The caller takes the answer, if there is one.
    #[inline]
    pub(crate) fn take_answer<T: Take<M>>(&self) -> Option<T> {
        self.slot.lock().take_answer()
    }

    /// The caller takes the answer, or leaves its waker.
    #[inline]
    pub(crate) fn poll_answer<T: Take<M>>(&self, waker: &Waker) -> Option<T> {
        // Most callers are woken by their answer. The rest is out of line.
        if self.is_answered()
            && let Some(taken) = self.take_answer()
        {
            return Some(taken);
        }
        self.poll_for(waker, Slot::take_answer)
    }

    /// Ready if there is an answer, which stays there. Otherwise the caller leaves its waker.
    pub(crate) fn poll_is_answered(&self, waker: &Waker) -> Poll<()> {
        let is_answered = |slot: &mut Slot<M>| slot.answer.is_some().then_some(());
        match self.poll_for(waker, is_answered) {
            Some(()) => Poll::Ready(()),
            None => Poll::Pending,
        }
    }

    /// The caller takes the last report, or else the answer, or leaves its waker. Decided under one
    /// lock: a report that comes with the answer comes before it.
    pub(crate) fn poll_news<T: Take<M>>(&self, waker: &Waker) -> Option<News<T>> {
        self.poll_for(waker, |slot| {
            let report = slot.take_report().map(News::Report);
            report.or_else(|| slot.take_answer().map(News::Answer))
        })
    }

    fn poll_for<T>(&self, waker: &Waker, take: impl Fn(&mut Slot<M>) -> Option<T>) -> Option<T> {
        let mut new = None;
        loop {
            let mut slot = self.slot.lock();
            if let Some(taken) = take(&mut slot) {
                return Some(taken);
            }
            match set_waker(&mut slot.caller, waker, new.take()) {
                Place::Set(old) => {
                    // Also if the waker is the one before: what it is in may have moved.
                    slot.polled_in = isolate_around(waker);
                    drop(slot);
                    drop(old);
                    return None;
                }
                Place::NeedsClone => {
                    drop(slot);
                    new = Some(waker.clone());
                }
            }
        }
    }

    /// The caller lets the call run by itself, and its answer is not taken. A stream that is there
    /// already is returned; dropping it cancels the call.
    pub(crate) fn detach(&self) -> Option<Answer<M>> {
        let mut slot = self.slot.lock();
        slot.is_detached = true;
        let (answer, caller) = (slot.answer.take(), slot.caller.take());
        drop(slot);
        drop(caller);
        answer
    }

    /// Takes the request back if the call has not started, as *leave* does.
    pub(crate) fn unqueue(&self) -> Option<M::Request> {
        let mut slot = self.go(QUEUED, LEFT)?;
        let request = slot.request.take();
        let (caller, bystanders) = (slot.caller.take(), slot.bystanders.take());
        drop(slot);
        Bystanders::tell(bystanders, &Cause::CallEnded);
        drop(caller);
        request
    }

    /// Takes the answer if it is that the call was not admitted.
    pub(crate) fn take_refusal(&self) -> Option<CallError<M::Error, M::Request>> {
        // First without the lock: most calls that were sent are in a queue or run by now.
        if self.state.load(Ordering::Acquire) != DONE {
            return None;
        }
        let mut slot = self.slot.lock();
        let is_refusal = matches!(&slot.answer, Some(Err(error)) if error.is_refusal());
        slot.answer.take_if(|_| is_refusal)?.err()
    }

    /// The last report of the handler that was not taken yet.
    #[cfg(feature = "wire")]
    pub(crate) fn take_progress(&self) -> Option<Progress> {
        self.slot.lock().take_report()
    }
}

/// The values that are left in a cell are the user's, and are dropped with the last of its caller,
/// its worker and a shutdown that turns calls away. A panic in there must not harm those.
impl<M: Method> Drop for Slot<M> {
    fn drop(&mut self) {
        if self.request.is_none() && self.answer.is_none() {
            return;
        }
        let left = (self.request.take(), self.answer.take());
        // Each for itself: two panics in one unwinding would end the process.
        let _request = catch(|| drop(left.0));
        let _answer = catch(|| drop(left.1));
    }
}

impl<M: Method> Slot<M> {
    /// The bytes of the request and of the items of its streams.
    fn traffic(&self) -> Traffic {
        let mut traffic = self.traffic;
        for stream in self.bystanders.iter().flat_map(|it| &it.streams) {
            traffic.add(stream.traffic());
        }
        traffic
    }

    fn take_answer<T: Take<M>>(&mut self) -> Option<T> {
        let answer = self.answer.take()?;
        Some(T::new(answer, || Details {
            traffic: self.traffic,
            worker: self.worker,
            trailing: self.trailing.take(),
        }))
    }

    fn take_report(&mut self) -> Option<Progress> {
        self.bystanders.as_mut()?.progress.take()
    }

    fn bystanders(&mut self) -> &mut Bystanders {
        self.bystanders.get_or_insert_default()
    }
}

impl Bystanders {
    /// The call has ended: wakes those who watch it, and ends its streams.
    #[inline]
    fn tell(bystanders: Option<Box<Self>>, why: &Cause) {
        if let Some(bystanders) = bystanders {
            (*bystanders).tell_all(why);
        }
    }

    #[cold]
    fn tell_all(self, why: &Cause) {
        self.watchers.wake_all();
        for stream in self.streams {
            stream.cut(why);
        }
    }
}

/// The end of a call whose handler has ended as in `how`, by the state that its cell is in. A panic
/// stays one, since it matters to the worker, even if the answer is not read.
fn how_ended(state: u8, how: How) -> How {
    match state {
        _ if how == How::Panicked => how,
        EXPIRED => How::Expired,
        LEFT => How::Cancelled,
        _ => how,
    }
}

impl Watchers {
    fn get(&self, place: u64) -> Option<&Waker> {
        match &self.first {
            Some((at, waker)) if *at == place => Some(waker),
            _ => self.more.get(&place),
        }
    }

    /// Sets the waker of a place. Returns the one before.
    fn set(&mut self, place: u64, waker: Waker) -> Option<Waker> {
        match &mut self.first {
            Some((at, first)) if *at == place => Some(std::mem::replace(first, waker)),
            // A place among the others stays there, though the first one is free by now: it would
            // have two wakers, and `remove` would find one.
            none @ None if !self.more.contains_key(&place) => {
                *none = Some((place, waker));
                None
            }
            _ => self.more.insert(place, waker),
        }
    }

    fn remove(&mut self, place: u64) -> Option<Waker> {
        match self.first.take_if(|(at, _)| *at == place) {
            Some((_, waker)) => Some(waker),
            None => self.more.remove(&place),
        }
    }

    fn wake_all(self) {
        if let Some((_, waker)) = self.first {
            wake_contained(waker);
        }
        self.more.into_values().for_each(wake_contained);
    }
}

impl<M: Method> Signal for CallCell<M> {
    fn method(&self) -> MethodDescriptor {
        M::DESCRIPTOR
    }

    fn is_cancelled(&self) -> bool {
        // Acquire pairs with the arrows; Relaxed is enough for a request to stop.
        self.state.load(Ordering::Acquire) >= EXPIRED || self.asked.load(Ordering::Relaxed) != 0
    }

    fn awaited_by(&self) -> Option<IsolateId> {
        let slot = self.slot.lock();
        let caller = slot.caller.as_ref()?;
        isolate_of(caller).or(slot.polled_in)
    }

    fn cancelled_by(&self) -> Option<CancelledBy> {
        match self.state.load(Ordering::Acquire) {
            EXPIRED => Some(CancelledBy::Deadline),
            LEFT => Some(CancelledBy::Caller),
            _ => match self.asked.load(Ordering::Relaxed) {
                0 => None,
                asked => Some(CancelledBy::from_byte(asked - 1)),
            },
        }
    }

    fn watch(&self, place: &mut Option<u64>, waker: &Waker) -> bool {
        let mut new = None;
        loop {
            let mut slot = self.slot.lock();
            // Looked at under the lock: a cancellation that comes later finds the waker here.
            if self.is_cancelled() {
                return true;
            }
            let watchers = &mut slot.bystanders().watchers;
            let known = place.and_then(|place| watchers.get(place));
            if known.is_some_and(|known| known.will_wake(waker)) {
                return false;
            }
            // A waker is foreign code: cloned without the lock, and only if that is needed.
            let Some(new) = new.take() else {
                drop(slot);
                new = Some(waker.clone());
                continue;
            };
            let own = *place.get_or_insert_with(|| {
                watchers.next += 1;
                watchers.next
            });
            let before = watchers.set(own, new);
            drop(slot);
            drop(before);
            return false;
        }
    }

    fn forget(&self, place: u64) {
        let mut slot = self.slot.lock();
        let bystanders = slot.bystanders.as_mut();
        let waker = bystanders.and_then(|it| it.watchers.remove(place));
        drop(slot);
        drop(waker);
    }

    fn cancel(&self) {
        self.leave();
    }

    fn ask_to_stop(&self, by: CancelledBy) {
        let mut slot = self.slot.lock();
        if self.asked.load(Ordering::Relaxed) == 0 {
            self.asked.store(by as u8 + 1, Ordering::Relaxed);
        }
        let bystanders = slot.bystanders.as_mut();
        // The watchers only: the streams go on until the call ends.
        let watchers = bystanders.map(|it| std::mem::take(&mut it.watchers));
        drop(slot);
        watchers.into_iter().for_each(Watchers::wake_all);
    }

    fn expire(&self) -> bool {
        let mut slot = self.slot.lock();
        let (phase, outcome) = match self.state.load(Ordering::Relaxed) {
            QUEUED => (Phase::Queue, Outcome::NotStarted),
            LEASED | STARTED => (Phase::Run, Outcome::MaybeExecuted),
            _ => return false,
        };
        // `is_over` stays as it is: a handler that runs is counted when it ends.
        self.set(EXPIRED);
        let mut request = slot.request.take();
        // The caller gets it back if it knows that the handler has not seen it.
        let unsure = request.take_if(|_| outcome == Outcome::MaybeExecuted);
        slot.answer = Some(Err(CallError::Deadline {
            phase,
            outcome,
            request,
        }));
        let caller = slot.caller.take();
        let bystanders = slot.bystanders.take();
        drop(slot);
        wake(caller);
        Bystanders::tell(bystanders, &Cause::CallEnded);
        let _dropped = catch(move || drop(unsure));
        true
    }

    fn abandon(&self, worker: WorkerId, exit: WorkerExit, count: &mut dyn FnMut()) {
        // Most calls are over when their callee lets go of them.
        if self.state.load(Ordering::Acquire) == DONE {
            return;
        }
        let mut slot = self.slot.lock();
        let state = self.state.load(Ordering::Relaxed);
        if state == QUEUED || std::mem::replace(&mut slot.is_over, true) {
            return;
        }
        count();
        // In the other states the caller has an answer, learns it from its stream, or has gone; the
        // call is only counted.
        let unsure = slot.request.take();
        if matches!(state, LEASED | STARTED) {
            slot.answer = Some(Err(CallError::WorkerDied {
                exit: exit.clone(),
                worker: Some(worker),
                outcome: Outcome::MaybeExecuted,
                request: None,
            }));
        }
        if state < DONE {
            self.set(DONE);
        }
        let caller = slot.caller.take();
        let bystanders = slot.bystanders.take();
        drop(slot);
        wake(caller);
        Bystanders::tell(bystanders, &Cause::Died { worker, exit });
        let _dropped = catch(move || drop(unsure));
    }

    fn report(&self, progress: Progress) {
        let mut slot = self.slot.lock();
        if self.state.load(Ordering::Relaxed) != STARTED {
            return;
        }
        // The waker is taken out below and not cloned, which would be foreign code under the lock.
        // The poll that it leads to leaves it here again.
        let before = slot.bystanders().progress.replace(progress);
        let caller = slot.caller.take();
        drop(slot);
        drop(before);
        wake(caller);
    }

    fn trail(&self, trailing: Metadata) {
        let mut slot = self.slot.lock();
        // In any state: what comes after the answer was taken goes with the cell.
        let before = slot.trailing.replace(Box::new(trailing));
        drop(slot);
        drop(before);
    }
}

impl<M: Method> std::fmt::Debug for CallCell<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = match self.state.load(Ordering::Relaxed) {
            QUEUED => "queued",
            LEASED => "leased",
            STARTED => "started",
            STREAMING => "streaming",
            DONE => "done",
            EXPIRED => "expired",
            _ => "left",
        };
        write!(f, "{}({state})", M::DESCRIPTOR.name)
    }
}
