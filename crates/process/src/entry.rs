//! The beginning of a program whose workers may be processes of its own.

use std::io::{self, Write};
use std::process;

use insula_pool::ServiceFactory;
use insula_rpc::Respond;
use insula_rpc::wire::WireContract;

use crate::kind::Denied;

/// The variable that tells a process that it is a worker.
pub(crate) const VARIABLE: &str = "INSULA_WORKER";

/// The exit status of a worker for whose contract there is no service: `EX_CONFIG` of `sysexits.h`.
const NO_SERVICE: i32 = 78;

/// What a parent wants of a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Assignment {
    /// The process that it belongs to.
    pub(crate) parent: u32,
    /// The calls that it may run at once.
    pub(crate) places: usize,
    /// The time that a cancelled handler may go on, in milliseconds.
    pub(crate) grace_ms: u64,
    /// The time after which a worker is stuck, in milliseconds; 0 for none.
    pub(crate) stuck_ms: u64,
    /// The most bytes of a message, and of the segments beside it.
    pub(crate) most: (usize, u64),
    /// Its place in the pool.
    pub(crate) worker: u32,
    /// The most bytes of its data, and the most seconds on a CPU; 0 for no limit.
    pub(crate) limits: (u64, u64),
    /// What it may not do.
    pub(crate) denied: Denied,
    /// The name of the contract.
    pub(crate) contract: String,
}

impl Assignment {
    /// Writes it as the value of the variable.
    #[cfg_attr(
        not(any(test, all(target_os = "linux", not(loom)))),
        expect(dead_code, reason = "no worker is started elsewhere")
    )]
    pub(crate) fn to_text(&self) -> String {
        let Self {
            parent,
            places,
            grace_ms,
            stuck_ms,
            most: (most, beside),
            worker,
            limits: (memory, cpu),
            denied,
            contract,
        } = self;
        let denied = denied.to_bits();
        format!(
            "{parent} {places} {grace_ms} {stuck_ms} {most} {beside} {worker} {memory} {cpu} {denied} \
             {contract}"
        )
    }

    pub(crate) fn of_text(text: &str) -> Option<Self> {
        let mut parts = text.splitn(11, ' ');
        Some(Self {
            parent: parts.next()?.parse().ok()?,
            places: parts.next()?.parse().ok()?,
            grace_ms: parts.next()?.parse().ok()?,
            stuck_ms: parts.next()?.parse().ok()?,
            most: (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?),
            worker: parts.next()?.parse().ok()?,
            limits: (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?),
            denied: Denied::of_bits(parts.next()?.parse().ok()?)?,
            contract: parts.next()?.to_owned(),
        })
    }

    /// The assignment of this process; `None` if it is no worker. A process that a worker starts
    /// inherits the variable, but not the memory: a worker takes that from its standard input first of
    /// all. Nothing else decides, so that a worker whose parent has gone never runs the program.
    pub(crate) fn of_this_process() -> Option<Self> {
        let assignment = Self::of_text(&std::env::var(VARIABLE).ok()?)?;
        has_memory().then_some(assignment)
    }
}

/// Serves calls, if this process is a worker, and does not return then. In any other process it
/// returns at once, without a call of `register`.
///
/// Call it before everything else: a worker runs what stands before it too. `register` names the
/// services, and the one is built whose contract the worker is to serve. A worker for whose contract
/// there is none ends with status 78 and a message.
///
/// ```no_run
/// # use insula_rpc::{contract, Context, wire::Never};
/// # #[contract(wire, crate = insula_rpc)]
/// # trait Sums { async fn sum(&self, cx: &Context, a: u64, b: u64) -> Result<u64, Never>; }
/// # struct Adder;
/// # impl Sums for Adder {
/// #     async fn sum(&self, _cx: &Context, a: u64, b: u64) -> Result<u64, Never> { Ok(a + b) }
/// # }
/// use insula_process::Process;
/// use insula_pool::WorkerPool;
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     insula_process::main(|worker| worker.serve::<SumsResponder<_>>(|_cx| async { Ok(Adder) }));
///     insula_core::block_on(async {
///         let kind = Process::current_exe();
///         let pool = WorkerPool::builder().kind::<SumsRequest, _>(kind).build().await?;
///         let sums: SumsCaller = pool.caller();
///         assert_eq!(sums.sum(1, 2).await?, 3);
///         Ok(())
///     })
/// }
/// ```
pub fn main(register: impl FnOnce(&mut Worker)) {
    let Some(assignment) = Assignment::of_this_process() else {
        return;
    };
    let mut worker = Worker { assignment };
    register(&mut worker);
    let contract = &worker.assignment.contract;
    let _ = writeln!(
        io::stderr().lock(),
        "this worker has no service for the contract {contract}: name one in `process::main`"
    );
    process::exit(NO_SERVICE);
}

/// A process that is a worker.
#[derive(Debug)]
pub struct Worker {
    assignment: Assignment,
}

impl Worker {
    /// Serves the calls of a contract with the service that `factory` builds, and ends the process, if
    /// they are those that this worker is for.
    pub fn serve<R>(&mut self, factory: impl ServiceFactory<R::Service>)
    where
        R: Respond,
        R::Contract: WireContract,
    {
        if self.assignment.contract == <R::Contract as insula_rpc::Contract>::NAME {
            process::exit(run::<R>(&self.assignment, factory));
        }
    }
}

#[cfg(all(target_os = "linux", not(loom)))]
use crate::child::has_memory;

#[cfg(any(not(target_os = "linux"), loom))]
fn has_memory() -> bool {
    false
}

#[cfg(all(target_os = "linux", not(loom)))]
fn run<R>(assignment: &Assignment, factory: impl ServiceFactory<R::Service>) -> i32
where
    R: Respond,
    R::Contract: WireContract,
{
    match crate::child::serve::<R>(assignment, factory) {
        Ok(()) => 0,
        Err(why) => {
            let _ = writeln!(io::stderr().lock(), "worker: {why}");
            1
        }
    }
}

#[cfg(any(not(target_os = "linux"), loom))]
fn run<R>(_assignment: &Assignment, _factory: impl ServiceFactory<R::Service>) -> i32
where
    R: Respond,
    R::Contract: WireContract,
{
    NO_SERVICE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_is_read_as_it_was_written() {
        let assignment = Assignment {
            parent: 17,
            places: 4,
            grace_ms: 1_000,
            stuck_ms: 60_000,
            most: (1 << 20, 1 << 40),
            worker: 3,
            limits: (1 << 30, 0),
            denied: Denied {
                network: true,
                programs: false,
                system: true,
            },
            contract: "Sums of numbers".to_owned(),
        };
        assert_eq!(Assignment::of_text(&assignment.to_text()), Some(assignment));
        for text in [
            "",
            "1",
            "1 2 3 4 5 6 7 8 9 7",
            "a 2 3 4 5 6 7 8 9 7 Sums",
            "1 2 3 4 5 6 7 8 9 8 Sums",
        ] {
            assert_eq!(Assignment::of_text(text), None, "{text}");
        }
    }
}
