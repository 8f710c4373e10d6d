//! The caller's side of a call: the builder, the future, the way out of plain threads.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll, Waker};
use std::time::Duration;

use insula_core::{Completer, Instant, Sleep, WaitError, block_on_completer, sleep_until};

use crate::cell::{Answer, CallCell, Callees, Left};
use crate::context::{Context, WorkerId};
use crate::contract::{Admission, Endpoint, Method, Ticket};
use crate::error::{CallError, Outcome, Phase};
use crate::payload::Traffic;
use crate::pending::Pending;

/// A call about to be made: set its options, then `.await` it.
///
/// Nothing is sent before the first poll. The deadline counts from then on.
///
/// # Cancellation
/// Dropping the future cancels the call: in a queue it is taken out, a running handler is told
/// through its [`Context`].
#[must_use = "a call is made when it is awaited"]
pub struct Call<'a, M: Method> {
    endpoint: &'a dyn Endpoint<M::Contract>,
    request: M::Request,
    options: Options,
}

#[derive(Debug, Clone, Copy, Default)]
struct Options {
    deadline: Option<Duration>,
    /// The deadline of the call in whose handler this one is made.
    within: Option<Instant>,
    admission: Admission,
}

/// The future of a [`Call`]: its response, or why there is none.
///
/// Wakes correctly on every executor and thread.
#[must_use = "futures do nothing unless they are awaited"]
pub struct CallFuture<'a, M: Method>(Exchange<'a, M>);

/// The future of a [`Call`] whose response comes with a report.
#[must_use = "futures do nothing unless they are awaited"]
pub struct DetailedCall<'a, M: Method>(Exchange<'a, M>);

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
}

impl<'a, M: Method> Call<'a, M> {
    /// A call with default options. Called by generated code.
    pub fn new(endpoint: &'a dyn Endpoint<M::Contract>, request: M::Request) -> Self {
        Self {
            endpoint,
            request,
            options: Options::default(),
        }
    }

    /// Gives the call this much time, in the queue and running together. A stream has to be
    /// opened in that time; how long it lasts is not limited.
    pub fn deadline(mut self, time: Duration) -> Self {
        self.options.deadline = Some(time);
        self
    }

    /// Makes the call as a part of the one that `cx` belongs to: it takes over that deadline
    /// if it is the earlier one.
    pub fn within(mut self, cx: &Context) -> Self {
        self.options.within = cx.deadline();
        self
    }

    /// Has the call rejected at once if there is no room for it, whatever the policy of the
    /// callee's queue.
    pub fn no_wait(mut self) -> Self {
        self.options.admission = Admission::NoWait;
        self
    }

    /// Asks for a report along with the response.
    pub fn detailed(self) -> DetailedCall<'a, M> {
        DetailedCall(self.exchange())
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
    pub fn blocking(self) -> Result<M::Response, CallError<M::Error, M::Request>> {
        let mut call = self.into_future();
        match block_on_completer(&mut call, |call| call.0.callees(), None) {
            Ok(answer) => answer,
            Err(why) => call.0.give_up(why),
        }
    }

    fn exchange(self) -> Exchange<'a, M> {
        Exchange {
            endpoint: self.endpoint,
            options: self.options,
            stage: Stage::Unsent(self.request),
        }
    }
}

impl<'a, M: Method> IntoFuture for Call<'a, M> {
    type Output = Result<M::Response, CallError<M::Error, M::Request>>;
    type IntoFuture = CallFuture<'a, M>;

    fn into_future(self) -> CallFuture<'a, M> {
        CallFuture(self.exchange())
    }
}

impl<M: Method> Future for CallFuture<'_, M> {
    type Output = Result<M::Response, CallError<M::Error, M::Request>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Self::Output> {
        self.0.poll(cx).map(|(answer, ..)| answer)
    }
}

impl<M: Method> Future for DetailedCall<'_, M> {
    type Output = Result<Detailed<M::Response>, CallError<M::Error, M::Request>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Self::Output> {
        self.0.poll(cx).map(|(answer, traffic, worker)| {
            answer.map(|value| Detailed {
                value,
                traffic,
                worker,
            })
        })
    }
}

/// One call from its sending to its answer.
struct Exchange<'a, M: Method> {
    endpoint: &'a dyn Endpoint<M::Contract>,
    options: Options,
    stage: Stage<M>,
}

enum Stage<M: Method> {
    Unsent(M::Request),
    Sent {
        cell: Arc<CallCell<M>>,
        ticket: Ticket,
        timer: Option<Timer>,
    },
    Over,
}

type Timer = Pin<Box<Sleep>>;

type Answered<M> = (Answer<M>, Traffic, Option<WorkerId>);

// Nothing in here is pinned in place: the request is moved out, the timer is boxed.
impl<M: Method> Unpin for Exchange<'_, M> {}

impl<M: Method> Exchange<'_, M> {
    fn poll(&mut self, cx: &mut task::Context<'_>) -> Poll<Answered<M>> {
        if !matches!(self.stage, Stage::Unsent(_)) {
            return self.poll_sent(cx);
        }
        if let Stage::Unsent(request) = std::mem::replace(&mut self.stage, Stage::Over) {
            self.send(request, cx);
        }
        // A rejected call has its answer already, and an idle callee may have given one in the
        // meantime.
        match &self.stage {
            Stage::Sent {
                cell, timer: None, ..
            } if cell.is_queued() => Poll::Pending,
            _ => self.poll_sent(cx),
        }
    }

    fn send(&mut self, request: M::Request, cx: &task::Context<'_>) {
        let Options {
            deadline,
            within,
            admission,
        } = self.options;
        let deadline = match (deadline.map(|time| Instant::now() + time), within) {
            (Some(own), Some(outer)) => Some(own.min(outer)),
            (own, outer) => own.or(outer),
        };
        let timer = deadline.map(|deadline| -> Timer { Box::pin(sleep_until(deadline)) });
        let cell = Arc::new(CallCell::<M>::new(request, deadline, cx.waker().clone()));
        let call = M::wrap(Pending::new(Arc::clone(&cell)));
        let ticket = self.endpoint.submit(call, admission);
        self.stage = Stage::Sent {
            cell,
            ticket,
            timer,
        };
    }

    fn poll_sent(&mut self, cx: &mut task::Context<'_>) -> Poll<Answered<M>> {
        let Stage::Sent {
            cell,
            ticket,
            timer,
        } = &mut self.stage
        else {
            // Polled after its end: a future may do as it likes, and this one never wakes.
            return Poll::Pending;
        };
        if let Some(answered) = cell.poll_answer(cx.waker()) {
            self.stage = Stage::Over;
            return Poll::Ready(answered);
        }
        let Some(timer) = timer else {
            return Poll::Pending;
        };
        if timer.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        let (phase, outcome, request) = match cell.leave() {
            Left::Unstarted(request) => {
                self.endpoint.withdraw(*ticket);
                (Phase::Queue, Outcome::NotStarted, request)
            }
            Left::Running => (Phase::Run, Outcome::MaybeExecuted, None),
            // The answer came first and is on its way into the slot, with a wake-up.
            Left::Ended => return Poll::Pending,
        };
        self.stage = Stage::Over;
        let error = CallError::Deadline {
            phase,
            outcome,
            request,
        };
        Poll::Ready((Err(error), Traffic::default(), None))
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

    /// The caller cannot wait. An answer that came at the last moment is still his.
    fn give_up(&mut self, why: WaitError) -> Answer<M> {
        let Stage::Sent { cell, ticket, .. } = std::mem::replace(&mut self.stage, Stage::Over)
        else {
            unreachable!("it has been sent and waits");
        };
        let (outcome, request) = match cell.leave() {
            Left::Unstarted(request) => {
                self.endpoint.withdraw(ticket);
                (Outcome::NotStarted, request)
            }
            Left::Running => (Outcome::MaybeExecuted, None),
            Left::Ended => match cell.poll_answer(Waker::noop()) {
                Some((answer, ..)) => return answer,
                None => (Outcome::MaybeExecuted, None),
            },
        };
        Err(CallError::NotWaited {
            why,
            outcome,
            request,
        })
    }
}

impl<M: Method> Drop for Exchange<'_, M> {
    fn drop(&mut self) {
        if let Stage::Sent { cell, ticket, .. } = &self.stage
            && let Left::Unstarted(request) = cell.leave()
        {
            self.endpoint.withdraw(*ticket);
            drop(request);
        }
    }
}

impl<M: Method> fmt::Debug for Call<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("method", &M::DESCRIPTOR.name)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl<M: Method> fmt::Debug for Exchange<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.stage {
            Stage::Unsent(_) => write!(f, "{}(unsent)", M::DESCRIPTOR.name),
            Stage::Sent { cell, .. } => cell.fmt(f),
            Stage::Over => write!(f, "{}(over)", M::DESCRIPTOR.name),
        }
    }
}

impl<M: Method> fmt::Debug for CallFuture<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CallFuture").field(&self.0).finish()
    }
}

impl<M: Method> fmt::Debug for DetailedCall<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DetailedCall").field(&self.0).finish()
    }
}
