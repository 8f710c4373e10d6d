//! A trace of a pool: its calls as they end, for tools.
//!
//! A call that is timed passes the clock and the locks of the books anyway, and only there it is
//! asked whether there is a trace. So that all calls pass there, a pool with a trace times every
//! call that comes, whatever [`Measure`](crate::Measure) says; a pool without one pays nothing. The
//! histograms have these calls too.
//!
//! A call that came before the trace, and was not timed, is missing, and so is one that its caller
//! has given up in the queue. A call that was discarded there has no times.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use insula_core::Instant;
use insula_rpc::{How, WorkerId};
use insula_sync::Mutex;
use insula_sync::atomic::{AtomicBool, Ordering};

/// Calls that a trace keeps until they are taken.
const BUFFER: usize = 4_096;

/// A call that has ended.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct EndedCall {
    /// When it ended, by the clock of the runtime.
    pub at: Instant,
    /// The worker that ran it; `None` for a call that was discarded in the queue.
    pub worker: Option<WorkerId>,
    /// The name of its contract.
    pub contract: &'static str,
    /// The name of its method.
    pub method: &'static str,
    /// How long it waited in the queue; `None` for one that was discarded there.
    pub waited: Option<Duration>,
    /// How long its handler ran; `None` if it did not.
    pub ran: Option<Duration>,
    /// How it ended, by the names of the counters of [`PoolStats`](crate::PoolStats).
    pub outcome: &'static str,
}

/// The calls that a trace has collected since the last time.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Traced {
    /// The calls, in the order of their ends.
    pub calls: Vec<EndedCall>,
    /// Calls that ended while there was no room for them.
    pub lost: u64,
}

/// A trace of a pool, from [`AnyPool::trace`](crate::AnyPool::trace), which ends when it is dropped.
/// It keeps up to 4,096 calls that were not taken, and does not keep the pool open.
#[must_use = "dropping it ends the trace"]
pub struct CallTrace {
    number: u64,
    traces: Arc<Traces>,
    /// Tells the pool that a trace has begun or ended.
    changed: Box<dyn Fn() + Send + Sync>,
}

/// The traces of a pool. Its lock is a leaf.
#[derive(Default)]
pub(crate) struct Traces {
    /// Set while there is a trace. Relaxed: a call that ends as a trace begins may be missed.
    has_any: AtomicBool,
    inside: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    /// One for each trace, so as many as tools ask for.
    collected: Vec<(u64, Traced)>,
    /// The number of the next trace.
    next: u64,
}

impl Traces {
    /// Begins a trace. `changed` is called once it is there, and after its end.
    pub(crate) fn begin(self: &Arc<Self>, changed: impl Fn() + Send + Sync + 'static) -> CallTrace {
        let mut inside = self.inside.lock();
        let number = inside.next;
        inside.next += 1;
        inside.collected.push((number, Traced::default()));
        self.has_any.store(true, Ordering::Relaxed);
        drop(inside);
        changed();
        CallTrace {
            number,
            traces: Arc::clone(self),
            changed: Box::new(changed),
        }
    }

    pub(crate) fn is_any(&self) -> bool {
        self.has_any.load(Ordering::Relaxed)
    }

    /// Adds a call, which is described only if there is a trace.
    pub(crate) fn add(&self, call: impl FnOnce() -> EndedCall) {
        if !self.is_any() {
            return;
        }
        let call = call();
        let mut inside = self.inside.lock();
        for (_, traced) in &mut inside.collected {
            match traced.calls.len() {
                BUFFER => traced.lost += 1,
                _ => traced.calls.push(call.clone()),
            }
        }
    }
}

impl CallTrace {
    /// Takes the calls that have ended since the last time.
    pub fn take(&self) -> Traced {
        let mut inside = self.traces.inside.lock();
        let mut all = inside.collected.iter_mut();
        let own = all.find(|(number, _)| *number == self.number);
        own.map(|(_, traced)| std::mem::take(traced))
            .unwrap_or_default()
    }
}

impl Drop for CallTrace {
    fn drop(&mut self) {
        let mut inside = self.traces.inside.lock();
        inside
            .collected
            .retain(|(number, _)| *number != self.number);
        let has_any = !inside.collected.is_empty();
        self.traces.has_any.store(has_any, Ordering::Relaxed);
        drop(inside);
        (self.changed)();
    }
}

/// Returns the name of an outcome among the counters.
pub(crate) fn name_of(how: How) -> &'static str {
    match how {
        How::Answered => "answered",
        How::Failed => "failed",
        How::Panicked => "panicked",
        How::Cancelled => "cancelled",
        How::Expired => "expired",
        How::Died => "died",
    }
}

impl fmt::Debug for CallTrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallTrace")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Traces")
            .field("has_any", &self.is_any())
            .finish_non_exhaustive()
    }
}
