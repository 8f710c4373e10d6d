//! The state that all runners of a loop share, and the protocol of merged loops.
//!
//! # Which loop runs a task
//! A loop that is not merged runs its own tasks. While it is merged, its owner runs them, on the
//! owner's thread. A loop takes its next task in two steps. First it looks at the queues that it
//! may run, one lock after the other. Then it locks the queue with the first place alone, checks
//! again that it may run this queue, and takes the task. So a merge, an unmerge or an end may
//! happen between the steps.
//!
//! # Never two at once
//! `running` names the loop that runs a task of this loop, from when the task is taken until its
//! observers have run. Meanwhile no other loop takes a task: after a merge the owner waits for
//! the task that still runs on the old thread, and after an unmerge the old thread waits for the
//! owner's. When the last task ends, its thread wakes the loop that runs the next one. The loop
//! named by `running` itself may take another task, so that a task may run a loop inside.
//!
//! # Wake-ups
//! A thread that puts an earlier task first in a queue, or hands a queue to another loop, wakes
//! the loop that runs the queue afterwards. A wake-up leaves a token, so it is not lost between
//! the last look and the sleep.
//!
//! # Locks
//! One per loop. Merging and unmerging hold two, in the order of their ids; nothing else does.
//! Tasks, observers, wake functions and destructors run under none.

use std::sync::Arc;

use insula_core::{Instant, Kept, contain};
use insula_sync::atomic::{AtomicU64, Ordering};
use insula_sync::{Mutex, MutexGuard, Parker, Rank, thread_number};

use crate::message_loop::{Flush, Flushed};
use crate::queue::{Run, TaskOrder, TaskQueue};

/// A function that runs after every task.
pub(crate) type Observe = Arc<dyn Fn() + Send + Sync>;

/// The observers of a loop, in the order in which they were added. Replaced as a whole, so that
/// they can be called without the lock.
type Observers = Arc<[(u64, Observe)]>;

pub(crate) struct Shared {
    /// Two loops are locked in the order of their ids.
    id: u64,
    label: Arc<str>,
    /// The number of the thread that made the loop.
    thread: u64,
    /// Numbers the posted tasks of all loops that can be merged.
    order: Arc<AtomicU64>,
    wake: Wake,
    state: Mutex<State>,
}

/// The way to wake the loop's thread.
pub(crate) enum Wake {
    /// It parks here, in [`Shared::run`].
    Park(Parker),
    /// It sleeps in a foreign loop, which this function wakes.
    Call(Kept<dyn Fn() + Send + Sync>),
}

struct State {
    tasks: TaskQueue,
    observers: Observers,
    next_observer: u64,
    relation: Relation,
    running: Option<Running>,
    phase: Phase,
    /// The number of bindings to the loop's thread. Unless it is 0, the loop cannot be subsumed.
    pins: usize,
}

enum Relation {
    Alone,
    /// Runs the tasks of these loops too. Never empty.
    Owns(Arc<[Arc<Shared>]>),
    /// This owner runs the tasks.
    OwnedBy(Arc<Shared>),
}

/// The loop `by` runs a task, or `depth` tasks nested in one another.
struct Running {
    by: u64,
    depth: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// Accepts no more tasks; its thread has not ended the loop yet.
    Ending,
    Over,
}

/// The right to run one task of `from`. Dropping it, also in a panic, gives the right back.
struct Turn<'a> {
    from: &'a Arc<Shared>,
    by: u64,
}

impl Shared {
    pub(crate) fn new(label: Arc<str>, order: Arc<AtomicU64>, wake: Wake) -> Arc<Self> {
        Arc::new(Self {
            // Relaxed, as in all uses of the counter: only the numbers matter, and where their
            // order does, they are drawn under a lock.
            id: order.fetch_add(1, Ordering::Relaxed),
            label,
            thread: thread_number(),
            order,
            wake,
            state: Mutex::ranked(
                State {
                    tasks: TaskQueue::default(),
                    observers: Arc::from([]),
                    next_observer: 0,
                    relation: Relation::Alone,
                    running: None,
                    phase: Phase::Open,
                    pins: 0,
                },
                Rank::new(30, "a loop"),
            ),
        })
    }

    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    /// Adds a task that is due at `due`. Returns `false` if the loop accepts no more tasks; the
    /// task has then been dropped.
    pub(crate) fn post(self: &Arc<Self>, due: Instant, run: Run) -> bool {
        let mut state = self.state.lock();
        if state.phase != Phase::Open {
            // `run` is code of a user, so it is dropped after the lock is released.
            drop(state);
            drop(run);
            return false;
        }
        // Drawn under the lock, so that tasks of one time are queued in the order of their numbers.
        let order = self.order.fetch_add(1, Ordering::Relaxed);
        let is_first = state.tasks.push(TaskOrder { due, order }, run);
        // Only a task that is first now changes when the loop has to wake up.
        let runner = is_first.then(|| state.runner(self));
        drop(state);
        if let Some(runner) = runner {
            runner.wake();
        }
        true
    }

    /// Returns whether the loop's tasks run on the calling thread at the moment.
    pub(crate) fn runs_here(self: &Arc<Self>) -> bool {
        // The loop that runs the tasks at the moment, which is another one while they are merged.
        let runner = self.state.lock().runner(self);
        runner.thread == thread_number()
    }

    pub(crate) fn is_ending(&self) -> bool {
        self.state.lock().phase != Phase::Open
    }

    /// Accepts no more tasks from now on, and wakes the loop's own thread, which ends the loop.
    pub(crate) fn terminate(self: &Arc<Self>) {
        let mut state = self.state.lock();
        // A loop that is over stays over.
        if state.phase == Phase::Open {
            state.phase = Phase::Ending;
        }
        drop(state);
        self.wake();
    }

    pub(crate) fn add_observer(&self, observe: Observe) -> u64 {
        let mut state = self.state.lock();
        let id = state.next_observer;
        state.next_observer += 1;
        if state.phase == Phase::Over {
            // The loop would never call it, and nothing would drop it before the loop itself.
            drop(state);
            drop(observe);
            return id;
        }
        let added = (id, observe);
        let observers = state.observers.iter().cloned().chain([added]).collect();
        let before = std::mem::replace(&mut state.observers, observers);
        drop(state);
        drop(before);
        id
    }

    pub(crate) fn remove_observer(&self, id: u64) -> bool {
        let mut state = self.state.lock();
        let left = state.observers.iter().filter(|it| it.0 != id);
        let left: Observers = left.cloned().collect();
        let before = std::mem::replace(&mut state.observers, left);
        let is_removed = before.len() != state.observers.len();
        drop(state);
        // After the lock: the observer's destructor is user code.
        drop(before);
        is_removed
    }

    /// Keeps the loop from being subsumed until [`unpin`](Self::unpin). Returns `false` if it is
    /// subsumed at the moment, or has been terminated.
    pub(crate) fn pin(&self) -> bool {
        let mut state = self.state.lock();
        let is_free = !matches!(state.relation, Relation::OwnedBy(_)) && state.phase == Phase::Open;
        state.pins += usize::from(is_free);
        is_free
    }

    pub(crate) fn unpin(&self) {
        self.state.lock().pins -= 1;
    }

    /// Merges `subsumed` into `self`. Returns `true` if they are merged now, or already were.
    pub(crate) fn merge(self: &Arc<Self>, subsumed: &Arc<Self>) -> bool {
        // A loop runs its own tasks already, and its lock cannot be taken twice below.
        if self.id == subsumed.id {
            return true;
        }
        let (mut owner, mut other) = Self::lock_both(self, subsumed);
        match &other.relation {
            Relation::OwnedBy(already) => return already.id == self.id,
            Relation::Owns(_) => return false,
            Relation::Alone => {}
        }
        let is_open = owner.phase == Phase::Open && other.phase == Phase::Open;
        if !is_open || other.pins > 0 {
            return false;
        }
        let owned = match &owner.relation {
            Relation::OwnedBy(_) => return false,
            Relation::Alone => Arc::from([subsumed.clone()]),
            Relation::Owns(owned) => owned.iter().chain([subsumed]).cloned().collect(),
        };
        owner.relation = Relation::Owns(owned);
        other.relation = Relation::OwnedBy(self.clone());
        drop((owner, other));
        // The owner runs the other loop's tasks from now on, and may sleep too long for them.
        self.wake();
        true
    }

    /// Gives `subsumed` its tasks back. Returns `false` if it was not merged into `self`.
    pub(crate) fn unmerge(self: &Arc<Self>, subsumed: &Arc<Self>) -> bool {
        if self.id == subsumed.id {
            return false;
        }
        let (mut owner, mut other) = Self::lock_both(self, subsumed);
        let is_owned = matches!(&other.relation, Relation::OwnedBy(it) if it.id == self.id);
        if !is_owned {
            return false;
        }
        other.relation = Relation::Alone;
        if let Relation::Owns(owned) = &owner.relation {
            let left = owned.iter().filter(|it| it.id != subsumed.id);
            let left: Arc<[_]> = left.cloned().collect();
            owner.relation = if left.is_empty() {
                Relation::Alone
            } else {
                Relation::Owns(left)
            };
        }
        drop((owner, other));
        // It has run none of its tasks since the merge, and some may be due.
        subsumed.wake();
        true
    }

    fn lock_both<'a>(
        one: &'a Self,
        two: &'a Self,
    ) -> (MutexGuard<'a, State>, MutexGuard<'a, State>) {
        // Not the owner first: two threads that merge the same loops in opposite directions would
        // deadlock.
        if one.id < two.id {
            let one = one.state.lock();
            (one, two.state.lock_beside())
        } else {
            let two = two.state.lock();
            (one.state.lock_beside(), two)
        }
    }

    /// Runs due tasks on the loop's thread. If the loop is ending, ends it.
    pub(crate) fn flush(self: &Arc<Self>, flush: Flush, now: &dyn Fn() -> Instant) -> Flushed {
        // The last run of an ending loop is in `end`, after it has left its owner.
        let mut tasks = if self.is_ending() {
            0
        } else {
            let most = match flush {
                Flush::Single => 1,
                Flush::All => self.waiting(),
            };
            // One time for all of these tasks. A task that becomes due meanwhile runs in the next
            // flush, after the foreign loop has had its turn.
            self.run_due(now(), most)
        };
        let is_over = self.is_ending() && self.end(now(), &mut tasks);
        Flushed {
            tasks,
            next_due: self.next_due(),
            is_over,
        }
    }

    /// Runs the loop on its thread until it has ended.
    pub(crate) fn run(self: &Arc<Self>, now: &dyn Fn() -> Instant) {
        let Wake::Park(parker) = &self.wake else {
            unreachable!("a loop that a foreign loop drives has no `run`");
        };
        loop {
            let flushed = self.flush(Flush::All, now);
            if flushed.is_over {
                return;
            }
            match flushed.next_due.map(|due| due - now()) {
                None => parker.park(),
                // A task is due already, so this flushes again at once.
                Some(left) if left.is_zero() => {}
                Some(left) => {
                    parker.park_timeout(left);
                }
            }
        }
    }

    /// Returns the time at which the first task is due that this loop runs.
    pub(crate) fn next_due(self: &Arc<Self>) -> Option<Instant> {
        let owned = self.owned()?;
        let queues = [self].into_iter().chain(owned.iter());
        let first = queues.filter_map(|queue| queue.first_for(self.id)).min();
        first.map(|place| place.due)
    }

    /// Ends the loop unless one of its tasks is running: runs the due tasks one last time, gives
    /// merged loops their tasks back and drops the rest of its own. Returns whether it has ended.
    fn end(self: &Arc<Self>, now: Instant, tasks: &mut usize) -> bool {
        self.leave_owner();
        if self.state.lock().running.is_some() {
            // If another loop runs the task, it wakes this loop afterwards. Otherwise this thread
            // runs it, further down the stack, and ends the loop there.
            return false;
        }
        *tasks += self.run_due(now, self.waiting());
        self.close();
        true
    }

    /// Ends the loop without the last run.
    pub(crate) fn close(self: &Arc<Self>) {
        self.leave_owner();
        for subsumed in self.owned().iter().flat_map(|owned| owned.iter()) {
            self.unmerge(subsumed);
        }
        let mut state = self.state.lock();
        state.phase = Phase::Over;
        let rest = std::mem::take(&mut state.tasks);
        let observers = std::mem::replace(&mut state.observers, Arc::from([]));
        drop(state);
        // One at a time, so that a panicking destructor does not keep the others from running.
        for task in rest.into_tasks() {
            contain(|| drop(task));
        }
        // Out of the list, whose own destructor would drop all of them at once.
        let each: Vec<_> = observers.iter().cloned().collect();
        drop(observers);
        for observer in each {
            contain(|| drop(observer));
        }
    }

    fn leave_owner(self: &Arc<Self>) {
        let owner = match &self.state.lock().relation {
            Relation::OwnedBy(owner) => owner.clone(),
            Relation::Alone | Relation::Owns(_) => return,
        };
        // If another thread has unmerged it meanwhile, this does nothing, and an ending loop is
        // not merged again.
        owner.unmerge(self);
    }

    /// Runs up to `most` tasks that are due at `now`, and the observers after each.
    fn run_due(self: &Arc<Self>, now: Instant, most: usize) -> usize {
        for done in 0..most {
            // Asked anew for each task, since a task may merge and unmerge.
            let Some(owned) = self.owned() else {
                return done;
            };
            let Some((turn, run)) = self.take(&owned, now) else {
                return done;
            };
            run();
            // `turn` still lives: no other loop takes a task before the observers have run.
            self.notify_observers(turn.from);
        }
        most
    }

    /// Takes the first due task of this loop and those that it owns.
    fn take<'a>(
        self: &'a Arc<Self>,
        owned: &'a [Arc<Self>],
        now: Instant,
    ) -> Option<(Turn<'a>, Run)> {
        loop {
            let queues = [self].into_iter().chain(owned);
            let places = queues.filter_map(|queue| Some((queue.first_for(self.id)?, queue)));
            let due = places.filter(|(place, _)| place.due <= now);
            let (_, first) = due.min_by_key(|(place, _)| *place)?;
            if let Some(taken) = first.begin(self.id, now) {
                return Some(taken);
            }
            // The queue has been handed to another loop since the look at it. This happens at
            // most once per unmerge, which bounds the loop.
        }
    }

    fn begin(self: &Arc<Self>, by: u64, now: Instant) -> Option<(Turn<'_>, Run)> {
        let mut state = self.state.lock();
        if !state.may_be_run(self.id, by) {
            return None;
        }
        // Compared again: the task that was first may have been taken, and the next one need not be
        // due.
        let run = state.tasks.pop_if(|place| place.due <= now)?;
        state.running.get_or_insert(Running { by, depth: 0 }).depth += 1;
        Some((Turn { from: self, by }, run))
    }

    /// Returns the place of the first task, if the loop `by` may run it.
    fn first_for(&self, by: u64) -> Option<TaskOrder> {
        let state = self.state.lock();
        let may_be_run = state.may_be_run(self.id, by);
        may_be_run.then(|| state.tasks.first()).flatten()
    }

    /// Returns the loops that this one owns, or `None` if it is owned itself.
    fn owned(&self) -> Option<Arc<[Arc<Self>]>> {
        match &self.state.lock().relation {
            Relation::Alone => Some(Arc::from([])),
            Relation::Owns(owned) => Some(owned.clone()),
            Relation::OwnedBy(_) => None,
        }
    }

    /// Returns the number of waiting tasks of this loop and those that it owns.
    fn waiting(&self) -> usize {
        // One lock at a time: the number is only a limit for one run, and need not be exact.
        let owned = self.owned();
        let mut count = self.state.lock().tasks.len();
        for queue in owned.iter().flat_map(|owned| owned.iter()) {
            count += queue.state.lock().tasks.len();
        }
        count
    }

    /// Runs the observers of this loop and of those that it owns, and those of `from`, the task's
    /// loop, even if it was unmerged meanwhile.
    fn notify_observers(&self, from: &Arc<Self>) {
        let mut is_told = from.id == self.id;
        self.call_observers();
        for queue in self.owned().iter().flat_map(|owned| owned.iter()) {
            is_told |= queue.id == from.id;
            queue.call_observers();
        }
        if !is_told {
            from.call_observers();
        }
    }

    fn call_observers(&self) {
        // Called without the lock, so that an observer may add and remove observers.
        let observers = self.state.lock().observers.clone();
        for (_, observe) in &*observers {
            observe();
        }
    }

    fn wake(&self) {
        match &self.wake {
            Wake::Park(parker) => parker.unpark(),
            // Its panic must not reach the caller, which posts a task or has just run one.
            Wake::Call(wake) => contain(|| wake.get()()),
        }
    }
}

impl State {
    /// Returns the loop that runs the tasks of `this`, the loop of this state. An ending loop
    /// runs its own.
    fn runner(&self, this: &Arc<Shared>) -> Arc<Shared> {
        match &self.relation {
            Relation::OwnedBy(owner) if self.phase == Phase::Open => owner.clone(),
            _ => this.clone(),
        }
    }

    /// Returns whether the loop `by` may take a task of `this`, the loop of this state.
    fn may_be_run(&self, this: u64, by: u64) -> bool {
        let runner = match &self.relation {
            Relation::OwnedBy(owner) if self.phase == Phase::Open => owner.id,
            _ => this,
        };
        let is_free = self.running.as_ref().is_none_or(|running| running.by == by);
        runner == by && is_free
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.from.state.lock();
        if let Some(running) = &mut state.running {
            running.depth -= 1;
            if running.depth == 0 {
                state.running = None;
            }
        }
        let runner = state.runner(self.from);
        let is_free = state.running.is_none();
        drop(state);
        // The loop `by` itself looks at the queue again, so it needs no wake-up.
        if is_free && runner.id != self.by {
            runner.wake();
        }
    }
}
