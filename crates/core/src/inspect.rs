//! What a runtime shows of itself to tools: plain snapshots, which hold nothing of the runtime.
//!
//! # Cost
//! A snapshot stops no thread. It locks a part of the register for at most [`CHUNK`] isolates at a
//! time, and each isolate's lane for a few loads. It is not a cut through time: an isolate that is
//! looked at late may have got messages from one that was looked at early. Two numbers are counted
//! for this alone while isolates run, the records that arrive and the turns.
//!
//! What only the isolate itself may read (its ports, timers, tasks and questions) is asked of it
//! by a control message, [`Isolate::inspect`]; an isolate that computes answers late.

mod detail;
mod listed;
mod mailboxes;
mod native_ports;
mod observer;
mod waits;

use std::sync::Arc;

use crate::isolate::{Isolate, IsolateId};
use crate::memory::{IsolateCore, IsolateRef};
use crate::runtime::Runtime;
use crate::runtime::thread_pool::ThreadPool;
pub use detail::{IsolateDetail, PortDetail, PortMode};
pub(crate) use listed::Listing;
pub(crate) use mailboxes::{ListedMailbox, MAILBOXES};
pub use mailboxes::{MailboxKind, MailboxSnapshot, mailboxes};
pub(crate) use native_ports::{ListedPort, PORTS};
pub use native_ports::{NativePortSnapshot, native_ports};
pub use observer::IsolateObserver;
pub(crate) use observer::Observers;
pub use waits::{PartySnapshot, WaitSnapshot, waits};

/// Isolates that are copied from the register at a time.
pub(crate) const CHUNK: usize = 256;

/// A runtime at one moment.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RuntimeSnapshot {
    /// The isolates that have not ended, in no order.
    pub isolates: Vec<IsolateSnapshot>,
    /// The threads that the pool has started, by their numbers. Empty for a seeded runtime.
    pub threads: Vec<ThreadSnapshot>,
    /// Isolates that wait in the queue that all threads share.
    pub injected: usize,
    /// Isolates that were spawned since the runtime began.
    pub spawned_total: u64,
    /// Isolates that have ended since the runtime began.
    pub ended_total: u64,
}

/// What an isolate does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum IsolateState {
    /// Nothing is queued.
    Idle,
    /// It waits for a thread.
    Runnable,
    /// A thread runs it.
    Running,
    /// It handles only control messages.
    Paused,
    /// It has ended.
    Ended,
}

/// Which threads run an isolate.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum IsolateKind {
    /// Any thread of the pool.
    Pooled,
    /// A thread of its own.
    Pinned,
    /// The loop of a host.
    Root,
}

/// An isolate at one moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct IsolateSnapshot {
    /// Its ID.
    pub id: IsolateId,
    /// Its name, if it was given one.
    pub name: Option<Arc<str>>,
    /// The name of its group, if it belongs to one.
    pub group: Option<Arc<str>>,
    /// Which threads run it.
    pub kind: IsolateKind,
    /// What it does.
    pub state: IsolateState,
    /// The events in its queue. A few answers are taken out without a turn, and count until it is
    /// idle.
    pub queued: u32,
    /// Control messages that it has not handled.
    pub control_queued: usize,
    /// Its turns, modulo 2^32.
    pub turns: u32,
    /// Whether its code waits and blocks the thread.
    pub is_blocked: bool,
    /// Of a pinned isolate: the number of its thread in the operating system, where that is known.
    pub system_id: Option<u32>,
}

/// A thread of the pool at one moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ThreadSnapshot {
    /// Its number in the pool.
    pub index: usize,
    /// Its number in the operating system, where that is known.
    pub system_id: Option<u32>,
    /// The isolate whose turn it runs.
    pub isolate: Option<IsolateId>,
    /// The isolate whose turn it runs, or has run last.
    pub last_isolate: Option<IsolateId>,
    /// The turns that it has run, modulo 2^32. Unchanged while one turn takes long.
    pub turns: u32,
    /// Whether it is inside of one long turn or blocked, so that another thread has its place.
    pub is_stuck: bool,
    /// Isolates in its own queues.
    pub queued: usize,
    /// The mean length of its last slices, in nanoseconds.
    pub mean_slice_ns: u32,
}

impl Runtime {
    /// Returns what the isolates and the threads of this runtime do now, for tools.
    ///
    /// # Blocking
    /// Locks for short times, and copies some 200 bytes for each isolate: 100,000 isolates take
    /// some 20 ms, during which all of them go on.
    pub fn snapshot(&self) -> RuntimeSnapshot {
        let core = self.core();
        let (threads, injected) = core
            .thread_pool()
            .map_or((Vec::new(), 0), |pool| (pool.threads(), pool.injected()));
        let running: Vec<_> = threads.iter().filter_map(|thread| thread.isolate).collect();
        let (all, [spawned_total, ended_total]) = core.isolates();
        RuntimeSnapshot {
            isolates: all.iter().map(|it| snapshot(it, &running)).collect(),
            threads,
            injected,
            spawned_total,
            ended_total,
        }
    }

    /// Returns what the threads of the pool do now. Cheap enough for a thousand times a second.
    pub fn threads(&self) -> Vec<ThreadSnapshot> {
        let pool = self.core().thread_pool();
        pool.map_or_else(Vec::new, ThreadPool::threads)
    }

    /// Returns the number of the calling thread in the pool of this runtime, as
    /// [`ThreadSnapshot::index`] has it. `None` for another thread.
    pub fn thread_index(&self) -> Option<usize> {
        self.core().thread_pool()?.own_index()
    }

    /// Has `observer` told of what happens to the isolates of this runtime, until it is
    /// [taken back](Self::unobserve).
    pub fn observe(&self, observer: Arc<dyn IsolateObserver>) {
        self.core().observers().add(observer);
    }

    /// Takes an observer back. It may still be told of what happens at this moment.
    pub fn unobserve(&self, observer: &Arc<dyn IsolateObserver>) {
        self.core().observers().remove(observer);
    }

    /// Returns the isolate with this ID, with all rights, if it belongs to this runtime and has not
    /// ended.
    ///
    /// # Blocking
    /// Looks at an eighth of all isolates, but locks for short times. For many IDs, use
    /// [`isolates`](Self::isolates).
    pub fn isolate(&self, id: IsolateId) -> Option<Isolate> {
        self.isolates(&[id]).pop()
    }

    /// Returns those of these isolates that belong to this runtime and have not ended, with all rights,
    /// each once and in no order.
    ///
    /// # Blocking
    /// Looks at all isolates once, but locks for short times.
    pub fn isolates(&self, ids: &[IsolateId]) -> Vec<Isolate> {
        let mut ids: Vec<_> = ids.iter().map(|id| id.0).collect();
        ids.sort_unstable();
        let found = self.core().find_isolates(&ids).into_iter();
        found.map(Isolate::with_all_rights).collect()
    }
}

impl IsolateId {
    /// Returns the number of the ID.
    pub fn number(self) -> u64 {
        self.0
    }

    /// Returns the ID with this number. There need not be such an isolate.
    pub fn from_number(number: u64) -> Self {
        Self(number)
    }
}

/// Takes a snapshot of an isolate. `running` has the isolates that threads of the pool run.
fn snapshot(isolate: &IsolateRef, running: &[IsolateId]) -> IsolateSnapshot {
    let id = IsolateId(isolate.id);
    let runs = running.contains(&id) || isolate.turn_at_home().is_some();
    // Before the lane is locked: turns that end meanwhile make the queue look longer, not shorter.
    let turns = isolate.turns();
    let mut lane = isolate.lane.lock();
    let state = match () {
        () if lane.is_dead() => IsolateState::Ended,
        () if lane.is_paused() => IsolateState::Paused,
        () if !lane.is_scheduled() => IsolateState::Idle,
        () if runs => IsolateState::Running,
        () => IsolateState::Runnable,
    };
    let (turns, queued) = match state {
        // Read again: the last turn may have ended since then.
        IsolateState::Idle | IsolateState::Ended => (isolate.turns(), 0),
        _ => (turns, lane.queued(turns)),
    };
    let known = isolate.peek_details(&mut lane, |details| {
        let group = details.group.as_ref().map(|group| group.shared_name());
        let is_blocked = details.seat.is_some();
        (details.name.clone(), group, details.oob.len(), is_blocked)
    });
    drop(lane);
    let (name, group, control_queued, is_blocked) = known.unwrap_or_default();
    let (kind, system_id) = kind(isolate);
    IsolateSnapshot {
        id,
        name,
        group,
        kind,
        state,
        queued,
        control_queued,
        turns,
        is_blocked,
        system_id,
    }
}

/// Returns which threads run an isolate, and the number of a pinned one's.
fn kind(isolate: &IsolateCore) -> (IsolateKind, Option<u32>) {
    match isolate.home() {
        None => (IsolateKind::Pooled, None),
        Some(home) if home.has_host() => (IsolateKind::Root, None),
        Some(home) => (IsolateKind::Pinned, home.system_id()),
    }
}
