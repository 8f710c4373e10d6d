//! How calls come to a service in another process.

use insula_process::Process;
use insula_rpc::wire::WireContract;
use insula_rpc::{Caller, Respond, Whole};

use crate::seam::{Host, Transport, at_once, end, pool_of};
use crate::stage::{STAGE, Stage};

/// The variable of workers that serve the contract with `&mut self`.
pub(crate) const EXCLUSIVE: &str = "CONFORMANCE_EXCLUSIVE";

/// A pool of processes.
#[derive(Debug)]
pub(crate) enum Processes<const WORKERS: usize, const AT_ONCE: usize> {}

pub(crate) type OneProcess = Processes<1, 1>;
pub(crate) type ThreeProcesses = Processes<3, 2>;

impl<const WORKERS: usize, const AT_ONCE: usize> Transport for Processes<WORKERS, AT_ONCE> {
    const IS_DISTANT: bool = true;

    fn places<R: Respond>() -> usize {
        WORKERS * at_once::<R>(AT_ONCE)
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
        let builder = pool_of(WORKERS, at_once::<R>(AT_ONCE), bound);
        let pool = builder.kind::<K::Contract, _>(kind).build().await;
        let pool = pool.expect("the pool starts");
        let caller = pool.caller::<K, Whole>();
        (caller, Host::new(async move || end(pool).await))
    }
}
