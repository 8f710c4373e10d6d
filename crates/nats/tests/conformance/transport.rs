//! How calls come to a service on a node.

use std::sync::OnceLock;
use std::time::Duration;

use insula_nats::Nats;
use insula_rpc::wire::WireContract;
use insula_rpc::{Caller, Respond, Whole};
use insula_sync::atomic::{AtomicU64, Ordering};

use crate::seam::{Host, Transport, at_once, end, pool_of};
use crate::stage::Stage;

/// The address of the server of all cases.
static SERVER: OnceLock<String> = OnceLock::new();

/// The services that were started, each with subjects of its own.
static STARTED: AtomicU64 = AtomicU64::new(0);

/// Patience for a busy machine only.
const PATIENCE: Duration = Duration::from_secs(60);

/// A pool with a worker on each of several nodes.
#[derive(Debug)]
pub(crate) enum Nodes<const NODES: usize, const AT_ONCE: usize> {}

pub(crate) type OneNode = Nodes<1, 1>;
pub(crate) type ThreeNodes = Nodes<3, 2>;

/// Has all cases use the server with this address.
pub(crate) fn use_server(url: String) {
    SERVER.set(url).expect("there is one server");
}

impl<const NODES: usize, const AT_ONCE: usize> Transport for Nodes<NODES, AT_ONCE> {
    const IS_DISTANT: bool = true;

    fn places<R: Respond>() -> usize {
        NODES * at_once::<R>(AT_ONCE)
    }

    async fn start<K, R>(service: R::Service, _stage: &Stage, bound: Option<usize>) -> (K, Host)
    where
        K: Caller + Send,
        K::Contract: WireContract,
        R: Respond<Contract = K::Contract>,
        R::Service: Clone + Sync,
    {
        let url = SERVER.get().expect("the cases have a server");
        let prefix = format!("case{}", STARTED.fetch_add(1, Ordering::Relaxed));
        // Each has a connection of its own.
        let connect = || Nats::connect(url).prefix(&prefix).silence(PATIENCE);
        let mut nodes = Vec::new();
        for _ in 0..NODES {
            let service = service.clone();
            let factory = move |_cx| {
                let service = service.clone();
                async { Ok(service) }
            };
            let node = connect().node().workers(1).serve::<R>(factory);
            nodes.push(node.start().await.expect("the node starts"));
        }
        let builder = pool_of(NODES, at_once::<R>(AT_ONCE), bound);
        let pool = builder.kind::<K::Contract, _>(connect()).build().await;
        let pool = pool.expect("the pool starts");
        let caller = pool.caller::<K, Whole>();
        let end = async move || {
            end(pool).await;
            for node in nodes {
                node.stop(PATIENCE).await;
            }
        };
        (caller, Host::new(end))
    }
}
