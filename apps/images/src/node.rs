//! Workers on other machines, over NATS.

use std::future::Future;
use std::time::Duration;

use insula::nats::Nats;
use insula::pool::{PoolBuilder, Restart};

use crate::service::{MOST_BYTES, factory};
use crate::{Machines, PicturePool, PicturesResponder, StartError};

/// The time that pictures get which are begun when a node is told to stop.
const PATIENCE: Duration = Duration::from_secs(30);

/// The way to the machines, for as long as there is a pool.
#[derive(Debug)]
pub(crate) struct Way(Nats);

impl Way {
    /// Waits until the machines know of the end of the pool.
    pub(crate) async fn close(self) {
        self.0.close().await;
    }
}

/// Starts a pool whose workers are those of nodes.
pub(crate) async fn start_on_machines(
    builder: PoolBuilder,
    machines: &Machines,
) -> Result<(PicturePool, Way), StartError> {
    let nats = machines.nats().ok_or(StartError::Missing(NO_URL))?;
    // For as long as a node may take to be started again by the system of its machine.
    let restart = Restart::at_most(100, Duration::from_secs(60));
    let restart = restart.delay(Duration::from_millis(50), Duration::from_secs(2));
    let pool = builder.restart(restart).kind(nats.clone()).build().await?;
    Ok((pool, Way(nats)))
}

/// Serves pictures to pools on other machines with so many workers, until `stop` is ready. Calls
/// `serves` once it does.
///
/// # Errors
/// Says why it cannot, for a person.
pub async fn serve_machines(
    machines: &Machines,
    workers: usize,
    stop: impl Future<Output = ()>,
    serves: impl FnOnce(),
) -> Result<(), String> {
    let nats = machines.nats().ok_or(NO_URL)?;
    let node = nats.node().workers(workers);
    let node = node.serve::<PicturesResponder<_>>(factory).start().await;
    let node = node.map_err(|error| error.to_string())?;
    serves();
    stop.await;
    node.stop(PATIENCE).await;
    Ok(())
}

const NO_URL: &str = "workers on other machines need --nats URLS";

impl Machines {
    fn nats(&self) -> Option<Nats> {
        let mut nats = Nats::connect(self.urls.as_ref()?)
            .name("images")
            .most_bytes(MOST_BYTES);
        if let Some(path) = &self.credentials {
            nats = nats.credentials_file(path);
        } else if let Ok(user) = std::env::var("NATS_USER") {
            nats = nats.user(user, std::env::var("NATS_PASSWORD").unwrap_or_default());
        }
        if let Some(path) = &self.root_certificates {
            nats = nats.root_certificates(path);
        }
        Some(if self.allow_plain {
            nats.allow_plain()
        } else {
            nats
        })
    }
}
