//! rayon: fork and join over a work-stealing pool.

use rayon::iter::{
    IndexedParallelIterator, IntoParallelIterator, IntoParallelRefMutIterator, ParallelIterator,
};
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::drivers::executor::THREADS;
use crate::drivers::pool::{ClosurePool, Tick};
use crate::measure::Work;

pub(crate) struct Rayon(ThreadPool);

impl Rayon {
    pub(crate) fn new() -> Self {
        let pool = ThreadPoolBuilder::new().num_threads(THREADS).build();
        Self(pool.expect("the system gives two threads"))
    }

    /// One `scope.spawn` per job.
    pub(crate) fn spawn_all(&self, count: u64, job: impl Fn() + Sync) {
        let job = &job;
        self.0.scope(|scope| {
            for _ in 0..count {
                scope.spawn(move |_| job());
            }
        });
    }

    /// A tree of `join`s with one job per leaf.
    pub(crate) fn join_all(&self, count: u64, tick: &Tick) {
        self.0.install(|| halve(count, tick));
    }

    /// `par_iter` with one job per piece.
    pub(crate) fn iterate_all(&self, count: u64, work: Work) {
        // Otherwise rayon makes one job of neighbors, and there would be fewer than are counted.
        let jobs = (0..count as usize).into_par_iter().with_max_len(1);
        self.0.install(|| jobs.for_each(|_| work.run()));
    }

    /// `par_iter` with one job per piece, for the results.
    pub(crate) fn map_all<T, R>(&self, jobs: Vec<T>, job: impl Fn(T) -> R + Send + Sync) -> Vec<R>
    where
        T: Send,
        R: Send,
    {
        let jobs = jobs.into_par_iter().with_max_len(1);
        self.0.install(|| jobs.map(job).collect())
    }

    /// `par_iter_mut` with one job per piece.
    pub(crate) fn each<T: Send>(&self, pieces: &mut [T], job: impl Fn(&mut T) + Send + Sync) {
        let pieces = pieces.par_iter_mut().with_max_len(1);
        self.0.install(|| pieces.for_each(job));
    }
}

fn halve(count: u64, tick: &Tick) {
    match count {
        0 => {}
        1 => tick.tick(),
        _ => {
            let left = count / 2;
            rayon::join(|| halve(left, tick), || halve(count - left, tick));
        }
    }
}

impl ClosurePool for Rayon {
    fn execute(&self, job: impl FnOnce() + Send + 'static) {
        self.0.spawn(job);
    }
}
