//! Who waits for whom, in the whole process.
//!
//! One lock around a map from those who wait to what they wait for. Only waits that park come
//! here. What is waited for may be in the hands of several, any of whom could bring it about (a
//! call in the queue of a pool); then the wait is hopeless when all of them wait for this one,
//! directly or through others. With one holder each this is a cycle.
//!
//! Only certain holders make an edge (`party.rs`): a wait is refused if it would never end, and not
//! because the one use that is known of an end makes that likely. So every refusal is right, and a
//! cycle over ends that no party attached is not found; `blocking/mailbox.rs` says how to attach
//! one.
//!
//! An edge counts as long as its wait has not been ended: [`Awaited::each_holder`] is asked
//! under the lock, each time. That is enough: whoever is found waiting on the way cannot end
//! anybody else's wait, and who looks, does nothing else meanwhile; so all edges of a cycle that
//! was found one after the other hold at once, and only a third party (who closes a mailbox, or
//! kills an isolate) could still have broken it.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, LazyLock};
use std::thread::Thread;

use insula_sync::Mutex;

use super::party::PartyId;
use crate::memory::{Current, IsolateRef};
use crate::panic::catch_panic;

/// A wait was refused, because all who could end it wait for this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deadlock {
    /// Those who wait for each other, by name: first the one whose wait was refused, then whom it
    /// would have waited for, and so on round the cycle.
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

/// Which of the sides of a thing waits, where it has two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Requester,
    Responder,
}

/// Something that is waited for.
pub(crate) trait Awaited: Send + Sync {
    /// Calls `found` with each of the parties that could end the wait of this side, when no other
    /// could and this is certain: a wait is refused on the strength of it. Does not call it if the
    /// wait has been ended, or if one of these parties is not known.
    ///
    /// Runs under the lock of the graph: takes its own lock at most.
    fn each_holder(&self, side: Side, found: &mut dyn FnMut(PartyId));

    /// Whether the wait ends by itself, even without a time-out of its own.
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
enum Who {
    Isolate(IsolateRef),
    /// `None` at the very end of a thread, when it does not know itself any more.
    Thread(Option<Thread>),
}

impl Who {
    fn current() -> Self {
        Current::with(|isolate| match isolate {
            Some(isolate) => Self::Isolate(IsolateRef::new(isolate.core())),
            None => Self::Thread(catch_panic(std::thread::current).ok()),
        })
    }

    fn name(&self) -> Arc<str> {
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

static WAITS: LazyLock<Mutex<Waits>> = LazyLock::new(Mutex::default);

/// The wait of the current party, while it is in the graph.
pub(super) struct Edge(Option<Entered>);

struct Entered {
    party: PartyId,
    /// The party's wait before: what a control message runs inside of a wait may itself wait.
    before: Option<Wait>,
}

/// Looks whether the wait would close a cycle, and if it is to last, enters it.
///
/// # Errors
/// The cycle.
pub(super) fn enter(
    awaited: Arc<dyn Awaited>,
    side: Side,
    has_timeout: bool,
) -> Result<Edge, Deadlock> {
    if cfg!(loom) {
        // A static outlives the models, loom's locks do not.
        return Ok(Edge(None));
    }
    let (me, who) = (PartyId::current(), Who::current());
    let mut waits = WAITS.lock();
    if let Some(others) = cycle(&waits, me, &*awaited, side) {
        drop(waits);
        let all = std::iter::once(&who).chain(&others);
        let names = all.map(Who::name).collect();
        return Err(Deadlock { names });
    }
    if has_timeout || awaited.is_limited() {
        drop(waits);
        return Ok(Edge(None));
    }
    let before = waits.insert(me, Wait { who, awaited, side });
    Ok(Edge(Some(Entered { party: me, before })))
}

/// Those who wait on the ways from a wait back to `me`, if all of its ways lead there.
fn cycle(waits: &Waits, me: PartyId, awaited: &dyn Awaited, side: Side) -> Option<Vec<Who>> {
    let (mut reached, mut to_visit) = (HashSet::new(), Vec::new());
    awaited.each_holder(side, &mut |party| to_visit.push(party));
    let mut others = Vec::new();
    while let Some(party) = to_visit.pop() {
        if !reached.insert(party) || party == me {
            continue;
        }
        // A party that does not wait may yet end it, and so may one whose wait others may end than
        // those that are known.
        let wait = waits.get(&party)?;
        let known = to_visit.len();
        wait.awaited
            .each_holder(wait.side, &mut |party| to_visit.push(party));
        if to_visit.len() == known {
            return None;
        }
        others.push(wait.who.clone());
    }
    // A way without `me` on it may run in a circle that was refused to somebody else.
    if reached.contains(&me) {
        Some(others)
    } else {
        None
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
            // What was waited for may go with it, and user values with that: not under the lock.
            drop(wait);
        }
    }
}
