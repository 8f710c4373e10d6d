//! Replacing the services of all workers.
//!
//! A reload marks the present states as stale, and those that are being built. Each worker whose state
//! is stale is recycled, one after the other. The first new state that cannot be built ends the reload,
//! so that a faulty version of a service takes no worker down.

use std::sync::Arc;

use super::worker::{Condition, Worker};
use super::{Dispatch, Job, Phase, id};
use crate::error::{ReloadError, WorkerFault};

impl<J: Job> Dispatch<J> {
    /// Has each worker get new services. Returns the fault of the last reload, which is the user's.
    pub(crate) fn reload(&mut self) -> Option<(usize, Arc<WorkerFault>)> {
        for (index, worker) in self.workers.iter_mut().enumerate() {
            // One that has never been there, or waits to start, will be built anew anyway.
            let is_unbuilt = !worker.was_started || self.starts.has(index);
            worker.stale = match worker.newest() {
                newest if !is_unbuilt => Some(newest),
                newest => newest.checked_sub(1).filter(|_| worker.was_started),
            };
            // At once, though an earlier try may have failed.
            worker.recycled_from = worker.ready_at;
        }
        self.reload_fault.take()
    }

    /// The end of the last reload; `None` while it goes on.
    pub(crate) fn reloaded(&self) -> Option<Result<(), ReloadError>> {
        if let Some((worker, fault)) = &self.reload_fault {
            let (worker, fault) = (id(*worker), Arc::clone(fault));
            return Some(Err(ReloadError::Fault { worker, fault }));
        }
        // Without a supervisor nothing builds them.
        let is_orphaned = self.starts.is_orphaned();
        if self.phase != Phase::Open || !self.is_alive() || is_orphaned {
            return Some(Err(ReloadError::Ended));
        }
        let mut present = self.workers.iter().enumerate();
        // Also one whose new services are still being built, since the old ones have ended.
        let is_pending = |(index, it): (usize, &Worker<J>)| {
            let is_building =
                matches!(it.condition, Condition::Starting) && !self.starts.has(index);
            !it.is_gone() && (it.is_stale() || is_building)
        };
        (!present.any(is_pending)).then_some(Ok(()))
    }

    /// A state that was to replace the present one of a worker could not be built.
    pub(super) fn give_up_reload(&mut self, worker: usize, fault: &Arc<WorkerFault>) {
        if !self.workers[worker].is_stale() {
            return;
        }
        self.reload_fault = Some((worker, Arc::clone(fault)));
        for worker in &mut self.workers {
            worker.stale = None;
        }
    }
}
