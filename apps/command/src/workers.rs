//! The options of all programs that run workers.

use std::thread::available_parallelism;

use clap::{Args, ValueEnum};

/// Where a worker runs, in a program that has no other kind of workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Local {
    /// Isolates of this process
    #[default]
    Local,
}

/// Where a worker runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Isolates of this process
    #[default]
    Local,
    /// A child process each
    Process,
    /// Workers of nodes on other machines
    Nats,
}

/// `--workers`, `--kind` and `--compare`. `K` has the kinds of workers that the program has.
#[derive(Clone, Copy, Debug, Args)]
pub struct WorkerOptions<K = Local>
where
    K: ValueEnum + Clone + Default + Send + Sync + 'static,
{
    /// Workers, each with one call at a time [default: one per core]
    #[arg(long, value_name = "WORKERS", value_parser = clap::value_parser!(u16).range(1..))]
    workers: Option<u16>,

    /// Where the workers run
    #[arg(long, value_enum, default_value_t)]
    pub kind: K,

    /// Do the work with one worker first, without keeping its results, and tell the speed-up
    #[arg(long)]
    pub compare: bool,
}

impl<K> WorkerOptions<K>
where
    K: ValueEnum + Clone + Default + Send + Sync + 'static,
{
    /// Returns the number of workers, which is at least one.
    pub fn workers(&self) -> usize {
        self.workers
            .map_or_else(|| available_parallelism().map_or(1, Into::into), Into::into)
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
