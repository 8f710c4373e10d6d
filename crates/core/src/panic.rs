//! Panics: contained in the isolate in which they happen, and reported once.

mod origin;

use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Once};
use std::task::Waker;

use insula_sync::assert_none_held;

use crate::isolate::Ending;
use crate::memory::Current;

thread_local! {
    /// Set while the runtime catches panics outside of isolates.
    static CATCHING: Cell<bool> = const { Cell::new(false) };
}

/// A report of a panic that was caught.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PanicReport {
    message: Arc<str>,
    location: Option<Arc<str>>,
}

impl PanicReport {
    /// Returns the panic's message; `"(no message)"` if its payload is not a string.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Returns the file, line and column. `None` if the panic called no hook, or only a hook that
    /// the program set after its first use of this library.
    pub fn location(&self) -> Option<&str> {
        self.location.as_deref()
    }

    /// Makes a report from the payload that `catch_unwind` returned.
    pub(crate) fn take(payload: Box<dyn Any + Send>) -> Self {
        let message = payload
            .downcast_ref::<&str>()
            .map(|text| Arc::from(*text))
            .or_else(|| {
                payload
                    .downcast_ref::<String>()
                    .map(|text| Arc::from(text.as_str()))
            })
            .unwrap_or_else(|| Arc::from("(no message)"));
        let location = origin::take(&*payload).map(Arc::from);
        // The payload is a value of the user, whose destructor may panic.
        contain(|| drop(payload));
        Self { message, location }
    }
}

impl fmt::Display for PanicReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.location {
            Some(location) => write!(f, "{location}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

/// Runs `f` and turns a panic into a report, without printing anything.
///
/// A panic hook that the program sets after its first use of this library runs all the same, and
/// the report then has no location: the library's own hook, which is silent and records the
/// location, has been replaced.
///
/// The end of the current isolate, by a kill or [`Isolate::exit`](crate::Isolate::exit), is not a
/// panic: it unwinds through this function. While the thread already unwinds, that is impossible,
/// and the report says that the isolate is ending.
///
/// # Errors
/// The report, if `f` panicked.
pub fn catch_panic<R>(f: impl FnOnce() -> R) -> Result<R, PanicReport> {
    assert_none_held();
    install_hook();
    let before = CATCHING.replace(true);
    let result = catch_unwind(AssertUnwindSafe(f));
    // Restored and not cleared, since calls nest.
    CATCHING.set(before);
    result.map_err(|payload| {
        if payload.is::<ToLoop>() {
            if !std::thread::panicking() {
                resume_unwind(payload);
            }
            return PanicReport {
                message: Arc::from(Ending.to_string()),
                location: None,
            };
        }
        PanicReport::take(payload)
    })
}

/// The payload that unwinds the stack of an isolate that is ending. It calls no hook, since it is
/// not a panic.
pub(crate) struct ToLoop;

/// Unwinds from the isolate's code to its event loop, which knows the reason.
pub(crate) fn unwind_to_loop() -> ! {
    resume_unwind(Box::new(ToLoop))
}

/// Runs a destructor or a foreign waker, and discards its panic, which no caller can handle.
#[cfg_attr(debug_assertions, track_caller)]
pub fn contain(f: impl FnOnce()) {
    assert_none_held();
    let mut result = catch_unwind(AssertUnwindSafe(f));
    for _ in 0..MOST_PAYLOADS {
        let Err(payload) = result else {
            return;
        };
        // Dropping the payload may panic as well, with a payload of its own.
        result = catch_unwind(AssertUnwindSafe(move || drop(payload)));
    }
    if let Err(payload) = result {
        let _leaked = std::mem::ManuallyDrop::new(payload);
    }
}

/// The number of payloads that are dropped one after another when each drop panics. A further
/// payload is leaked, since the sequence may have no end.
const MOST_PAYLOADS: usize = 8;

/// Wakes a waker of foreign code and contains its panic, so that the caller can wake the next
/// wakers.
pub fn wake_contained(waker: Waker) {
    contain(|| waker.wake());
}

/// Drops values of a user, each separately: a panic of one does not keep the others from being
/// dropped, and two panics do not abort the process, as they would inside one destructor. The
/// panics are discarded, as in a teardown.
pub(crate) fn drop_each<T>(values: impl IntoIterator<Item = T>) {
    for value in values {
        contain(move || drop(value));
    }
}

/// Like [`drop_each`], for code of an isolate that continues: resumes the first panic when all
/// values are dropped, unless the thread already unwinds.
pub(crate) fn drop_all<T>(values: impl IntoIterator<Item = T>) {
    let mut first = None;
    for value in values {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(move || drop(value))) {
            let surplus = match first {
                None => first.replace(payload),
                Some(_) => Some(payload),
            };
            contain(move || drop(surplus));
        }
    }
    match first {
        Some(payload) if !std::thread::panicking() => resume_unwind(payload),
        first => contain(move || drop(first)),
    }
}

/// A function of the user that the runtime keeps. Its last owner may be a thread of the runtime,
/// so a panic of its destructor is contained.
pub struct Kept<F: ?Sized>(Option<Box<F>>);

impl<F: ?Sized> Kept<F> {
    /// Wraps the function.
    pub fn new(function: Box<F>) -> Self {
        Self(Some(function))
    }

    /// Returns the function, to be called.
    pub fn get(&self) -> &F {
        match &self.0 {
            Some(function) => function,
            None => unreachable!("only the destructor takes it"),
        }
    }
}

impl<F: ?Sized> fmt::Debug for Kept<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kept(..)")
    }
}

impl<F: ?Sized> Drop for Kept<F> {
    fn drop(&mut self) {
        let function = self.0.take();
        contain(|| drop(function));
    }
}

/// Returns whether [`catch_panic`] is to catch a panic of this thread. For hooks.
pub fn is_catching() -> bool {
    CATCHING.get()
}

/// Installs a panic hook that keeps panics of isolates silent, because an uncaught error is
/// reported with the isolate's name, and records their location. Other panics go to the previous
/// hook.
///
/// While the thread unwinds the hook cannot be installed, since std would panic, and so abort. The
/// next call then installs it, at the latest in the first thread that runs an isolate.
pub(crate) fn install_hook() {
    static INSTALLED: Once = Once::new();
    // Loom's own panics come from outside its model, where there is no current isolate.
    if cfg!(loom) || INSTALLED.is_completed() || std::thread::panicking() {
        return;
    }
    INSTALLED.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            // Where a panic aborts, nothing reports it later.
            let is_caught = CATCHING.get() || Current::or_left(|isolate| isolate.is_some());
            if is_caught && cfg!(panic = "unwind") {
                origin::note(info);
            } else {
                before(info);
            }
        }));
    });
}
