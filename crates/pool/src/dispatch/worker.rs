//! A worker and its lanes, as the dispatch sees them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;

use insula_core::Instant;
use insula_rpc::WorkType;

use super::Job;
use super::choice::Load;
use super::order::Passed;
use crate::error::WorkerFault;
use crate::lifecycle::{Recycle, Restarts, Wear};

pub(super) struct Worker<J: Job> {
    pub(super) condition: Condition,
    pub(super) incarnation: u32,
    /// The last incarnation that was given to a state, also to one that could not be built.
    newest: u32,
    pub(super) places: usize,
    pub(super) lanes: Vec<Lane<J>>,
    /// Closed lanes, which are opened again before new ones are made.
    pub(super) closed: Vec<usize>,
    /// The parked lanes, the one that parked last on top: its state is in the cache.
    pub(super) parked: Vec<usize>,
    pub(super) woken: usize,
    /// Lanes that are not closed, of all states.
    pub(super) open: usize,
    /// Lanes that run a call.
    pub(super) busy: usize,
    /// The present state last, and before it earlier ones, while they have lanes.
    pub(super) states: Vec<State>,
    /// The lanes that want to return, in the order in which they asked.
    pub(super) returning: VecDeque<usize>,
    /// The incarnation of the state that is built beside the present one, to take its place.
    pub(super) successor: Option<u32>,
    /// Calls that the present state has ended.
    pub(super) calls: u64,
    /// Those of them that failed or panicked.
    pub(super) errors: u64,
    /// Drawn for the present state, from 0 to 1: how much earlier than others it is recycled.
    pub(super) draw: f64,
    pub(super) ready_at: Option<Instant>,
    /// The time from which the present state may be recycled. `None` if it cannot be, since its
    /// successors could not be built.
    pub(super) recycled_from: Option<Instant>,
    /// Successors of the present state that could not be built.
    pub(super) failures: u32,
    pub(super) restarts: Restarts,
    /// Its slot has had a state.
    pub(super) was_started: bool,
    /// It has not served since its slot was empty.
    pub(super) is_joining: bool,
    /// It counts as one that runs calls.
    pub(super) is_active: bool,
    /// The calls that it has started before others that wait for it.
    pub(super) passed: Passed,
    pub(super) load: Load,
    /// The states that do not serve. An entry goes with its state.
    pub(super) not_serving: Vec<u32>,
    /// States whose isolates run on though their lanes are closed.
    pub(super) left_behind: Vec<u32>,
    /// Closed lanes of such states, with them.
    orphans: Vec<(u32, usize)>,
    /// The pinned calls that its lanes have taken.
    pub(super) pinned_taken: u64,
    /// The states whose lanes have taken one that has not begun, if isolates may be given up: at most
    /// one for each isolate.
    pub(super) beginning: Vec<u32>,
    pub(super) memory: Supply,
    /// The newest state that is to be replaced for a reload.
    pub(super) stale: Option<u32>,
}

/// Whether the present state of a worker holds no more memory than it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Supply {
    Enough,
    /// It is to be replaced, and takes calls until then.
    Short,
    /// Its successor is being built, and it takes no more calls.
    Exhausted,
}

/// The lanes of one state of a worker.
pub(super) struct State {
    pub(super) incarnation: u32,
    /// Lanes that are neither closed nor absent.
    pub(super) active: usize,
    /// Lanes whose call is absent or wants to return.
    pub(super) absent: usize,
    /// Its isolate, which waits for its lanes to close.
    pub(super) waiting: Option<Waker>,
}

/// The condition of a worker.
#[derive(Debug, Clone)]
pub(crate) enum Condition {
    /// Its state is being built.
    Starting,
    /// It takes calls.
    Ready,
    /// A handler panicked: its other calls end, then its state is built again.
    Suspect,
    /// It is not needed. Calls that it had may still run.
    Retired,
    /// It ended because the pool ended.
    Ended,
    /// It is gone before its time.
    Lost(Arc<WorkerFault>),
}

impl Condition {
    /// Returns whether the worker may take calls, now or later.
    pub(crate) fn is_present(&self) -> bool {
        matches!(self, Self::Starting | Self::Ready | Self::Suspect)
    }
}

pub(super) struct Lane<J: Job> {
    pub(super) doing: Doing<J>,
    /// The incarnation of the state that its calls run on.
    pub(super) incarnation: u32,
    pub(super) waker: Option<Arc<Waker>>,
    /// The bytes of the call for which it was woken, while it is.
    pub(super) expected: u64,
    /// The type of the call that it runs or was woken for, while that counts for its worker.
    charged: Option<WorkType>,
    /// The time at which its call began, if that is needed.
    pub(super) began: Option<Instant>,
    /// The piece of work that its call is, if that is needed.
    pub(super) identity: Option<u64>,
}

pub(super) enum Doing<J: Job> {
    /// The loop does not run.
    Closed,
    /// The loop is about to ask.
    Away,
    /// The loop waits for a call.
    Parked,
    /// The loop was woken and has not asked yet.
    Woken,
    /// The loop runs a call.
    Running(J::Handle),
    /// Its call has given its place back.
    Absent(J::Handle),
    /// Its call wants its place again.
    Returning(J::Handle, Waker),
}

impl<J: Job> Worker<J> {
    pub(super) fn new(places: usize) -> Self {
        Self {
            condition: Condition::Starting,
            incarnation: 0,
            newest: 0,
            places,
            lanes: Vec::new(),
            closed: Vec::new(),
            parked: Vec::with_capacity(places),
            woken: 0,
            open: 0,
            busy: 0,
            states: vec![State::new(0)],
            returning: VecDeque::new(),
            successor: None,
            calls: 0,
            errors: 0,
            draw: 0.0,
            ready_at: None,
            recycled_from: None,
            failures: 0,
            restarts: Restarts::default(),
            was_started: true,
            is_joining: false,
            is_active: false,
            passed: Passed::default(),
            load: Load::default(),
            not_serving: Vec::new(),
            left_behind: Vec::new(),
            orphans: Vec::new(),
            pinned_taken: 0,
            beginning: Vec::new(),
            memory: Supply::Enough,
            stale: None,
        }
    }

    /// Its slot is empty at the beginning.
    pub(super) fn leave_out(&mut self) {
        self.condition = Condition::Retired;
        // Its first state is to be incarnation 0, as that of any other worker.
        self.was_started = false;
    }

    /// Its slot is to have a worker again. Returns the incarnation that is to be built.
    pub(super) fn join(&mut self) -> u32 {
        self.condition = Condition::Starting;
        self.is_joining = true;
        if std::mem::replace(&mut self.was_started, true) {
            let next = self.next_incarnation();
            self.succeed(next);
        }
        self.incarnation
    }

    /// The incarnation of a new state. None has the number of another, so that what is told of one is
    /// told of it alone.
    pub(super) fn next_incarnation(&mut self) -> u32 {
        self.newest += 1;
        self.newest
    }

    /// Its next state begins. The lanes that are left are of earlier ones from now on.
    pub(super) fn succeed(&mut self, incarnation: u32) {
        self.incarnation = incarnation;
        (self.calls, self.errors, self.failures) = (0, 0, 0);
        self.load.renew();
        self.memory = Supply::Enough;
        self.states
            .retain(|state| state.active + state.absent > 0 || state.waiting.is_some());
        self.states.push(State::new(incarnation));
    }

    /// The time at which its present state is to be recycled, if it is.
    pub(super) fn recycled_at(&self, policy: &Recycle) -> Option<Instant> {
        if !self.takes_calls() {
            return None;
        }
        let from = self.recycled_from?;
        if self.is_stale() || self.memory != Supply::Enough {
            return Some(from);
        }
        let due = policy.due(self.ready_at?, &self.wear())?;
        Some(due.max(from))
    }

    /// Returns whether its present state is older than the last reload.
    pub(super) fn is_stale(&self) -> bool {
        self.stale.is_some_and(|stale| self.incarnation <= stale)
    }

    /// The last incarnation that a state was given.
    pub(super) fn newest(&self) -> u32 {
        self.newest
    }

    /// Returns whether a state says that it can serve.
    pub(super) fn is_serving(&self, incarnation: u32) -> bool {
        // Nearly always empty, which is cheaper to find out than that nothing is in it.
        self.not_serving.is_empty() || !self.not_serving.contains(&incarnation)
    }

    /// The isolate of a state has ended, and its lanes ask no more.
    pub(super) fn forget_state(&mut self, incarnation: u32) {
        self.not_serving.retain(|it| *it != incarnation);
        self.left_behind.retain(|it| *it != incarnation);
        let (theirs, others) = self.orphans.drain(..).partition(|it| it.0 == incarnation);
        self.orphans = others;
        let theirs: Vec<(u32, usize)> = theirs;
        self.closed.extend(theirs.into_iter().map(|it| it.1));
    }

    #[cfg(test)]
    pub(super) fn has_orphans(&self) -> bool {
        !self.orphans.is_empty()
    }

    /// What its present state has done.
    pub(super) fn wear(&self) -> Wear {
        Wear {
            calls: self.calls,
            errors: self.errors,
            draw: self.draw,
        }
    }

    /// The lanes of the present state that are neither closed nor absent.
    pub(super) fn active(&self) -> usize {
        self.states.last().map_or(0, |state| state.active)
    }

    /// One of the states; `None` if it is over, and was forgotten.
    pub(super) fn state(&mut self, incarnation: u32) -> Option<&mut State> {
        let mut states = self.states.iter_mut().rev();
        states.find(|state| state.incarnation == incarnation)
    }

    fn state_of(&mut self, lane: usize) -> Option<&mut State> {
        self.state(self.lanes[lane].incarnation)
    }

    /// Returns whether no lane of a state takes calls any more. One that another one follows does
    /// not wait for its streams that are absent.
    pub(super) fn is_quiet(&self, incarnation: u32, is_rebuilt: bool) -> bool {
        let is_followed = is_rebuilt || incarnation != self.incarnation;
        let mut states = self.states.iter();
        let state = states.find(|state| state.incarnation == incarnation);
        state.is_none_or(|it| it.active == 0 && (is_followed || it.absent == 0))
    }

    /// Takes the waker of a state's isolate, if what it waits for has come.
    pub(super) fn quieted(&mut self, incarnation: u32, is_rebuilt: bool) -> Option<Waker> {
        if !self.is_quiet(incarnation, is_rebuilt) {
            return None;
        }
        self.state(incarnation)?.waiting.take()
    }

    pub(super) fn takes_calls(&self) -> bool {
        matches!(self.condition, Condition::Ready)
    }

    /// Returns whether it will take no call any more. Streams of its earlier states may go on.
    pub(super) fn is_gone(&self) -> bool {
        !self.condition.is_present()
    }

    /// Returns whether its slot is free.
    pub(super) fn is_retired(&self) -> bool {
        matches!(self.condition, Condition::Retired)
    }

    /// Returns whether nothing of it runs any more.
    pub(super) fn is_over(&self) -> bool {
        self.is_gone() && self.open == 0 && self.successor.is_none()
    }

    /// Returns whether a lane could be woken and would find a place, if it is not inside a slice.
    pub(super) fn has_room(&self) -> bool {
        !self.parked.is_empty()
            && self.busy + self.woken < self.places
            && self.takes_calls()
            && self.may_start()
    }

    /// Returns whether its present state starts calls, as far as it is about that.
    pub(super) fn may_start(&self) -> bool {
        self.is_serving(self.incarnation) && self.memory != Supply::Exhausted
    }

    /// A lane that is about to ask.
    pub(super) fn open(&mut self) -> usize {
        self.open += 1;
        if let Some(present) = self.states.last_mut() {
            present.active += 1;
        }
        let lane = Lane {
            doing: Doing::Away,
            incarnation: self.incarnation,
            waker: None,
            expected: 0,
            charged: None,
            began: None,
            identity: None,
        };
        // Streams that wait for their readers open and close lanes again and again, so that the
        // places of closed ones are used first.
        match self.closed.pop() {
            Some(index) => {
                self.lanes[index] = lane;
                index
            }
            None => {
                self.lanes.push(lane);
                self.lanes.len() - 1
            }
        }
    }

    /// A lane has a call of this type, or was woken for one.
    pub(super) fn charge(&mut self, lane: usize, work: WorkType) {
        // Calls of no type are spread by their number alone.
        if work != WorkType::Balanced {
            self.lanes[lane].charged = Some(work);
            self.load.begin(work);
        }
    }

    /// The lane does not have it any more.
    pub(super) fn discharge(&mut self, lane: usize) {
        if let Some(work) = self.lanes[lane].charged.take() {
            self.load.end(work);
        }
    }

    /// A lane is closed, or its isolate has ended.
    pub(super) fn closed(&mut self, lane: usize, was_absent: bool) {
        self.discharge(lane);
        self.open -= 1;
        if let Some(state) = self.state_of(lane) {
            if was_absent {
                state.absent -= 1;
            } else {
                state.active -= 1;
            }
        }
        let incarnation = self.lanes[lane].incarnation;
        if self.left_behind.contains(&incarnation) {
            self.orphans.push((incarnation, lane));
        } else {
            self.closed.push(lane);
        }
    }

    pub(super) fn is_current(&self, lane: usize) -> bool {
        self.lanes[lane].incarnation == self.incarnation
    }

    /// The call of a lane has given its place back.
    pub(super) fn went_absent(&mut self, lane: usize) {
        self.busy -= 1;
        if let Some(state) = self.state_of(lane) {
            state.active -= 1;
            state.absent += 1;
        }
    }

    /// The call of a lane has its place again.
    pub(super) fn came_back(&mut self, lane: usize) {
        self.busy += 1;
        if let Some(state) = self.state_of(lane) {
            state.absent -= 1;
            state.active += 1;
        }
    }

    /// Gives a free place to the call that has waited longest for one.
    pub(super) fn admit(&mut self, is_closed: bool) -> Option<Waker> {
        if self.returning.is_empty() || (self.busy >= self.places && !is_closed) {
            return None;
        }
        let lane = self.returning.pop_front()?;
        let doing = &mut self.lanes[lane].doing;
        match std::mem::replace(doing, Doing::Away) {
            Doing::Returning(handle, waker) => {
                *doing = Doing::Running(handle);
                self.came_back(lane);
                Some(waker)
            }
            other => {
                *doing = other;
                None
            }
        }
    }
}

impl State {
    fn new(incarnation: u32) -> Self {
        Self {
            incarnation,
            active: 0,
            absent: 0,
            waiting: None,
        }
    }
}
