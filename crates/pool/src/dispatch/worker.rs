//! A worker and its lanes, as the dispatch sees them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;

use super::Job;
use crate::error::WorkerFault;
use crate::lifecycle::Restarts;

pub(super) struct Worker<J: Job> {
    pub(super) condition: Condition,
    pub(super) incarnation: u32,
    pub(super) places: usize,
    pub(super) lanes: Vec<Lane<J>>,
    /// Closed lanes, which are opened again before new ones are made.
    pub(super) closed: Vec<usize>,
    /// The parked lanes, the one that parked last on top: its state is in the cache.
    pub(super) parked: Vec<usize>,
    pub(super) woken: usize,
    /// Lanes that are not closed.
    pub(super) open: usize,
    /// Lanes of the present incarnation that are neither closed nor absent.
    pub(super) current: usize,
    /// Lanes that run a call.
    pub(super) busy: usize,
    /// Lanes whose call is absent or wants to return.
    pub(super) absent: usize,
    /// The lanes that want to return, in the order in which they asked.
    pub(super) returning: VecDeque<usize>,
    /// Waits for its lanes to close.
    pub(super) supervisor: Option<Waker>,
    pub(super) restarts: Restarts,
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
    /// It ended because the pool ended.
    Ended,
    /// It is gone before its time.
    Lost(Arc<WorkerFault>),
}

pub(super) struct Lane<J: Job> {
    pub(super) doing: Doing<J>,
    /// The incarnation of the state that its calls run on.
    pub(super) incarnation: u32,
    pub(super) waker: Option<Arc<Waker>>,
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
            places,
            lanes: Vec::new(),
            closed: Vec::new(),
            parked: Vec::with_capacity(places),
            woken: 0,
            open: 0,
            current: 0,
            busy: 0,
            absent: 0,
            returning: VecDeque::new(),
            supervisor: None,
            restarts: Restarts::default(),
        }
    }

    /// Its next state is to be built. The lanes that are left are of earlier ones from now on.
    pub(super) fn succeed(&mut self) {
        self.incarnation += 1;
        self.current = 0;
    }

    pub(super) fn takes_calls(&self) -> bool {
        matches!(self.condition, Condition::Ready)
    }

    /// Returns whether it will take no call any more. Streams of its earlier states may go on.
    pub(super) fn is_gone(&self) -> bool {
        matches!(self.condition, Condition::Ended | Condition::Lost(_))
    }

    /// Returns whether nothing of it runs any more.
    pub(super) fn is_over(&self) -> bool {
        self.is_gone() && self.open == 0
    }

    /// Returns whether a lane could be woken and would find a place, if it is not inside a slice.
    pub(super) fn has_room(&self) -> bool {
        !self.parked.is_empty() && self.busy + self.woken < self.places && self.takes_calls()
    }

    /// A lane that is about to ask.
    pub(super) fn open(&mut self) -> usize {
        self.open += 1;
        self.current += 1;
        let lane = Lane {
            doing: Doing::Away,
            incarnation: self.incarnation,
            waker: None,
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

    /// A lane is closed, or its isolate has ended.
    pub(super) fn closed(&mut self, lane: usize, was_absent: bool) {
        self.open -= 1;
        // An absent lane is not counted as one of the present state.
        if was_absent {
            self.absent -= 1;
        } else {
            self.current -= usize::from(self.is_current(lane));
        }
        self.closed.push(lane);
    }

    pub(super) fn is_current(&self, lane: usize) -> bool {
        self.lanes[lane].incarnation == self.incarnation
    }

    /// The call of a lane has its place again.
    pub(super) fn came_back(&mut self, lane: usize) {
        self.busy += 1;
        self.absent -= 1;
        self.current += usize::from(self.is_current(lane));
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
