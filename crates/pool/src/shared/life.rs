//! The life of the workers and of the pool: what happens to them goes to the dispatch, and what it decides
//! is carried out.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{self, Poll};
use std::time::Duration;

use insula_core::{Instant, IsolateId, Sleep, sleep_until};
use insula_rpc::{Calls, CancelledBy, Signal, WorkerExit, WorkerId, catch};
use insula_sync::atomic::Ordering;

use super::{Shared, unless, within};
use crate::dispatch::{Condition, Dispatch, Fate, Step};
use crate::error::{BuildError, ReloadError, ResizeError, WorkerFault};
use crate::health::{Readiness, Resident, SetReadiness};
use crate::lifecycle::{Directive, Start};

impl<C: Calls> Shared<C> {
    /// A state of a worker has its isolate.
    pub(crate) fn move_in(&self, worker: usize, resident: Resident) {
        self.isolates.lock()[worker].push(resident);
    }

    /// The isolates of all states.
    pub(crate) fn residents(&self) -> Vec<(WorkerId, Resident)> {
        let isolates = self.isolates.lock();
        let of_workers = isolates.iter().zip(0..);
        of_workers
            .flat_map(|(of_one, worker)| {
                let residents = of_one.iter().cloned();
                residents.map(move |it| (WorkerId::new(worker), it))
            })
            .collect()
    }

    /// The calls that a state of a worker runs.
    pub(crate) fn running_on(&self, worker: usize, incarnation: u32) -> Vec<Arc<dyn Signal>> {
        let running = self.state.lock().running_on(worker, incarnation);
        running.into_iter().flatten().collect()
    }

    /// The calls that run now, each with its worker, and whether it is a stream that waits.
    pub(crate) fn calls_in_flight(&self) -> Vec<(WorkerId, Arc<dyn Signal>, bool)> {
        let calls = self.state.lock().in_flight().into_iter();
        calls
            .filter_map(|(worker, call, waits)| Some((worker, call?, waits)))
            .collect()
    }

    /// Calls that wait in the queue, in no order, and at most so many.
    pub(crate) fn calls_in_queue(&self, most: usize) -> Vec<Arc<dyn Signal>> {
        let calls = self.state.lock().waiting_calls(most);
        calls.into_iter().flatten().collect()
    }

    /// A state of a worker is stuck, and will be given up.
    pub(crate) fn leave_behind(&self, worker: usize, incarnation: u32) {
        let actions = self.state.lock().leave_behind(worker, incarnation);
        self.perform(actions);
    }

    /// A state of a worker is stuck, and its calls have ended.
    pub(crate) fn stuck(&self, worker: usize, incarnation: u32) {
        self.end(worker, incarnation, WorkerFault::Stuck);
        // An earlier state, which had streams only, is no worker that could start again.
        let actions = self.state.lock().give_up_state(worker, incarnation);
        self.perform(actions);
    }

    /// Ends a call that runs, and counts it as one that has died with its worker.
    pub(crate) fn abandon(&self, worker: WorkerId, signal: &dyn Signal) {
        // The lock of the state is taken under that of a call, and never the other way round. Counted
        // before the caller can see it, as any other end.
        signal.abandon(worker, WorkerExit::Abandoned, &mut || {
            self.state.lock().tally.died += 1;
        });
    }

    /// Sets whether a state of a worker serves.
    pub(super) fn set_serving(&self, worker: usize, incarnation: u32, is_serving: bool) {
        let mut state = self.state.lock();
        let actions = state.set_serving(worker, incarnation, is_serving);
        drop(state);
        self.perform(actions);
        self.tell();
    }

    /// The readiness of a state of a worker, for its services.
    pub(crate) fn readiness(self: &Arc<Self>, worker: usize, incarnation: u32) -> Readiness {
        Readiness(Arc::new(ReadinessOf {
            shared: Arc::downgrade(self),
            worker,
            incarnation,
        }))
    }

    pub(crate) fn clear_quarantine(&self) {
        self.state.lock().clear_quarantine();
    }

    /// Begins to replace the services of all workers.
    pub(crate) fn begin_reload(&self) {
        let before = self.state.lock().reload();
        self.changed();
        // The user's, of the last reload.
        let _dropped = catch(move || drop(before));
    }

    /// Replaces the services of all workers.
    pub(crate) async fn reload(&self) -> Result<(), ReloadError> {
        self.begin_reload();
        self.when(Dispatch::reloaded).await
    }

    /// The isolate of a state ends. Nothing of it is kept here.
    pub(crate) fn move_out(&self, worker: usize, isolate: IsolateId) {
        let mut isolates = self.isolates.lock();
        let of_one = &mut isolates[worker];
        let index = of_one.iter().position(|it| it.isolate.id() == isolate);
        let gone = index.map(|index| of_one.remove(index));
        drop(isolates);
        drop(gone);
    }

    /// Kills the isolates of all workers.
    pub(crate) fn kill_all(&self) {
        // A copy, because an isolate that ends takes this lock when it moves out.
        for (_, resident) in self.residents() {
            resident.isolate.kill();
        }
    }

    pub(crate) fn suspect(&self, worker: usize, incarnation: u32) {
        let actions = self.state.lock().suspect(worker, incarnation);
        self.perform(actions);
        self.tell();
    }

    /// The lanes that a worker is to run, now that its state is built.
    pub(crate) fn ready(&self, worker: usize, incarnation: u32) -> Option<Vec<usize>> {
        let now = Instant::now();
        let (lanes, actions) = self.state.lock().ready(worker, incarnation, now);
        self.perform(actions);
        self.tell();
        lanes
    }

    /// Waits until all loops of a state have ended.
    pub(crate) async fn quiet(&self, worker: usize, incarnation: u32) {
        poll_fn(|cx| {
            // Cloned before the lock is taken, and what it replaces is dropped after.
            let waker = cx.waker().clone();
            let (is_quiet, unused) = self.state.lock().is_quiet(worker, incarnation, waker);
            drop(unused);
            if is_quiet {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }

    pub(crate) fn rebuild(&self, worker: usize, incarnation: u32) -> Option<u32> {
        let (next, actions) = self.state.lock().rebuild(worker, incarnation);
        self.perform(actions);
        self.tell();
        next
    }

    /// A state of a worker has ended, or could not be built. The policy has the worker start again,
    /// or it is lost.
    pub(crate) fn end(&self, worker: usize, incarnation: u32, fault: WorkerFault) {
        // First, so that nothing is decided about a worker that ends with its pool.
        if self.state.lock().is_ended(worker, incarnation) {
            return;
        }
        // The user's code, and so asked without the lock.
        let policy = self.restart.lock().clone();
        let fate = match policy.directive(&fault) {
            Directive::Restart => Fate::ByPolicy(Instant::now()),
            Directive::Stop => Fate::Lost,
        };
        // It may have been replaced meanwhile, and be the last one.
        let _dropped = catch(move || drop(policy));
        self.lose_as(worker, incarnation, fault, fate);
    }

    /// A state of a worker has ended, or could not be built, and the worker is lost.
    pub(crate) fn lose(&self, worker: usize, incarnation: u32, fault: WorkerFault) {
        self.lose_as(worker, incarnation, fault, Fate::Lost);
    }

    pub(super) fn lose_as(&self, worker: usize, incarnation: u32, fault: WorkerFault, fate: Fate) {
        let fault = Arc::new(fault);
        let actions = self.state.lock().lose(worker, incarnation, &fault, fate);
        self.perform(actions);
        self.tell();
    }

    /// Waits for a worker that is to start; `None` once the pool is over.
    pub(crate) async fn next_start(&self) -> Option<Start> {
        let mut timer = None::<Pin<Box<Sleep>>>;
        poll_fn(|cx| {
            loop {
                // Before the lock is taken: the waker may be of any executor.
                let (waker, now) = (cx.waker().clone(), Instant::now());
                let mut state = self.state.lock();
                let step = state.supervise(now);
                let old = match step {
                    Step::Wait | Step::WaitUntil(_) => state.watch(waker),
                    Step::Start(_) | Step::Retired(_) | Step::End => None,
                };
                drop(state);
                drop(old);
                // Starts that a closed pool has given up may have been its last ones.
                self.tell();
                match step {
                    Step::Start(start) => return Poll::Ready(Some(start)),
                    Step::Retired(actions) => {
                        // Then asked again, without a wait.
                        self.perform(actions);
                        self.tell();
                    }
                    Step::End => return Poll::Ready(None),
                    Step::Wait => return Poll::Pending,
                    Step::WaitUntil(at) => {
                        let timer = timer.insert(Box::pin(sleep_until(at)));
                        task::ready!(timer.as_mut().poll(cx));
                    }
                }
            }
        })
        .await
    }

    /// The workers that are not gone.
    pub(crate) fn present(&self) -> Vec<WorkerId> {
        let state = self.state.lock();
        let workers = state.workers();
        let present = workers.filter(|(_, condition, ..)| condition.is_present());
        present.map(|(id, ..)| id).collect()
    }

    /// The most workers that the pool may have.
    pub(crate) fn slots(&self) -> usize {
        self.books.len()
    }

    /// Sets the number of workers.
    pub(crate) fn try_resize(&self, workers: usize) -> Result<(), ResizeError> {
        let most = self.slots();
        if workers == 0 || workers > most {
            return Err(ResizeError { workers, most });
        }
        self.state.lock().resize(workers);
        self.changed();
        Ok(())
    }

    /// Nothing starts workers any more.
    pub(crate) fn orphan(&self) {
        let actions = self.state.lock().orphan();
        self.perform(actions);
        self.tell();
    }

    /// The isolate of a state of a worker has ended.
    pub(crate) fn bury(&self, worker: usize, incarnation: u32) {
        let actions = self.state.lock().bury(worker, incarnation);
        self.perform(actions);
        self.tell();
    }

    /// The isolate of a state of a worker is about to be spawned.
    pub(crate) fn spawning(&self, start: Start) {
        let Start {
            worker,
            incarnation,
        } = start;
        self.state.lock().spawning(worker, incarnation);
        self.tell();
    }

    /// Tells what has happened to workers, unless another thread does.
    pub(super) fn tell(&self) {
        let mut batch = self.state.lock().events();
        while let Some(events) = batch {
            self.hub.tell(events);
            batch = self.state.lock().more_events();
        }
    }

    /// Waits until every worker is ready for the first time.
    pub(crate) async fn started(&self) -> Result<(), BuildError> {
        self.when(|state| {
            let mut is_starting = false;
            for (worker, condition, ..) in state.workers() {
                match condition {
                    Condition::Lost(fault) => {
                        return Some(Err(BuildError::Startup {
                            worker,
                            fault: Arc::clone(fault),
                        }));
                    }
                    Condition::Starting => is_starting = true,
                    _ => {}
                }
            }
            (!is_starting).then_some(Ok(()))
        })
        .await
    }

    /// Waits until nothing of the pool runs any more, or its shutdown has come to its end.
    pub(crate) async fn over(&self) {
        // One without workers that is about to start another one is not over.
        let all = self.when(|state| (state.is_over() && !state.has_reserve()).then_some(()));
        let shut_down = async {
            self.report().await;
        };
        unless(shut_down, all).await;
    }

    /// Waits until a state that is being built is not needed any more.
    pub(crate) async fn unneeded(&self, worker: usize, incarnation: u32) {
        self.when(|state| state.is_unneeded(worker, incarnation).then_some(()))
            .await;
    }

    /// The first worker that has not become ready.
    pub(crate) fn first_starting(&self) -> Option<WorkerId> {
        let state = self.state.lock();
        let mut workers = state.workers();
        workers
            .find(|(_, condition, ..)| matches!(condition, Condition::Starting))
            .map(|w| w.0)
    }

    /// Takes on the end of the pool: its shutdown, or its drop. `false` if another one has.
    pub(crate) fn takes_on_end(&self) -> bool {
        // Relaxed: only one may win, and what follows is under locks.
        !self.is_ending.swap(true, Ordering::Relaxed)
    }

    /// Stops taking calls. `false` if that has happened before.
    pub(crate) fn drain(&self, rejects_queued: bool) -> bool {
        let mut state = self.state.lock();
        let drained = state.drain(rejects_queued);
        let is_first = drained.is_some();
        // An inspector may have let it drain before.
        let actions = match drained {
            Some(actions) => actions,
            None if rejects_queued => state.reject_queued(),
            None => return false,
        };
        drop(state);
        self.perform(actions);
        is_first
    }

    /// Turns away what is queued and asks what runs to stop.
    pub(crate) fn stop_all(&self) {
        let mut state = self.state.lock();
        let actions = state.close_all();
        // Under the same lock as the end: no call starts in between and is missed.
        let running = state.running();
        drop(state);
        self.perform(actions);
        running
            .into_iter()
            .filter_map(|(_, handle)| handle)
            .for_each(|signal| signal.ask_to_stop(CancelledBy::Shutdown));
    }

    /// Ends the calls that still run, and gives their workers up.
    pub(crate) fn abandon_all(&self) {
        let running = self.state.lock().running();
        let abandoned = running
            .into_iter()
            .filter_map(|(worker, handle)| Some((worker, handle?)));
        for (worker, signal) in abandoned {
            self.abandon(worker, &*signal);
        }
        for worker in 0..self.books.len() {
            let incarnation = self.state.lock().incarnation(worker);
            self.lose(worker, incarnation, WorkerFault::Stuck);
            // A worker that was lost before may still run calls on an earlier state.
            let actions = self.state.lock().give_up(worker);
            self.perform(actions);
        }
    }

    /// Returns the number of queued calls that the end of the pool has turned away.
    pub(crate) fn turned_away(&self) -> u64 {
        self.state.lock().turned_away()
    }

    /// Returns whether all workers end within `time`.
    pub(crate) async fn is_over_within(&self, time: Duration) -> bool {
        within(time, self.when(|state| state.is_over().then_some(())))
            .await
            .is_some()
    }

    /// A state of a worker is so short of memory: from 0 to 1.
    pub(crate) fn set_pressure(&self, worker: usize, incarnation: u32, pressure: f64) {
        self.state
            .lock()
            .set_pressure(worker, incarnation, pressure);
    }

    /// A state of a worker holds all the memory that it may: it takes no more calls, and gets a
    /// successor.
    pub(crate) fn exhaust(&self, worker: usize, incarnation: u32) {
        let actions = self
            .state
            .lock()
            .exhaust(worker, incarnation, Instant::now());
        self.perform(actions);
        self.changed();
    }
}

/// The readiness of one state of a worker.
struct ReadinessOf<C: Calls> {
    /// The services, which may keep this, are kept by the pool.
    shared: Weak<Shared<C>>,
    worker: usize,
    incarnation: u32,
}

impl<C: Calls> SetReadiness for ReadinessOf<C> {
    fn set(&self, is_serving: bool) {
        if let Some(shared) = self.shared.upgrade() {
            shared.set_serving(self.worker, self.incarnation, is_serving);
        }
    }
}
