//! The callee's side of a wire: a call that was made somewhere else.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::task::{self, Poll};

use insula_core::{Instant, contain};
use insula_memory::Segment;

use super::caller::Lease;
use super::codec::{CodecError, Encoded, Limits, read_some};
use super::message::{Ending, Failure, Head, ToCallee, ToCaller};
use super::method::{Request, WireContract, WireMethod};
use super::streams::{Feed, ReplySource, Taken, encode};
use crate::callee::Pending;
use crate::cell::{Answer, Answered, CallCell, Left, Signal};
use crate::contract::{CallInfo, Endpoint, Ticket};
use crate::envelope::Envelope;
use crate::error::{CallError, CancelledBy, Outcome, Part, ProtocolError};
use crate::guard::catch;

/// The callee's side of a call that crosses a wire; see the [module](super).
///
/// Dropping it cancels the call.
pub struct Accepted<C> {
    info: CallInfo,
    side: Box<dyn CalleeSide<C>>,
}

/// Reads a call from its first message, which [`forward`](super::forward) has written.
///
/// # Errors
/// The message has more bytes, the call is one of another contract, of another version or of an
/// unknown method, or its request cannot be decoded. The caller's side is to be told with
/// [`ToCaller::Refuse`], since the call has not started.
pub fn accept<C: WireContract>(
    message: &Encoded,
    limits: impl Into<Limits>,
) -> Result<Accepted<C>, Box<ProtocolError>> {
    let limits = limits.into();
    let (head, rest) = read_some::<Head<'_>>(&message.bytes, limits.bytes)
        .map_err(|why| why.of("", Part::Head))?;
    if head.contract != C::NAME {
        return Err(Box::new(ProtocolError::WrongContract {
            expected: C::NAME.to_owned(),
            found: head.contract.into_owned(),
        }));
    }
    if head.version != C::VERSION {
        return Err(Box::new(ProtocolError::WrongVersion {
            contract: C::NAME.to_owned(),
            expected: C::VERSION,
            found: head.version,
        }));
    }
    let mut accepted = accept_request::<C>(head.method, (rest, &message.segments), limits)?;
    accepted.info = head.info();
    accepted.side.prepare(head.deadline(), head.into_envelope());
    Ok(accepted)
}

/// Reads a call of a method from its request alone, without a deadline or anything else that travels
/// along.
///
/// # Errors
/// There is no such method, or the request cannot be decoded.
pub fn accept_method<C: WireContract>(
    id: u64,
    request: &[u8],
    limits: impl Into<Limits>,
) -> Result<Accepted<C>, Box<ProtocolError>> {
    accept_request(id, (request, &[]), limits.into())
}

fn accept_request<C: WireContract>(
    id: u64,
    (rest, segments): (&[u8], &[Segment]),
    limits: Limits,
) -> Result<Accepted<C>, Box<ProtocolError>> {
    let request = Request {
        rest,
        segments,
        limits,
    };
    match C::to_callee(id, request) {
        Some(Ok(AnyCallee(side))) => Ok(Accepted {
            info: CallInfo::default(),
            side,
        }),
        Some(Err((method, why))) => Err(why.of(method, Part::Request)),
        None => Err(Box::new(ProtocolError::UnknownMethod {
            contract: C::NAME.to_owned(),
            id,
        })),
    }
}

impl<C> Accepted<C> {
    /// Returns the facts that the call's endpoint needs.
    pub fn info(&self) -> CallInfo {
        self.info
    }

    /// Submits the call. It starts with `lease`, unless that says that it has ended.
    ///
    /// A call is submitted once; what comes later does nothing.
    pub fn submit(&mut self, endpoint: Arc<dyn Endpoint<C>>, lease: Lease) {
        self.side.submit(endpoint, self.info, lease);
    }

    /// Returns the next message to the caller's side; `None` after the last one.
    ///
    /// # Cancellation
    /// Dropping what waits loses no message.
    pub fn poll_message(&mut self, cx: &mut task::Context<'_>) -> Poll<Option<ToCaller>> {
        self.side.poll(cx)
    }

    /// Takes a message of the caller's side.
    pub fn receive(&mut self, message: ToCallee) {
        self.side.receive(message);
    }
}

impl<C> fmt::Debug for Accepted<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.side.fmt(f)
    }
}

/// A call of a contract, without the types of its method.
#[doc(hidden)]
#[derive(Debug)]
pub struct AnyCallee<C>(Box<dyn CalleeSide<C>>);

/// Makes the callee's side of a call. Called by generated code.
///
/// # Errors
/// The bytes are not those of a request of this method.
pub fn callee<M: WireMethod>(
    mut request: Request<'_>,
) -> Result<AnyCallee<M::Contract>, (&'static str, CodecError)> {
    let name = M::DESCRIPTOR.name;
    let (values, feed) = M::read(&mut request).map_err(|why| (name, why))?;
    if let Err(why) = request.finish() {
        let _dropped = catch(move || drop((values, feed)));
        return Err((name, why));
    }
    Ok(AnyCallee(Box::new(Side::<M> {
        waiting: Some(Waiting {
            request: values,
            deadline: None,
            envelope: Envelope::default(),
        }),
        running: None,
        limits: request.limits,
        feed,
        answered: None,
        stream: None,
        ready: VecDeque::new(),
        is_over: false,
    })))
}

/// The callee's side of one call.
trait CalleeSide<C>: Send + fmt::Debug {
    fn prepare(&mut self, deadline: Option<Instant>, envelope: Envelope);
    fn submit(&mut self, endpoint: Arc<dyn Endpoint<C>>, info: CallInfo, lease: Lease);
    fn poll(&mut self, cx: &mut task::Context<'_>) -> Poll<Option<ToCaller>>;
    fn receive(&mut self, message: ToCallee);
}

struct Side<M: WireMethod> {
    /// Until the call is submitted.
    waiting: Option<Waiting<M>>,
    /// From then on.
    running: Option<Running<M>>,
    limits: Limits,
    /// The items of the caller, until they are needed no more.
    feed: Option<Feed>,
    /// The answer, until what was consumed before it was reported.
    answered: Option<Answered<M>>,
    /// The answer, if it is a stream.
    stream: Option<ReplySource>,
    /// Messages that are ready: the last ones of a call, so there are few.
    ready: VecDeque<ToCaller>,
    is_over: bool,
}

struct Waiting<M: WireMethod> {
    request: M::Request,
    deadline: Option<Instant>,
    envelope: Envelope,
}

struct Running<M: WireMethod> {
    cell: Arc<CallCell<M>>,
    endpoint: Arc<dyn Endpoint<M::Contract>>,
    ticket: Ticket,
}

impl<M: WireMethod> CalleeSide<M::Contract> for Side<M> {
    fn prepare(&mut self, deadline: Option<Instant>, envelope: Envelope) {
        if let Some(waiting) = &mut self.waiting {
            waiting.deadline = deadline;
            waiting.envelope = envelope;
        }
    }

    fn submit(&mut self, endpoint: Arc<dyn Endpoint<M::Contract>>, info: CallInfo, lease: Lease) {
        let Some(waiting) = self.waiting.take() else {
            return;
        };
        let mut envelope = waiting.envelope;
        envelope.lease = Some(lease.0);
        // The size of the request is the user's code.
        let cell = catch(|| {
            CallCell::<M>::new(
                waiting.request,
                waiting.deadline,
                None,
                Some(Box::new(envelope)),
            )
        });
        let cell = match cell {
            Ok(cell) => Arc::new(cell),
            Err(panic) => {
                let why = format!("its size panicked: {}", panic.message);
                let why = CodecError::Undecodable(why);
                let why = why.of(M::DESCRIPTOR.name, Part::Request);
                self.ready.push_back(ToCaller::Refuse(why));
                return self.end();
            }
        };
        if let Some(feed) = &self.feed {
            cell.add_stream(feed.cut());
        }
        let call = M::wrap(Pending::new(Arc::clone(&cell)));
        let ticket = endpoint.submit(call, info);
        self.running = Some(Running {
            cell,
            endpoint,
            ticket,
        });
    }

    fn poll(&mut self, cx: &mut task::Context<'_>) -> Poll<Option<ToCaller>> {
        if let Some(message) = self.ready.pop_front() {
            return Poll::Ready(Some(message));
        }
        if self.is_over {
            return Poll::Ready(None);
        }
        let Some(running) = &self.running else {
            return Poll::Pending;
        };
        // The waker is left in the cell first, so that a report which comes later wakes it.
        if self.answered.is_none() && self.stream.is_none() {
            self.answered = running.cell.poll_answer(cx.waker());
        }
        // Taken before the answer is sent, and looked at first: what was consumed before the answer
        // is reported before it.
        let taken = self.stream.as_mut().map(|it| it.poll(cx, self.limits));
        if let Some(Poll::Ready(taken)) = taken {
            self.pass(taken, cx);
            return self.poll(cx);
        }
        if let Some(message) = self.poll_feed(cx) {
            return Poll::Ready(Some(message));
        }
        // Before the answer, with which the last report would be lost.
        if self.stream.is_none()
            && let Some(running) = &self.running
            && let Some(progress) = running.cell.take_progress()
        {
            return Poll::Ready(Some(ToCaller::Progress(progress)));
        }
        if let Some(answered) = self.answered.take() {
            self.answer(answered);
            return self.poll(cx);
        }
        Poll::Pending
    }

    fn receive(&mut self, message: ToCallee) {
        if self.is_over {
            return;
        }
        match message {
            ToCallee::Item(item) => {
                if let Some(feed) = &mut self.feed
                    && let Err(why) = feed.push(&item, self.limits)
                {
                    let why = why.of(M::DESCRIPTOR.name, Part::SentItem);
                    feed.end(Err(why.to_string()));
                    self.fail(*why, Outcome::MaybeExecuted);
                }
            }
            ToCallee::End(end) => {
                if let Some(feed) = &mut self.feed {
                    feed.end(end);
                }
            }
            ToCallee::Credit(consumed) => {
                if let Some(stream) = &mut self.stream {
                    stream.consume(consumed);
                }
            }
            ToCallee::Stop(by) => {
                if let Some(running) = &self.running {
                    running.cell.ask_to_stop(by);
                }
            }
            ToCallee::Cancel(by) => self.cancel(by),
        }
    }
}

impl<M: WireMethod> Side<M> {
    /// The next message about the caller's items: how many the handler has consumed.
    fn poll_feed(&mut self, cx: &task::Context<'_>) -> Option<ToCaller> {
        match self.feed.as_mut()?.poll_consumed(cx) {
            Poll::Ready(Ok(consumed)) => Some(ToCaller::Credit(consumed)),
            Poll::Ready(Err(_closed)) => {
                self.feed = None;
                Some(ToCaller::Closed)
            }
            Poll::Pending => None,
        }
    }

    fn answer(&mut self, answered: Answered<M>) {
        let trailing = answered.details.trailing.map(|trailing| *trailing);
        let (ending, outcome) = match answered.answer {
            Ok(response) => {
                let (value, stream) = M::split(response);
                self.stream = stream;
                (Ending::Value(value), Outcome::Executed)
            }
            Err(error) => {
                let outcome = error.outcome();
                (Ending::of_error(error, M::failure), outcome)
            }
        };
        let answer = match encode(ending, self.limits) {
            Ok(answer) => answer,
            Err(why) => {
                let why = why.of(M::DESCRIPTOR.name, Part::Answer);
                return self.fail(*why, outcome);
            }
        };
        self.ready.push_back(ToCaller::Answer(answer, trailing));
        if self.stream.is_none() {
            self.end();
        }
    }

    /// Passes on what was taken out of the stream of the answer.
    fn pass(&mut self, taken: Taken<Encoded>, cx: &task::Context<'_>) {
        match taken {
            Taken::Item(item) => self.ready.push_back(ToCaller::Item(item)),
            Taken::End(end) => {
                // What was consumed before the end is reported before it.
                while let Some(message) = self.poll_feed(cx) {
                    self.ready.push_back(message);
                }
                self.ready.push_back(ToCaller::End(end));
                self.end();
            }
            Taken::Fault(why, part) => {
                let why = why.of(M::DESCRIPTOR.name, part);
                self.fail(*why, Outcome::MaybeExecuted);
            }
        }
    }

    /// Bytes could not be written or read on this side. The call ends here, and the caller is told.
    fn fail(&mut self, why: ProtocolError, outcome: Outcome) {
        let was_open = self.stream.is_some();
        self.cancel(CancelledBy::Caller);
        let failed = |why| Ending::<(), ()>::Failed(Failure::Protocol(why, outcome));
        let limits = self.limits;
        let answer = encode(failed(why), limits).or_else(|_too_large| {
            let (method, part, most) = (String::new(), Part::Answer, limits.bytes);
            encode(
                failed(ProtocolError::TooLarge { method, part, most }),
                limits,
            )
        });
        // Without bytes, if there is not even room for that, the answer cannot be read.
        let answer = answer.unwrap_or_default();
        self.ready.push_back(if was_open {
            ToCaller::End(answer)
        } else {
            ToCaller::Answer(answer, None)
        });
    }

    /// The caller's side waits for nothing any more.
    fn cancel(&mut self, by: CancelledBy) {
        // Before the handler is told, as where a reader drops its stream: a handler that is told
        // finds the reader gone.
        let stream = self.stream.take();
        let _dropped = catch(move || drop(stream));
        if let Some(running) = self.running.take() {
            running.leave(by);
        }
        self.end();
    }

    /// Nothing follows on this side but the messages that are ready.
    fn end(&mut self) {
        self.is_over = true;
        self.running = None;
        self.feed = None;
        // What is not read is the user's.
        let (answered, stream) = (self.answered.take(), self.stream.take());
        let _dropped = catch(move || drop((answered, stream)));
    }
}

impl<M: WireMethod> Running<M> {
    /// Ends the call as its caller does, which may have left or let its deadline pass.
    fn leave(self, by: CancelledBy) {
        let Self {
            cell,
            endpoint,
            ticket,
        } = self;
        if by == CancelledBy::Deadline {
            cell.expire();
            let answer: Option<Answer<M>> = cell.take_answer();
            let is_queued = matches!(
                answer,
                Some(Err(CallError::Deadline {
                    outcome: Outcome::NotStarted,
                    ..
                }))
            );
            if is_queued {
                endpoint.withdraw(ticket, by);
            }
            contain(move || drop(answer));
            return;
        }
        match cell.leave() {
            Left::Unstarted(request) => {
                endpoint.withdraw(ticket, by);
                contain(move || drop(request));
            }
            // An answer that was not taken: a stream would keep the cell for ever.
            Left::Ended => contain(|| drop(cell.detach())),
            Left::Running => {}
        }
    }
}

impl<M: WireMethod> Drop for Side<M> {
    fn drop(&mut self) {
        if !self.is_over {
            self.cancel(CancelledBy::Caller);
        }
    }
}

impl<M: WireMethod> fmt::Debug for Side<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cell = self.running.as_ref().map(|running| &running.cell);
        f.debug_tuple("Accepted").field(&cell).finish()
    }
}
