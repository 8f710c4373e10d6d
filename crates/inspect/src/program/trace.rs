//! A trace: the calls of pools as they end.
//!
//! Each pool collects its calls for a trace (`insula_pool::CallTrace`), as long as the client
//! listens; between two looks it keeps a bounded number.

use std::collections::BTreeMap;
use std::time::Duration;

use insula_pool::{CallTrace, EndedCall as Ended, pools};

use super::isolates::number_in;
use super::pools::pool_id;
use super::{Failure, Program, millis};
use crate::model::{EndedCall, EndedCalls, Party};

/// Calls that are told at once.
const CALLS: usize = 1_000;

/// The calls that a client wants to know of.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    /// The id of the pool; without it, all pools, those that are yet to come too.
    pub(crate) pool: Option<String>,
    /// `contract.method`, or a method of any contract.
    pub(crate) method: Option<String>,
    /// Calls that took at least this, from their submission on.
    pub(crate) slower_than: Duration,
}

/// A trace of a client.
pub(crate) struct Tracer {
    wanted: Wanted,
    /// The number of the only pool.
    pool: Option<u64>,
    /// The traces by the numbers of the pools, with the names of those.
    traces: BTreeMap<u64, (String, CallTrace)>,
}

impl Program {
    /// Begins a trace.
    pub(crate) fn tracer(wanted: Wanted) -> Result<Tracer, Failure> {
        let pool = wanted.pool.as_deref();
        let pool = pool.map(|id| number_in(id, "pools")).transpose()?;
        let mut tracer = Tracer {
            wanted,
            pool,
            traces: BTreeMap::new(),
        };
        tracer.follow();
        match pool {
            Some(number) if tracer.traces.is_empty() => Err(Failure::Missing(format!(
                "there is no pool '{}'",
                pool_id(number)
            ))),
            _ => Ok(tracer),
        }
    }
}

impl Tracer {
    /// Returns the calls that have ended since the last time.
    pub(crate) fn take(&mut self, program: &Program) -> EndedCalls {
        let mut all = EndedCalls::default();
        for (number, (name, trace)) in &self.traces {
            let traced = trace.take();
            all.dropped += traced.lost;
            for call in traced.calls.iter().filter(|call| self.wanted.has(call)) {
                match all.calls.len() {
                    CALLS => all.dropped += 1,
                    _ => all.calls.push(row(call, (*number, name), program)),
                }
            }
        }
        // Last, so that the calls of a pool that has gone are told.
        self.follow();
        all
    }

    /// Begins to trace pools that are new, and ends with those that are gone.
    fn follow(&mut self) {
        let pools = pools();
        let is_there = |number: &u64| pools.iter().any(|pool| pool.number() == *number);
        self.traces.retain(|number, _| is_there(number));
        for pool in &pools {
            let number = pool.number();
            let is_wanted = self.pool.is_none_or(|wanted| wanted == number);
            if is_wanted && !self.traces.contains_key(&number) {
                let traced = (pool.status().name, pool.trace());
                self.traces.insert(number, traced);
            }
        }
    }
}

impl Wanted {
    fn has(&self, call: &Ended) -> bool {
        let time = call.waited.unwrap_or_default() + call.ran.unwrap_or_default();
        let is_named = |wanted: &String| {
            wanted == call.method || *wanted == format!("{}.{}", call.contract, call.method)
        };
        time >= self.slower_than && self.method.as_ref().is_none_or(is_named)
    }
}

fn row(call: &Ended, (number, name): (u64, &str), program: &Program) -> EndedCall {
    let age = program.runtime.now().saturating_duration_since(call.at);
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    EndedCall {
        at_ms: program.now_ms().saturating_sub(millis(age)),
        pool: Party {
            id: pool_id(number),
            name: name.to_owned(),
        },
        worker: call.worker.map(|worker| worker.index() as u64),
        method: format!("{}.{}", call.contract, call.method),
        wait_us: call.waited.map(micros),
        run_us: call.ran.map(micros),
        outcome: call.outcome.to_owned(),
    }
}
