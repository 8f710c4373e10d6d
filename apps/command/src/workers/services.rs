//! The services of a program, for workers that are not in the process of their pool.

use std::future::Future;
use std::io::{self, Write};

use clap::Args;
use insula::pool::ServiceFactory;
use insula::process::Worker;
use insula::rpc::Respond;
use insula::rpc::wire::WireContract;

use super::nats::{Offered, serve_until};
use super::{Machines, number_of};

/// What takes the services of a program: a worker in a process, or a node for other machines. So a
/// program names its services once, in a function with a `&mut impl Services`.
pub trait Services {
    /// Serves the calls of a contract with services that `factory` builds.
    fn serve<R>(&mut self, factory: impl ServiceFactory<R::Service>)
    where
        R: Respond,
        R::Contract: WireContract;
}

impl Services for Worker {
    fn serve<R>(&mut self, factory: impl ServiceFactory<R::Service>)
    where
        R: Respond,
        R::Contract: WireContract,
    {
        Self::serve::<R>(self, factory);
    }
}

/// The options of a program that serves runs on other machines, which ask for `--kind nats`.
#[derive(Clone, Debug, Args)]
pub struct NodeOptions {
    #[command(flatten)]
    machines: Machines,

    /// Workers, each with one call at a time [default: one per core]
    #[arg(long, value_name = "WORKERS", value_parser = clap::value_parser!(u16).range(1..))]
    workers: Option<u16>,
}

impl NodeOptions {
    /// Serves what `services` adds until `stop` is ready, and prints a line once it does. No value of
    /// a call has more than `most_bytes` bytes.
    ///
    /// # Errors
    /// Returns a message for the user if it cannot serve.
    pub async fn serve(
        &self,
        most_bytes: usize,
        services: impl FnOnce(&mut Offered),
        stop: impl Future<Output = ()>,
    ) -> Result<(), String> {
        let workers = number_of(self.workers);
        let serves = || {
            // For the one that has started it; it is of no use to a closed output.
            let _ = writeln!(io::stdout().lock(), "serves with {workers} workers");
        };
        serve_until(&self.machines, most_bytes, workers, services, serves, stop).await
    }
}
