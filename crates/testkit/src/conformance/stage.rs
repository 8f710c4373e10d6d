//! What the bodies of the cases are made of.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use insula_core::{
    Builder, ErrorCause, Isolate, ReceivePort, Runtime, SendPort, UncaughtError, checkpoint,
    set_error_hook,
};
use insula_sync::Mutex;

use crate::Log;

/// Where an isolate sends lines for the log.
pub(super) type Lines = SendPort<String>;

pub(super) const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Computes for so long.
pub(super) fn compute(duration: Duration) {
    Runtime::current().advance(duration);
}

/// A port of the current isolate that logs what it gets.
pub(super) fn lines(log: &Log) -> Lines {
    let port = ReceivePort::new();
    let lines = port.send_port();
    let log = log.clone();
    port.listen(move |line: String| log.line(line));
    lines
}

/// A port of the current isolate that logs the errors which it gets.
pub(super) fn errors(log: &Log) -> SendPort<UncaughtError> {
    let port = ReceivePort::new();
    let errors = port.send_port();
    let log = log.clone();
    port.listen(move |error| log.line(error_line(&error)));
    errors
}

fn error_line(error: &UncaughtError) -> String {
    match &error.cause {
        ErrorCause::Panicked(report) => format!("error {}", report.message()),
        cause => format!("error {cause}"),
    }
}

/// Sends a line; nobody is there if the port was closed.
pub(super) fn say(lines: &Lines, line: impl ToString) {
    let _ = lines.send(line.to_string());
}

/// What will send a line when it is called.
pub(super) fn saying(lines: &Lines, line: impl ToString) -> impl FnOnce() + Send + 'static {
    let (lines, line) = (lines.clone(), line.to_string());
    move || drop(lines.send(line))
}

/// Says a line when it is dropped: what `finally` is in other languages.
pub(super) struct Finally(pub(super) Lines);

impl Drop for Finally {
    fn drop(&mut self) {
        say(&self.0, "finally");
    }
}

/// A child whose errors and end are logged behind the lines that it sends.
pub(super) fn child(log: &Log, lines: &Lines) -> Builder {
    Isolate::builder()
        .on_error(&errors(log))
        .on_exit(lines, |_| "exit".to_owned())
}

/// What a [`server`] is told.
pub(super) enum Order {
    /// To say that it got this.
    Say(&'static str),
    /// To be busy in one event, in the middle of which others do something.
    Busy(Box<dyn FnOnce() + Send>),
    /// To do something.
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

/// A child that does as it is told, until nobody can tell it anything.
pub(super) fn server(builder: Builder, lines: &Lines) -> (Isolate, SendPort<Order>) {
    let lines = lines.clone();
    builder.spawn_pair(move |inbox: ReceivePort<Order>| {
        inbox.listen(move |order| match order {
            Order::Say(line) => say(&lines, line),
            Order::Busy(meanwhile) => {
                elsewhere(meanwhile);
                checkpoint();
                say(&lines, "busy done");
                insula_core::schedule_microtask(saying(&lines, "M"));
            }
            Order::Do(action) => action(&lines),
        });
    })
}

/// Tells a server something; one that has ended hears nothing.
pub(super) fn tell(server: &SendPort<Order>, order: Order) {
    let _ = server.send(order);
}

/// Runs `action` on another thread, outside of isolates, while the caller waits: what happens
/// "meanwhile", at the same moment on every run.
pub(super) fn elsewhere(action: impl FnOnce() + Send + 'static) {
    let thread = std::thread::spawn(action);
    thread.join().expect("no such action panics");
}

/// Logs of the isolates whose errors nobody listens to, by the isolates' names.
static UNHEARD: LazyLock<Mutex<BTreeMap<String, Log>>> = LazyLock::new(|| {
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

/// A name for an isolate whose errors nobody listens to. The process-wide hook writes them
/// into `log`.
pub(super) fn unheard(log: &Log) -> String {
    let mut unheard = UNHEARD.lock();
    let name = format!("unheard-{}", unheard.len());
    unheard.insert(name.clone(), log.clone());
    name
}
