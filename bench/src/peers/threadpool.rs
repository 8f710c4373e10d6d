//! threadpool: boxed closures through one locked channel.

use threadpool::ThreadPool;

use crate::drivers::executor::THREADS;
use crate::drivers::pool::ClosurePool;

pub(crate) struct Threadpool(ThreadPool);

impl Threadpool {
    pub(crate) fn new() -> Self {
        Self(ThreadPool::new(THREADS))
    }

    /// One `execute` per job, then `join`.
    pub(crate) fn execute_all(&self, count: u64, job: impl Fn() + Clone + Send + 'static) {
        for _ in 0..count {
            self.0.execute(job.clone());
        }
        self.0.join();
    }
}

impl ClosurePool for Threadpool {
    fn execute(&self, job: impl FnOnce() + Send + 'static) {
        self.0.execute(job);
    }
}
