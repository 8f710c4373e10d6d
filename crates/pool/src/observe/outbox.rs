//! The events that were decided under the lock of the dispatch, until they are told outside of it.

use insula_rpc::WorkerId;

use super::events::{WorkerChange, WorkerEnd, WorkerEvent};

/// A part of the dispatch. The order of its events is that of the decisions, and one thread at a
/// time tells them: two threads that each told what they have decided could change the order.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    /// A few for each incarnation. There are more only while an observer blocks the thread that
    /// tells them.
    events: Vec<WorkerEvent>,
    is_telling: bool,
    /// The incarnations that were spawned and have not exited.
    living: Vec<Living>,
    /// It was told that no event comes any more.
    has_ended: bool,
}

#[derive(Debug)]
struct Living {
    worker: usize,
    incarnation: u32,
    /// Why it will exit; `None` if it will end with the pool.
    why: Option<WorkerEnd>,
}

/// Events to be told, in this order.
#[derive(Debug)]
#[must_use]
pub(crate) struct Batch {
    pub(crate) events: Vec<WorkerEvent>,
    /// No event comes after these.
    pub(crate) is_last: bool,
}

impl Outbox {
    pub(crate) fn spawning(&mut self, worker: usize, incarnation: u32) {
        self.living.push(Living {
            worker,
            incarnation,
            why: None,
        });
        self.push(worker, incarnation, WorkerChange::Spawning);
    }

    pub(crate) fn push(&mut self, worker: usize, incarnation: u32, change: WorkerChange) {
        self.events.push(WorkerEvent {
            worker: WorkerId::new(worker as u32),
            incarnation,
            change,
        });
    }

    /// It is decided why an incarnation ends. It may go on for a while, and one that has not been
    /// spawned yet never exits.
    pub(crate) fn decide(&mut self, worker: usize, incarnation: u32, why: WorkerEnd) {
        if let Some(index) = self.find(worker, incarnation) {
            self.living[index].why = Some(why);
        }
    }

    pub(crate) fn exited(&mut self, worker: usize, incarnation: u32) {
        if let Some(index) = self.find(worker, incarnation) {
            let why = self.living.swap_remove(index).why;
            let why = why.unwrap_or(WorkerEnd::PoolEnded);
            self.push(worker, incarnation, WorkerChange::Exited { why });
        }
    }

    /// Returns whether an incarnation was spawned and has not exited.
    pub(crate) fn is_living(&self, worker: usize, incarnation: u32) -> bool {
        self.find(worker, incarnation).is_some()
    }

    fn find(&self, worker: usize, incarnation: u32) -> Option<usize> {
        let is_it = |it: &Living| (it.worker, it.incarnation) == (worker, incarnation);
        self.living.iter().position(is_it)
    }

    /// Returns whether no incarnation is left that will exit.
    pub(crate) fn is_quiet(&self) -> bool {
        self.living.is_empty()
    }

    /// See [`Dispatch::events`](crate::dispatch::Dispatch::events). `is_over` if none come after
    /// those that are here.
    pub(crate) fn begin(&mut self, is_over: bool) -> Option<Batch> {
        if self.is_telling {
            return None;
        }
        self.more(is_over)
    }

    pub(crate) fn more(&mut self, is_over: bool) -> Option<Batch> {
        let is_last = is_over && !self.has_ended;
        self.has_ended |= is_over;
        self.is_telling = is_last || !self.events.is_empty();
        self.is_telling.then(|| Batch {
            events: std::mem::take(&mut self.events),
            is_last,
        })
    }
}
