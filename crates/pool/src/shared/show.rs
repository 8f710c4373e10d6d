//! What a pool shows of itself.

use insula_rpc::{Calls, How, WorkerId};

use super::Shared;
use crate::dispatch::{Condition, Phase};
use crate::observe::report::PerformanceReport;
use crate::stats::books::Totals;
use crate::stats::{PoolPhase, PoolStats, PoolStatus, WorkerCondition, WorkerMemory, WorkerStatus};

impl<C: Calls> Shared<C> {
    /// Reports what has happened since the call before.
    pub(crate) fn performance(&self) -> PerformanceReport {
        // Before the lock, since it makes texts of the errors of factories.
        let status = self.status();
        self.baseline.lock().report(self, status)
    }

    pub(crate) fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for books in &self.books {
            books.add_to(&mut totals);
        }
        totals
    }

    /// The memory of each worker, by its index; empty if it is not measured.
    pub(super) fn worker_memory(&self) -> Vec<Option<WorkerMemory>> {
        if !self.measures_memory {
            return Vec::new();
        }
        let isolates = self.isolates.lock();
        let present = isolates.iter().map(|of_one| of_one.last());
        present
            .map(|it| {
                let meter = &it?.memory.as_ref()?.meter;
                let (held, peak) = (meter.held()?, meter.peak()?);
                Some(WorkerMemory { held, peak })
            })
            .collect()
    }

    pub(crate) fn stats(&self) -> PoolStats {
        // The ends first: read the other way round, more calls might have ended than had come.
        let totals = self.totals();
        let tally = self.state.lock().tally;
        let memory = self.worker_memory();
        let books = self.books.iter().zip(0..);
        let workers: Vec<_> = books
            .map(|(books, index)| {
                let memory = memory.get(index as usize).copied().flatten();
                books.snapshot(WorkerId::new(index), memory)
            })
            .collect();
        PoolStats {
            // Not zero but unknown, if it is not measured.
            cpu_time: workers.iter().map(|worker| worker.cpu_time).sum(),
            submitted: tally.submitted,
            answered: totals.count(How::Answered),
            failed: totals.count(How::Failed),
            panicked: totals.count(How::Panicked),
            cancelled: totals.count(How::Cancelled) + tally.withdrawn,
            expired: totals.count(How::Expired) + tally.expired,
            died: totals.count(How::Died) + tally.died,
            rejected: tally.rejected,
            shed: tally.shed,
            stuck: tally.stuck,
            late: totals.late(),
            traffic: totals.traffic(),
            queue_wait: totals.queue_wait(),
            run_time: totals.run_time(),
            latency: totals.latency(),
            workers,
            methods: self.methods.snapshot(&self.books),
        }
    }

    pub(crate) fn status(&self) -> PoolStatus {
        let state = self.state.lock();
        let (phase, depth, is_alive) = (state.phase(), state.queued(), state.is_alive());
        let bound = state.bound();
        // The texts of faults are foreign code, so they are made outside of the lock.
        let workers: Vec<_> = state
            .workers()
            .map(|(id, condition, i, busy)| (id, condition.clone(), i, busy))
            .collect();
        drop(state);
        let mut conditions = workers.iter().map(|worker| &worker.1);
        let is_whole = !conditions.any(|it| matches!(it, Condition::Lost(_)));
        PoolStatus {
            name: self.name.to_string(),
            phase: match phase {
                Phase::Open if is_whole => PoolPhase::Serving,
                Phase::Open if is_alive => PoolPhase::Degraded,
                Phase::Open => PoolPhase::Failed,
                Phase::Draining => PoolPhase::Draining,
                Phase::Closed => PoolPhase::Closed,
            },
            queued: depth.min(bound),
            waiting: depth.saturating_sub(bound),
            workers: workers
                .into_iter()
                .map(|(id, condition, incarnation, busy)| WorkerStatus {
                    id,
                    condition: condition.into(),
                    incarnation,
                    busy,
                })
                .collect(),
        }
    }
}

impl From<Condition> for WorkerCondition {
    fn from(condition: Condition) -> Self {
        match condition {
            Condition::Starting => Self::Starting,
            Condition::Ready => Self::Ready,
            Condition::Suspect => Self::Suspect,
            Condition::Retired => Self::Retired,
            Condition::Ended => Self::Ended,
            Condition::Lost(fault) => Self::Lost(fault.to_string()),
        }
    }
}
