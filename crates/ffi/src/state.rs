//! The one runtime that C programs have, and how it starts and ends.
//!
//! # Phases
//! Not started, running, stopping, stopped, and from there to running again. Only `start` and
//! `shut_down` change the phase, under the lock of [`RUNTIME`]; everybody else looks at it
//! without a lock. So a call that looked may still be at work when the shutdown begins. It finds the
//! table of handles closed, or makes an isolate that the runtime kills; both are defined.
//!
//! # The end of callbacks
//! Everything that C registered is counted from its registration until it has been freed. A
//! shutdown closes all handles, kills the isolates, and waits until the count is zero: then no
//! callback runs any more, and none will.
//!
//! # Fork
//! The child of a fork has one thread and copies of locks that may be held. A handler of the
//! operating system sets a flag there, which every call looks at first.

use std::sync::Arc;
use std::time::{Duration, Instant};

use insula::Runtime;
use insula_sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use insula_sync::{Condvar, Mutex};

use crate::abi::status::{Failure, Outcome, Status};
use crate::abi::types::{
    ErrorFn, INSULA_PHASE_NOT_STARTED, INSULA_PHASE_RUNNING, INSULA_PHASE_STOPPED,
    INSULA_PHASE_STOPPING,
};
use crate::object::Object;
use crate::raw::User;
use crate::{callout, handle};

static RUNTIME: Mutex<Option<Runtime>> = Mutex::new(None);
static PHASE: AtomicU8 = AtomicU8::new(INSULA_PHASE_NOT_STARTED as u8);
static FORKED: AtomicBool = AtomicBool::new(false);
static POSTS: AtomicU64 = AtomicU64::new(0);
static EXTERNALS: AtomicU64 = AtomicU64::new(0);
static CALLBACKS: Mutex<u64> = Mutex::new(0);
static CALLBACKS_GONE: std::sync::LazyLock<Condvar> = std::sync::LazyLock::new(Condvar::new);
static ERROR_HOOK: Mutex<Option<Arc<ErrorHook>>> = Mutex::new(None);

/// Whom to tell of errors that no listener gets.
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
    // Relaxed: set in a process with one thread.
    if FORKED.load(Ordering::Relaxed) {
        return Err(Status::Forked);
    }
    Ok(())
}

pub(crate) fn require_running() -> Result<(), Status> {
    // Acquire pairs with the Release in `set_phase`: what `start` made is there.
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
    PHASE.load(Ordering::Acquire).into()
}

fn set_phase(phase: u32) {
    // There are four phases.
    let phase = u8::try_from(phase).unwrap_or(u8::MAX);
    PHASE.store(phase, Ordering::Release);
}

/// How the runtime is to be started.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) threads: Option<usize>,
    pub(crate) spare_threads: Option<usize>,
    /// Whether threads without work do not look around for some.
    pub(crate) parks_at_once: bool,
    pub(crate) name: Option<String>,
}

pub(crate) fn start(settings: Settings) -> Outcome {
    let mut runtime = RUNTIME.lock();
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
    if let Some(name) = settings.name {
        builder = builder.name(name);
    }
    *runtime = Some(builder.build());
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
    let runtime = begin_shut_down()?;
    // Handles, and what they lead to, are dropped outside of every lock.
    let is_root = |object: &Object| matches!(object, Object::Root(_));
    end_all(handle::table().close(is_root));
    crate::service::forget_all();
    drop(set_error_hook(None));
    crate::root::forget_all_of_this_thread();
    match left() {
        None => runtime.shut_down(),
        Some(left) => runtime
            .shut_down_timeout(left)
            .map_err(|late| Failure::new(Status::TimedOut, late.to_string()))?,
    }
    // The roots of threads that have gone without closing them.
    end_all(handle::table().close(|_| false));
    wait_for_callbacks(left)?;
    *RUNTIME.lock() = None;
    set_phase(INSULA_PHASE_STOPPED);
    Ok(())
}

/// Wakes whoever waits for one of these objects, and drops them.
fn end_all(objects: Vec<Object>) {
    objects.iter().for_each(Object::end);
}

fn begin_shut_down() -> Result<Runtime, Status> {
    let runtime = RUNTIME.lock();
    match phase() {
        INSULA_PHASE_NOT_STARTED => return Err(Status::NotStarted),
        INSULA_PHASE_STOPPED => return Err(Status::ShutDown),
        _ => {}
    }
    let runtime = runtime.clone().ok_or(Status::ShutDown)?;
    set_phase(INSULA_PHASE_STOPPING);
    Ok(runtime)
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

/// The runtime, for whoever spawns or waits.
pub(crate) fn runtime() -> Result<Runtime, Status> {
    RUNTIME.lock().clone().ok_or(Status::ShutDown)
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

// The counters are relaxed: they are for people and for tests at rest.

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

/// Sets who is told of errors that no listener gets, and returns who was told before.
pub(crate) fn set_error_hook(hook: Option<Arc<ErrorHook>>) -> Option<Arc<ErrorHook>> {
    static INSTALLED: std::sync::Once = std::sync::Once::new();
    if hook.is_some() {
        INSTALLED.call_once(|| insula::set_error_hook(tell));
    }
    std::mem::replace(&mut *ERROR_HOOK.lock(), hook)
}

#[expect(
    clippy::print_stderr,
    reason = "an error that nobody handles must not vanish"
)]
fn tell(error: &insula::UncaughtError) {
    let hook = ERROR_HOOK.lock().clone();
    let Some(hook) = hook else {
        eprintln!("{error}");
        return;
    };
    let text = |text: String| std::ffi::CString::new(text.replace('\0', " ")).unwrap_or_default();
    let (name, cause) = (text(error.name.to_string()), text(error.cause.to_string()));
    callout::outside(|| (hook.function)(hook.user.data(), name.as_ptr(), cause.as_ptr()));
}

/// Has the child of every fork from now on know that it is one.
#[cfg(unix)]
fn watch_forks() -> Outcome {
    use std::sync::OnceLock;
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
