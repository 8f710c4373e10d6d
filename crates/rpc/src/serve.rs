//! The direct endpoint: callers reach one isolate through its port, without a pool.
//!
//! [`serve`] runs one call after the other. The one exception is a call whose stream waits for its
//! reader: it gives its place back and the next call starts; once its reader wants more, it goes on
//! as soon as no other call runs, before any call that has not started.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll, Waker};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, Stream as _};
use insula_core::{IsolateId, ReceivePort, SendError, SendPort, wake_contained};
use insula_sync::Mutex;
use insula_sync::atomic::{AtomicBool, Ordering};

use crate::context::{Place, Scope, WorkerId};
use crate::contract::{CallInfo, Calls, Endpoint, Refusal, Respond, Ticket};
use crate::error::{CancelledBy, Reject, WorkerExit};
use crate::guard::catch;

/// The time that a cancelled handler may go on under [`serve`] before its future is dropped.
// As long as that of a pool, unless the pool is built with another one.
const GRACE: Duration = Duration::from_secs(1);

/// Answers the calls that arrive at a port, one after the other, until the port is closed and
/// no caller is left.
///
/// # Ordering
/// Calls start in the order of the port and do not overlap, but for a stream that waits for its
/// reader: meanwhile the next call runs, unless the methods of the contract take `&mut self`. A
/// handler that calls its own service waits for itself: give such a call a deadline.
///
/// # Cancellation
/// Dropping the future ends running calls with `WorkerDied`, maybe executed; calls that wait
/// in the port end when the port is dropped, not started.
pub async fn serve<R: Respond>(mut port: ReceivePort<R::Contract>, responder: R) {
    let place = Arc::new(OnePlace::default());
    // There is no pool to be named after, and one worker that is never built again.
    let scope = Scope::new("".into(), WorkerId::new(0), 0, GRACE);
    // A service that one call uses at a time is used until the end of that call's stream.
    let shared = (!R::EXCLUSIVE).then(|| Arc::clone(&place) as _);
    let scope = scope.at(shared, None);
    let mut calls = Running {
        place: &place,
        current: Slot(None),
        absent: FuturesUnordered::new(),
        respond: |call| responder.respond(call, &scope),
    };
    poll_fn(|task| calls.poll(&mut port, task)).await;
}

/// The one place of a service that runs one call at a time.
/// Only the isolate of [`serve`] uses it, so nothing here is decided between threads.
#[derive(Default)]
struct OnePlace {
    is_taken: AtomicBool,
    /// Those that want to go on. Each is a stream that has a reader, so their number is bounded by
    /// the calls that have started.
    returning: Mutex<Vec<Waker>>,
}

impl Place for OnePlace {
    fn give_back(&self) {
        self.is_taken.store(false, Ordering::Relaxed);
        // Moved out first: a waker is foreign code, and is woken without the lock.
        let returning = std::mem::take(&mut *self.returning.lock());
        returning.into_iter().for_each(wake_contained);
    }

    fn poll_return(&self, task: &mut task::Context<'_>) -> Poll<()> {
        if self.is_taken() {
            // Woken all at once when the place is free; one of them gets it.
            let waker = task.waker().clone();
            self.returning.lock().push(waker);
            return Poll::Pending;
        }
        self.take();
        Poll::Ready(())
    }
}

impl OnePlace {
    fn take(&self) {
        self.is_taken.store(true, Ordering::Relaxed);
    }

    fn is_taken(&self) -> bool {
        self.is_taken.load(Ordering::Relaxed)
    }
}

/// The calls that have started.
struct Running<'a, F, B> {
    place: &'a OnePlace,
    /// The call that was started last, while it has the place.
    current: Slot<F>,
    /// Calls that have given the place back; one of them may have it again.
    absent: FuturesUnordered<Slot<F>>,
    /// Makes the future of a call.
    respond: B,
}

/// A call, or no call, in memory that the next one uses again. It is not moved while the call runs.
struct Slot<F>(Option<Pin<Box<Option<F>>>>);

impl<F: Future> Slot<F> {
    /// Polls the call; `None` if there is none. A call that is ready is gone.
    fn poll_call(&mut self, task: &mut task::Context<'_>) -> Option<Poll<()>> {
        let memory = self.0.as_mut()?;
        let polled = memory.as_mut().as_pin_mut()?.poll(task);
        // What a handler leaves behind was dropped by its responder, which catches panics.
        Some(polled.map(|_ended| memory.set(None)))
    }
}

/// The values that a handler holds may panic in their drops. Many calls are dropped together when the
/// isolate ends, and a panic of one would leave the others behind.
impl<F> Drop for Slot<F> {
    fn drop(&mut self) {
        if let Some(memory) = self.0.take() {
            let _panic = catch(move || drop(memory));
        }
    }
}

impl<F: Future> Future for Slot<F> {
    /// The memory.
    type Output = Self;

    fn poll(mut self: Pin<&mut Self>, task: &mut task::Context<'_>) -> Poll<Self> {
        match self.poll_call(task) {
            Some(Poll::Pending) => Poll::Pending,
            Some(Poll::Ready(())) | None => Poll::Ready(Self(self.0.take())),
        }
    }
}

impl<F, B> Running<'_, F, B> {
    /// Ready once the port is closed, no caller is left, and every call has ended.
    fn poll<C>(&mut self, port: &mut ReceivePort<C>, task: &mut task::Context<'_>) -> Poll<()>
    where
        C: Send + 'static,
        F: Future,
        B: Fn(C) -> F,
    {
        loop {
            match self.current.poll_call(task) {
                None => {}
                Some(Poll::Ready(())) => self.end(),
                Some(Poll::Pending) if self.place.is_taken() => return Poll::Pending,
                // It waits for the reader of its stream.
                Some(Poll::Pending) => self.absent.push(Slot(self.current.0.take())),
            }
            while !self.absent.is_empty()
                && let Poll::Ready(Some(memory)) = Pin::new(&mut self.absent).poll_next(task)
            {
                self.current = memory;
                // A call has its place at its end.
                self.end();
            }
            if self.place.is_taken() {
                return Poll::Pending;
            }
            match port.poll_recv(task) {
                Poll::Ready(Some(call)) => self.begin(call),
                Poll::Ready(None) if self.absent.is_empty() => return Poll::Ready(()),
                // Calls that have started go on, though the port may have ended.
                Poll::Ready(None) | Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn begin<C>(&mut self, call: C)
    where
        B: Fn(C) -> F,
    {
        self.place.take();
        let memory = self.current.0.get_or_insert_with(|| Box::pin(None));
        memory.set(Some((self.respond)(call)));
    }

    fn end(&mut self) {
        // Only absent calls wait for the place, so that without any there is no lock to take.
        if self.absent.is_empty() {
            self.place.is_taken.store(false, Ordering::Relaxed);
        } else {
            self.place.give_back();
        }
    }
}

/// A port takes calls in its own order. A bounded port that is full rejects them, since a
/// submission never waits. Keys have no meaning: there is one worker.
impl<C: Calls> Endpoint<C> for SendPort<C> {
    fn submit(&self, call: C, _info: CallInfo) -> Ticket {
        match self.send(call) {
            Ok(()) => {}
            Err(SendError::Full(call)) => {
                // Whatever the admission says: a port has no place for callers that would wait.
                call.pending().refuse(Refusal::Rejected(Reject::QueueFull));
            }
            Err(SendError::Closed(call)) => {
                let exit = WorkerExit::Ended;
                call.pending()
                    .refuse(Refusal::WorkerDied { exit, worker: None });
            }
        }
        Ticket::NONE
    }

    /// The request has gone back to its caller; the empty call stays in the port until its turn.
    fn withdraw(&self, _ticket: Ticket, _by: CancelledBy) {}

    fn isolates(&self) -> Vec<IsolateId> {
        vec![self.isolate_id()]
    }
}
