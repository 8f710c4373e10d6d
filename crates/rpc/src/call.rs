//! The caller's side of a call: its options, its future, and the ways out of it.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll, Waker};
use std::time::Duration;

use futures_core::Stream;
use insula_core::{Completer, Instant, Sleep, WaitError, block_on_completer, contain, sleep_until};

use crate::callee::Pending;
use crate::cell::{Answer, Answered, CallCell, Callees, Cut, Details, Left, News, Signal, Take};
use crate::context::{CancelToken, Context, WorkerId};
use crate::contract::{
    Admission, CallInfo, ClientStreaming, Endpoint, Method, Priority, Ticket, WorkType,
};
use crate::envelope::{Envelope, Metadata, Progress, TraceContext};
use crate::error::{CallError, CancelledBy, Outcome};
use crate::fnv;
use crate::inbound::Sender;
use crate::payload::Traffic;
use crate::share::Share;
use crate::span::CallerSpan;

/// A call: a value that can be stored, spawned, joined with others and awaited. Its output is the
/// response, or why there is none.
///
/// Nothing is sent before the first poll, or [`start`](Self::start). The deadline counts from then
/// on, and options that are set later have no effect. It wakes correctly on every executor and
/// thread.
///
/// ```
/// # use std::convert::Infallible;
/// # use insula_core::{Isolate, block_on};
/// # use insula_rpc::{Context, Receipt, Respond as _, contract, serve};
/// # #[contract(crate = insula_rpc)]
/// # trait Squares {
/// #     async fn square(&self, cx: &Context, number: u64) -> Result<u64, Infallible>;
/// # }
/// # struct Worker;
/// # impl Squares for Worker {
/// #     async fn square(&self, _cx: &Context, number: u64) -> Result<u64, Infallible> {
/// #         Ok(number * number)
/// #     }
/// # }
/// # let port = Isolate::spawn_with_port(|port| serve(port, SquaresResponder::new(Worker)));
/// # let caller = SquaresCaller::over(port);
/// use futures_util::future::try_join_all;
///
/// block_on(async {
///     // Each call is under way before the next one is made.
///     let calls: Vec<_> = (1..=3).map(|number| caller.square(number).start()).collect();
///     assert_eq!(try_join_all(calls).await?, [1, 4, 9]);
///
///     // A call that was not sent cannot have started.
///     let receipt = caller.square(4).cancel_and_wait().await;
///     assert!(matches!(receipt, Receipt::NotStarted(Some(4))));
/// #   Ok::<_, insula_rpc::CallError<Infallible, u64>>(())
/// })
/// # .unwrap();
/// ```
///
/// # Cancellation
/// Dropping a call cancels it: in a queue it is taken out, a running handler is told through its
/// [`Context`]. See also [`detach`](Self::detach) and [`cancel_and_wait`](Self::cancel_and_wait).
///
/// # Panics
/// When polled after it has given its answer, as most futures do.
#[must_use = "a call is made when it is awaited"]
pub struct Call<M: Method> {
    endpoint: Arc<dyn Endpoint<M::Contract>>,
    options: Options,
    stage: Stage<M>,
}

#[derive(Default)]
struct Options {
    deadline: Option<Duration>,
    info: CallInfo,
    /// Settings that few calls have.
    rare: Option<Box<Rare>>,
}

#[derive(Default)]
struct Rare {
    envelope: Envelope,
    /// The deadline and the cancellation of the call in whose handler this one is made.
    within: Option<Within>,
    on_progress: Option<Box<dyn FnMut(Progress) + Send>>,
    /// The caller's items, which end with the call.
    items: Option<Arc<dyn Cut>>,
}

struct Within {
    deadline: Option<Instant>,
    token: CancelToken,
    /// Among the watchers of that call.
    place: Option<u64>,
}

impl Drop for Within {
    fn drop(&mut self) {
        // A handler that makes many calls within its own would otherwise leave a waker of each
        // behind, for as long as it runs.
        if let Some(place) = self.place {
            self.token.signal().forget(place);
        }
    }
}

enum Stage<M: Method> {
    Unsent(M::Request),
    Sent {
        cell: Arc<CallCell<M>>,
        ticket: Ticket,
        /// Runs from the first wait.
        timer: Option<Timer>,
    },
    Over,
}

type Timer = Pin<Box<Sleep>>;

impl<M: Method> Stage<M> {
    fn set_ticket(&mut self, new: Ticket) {
        if let Self::Sent { ticket, .. } = self {
            *ticket = new;
        }
    }
}

// Nothing in here is pinned in place: the request is moved out, the timer is boxed.
impl<M: Method> Unpin for Call<M> {}

/// A [`Call`] whose response comes with a report; see [`Call::detailed`].
#[must_use = "futures do nothing unless they are awaited"]
pub struct DetailedCall<M: Method>(Call<M>);

/// A response and how it came about.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Detailed<R> {
    /// The response.
    pub value: R,
    /// The bytes of the request and the response.
    pub traffic: Traffic,
    /// The worker that gave it.
    pub worker: Option<WorkerId>,
    /// The trailing metadata: what the handler has sent along; see [`Context::set_trailing`].
    pub trailing: Metadata,
}

/// The future of [`Call::cancel_and_wait`].
#[must_use = "futures do nothing unless they are awaited"]
pub struct CancelAndWait<M: Method>(Call<M>);

/// The end of a call that its caller has cancelled.
#[non_exhaustive]
pub enum Receipt<T, E, Q> {
    /// It had not started and never will. The request, if it still exists.
    NotStarted(Option<Q>),
    /// It had ended before, and its answer was taken.
    Taken,
    /// The handler was stopped where it waited. What it had done until then is done.
    Stopped,
    /// It came to an end of its own before, or in the time that it was given to stop.
    Ended(Result<T, CallError<E, Q>>),
}

/// A call whose caller sends a stream of items; set its options, then [`open`](Self::open) it. The
/// documentation of the crate has an [example](crate#streams-in-both-directions).
#[must_use = "a call is made when it is opened"]
pub struct StreamingCall<M: ClientStreaming> {
    call: Call<M>,
    sender: Sender<M::Sent>,
}

macro_rules! options {
    ($($path:ident).*) => {
        /// Gives the call this much time from its submission, in the queue and running together.
        /// Caller and callee both enforce it. An answer that is a stream has to be opened in that
        /// time, and may last longer.
        pub fn deadline(mut self, time: Duration) -> Self {
            self.$($path.)*deadline = Some(time);
            self
        }

        /// Makes the call as a part of the one that `cx` belongs to: it inherits the deadline if
        /// that is the earlier one, the trace unless it has one of its own, and the cancellation.
        /// It notices the cancellation when it is polled.
        pub fn within(mut self, cx: &Context) -> Self {
            let rare = self.$($path.)*rare();
            rare.within = Some(Within {
                deadline: cx.deadline(),
                token: cx.token(),
                place: None,
            });
            // In either order: a trace that is set later replaces the inherited one.
            rare.envelope.trace = rare.envelope.trace.or(cx.trace());
            self
        }

        /// Has the call rejected at once if there is no room for it, whatever the policy of the
        /// callee's queue. It never takes the place of another call.
        pub fn no_wait(mut self) -> Self {
            self.$($path.)*info.admission = Admission::NoWait;
            self
        }

        /// Pins the call to a key: calls to one pool with the same key start on the same worker,
        /// in the order of their submission, for as long as that worker lives.
        pub fn key(mut self, key: impl std::hash::Hash) -> Self {
            self.$($path.)*info.key = Some(fnv::hash(&key));
            self
        }

        /// Sets the rank of the call in the queue of a pool. Calls of a higher priority start first,
        /// and those of one priority in the order of their submission. No priority is starved:
        /// the documentation of the pool states how many calls may start before one that came
        /// earlier. A port takes its calls in the order of their submission.
        ///
        /// A call with a [key](Self::key) keeps its place among the calls with keys of its worker,
        /// and counts as one of normal priority.
        pub fn priority(mut self, priority: Priority) -> Self {
            self.$($path.)*info.priority = priority;
            self
        }

        /// Counts the call to a share of the pool, so that those who make many calls do not delay
        /// those who make few. It matters where the pool has a queue that is fair to shares, and not
        /// for a call with a [key](Self::key). Calls without a share have one together.
        pub fn share(mut self, share: Share) -> Self {
            self.$($path.)*rare().envelope.share = Some(share);
            self
        }

        /// Says what the work of the call needs most, in place of what its method says with
        /// `#[work(..)]`. A pool wakes for it the worker that runs the fewest calls of this type.
        pub fn work(mut self, work: WorkType) -> Self {
            self.$($path.)*info.work = work;
            self
        }

        /// Sends metadata along; see [`Context::metadata`].
        pub fn metadata(mut self, metadata: Metadata) -> Self {
            self.$($path.)*rare().envelope.metadata = metadata;
            self
        }

        /// Makes the call a part of a trace; see [`Context::trace`].
        pub fn trace(mut self, trace: TraceContext) -> Self {
            self.$($path.)*rare().envelope.trace = Some(trace);
            self
        }

        /// Tells the handler how many attempts were made before this one; see
        /// [`Context::attempt`].
        pub fn attempt(mut self, attempt: u32) -> Self {
            self.$($path.)*rare().envelope.attempt = attempt;
            self
        }

        /// Names the piece of work, so that a service can recognize a second attempt at it.
        pub fn idempotency_key(mut self, key: impl Into<Box<str>>) -> Self {
            self.$($path.)*rare().envelope.idempotency_key = Some(key.into());
            self
        }

        /// Has `look` called with what the handler reports of its
        /// [progress](Context::progress). It runs where the call is polled. Reports that come
        /// faster than that are skipped, except for the last one.
        pub fn on_progress(mut self, look: impl FnMut(Progress) + Send + 'static) -> Self {
            self.$($path.)*rare().on_progress = Some(Box::new(look));
            self
        }
    };
}

impl Options {
    fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }
}

impl<M: Method> Call<M> {
    /// Makes a call with default options. Called by generated code.
    pub fn new(endpoint: Arc<dyn Endpoint<M::Contract>>, request: M::Request) -> Self {
        Self {
            endpoint,
            options: Options {
                info: CallInfo {
                    work: M::DESCRIPTOR.work,
                    ..CallInfo::default()
                },
                ..Options::default()
            },
            stage: Stage::Unsent(request),
        }
    }

    options!(options);

    /// Sends the call now and not at its first poll.
    pub fn start(mut self) -> Self {
        self.send(None);
        self
    }

    /// Sends the call now if there is room for it, and does not wait.
    ///
    /// # Errors
    /// There is none; the error returns the request.
    pub fn try_start(mut self) -> Result<Self, CallError<M::Error, M::Request>> {
        self.options.info.admission = Admission::NoWait;
        self.send(None);
        // A refusal is there at once, and a real answer is never one.
        match self.take_refusal() {
            Some(refused) => Err(refused),
            None => Ok(self),
        }
    }

    /// Sends the call and lets it run without its caller: its answer is dropped. If there is no
    /// room for it, it is rejected at once, since no caller would wait.
    ///
    /// # Errors
    /// There is no room; the error returns the request.
    pub fn detach(self) -> Result<(), CallError<M::Error, M::Request>> {
        let mut call = self.try_start()?;
        // Over before `call` is dropped, since the drop of a call that was sent cancels it.
        if let Stage::Sent { cell, .. } = std::mem::replace(&mut call.stage, Stage::Over) {
            contain(|| drop(cell.detach()));
        }
        Ok(())
    }

    /// Asks for a report along with the response: its worker, the bytes that moved, and what the
    /// handler has sent along.
    pub fn detailed(self) -> DetailedCall<M> {
        DetailedCall(self)
    }

    /// Cancels the call and waits until its handler runs no more. A handler that still gives an
    /// answer in its grace period has it delivered.
    ///
    /// # Cancellation
    /// Dropping the future lets the handler end by itself, as dropping the call does.
    pub fn cancel_and_wait(self) -> CancelAndWait<M> {
        CancelAndWait(self)
    }

    /// Makes the call and waits right here, for code that cannot await.
    ///
    /// # Blocking
    /// Parks the thread. An isolate gives its place in the pool away; its own ports are not
    /// served meanwhile, so await the call where that is possible.
    ///
    /// # Cancellation
    /// A kill of the waiting isolate unwinds out of the wait and cancels the call.
    ///
    /// # Errors
    /// As the future of the call, and [`CallError::NotWaited`] if the isolates that could answer
    /// wait for this one, in another blocking wait.
    pub fn blocking(mut self) -> Result<M::Response, CallError<M::Error, M::Request>> {
        // Without a time-out: a call that has a deadline ends the wait itself.
        match block_on_completer(&mut self, |call| call.callees(), None) {
            Ok(answer) => answer,
            Err(why) => self.give_up(why),
        }
    }

    /// The deadline that its options give it.
    pub(crate) fn limit(&mut self, time: Duration) {
        let own = self.options.deadline.unwrap_or(Duration::MAX);
        self.options.deadline = Some(own.min(time));
    }

    fn send(&mut self, caller: Option<Waker>) {
        if let Some(pending) = self.prepare(caller, None) {
            let ticket = self.endpoint.submit(pending, self.options.info);
            self.stage.set_ticket(ticket);
        }
    }

    /// Makes what has to be submitted now, in the cell `spare` if that is free. `None` if the call
    /// was sent before.
    fn prepare(
        &mut self,
        caller: Option<Waker>,
        spare: Option<Arc<CallCell<M>>>,
    ) -> Option<M::Contract> {
        let request = match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Unsent(request) => request,
            sent => {
                self.stage = sent;
                return None;
            }
        };
        let deadline = self.options.deadline.map(|time| Instant::now() + time);
        let (mut deadline, mut envelope, mut items) = (deadline, None, None);
        if let Some(rare) = &mut self.options.rare {
            if let Some(outer) = rare.within.as_ref().and_then(|it| it.deadline) {
                deadline = Some(deadline.map_or(outer, |own| own.min(outer)));
            }
            envelope = Some(Box::new(std::mem::take(&mut rare.envelope)));
            items = rare.items.take();
        }
        if let Some(span) = CallerSpan::current() {
            let envelope: &mut Box<Envelope> = envelope.get_or_insert_default();
            envelope.span = Some(span);
        }
        let cell = || CallCell::<M>::new(request, deadline, caller, envelope);
        // A new cell is made where it stays: `new_cyclic` allocates first, where `new` would move it.
        let cell = match spare {
            None => Arc::new_cyclic(|_| cell()),
            Some(spare) => cell().within(spare),
        };
        // Before the submission: a call that is refused at once ends its caller's items too.
        if let Some(items) = items {
            cell.add_stream(items);
        }
        self.stage = Stage::Sent {
            cell: Arc::clone(&cell),
            ticket: Ticket::NONE,
            timer: None,
        };
        Some(M::wrap(Pending::new(cell)))
    }

    /// Takes the call itself out, to be made elsewhere, with its cell. `None` if it was sent before.
    #[cfg(feature = "wire")]
    pub(crate) fn take_unsent(&mut self) -> Option<(M::Contract, CallInfo, Arc<CallCell<M>>)> {
        let unsent = self.prepare(None, None)?;
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Sent { cell, .. } => Some((unsent, self.options.info, cell)),
            Stage::Unsent(_) | Stage::Over => None,
        }
    }

    /// Polls a call that was sent. If it was answered, its cell goes to `keep`, to serve another
    /// call.
    pub(crate) fn poll_keeping(
        &mut self,
        cx: &mut task::Context<'_>,
        keep: impl FnOnce(Arc<CallCell<M>>),
    ) -> Poll<Answer<M>> {
        self.poll_sent(cx, keep)
    }

    /// Returns whether the call has given its answer.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    /// Returns whether a poll could lead to anything: there is an answer, or the call looks at a
    /// clock or at another call, or it does not know `waker`.
    pub(crate) fn needs_poll(&self, waker: &Waker) -> bool {
        match &self.stage {
            Stage::Sent { cell, .. } => {
                self.looks_elsewhere() || cell.is_answered() || !cell.knows(waker)
            }
            Stage::Unsent(_) | Stage::Over => true,
        }
    }

    /// Returns whether the call looks at a clock or at another call when it is polled, so that its
    /// answer is not all that it waits for.
    pub(crate) fn looks_elsewhere(&self) -> bool {
        match &self.stage {
            Stage::Sent { cell, .. } => self.options.rare.is_some() || cell.deadline().is_some(),
            Stage::Unsent(_) | Stage::Over => true,
        }
    }

    /// Returns whether there is an answer that a poll would give.
    pub(crate) fn is_answered(&self) -> bool {
        matches!(&self.stage, Stage::Sent { cell, .. } if cell.is_answered())
    }

    /// Ready if there is an answer, which stays there. It will wake `waker` otherwise.
    pub(crate) fn poll_is_answered(&self, waker: &Waker) -> Poll<()> {
        match &self.stage {
            Stage::Sent { cell, .. } => cell.poll_is_answered(waker),
            Stage::Unsent(_) | Stage::Over => Poll::Ready(()),
        }
    }

    fn poll_answered<T: Take<M>>(&mut self, cx: &mut task::Context<'_>) -> Poll<T> {
        if let Stage::Unsent(_) = self.stage {
            self.send(Some(cx.waker().clone()));
            // A rejected call has its answer already, and an idle callee may have given one in the
            // meantime. Otherwise the cell has the waker.
            if let Stage::Sent { cell, .. } = &self.stage
                && cell.is_queued()
                && cell.deadline().is_none()
                && self.options.rare.is_none()
            {
                return Poll::Pending;
            }
        }
        self.poll_sent(cx, drop)
    }

    #[inline]
    fn poll_sent<T: Take<M>>(
        &mut self,
        cx: &mut task::Context<'_>,
        keep: impl FnOnce(Arc<CallCell<M>>),
    ) -> Poll<T> {
        let Stage::Sent { cell, timer, .. } = &mut self.stage else {
            panic!("a call was polled after it had given its answer");
        };
        // Before the clock: an answer that came in time counts, however late its caller looks.
        let look = self.options.rare.as_mut();
        let answered = match look.and_then(|rare| rare.on_progress.as_mut()) {
            None => cell.poll_answer(cx.waker()),
            Some(look) => match cell.poll_news(cx.waker()) {
                Some(News::Report(report)) => {
                    // Whatever else there is stays where it is: `look` is the caller's code, and may
                    // panic. One report for each poll, since a handler may make them without end.
                    cx.waker().wake_by_ref();
                    look(report);
                    return Poll::Pending;
                }
                Some(News::Answer(answered)) => Some(answered),
                None => None,
            },
        };
        if let Some(answered) = answered {
            if let Stage::Sent { cell, .. } = std::mem::replace(&mut self.stage, Stage::Over) {
                keep(cell);
            }
            return Poll::Ready(answered);
        }
        if let Some(deadline) = cell.deadline()
            && timer
                .get_or_insert_with(|| Box::pin(sleep_until(deadline)))
                .as_mut()
                .poll(cx)
                .is_ready()
        {
            // Read before `expire` changes the state: only a queued call is still in its endpoint.
            let was_queued = cell.is_queued();
            cell.expire();
            return self.poll_last(was_queued);
        }
        if self.options.rare.is_some() {
            return self.poll_within(cx);
        }
        Poll::Pending
    }

    /// The deadline has passed, so that there is an answer in any case.
    fn poll_last<T: Take<M>>(&mut self, was_queued: bool) -> Poll<T> {
        let Stage::Sent { cell, ticket, .. } = &self.stage else {
            return Poll::Pending;
        };
        let answered: Option<T> = cell.take_answer();
        let error = answered.as_ref().and_then(|it| it.answer().as_ref().err());
        // It may have started since it was looked at, and then there is nothing to take out.
        if was_queued && error.is_some_and(|error| error.outcome() == Outcome::NotStarted) {
            self.endpoint.withdraw(*ticket, CancelledBy::Deadline);
        }
        self.stage = Stage::Over;
        answered.map_or(Poll::Pending, Poll::Ready)
    }

    /// Looks whether the call that this one is a part of was cancelled.
    fn poll_within<T: Take<M>>(&mut self, cx: &task::Context<'_>) -> Poll<T> {
        let Some(within) = self
            .options
            .rare
            .as_mut()
            .and_then(|rare| rare.within.as_mut())
        else {
            return Poll::Pending;
        };
        let outer = within.token.signal();
        if !outer.watch(&mut within.place, cx.waker()) {
            return Poll::Pending;
        }
        let by = outer.cancelled_by().unwrap_or(CancelledBy::Caller);
        let answer = match self.leave() {
            Left::Unstarted(request) => Err(CallError::Cancelled {
                by,
                outcome: Outcome::NotStarted,
                request,
            }),
            Left::Running => Err(CallError::Cancelled {
                by,
                outcome: Outcome::MaybeExecuted,
                request: None,
            }),
            // The answer came first and is on its way into the slot, with a wake-up.
            Left::Ended => return Poll::Pending,
        };
        self.stage = Stage::Over;
        Poll::Ready(T::new(answer, Details::default))
    }

    /// The isolates that could end the wait of a caller that blocks now.
    fn callees(&self) -> Arc<dyn Completer> {
        match &self.stage {
            Stage::Sent { cell, .. } => Arc::new(Callees {
                cell: Arc::clone(cell),
                isolates: self.endpoint.isolates(),
            }),
            Stage::Unsent(_) | Stage::Over => unreachable!("it has been sent and waits"),
        }
    }

    /// The caller cannot wait. An answer that came at the last moment still reaches it.
    fn give_up(&mut self, why: WaitError) -> Answer<M> {
        let (outcome, request) = match self.leave() {
            Left::Unstarted(request) => (Outcome::NotStarted, request),
            Left::Running => (Outcome::MaybeExecuted, None),
            Left::Ended => {
                if let Stage::Sent { cell, .. } = &self.stage
                    && let Some(answer) = cell.take_answer()
                {
                    self.stage = Stage::Over;
                    return answer;
                }
                (Outcome::MaybeExecuted, None)
            }
        };
        self.stage = Stage::Over;
        Err(CallError::NotWaited {
            why,
            outcome,
            request,
        })
    }

    /// The caller's side ends. An unstarted call is taken out of its queue.
    fn leave(&self) -> Left<M::Request> {
        let Stage::Sent { cell, ticket, .. } = &self.stage else {
            return Left::Ended;
        };
        let left = cell.leave();
        if let Left::Unstarted(_) = &left {
            self.endpoint.withdraw(*ticket, CancelledBy::Caller);
        }
        left
    }

    /// The answer, if it says that the call was not admitted.
    fn take_refusal(&mut self) -> Option<CallError<M::Error, M::Request>> {
        let Stage::Sent { cell, .. } = &self.stage else {
            return None;
        };
        let refusal = cell.take_refusal()?;
        self.stage = Stage::Over;
        Some(refusal)
    }
}

/// Sends calls that were not sent, in as few batches as their endpoints allow. An answer wakes
/// `caller`. The cells in `spare` are used first.
pub(crate) fn start_all<'a, M, I>(
    calls: I,
    caller: Option<&Waker>,
    spare: &mut Vec<Arc<CallCell<M>>>,
) where
    M: Method,
    I: Iterator<Item = &'a mut Call<M>>,
{
    // Room for all of them, since most batches have one endpoint: growing costs as much as a tenth of
    // the calls.
    let room = calls.size_hint().0;
    let mut batch = Batch::<'a, M> {
        calls: Vec::with_capacity(room),
        pending: Vec::with_capacity(room),
    };
    for call in calls {
        if let Some(pending) = call.prepare(caller.cloned(), spare.pop()) {
            batch.add(call, pending);
        }
    }
    batch.send();
}

/// Calls that can be submitted together.
struct Batch<'a, M: Method> {
    calls: Vec<&'a mut Call<M>>,
    pending: Vec<M::Contract>,
}

impl<'a, M: Method> Batch<'a, M> {
    fn add(&mut self, call: &'a mut Call<M>, pending: M::Contract) {
        // A submission has one endpoint and one info. What differs waits for the batch before it,
        // so that calls are submitted in the order in which they were given.
        if let Some(first) = self.calls.first()
            && (!Arc::ptr_eq(&first.endpoint, &call.endpoint)
                || first.options.info != call.options.info)
        {
            self.send();
        }
        self.calls.push(call);
        self.pending.push(pending);
    }

    fn send(&mut self) {
        let Some(first) = self.calls.first() else {
            return;
        };
        let (endpoint, info) = (Arc::clone(&first.endpoint), first.options.info);
        let pending = std::mem::take(&mut self.pending);
        let mut calls = self.calls.drain(..);
        endpoint.submit_all(pending, info, &mut |ticket| {
            if let Some(call) = calls.next() {
                call.stage.set_ticket(ticket);
            }
        });
    }
}

impl<M: Method> Future for Call<M> {
    type Output = Result<M::Response, CallError<M::Error, M::Request>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Self::Output> {
        self.poll_answered(cx)
    }
}

impl<M: Method> Future for DetailedCall<M> {
    type Output = Result<Detailed<M::Response>, CallError<M::Error, M::Request>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Self::Output> {
        self.0.poll_answered(cx).map(|answered: Answered<M>| {
            let details = answered.details;
            answered.answer.map(|value| Detailed {
                value,
                traffic: details.traffic,
                worker: details.worker,
                trailing: details.trailing.map_or_else(Metadata::new, |it| *it),
            })
        })
    }
}

impl<M: Method> Future for CancelAndWait<M> {
    type Output = Receipt<M::Response, M::Error, M::Request>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Self::Output> {
        let call = &mut self.0;
        match std::mem::replace(&mut call.stage, Stage::Over) {
            Stage::Unsent(request) => return Poll::Ready(Receipt::NotStarted(Some(request))),
            Stage::Over => return Poll::Ready(Receipt::Taken),
            stage => call.stage = stage,
        }
        if let Stage::Sent { cell, ticket, .. } = &call.stage {
            // Not `leave`, which would give up the answer of a call that runs.
            if let Some(request) = cell.unqueue() {
                call.endpoint.withdraw(*ticket, CancelledBy::Caller);
                call.stage = Stage::Over;
                return Poll::Ready(Receipt::NotStarted(Some(request)));
            }
            // Asked at each poll, which is harmless: the first cause stays, and nothing watches for
            // it any more.
            cell.ask_to_stop(CancelledBy::Caller);
        }
        call.poll_answered(cx)
            .map(|answer: Answer<M>| match answer {
                Err(CallError::Cancelled {
                    by: CancelledBy::Caller,
                    outcome: Outcome::MaybeExecuted,
                    ..
                }) => Receipt::Stopped,
                Err(error) if error.outcome() == Outcome::NotStarted => {
                    Receipt::NotStarted(error.into_request())
                }
                ended => Receipt::Ended(ended),
            })
    }
}

/// The request need not be `Debug`, as for [`CallError`].
impl<T: fmt::Debug, E: fmt::Debug, Q> fmt::Debug for Receipt<T, E, Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStarted(request) => f
                .debug_struct("NotStarted")
                .field("has_request", &request.is_some())
                .finish(),
            Self::Taken => f.write_str("Taken"),
            Self::Stopped => f.write_str("Stopped"),
            Self::Ended(answer) => f.debug_tuple("Ended").field(answer).finish(),
        }
    }
}

impl<M: Method> Drop for Call<M> {
    fn drop(&mut self) {
        // What comes back is dropped without any lock: the request, or an answer that was not
        // taken. That may be a stream, which would keep the cell for ever.
        if let Left::Ended = self.leave()
            && let Stage::Sent { cell, .. } = &self.stage
        {
            contain(|| drop(cell.detach()));
        }
    }
}

impl<M: ClientStreaming> StreamingCall<M> {
    /// Makes a call with default options, whose request has the other end of `sender`. Called by
    /// generated code.
    pub fn new(
        endpoint: Arc<dyn Endpoint<M::Contract>>,
        request: M::Request,
        sender: Sender<M::Sent>,
    ) -> Self {
        let mut call = Call::new(endpoint, request);
        call.options.rare().items = sender.cut();
        Self { call, sender }
    }

    options!(call.options);

    /// Sends the call. Its items go through the [`Sender`], and the [`Call`] gives the answer,
    /// which may come before all items were sent.
    ///
    /// Dropping the call cancels it, and the sender is told.
    pub fn open(self) -> (Sender<M::Sent>, Call<M>) {
        (self.sender, self.call.start())
    }

    /// Makes the call with the items of a stream, and finishes after the last one. If the call ends
    /// earlier, the other items are not sent.
    ///
    /// # Cancellation
    /// Dropping the future cancels the call.
    ///
    /// # Errors
    /// As the future of a [`Call`].
    pub async fn send_all(
        self,
        items: impl Stream<Item = M::Sent>,
    ) -> Result<M::Response, CallError<M::Error, M::Request>> {
        let (sender, mut call) = self.open();
        let mut sending = std::pin::pin!(Some(sender.send_all(items)));
        std::future::poll_fn(|cx| {
            if let Some(future) = sending.as_mut().as_pin_mut()
                && future.poll(cx).is_ready()
            {
                // If an item was not sent, the call has ended, and its answer says how.
                sending.set(None);
            }
            let answer = task::ready!(Pin::new(&mut call).poll(cx));
            // An item that was not sent is dropped here, where its panic loses nothing. After the
            // function has its result, it would lose that.
            sending.set(None);
            Poll::Ready(answer)
        })
        .await
    }
}

impl<M: Method> fmt::Debug for Call<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = M::DESCRIPTOR.name;
        match &self.stage {
            Stage::Unsent(_) => write!(f, "Call({name}, unsent)"),
            Stage::Sent { cell, .. } => write!(f, "Call({cell:?})"),
            Stage::Over => write!(f, "Call({name}, over)"),
        }
    }
}

impl<M: Method> fmt::Debug for DetailedCall<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DetailedCall").field(&self.0).finish()
    }
}

impl<M: Method> fmt::Debug for CancelAndWait<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CancelAndWait").field(&self.0).finish()
    }
}

impl<M: ClientStreaming> fmt::Debug for StreamingCall<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StreamingCall").field(&self.call).finish()
    }
}
