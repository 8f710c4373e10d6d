//! The flight recorder: the last events of each thread.
//!
//! The log keeps the newest events of the whole program: one thread that spawns isolates without an end
//! displaces what all others did. Here each thread displaces its own events only. The recorder has all
//! events of the log, which it shares, and in addition the turns that took long, of which there are
//! too many for the log.
//!
//! Bounded: a fixed number of events for each of [`THREADS`] threads, and for all further ones
//! together. Nothing is recorded before an inspector is started.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use insula_core::{Runtime, catch_panic};

use crate::model::{Event, RecordedThread, Recording};

/// Threads that have a record of their own.
const THREADS: usize = 256;

/// The record of the threads that have none of their own.
const OTHERS: &str = "other threads";

/// The record of what only the inspector has seen.
const SEEN: &str = "the inspector";

/// The last events of each thread. Guarded by the lock of the log.
pub(super) struct Recorder {
    /// The most events of one thread.
    per_thread: usize,
    threads: BTreeMap<String, Record>,
    /// The number of the next event among all that are recorded.
    next: u64,
}

#[derive(Default)]
struct Record {
    /// The events with their numbers here, the oldest first.
    events: VecDeque<(u64, Arc<Event>)>,
    total: u64,
}

impl Recorder {
    pub(super) fn new(per_thread: usize) -> Self {
        Self {
            per_thread,
            threads: BTreeMap::new(),
            next: 0,
        }
    }

    /// Records an event. Returns the one that it displaces, which is dropped without the lock.
    pub(super) fn add(&mut self, event: Arc<Event>) -> Option<Arc<Event>> {
        if self.per_thread == 0 {
            return None;
        }
        let number = self.next;
        self.next += 1;
        let per_thread = self.per_thread;
        let record = self.record(event.thread.as_deref().unwrap_or(SEEN));
        record.total += 1;
        record.events.push_back((number, event));
        match record.events.len() > per_thread {
            true => record.events.pop_front().map(|(_, oldest)| oldest),
            false => None,
        }
    }

    fn record(&mut self, thread: &str) -> &mut Record {
        let name = match self.threads.contains_key(thread) || self.threads.len() < THREADS {
            true => thread,
            false => OTHERS,
        };
        self.threads.entry(name.to_owned()).or_default()
    }

    /// Returns what is recorded.
    pub(super) fn recorded(&self) -> Recorded {
        let threads = self.threads.iter().map(|(name, record)| RecordedThread {
            name: name.clone(),
            recorded_total: record.total,
            kept: record.events.len() as u64,
        });
        Recorded {
            per_thread: self.per_thread,
            threads: threads.collect(),
            events: self
                .threads
                .values()
                .flat_map(|it| it.events.iter().cloned())
                .collect(),
        }
    }
}

/// What was recorded at one moment. It is put in order without the lock, for which threads wait that
/// record.
pub(super) struct Recorded {
    per_thread: usize,
    threads: Vec<RecordedThread>,
    events: Vec<(u64, Arc<Event>)>,
}

impl Recorded {
    /// Returns the newest `limit` events, the oldest of them first.
    pub(super) fn newest(mut self, limit: usize) -> Recording {
        self.events.sort_unstable_by_key(|(number, _)| *number);
        let skipped = self.events.len().saturating_sub(limit);
        let newest = self.events[skipped..].iter();
        Recording {
            per_thread: self.per_thread as u64,
            threads: self.threads,
            events: newest.map(|(_, event)| Event::clone(event)).collect(),
        }
    }
}

/// Returns the name of a thread of the pool, as events have it.
pub(super) fn thread_name(index: usize) -> String {
    format!("thread {index}")
}

/// Returns the name of the calling thread, as events have it.
pub(super) fn own_name(runtime: &Runtime) -> String {
    if let Some(index) = runtime.thread_index() {
        return thread_name(index);
    }
    // It panics at the very end of a thread, where an isolate may still end.
    let thread = catch_panic(std::thread::current).ok();
    let name = thread.as_ref().and_then(|thread| thread.name());
    name.unwrap_or("a thread without a name").to_owned()
}

#[cfg(test)]
mod tests;
