//! The load of the program itself: what its threads and the workers of its pool do.

use std::fmt;
use std::time::Duration;

use insula::{Instant, Runtime};

use crate::service::TilePool;

/// The time for which a reading is shown. Shorter ones could not be read.
const SHOWN: Duration = Duration::from_millis(100);

/// What the threads and the workers do at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Load {
    /// Threads that the runtime has started.
    pub threads: usize,
    /// Those of them that run an isolate.
    pub running: usize,
    /// Those of them that are inside of one long turn, and have been replaced.
    pub stuck: usize,
    /// Workers of the pool.
    pub workers: usize,
    /// Tiles that they compute.
    pub computed: usize,
    /// Tiles that wait in the queue.
    pub queued: usize,
}

impl Load {
    /// Reads the load of a runtime and a pool.
    pub fn of(runtime: &Runtime, pool: &TilePool) -> Self {
        let threads = runtime.threads();
        let status = pool.status();
        Self {
            threads: threads.len(),
            running: threads.iter().filter(|it| it.isolate.is_some()).count(),
            stuck: threads.iter().filter(|it| it.is_stuck).count(),
            workers: status.workers.len(),
            computed: status.workers.iter().map(|it| it.busy).sum(),
            queued: status.queued + status.waiting,
        }
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            threads,
            running,
            stuck,
            workers,
            computed,
            queued,
        } = self;
        write!(
            f,
            "threads {threads}: {running} run, {stuck} stuck  workers {workers}: {computed} tiles, \
             {queued} queued"
        )
    }
}

/// Reads the load now and then.
pub struct Gauge {
    read: Box<dyn Fn() -> Load + Send>,
    last: Load,
    read_at: Option<Instant>,
}

impl Gauge {
    /// Creates a gauge of what `read` returns.
    pub fn new(read: impl Fn() -> Load + Send + 'static) -> Self {
        Self {
            read: Box::new(read),
            last: Load::default(),
            read_at: None,
        }
    }

    /// Returns the load for a frame at `now`. The last frame before a rest stays on the screen, so it
    /// shows a reading of its own.
    pub(crate) fn at(&mut self, now: Instant, is_last: bool) -> Load {
        let is_old = self.read_at.is_none_or(|at| now - at >= SHOWN);
        if is_old || is_last {
            self.last = (self.read)();
            self.read_at = Some(now);
        }
        self.last
    }
}

impl fmt::Debug for Gauge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gauge")
            .field("last", &self.last)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
