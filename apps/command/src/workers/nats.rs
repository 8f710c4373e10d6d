//! Workers on other machines, over NATS.

use std::fmt;
use std::future::Future;
use std::path::Path;
use std::time::Duration;

use insula::WorkerPool;
use insula::nats::{Nats, NodeBuilder};
use insula::pool::{PoolBuilder, Restart, ServiceFactory};
use insula::rpc::Respond;
use insula::rpc::wire::WireContract;

use super::{Machines, Services, StartError};

/// The time that calls get which are begun when a node is told to stop.
const PATIENCE: Duration = Duration::from_secs(30);

/// The way to the machines, for as long as there is a pool.
#[derive(Debug)]
pub(super) struct Way(Nats);

impl Way {
    /// Waits until the machines know of the end of the pool.
    pub(super) async fn close(self) {
        self.0.close().await;
    }
}

/// Starts a pool whose workers are those of nodes.
pub(super) async fn start_on_machines<C: WireContract>(
    builder: PoolBuilder,
    machines: &Machines,
    most_bytes: usize,
) -> Result<(WorkerPool<C>, Way), StartError> {
    let nats = machines.nats(most_bytes).map_err(StartError::Missing)?;
    // For as long as a node may take to be started again by the system of its machine.
    let restart = Restart::at_most(100, Duration::from_secs(60));
    let restart = restart.delay(Duration::from_millis(50), Duration::from_secs(2));
    let builder = builder.restart(restart).kind::<C, _>(nats.clone());
    Ok((builder.build().await?, Way(nats)))
}

/// What a node serves.
pub struct Offered {
    /// Always there between two calls.
    node: Option<NodeBuilder>,
}

impl Services for Offered {
    fn serve<R>(&mut self, factory: impl ServiceFactory<R::Service>)
    where
        R: Respond,
        R::Contract: WireContract,
    {
        self.node = self.node.take().map(|node| node.serve::<R>(factory));
    }
}

impl fmt::Debug for Offered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Offered").finish_non_exhaustive()
    }
}

/// Serves pools on other machines with so many workers, until `stop` is ready. Calls `serves` once it
/// does.
pub(super) async fn serve_until(
    machines: &Machines,
    most_bytes: usize,
    workers: usize,
    services: impl FnOnce(&mut Offered),
    serves: impl FnOnce(),
    stop: impl Future<Output = ()>,
) -> Result<(), String> {
    let nats = machines.nats(most_bytes)?;
    let node = Some(nats.node().workers(workers));
    let mut offered = Offered { node };
    services(&mut offered);
    if let Some(node) = offered.node {
        let node = node.start().await.map_err(|error| error.to_string())?;
        serves();
        stop.await;
        node.stop(PATIENCE).await;
    }
    Ok(())
}

impl Machines {
    fn nats(&self, most_bytes: usize) -> Result<Nats, &'static str> {
        let Some(urls) = &self.urls else {
            return Err("workers on other machines need --nats URLS");
        };
        let mut nats = Nats::connect(urls).name(name()).most_bytes(most_bytes);
        if let Some(path) = &self.credentials {
            nats = nats.credentials_file(path);
        } else if let Ok(user) = std::env::var("NATS_USER") {
            nats = nats.user(user, std::env::var("NATS_PASSWORD").unwrap_or_default());
        }
        if let Some(path) = &self.root_certificates {
            nats = nats.root_certificates(path);
        }
        Ok(if self.allow_plain {
            nats.allow_plain()
        } else {
            nats
        })
    }
}

/// Returns the name of the program, by which the server knows its connection.
fn name() -> String {
    let program = std::env::args_os().next().unwrap_or_default();
    let stem = Path::new(&program).file_stem().unwrap_or_default();
    stem.to_string_lossy().into_owned()
}
