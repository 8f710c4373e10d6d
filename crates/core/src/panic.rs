//! Panics: kept inside the isolate in which they happen, and told once.

mod origin;

use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Once};
use std::task::Waker;

use crate::isolate::Ending;
use crate::memory::Current;

thread_local! {
    /// Panics are being caught by the runtime outside of isolates.
    static CATCHING: Cell<bool> = const { Cell::new(false) };
}

/// A panic that was caught.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PanicReport {
    message: Arc<str>,
    location: Option<Arc<str>>,
}

impl PanicReport {
    /// What the panic said; `"(no message)"` if that was no text.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// File, line and column. `None` if the panic passed no hook, or one that the program has set
    /// after its first use of this library.
    pub fn location(&self) -> Option<&str> {
        self.location.as_deref()
    }

    /// Makes a report of what `catch_unwind` returned.
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
/// the report has no location then: the hook is what prints, and what learns of the location.
///
/// The end of the current isolate, by a kill or [`Isolate::exit`](crate::Isolate::exit), is no
/// panic, and unwinds through this; where the thread unwinds already, that is impossible, and the
/// report says that the isolate is to end.
///
/// # Errors
/// The report, if `f` panicked.
pub fn catch_panic<R>(f: impl FnOnce() -> R) -> Result<R, PanicReport> {
    install_hook();
    let before = CATCHING.replace(true);
    let result = catch_unwind(AssertUnwindSafe(f));
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

/// Unwinds the stack of an isolate that is to end. No panic, so no hook is called.
pub(crate) struct ToLoop;

/// Leaves the isolate's code for its event loop, which knows why.
pub(crate) fn unwind_to_loop() -> ! {
    resume_unwind(Box::new(ToLoop))
}

/// Runs a destructor or a foreign waker, whose panic has nobody else to go to.
pub fn contain(f: impl FnOnce()) {
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

/// So many payloads, each of which panics when it is dropped, are dropped one after another; a
/// further one is let go of as it is, since there may be no end of them.
const MOST_PAYLOADS: usize = 8;

/// Wakes a waker of foreign code and contains its panic, so that the caller goes on and wakes the
/// wakers behind it.
pub fn wake_contained(waker: Waker) {
    contain(|| waker.wake());
}

/// Drops values of a user, each for itself: one that panics does not keep the others from being
/// dropped, and two of them do not abort the process, as they would inside one destructor. Their
/// panics have nobody else to go to, as in a teardown.
pub(crate) fn drop_each<T>(values: impl IntoIterator<Item = T>) {
    for value in values {
        contain(move || drop(value));
    }
}

/// As [`drop_each`], in code of an isolate that goes on: the first panic leaves this when all are
/// dropped, unless the thread unwinds already.
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

/// A function of the user's that the runtime keeps. Its last owner may be a thread of the
/// runtime, so a panic of its destructor is contained.
pub struct Kept<F: ?Sized>(Option<Box<F>>);

impl<F: ?Sized> Kept<F> {
    /// Takes the function over.
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

/// Makes panics of isolates silent where they happen, because an uncaught error is told with
/// the isolate's name, and keeps their location. Panics elsewhere go where they went before.
///
/// On a thread that unwinds the hook cannot be installed; std panics, and so aborts. Then it is
/// left to the next call, which comes at the latest from the first thread that runs an isolate.
pub(crate) fn install_hook() {
    static INSTALLED: Once = Once::new();
    // Loom's own panics come from outside its model, where there is no current isolate.
    if cfg!(loom) || INSTALLED.is_completed() || std::thread::panicking() {
        return;
    }
    INSTALLED.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if CATCHING.get() || Current::or_left(|isolate| isolate.is_some()) {
                origin::note(info);
            } else {
                before(info);
            }
        }));
    });
}
