//! The table of pools, and one pool in detail.

use std::time::Duration;

use insula_core::{IsolateId, IsolateState};
use insula_pool::{
    Latency as Times, MethodStats, PoolPhase, PoolStats, WorkerCondition, WorkerStats,
    WorkerStatus, pools,
};

use super::isolates::number_in;
use super::view::{PoolView, View};
use super::{Failure, Program, millis};
use crate::model::{
    Bucket, Call, Histograms, Latency, Method, Outcomes, Pool, PoolDetail, Pools, Worker,
};
use crate::why;

/// Calls that are shown of a pool.
const CALLS: usize = 1_000;

/// Returns the id of a pool in the protocol.
pub(super) fn pool_id(number: u64) -> String {
    format!("pools/{number}")
}

/// Returns the name of a phase in the protocol.
pub(super) fn phase_name(phase: PoolPhase) -> &'static str {
    match phase {
        PoolPhase::Serving => "serving",
        PoolPhase::Degraded => "degraded",
        PoolPhase::Failed => "failed",
        PoolPhase::Draining => "draining",
        _ => "closed",
    }
}

impl Program {
    /// Answers `getPools`.
    pub(crate) fn pools(&self) -> Pools {
        let pools = self.recent().pools.iter().map(row).collect();
        Pools { pools }
    }

    /// Answers `getPool`.
    pub(crate) fn pool(&self, id: &str) -> Result<PoolDetail, Failure> {
        let number = number_in(id, "pools")?;
        let now = self.now_ms();
        let view = self.recent();
        let mut pools = view.pools.iter();
        let pool = pools.find(|it| it.number == number);
        let pool = pool.ok_or_else(|| Failure::Missing(format!("there is no pool '{id}'")))?;
        let mut detail = self.detail(pool, &view, now);
        detail.why = why::of_pool(&detail);
        Ok(detail)
    }

    fn detail(&self, pool: &PoolView, view: &View, now: u64) -> PoolDetail {
        let seen = &view.seen;
        let isolates = &pool.isolates;
        let rows = pool.status.workers.iter().zip(&pool.stats.workers);
        let mut calls: Vec<_> = pool
            .calls
            .iter()
            .map(|call| {
                let first = seen.calls.get(&call.identity()).map(|it| it.first_ms);
                Call {
                    worker: call.worker.index() as u64,
                    method: pool.full_name(call.method),
                    seen_ms: first.map_or(0, |first| now.saturating_sub(first)),
                    is_waiting: call.is_waiting,
                }
            })
            .collect();
        calls.sort_by_key(|call| std::cmp::Reverse(call.seen_ms));
        calls.truncate(CALLS);
        let is_paused = |isolate: IsolateId| {
            let found = view.isolate(isolate);
            found.is_some_and(|it| it.state == IsolateState::Paused)
        };
        PoolDetail {
            pool: row(pool),
            workers: rows
                .map(|(status, stats)| {
                    let mut own = isolates.iter().filter(|it| it.0 == status.id.index());
                    let newest = own.next_back().map(|it| it.1);
                    let turn = newest.and_then(|it| seen.isolates.get(&it.number()));
                    Worker {
                        is_paused: newest.is_some_and(is_paused),
                        isolate: newest.map(|isolate| self.party(isolate)),
                        turn_ms: turn
                            .and_then(|it| it.turn_since_ms)
                            .map(|since| now.saturating_sub(since)),
                        ..worker(status, stats)
                    }
                })
                .collect(),
            methods: pool.stats.methods.iter().map(method).collect(),
            calls,
            histograms: histograms(pool.number),
            why: Vec::new(),
        }
    }
}

impl PoolView {
    /// Returns a method with the name of its contract.
    pub(super) fn full_name(&self, method: &str) -> String {
        let mut of_contracts = self.methods.iter().filter(|it| it.1 == method);
        let contract = of_contracts.next().map_or("", |it| it.0);
        format!("{contract}.{method}")
    }
}

fn row(pool: &PoolView) -> Pool {
    let PoolView { status, stats, .. } = pool;
    let count = |is: fn(&WorkerCondition) -> bool| {
        let workers = status.workers.iter();
        workers.filter(|worker| is(&worker.condition)).count() as u64
    };
    Pool {
        id: pool_id(pool.number),
        name: status.name.clone(),
        phase: phase_name(status.phase).to_owned(),
        ready: count(|it| matches!(it, WorkerCondition::Ready)),
        workers: count(|it| {
            let is_present = !matches!(it, WorkerCondition::Retired | WorkerCondition::Ended);
            is_present && !matches!(it, WorkerCondition::Lost(_))
        }),
        most_workers: pool.most_workers as u64,
        queued: status.queued as u64,
        waiting: status.waiting as u64,
        running: status.workers.iter().map(|it| it.busy as u64).sum(),
        submitted_total: stats.submitted,
        outcomes: outcomes(stats),
        stuck_total: stats.stuck,
        rebuilt_total: status
            .workers
            .iter()
            .map(|it| u64::from(it.incarnation))
            .sum(),
        queue_wait: latency(&stats.queue_wait),
        run_time: latency(&stats.run_time),
        latency: latency(&stats.latency),
    }
}

fn outcomes(stats: &PoolStats) -> Outcomes {
    Outcomes {
        answered_total: stats.answered,
        failed_total: stats.failed,
        panicked_total: stats.panicked,
        cancelled_total: stats.cancelled,
        expired_total: stats.expired,
        died_total: stats.died,
        rejected_total: stats.rejected,
        shed_total: stats.shed,
    }
}

/// Returns a row of the table of workers without what is known of its isolate.
fn worker(status: &WorkerStatus, stats: &WorkerStats) -> Worker {
    let (condition, fault) = match &status.condition {
        WorkerCondition::Starting => ("starting", None),
        WorkerCondition::Ready => ("ready", None),
        WorkerCondition::Suspect => ("suspect", None),
        WorkerCondition::Retired => ("retired", None),
        WorkerCondition::Lost(fault) => ("lost", Some(fault.clone())),
        _ => ("ended", None),
    };
    Worker {
        index: status.id.index() as u64,
        condition: condition.to_owned(),
        fault,
        incarnation: u64::from(status.incarnation),
        running: status.busy as u64,
        calls_total: stats.calls,
        panicked_total: stats.panicked,
        cpu_total_ms: stats.cpu_time.map(millis),
        memory_bytes: stats.memory.map(|memory| memory.held),
        run_time: latency(&stats.run_time),
        ..Worker::default()
    }
}

fn method(stats: &MethodStats) -> Method {
    Method {
        contract: stats.contract.to_owned(),
        method: stats.method.to_owned(),
        outcomes: Outcomes {
            answered_total: stats.answered,
            failed_total: stats.failed,
            panicked_total: stats.panicked,
            cancelled_total: stats.cancelled,
            expired_total: stats.expired,
            died_total: stats.died,
            rejected_total: 0,
            shed_total: 0,
        },
        queue_wait: latency(&stats.queue_wait),
        run_time: latency(&stats.run_time),
        latency: latency(&stats.latency),
    }
}

fn latency(times: &Times) -> Latency {
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    Latency {
        samples: times.samples,
        mean_us: micros(times.mean),
        p50_us: micros(times.p50),
        p90_us: micros(times.p90),
        p99_us: micros(times.p99),
        p999_us: micros(times.p999),
        max_us: micros(times.max),
    }
}

/// Asks the pool itself, since a look at all pools need not have them. Empty once it is gone.
fn histograms(number: u64) -> Histograms {
    let mut pools = pools().into_iter();
    let pool = pools.find(|pool| pool.number() == number);
    let found = pool.map(|pool| pool.histograms()).unwrap_or_default();
    Histograms {
        queue_wait: buckets(&found.queue_wait),
        run_time: buckets(&found.run_time),
    }
}

fn buckets(counts: &[(Duration, u64)]) -> Vec<Bucket> {
    let buckets = counts.iter().map(|(up_to, total)| Bucket {
        up_to_us: up_to.as_secs_f64() * 1e6,
        total: *total,
    });
    buckets.collect()
}
