//! Runtimes: a scheduler, a clock, and the register of the isolates that they run.

pub(crate) mod event_handler;
mod register;
pub(crate) mod seeded;
pub(crate) mod thread_pool;
pub(crate) mod time;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use insula_sync::Serial;
use insula_sync::atomic::AtomicU64;

use crate::blocking::block_on::block_on_until;
use crate::isolate::{Isolate, Oob, Priority};
use crate::memory::{Current, IsolateCore, Runnable};
use crate::panic::{Kept, contain};
use event_handler::EventHandler;
use register::Register;
use seeded::SeededScheduler;
use thread_pool::{SEARCH, ThreadPool};
use time::{Clock, Instant};

/// Threads that the pool may add to replace stuck or blocked ones, unless told otherwise.
// Miri looks at each place of a table whenever the table is used.
const DEFAULT_SPARES: usize = if cfg!(miri) { 16 } else { 256 };

/// Larger numbers of threads count as this one, which is more than operating systems start.
const MOST_THREADS: usize = 65_536;

/// What a thread's stack may have. Much smaller ones cannot even tell of a panic, and operating
/// systems refuse much larger ones.
const STACK_BYTES: std::ops::RangeInclusive<usize> = (64 << 10)..=(1 << 30);

insula_sync::thread_cell! {
    /// The runtimes that this thread has entered and not left: outside of isolates it works with
    /// the last one. They are kept by the serial numbers of their guards, since guards may be
    /// dropped in any order, and there may be many.
    ///
    /// Without a destructor, as [`HOSTED`], so that it can be used to the very end of the thread:
    /// also in the destructors of other thread-local values. The guards take everything out.
    static ENTERED: ManuallyDrop<BTreeMap<u64, Runtime>> = ManuallyDrop::new(BTreeMap::new());
}

insula_sync::thread_cell! {
    /// The runtimes of the isolates whose code may be on this thread's stack. Only compared.
    static HOSTED: ManuallyDrop<Vec<*const RuntimeCore>> = ManuallyDrop::new(Vec::new());
}

insula_sync::thread_cell! {
    /// The guard of a thread that never leaves its runtime. Dropped at the end of the thread.
    static FOREVER: Option<Entered> = None;
}

/// Puts a collection back, unless it is empty: nothing drops it there.
fn put_back<C>(cell: &Cell<ManuallyDrop<C>>, entries: ManuallyDrop<C>, is_empty: bool) {
    if is_empty {
        drop(ManuallyDrop::into_inner(entries));
    } else {
        cell.set(entries);
    }
}

/// Works with the runtimes of the isolates that this thread hosts.
fn with_hosted<R>(f: impl FnOnce(&mut Vec<*const RuntimeCore>) -> R) -> Option<R> {
    let result = HOSTED.try_with(|cell| {
        let mut hosted = cell.take();
        let result = f(&mut hosted);
        let is_empty = hosted.is_empty();
        put_back(cell, hosted, is_empty);
        result
    });
    result.ok()
}

/// Looks at the runtime that this thread has entered.
fn entered<R>(f: impl FnOnce(Option<&Runtime>) -> R) -> R {
    let mut f = Some(f);
    let result = ENTERED.try_with(|cell| {
        let f = f.take()?;
        let entries = cell.take();
        let result = f(entries.last_key_value().map(|entry| entry.1));
        let is_empty = entries.is_empty();
        put_back(cell, entries, is_empty);
        Some(result)
    });
    match (result, f) {
        (Ok(Some(result)), _) => result,
        (_, Some(f)) => f(None),
        (_, None) => unreachable!("it is called once"),
    }
}

/// Changes what this thread has entered.
fn change_entered<R>(f: impl FnOnce(&mut BTreeMap<u64, Runtime>) -> R) -> Option<R> {
    let changed = ENTERED.try_with(|cell| {
        let mut entries = cell.take();
        let result = f(&mut entries);
        let is_empty = entries.is_empty();
        put_back(cell, entries, is_empty);
        result
    });
    changed.ok()
}

/// Isolates of a runtime run on this thread, until it is dropped.
pub(crate) struct Hosted(PhantomData<*const ()>);

impl Hosted {
    pub(crate) fn begin(runtime: &RuntimeCore) -> Self {
        let _ = with_hosted(|hosted| hosted.push(std::ptr::from_ref(runtime)));
        Self(PhantomData)
    }
}

impl Drop for Hosted {
    fn drop(&mut self) {
        let _ = with_hosted(Vec::pop);
    }
}

/// Runs isolates. A cheap handle; the runtime lives until it is [shut
/// down](Self::shut_down), or the process ends.
///
/// Most programs need none of their own: the first use of an isolate starts a global one.
#[derive(Clone)]
pub struct Runtime(Arc<RuntimeCore>);

pub(crate) struct RuntimeCore {
    scheduler: Scheduler,
    stack_size: Option<usize>,
    compat: Compat,
    surroundings: Surroundings,
    clock: Clock,
    event_handler: EventHandler,
    register: Register,
}

/// Who decides what runs next, and where.
#[expect(
    clippy::large_enum_variant,
    reason = "there is one per runtime, and no use for a box"
)]
pub(crate) enum Scheduler {
    Threads(ThreadPool),
    Seeded(SeededScheduler),
}

impl Scheduler {
    /// Queues an isolate, if the calling thread is one of those that run this runtime's isolates;
    /// gives it back otherwise.
    #[inline]
    pub(crate) fn schedule_here(&self, runnable: Runnable) -> Result<(), Runnable> {
        match self {
            Self::Threads(pool) => pool.schedule_here(runnable),
            Self::Seeded(_) => Err(runnable),
        }
    }

    /// Queues an isolate from any thread. The caller keeps the runtime: the isolate may run to its
    /// end before this returns.
    pub(crate) fn schedule_elsewhere(&self, runnable: Runnable) {
        match self {
            Self::Threads(pool) => pool.schedule_elsewhere(runnable),
            Self::Seeded(seeded) => seeded.schedule(runnable),
        }
    }
}

impl Runtime {
    /// A builder.
    pub fn builder() -> RuntimeBuilder {
        RuntimeBuilder::default()
    }

    /// The runtime of the current isolate; else the one that this thread has entered; else the
    /// global one.
    pub fn current() -> Self {
        Self::of_isolate()
            .or_else(|| entered(|runtime| runtime.cloned()))
            .unwrap_or_else(Self::global)
    }

    pub(crate) fn of_isolate() -> Option<Self> {
        Current::with(|isolate| isolate.map(|isolate| Self(isolate.runtime.clone())))
    }

    /// The global runtime, started on first use with one thread per core. It is never shut
    /// down by itself.
    pub fn global() -> Self {
        static GLOBAL: OnceLock<Runtime> = OnceLock::new();
        GLOBAL.get_or_init(|| Self::builder().build()).clone()
    }

    pub(crate) fn core(&self) -> &Arc<RuntimeCore> {
        &self.0
    }

    /// Makes this the current runtime of this thread until the guard is dropped.
    ///
    /// Guards may be dropped in any order: the current runtime is always that of the newest guard
    /// there is.
    ///
    /// ```compile_fail,E0277
    /// let guard = insula_core::Runtime::global().enter();
    /// std::thread::spawn(move || drop(guard));
    /// ```
    pub fn enter(&self) -> Entered {
        let serial = change_entered(|entries| {
            // The numbers rise, so this one is no other guard's, also if some are gone.
            let serial = entries.last_key_value().map_or(0, |newest| newest.0 + 1);
            entries.insert(serial, self.clone());
            serial
        });
        Entered {
            serial: serial.unwrap_or(0),
            not_send: PhantomData,
        }
    }

    /// Runs a future to its end on this thread, with this as the current runtime. A seeded
    /// runtime runs all its isolates meanwhile, and only meanwhile.
    ///
    /// # Blocking
    /// Blocks the thread. In a future that a seeded runtime runs, one with threads may block it
    /// too: the isolates of the seeded one stand still meanwhile, so the inner future must not wait
    /// for them.
    ///
    /// # Cancellation
    /// In an isolate, on a runtime with threads: as [`block_on`](crate::block_on).
    ///
    /// # Panics
    /// For a seeded runtime: on another thread than the first time, or inside of an isolate.
    ///
    /// For a runtime with threads: inside of an isolate of a seeded one, if the future is not ready
    /// at once, as [`block_on`](crate::block_on).
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        let _entered = self.enter();
        match self.0.scheduler {
            Scheduler::Threads(_) => crate::block_on(future),
            Scheduler::Seeded(_) => {
                let inside = Current::with(|isolate| isolate.is_some());
                assert!(!inside, "a seeded runtime cannot be driven from an isolate");
                seeded::drive(&self.0, future)
            }
        }
    }

    /// The time on this runtime's clock.
    pub fn now(&self) -> Instant {
        self.0.clock.now()
    }

    /// Lets virtual time pass, as if the running code had computed for so long. What is due by
    /// then fires when the code returns to its loop.
    ///
    /// # Panics
    /// If the runtime has no virtual clock.
    pub fn advance(&self, duration: Duration) {
        assert!(
            self.0.seeded().is_some(),
            "only a virtual clock can be advanced"
        );
        self.0.clock.advance_to(self.now() + duration);
        self.0.event_handler.fire_due(self.now());
    }

    /// Runs the isolates of a seeded runtime until none of them can run without a message from
    /// outside or time passing.
    ///
    /// # Panics
    /// If the runtime is not seeded, on another thread than the first time, or inside of an
    /// isolate.
    pub fn run_until_idle(&self) {
        let inside = Current::with(|isolate| isolate.is_some());
        assert!(!inside, "a seeded runtime cannot be driven from an isolate");
        let seeded = self
            .0
            .seeded()
            .expect("only a seeded runtime is driven by its user");
        let _entered = self.enter();
        seeded::run_until_idle(seeded);
    }

    /// Kills all isolates that there are now, without waiting for their end.
    pub fn kill_all(&self) {
        for isolate in self.0.register.all() {
            isolate.post_oob(Oob::Kill(Priority::Immediate));
        }
    }

    /// Starts the first of the threads, and that of the timers, which start with the first isolate
    /// and the first timer otherwise: so a lack of threads shows here.
    ///
    /// # Errors
    /// A thread could not be started.
    pub fn start_threads(&self) -> std::io::Result<()> {
        if let Some(pool) = self.0.thread_pool() {
            pool.start_first()?;
            self.0.event_handler.start()?;
        }
        Ok(())
    }

    /// Isolates that have been spawned and have not ended.
    pub fn isolate_count(&self) -> usize {
        self.0.register.len()
    }

    /// Threads that the pool has started so far, spares included.
    pub fn thread_count(&self) -> usize {
        self.0.thread_pool().map_or(0, ThreadPool::thread_count)
    }

    /// How often the pool's monitor has looked for stuck threads: it stands still while the
    /// runtime is idle.
    pub fn monitor_ticks(&self) -> u32 {
        self.0.thread_pool().map_or(0, ThreadPool::monitor_ticks)
    }

    /// The isolates that stay inside of one turn for at least `time`, beginning now: they
    /// compute, or block, and come to no interrupt check, so that they can be neither paused
    /// nor killed meanwhile. Others go on beside them. An isolate that asks is among them.
    ///
    /// # Blocking
    /// For `time`.
    pub fn stuck(&self, time: Duration) -> Vec<Isolate> {
        let Scheduler::Threads(pool) = &self.0.scheduler else {
            return Vec::new();
        };
        let before = self.turns(pool);
        std::thread::sleep(time);
        let mut now = self.turns(pool);
        now.retain(|turn| before.contains(turn));
        let all = self.0.register.all().into_iter();
        all.filter(|isolate| now.iter().any(|&(id, _)| id == isolate.id))
            .map(Isolate::with_all_rights)
            .collect()
    }

    /// The isolates inside of a turn, each with a number that changes with the turn.
    fn turns(&self, pool: &ThreadPool) -> Vec<(u64, u32)> {
        let all = self.0.register.all().into_iter();
        let elsewhere = all.filter_map(|isolate| Some((isolate.id, isolate.turn_at_home()?)));
        pool.turns().into_iter().chain(elsewhere).collect()
    }

    /// Returns whether a shutdown has begun. Isolates that are spawned from then on are dead from
    /// the start; after the shutdown, a [`sleep`](crate::sleep) outside of isolates ends at once.
    pub fn is_shut_down(&self) -> bool {
        self.0.register.is_closed()
    }

    /// Kills all isolates, waits until they have ended, and stops the threads. Isolates that
    /// are spawned from now on are dead from the start. Doing it again does nothing.
    ///
    /// Futures outside of isolates do not wait for the runtime any longer. A
    /// [`sleep`](crate::sleep) on its clock is ready at once, and with it the deadline of a call. A
    /// wait for a socket that it watches ends with `BrokenPipe`, and a question that its isolates
    /// have not answered with [`NoReply`](crate::NoReply). [Native ports](crate::NativePort), and
    /// the operations on files that they carry out, do not belong to a runtime and go on.
    ///
    /// # Blocking
    /// Until every isolate has come to an interrupt check. Code that never returns to its loop
    /// cannot be stopped: see [`shut_down_timeout`](Self::shut_down_timeout).
    ///
    /// # Cancellation
    /// A kill of an isolate of another runtime that waits here unwinds out of the wait. The
    /// shutdown has begun, and goes on.
    ///
    /// # Panics
    /// Inside of an isolate of this runtime, which would wait for its own end; also in a future
    /// that the isolate blocks on.
    ///
    /// For a seeded runtime: inside of any isolate, and on another thread than the one that has
    /// driven it.
    ///
    /// On a thread that has a [`RootIsolate`](crate::RootIsolate) of this runtime, which only that
    /// thread could end.
    ///
    /// In a destructor that runs while the thread unwinds it does not panic in these cases, but
    /// begins the shutdown and does not wait.
    pub fn shut_down(&self) {
        let _ = self.shut_down_within(None);
    }

    /// Returns the name of a root isolate that only this thread can run, if there is one.
    fn root_here(&self) -> Option<Arc<str>> {
        let all = self.0.register.all();
        let root = all.iter().find(|isolate| isolate.is_root_here());
        root.map(|isolate| isolate.name())
    }

    /// As [`shut_down`](Self::shut_down), waiting for at most `timeout`.
    ///
    /// # Errors
    /// Names the isolates that have not ended. Their threads, and they, are left as they are.
    ///
    /// # Panics
    /// Inside of an isolate of this runtime, as [`shut_down`](Self::shut_down).
    pub fn shut_down_timeout(&self, timeout: Duration) -> Result<(), StillRunning> {
        self.shut_down_within(Some(timeout))
    }

    fn shut_down_within(&self, timeout: Option<Duration>) -> Result<(), StillRunning> {
        let inside = self.is_hosted_here();
        assert!(
            !inside || std::thread::panicking(),
            "an isolate cannot wait for its own runtime to shut down, nor can a future that it \
             blocks on: call `shut_down` on a thread that runs none of the runtime's isolates"
        );
        // With a time-out the wait ends, and its error names the root isolate.
        let root = if timeout.is_none() && !inside {
            self.root_here()
        } else {
            None
        };
        if let Some(root) = &root
            && !std::thread::panicking()
        {
            panic!(
                "the root isolate '{root}' lives on this thread, and only this thread can end it: \
                 drop it before `shut_down`"
            );
        }
        for isolate in self.0.register.close() {
            isolate.post_oob(Oob::Kill(Priority::Immediate));
        }
        let refused = std::thread::panicking() && !self.is_drivable_here();
        if inside || root.is_some() || refused {
            return Err(self.still_running());
        }
        match &self.0.scheduler {
            Scheduler::Seeded(_) => self.block_on(self.0.register.emptied()),
            Scheduler::Threads(pool) => {
                let emptied = block_on_until(self.0.register.emptied(), timeout);
                if emptied.is_err() {
                    return Err(self.still_running());
                }
                pool.stop();
            }
        }
        self.0.event_handler.stop();
        Ok(())
    }

    /// Whether [`block_on`](Self::block_on) runs the isolates, or they run without it.
    fn is_drivable_here(&self) -> bool {
        let inside = Current::with(|isolate| isolate.is_some());
        let seeded = self.0.seeded();
        seeded.is_none_or(|seeded| !inside && seeded.is_driven_here())
    }

    fn still_running(&self) -> StillRunning {
        let names = self.0.register.all().iter().map(|it| it.name()).collect();
        StillRunning { names }
    }

    /// Whether code of one of its isolates may be further up this thread's stack.
    fn is_hosted_here(&self) -> bool {
        let inside = Current::with(|isolate| {
            isolate.is_some_and(|isolate| Arc::ptr_eq(&isolate.runtime, &self.0))
        });
        let this = Arc::as_ptr(&self.0);
        inside || with_hosted(|hosted| hosted.contains(&this)).unwrap_or(false)
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime")
            .field("isolates", &self.isolate_count())
            .finish_non_exhaustive()
    }
}

/// Isolates that did not end in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StillRunning {
    /// Their names.
    pub names: Vec<Arc<str>>,
}

impl StillRunning {
    /// Names in its text.
    const SHOWN: usize = 10;
}

impl fmt::Display for StillRunning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.names.len();
        let shown = &self.names[..all.min(Self::SHOWN)];
        write!(f, "{all} isolates have not ended: {}", shown.join(", "))?;
        match all - shown.len() {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

impl std::error::Error for StillRunning {}

/// Keeps a runtime entered, on the thread that entered it. Made by [`Runtime::enter`].
#[derive(Debug)]
#[must_use = "dropping it leaves the runtime"]
pub struct Entered {
    serial: u64,
    not_send: PhantomData<*const ()>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        // Dropped when the entries are back in their place.
        drop(change_entered(|entries| entries.remove(&self.serial)));
    }
}

/// How a runtime is to be made. Made by [`Runtime::builder`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it builds"]
pub struct RuntimeBuilder {
    threads: Option<usize>,
    spares: usize,
    search: Duration,
    name: Arc<str>,
    stack_size: Option<usize>,
    seed: Option<u64>,
    compat: Compat,
    surroundings: Surroundings,
}

/// What each thread that runs isolates does around its work.
#[derive(Clone, Default)]
pub(crate) struct Surroundings(Option<Arc<Kept<Surround>>>);

type Surround = dyn Fn(&mut dyn FnMut()) + Send + Sync;

impl Surroundings {
    /// Runs a thread's work in them; outside of them, if they did not get as far as calling it.
    pub(crate) fn run(&self, work: impl FnOnce()) {
        let mut work = Some(work);
        let mut call = || {
            if let Some(work) = work.take() {
                work();
            }
        };
        if let Some(surround) = &self.0 {
            contain(|| surround.get()(&mut call));
        }
        call();
    }
}

impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "some" } else { "none" })
    }
}

/// Whose order of events a runtime follows where the Dart VM's is a trap.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[non_exhaustive]
pub enum Compat {
    /// The one that loses nothing: a `BeforeNextEvent` goes before an `AsEvent`, microtasks
    /// that an error left behind run at once, and every error is told.
    #[default]
    Insula,
    /// The VM's: among control messages alone, `AsEvent` and `BeforeNextEvent` share one row;
    /// microtasks that an error left behind wait for the next event, and are lost if there is
    /// none; an error that is neither fatal nor listened for is silent.
    Dart,
}

impl Default for RuntimeBuilder {
    fn default() -> Self {
        Self {
            threads: None,
            spares: DEFAULT_SPARES,
            search: SEARCH,
            name: Arc::from("insula"),
            stack_size: None,
            seed: None,
            compat: Compat::default(),
            surroundings: Surroundings::default(),
        }
    }
}

impl RuntimeBuilder {
    /// Threads that run isolates at a time; by default as many as the process may use cores.
    /// They start as they are needed. 0 counts as 1, and more than 65,536 as 65,536.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads.clamp(1, MOST_THREADS));
        self
    }

    /// Threads that may be added while others are blocked or inside one long turn; 256 unless
    /// set. With none, isolates that compute for long make others wait. More than 65,536 count as
    /// 65,536.
    ///
    /// A wait of this crate in an isolate is refused with
    /// [`WaitError::NoThreads`](crate::WaitError::NoThreads) if, for a second,
    /// - isolates wait to run,
    /// - every thread that `threads` and this number allow, or as many of them as the operating
    ///   system starts, is inside of a wait of this crate, and
    /// - none of these waits has ended and none has begun.
    ///
    /// It is the newest of the waits. A wait with a time-out is not counted and not refused, nor is
    /// [`block_on`](crate::block_on) of a future that waits for time, a socket or an operation on
    /// files: while there is one, no other wait is refused either. What else comes from outside of
    /// the runtime, such as a message of a plain thread, is not foreseen: a wait that it would have
    /// ended after more than a second is refused. So allow for as many threads as there are isolates
    /// that block at a time.
    pub fn spare_threads(mut self, spares: usize) -> Self {
        self.spares = spares.min(MOST_THREADS);
        self
    }

    /// How long a thread without work looks around for some before it goes to sleep; 20 us unless
    /// set. Work that comes in that time need not wake anybody.
    ///
    /// With zero it leaves its core at once. That is better where threads that are not the
    /// runtime's bring most of the work, a piece at a time, and wait for each answer: the kernel
    /// likes to wake such a thread on the core of whoever answered, where it then has to wait until
    /// that one has looked around.
    pub fn search_time(mut self, time: Duration) -> Self {
        self.search = time;
        self
    }

    /// What the threads' names begin with.
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = name.into();
        self
    }

    /// The bytes that the stacks of the threads have which run pooled and pinned isolates. Unless
    /// set they are those of any thread of Rust: 2 MiB, or what `RUST_MIN_STACK` says. Less than
    /// 64 KiB counts as 64 KiB, and more than 1 GiB as 1 GiB.
    ///
    /// A stack that overflows aborts the process.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(bytes.clamp(*STACK_BYTES.start(), *STACK_BYTES.end()));
        self
    }

    /// A runtime without threads, on virtual time, whose order of events follows from `seed`
    /// alone. It runs inside of [`Runtime::block_on`].
    ///
    /// [Shut it down](Runtime::shut_down) at the end: isolates that have not ended are not freed
    /// with the last handle, because they refer to their runtime.
    pub fn seeded(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Follows the Dart VM's order of events also where it is a trap, for programs that depend
    /// on it.
    pub fn compat(mut self, compat: Compat) -> Self {
        self.compat = compat;
        self
    }

    /// Has every thread that runs pooled or pinned isolates do so inside of `surround`, which
    /// calls what it is given: so a library finds the thread-local context that it wants.
    ///
    /// A thread works without them if `surround` panics before it has called.
    ///
    /// A seeded runtime has no threads: whoever drives it makes the surroundings. Likewise
    /// whoever drives a root isolate.
    pub fn around_threads(
        mut self,
        surround: impl Fn(&mut dyn FnMut()) + Send + Sync + 'static,
    ) -> Self {
        self.surroundings = Surroundings(Some(Arc::new(Kept::new(Box::new(surround)))));
        self
    }

    /// Makes the runtime. Threads start with the first isolate.
    pub fn build(self) -> Runtime {
        crate::panic::install_hook();
        let (scheduler, clock) = match self.seed {
            Some(seed) => {
                let scheduler = Scheduler::Seeded(SeededScheduler::new(seed));
                (scheduler, Clock::Virtual(AtomicU64::new(0)))
            }
            None => {
                let threads = self
                    .threads
                    .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
                let pool = ThreadPool::new(threads, self.spares, self.search, self.name);
                (Scheduler::Threads(pool), Clock::System)
            }
        };
        let core = Arc::new(RuntimeCore {
            event_handler: EventHandler::new(&clock),
            scheduler,
            stack_size: self.stack_size,
            compat: self.compat,
            surroundings: self.surroundings,
            clock,
            register: Register::new(),
        });
        if let Scheduler::Threads(pool) = &core.scheduler {
            pool.belongs_to(&core);
        }
        Runtime(core)
    }
}

impl RuntimeCore {
    #[inline]
    pub(crate) fn scheduler(&self) -> &Scheduler {
        &self.scheduler
    }

    pub(crate) fn compat(&self) -> Compat {
        self.compat
    }

    /// A thread that runs isolates.
    pub(crate) fn new_thread(&self, name: &str) -> std::thread::Builder {
        let thread = std::thread::Builder::new().name(thread_name(name));
        match self.stack_size {
            Some(bytes) => thread.stack_size(bytes),
            None => thread,
        }
    }

    pub(crate) fn surroundings(&self) -> &Surroundings {
        &self.surroundings
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(crate) fn event_handler(&self) -> &EventHandler {
        &self.event_handler
    }

    pub(crate) fn thread_pool(&self) -> Option<&ThreadPool> {
        match &self.scheduler {
            Scheduler::Threads(pool) => Some(pool),
            Scheduler::Seeded(_) => None,
        }
    }

    pub(crate) fn seeded(&self) -> Option<&SeededScheduler> {
        match &self.scheduler {
            Scheduler::Threads(_) => None,
            Scheduler::Seeded(seeded) => Some(seeded),
        }
    }

    pub(crate) fn has_threads(&self) -> bool {
        self.seeded().is_none()
    }

    /// Of all runtimes of the process: cells, timers and listeners know their isolate by it.
    pub(crate) fn next_isolate_id() -> u64 {
        static NEXT: Serial = Serial::new();
        NEXT.next()
    }

    /// Of all runtimes of the process: a listener finds its port by it, and trusts its type.
    pub(crate) fn next_port_serial() -> u64 {
        static NEXT: Serial = Serial::new();
        NEXT.next()
    }

    /// Counts an isolate in, before it is scheduled for the first time. `false` if the runtime
    /// has shut down, so that the isolate must not start.
    #[must_use]
    pub(crate) fn register(&self, isolate: &IsolateCore) -> bool {
        self.register.add(isolate)
    }

    /// Counts an isolate out, at the end of its teardown.
    pub(crate) fn unregister(&self, isolate: Current<'_>) {
        self.register.remove(isolate.core());
    }
}

/// The name of a thread, which the operating system wants without NUL.
pub(crate) fn thread_name(name: &str) -> String {
    name.replace('\0', "\u{2400}")
}

/// Runs `f` with the current runtime, if there is one, without starting the global one.
pub(crate) fn with_current<R>(f: impl FnOnce(Option<&RuntimeCore>) -> R) -> R {
    Current::with(|isolate| match isolate {
        Some(isolate) => f(Some(&isolate.runtime)),
        None => entered(|runtime| f(runtime.map(|runtime| &*runtime.0))),
    })
}

/// Makes a runtime the current one of a thread of its own.
pub(crate) fn enter_forever(runtime: &Arc<RuntimeCore>) {
    let entered = Runtime(runtime.clone()).enter();
    // At the end of the thread there is no place for it, and it is left at once.
    let _ = FOREVER.try_with(|forever| forever.set(Some(entered)));
}

pub(crate) use thread_pool::{BegunWait, about_to_block, begin_wait, others_wait};
