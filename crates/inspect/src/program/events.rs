//! What has happened: a bounded log that says how many events it has lost, and beside it the flight
//! recorder (`recorder.rs`). Both have the same events, and one lock.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use insula_core::{Deadlock, ExitReason, IsolateId, IsolateObserver, Runtime, UncaughtError};
use insula_sync::Mutex;

use super::millis;
use super::recorder::{Recorder, own_name};
use crate::model::{Event, Events, Recording, Severity};

/// Events that are kept.
const KEPT: usize = 10_000;

/// Characters of a text that are kept. Names and panics of users have any length.
const TEXT: usize = 500;

/// The log of events.
pub(crate) struct Log {
    started: Instant,
    /// To know the threads of its pool.
    runtime: Runtime,
    inside: Mutex<Inside>,
}

struct Inside {
    events: VecDeque<Arc<Event>>,
    /// The number of the newest event.
    newest: u64,
    /// The number of errors of isolates, and of panics outside of them.
    errors: u64,
    recorder: Recorder,
}

impl Log {
    /// Makes a log, and a recorder of so many events of each thread.
    pub(super) fn new(started: Instant, runtime: Runtime, per_thread: usize) -> Self {
        let inside = Inside {
            events: VecDeque::new(),
            newest: 0,
            errors: 0,
            recorder: Recorder::new(per_thread),
        };
        Self {
            started,
            runtime,
            inside: Mutex::new(inside),
        }
    }

    /// Adds an event, whose number and time are set here.
    pub(super) fn add(&self, event: Event) {
        let mut event = self.finished(event);
        let mut inside = self.inside.lock();
        inside.newest += 1;
        event.number = inside.newest;
        let event = Arc::new(event);
        let oldest = match inside.events.len() {
            KEPT => inside.events.pop_front(),
            _ => None,
        };
        inside.events.push_back(event.clone());
        let displaced = inside.recorder.add(event);
        drop(inside);
        drop((oldest, displaced));
    }

    /// Adds an event to the recorder alone.
    pub(super) fn record(&self, event: Event) {
        let event = Arc::new(self.finished(event));
        let displaced = self.inside.lock().recorder.add(event);
        drop(displaced);
    }

    fn finished(&self, event: Event) -> Event {
        Event {
            at_ms: millis(self.started.elapsed()),
            text: shortened(event.text),
            ..event
        }
    }

    /// Adds a panic outside of isolates. Called by the hook for panics, so that it must not panic.
    pub(super) fn panicked(&self, text: String) {
        self.inside.lock().errors += 1;
        self.add(Event {
            kind: "panic".to_owned(),
            severity: Severity::Error,
            text,
            ..Event::default()
        });
    }

    /// Returns what the recorder has, with the newest `limit` events.
    pub(super) fn recording(&self, limit: usize) -> Recording {
        let recorded = self.inside.lock().recorder.recorded();
        recorded.newest(limit)
    }

    /// Returns an event of an isolate on the calling thread.
    fn event(&self, kind: &str, severity: Severity, isolate: IsolateId, text: String) -> Event {
        Event {
            kind: kind.to_owned(),
            severity,
            subject: id_of(isolate),
            text,
            thread: Some(own_name(&self.runtime)),
            ..Event::default()
        }
    }

    /// Returns the number of errors of isolates, and of panics outside of them.
    pub(super) fn errors(&self) -> u64 {
        self.inside.lock().errors
    }

    /// Returns the first `limit` events after the number `since`.
    pub(super) fn since(&self, since: u64, limit: usize) -> Events {
        let inside = self.inside.lock();
        let newest = inside.newest;
        let oldest = newest - inside.events.len() as u64;
        // A number from another start of the program may be greater than all of this one.
        let since = since.min(newest);
        let skipped = since.saturating_sub(oldest) as usize;
        let events: Vec<_> = inside
            .events
            .range(skipped..)
            .take(limit)
            .cloned()
            .collect();
        // Threads that add events wait for the lock: the texts are copied without it.
        drop(inside);
        Events {
            events: events.iter().map(|event| Event::clone(event)).collect(),
            dropped: oldest.saturating_sub(since),
            newest,
        }
    }
}

/// Cuts a text that is too long, at a character.
fn shortened(text: String) -> String {
    match text.char_indices().nth(TEXT) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

/// Returns the id of an isolate in the protocol.
pub(super) fn id_of(isolate: IsolateId) -> String {
    format!("isolates/{}", isolate.number())
}

/// Returns the name of an isolate that may have none.
pub(super) fn name_of(isolate: IsolateId, name: Option<&Arc<str>>) -> String {
    name.map_or_else(|| isolate.to_string(), |name| name.to_string())
}

impl IsolateObserver for Log {
    fn spawned(&self, isolate: IsolateId, name: Option<Arc<str>>) {
        let name = name_of(isolate, name.as_ref());
        let text = format!("{name} was spawned");
        self.add(self.event("isolateSpawn", Severity::Info, isolate, text));
    }

    fn ended(&self, isolate: IsolateId, name: Option<Arc<str>>, reason: &ExitReason) {
        let name = name_of(isolate, name.as_ref());
        let severity = match reason {
            ExitReason::Finished | ExitReason::Exited => Severity::Info,
            ExitReason::Killed => Severity::Warning,
            _ => Severity::Error,
        };
        let text = format!("{name} has ended: {reason}");
        self.add(self.event("isolateExit", severity, isolate, text));
    }

    fn failed(&self, error: &UncaughtError) {
        let text = error.to_string();
        self.inside.lock().errors += 1;
        let isolate = error.isolate;
        self.add(self.event("isolateError", Severity::Error, isolate, text));
    }

    fn refused(&self, waiter: Option<IsolateId>, deadlock: &Deadlock) {
        self.add(Event {
            kind: "deadlock".to_owned(),
            severity: Severity::Warning,
            subject: waiter.map(id_of).unwrap_or_default(),
            text: format!("a wait was refused: {deadlock}"),
            thread: Some(own_name(&self.runtime)),
            ..Event::default()
        });
    }
}

#[cfg(test)]
mod tests;
