//! Uncaught errors, error listeners and the error hook.
//!
//! An error that the isolate's code does not handle (a panic, or an `Err` of the entry) is sent to
//! the isolate's error listeners as an ordinary message, so it keeps its order with the messages
//! that the isolate sent (rule 9 of `docs/conformance.md`). Without a listener it is passed to the
//! process-wide hook. A fatal error then ends the isolate; every error is fatal unless
//! its [`ErrorPolicy`] says otherwise.

use std::fmt;
use std::sync::{Arc, LazyLock};

use insula_sync::Mutex;

use super::listeners::{Listens, sweep};
use super::{Isolate, IsolateId};
use crate::memory::Current;
use crate::panic::PanicReport;
use crate::port::{ReceivePort, SendPort};
use crate::runtime::Compat;

/// An error that an isolate's code did not handle.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct UncaughtError {
    /// The isolate whose code it was.
    pub isolate: IsolateId,
    /// The isolate's name.
    pub name: Arc<str>,
    /// The cause.
    pub cause: ErrorCause,
    /// `true` if the error ends the isolate.
    pub is_fatal: bool,
}

/// The effect of an uncaught error on its isolate.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum ErrorPolicy {
    /// The error ends the isolate.
    #[default]
    End,
    /// The isolate continues with its next event.
    Continue,
}

/// The cause of an uncaught error.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ErrorCause {
    /// A panic.
    Panicked(PanicReport),
    /// The entry returned an error; this is its text.
    Failed(Arc<str>),
}

impl fmt::Display for ErrorCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked(report) => write!(f, "panicked at {report}"),
            Self::Failed(error) => write!(f, "failed: {error}"),
        }
    }
}

impl fmt::Display for UncaughtError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kept = if self.is_fatal { "" } else { " and goes on" };
        write!(f, "isolate '{}' {}{kept}", self.name, self.cause)
    }
}

impl std::error::Error for UncaughtError {}

type Hook = Arc<dyn Fn(&UncaughtError) + Send + Sync>;

static HOOK: LazyLock<Mutex<Option<Hook>>> = LazyLock::new(Mutex::default);

/// Sets the process-wide error hook. It is called with each uncaught error that has no listener, on
/// the thread where the error occurred. The default hook prints one line to the standard error
/// stream.
pub fn set_error_hook(hook: impl Fn(&UncaughtError) + Send + Sync + 'static) {
    // Two statements, since the old hook's destructor is foreign code and must not run under the
    // lock.
    let before = HOOK.lock().replace(Arc::new(hook));
    drop(before);
}

impl Listens for SendPort<UncaughtError> {
    fn is_closed(&self) -> bool {
        SendPort::is_closed(self)
    }
}

impl Isolate {
    /// Sends every uncaught error of the isolate to `port` from now on. Has no effect if `port` is
    /// an error listener already.
    pub fn add_error_listener(&self, port: &SendPort<UncaughtError>) {
        let port = port.clone();
        let mut lane = self.0.lane.lock();
        let surplus = self.0.with_details(&mut lane, |details| {
            // After the isolate's end no teardown would drop the port. It may be a port of the
            // isolate itself, which its own listener list would then keep allocated.
            if details.exit.is_some() {
                return Some(port);
            }
            details.error_listeners.set(port.id(), port)
        });
        drop(lane);
        drop(surplus);
        sweep(&self.0, |details| &mut details.error_listeners);
    }

    /// Removes an error listener.
    pub fn remove_error_listener(&self, port: &SendPort<UncaughtError>) {
        let mut lane = self.0.lane.lock();
        let removed = self.0.peek_details(&mut lane, |details| {
            details.error_listeners.remove(port.id())
        });
        drop(lane);
        drop(removed);
    }

    /// Opens a port of the current isolate that receives the isolate's uncaught errors from now
    /// on. The port ends (`recv` returns `None`) after the isolate has ended.
    ///
    /// # Panics
    /// If there is no current isolate.
    #[track_caller]
    pub fn errors(&self) -> ReceivePort<UncaughtError> {
        let port = ReceivePort::new();
        self.add_error_listener(&port.send_port());
        port
    }

    /// Sets what an uncaught error does to the isolate. Needs the right to terminate.
    pub fn set_error_policy(&self, policy: ErrorPolicy) {
        if self.1.terminate {
            let mut lane = self.0.lane.lock();
            self.0
                .with_details(&mut lane, |details| details.error_policy = policy);
        }
    }
}

impl Current<'_> {
    /// Returns whether an uncaught error would end the isolate.
    pub(crate) fn errors_are_fatal(&self) -> bool {
        let mut lane = self.lane.lock();
        let policy = self.peek_details(&mut lane, |details| details.error_policy);
        policy.unwrap_or_default() == ErrorPolicy::End
    }
}

/// Reports an error of the current isolate. Returns whether it ends the isolate.
#[cold]
pub(crate) fn uncaught(isolate: Current<'_>, cause: ErrorCause) -> bool {
    let mut lane = isolate.lane.lock();
    let (is_fatal, listeners) = isolate
        .peek_details(&mut lane, |details| {
            // Cloned, since a listener may be a port of this very isolate, whose lane `send` locks.
            let listeners = details.error_listeners.values().cloned().collect();
            (details.error_policy == ErrorPolicy::End, listeners)
        })
        .unwrap_or((true, Vec::new()));
    drop(lane);
    let error = UncaughtError {
        isolate: IsolateId(isolate.id),
        name: isolate.name(),
        cause,
        is_fatal,
    };
    let observers = isolate.runtime.observers();
    if !observers.is_empty() {
        observers.each(|observer| observer.failed(&error));
    }
    // The VM does not report an error that is not fatal (rule 27).
    let is_silent = !is_fatal && isolate.runtime.compat() == Compat::Dart;
    if listeners.is_empty() && !is_silent {
        call_hook(&error);
    }
    for listener in listeners {
        // The port of a listener may be closed; then it gets no error.
        let _ = listener.send(error.clone());
    }
    is_fatal
}

/// Reports a panic that the caller has caught in the current isolate, as an uncaught error is reported.
/// Outside of isolates it does nothing. For the macros `main` and `test`, whose isolate gives its panic
/// to a caller that only ends the program.
pub fn report_panic(report: &PanicReport) {
    Current::with(|isolate| {
        if let Some(isolate) = isolate {
            uncaught(isolate, ErrorCause::Panicked(report.clone()));
        }
    });
}

#[expect(
    clippy::print_stderr,
    reason = "an error that nobody handles must not vanish"
)]
fn call_hook(error: &UncaughtError) {
    let hook = HOOK.lock().clone();
    // Contained: `eprintln` panics if the stream is closed, and the clone may be the last owner
    // of a hook that was replaced meanwhile, so its destructor runs here.
    crate::panic::contain(move || match hook {
        Some(hook) => hook(error),
        None => eprintln!("{error}"),
    });
}
