//! How calls come to a service in another process.

use insula_pool::{Measure, Queue, WorkerPool};
use insula_process::Process;
use insula_rpc::wire::WireContract;
use insula_rpc::{Caller, Respond, Whole};

use crate::seam::{Host, Transport, end};
use crate::stage::{STAGE, Stage};

/// The variable of workers that serve the contract with `&mut self`.
pub(crate) const EXCLUSIVE: &str = "CONFORMANCE_EXCLUSIVE";

/// A pool of processes.
#[derive(Debug)]
pub(crate) enum Processes<const WORKERS: usize, const AT_ONCE: usize> {}

pub(crate) type OneProcess = Processes<1, 1>;
pub(crate) type ThreeProcesses = Processes<3, 2>;

impl<const WORKERS: usize, const AT_ONCE: usize> Processes<WORKERS, AT_ONCE> {
    fn at_once<R: Respond>() -> usize {
        if R::EXCLUSIVE { 1 } else { AT_ONCE }
    }
}

impl<const WORKERS: usize, const AT_ONCE: usize> Transport for Processes<WORKERS, AT_ONCE> {
    const IS_DISTANT: bool = true;

    fn places<R: Respond>() -> usize {
        WORKERS * Self::at_once::<R>()
    }

    async fn start<K, R>(_service: R::Service, stage: &Stage, bound: Option<usize>) -> (K, Host)
    where
        K: Caller + Send,
        K::Contract: WireContract,
        R: Respond<Contract = K::Contract>,
        R::Service: Clone + Sync,
    {
        let mut kind = Process::current_exe().env(STAGE, stage.address());
        if R::EXCLUSIVE {
            kind = kind.env(EXCLUSIVE, "1");
        }
        let mut builder = WorkerPool::builder()
            .name("conformance")
            .workers(WORKERS)
            .concurrency_per_worker(Self::at_once::<R>())
            .measure(Measure::All);
        if let Some(bound) = bound {
            builder = builder.queue(Queue::bounded(bound));
        }
        let pool = builder.kind::<K::Contract, _>(kind).build().await;
        let pool = pool.expect("the pool starts");
        let caller = pool.caller::<K, Whole>();
        (caller, Host::new(async move || end(pool).await))
    }
}
