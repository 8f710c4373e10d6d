//! The one runtime of a C program, its start and its end.
//!
//! # Phases
//! Not started, running, stopping, stopped, and from there running again. Only `start` and
//! `shut_down` change the phase, under the lock of [`LIFE`]; all other functions read it without a
//! lock. So a call that has read it may still be at work when the shutdown begins. It finds the
//! table of handles closed, or creates an isolate that the runtime kills; both are defined.
//!
//! # Concurrent shutdowns
//! Each start begins a *generation*, and a shutdown belongs to the generation that it found. Of
//! several shutdowns of a generation one at a time *drives*: it closes, kills and waits, and only
//! the driver declares the end of the generation. The others wait until the generation has ended,
//! which is success no matter what was started since, or until the driver has given up because its
//! time is over; then another one drives. Before that, each shutdown ends the root isolates of its
//! own thread. No other thread can do that, and the driver would wait for them without end.
//!
//! # State outside of the table of handles
//! The error hook, the names of services, and the signals keep what C registered, each under a lock
//! of its own. A shutdown sets the phase first, and then empties them. A registration checks the
//! phase under the same lock: so the shutdown sees the registration, or it is refused. Otherwise it
//! would stay, and the shutdown would wait for its callbacks without end.
//!
//! # Waits during a shutdown
//! A wait for something of the runtime is over when the runtime stops, because the event that it
//! waits for may never happen: [`while_running`] gives up then. The shutdown takes the wakers of
//! these waits under the lock of [`WAITS`], after it has set the phase. A wait that is entered
//! later sees the phase.
//!
//! # The end of callbacks
//! Everything that C registered is counted from its registration until it has been freed. A
//! shutdown closes all handles, kills the isolates, and waits until the count is zero: then no
//! callback runs, and none will run.
//!
//! # Fork
//! The child of a fork has one thread and copies of locks that may be held. A handler that the
//! operating system calls sets a flag there, which every call checks first.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use insula::Runtime;
use insula_sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use insula_sync::{Condvar, Mutex, Rank};

use crate::abi::status::{Failure, Outcome, Status};
use crate::abi::types::{
    ErrorFn, INSULA_PHASE_NOT_STARTED, INSULA_PHASE_RUNNING, INSULA_PHASE_STOPPED,
    INSULA_PHASE_STOPPING,
};
use crate::object::Object;
use crate::raw::User;
use crate::{callout, handle};

static LIFE: Mutex<Life> = Mutex::ranked(
    Life {
        runtime: None,
        generation: 0,
        is_driven: false,
    },
    Rank::new(10, "the place of C's runtime"),
);
/// Notified when a shutdown stops driving.
static UNDRIVEN: std::sync::LazyLock<Condvar> = std::sync::LazyLock::new(Condvar::new);
/// The wakers of the waits that a shutdown ends.
static WAITS: Mutex<Waits> = Mutex::new(Waits {
    next: 0,
    wakers: BTreeMap::new(),
});
static PHASE: AtomicU8 = AtomicU8::new(INSULA_PHASE_NOT_STARTED as u8);
static FORKED: AtomicBool = AtomicBool::new(false);
static POSTS: AtomicU64 = AtomicU64::new(0);
static EXTERNALS: AtomicU64 = AtomicU64::new(0);
static CALLBACKS: Mutex<u64> = Mutex::new(0);
static CALLBACKS_GONE: std::sync::LazyLock<Condvar> = std::sync::LazyLock::new(Condvar::new);
static ERROR_HOOK: Mutex<Option<Arc<ErrorHook>>> = Mutex::new(None);

/// The runtime, from its start to the end of its shutdown.
#[derive(Debug)]
struct Life {
    runtime: Option<Runtime>,
    /// The number of runtimes that have ended.
    generation: u64,
    /// `true` while a shutdown drives.
    is_driven: bool,
}

#[derive(Debug)]
struct Waits {
    next: u64,
    wakers: BTreeMap<u64, Waker>,
}

/// The function that receives errors which no listener gets.
#[derive(Debug)]
pub(crate) struct ErrorHook {
    function:
        extern "C" fn(*mut std::ffi::c_void, *const std::ffi::c_char, *const std::ffi::c_char),
    user: User,
}

impl ErrorHook {
    pub(crate) fn new(function: ErrorFn, user: User) -> Option<Arc<Self>> {
        function.map(|function| Arc::new(Self { function, user }))
    }
}

pub(crate) fn require_same_process() -> Result<(), Status> {
    // Relaxed: set only in the child of a fork, which has one thread then.
    if FORKED.load(Ordering::Relaxed) {
        return Err(Status::Forked);
    }
    Ok(())
}

pub(crate) fn require_running() -> Result<(), Status> {
    // Acquire; pairs with the Release in `set_phase`: what `start` made is visible.
    match u32::from(PHASE.load(Ordering::Acquire)) {
        INSULA_PHASE_RUNNING => Ok(()),
        INSULA_PHASE_NOT_STARTED => Err(Status::NotStarted),
        _ => Err(Status::ShutDown),
    }
}

pub(crate) fn require_not_stopped() -> Result<(), Status> {
    match phase() {
        INSULA_PHASE_RUNNING | INSULA_PHASE_STOPPING => Ok(()),
        INSULA_PHASE_NOT_STARTED => Err(Status::NotStarted),
        _ => Err(Status::ShutDown),
    }
}

pub(crate) fn phase() -> u32 {
    // Acquire; pairs with the Release in `set_phase`.
    PHASE.load(Ordering::Acquire).into()
}

fn set_phase(phase: u32) {
    // The conversion cannot fail: there are four phases.
    let phase = u8::try_from(phase).unwrap_or(u8::MAX);
    // Release; pairs with the Acquire in `require_running` and `phase`.
    PHASE.store(phase, Ordering::Release);
}

/// The settings with which the runtime is started.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) threads: Option<usize>,
    pub(crate) spare_threads: Option<usize>,
    /// `true` if threads without work park without a search.
    pub(crate) parks_at_once: bool,
    /// The size of the threads' stacks in bytes.
    pub(crate) stack_size: Option<usize>,
    pub(crate) name: Option<String>,
}

pub(crate) fn start(settings: Settings) -> Outcome {
    let mut life = LIFE.lock();
    match phase() {
        INSULA_PHASE_RUNNING => return Err(Status::AlreadyStarted.into()),
        INSULA_PHASE_STOPPING => {
            let text = "the runtime has not been shut down to the end";
            return Err(Failure::new(Status::AlreadyStarted, text));
        }
        _ => {}
    }
    watch_forks()?;
    let mut builder = Runtime::builder();
    if let Some(threads) = settings.threads {
        builder = builder.threads(threads);
    }
    if let Some(spares) = settings.spare_threads {
        builder = builder.spare_threads(spares);
    }
    if settings.parks_at_once {
        builder = builder.search_time(Duration::ZERO);
    }
    if let Some(bytes) = settings.stack_size {
        builder = builder.stack_size(bytes);
    }
    if let Some(name) = settings.name {
        builder = builder.name(name);
    }
    let runtime = builder.build();
    // Now and not with the first isolate, where a lack of threads could only cause a panic.
    if let Err(error) = runtime.start_threads() {
        // A shutdown waits, so it waits without the lock.
        drop(life);
        runtime.shut_down();
        let text = format!("no thread can be started: {error}");
        return Err(Failure::new(Status::OutOfResources, text));
    }
    life.runtime = Some(runtime);
    // Before the phase says that the runtime runs: a call that sees it must be able to make
    // handles.
    handle::table().open();
    set_phase(INSULA_PHASE_RUNNING);
    Ok(())
}

/// Ends everything, and waits for the end.
pub(crate) fn shut_down(timeout: Option<Duration>) -> Outcome {
    if insula::Isolate::current().is_some() || callout::is_inside() {
        let text = "a callback cannot wait for the end of all callbacks";
        return Err(Failure::new(Status::Deadlock, text));
    }
    let start = Instant::now();
    let left = || timeout.map(|timeout| timeout.saturating_sub(start.elapsed()));
    let (runtime, generation) = begin_shut_down()?;
    crate::root::forget_all_of_this_thread();
    let Some(driving) = Driving::begin(generation, &left)? else {
        return Ok(());
    };
    // Handles, and the objects that they name, are dropped outside of every lock.
    // Root isolates keep their handles for now, because their threads need them to handle the kill.
    let is_root = |object: &Object| matches!(object, Object::Root(_));
    // This also ends the waits of C's own threads, which no kill of an isolate reaches.
    end_all(handle::table().close(is_root));
    crate::service::forget_all();
    crate::signal::close_all();
    clear_error_hook();
    match left() {
        None => runtime.shut_down(),
        // After a time-out the phase stays at stopping, and a later shutdown continues from there.
        Some(left) => runtime
            .shut_down_timeout(left)
            .map_err(|late| Failure::new(Status::TimedOut, late.to_string()))?,
    }
    // The roots of threads that ended without closing them.
    end_all(handle::table().close(|_| false));
    wait_for_callbacks(left)?;
    driving.finish();
    Ok(())
}

/// The right to shut down a generation, held by one thread at a time.
#[derive(Debug)]
struct Driving(());

impl Driving {
    /// Waits for the right; returns `None` if the generation has ended meanwhile.
    fn begin(
        generation: u64,
        left: &impl Fn() -> Option<Duration>,
    ) -> Result<Option<Self>, Failure> {
        let mut life = LIFE.lock();
        loop {
            if life.generation != generation {
                return Ok(None);
            }
            if !life.is_driven {
                life.is_driven = true;
                return Ok(Some(Self(())));
            }
            life = match left() {
                None => UNDRIVEN.wait(life),
                Some(left) if left.is_zero() => {
                    let text = "another shutdown has not come to its end";
                    return Err(Failure::new(Status::TimedOut, text));
                }
                Some(left) => UNDRIVEN.wait_timeout(life, left),
            };
        }
    }

    /// Declares the end of the generation.
    fn finish(self) {
        let mut life = LIFE.lock();
        let runtime = life.runtime.take();
        // Before this is dropped, which wakes the other shutdowns: they find that theirs has ended.
        life.generation += 1;
        set_phase(INSULA_PHASE_STOPPED);
        drop(life);
        drop(runtime);
    }
}

impl Drop for Driving {
    fn drop(&mut self) {
        // Also after a time-out, so that another shutdown of the generation can drive.
        LIFE.lock().is_driven = false;
        UNDRIVEN.notify_all();
    }
}

/// Runs a future on this thread with the runtime entered, while another thread takes this thread's
/// place in the pool. Gives up when the runtime stops.
pub(crate) fn while_running<F: Future>(future: F) -> Result<F::Output, Status> {
    let runtime = runtime()?;
    let mut wait = Wait(None);
    let mut future = pin!(future);
    let either = poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Ok(output));
        }
        // Anew at each poll, since the waker may be another one.
        wait.enter(cx.waker());
        // Checked only after the wait is entered: a shutdown sets the phase, and then wakes the
        // waits that have been entered.
        match require_running() {
            Ok(()) => Poll::Pending,
            Err(status) => Poll::Ready(Err(status)),
        }
    });
    insula::runtime::blocking(|| runtime.block_on(either))
}

/// A wait that a shutdown ends.
struct Wait(Option<u64>);

impl Wait {
    fn enter(&mut self, waker: &Waker) {
        // Cloned before the lock is taken: a waker's clone is foreign code.
        let waker = waker.clone();
        let mut waits = WAITS.lock();
        let number = *self.0.get_or_insert_with(|| {
            waits.next += 1;
            waits.next
        });
        // Bounded by the number of threads that wait.
        let before = waits.wakers.insert(number, waker);
        drop(waits);
        drop(before);
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        if let Some(number) = self.0 {
            let waker = WAITS.lock().wakers.remove(&number);
            drop(waker);
        }
    }
}

fn end_waits() {
    let wakers = std::mem::take(&mut WAITS.lock().wakers);
    wakers.into_values().for_each(Waker::wake);
}

/// Ends the waits for these objects, and drops the objects.
fn end_all(objects: Vec<Object>) {
    objects.iter().for_each(Object::end);
}

fn begin_shut_down() -> Result<(Runtime, u64), Status> {
    let life = LIFE.lock();
    match phase() {
        INSULA_PHASE_NOT_STARTED => return Err(Status::NotStarted),
        INSULA_PHASE_STOPPED => return Err(Status::ShutDown),
        _ => {}
    }
    let runtime = life.runtime.clone().ok_or(Status::ShutDown)?;
    let generation = life.generation;
    set_phase(INSULA_PHASE_STOPPING);
    drop(life);
    end_waits();
    Ok((runtime, generation))
}

fn wait_for_callbacks(left: impl Fn() -> Option<Duration>) -> Outcome {
    let mut callbacks = CALLBACKS.lock();
    while *callbacks != 0 {
        callbacks = match left() {
            None => CALLBACKS_GONE.wait(callbacks),
            Some(left) if left.is_zero() => {
                let text = format!("{} callbacks are still in use", *callbacks);
                return Err(Failure::new(Status::TimedOut, text));
            }
            Some(left) => CALLBACKS_GONE.wait_timeout(callbacks, left),
        };
    }
    Ok(())
}

/// Returns the runtime, for a spawn or a wait.
pub(crate) fn runtime() -> Result<Runtime, Status> {
    LIFE.lock().runtime.clone().ok_or(Status::ShutDown)
}

pub(crate) fn callback_registered() {
    *CALLBACKS.lock() += 1;
}

pub(crate) fn callback_freed() {
    let mut callbacks = CALLBACKS.lock();
    *callbacks -= 1;
    if *callbacks == 0 {
        CALLBACKS_GONE.notify_all();
    }
}

pub(crate) fn callbacks() -> u64 {
    *CALLBACKS.lock()
}

// The counters are relaxed: they are for reports, and for tests while nothing else runs.

pub(crate) fn posted() {
    POSTS.fetch_add(1, Ordering::Relaxed);
}

pub(crate) fn posts() -> u64 {
    POSTS.load(Ordering::Relaxed)
}

pub(crate) fn external_made() {
    EXTERNALS.fetch_add(1, Ordering::Relaxed);
}

pub(crate) fn external_gone() {
    EXTERNALS.fetch_sub(1, Ordering::Relaxed);
}

pub(crate) fn externals() -> u64 {
    EXTERNALS.load(Ordering::Relaxed)
}

/// Sets the function that receives errors without a listener, and returns the one before.
///
/// # Errors
/// If the runtime does not run: a shutdown would wait for a function that it has not seen.
pub(crate) fn set_error_hook(
    hook: Option<Arc<ErrorHook>>,
) -> Result<Option<Arc<ErrorHook>>, Status> {
    static INSTALLED: std::sync::Once = std::sync::Once::new();
    INSTALLED.call_once(|| insula::control::set_error_hook(tell));
    let mut place = ERROR_HOOK.lock();
    match require_running() {
        Ok(()) => Ok(std::mem::replace(&mut *place, hook)),
        Err(status) => {
            // The hook stays C's, and is dropped outside of the lock.
            drop(place);
            Err(status)
        }
    }
}

fn clear_error_hook() {
    let hook = ERROR_HOOK.lock().take();
    drop(hook);
}

#[expect(
    clippy::print_stderr,
    reason = "an error that nobody handles must not vanish"
)]
fn tell(error: &insula::control::UncaughtError) {
    // A reference of its own, so that the hook may be replaced while it runs, and even by itself.
    let hook = ERROR_HOOK.lock().clone();
    let Some(hook) = hook else {
        eprintln!("{error}");
        return;
    };
    // A panic's message may contain NUL, where a C string would end.
    let text = |text: String| std::ffi::CString::new(text.replace('\0', " ")).unwrap_or_default();
    let (name, cause) = (text(error.name.to_string()), text(error.cause.to_string()));
    callout::outside(|| (hook.function)(hook.user.data(), name.as_ptr(), cause.as_ptr()));
}

/// Registers the handler that marks the child of every later fork.
#[cfg(unix)]
fn watch_forks() -> Outcome {
    use std::sync::OnceLock;
    // Once per process and not per start, since the system has no way to remove a handler.
    static WATCHED: OnceLock<bool> = OnceLock::new();
    if *WATCHED.get_or_init(|| crate::fork::call_in_child(|| FORKED.store(true, Ordering::Relaxed)))
    {
        return Ok(());
    }
    let text = "the operating system cannot watch forks";
    Err(Failure::new(Status::OutOfResources, text))
}

#[cfg(not(unix))]
fn watch_forks() -> Outcome {
    Ok(())
}
