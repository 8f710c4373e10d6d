//! What has happened: a bounded log that says how many events it has lost.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use insula_core::{ExitReason, IsolateId, IsolateObserver, UncaughtError};
use insula_sync::Mutex;

use super::millis;
use crate::model::{Event, Events, Severity};

/// Events that are kept.
const KEPT: usize = 10_000;

/// Characters of a text that are kept. Names and panics of users have any length.
const TEXT: usize = 500;

/// The log of events.
pub(crate) struct Log {
    started: Instant,
    inside: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    events: VecDeque<Event>,
    /// The number of the newest event.
    newest: u64,
    /// The number of errors of isolates.
    errors: u64,
}

impl Log {
    pub(super) fn new(started: Instant) -> Self {
        Self {
            started,
            inside: Mutex::default(),
        }
    }

    /// Adds an event, whose number and time are set here.
    pub(super) fn add(&self, mut event: Event) {
        event.at_ms = millis(self.started.elapsed());
        event.text = shortened(event.text);
        let mut inside = self.inside.lock();
        inside.newest += 1;
        event.number = inside.newest;
        let oldest = match inside.events.len() {
            KEPT => inside.events.pop_front(),
            _ => None,
        };
        inside.events.push_back(event);
        drop(inside);
        drop(oldest);
    }

    /// Returns the number of errors of isolates.
    pub(super) fn errors(&self) -> u64 {
        self.inside.lock().errors
    }

    /// Returns the first `limit` events after the number `since`.
    pub(super) fn since(&self, since: u64, limit: usize) -> Events {
        let inside = self.inside.lock();
        let oldest = inside.newest - inside.events.len() as u64;
        // A number from another start of the program may be greater than all of this one.
        let since = since.min(inside.newest);
        let skipped = since.saturating_sub(oldest) as usize;
        Events {
            events: inside
                .events
                .iter()
                .skip(skipped)
                .take(limit)
                .cloned()
                .collect(),
            dropped: oldest.saturating_sub(since),
            newest: inside.newest,
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

fn event(kind: &str, severity: Severity, isolate: IsolateId, text: String) -> Event {
    Event {
        kind: kind.to_owned(),
        severity,
        subject: id_of(isolate),
        text,
        ..Event::default()
    }
}

impl IsolateObserver for Log {
    fn spawned(&self, isolate: IsolateId, name: Option<Arc<str>>) {
        let name = name_of(isolate, name.as_ref());
        let text = format!("{name} was spawned");
        self.add(event("isolateSpawn", Severity::Info, isolate, text));
    }

    fn ended(&self, isolate: IsolateId, name: Option<Arc<str>>, reason: &ExitReason) {
        let name = name_of(isolate, name.as_ref());
        let severity = match reason {
            ExitReason::Finished | ExitReason::Exited => Severity::Info,
            ExitReason::Killed => Severity::Warning,
            _ => Severity::Error,
        };
        let text = format!("{name} has ended: {reason}");
        self.add(event("isolateExit", severity, isolate, text));
    }

    fn failed(&self, error: &UncaughtError) {
        let text = error.to_string();
        self.inside.lock().errors += 1;
        self.add(event("isolateError", Severity::Error, error.isolate, text));
    }
}

#[cfg(test)]
mod tests;
