//! Workers of all kinds: the options that ask for them, and the pools that have them.

mod machines;
#[cfg(feature = "nats")]
mod nats;
#[cfg(not(feature = "nats"))]
#[path = "workers/no_nats.rs"]
mod nats;
mod services;
mod start;

use std::thread::available_parallelism;

use clap::{Args, ValueEnum};
use insula::rpc::Retry;

pub use machines::Machines;
pub use nats::Offered;
pub use services::{NodeOptions, Services};
pub use start::{StartError, Started};

/// Where a worker runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Isolates of this process
    #[default]
    Local,
    /// A child process each
    Process,
    /// Workers of nodes on other machines, which `worker` starts there
    Nats,
}

/// `--kind`, and how workers on other machines are found.
#[derive(Clone, Debug, Default, Args)]
pub struct KindOptions {
    /// Where the workers run
    #[arg(long, value_enum, default_value_t)]
    kind: Kind,

    #[command(flatten)]
    machines: Machines,
}

/// `--workers`, `--kind` and `--compare`.
#[derive(Clone, Debug, Args)]
pub struct WorkerOptions {
    /// Workers, each with one call at a time [default: one per core]
    #[arg(long, value_name = "WORKERS", value_parser = clap::value_parser!(u16).range(1..))]
    workers: Option<u16>,

    /// Where they run.
    #[command(flatten)]
    pub kind: KindOptions,

    /// Do the work with one worker first, without keeping its results, and tell the speed-up
    #[arg(long)]
    pub compare: bool,
}

impl WorkerOptions {
    /// Returns the number of workers, which is at least one.
    pub fn workers(&self) -> usize {
        number_of(self.workers)
    }

    /// Returns the number of workers where more than `most` would have nothing to do: the number
    /// that was asked for, whatever it is, or else one per core and at most `most`.
    pub fn workers_up_to(&self, most: usize) -> usize {
        match self.workers {
            Some(workers) => workers.into(),
            None => self.workers().min(most.max(1)),
        }
    }
}

/// Returns the number that was asked for, or else one per core.
fn number_of(workers: Option<u16>) -> usize {
    workers.map_or_else(|| available_parallelism().map_or(1, Into::into), Into::into)
}

/// Returns the policy for calls whose worker ends, in a process that is killed for example: three
/// attempts, so that a call which itself ends its workers ends too.
pub fn repeats() -> Retry {
    Retry::attempts(3)
}
