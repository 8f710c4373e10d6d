//! Runtimes: each has a scheduler, a clock, and a register of the isolates that it runs.

pub(crate) mod event_handler;
pub(crate) mod pollers;
mod register;
pub(crate) mod seeded;
pub(crate) mod system_id;
pub(crate) mod thread_pool;
pub(crate) mod time;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use insula_sync::Serial;
use insula_sync::atomic::AtomicU64;

use crate::blocking::block_on::block_on_until;
use crate::inspect::{CHUNK, Observers};
use crate::isolate::{Isolate, Oob, Priority};
use crate::memory::{Current, IsolateCore, IsolateRef, Runnable};
use crate::panic::{Kept, contain};
use event_handler::EventHandler;
use pollers::Poller;
use register::Register;
use seeded::SeededScheduler;
use thread_pool::{SEARCH, ThreadPool};
use time::{Clock, Instant};

/// The default of [`RuntimeBuilder::spare_threads`].
// Less under Miri, whose time for each access to a table grows with the table's length.
const DEFAULT_SPARES: usize = if cfg!(miri) { 32 } else { 256 };

/// The upper limit of both thread settings. Operating systems start fewer threads than this.
const MOST_THREADS: usize = 65_536;

/// The allowed range of a thread's stack size. A much smaller stack cannot even report a panic, and
/// operating systems refuse much larger ones.
const STACK_BYTES: std::ops::RangeInclusive<usize> = (64 << 10)..=(1 << 30);

insula_sync::thread_cell! {
    /// The runtimes that this thread has entered and not left. Outside of isolates, the last one is
    /// the current runtime. The key is the serial number of the guard: guards may be dropped in any
    /// order, and a map removes one of many cheaply.
    ///
    /// Like [`HOSTED`] it has no destructor, so that the destructors of other thread-local values
    /// can still use it. Each guard removes its own entry.
    static ENTERED: ManuallyDrop<BTreeMap<u64, Runtime>> = ManuallyDrop::new(BTreeMap::new());
}

insula_sync::thread_cell! {
    /// The runtimes of the isolates whose code may be on this thread's stack. The pointers are
    /// compared and never dereferenced.
    static HOSTED: ManuallyDrop<Vec<*const RuntimeCore>> = ManuallyDrop::new(Vec::new());
}

insula_sync::thread_cell! {
    /// The guard of a thread that never leaves its runtime. It is dropped when the thread ends.
    static FOREVER: Option<Entered> = None;
}

/// Puts a collection back into its cell, or drops it if it is empty. Nothing drops it in the cell,
/// so an empty one would leak its memory there.
fn put_back<C>(cell: &Cell<ManuallyDrop<C>>, entries: ManuallyDrop<C>, is_empty: bool) {
    if is_empty {
        drop(ManuallyDrop::into_inner(entries));
    } else {
        cell.set(entries);
    }
}

/// Calls `f` with the runtimes of the isolates that this thread hosts. Returns `None` if the
/// thread-local value is gone.
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

/// Calls `f` with the runtime that this thread has entered last, if there is one.
fn entered<R>(f: impl FnOnce(Option<&Runtime>) -> R) -> R {
    // In an `Option`, so that it can still be called if the thread-local value is gone.
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

/// Changes the runtimes that this thread has entered. Returns `None` if the thread-local value is
/// gone.
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

/// A guard that marks this thread as running isolates of a runtime, until it is dropped.
pub(crate) struct Hosted(PhantomData<*const ()>);

impl Hosted {
    pub(crate) fn begin(runtime: &RuntimeCore) -> Self {
        let _ = with_hosted(|hosted| hosted.push(std::ptr::from_ref(runtime)));
        Self(PhantomData)
    }
}

impl Drop for Hosted {
    fn drop(&mut self) {
        // The last one: guards live in stack frames, and end in the reverse order.
        let _ = with_hosted(Vec::pop);
    }
}

/// A handle to a runtime, which runs isolates. Handles are cheap to clone, and dropping them ends
/// nothing: a runtime lives until it is [shut down](Self::shut_down), or the process ends.
///
/// Most programs need no runtime of their own: the first use of an isolate starts a global one.
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
    observers: Observers,
}

/// The part of a runtime that decides which isolate runs next, and on which thread.
#[expect(
    clippy::large_enum_variant,
    reason = "there is one per runtime, and no use for a box"
)]
pub(crate) enum Scheduler {
    Threads(ThreadPool),
    Seeded(SeededScheduler),
}

impl Scheduler {
    /// Queues an isolate if the calling thread belongs to this runtime's pool.
    ///
    /// # Errors
    /// Returns the isolate if it does not.
    #[inline]
    pub(crate) fn schedule_here(&self, runnable: Runnable) -> Result<(), Runnable> {
        match self {
            Self::Threads(pool) => pool.schedule_here(runnable),
            Self::Seeded(_) => Err(runnable),
        }
    }

    /// Queues an isolate from any thread. The caller must keep the runtime alive, since the isolate
    /// may run to its end before this returns.
    pub(crate) fn schedule_elsewhere(&self, runnable: Runnable) {
        match self {
            Self::Threads(pool) => pool.schedule_elsewhere(runnable),
            Self::Seeded(seeded) => seeded.schedule(runnable),
        }
    }
}

impl Runtime {
    /// Returns a builder with the default settings.
    pub fn builder() -> RuntimeBuilder {
        RuntimeBuilder::default()
    }

    /// Returns the runtime of the current isolate. Outside of isolates, returns the runtime that
    /// this thread has entered, or the global one if it has entered none.
    pub fn current() -> Self {
        Self::of_isolate()
            .or_else(|| entered(|runtime| runtime.cloned()))
            .unwrap_or_else(Self::global)
    }

    pub(crate) fn of_isolate() -> Option<Self> {
        Current::with(|isolate| isolate.map(|isolate| Self(isolate.runtime.clone())))
    }

    /// Returns the global runtime, which is started on first use with one thread per core. It never
    /// shuts down by itself.
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
    /// that is still alive. A guard cannot be sent to another thread:
    ///
    /// ```compile_fail,E0277
    /// let guard = insula_core::Runtime::global().enter();
    /// std::thread::spawn(move || drop(guard));
    /// ```
    pub fn enter(&self) -> Entered {
        let serial = change_entered(|entries| {
            // One more than the largest number in use, so it is unique even if some are gone.
            let serial = entries.last_key_value().map_or(0, |newest| newest.0 + 1);
            entries.insert(serial, self.clone());
            serial
        });
        Entered {
            serial: serial.unwrap_or(0),
            not_send: PhantomData,
        }
    }

    /// Runs a future to completion on this thread, with this as the current runtime. The isolates
    /// of a seeded runtime run during this call, and only then.
    ///
    /// # Blocking
    /// Blocks the thread. A future that a seeded runtime runs may call this on a runtime with
    /// threads. The isolates of the seeded runtime stand still meanwhile, so the inner future must
    /// not wait for them.
    ///
    /// # Cancellation
    /// In an isolate, on a runtime with threads: like [`block_on`](crate::block_on).
    ///
    /// # Panics
    /// On a seeded runtime: if called on another thread than the first time, or in an isolate.
    ///
    /// On a runtime with threads: if called in an isolate of a seeded runtime and the future is not
    /// ready at once, like [`block_on`](crate::block_on).
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

    /// Returns the current time on this runtime's clock.
    pub fn now(&self) -> Instant {
        self.0.clock.now()
    }

    /// Advances virtual time by `duration`, as if the running code had computed for so long. Timers
    /// that are due by then fire when the code returns to its loop.
    ///
    /// # Panics
    /// If the runtime has no virtual clock.
    pub fn advance(&self, duration: Duration) {
        assert!(
            self.0.seeded().is_some(),
            "only a virtual clock can be advanced"
        );
        self.0.clock.advance_by(duration);
        self.0.event_handler.fire_due(self.now());
    }

    /// Runs the isolates of a seeded runtime until each of them waits for a message from outside or
    /// for time to pass.
    ///
    /// # Panics
    /// If the runtime is not seeded, or if called on another thread than the first time, or in an
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

    /// Kills all isolates that exist now, without waiting for them to end.
    pub fn kill_all(&self) {
        for isolate in self.0.register.all() {
            isolate.post_oob(Oob::Kill(Priority::Immediate));
        }
    }

    /// Starts the first pool thread and the thread for timers. Otherwise they start with the first
    /// isolate and the first timer, where a lack of threads can only cause a panic.
    ///
    /// # Errors
    /// If a thread could not be started.
    pub fn start_threads(&self) -> std::io::Result<()> {
        if let Some(pool) = self.0.thread_pool() {
            pool.start_first()?;
            self.0.event_handler.start()?;
        }
        Ok(())
    }

    /// Returns the number of isolates that have been spawned and have not ended.
    pub fn isolate_count(&self) -> usize {
        self.0.register.len()
    }

    /// Returns the number of threads that the pool has started so far, including spare threads.
    pub fn thread_count(&self) -> usize {
        self.0.thread_pool().map_or(0, ThreadPool::thread_count)
    }

    /// Has the threads of the pool look at a source of input while they have nothing to run, until it
    /// is dropped. How long they look is the [search time](RuntimeBuilder::search_time).
    ///
    /// No thread looks while all of them are busy or asleep, and none of a seeded runtime ever does.
    /// So the source has to announce input in another way as well, for example to a thread that waits.
    pub fn add_poller(&self, poller: Weak<dyn Poller>) {
        if let Some(pool) = self.0.thread_pool() {
            pool.pollers().add(poller);
        }
    }

    /// Returns how often the pool's monitor has looked for stuck threads. The number does not
    /// change while the runtime is idle.
    pub fn monitor_ticks(&self) -> u32 {
        self.0.thread_pool().map_or(0, ThreadPool::monitor_ticks)
    }

    /// Returns the isolates that stay inside of one turn for at least `time`, beginning now. They
    /// compute or block without an interrupt check, so they can be neither paused nor killed
    /// meanwhile. Other isolates go on beside them. An isolate that calls this is included.
    ///
    /// # Blocking
    /// Blocks for `time`.
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

    /// Returns the isolates inside of a turn, each with a number that changes with the turn.
    fn turns(&self, pool: &ThreadPool) -> Vec<(u64, u32)> {
        let all = self.0.register.all().into_iter();
        let elsewhere = all.filter_map(|isolate| Some((isolate.id, isolate.turn_at_home()?)));
        pool.turns().into_iter().chain(elsewhere).collect()
    }

    /// Returns whether a shutdown has begun. Isolates that are spawned after that are dead from the
    /// start. After the shutdown, a [`sleep`](crate::sleep) outside of isolates ends at once.
    pub fn is_shut_down(&self) -> bool {
        self.0.register.is_closed()
    }

    /// Kills all isolates, waits until they have ended, and stops the threads. Isolates that are
    /// spawned from now on are dead from the start. A second call does nothing.
    ///
    /// Futures outside of isolates no longer wait for the runtime. A [`sleep`](crate::sleep) on its
    /// clock is ready at once, and so is the deadline of a call. A wait for a socket that it
    /// watches ends with `BrokenPipe`. A question that its isolates have not answered ends with
    /// [`NoReply`](crate::NoReply). [Native ports](crate::NativePort), and the file operations that
    /// they carry out, belong to no runtime and go on.
    ///
    /// # Blocking
    /// Blocks until every isolate has reached an interrupt check. Code that never returns to its
    /// loop cannot be stopped: see [`shut_down_timeout`](Self::shut_down_timeout).
    ///
    /// # Cancellation
    /// A kill of an isolate of another runtime that waits here unwinds out of the wait. The
    /// shutdown has begun, and goes on.
    ///
    /// # Panics
    /// In an isolate of this runtime, which would wait for its own end, and in a future that such
    /// an isolate blocks on.
    ///
    /// On a seeded runtime: in any isolate, and on a thread other than the one that has driven the
    /// runtime.
    ///
    /// On a thread that has a [`RootIsolate`](crate::RootIsolate) of this runtime, which only that
    /// thread could end.
    ///
    /// A destructor that runs while the thread unwinds does not panic in these cases: the call
    /// begins the shutdown and returns without waiting.
    pub fn shut_down(&self) {
        // Without a time-out, the error only says that this did not wait, in a destructor while the
        // thread unwinds.
        let _ = self.shut_down_within(None);
    }

    /// Returns the name of a root isolate that only this thread can run, if there is one.
    fn root_here(&self) -> Option<Arc<str>> {
        let all = self.0.register.all();
        let root = all.iter().find(|isolate| isolate.is_root_here());
        root.map(|isolate| isolate.name())
    }

    /// Shuts down like [`shut_down`](Self::shut_down), but waits for at most `timeout`.
    ///
    /// # Errors
    /// Returns the names of the isolates that have not ended. They and their threads are left as
    /// they are.
    ///
    /// # Panics
    /// In an isolate of this runtime, like [`shut_down`](Self::shut_down).
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
        // A wait with a time-out needs no refusal: it ends, and its error names the root isolate.
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
        // Also if the wait below is refused: the shutdown has begun then.
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

    /// Returns whether a wait on this thread can see the isolates end: because the runtime has
    /// threads, or because [`block_on`](Self::block_on) on this thread may run the isolates.
    fn is_drivable_here(&self) -> bool {
        let inside = Current::with(|isolate| isolate.is_some());
        let seeded = self.0.seeded();
        seeded.is_none_or(|seeded| !inside && seeded.is_driven_here())
    }

    fn still_running(&self) -> StillRunning {
        let names = self.0.register.all().iter().map(|it| it.name()).collect();
        StillRunning { names }
    }

    /// Returns whether code of one of this runtime's isolates may be on this thread's stack.
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

/// The error of a shutdown whose isolates did not end in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StillRunning {
    /// The names of the isolates that have not ended.
    pub names: Vec<Arc<str>>,
}

impl StillRunning {
    /// The greatest number of names in the error text.
    const SHOWN: usize = 10;
}

impl fmt::Display for StillRunning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.names.len();
        let shown = &self.names[..all.min(Self::SHOWN)];
        let what = if all == 1 {
            "isolate has"
        } else {
            "isolates have"
        };
        write!(f, "{all} {what} not ended: {}", shown.join(", "))?;
        match all - shown.len() {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

impl std::error::Error for StillRunning {}

/// A guard that keeps a runtime entered, on the thread that entered it. Made by
/// [`Runtime::enter`].
#[derive(Debug)]
#[must_use = "dropping it leaves the runtime"]
pub struct Entered {
    serial: u64,
    not_send: PhantomData<*const ()>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        // The runtime is dropped here, after `change_entered` has put the map back: dropping the
        // last handle may run code that uses the map.
        drop(change_entered(|entries| entries.remove(&self.serial)));
    }
}

/// The settings for a new runtime. Made by [`Runtime::builder`].
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

/// A function of the user inside of which each thread that runs isolates works.
#[derive(Clone, Default)]
pub(crate) struct Surroundings(Option<Arc<Kept<Surround>>>);

type Surround = dyn Fn(&mut dyn FnMut()) + Send + Sync;

impl Surroundings {
    /// Runs a thread's work inside of the user's function, or directly if that function returns or
    /// panics before it calls the work.
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

/// The order of events that a runtime follows where the Dart VM's order is a trap.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[non_exhaustive]
pub enum Compat {
    /// The order that loses nothing: a `BeforeNextEvent` precedes an `AsEvent`, microtasks that an
    /// error left behind run at once, and every error is reported.
    #[default]
    Insula,
    /// The VM's order: among control messages, `AsEvent` and `BeforeNextEvent` share one queue;
    /// microtasks that an error left behind wait for the next event, and are lost if there is none;
    /// an error that is neither fatal nor listened for is not reported.
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
    /// Sets the number of threads that run isolates at a time. The default is the number of cores
    /// that the process may use. Threads start as they are needed. 0 counts as 1, and more than
    /// 65,536 as 65,536.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads.clamp(1, MOST_THREADS));
        self
    }

    /// Sets how many threads may be added while others are blocked or inside of one long turn. The
    /// default is 256. With 0, isolates that compute for long make others wait. More than 65,536
    /// count as 65,536.
    ///
    /// A wait of this crate in an isolate is refused with
    /// [`WaitError::NoThreads`](crate::WaitError::NoThreads) if, for a second,
    /// - isolates wait to run,
    /// - every thread that `threads` and this number allow, or as many of them as the operating
    ///   system starts, is inside of a wait of this crate, and
    /// - none of these waits has ended and none has begun.
    ///
    /// The newest of these waits is refused. Neither a wait with a time-out nor a
    /// [`block_on`](crate::block_on) of a future that waits for time, a socket or a file operation
    /// is counted or refused; while there is one, no other wait is refused either. The runtime
    /// cannot foresee other events from outside, such as a message from a plain thread: a wait that
    /// such an event would have ended after more than a second is refused. So allow for as many
    /// threads as there are isolates that block at a time.
    pub fn spare_threads(mut self, spares: usize) -> Self {
        self.spares = spares.min(MOST_THREADS);
        self
    }

    /// Sets how long a thread without work searches for some before it parks. The default is 20 us.
    /// Work that arrives during a search needs no wake-up.
    ///
    /// With zero, a thread without work leaves its core at once. That is better where threads
    /// outside of the runtime bring most of the work, one piece at a time, and wait for each
    /// answer: the kernel likes to wake such a thread on the core of the thread that answered,
    /// where it has to wait until that thread's search is over.
    pub fn search_time(mut self, time: Duration) -> Self {
        self.search = time;
        self
    }

    /// Sets the prefix of the threads' names. The default is `insula`.
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets the stack size, in bytes, of the threads that run pooled and pinned isolates. The
    /// default is that of all Rust threads: 2 MiB, or the value of `RUST_MIN_STACK`. Less than
    /// 64 KiB counts as 64 KiB, and more than 1 GiB as 1 GiB.
    ///
    /// A stack that overflows aborts the process.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(bytes.clamp(*STACK_BYTES.start(), *STACK_BYTES.end()));
        self
    }

    /// Makes the runtime a seeded one: without threads, on virtual time, with an order of events
    /// that follows from `seed` alone. It runs inside of [`Runtime::block_on`].
    ///
    /// [Shut it down](Runtime::shut_down) at the end. Isolates that have not ended refer to their
    /// runtime, so dropping the last handle does not free them.
    pub fn seeded(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Sets the order of events. Programs that depend on the Dart VM's order, even where it is a
    /// trap, choose [`Compat::Dart`].
    pub fn compat(mut self, compat: Compat) -> Self {
        self.compat = compat;
        self
    }

    /// Sets a function inside of which every thread runs pooled or pinned isolates. It can set up
    /// the thread-local context that a library needs, and must then call its argument, which
    /// returns when the thread's work is over.
    ///
    /// If `surround` returns or panics before it has called its argument, the thread works outside
    /// of it.
    ///
    /// A seeded runtime and a root isolate run on the threads that drive them, without `surround`.
    pub fn around_threads(
        mut self,
        surround: impl Fn(&mut dyn FnMut()) + Send + Sync + 'static,
    ) -> Self {
        self.surroundings = Surroundings(Some(Arc::new(Kept::new(Box::new(surround)))));
        self
    }

    /// Builds the runtime. Threads start with the first isolate.
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
            observers: Observers::default(),
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

    /// Returns a builder for a thread that runs isolates.
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

    pub(crate) fn observers(&self) -> &Observers {
        &self.observers
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

    /// Returns a new isolate id, unique among all runtimes of the process: cells, timers and
    /// listeners identify their isolate by it.
    pub(crate) fn next_isolate_id() -> u64 {
        static NEXT: Serial = Serial::new();
        NEXT.next()
    }

    /// Returns a new port serial number, unique among all runtimes of the process: a listener finds
    /// its port by it, and relies on the type of that port.
    pub(crate) fn next_port_serial() -> u64 {
        static NEXT: Serial = Serial::new();
        NEXT.next()
    }

    /// Adds an isolate to the register, before it is scheduled for the first time. Returns `false`
    /// if the runtime has shut down: then the isolate must not start, and the caller must end it.
    #[must_use]
    pub(crate) fn register(&self, isolate: &IsolateCore) -> bool {
        self.register.add(isolate)
    }

    /// Returns all isolates, and the numbers of those that were spawned and that have ended.
    pub(crate) fn isolates(&self) -> (Vec<IsolateRef>, [u64; 2]) {
        self.register.all_by(CHUNK)
    }

    /// Returns those of these isolates that have not ended, in no order. `ids` is in order.
    pub(crate) fn find_isolates(&self, ids: &[u64]) -> Vec<IsolateRef> {
        self.register.find(ids, CHUNK)
    }

    /// Removes an isolate from the register, at the end of its teardown.
    pub(crate) fn unregister(&self, isolate: Current<'_>) {
        self.register.remove(isolate.core());
    }
}

/// Returns a valid name for a thread: operating systems do not accept NUL in it.
pub(crate) fn thread_name(name: &str) -> String {
    name.replace('\0', "\u{2400}")
}

/// Calls `f` with the current runtime, if there is one. Does not start the global runtime.
pub(crate) fn with_current<R>(f: impl FnOnce(Option<&RuntimeCore>) -> R) -> R {
    Current::with(|isolate| match isolate {
        Some(isolate) => f(Some(&isolate.runtime)),
        None => entered(|runtime| f(runtime.map(|runtime| &*runtime.0))),
    })
}

/// Makes a runtime the current one of the calling thread until that thread ends.
pub(crate) fn enter_forever(runtime: &Arc<RuntimeCore>) {
    let entered = Runtime(runtime.clone()).enter();
    // While the thread ends the cell is gone: then the guard is dropped, which leaves the runtime.
    let _ = FOREVER.try_with(|forever| forever.set(Some(entered)));
}

pub(crate) use thread_pool::{BegunWait, about_to_block, begin_wait, others_wait};
