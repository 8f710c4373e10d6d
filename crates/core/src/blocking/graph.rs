//! The graph of waits of the whole process.
//!
//! One lock around a map from each waiting party to what it waits for. Only waits that park enter
//! it. Several parties may be able to end one wait (for a call in the queue of a pool); such a
//! wait is hopeless if all of them wait for the waiter, directly or through others. With one
//! holder each, this is a cycle.
//!
//! Only a certain holder makes an edge (`party.rs`): a wait is refused because it would never end,
//! not because the only known use of an end makes that likely. So every refusal is right, and a
//! cycle over ends that no party attached is not found; `blocking/mailbox.rs` says how to attach
//! one.
//!
//! An edge counts until its wait has been ended: each search calls [`Awaited::each_holder`], under
//! the lock. This suffices. A party that is found waiting cannot end the wait of another party,
//! and the party that searches does nothing else meanwhile. So all edges of a cycle hold at once,
//! although they are looked at one after the other, and only a third party (which closes a
//! mailbox or kills an isolate) could still have broken the cycle.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, LazyLock};
use std::thread::Thread;

use insula_sync::{Mutex, Rank};

use super::party::PartyId;
use crate::isolate::IsolateId;
use crate::memory::{Current, IsolateRef};
use crate::panic::catch_panic;
use crate::runtime::RuntimeCore;

/// The error of a wait that was refused because each party that could end it waits for the waiter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deadlock {
    /// The names of the parties that wait for each other: first the party whose wait was refused,
    /// then the one that it would have waited for, and so on around the cycle.
    pub names: Vec<Arc<str>>,
}

impl fmt::Display for Deadlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the wait would never end: ")?;
        for name in &self.names {
            write!(f, "{name} waits for ")?;
        }
        f.write_str(self.names.first().map_or("itself", |name| name))
    }
}

impl std::error::Error for Deadlock {}

/// The side that waits, if the awaited thing has two; otherwise it does not matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Requester,
    Responder,
}

/// Something that a party waits for.
pub(crate) trait Awaited: Send + Sync {
    /// Calls `found` with each party that could end the wait of this side, if no other party could
    /// and this is certain: waits are refused on the strength of it. Makes no call if the wait has
    /// been ended, or if one of these parties is not known.
    ///
    /// Runs under the lock of the graph, so it takes its own lock at most.
    fn each_holder(&self, side: Side, found: &mut dyn FnMut(PartyId));

    /// Returns whether the wait ends by itself, even without a time-out of its own.
    fn is_limited(&self) -> bool {
        false
    }
}

struct Wait {
    who: Who,
    awaited: Arc<dyn Awaited>,
    side: Side,
}

#[derive(Clone)]
pub(crate) enum Who {
    Isolate(IsolateRef),
    /// `None` at the very end of a thread, when `thread::current` panics.
    Thread(Option<Thread>),
}

impl Who {
    fn current() -> Self {
        Current::with(|isolate| match isolate {
            Some(isolate) => Self::Isolate(IsolateRef::new(isolate.core())),
            None => Self::Thread(catch_panic(std::thread::current).ok()),
        })
    }

    fn isolate(&self) -> Option<&IsolateRef> {
        match self {
            Self::Isolate(isolate) => Some(isolate),
            Self::Thread(_) => None,
        }
    }

    pub(crate) fn name(&self) -> Arc<str> {
        match self {
            Self::Isolate(isolate) => isolate.name(),
            Self::Thread(thread) => {
                let name = thread.as_ref().and_then(Thread::name);
                Arc::from(name.unwrap_or("a thread without name"))
            }
        }
    }
}

type Waits = HashMap<PartyId, Wait>;

static WAITS: LazyLock<Mutex<Waits>> = LazyLock::new(|| {
    const RANK: Rank = Rank::new(10, "the graph of waits");
    Mutex::ranked(Waits::default(), RANK)
});

/// Keeps the wait of the current party in the graph, if it was entered, until this is dropped.
pub(super) struct Edge(Option<Entered>);

struct Entered {
    party: PartyId,
    /// The party's outer wait: code that a control message runs inside of a wait may itself wait.
    before: Option<Wait>,
}

/// Enters a wait into the graph, unless it ends by itself.
///
/// # Errors
/// A [`Deadlock`] if the wait would close a cycle.
pub(super) fn enter(
    awaited: Arc<dyn Awaited>,
    side: Side,
    has_timeout: bool,
) -> Result<Edge, Deadlock> {
    if cfg!(loom) {
        // A static outlives each run of a model, but a lock of loom does not.
        return Ok(Edge(None));
    }
    let (me, who) = (PartyId::current(), Who::current());
    let mut waits = WAITS.lock();
    if let Some(others) = cycle(&waits, me, &*awaited, side) {
        // Released first: only the names are left to read, for which lanes are locked.
        drop(waits);
        let all: Vec<_> = std::iter::once(&who).chain(&others).collect();
        let names = all.iter().map(|who| who.name()).collect();
        let deadlock = Deadlock { names };
        tell(&all, &deadlock);
        return Err(deadlock);
    }
    if has_timeout || awaited.is_limited() {
        drop(waits);
        return Ok(Edge(None));
    }
    let before = waits.insert(me, Wait { who, awaited, side });
    Ok(Edge(Some(Entered { party: me, before })))
}

/// Tells the observers of each runtime that has an isolate in a cycle. `all` has the parties, first
/// the one whose wait is refused.
#[cold]
fn tell(all: &[&Who], deadlock: &Deadlock) {
    let waiter = all.first().and_then(|who| who.isolate());
    let waiter = waiter.map(|isolate| IsolateId(isolate.id));
    let mut told: Vec<&Arc<RuntimeCore>> = Vec::new();
    for isolate in all.iter().filter_map(|who| who.isolate()) {
        let runtime = &isolate.runtime;
        if !told.iter().any(|it| Arc::ptr_eq(it, runtime)) {
            told.push(runtime);
            let observers = runtime.observers();
            observers.each(|observer| observer.refused(waiter, deadlock));
        }
    }
}

/// Follows all paths from a wait of `me`. Returns the other parties on them if a path leads back to
/// `me`, and none to a party that could still end the wait.
fn cycle(waits: &Waits, me: PartyId, awaited: &dyn Awaited, side: Side) -> Option<Vec<Who>> {
    let (mut reached, mut to_visit) = (HashSet::new(), Vec::new());
    awaited.each_holder(side, &mut |party| to_visit.push(party));
    let mut others = Vec::new();
    while let Some(party) = to_visit.pop() {
        if !reached.insert(party) || party == me {
            continue;
        }
        // A party that does not wait may still end this wait. So may one whose own wait has ended,
        // or can be ended by an unknown party: it names no holder.
        let wait = waits.get(&party)?;
        let known = to_visit.len();
        wait.awaited
            .each_holder(wait.side, &mut |party| to_visit.push(party));
        if to_visit.len() == known {
            return None;
        }
        others.push(wait.who.clone());
    }
    // Otherwise the paths end in a cycle of other parties, which this wait does not close.
    if reached.contains(&me) {
        Some(others)
    } else {
        None
    }
}

/// Calls `each` with every wait in the graph and the parties that can end it. The lock of the graph
/// is held meanwhile, so `each` only stores what it gets.
pub(crate) fn each_wait(mut each: impl FnMut(PartyId, Who, Vec<PartyId>)) {
    for (waiter, wait) in WAITS.lock().iter() {
        let mut holders = Vec::new();
        let found = &mut |party| holders.push(party);
        wait.awaited.each_holder(wait.side, found);
        each(*waiter, wait.who.clone(), holders);
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        if let Some(Entered { party, before }) = self.0.take() {
            let mut waits = WAITS.lock();
            let wait = match before {
                Some(before) => waits.insert(party, before),
                None => waits.remove(&party),
            };
            drop(waits);
            // Outside of the lock: the wait may own the last reference to what was waited for, and
            // with it user values, whose destructors are foreign code.
            drop(wait);
        }
    }
}
