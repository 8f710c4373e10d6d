//! The callee's side of a call: before it starts, while it runs, and while its stream runs.

use std::any::Any;
use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{self, Poll, ready};

use futures_core::Stream;
use insula_core::Instant;

use crate::ReplyStreamOf;
use crate::cell::{CallCell, Signal};
use crate::channel::{Closed, WINDOW, Writer, channel};
use crate::context::{Context, Scope};
use crate::contract::{
    Contract, Ended, How, Method, MethodDescriptor, PendingCall, Refusal, ServerStreaming,
};
use crate::error::{CallError, CancelledBy, Outcome, WorkerExit};
use crate::fnv;
use crate::guard::{Guard, Outcome as Came, Panic, Stopped, Watching, catch};
use crate::payload::Traffic;
use crate::reply::{ReplyEnd, ReplyStream};
use crate::scoped::{ScopedTasks, give_up_all};
use crate::share::Share;
use crate::span::CallSpan;

/// A call that has not started, typed by its method.
///
/// Dropping it ends the call: the caller gets its request back.
pub struct Pending<M: Method> {
    /// `None` once the call has started.
    pub(crate) cell: Option<Arc<CallCell<M>>>,
}

/// A call whose handler runs.
///
/// Dropping it without an answer tells the caller that the worker has ended.
pub struct Running<'a, M: Method> {
    /// Its signal is the `CallCell<M>`: the one reference to it that the callee holds.
    cx: Context,
    scope: &'a Scope,
    /// The call was given its answer. Stays `false` for a stream, which may borrow this.
    is_over: bool,
    method: PhantomData<fn() -> M>,
}

/// A call that has started, and its request.
pub type Started<'a, M> = (Running<'a, M>, <M as Method>::Request);

impl<M: Method> Pending<M> {
    pub(crate) fn new(cell: Arc<CallCell<M>>) -> Self {
        Self { cell: Some(cell) }
    }

    /// Starts the call: from here on its handler may have run.
    ///
    /// # Errors
    /// It must not run: its caller has gone or its deadline has passed.
    pub fn start(self, scope: &Scope) -> Result<Started<'_, M>, Ended> {
        // Its drop would refuse a call that has started.
        let mut this = ManuallyDrop::new(self);
        let mut is_counted = false;
        let started = match this.cell.take() {
            Some(cell) => match cell.start(scope.worker()) {
                Ok(started) => Ok((cell, started)),
                Err(how) => {
                    is_counted = cell.ends_unstarted();
                    Err(how)
                }
            },
            None => Err(How::Cancelled),
        };
        match started {
            Ok((cell, (request, envelope))) => {
                let deadline = cell.deadline();
                let span = CallSpan::new::<M>(scope, envelope.as_deref());
                let running = Running {
                    cx: Context::new(cell, scope, deadline, envelope, span),
                    scope,
                    is_over: false,
                    method: PhantomData,
                };
                Ok((running, request))
            }
            Err(how) => {
                let ended = Ended {
                    how,
                    has_run: false,
                    is_late: false,
                    traffic: Traffic::default(),
                };
                if !is_counted {
                    scope.record(ended);
                }
                Err(ended)
            }
        }
    }
}

impl<M: Method> Drop for Pending<M> {
    fn drop(&mut self) {
        if let Some(cell) = self.cell.take() {
            // Comes to nothing if the caller has gone by now or the deadline has passed.
            cell.refuse(Refusal::WorkerDied {
                exit: WorkerExit::Ended,
                worker: None,
            });
        }
    }
}

impl<M: Method> PendingCall for Pending<M> {
    fn descriptor(&self) -> MethodDescriptor {
        M::DESCRIPTOR
    }

    fn deadline(&self) -> Option<Instant> {
        self.cell.as_ref().and_then(|cell| cell.deadline())
    }

    fn request_bytes(&self) -> u64 {
        let traffic = self.cell.as_ref().map(|cell| cell.request_traffic());
        traffic.map_or(0, |it| it.bytes_moved.saturating_add(it.bytes_copied))
    }

    fn identity(&self) -> Option<u64> {
        let cell = self.cell.as_ref()?;
        let contract = <M::Contract as Contract>::NAME;
        cell.with_idempotency_key(|key| {
            let bytes = contract.bytes().chain(key.bytes());
            bytes.fold(M::DESCRIPTOR.id, fnv::add)
        })
    }

    fn share(&self) -> Option<Share> {
        self.cell.as_ref()?.share()
    }

    fn is_waiting(&self) -> bool {
        self.cell.as_ref().is_some_and(|cell| cell.is_queued())
    }

    fn signal(&self) -> Option<Arc<dyn Signal>> {
        self.cell
            .as_ref()
            .map(|cell| Arc::<CallCell<M>>::clone(cell) as _)
    }

    fn refuse(&self, why: Refusal) -> bool {
        self.cell.as_ref().is_some_and(|cell| cell.refuse(why))
    }
}

impl<M: Method> Running<'_, M> {
    /// Returns the call as its handler sees it.
    pub fn context(&self) -> &Context {
        &self.cx
    }

    /// Runs a handler that answers with a value.
    pub fn guard<'r, F>(
        &'r self,
        handler: Pin<&'r mut Option<F>>,
    ) -> Guard<'r, F, impl Fn(&F::Output) -> u64 + use<M, F>>
    where
        F: Future<Output = Result<M::Response, M::Error>>,
    {
        let bytes = |result: &F::Output| result.as_ref().map_or(0, M::response_bytes);
        Guard::new(handler, &self.cx, bytes)
    }

    /// Runs a handler that answers with a stream, whose items are measured when they are sent.
    pub fn guard_stream<'r, F: Future>(
        &'r self,
        handler: Pin<&'r mut Option<F>>,
    ) -> Guard<'r, F, fn(&F::Output) -> u64> {
        Guard::new(handler, &self.cx, |_| 0)
    }

    /// Ends the call with what its handler came to.
    pub fn finish(&mut self, outcome: Came<Result<M::Response, M::Error>>) -> Ended {
        let ended = self.settle(outcome);
        self.is_over = true;
        ended
    }

    #[inline]
    fn settle(&self, outcome: Came<Result<M::Response, M::Error>>) -> Ended {
        let (how, answer, bytes) = match outcome {
            Ok((Ok(response), bytes)) => (How::Answered, Ok(response), bytes),
            Ok((Err(error), _)) => (How::Failed, Err(CallError::App(error)), 0),
            Err(stopped) => (stopped.how(), Err(stopped.into_error()), 0),
        };
        let cell = self.cell();
        self.cx.span().end(how);
        match cell.settle(how, answer, bytes, |ended| self.scope.record(ended)) {
            (ended, None) => ended,
            // It comes too late, and its drop is the user's code.
            (ended, Some(unread)) => contain_drop(ended, unread),
        }
    }

    /// Ends the call if its handler gave no stream. Otherwise hands the reading end to the caller
    /// and runs the stream to its end. While the stream waits for its reader, the call gives back
    /// its place among the running calls.
    pub async fn stream<S>(&self, outcome: Came<Result<S, M::Error>>) -> Ended
    where
        M: ServerStreaming<Response = ReplyStreamOf<M>>,
        S: Stream<Item = Result<M::Item, M::Error>> + Send,
    {
        let stream = match outcome {
            Ok((Ok(stream), _)) => stream,
            Ok((Err(error), _)) => return self.settle(Ok((Err(error), 0))),
            Err(stopped) => return self.settle(Err(stopped)),
        };
        let (writer, reader) = channel();
        let reply = ReplyStream::new(reader, Arc::clone(self.cx.signal()));
        let cut = Arc::clone(writer.channel());
        if let Err(unread) = self.cell().open(Ok(reply), cut) {
            // Its caller has gone meanwhile. Both drops are the user's code.
            let dropped = catch(move || drop(stream)).and(catch(move || drop(unread)));
            let stopped = match dropped {
                Ok(()) => Stopped::Cancelled(CancelledBy::Caller),
                Err(panic) => Stopped::Panicked(panic),
            };
            return self.settle(Err(stopped));
        }
        let (how, end) = self.produce(&writer, stream).await;
        self.cx.span().end(how);
        let record = |ended| self.scope.record(ended);
        // Before the end can be read: a reader that has seen the end drops its stream, which must
        // not look like a cancellation.
        self.cell().close(how, record, || writer.end(end))
    }

    /// Moves items from the handler's stream to the caller, as credits allow.
    async fn produce<S>(
        &self,
        writer: &Writer<M::Item, ReplyEnd<M::Error>>,
        stream: S,
    ) -> (How, ReplyEnd<M::Error>)
    where
        M: ServerStreaming,
        S: Stream<Item = Result<M::Item, M::Error>>,
    {
        let (cx, place) = (&self.cx, self.scope.place());
        let mut stream = pin!(Some(stream));
        // Those that the stream spawns: they run while it does.
        let mut tasks = None::<Box<ScopedTasks>>;
        let mut watchdog = Watching::new(cx);
        let end = loop {
            let produced = poll_fn(|task| {
                if let Poll::Ready(produced) =
                    produce_some::<M, S>(writer, stream.as_mut(), cx, task)
                {
                    return Poll::Ready(produced);
                }
                if tasks.is_some() || cx.has_spawned() {
                    let tasks = tasks.get_or_insert_default();
                    if let Err(panic) = cx.span().catch(|| tasks.poll(cx, task)) {
                        let end = Err(panicked(panic));
                        return Poll::Ready(Produced::End(How::Panicked, end));
                    }
                }
                watchdog.poll(task).map(Produced::stopped)
            })
            .await;
            let by = match (produced, cx.cancelled_by()) {
                (Produced::End(how, end), _) => break (how, end),
                // A stream that waits for its reader has nothing to finish, so it has no grace.
                (Produced::NeedsCredit, Some(by)) => by,
                (Produced::NeedsCredit, None) => {
                    if let Some(place) = place {
                        place.give_back();
                    }
                    poll_fn(|task| match writer.poll_credit(task) {
                        // Credit, or a reader that has gone: the next round finds out which.
                        Poll::Ready(_) => Poll::Ready(()),
                        Poll::Pending => watchdog.poll_cancelled(task).map(|_by| ()),
                    })
                    .await;
                    if let Some(place) = place {
                        // Also for a call that was cancelled meanwhile: its end gives up a place,
                        // and it must have one by then.
                        poll_fn(|task| place.poll_return(task)).await;
                    }
                    continue;
                }
            };
            break (How::Cancelled, Err(Stopped::Cancelled(by).into_error()));
        };
        let stream_dropped = catch(|| stream.set(None));
        let tasks_dropped = match &mut tasks {
            None => give_up_all(cx.take_spawned()),
            Some(tasks) => tasks.give_up(cx),
        };
        match (stream_dropped.and(tasks_dropped), end) {
            (Ok(()), end) => end,
            // The items are all there, and so is their end.
            (Err(_), (How::Answered | How::Failed | How::Panicked, end)) => (How::Panicked, end),
            (Err(panic), _) => (How::Panicked, Err(panicked(panic))),
        }
    }

    /// The typed cell. Always there, since the context was made from it; finding it through its
    /// type costs less than a second counted reference.
    fn cell(&self) -> &CallCell<M> {
        let signal: &dyn Any = &**self.cx.signal();
        match signal.downcast_ref() {
            Some(cell) => cell,
            None => unreachable!("the context was made from this cell"),
        }
    }
}

impl<M: Method> Drop for Running<'_, M> {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        // Reached when the isolate ends in the middle of the call, and after each stream, of whose
        // end the cell knows.
        let (cell, worker) = (self.cell(), self.scope.worker());
        cell.abandon(worker, WorkerExit::Ended, &mut || {
            let traffic = cell.request_traffic();
            self.scope.record(Ended::ran(How::Died, traffic));
        });
    }
}

/// The result of one poll of a stream.
enum Produced<E> {
    /// The reader has as many items as it may have.
    NeedsCredit,
    End(How, ReplyEnd<E>),
}

impl<E> Produced<E> {
    /// Its reader has gone.
    fn gone() -> Self {
        Self::End(How::Cancelled, Ok(()))
    }

    fn stopped(by: CancelledBy) -> Self {
        Self::End(How::Cancelled, Err(Stopped::Cancelled(by).into_error()))
    }
}

/// Sends items for as long as there are any and there is credit, but at most one window of them,
/// so that a stream that is always ready lets others run.
fn produce_some<M, S>(
    writer: &Writer<M::Item, ReplyEnd<M::Error>>,
    mut stream: Pin<&mut Option<S>>,
    cx: &Context,
    task: &mut task::Context<'_>,
) -> Poll<Produced<M::Error>>
where
    M: ServerStreaming,
    S: Stream<Item = Result<M::Item, M::Error>>,
{
    // An item whose size panics is dropped outside of the unwinding, in which a panic of its drop would
    // end the process.
    let mut unmeasured = None;
    // The stream, the size of its items and their drop are the user's code.
    let produced = cx.span().catch(|| {
        // Asked for once: of each credit after the first, `push` has told.
        let mut has_credit = false;
        for _ in 0..WINDOW {
            if !has_credit {
                match writer.poll_credit(task) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(Closed)) => return Poll::Ready(Produced::gone()),
                    Poll::Pending => return Poll::Ready(Produced::NeedsCredit),
                }
            }
            let next = match stream.as_mut().as_pin_mut() {
                Some(stream) => ready!(stream.poll_next(task)),
                None => None,
            };
            let end = match next {
                Some(Ok(item)) => {
                    let bytes = M::item_bytes(unmeasured.insert(item));
                    let Some(item) = unmeasured.take() else {
                        continue;
                    };
                    // If no more items are read, the next credit says so.
                    has_credit = writer.push(item, bytes).unwrap_or(false);
                    continue;
                }
                Some(Err(error)) => Produced::End(How::Failed, Err(CallError::App(error))),
                None => Produced::End(How::Answered, Ok(())),
            };
            return Poll::Ready(end);
        }
        // The stream may be ready still, and has left no waker.
        task.waker().wake_by_ref();
        Poll::Pending
    });
    produced.unwrap_or_else(|panic| {
        let _second = catch(move || drop(unmeasured));
        Poll::Ready(Produced::End(How::Panicked, Err(panicked(panic))))
    })
}

fn contain_drop<T>(ended: Ended, value: T) -> Ended {
    match catch(move || drop(value)) {
        Ok(()) => ended,
        Err(_panic) => Ended {
            how: How::Panicked,
            ..ended
        },
    }
}

fn panicked<E, Q>(panic: Panic) -> CallError<E, Q> {
    Stopped::Panicked(panic).into_error()
}

impl Stopped {
    fn how(&self) -> How {
        match self {
            Self::Panicked(_) => How::Panicked,
            Self::Cancelled(_) => How::Cancelled,
        }
    }

    pub(crate) fn into_error<E, Q>(self) -> CallError<E, Q> {
        match self {
            Self::Panicked(panic) => CallError::Panicked {
                message: panic.message,
                location: panic.location,
            },
            Self::Cancelled(by) => CallError::Cancelled {
                by,
                outcome: Outcome::MaybeExecuted,
                request: None,
            },
        }
    }
}

impl<M: Method> fmt::Debug for Pending<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pending").field(&self.cell).finish()
    }
}

impl<M: Method> fmt::Debug for Running<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Running").field(&self.cx).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Thorn;

    impl Drop for Thorn {
        fn drop(&mut self) {
            panic!("a thorn");
        }
    }

    /// The worker learns it, and is built again.
    #[test]
    fn an_answer_that_comes_too_late_and_panics_in_its_drop_counts_as_a_panic() {
        let ended = Ended::ran(How::Cancelled, Traffic::default());
        assert_eq!(contain_drop(ended, ()).how, How::Cancelled);
        assert_eq!(contain_drop(ended, Thorn).how, How::Panicked);
    }
}
