//! The cell of one call: where a caller and a callee meet.
//!
//! A call is one allocation, shared by its caller ([`CallFuture`](crate::CallFuture)) and its
//! callee ([`Pending`](crate::Pending) before the start, [`Running`](crate::pending::Running)
//! after).
//! The cell holds the request until a callee takes it, then the answer until the caller takes
//! it, the caller's waker, and one atomic state that decides every race:
//!
//! ```text
//!              start (callee)              settle (callee)
//!   Queued ───────────────────► Started ───────────────────► Done
//!     │ │                          │
//!     │ └── refuse (callee) ───────│──────────────────────► Done
//!     └──── cancel (caller) ────► Cancelled ◄── cancel ─────┘
//! ```
//!
//! Each arrow is decided once: the state is written only under the lock of the slot, together
//! with the data that belongs to it, so the second of two racing sides finds the new state and
//! changes nothing. (A compare-and-swap beside the lock would decide nothing that the lock does
//! not, and costs 5 ns more per arrow.) The state can be read without the lock.
//! - *start* wins the right to take the request and to run the handler. From here on the
//!   outcome of a failure is "maybe executed"; before, it is "not started".
//! - *settle* and *refuse* write the answer and wake the caller.
//! - *cancel* ends the call without an answer. From `Queued` it takes the request back. From
//!   `Started` it wakes the watchers of the call; the callee drops a later answer of the handler,
//!   since its *settle* fails.
//!
//! A server stream stays `Started` while its items flow: its answer (the reading end) is put
//! into the slot by *deposit*, which changes no state, and *settle* ends it without one.
//!
//! Apart from the state there is one flag, `stop`: a shutdown asks the handler to end. It is no
//! state, since a handler that still finishes in time has its answer delivered.
//!
//! No foreign code runs under the slot's lock: requests, answers and wakers are moved out and
//! dropped or woken after the lock is released. The ledger of a worker is told of a settled
//! call under it, so that an answer is counted before it can be seen.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Waker;

use insula_core::{Completer, Instant, IsolateId, wake_contained};
use insula_sync::atomic::{AtomicBool, AtomicU8, Ordering};
use insula_sync::{Mutex, MutexGuard, Rank};

use crate::WorkerId;
use crate::contract::{Method, Refusal};
use crate::error::{CallError, CancelledBy, Outcome, Phase, WorkerExit};
use crate::payload::Traffic;

/// The call has not been started.
const QUEUED: u8 = 0;
/// A callee runs it.
const STARTED: u8 = 1;
/// It has its answer, or is about to get it.
const DONE: u8 = 2;
/// It ended without an answer.
const CANCELLED: u8 = 3;

/// The result that a caller gets.
pub(crate) type Answer<M> =
    Result<<M as Method>::Response, CallError<<M as Method>::Error, <M as Method>::Request>>;

/// The shared part of one call.
pub(crate) struct CallCell<M: Method> {
    /// Written under the lock of `slot` only; see the protocol above.
    state: AtomicU8,
    /// Set once, by a shutdown.
    stop: AtomicBool,
    /// Never changes.
    deadline: Option<Instant>,
    /// Never changes.
    request_traffic: Traffic,
    slot: Mutex<Slot<M>>,
}

struct Slot<M: Method> {
    /// Present until it is taken by the winner of *start*, *refuse* or *cancel*.
    request: Option<M::Request>,
    /// Written once, taken by the caller.
    answer: Option<Answer<M>>,
    /// The task that the answer wakes.
    caller: Option<Waker>,
    /// The tasks that a cancellation wakes, one entry for each future that watches, by its place.
    /// A future takes its waker away when it is dropped.
    watchers: BTreeMap<u64, Waker>,
    next_watcher: u64,
    traffic: Traffic,
    worker: Option<WorkerId>,
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
            (STARTED, Some(worker)) if slot.answer.is_none() => {
                let isolate = self.isolates.get(worker.index());
                isolate.copied().into_iter().for_each(found);
            }
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
    /// Returns whether the caller has gone, the deadline was enforced or a shutdown asks to stop.
    fn is_cancelled(&self) -> bool;
    /// Returns the cause of the cancellation, if the call was cancelled.
    fn cancelled_by(&self) -> Option<CancelledBy>;
    /// Has `waker` woken at the cancellation. `true` if it has happened already.
    ///
    /// `place` is that of the future which watches, `None` at first: it has one waker here.
    fn watch(&self, place: &mut Option<u64>, waker: &Waker) -> bool;
    /// The future of this place watches no more.
    fn forget(&self, place: u64);
    /// The caller lets go of a running call.
    fn cancel(&self);
    /// Asks the handler to stop because its worker shuts down.
    fn stop(&self);
    /// Ends a running call whose worker is gone or is given up. `false` if it has ended already.
    fn abandon(&self, worker: WorkerId, exit: WorkerExit) -> bool;
}

impl<M: Method> CallCell<M> {
    pub(crate) fn new(request: M::Request, deadline: Option<Instant>, caller: Waker) -> Self {
        let traffic = Traffic::moved(M::request_bytes(&request));
        Self {
            state: AtomicU8::new(QUEUED),
            stop: AtomicBool::new(false),
            deadline,
            request_traffic: traffic,
            slot: Mutex::ranked(
                Slot {
                    request: Some(request),
                    answer: None,
                    caller: Some(caller),
                    watchers: BTreeMap::new(),
                    next_watcher: 0,
                    traffic,
                    worker: None,
                },
                Rank::new(50, "the slot of a call"),
            ),
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    pub(crate) fn is_queued(&self) -> bool {
        self.state.load(Ordering::Acquire) == QUEUED
    }

    /// One arrow of the diagram: the slot, in the new state, if the call was in the old one.
    fn go(&self, from: u8, to: u8) -> Option<MutexGuard<'_, Slot<M>>> {
        let slot = self.slot.lock();
        if self.state.load(Ordering::Relaxed) != from {
            return None;
        }
        // Release pairs with the Acquire of readers that do not take the lock.
        self.state.store(to, Ordering::Release);
        Some(slot)
    }

    /// The callee starts the call and takes the request.
    pub(crate) fn start(&self, worker: WorkerId) -> Option<M::Request> {
        let mut slot = self.go(QUEUED, STARTED)?;
        slot.worker = Some(worker);
        slot.request.take()
    }

    /// The callee ends an unstarted call.
    pub(crate) fn refuse(&self, why: Refusal) -> bool {
        let Some(mut slot) = self.go(QUEUED, DONE) else {
            return false;
        };
        let request = slot.request.take();
        slot.answer = Some(Err(match why {
            Refusal::Rejected(why) => CallError::Rejected { why, request },
            Refusal::Expired => CallError::Deadline {
                phase: Phase::Queue,
                outcome: Outcome::NotStarted,
                request,
            },
            Refusal::WorkerDied { exit, worker } => CallError::WorkerDied {
                exit,
                worker,
                outcome: Outcome::NotStarted,
                request,
            },
        }));
        let caller = slot.caller.take();
        drop(slot);
        wake(caller);
        true
    }

    /// The callee ends a running call with its answer. `settled` is told the traffic of the
    /// whole call before the answer can be seen. Gives the answer back if the call has ended
    /// otherwise.
    pub(crate) fn settle(
        &self,
        answer: Answer<M>,
        settled: impl FnOnce(Traffic),
    ) -> Result<(), Answer<M>> {
        let mut traffic = self.request_traffic;
        traffic.add(Traffic::moved(answer.as_ref().map_or(0, M::response_bytes)));
        let Some(mut slot) = self.go(STARTED, DONE) else {
            return Err(answer);
        };
        settled(traffic);
        slot.traffic = traffic;
        slot.answer = Some(answer);
        let caller = slot.caller.take();
        drop(slot);
        wake(caller);
        Ok(())
    }

    /// Hands over the callee's answer while the call goes on. Returns the answer if no caller
    /// waits for it any more.
    pub(crate) fn deposit(&self, answer: Answer<M>) -> Result<(), Answer<M>> {
        // A cancel that comes later finds the answer in the slot and drops it.
        let Some(mut slot) = self.go(STARTED, STARTED) else {
            return Err(answer);
        };
        slot.answer = Some(answer);
        let caller = slot.caller.take();
        drop(slot);
        wake(caller);
        Ok(())
    }

    /// The callee ends a call whose answer was deposited before. `false` if it has ended
    /// otherwise.
    pub(crate) fn settle_deposited(&self) -> bool {
        self.go(STARTED, DONE).is_some()
    }

    pub(crate) fn request_traffic(&self) -> Traffic {
        self.request_traffic
    }

    /// The caller's side of the call ends: its future was dropped or its deadline passed.
    pub(crate) fn leave(&self) -> Left<M::Request> {
        // Most calls are left with their answer taken.
        if self.state.load(Ordering::Acquire) == DONE {
            return Left::Ended;
        }
        if let Some(mut slot) = self.go(QUEUED, CANCELLED) {
            let (request, caller) = (slot.request.take(), slot.caller.take());
            drop(slot);
            drop(caller);
            return Left::Unstarted(request);
        }
        if let Some(mut slot) = self.go(STARTED, CANCELLED) {
            let watchers = std::mem::take(&mut slot.watchers);
            // A deposited stream that the caller has not taken.
            let (answer, caller) = (slot.answer.take(), slot.caller.take());
            drop(slot);
            drop((answer, caller));
            watchers.into_values().for_each(wake_contained);
            return Left::Running;
        }
        Left::Ended
    }

    /// The caller takes the answer, or leaves its waker.
    pub(crate) fn poll_answer(
        &self,
        waker: &Waker,
    ) -> Option<(Answer<M>, Traffic, Option<WorkerId>)> {
        let mut new = None;
        loop {
            let mut slot = self.slot.lock();
            if let Some(answer) = slot.answer.take() {
                return Some((answer, slot.traffic, slot.worker));
            }
            let caller = slot.caller.as_ref();
            if caller.is_some_and(|caller| caller.will_wake(waker)) {
                return None;
            }
            // A waker is foreign code: cloned without the lock, and only if that is needed.
            let Some(new) = new.take() else {
                drop(slot);
                new = Some(waker.clone());
                continue;
            };
            let old = slot.caller.replace(new);
            drop(slot);
            drop(old);
            return None;
        }
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        wake_contained(waker);
    }
}

impl<M: Method> Signal for CallCell<M> {
    fn is_cancelled(&self) -> bool {
        // Acquire pairs with the store of `leave`; Relaxed is enough for a request to stop.
        self.state.load(Ordering::Acquire) == CANCELLED || self.stop.load(Ordering::Relaxed)
    }

    fn cancelled_by(&self) -> Option<CancelledBy> {
        if self.state.load(Ordering::Acquire) == CANCELLED {
            let expired = self
                .deadline
                .is_some_and(|deadline| deadline <= Instant::now());
            return Some(if expired {
                CancelledBy::Deadline
            } else {
                CancelledBy::Caller
            });
        }
        self.stop
            .load(Ordering::Relaxed)
            .then_some(CancelledBy::Shutdown)
    }

    fn watch(&self, place: &mut Option<u64>, waker: &Waker) -> bool {
        let mut new = None;
        loop {
            let mut slot = self.slot.lock();
            // Looked at under the lock: a cancellation that comes later finds the waker here.
            if self.is_cancelled() {
                return true;
            }
            let known = place.and_then(|place| slot.watchers.get(&place));
            if known.is_some_and(|known| known.will_wake(waker)) {
                return false;
            }
            // A waker is foreign code: cloned without the lock, and only if that is needed.
            let Some(new) = new.take() else {
                drop(slot);
                new = Some(waker.clone());
                continue;
            };
            let own = place.unwrap_or(slot.next_watcher);
            slot.next_watcher += u64::from(place.replace(own).is_none());
            let before = slot.watchers.insert(own, new);
            drop(slot);
            drop(before);
            return false;
        }
    }

    fn forget(&self, place: u64) {
        let waker = self.slot.lock().watchers.remove(&place);
        drop(waker);
    }

    fn cancel(&self) {
        self.leave();
    }

    fn stop(&self) {
        // The flag is set before the watchers are taken; `watch` looks at it under the lock.
        self.stop.store(true, Ordering::Relaxed);
        let watchers = std::mem::take(&mut self.slot.lock().watchers);
        watchers.into_values().for_each(wake_contained);
    }

    fn abandon(&self, worker: WorkerId, exit: WorkerExit) -> bool {
        if self.state.load(Ordering::Acquire) != STARTED {
            return false;
        }
        let (worker, outcome) = (Some(worker), Outcome::MaybeExecuted);
        let error = CallError::WorkerDied {
            exit,
            worker,
            outcome,
            request: None,
        };
        self.settle(Err(error), |_traffic| {}).is_ok()
    }
}

impl<M: Method> std::fmt::Debug for CallCell<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = match self.state.load(Ordering::Relaxed) {
            QUEUED => "queued",
            STARTED => "started",
            DONE => "done",
            _ => "cancelled",
        };
        write!(f, "{}({state})", M::DESCRIPTOR.name)
    }
}
