//! Replacing the services of all workers.
//!
//! A reload marks the present states as stale, and those that are being built. Each worker whose state
//! is stale is recycled, one after the other. The first new state that cannot be built ends the reload,
//! so that a faulty version of a service takes no worker down.

use std::sync::Arc;

use insula_rpc::WorkerId;

use super::{Dispatch, Job, Phase, id};
use crate::error::{ReloadError, WorkerFault};

impl<J: Job> Dispatch<J> {
    /// Has each worker get new services.
    pub(crate) fn reload(&mut self) {
        self.reload_fault = None;
        for worker in &mut self.workers {
            worker.stale = Some(worker.newest());
        }
    }

    /// The end of the last reload; `None` while it goes on.
    pub(crate) fn reloaded(&self) -> Option<Result<(), ReloadError>> {
        if let Some((worker, fault)) = &self.reload_fault {
            let (worker, fault) = (WorkerId::new(*worker as u32), Arc::clone(fault));
            return Some(Err(ReloadError::Fault { worker, fault }));
        }
        if self.phase != Phase::Open || !self.is_alive() {
            return Some(Err(ReloadError::Ended));
        }
        let mut present = self.workers.iter().filter(|it| !it.is_gone());
        (!present.any(|it| it.is_stale())).then_some(Ok(()))
    }

    /// A state that was to replace the present one of a worker could not be built.
    pub(super) fn give_up_reload(&mut self, worker: usize, fault: &Arc<WorkerFault>) {
        if !self.workers[worker].is_stale() {
            return;
        }
        debug_assert_eq!(id(worker).index(), worker);
        self.reload_fault = Some((worker, Arc::clone(fault)));
        for worker in &mut self.workers {
            worker.stale = None;
        }
    }
}
