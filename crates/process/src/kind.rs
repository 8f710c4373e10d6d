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
    pub(crate) denied: Denied,
}

/// What a worker may not ask of the system; see [`Process::deny`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Deny {
    /// New sockets but those of the family `AF_UNIX`: also one to 127.0.0.1.
    Network,
    /// Other programs: `execve` and its like.
    Programs,
    /// What looks into other processes, or changes the machine: `ptrace` and its like, mounts,
    /// new namespaces, kernel modules, keys, clocks. Signals to other processes are not refused.
    System,
}

/// All that is denied to a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Denied {
    pub(crate) network: bool,
    pub(crate) programs: bool,
    pub(crate) system: bool,
}

impl Denied {
    pub(crate) const NOTHING: Self = Self {
        network: false,
        programs: false,
        system: false,
    };

    /// As a number, for another process.
    pub(crate) fn to_bits(self) -> u8 {
        u8::from(self.network) | u8::from(self.programs) << 1 | u8::from(self.system) << 2
    }

    /// `None` for a number of another version.
    pub(crate) fn of_bits(bits: u8) -> Option<Self> {
        let has = |bit: u8| bits & bit != 0;
        (bits < 8).then(|| Self {
            network: has(1),
            programs: has(2),
            system: has(4),
        })
    }
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
            denied: Denied::NOTHING,
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

    /// Denies something to a worker, from before its service is built until its end: the system refuses
    /// the call with `EPERM` (a filter of `seccomp(2)`). May be called for several things. `io_uring` is
    /// denied along with any of them, since no filter sees what it does. A call as a program of 32 bits
    /// makes it ends the worker.
    ///
    /// It makes less of what a broken or hostile input can do to a handler. It is no sandbox: files can
    /// be read and written as the user of the process may.
    ///
    /// A worker does not start where the kernel has no such filters, or on another processor than x86-64,
    /// 64-bit Arm and RISC-V.
    ///
    /// ```
    /// use insula_process::{Deny, Process};
    ///
    /// let kind = Process::current_exe().deny(Deny::Network).deny(Deny::Programs);
    /// ```
    pub fn deny(mut self, what: Deny) -> Self {
        let denied = &mut self.0.denied;
        match what {
            Deny::Network => denied.network = true,
            Deny::Programs => denied.programs = true,
            Deny::System => denied.system = true,
        }
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
