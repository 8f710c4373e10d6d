//! The handle: which instructions and how many threads a computation may use.

use std::fmt;
use std::sync::Arc;
use std::thread;

use crate::pools::{self, Place};
use crate::simd::Simd;

/// The resources that one computation may use: a level of vector instructions, and a number of
/// threads. Cheap to clone; clones have the same settings.
///
/// ```
/// use insula_compute::Compute;
///
/// // Two of the eight cores are in use by others.
/// let compute = Compute::builder().cores(8).taken(|| 2).build();
/// assert_eq!(compute.width(), 6);
///
/// let mut samples = vec![1.0_f32; 1000];
/// compute.for_each_chunk_mut(&mut samples, 256, |start, chunk| {
///     for (index, sample) in (start..).zip(chunk) {
///         *sample *= index as f32;
///     }
/// });
/// assert_eq!(samples[999], 999.0);
/// ```
#[derive(Clone)]
pub struct Compute(Arc<Settings>);

/// Builds a [`Compute`]. Every value of each setting is accepted.
#[must_use]
pub struct ComputeBuilder {
    settings: Settings,
}

/// Whether one computation may use several threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Parallel {
    /// As many as there are free cores; see [`Compute::width`].
    #[default]
    On,
    /// One. The width is 1, whatever the numbers of cores are.
    Off,
}

struct Settings {
    simd: Simd,
    /// From 1 to [`MOST_THREADS`].
    cores: usize,
    parallel: Parallel,
    taken: Option<Box<dyn Fn() -> usize + Send + Sync>>,
}

/// The largest width. More threads than this in one pool are a wrong setting, and not a large
/// machine; rayon would start up to 65,535 of them.
const MOST_THREADS: usize = 1024;

impl Compute {
    /// Makes a handle with the settings of [`builder`](Self::builder): all cores, and the level of
    /// the CPU.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Returns a builder.
    pub fn builder() -> ComputeBuilder {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let settings = Settings {
            simd: Simd::detect(),
            cores: cores.min(MOST_THREADS),
            parallel: Parallel::On,
            taken: None,
        };
        ComputeBuilder { settings }
    }

    /// Returns the level of vector instructions that kernels are to use. No function of this crate
    /// reads it; see [`Simd`].
    pub fn simd(&self) -> Simd {
        self.0.simd
    }

    /// Returns the number of threads that a computation which begins now would use: the
    /// [cores](ComputeBuilder::cores) less the [taken](ComputeBuilder::taken) ones, and at least 1.
    /// With [`Parallel::Off`] it is 1.
    ///
    /// # Panics
    /// If the closure of [`taken`](ComputeBuilder::taken) panics. The same holds for every
    /// computation that asks for the width.
    pub fn width(&self) -> usize {
        let settings = &*self.0;
        match (settings.parallel, &settings.taken) {
            (Parallel::Off, _) => 1,
            (Parallel::On, None) => settings.cores,
            (Parallel::On, Some(taken)) => settings.cores.saturating_sub(taken()).max(1),
        }
    }

    /// Runs a closure on a thread of a pool with [`width`](Self::width) threads, and returns its
    /// result. What the closure does with rayon (parallel iterators, `join`, `scope`) uses the threads
    /// of this pool.
    ///
    /// ```
    /// use insula_compute::Compute;
    /// use rayon::prelude::*;
    ///
    /// let compute = Compute::builder().cores(2).build();
    /// let squares: u64 = compute.parallel(|| (1..=1000_u64).into_par_iter().map(|n| n * n).sum());
    /// assert_eq!(squares, 333_833_500);
    /// ```
    ///
    /// The pool belongs to this call until it returns; see the [crate's docs](crate#threads). A width
    /// of 1 needs a thread too, since rayon would use its global pool on the thread of the caller. If
    /// the operating system has no threads for the pool, the closure runs on the calling thread, and
    /// rayon uses its global pool.
    ///
    /// # Blocking
    /// The calling thread blocks until the closure has returned. In an isolate this is a part of its
    /// turn, which takes as long: wrap the call in `insula::runtime::blocking` if other isolates
    /// should get another thread at once.
    ///
    /// # Thread-local values
    /// The closure, and what it runs in parallel, find those of the pool's threads and not those of
    /// the caller. On these threads there is no current isolate.
    ///
    /// # Nested calls
    /// On a thread of such a pool, a call runs its closure in place, and so on the threads of the
    /// outer call, if these are no more than the [cores](ComputeBuilder::cores) of the handle; how
    /// many of the cores are taken is not asked. A handle with fewer cores, or with
    /// [`Parallel::Off`], uses another pool.
    ///
    /// A thread of rayon that waits for another pool, in this case or because it belongs to a pool
    /// that was made elsewhere, may run other tasks of its own pool meanwhile; see
    /// `rayon::ThreadPool::install`.
    ///
    /// # Panics
    /// If the closure panics, with its payload. Of several threads that panic at once, one payload
    /// arrives. A task that was detached with `rayon::spawn` may run on after the call; its panic is
    /// reported by the panic hook only.
    pub fn parallel<R: Send>(&self, op: impl FnOnce() -> R + Send) -> R {
        let op = |_: Place| op();
        if self.may_stay() {
            op(Place::Pool)
        } else {
            pools::run(self.width(), op)
        }
    }

    /// Runs a computation that can be split into so many pieces. One that a single thread is to do
    /// stays on the thread of the caller.
    pub(crate) fn split<R: Send>(&self, pieces: usize, op: impl FnOnce(Place) -> R + Send) -> R {
        if pieces <= 1 {
            return op(Place::Caller);
        }
        if self.may_stay() {
            return op(Place::Pool);
        }
        match self.width() {
            1 => op(Place::Caller),
            width => pools::run(width, op),
        }
    }

    /// Returns whether the calling thread is in a pool that is not too wide for this handle.
    fn may_stay(&self) -> bool {
        let most = match self.0.parallel {
            Parallel::On => self.0.cores,
            Parallel::Off => 1,
        };
        pools::current_width().is_some_and(|width| width <= most)
    }
}

/// All cores, and the level of the CPU.
impl Default for Compute {
    fn default() -> Self {
        Self::new()
    }
}

impl ComputeBuilder {
    /// Sets the number of cores that computations may use: by default the
    /// [available parallelism](std::thread::available_parallelism). 0 is taken as 1, and more than
    /// 1,024 as 1,024.
    pub fn cores(mut self, cores: usize) -> Self {
        self.settings.cores = cores.clamp(1, MOST_THREADS);
        self
    }

    /// Sets a function that returns the number of cores that others use at the moment. It is called
    /// when a computation begins, by the thread that begins it, and may be called by several threads
    /// at once. By default no core is taken.
    pub fn taken(mut self, taken: impl Fn() -> usize + Send + Sync + 'static) -> Self {
        self.settings.taken = Some(Box::new(taken));
        self
    }

    /// Sets whether one computation may use several threads.
    pub fn parallel(mut self, parallel: Parallel) -> Self {
        self.settings.parallel = parallel;
        self
    }

    /// Sets the highest level of vector instructions that kernels are to use. It is capped at what
    /// the CPU supports, as [`Simd::at_most`] does.
    pub fn simd(mut self, cap: Simd) -> Self {
        self.settings.simd = Simd::detect().at_most(cap);
        self
    }

    /// Makes the handle. No thread is started before it is needed.
    pub fn build(self) -> Compute {
        Compute(Arc::new(self.settings))
    }
}

impl fmt::Debug for Compute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.describe(&mut f.debug_struct("Compute"))
    }
}

impl fmt::Debug for ComputeBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.settings
            .describe(&mut f.debug_struct("ComputeBuilder"))
    }
}

impl Settings {
    /// Leaves `taken` out, which would run code of the user.
    fn describe(&self, f: &mut fmt::DebugStruct<'_, '_>) -> fmt::Result {
        f.field("simd", &self.simd)
            .field("cores", &self.cores)
            .field("parallel", &self.parallel)
            .finish_non_exhaustive()
    }
}
