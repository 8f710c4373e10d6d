//! The kind of workers that are processes.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use insula_link::{Connection, Remote};
use insula_pool::{Kind, Starting, WorkerContext};
use insula_rpc::wire::{MOST_BYTES, WireContract};

/// Workers that are child processes; see the [crate](crate).
#[derive(Debug, Clone)]
#[must_use = "it does nothing until it is the kind of a pool"]
pub struct Process(Plan);

/// How a child is started, and how its link works.
#[derive(Debug, Clone)]
#[cfg_attr(
    any(not(target_os = "linux"), loom),
    expect(dead_code, reason = "no worker is started elsewhere")
)]
pub(crate) struct Plan {
    /// `None` for the program of this process.
    pub(crate) program: Option<PathBuf>,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) variables: Vec<(OsString, OsString)>,
    pub(crate) clears_env: bool,
    pub(crate) most: usize,
    pub(crate) most_beside: u64,
    pub(crate) memory: Option<u64>,
    pub(crate) cpu_time: Option<Duration>,
}

impl Process {
    /// Workers that are processes of this program, which calls [`main`](crate::main) first of all.
    pub fn current_exe() -> Self {
        Self::of(None)
    }

    /// Workers that are processes of another program, which calls [`main`](crate::main) first of all.
    /// It has the same contract; if its types are others, a worker does not start.
    pub fn command(program: impl Into<PathBuf>) -> Self {
        Self::of(Some(program.into()))
    }

    fn of(program: Option<PathBuf>) -> Self {
        Self(Plan {
            program,
            arguments: Vec::new(),
            variables: Vec::new(),
            clears_env: false,
            most: MOST_BYTES,
            most_beside: 1 << 30,
            memory: None,
            cpu_time: None,
        })
    }

    /// Adds an argument to those of the child.
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.0.arguments.push(argument.into());
        self
    }

    /// Sets a variable in the environment of the child.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.0.variables.push((name.into(), value.into()));
        self
    }

    /// Starts the child without the environment of this process, but with the variables that are
    /// [set](Self::env).
    pub fn env_clear(mut self) -> Self {
        self.0.clears_env = true;
        self
    }

    /// Sets the most bytes of a message: a request with what travels along, an answer, or an item. The
    /// default is 16 MiB.
    ///
    /// A [`Segment`](insula_memory::Segment) that is mapped goes to the other process as it is, without a
    /// copy, and does not count here. There may be 16 of them in a value; further ones are copied.
    pub fn most_bytes(mut self, most: usize) -> Self {
        self.0.most = most;
        self
    }

    /// Sets the most bytes that the segments of one value have together. Those beyond it are copied. The
    /// default is 1 GiB.
    pub fn most_segment_bytes(mut self, most: u64) -> Self {
        self.0.most_beside = most;
        self
    }

    /// Sets the most bytes that a worker may have for its data (`RLIMIT_DATA` of `setrlimit(2)`: what it
    /// allocates, its stacks and whatever else it may write to). The system enforces it: an allocation
    /// beyond that fails, which ends the process, and with it the calls that run there. A worker does not
    /// start with less than 16 MiB. By default there is no limit.
    pub fn memory(mut self, bytes: u64) -> Self {
        self.0.memory = Some(bytes);
        self
    }

    /// Sets the time that a worker may spend on CPUs, from its start on, in whole seconds
    /// (`RLIMIT_CPU`). The system ends the process after it. By default there is no limit.
    pub fn cpu_time(mut self, time: Duration) -> Self {
        self.0.cpu_time = Some(time);
        self
    }
}

impl<C: WireContract> Kind<C> for Process {
    type Responder = Remote<C>;

    fn start(&self, cx: WorkerContext) -> Starting<Connection> {
        let plan = self.0.clone();
        Box::pin(async move { start::<C>(&plan, cx).await })
    }
}

#[cfg(all(target_os = "linux", not(loom)))]
use crate::parent::start;

#[cfg(any(not(target_os = "linux"), loom))]
async fn start<C: WireContract>(
    _plan: &Plan,
    _cx: WorkerContext,
) -> Result<Connection, insula_pool::FactoryError> {
    Err("workers that are processes need Linux".into())
}
