//! The building blocks of the cases' bodies.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use insula_core::{
    Builder, ErrorCause, ErrorPolicy, Isolate, ReceivePort, Runtime, SendPort, UncaughtError,
    checkpoint, set_error_hook,
};
use insula_sync::Mutex;

use crate::Log;

/// The port to which isolates send lines for the log.
pub(super) type Lines = SendPort<String>;

pub(super) const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Computes for a duration.
pub(super) fn compute(duration: Duration) {
    Runtime::current().advance(duration);
}

/// Opens a port of the current isolate that logs each line that it receives.
pub(super) fn lines(log: &Log) -> Lines {
    let port = ReceivePort::new();
    let lines = port.send_port();
    let log = log.clone();
    // The listener is not kept. The port ends with its last sender, and then lets the body's
    // isolate end.
    port.listen(move |line: String| log.line(line));
    lines
}

/// Opens a port of the current isolate that logs each error that it receives.
pub(super) fn errors(log: &Log) -> SendPort<UncaughtError> {
    let port = ReceivePort::new();
    let errors = port.send_port();
    let log = log.clone();
    // Not kept either: this port, too, ends with its last sender.
    port.listen(move |error| log.line(error_line(&error)));
    errors
}

fn error_line(error: &UncaughtError) -> String {
    match &error.cause {
        ErrorCause::Panicked(report) => format!("error {}", report.message()),
        cause => format!("error {cause}"),
    }
}

/// Sends a line; it is lost if the port is closed.
pub(super) fn say(lines: &Lines, line: impl ToString) {
    let _ = lines.send(line.to_string());
}

/// Returns a closure that sends a line.
pub(super) fn saying(lines: &Lines, line: impl ToString) -> impl FnOnce() + Send + 'static {
    let (lines, line) = (lines.clone(), line.to_string());
    move || drop(lines.send(line))
}

/// Sends a line when it is dropped, like `finally` in other languages.
pub(super) struct Finally(pub(super) Lines);

impl Drop for Finally {
    fn drop(&mut self) {
        say(&self.0, "finally");
    }
}

/// The policy of an isolate whose errors are fatal, or not.
pub(super) fn error_policy(is_fatal: bool) -> ErrorPolicy {
    if is_fatal {
        ErrorPolicy::End
    } else {
        ErrorPolicy::Continue
    }
}

/// Returns a builder for a child whose errors and end are logged after the lines that it sends.
pub(super) fn child(log: &Log, lines: &Lines) -> Builder {
    Isolate::builder()
        .on_error(&errors(log))
        .on_exit(lines, |_| "exit".to_owned())
}

/// An order for a [`server`].
pub(super) enum Order {
    /// Logs that it was received.
    Say(&'static str),
    /// Runs the closure on another thread in the middle of one event.
    Busy(Box<dyn FnOnce() + Send>),
    /// Runs a closure.
    Do(Box<dyn FnOnce(&Lines) + Send>),
}

impl Order {
    pub(super) fn busy(meanwhile: impl FnOnce() + Send + 'static) -> Self {
        Self::Busy(Box::new(meanwhile))
    }

    pub(super) fn act(action: impl FnOnce(&Lines) + Send + 'static) -> Self {
        Self::Do(Box::new(action))
    }
}

/// Spawns a child that follows orders until no sender is left.
pub(super) fn server(builder: Builder, lines: &Lines) -> (Isolate, SendPort<Order>) {
    let lines = lines.clone();
    builder.spawn_pair(move |inbox: ReceivePort<Order>| {
        inbox.listen(move |order| match order {
            Order::Say(line) => say(&lines, line),
            Order::Busy(meanwhile) => {
                elsewhere(meanwhile);
                // Here the control messages that came meanwhile are handled. The trace shows which
                // of them wait longer.
                checkpoint();
                say(&lines, "busy done");
                insula_core::schedule_microtask(saying(&lines, "M"));
            }
            Order::Do(action) => action(&lines),
        });
    })
}

/// Sends an order to a server; one that has ended ignores it.
pub(super) fn tell(server: &SendPort<Order>, order: Order) {
    let _ = server.send(order);
}

/// Runs `action` on another thread, outside of isolates, while the caller waits: an event
/// "meanwhile", at the same moment on every run.
pub(super) fn elsewhere(action: impl FnOnce() + Send + 'static) {
    let thread = std::thread::spawn(action);
    thread.join().expect("no such action panics");
}

/// Logs of the isolates without an error listener, by the isolates' names.
static UNHEARD: LazyLock<Mutex<BTreeMap<String, Log>>> = LazyLock::new(|| {
    // There is one hook for the process, and several cases run at once. The isolate's name tells
    // whose error it is.
    set_error_hook(|error| {
        let log = UNHEARD.lock().get(&*error.name).cloned();
        match log {
            Some(log) => log.line(format!("hook: {}", error_line(error))),
            None => eprint_unexpected(error),
        }
    });
    Mutex::default()
});

#[expect(
    clippy::print_stderr,
    reason = "an error that no case expects must be seen"
)]
fn eprint_unexpected(error: &UncaughtError) {
    eprintln!("{error}");
}

/// Returns a name for an isolate without an error listener. The process-wide hook writes its errors
/// into `log`.
pub(super) fn unheard(log: &Log) -> String {
    let mut unheard = UNHEARD.lock();
    // No entry is removed, so the length is a new number each time.
    let name = format!("unheard-{}", unheard.len());
    unheard.insert(name.clone(), log.clone());
    name
}
