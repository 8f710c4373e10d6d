//! The caller's side of a wire: a call whose handler runs somewhere else.

use std::fmt;
use std::sync::Arc;
use std::task::{self, Poll};

use super::codec::{CodecError, Encoded, Limits, read, write};
use super::message::{Ending, Failure, Head, ToCallee, ToCaller};
use super::method::{Encoder, WireContract, WireMethod};
use super::relay::Lost;
use super::started::Started;
use super::streams::{HowEnded, Sink, Source, Taken};
use crate::WorkerId;
use crate::callee::Pending;
use crate::cell::{CallCell, Signal};
use crate::channel::Closed;
use crate::context::Scope;
use crate::contract::{CallInfo, Contract, Ended, How, Refusal};
use crate::envelope::Lease as StartAtOrigin;
use crate::error::{CallError, CancelledBy, Outcome, Part, ProtocolError, Reject, WorkerExit};
use crate::guard::catch;

/// The caller's side of a call that crosses a wire; see the [module](super).
///
/// Dropping it before the call has ended ends the call: the caller gets
/// [`CallError::WorkerDied`], with its request if the call has not started.
pub struct Forwarded {
    message: Encoded,
    lease: Lease,
    side: Box<dyn CallerSide>,
}

/// The right to start a call at its origin.
///
/// The caller's side has one for each call, and the callee's side uses it when its handler is about
/// to run. A link between programs, which cannot ask the origin and wait, gives the callee's side
/// one of its own that reports the start.
#[derive(Debug, Clone)]
pub struct Lease(pub(super) StartAtOrigin);

impl Lease {
    /// Makes a lease that calls `start` with the worker that is about to run the call. If it returns
    /// the cause of a cancellation, or panics, the call is not run.
    pub fn new(
        start: impl Fn(WorkerId) -> Result<(), CancelledBy> + Send + Sync + 'static,
    ) -> Self {
        Self(StartAtOrigin(Arc::new(move |worker| {
            catch(|| start(worker)).unwrap_or(Err(CancelledBy::Caller))
        })))
    }

    /// Starts the call: from here on its handler may have run.
    ///
    /// # Errors
    /// The call has ended, and must not be run.
    pub fn start(&self, worker: WorkerId) -> Result<(), CancelledBy> {
        self.0.start(worker)
    }
}

/// Writes a call as a message within these limits.
///
/// `None` if that is not possible, or the call has ended already: then its caller has its error.
pub fn forward<C: WireContract>(
    call: C,
    info: CallInfo,
    limits: impl Into<Limits>,
) -> Option<Forwarded> {
    call.into_caller().0.forward(info, limits.into(), None)
}

/// As [`forward`], for a worker that passes its calls on and counts them.
pub(super) fn forward_for<C: WireContract>(
    call: C,
    limits: Limits,
    scope: &Scope,
) -> Option<Forwarded> {
    let info = CallInfo::default();
    call.into_caller().0.forward(info, limits, Some(scope))
}

impl Forwarded {
    /// Takes the first message out, which [`accept`](super::accept) reads.
    pub fn take_message(&mut self) -> Encoded {
        std::mem::take(&mut self.message)
    }

    /// Returns the right to start this call.
    pub fn lease(&self) -> Lease {
        self.lease.clone()
    }

    /// Returns the next message to the callee's side; `None` after the last one.
    ///
    /// # Cancellation
    /// Dropping what waits loses no message.
    pub fn poll_message(&mut self, cx: &mut task::Context<'_>) -> Poll<Option<ToCallee>> {
        self.side.poll(cx)
    }

    /// Takes a message of the callee's side.
    pub fn receive(&mut self, message: ToCaller) {
        self.side.receive(message);
    }

    /// The call is about to go out to another program.
    pub(super) fn lend_out(&self, worker: WorkerId) -> Result<(), How> {
        self.side.lend_out(worker)
    }

    /// The other program starts the call.
    pub(super) fn begin(&self, worker: WorkerId) {
        self.side.begin(worker);
    }

    /// The other program has gone.
    pub(super) fn lose(&mut self, worker: WorkerId, lost: Lost) {
        self.side.lose(worker, lost);
    }

    /// Returns whether the handler has sent as many items as it may, so that the call waits for its
    /// reader.
    pub(super) fn waits_for_reader(&self) -> bool {
        self.side.waits_for_reader()
    }

    /// Counts the call, which has ended, unless it is counted.
    pub(super) fn end(&mut self) -> Ended {
        self.side.count()
    }
}

impl fmt::Debug for Forwarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.side.fmt(f)
    }
}

/// A call of a contract, without its types.
#[doc(hidden)]
#[derive(Debug)]
pub struct AnyCaller(Box<dyn Outgoing>);

/// Makes the caller's side of a call. Called by generated code.
pub fn caller<M: WireMethod>(call: Pending<M>) -> AnyCaller {
    AnyCaller(Box::new(call))
}

trait Outgoing: Send + fmt::Debug {
    fn forward(
        self: Box<Self>,
        info: CallInfo,
        limits: Limits,
        scope: Option<&Scope>,
    ) -> Option<Forwarded>;
}

impl<M: WireMethod> Outgoing for Pending<M> {
    fn forward(
        mut self: Box<Self>,
        info: CallInfo,
        limits: Limits,
        scope: Option<&Scope>,
    ) -> Option<Forwarded> {
        let cell = self.cell.take()?;
        match message::<M>(&cell, info, limits)? {
            Ok(message) => {
                cell.count(message.traffic());
                let started = Arc::new(Started::new());
                let lease = lease(Arc::clone(&cell), Arc::clone(&started));
                let side = Box::new(Side {
                    cell,
                    started,
                    limits,
                    scope: scope.cloned(),
                    ended: None,
                    watch: None,
                    is_asked: false,
                    items: None,
                    stream: None,
                    farewell: None,
                    is_over: false,
                });
                Some(Forwarded {
                    message,
                    lease,
                    side,
                })
            }
            Err(why) => {
                cell.refuse(Refusal::Protocol(why));
                None
            }
        }
    }
}

/// Encodes a call; `None` if it has ended already.
fn message<M: WireMethod>(
    cell: &CallCell<M>,
    info: CallInfo,
    limits: Limits,
) -> Option<Result<Encoded, Box<ProtocolError>>> {
    let head = Head::new(
        (M::Contract::NAME, M::Contract::VERSION, M::DESCRIPTOR.id),
        info,
        cell.deadline(),
        cell.envelope(),
    );
    let mut to = Encoded::default();
    if let Err(why) = write(&head, &mut to, limits) {
        return Some(Err(why.of(M::DESCRIPTOR.name, Part::Head)));
    }
    let request = cell.lend()?;
    let mut encoder = Encoder { to, limits };
    let written = M::write(&request, &mut encoder);
    cell.take_back(request);
    Some(match written {
        Ok(()) => Ok(encoder.to),
        Err(why) => Err(why.of(M::DESCRIPTOR.name, Part::Request)),
    })
}

fn lease<M: WireMethod>(cell: Arc<CallCell<M>>, started: Arc<Started<Source>>) -> Lease {
    Lease::new(move |worker| {
        let request = match cell.start(worker) {
            Ok((request, _envelope)) => request,
            Err(How::Expired) => return Err(CancelledBy::Deadline),
            Err(_) => return Err(CancelledBy::Caller),
        };
        // Its drop is the user's code, which runs here without a lock.
        let items = catch(|| M::items(request)).unwrap_or(None);
        started.start(worker, items);
        Ok(())
    })
}

/// The caller's side of one call.
trait CallerSide: Send + fmt::Debug {
    fn poll(&mut self, cx: &mut task::Context<'_>) -> Poll<Option<ToCallee>>;
    fn receive(&mut self, message: ToCaller);
    fn lend_out(&self, worker: WorkerId) -> Result<(), How>;
    fn begin(&self, worker: WorkerId);
    fn lose(&mut self, worker: WorkerId, lost: Lost);
    fn waits_for_reader(&self) -> bool;
    fn count(&mut self) -> Ended;
}

struct Side<M: WireMethod> {
    cell: Arc<CallCell<M>>,
    started: Arc<Started<Source>>,
    limits: Limits,
    /// Of the worker that counts the call when it ends, if there is one on this side.
    scope: Option<Scope>,
    /// The end of the call, once it was counted.
    ended: Option<Ended>,
    /// The place among the watchers of the cell.
    watch: Option<u64>,
    /// The callee was told that the handler is asked to stop.
    is_asked: bool,
    /// Of the caller, once the call has started and until it needs no more.
    items: Option<Source>,
    /// The answer, if it is a stream that is open.
    stream: Option<Sink>,
    /// The last message, if the call ends on this side.
    farewell: Option<CancelledBy>,
    is_over: bool,
}

impl<M: WireMethod> CallerSide for Side<M> {
    fn poll(&mut self, cx: &mut task::Context<'_>) -> Poll<Option<ToCallee>> {
        if let Some(by) = self.farewell.take() {
            return Poll::Ready(Some(ToCallee::Cancel(by)));
        }
        if self.is_over {
            return Poll::Ready(None);
        }
        if self.cell.watch(&mut self.watch, cx.waker()) {
            let by = self.cell.cancelled_by().unwrap_or(CancelledBy::Caller);
            if self.cell.has_gone() {
                self.end();
                return Poll::Ready(Some(ToCallee::Cancel(by)));
            }
            if !std::mem::replace(&mut self.is_asked, true) {
                return Poll::Ready(Some(ToCallee::Stop(by)));
            }
        }
        if let Some(items) = self.started.poll_items(cx.waker()) {
            self.items = Some(items);
        }
        if let Some(items) = &mut self.items
            && let Poll::Ready(taken) = items.poll(cx, self.limits)
        {
            return Poll::Ready(Some(match taken {
                Taken::Item(item) => {
                    self.cell.count(item.traffic());
                    ToCallee::Item(item)
                }
                // It stays, since its items are consumed later.
                Taken::End(end) => {
                    ToCallee::End(end.map_err(|aborted| aborted.reason().to_owned()))
                }
                Taken::Fault(why, part) => {
                    self.fail(why, part, Outcome::MaybeExecuted);
                    return self.poll(cx);
                }
            }));
        }
        if let Some(stream) = &mut self.stream
            && let Poll::Ready(consumed) = stream.poll_consumed(cx)
        {
            return Poll::Ready(Some(match consumed {
                Ok(consumed) => ToCallee::Credit(consumed),
                Err(Closed) => {
                    // The items of the caller first: its reader, on another thread, is about to
                    // cancel the call too, and no item may be sent once that has returned.
                    self.end();
                    // A call that was asked to stop would not be told of its reader.
                    self.cell.cancel();
                    ToCallee::Cancel(CancelledBy::Caller)
                }
            }));
        }
        Poll::Pending
    }

    fn receive(&mut self, message: ToCaller) {
        if self.is_over {
            return;
        }
        match message {
            ToCaller::Refuse(why) => {
                self.cell.unlease();
                if self.cell.refuse(Refusal::Protocol(why.clone())) {
                    return self.end();
                }
                // The other side has started it before, against the protocol.
                self.fail_as(why, Outcome::MaybeExecuted);
            }
            ToCaller::Progress(progress) => self.cell.report(progress),
            ToCaller::Credit(consumed) => {
                if let Some(items) = self.items() {
                    items.consume(consumed);
                }
            }
            ToCaller::Closed => self.drop_items(),
            ToCaller::Answer(answer, trailing) => {
                self.cell.count(answer.traffic());
                if let Some(trailing) = trailing {
                    self.cell.trail(trailing);
                }
                if self.stream.is_some() {
                    let why = "a second answer".to_owned();
                    let why = CodecError::Undecodable(why);
                    return self.fail(why, Part::Answer, Outcome::MaybeExecuted);
                }
                match read(&answer, self.limits) {
                    Ok(ending) => self.answer(ending),
                    Err(why) => self.fail(why, Part::Answer, outcome_of(&answer.bytes)),
                }
            }
            ToCaller::Item(item) => {
                self.cell.count(item.traffic());
                if let Some(stream) = &mut self.stream
                    && let Err(why) = stream.push(&item, self.limits)
                {
                    self.fail(why, Part::Item, Outcome::MaybeExecuted);
                }
            }
            ToCaller::End(end) => self.close(&end),
        }
    }

    fn lend_out(&self, worker: WorkerId) -> Result<(), How> {
        self.cell.lease(worker)
    }

    fn begin(&self, worker: WorkerId) {
        if let Some(request) = self.cell.begin() {
            // As in `lease`.
            let items = catch(|| M::items(request)).unwrap_or(None);
            self.started.start(worker, items);
        }
    }

    fn lose(&mut self, worker: WorkerId, lost: Lost) {
        if self.is_over {
            return;
        }
        let exit = WorkerExit::Lost;
        if lost == Lost::Complete && self.cell.unlease() {
            let count = count_by(self.scope.as_ref());
            self.cell.count_unstarted(How::Died, count);
            self.cell.refuse(Refusal::WorkerDied {
                exit,
                worker: Some(worker),
            });
        } else {
            let died = Ended::ran(How::Died, self.cell.request_traffic());
            let mut count = Some(count_by(self.scope.as_ref()));
            self.cell.abandon(worker, exit, &mut || {
                if let Some(count) = count.take() {
                    count(died);
                }
            });
        }
        self.end();
    }

    fn waits_for_reader(&self) -> bool {
        self.stream.as_ref().is_some_and(|it| !it.has_credit())
    }

    fn count(&mut self) -> Ended {
        if let Some(ended) = self.ended {
            return ended;
        }
        let has_run = self.started.worker().is_some();
        let count = count_by(self.scope.as_ref());
        let ended = self.cell.count_end(has_run, count);
        *self.ended.insert(ended)
    }
}

/// Tells the worker that counts the call, if there is one on this side, of its end.
fn count_by(scope: Option<&Scope>) -> impl FnOnce(Ended) {
    move |ended| {
        if let Some(scope) = scope {
            scope.record(ended);
        }
    }
}

impl<M: WireMethod> Side<M> {
    /// The items of the caller, also those that were not looked at since the start.
    fn items(&mut self) -> Option<&mut Source> {
        if let Some(items) = self.started.take_items() {
            self.items = Some(items);
        }
        self.items.as_mut()
    }

    fn answer(&mut self, ending: Ending<M::Value, M::Failure>) {
        match ending {
            Ending::Value(value) => {
                let signal: Arc<dyn Signal> = Arc::<CallCell<M>>::clone(&self.cell);
                match M::join(value, signal) {
                    (response, None) => self.settle_response(response),
                    (response, Some(stream)) => self.open(response, stream),
                }
            }
            Ending::App(failure) => {
                self.settle(How::Failed, Err(CallError::App(M::error(failure))), 0);
            }
            Ending::Failed(failure) => self.fail_with(failure),
        }
    }

    fn settle_response(&mut self, response: M::Response) {
        match catch(|| M::response_bytes(&response)) {
            Ok(bytes) => self.settle(How::Answered, Ok(response), bytes),
            Err(panic) => {
                let _dropped = catch(move || drop(response));
                let why = format!("its size panicked: {}", panic.message);
                let why = CodecError::Undecodable(why);
                self.fail(why, Part::Answer, Outcome::Executed);
            }
        }
    }

    fn open(&mut self, stream: M::Response, sink: Sink) {
        self.start();
        if let Err(unread) = self.cell.open(Ok(stream), sink.cut()) {
            // The caller has gone, or wants no answer.
            let _dropped = catch(move || drop(unread));
            let by = CancelledBy::Caller;
            let outcome = Outcome::MaybeExecuted;
            self.farewell = Some(by);
            return self.settle(
                How::Cancelled,
                Err(CallError::Cancelled {
                    by,
                    outcome,
                    request: None,
                }),
                0,
            );
        }
        self.stream = Some(sink);
    }

    /// The call has ended in a way that the callee's side knows.
    fn fail_with(&mut self, failure: Failure) {
        let refusal = match failure.into_error::<M::Error, M::Request>() {
            // The error is the one that this cell makes, whichever side sees first that the deadline
            // has passed.
            CallError::Deadline { .. } => {
                self.cell.expire();
                return self.end();
            }
            // The other program has no worker any more, and is about to end: for the pool on this side
            // it is the worker that has.
            CallError::Rejected {
                why: Reject::NoWorker | Reject::Shutdown,
                ..
            } if self.scope.is_some() => {
                let count = count_by(self.scope.as_ref());
                self.cell.count_unstarted(How::Died, count);
                let exit = WorkerExit::Lost;
                Refusal::WorkerDied { exit, worker: None }
            }
            CallError::Rejected { why, .. } => Refusal::Rejected(why),
            CallError::WorkerDied {
                exit,
                worker,
                outcome: Outcome::NotStarted,
                ..
            } => Refusal::WorkerDied { exit, worker },
            CallError::Protocol {
                why,
                outcome: Outcome::NotStarted,
                ..
            } => Refusal::Protocol(why),
            error => {
                let how = match &error {
                    CallError::Panicked { .. } => How::Panicked,
                    CallError::Cancelled { .. } => How::Cancelled,
                    _ => How::Died,
                };
                return self.settle(how, Err(error), 0);
            }
        };
        self.cell.unlease();
        if !self.cell.refuse(refusal) {
            // It was started here and not there, where it was turned away between the two.
            let error = CallError::WorkerDied {
                exit: WorkerExit::Lost,
                worker: self.started.worker(),
                outcome: Outcome::MaybeExecuted,
                request: None,
            };
            return self.settle(How::Died, Err(error), 0);
        }
        self.end();
    }

    fn settle(
        &mut self,
        how: How,
        answer: Result<M::Response, CallError<M::Error, M::Request>>,
        bytes: u64,
    ) {
        self.start();
        self.end();
        let count = count_by(self.scope.as_ref());
        let (ended, unread) = self.cell.settle(how, answer, bytes, count);
        self.ended = Some(ended);
        let _dropped = catch(move || drop(unread));
    }

    /// Starts a call that the callee's side has answered without a word of its start.
    fn start(&mut self) {
        if self.cell.is_leased() {
            let request = self.cell.begin();
            let _dropped = catch(move || drop(request));
        } else if self.cell.is_queued() {
            let started = self.cell.start(WorkerId::new(0));
            let _dropped = catch(move || drop(started));
        }
    }

    /// Bytes could not be written or read on this side. The call ends here, and the callee is told.
    fn fail(&mut self, why: CodecError, part: Part, outcome: Outcome) {
        self.fail_as(why.of(M::DESCRIPTOR.name, part), outcome);
    }

    fn fail_as(&mut self, why: Box<ProtocolError>, outcome: Outcome) {
        self.farewell = Some(CancelledBy::Caller);
        match self.stream.take() {
            Some(mut stream) => {
                self.end();
                let failure = Failure::Protocol(*why, outcome);
                let count = count_by(self.scope.as_ref());
                let ended = self.cell.close(How::Failed, count, || stream.fail(failure));
                self.ended = Some(ended);
            }
            None => {
                let request = None;
                let error = CallError::Protocol {
                    why,
                    outcome,
                    request,
                };
                self.settle(How::Failed, Err(error), 0);
            }
        }
    }

    /// The stream of the answer ends.
    fn close(&mut self, end: &Encoded) {
        let Some(mut stream) = self.stream.take() else {
            let why = "the end of a stream that is not open".to_owned();
            let why = CodecError::Undecodable(why);
            return self.fail(why, Part::Answer, Outcome::MaybeExecuted);
        };
        let fault = match stream.end(end, self.limits) {
            Ok(end) => {
                let how = match end.how {
                    HowEnded::Answered => How::Answered,
                    HowEnded::Failed => How::Failed,
                    HowEnded::Stopped => How::Died,
                };
                let count = count_by(self.scope.as_ref());
                self.ended = Some(self.cell.close(how, count, end.write));
                None
            }
            Err(why) => Some(why),
        };
        match fault {
            None => self.end(),
            Some(why) => {
                self.stream = Some(stream);
                self.fail(why, Part::Answer, Outcome::MaybeExecuted);
            }
        }
    }

    /// Nothing follows on this side but a farewell.
    fn end(&mut self) {
        self.is_over = true;
        if let Some(place) = self.watch.take() {
            self.cell.forget(place);
        }
        self.drop_items();
    }

    /// No more items of the caller are needed. Those that are left are the user's.
    fn drop_items(&mut self) {
        let (items, untaken) = (self.items.take(), self.started.take_items());
        let _dropped = catch(move || drop((items, untaken)));
    }
}

/// The outcome of a call whose answer cannot be read.
fn outcome_of(answer: &[u8]) -> Outcome {
    // The number of the variant comes first. The handler has ended if it is a response or an error
    // of the handler.
    match answer.first() {
        Some(0 | 1) => Outcome::Executed,
        _ => Outcome::MaybeExecuted,
    }
}

impl<M: WireMethod> Drop for Side<M> {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let exit = WorkerExit::Lost;
        let worker = self.started.worker();
        let refusal = Refusal::WorkerDied {
            exit: exit.clone(),
            worker: None,
        };
        if !self.cell.refuse(refusal) {
            let worker = worker.unwrap_or_else(|| WorkerId::new(0));
            self.cell.abandon(worker, exit, &mut || {});
        }
    }
}

impl<M: WireMethod> fmt::Debug for Side<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Forwarded").field(&self.cell).finish()
    }
}
