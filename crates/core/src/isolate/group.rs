//! Groups of isolates.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use insula_sync::Mutex;

use super::Isolate;
use crate::memory::IsolateRef;

/// A group of isolates, which can be killed together.
///
/// An isolate joins the group that its builder names, or else the group of the isolate that spawns
/// it, and leaves it when it ends. A [`RootIsolate`](crate::RootIsolate) has by default a group of
/// its own, which ends with it.
#[derive(Clone)]
pub struct IsolateGroup(Arc<Group>);

struct Group {
    name: Arc<str>,
    /// By isolate ID, and so in the order of spawning. Bounded by the isolates that live.
    isolates: Mutex<BTreeMap<u64, IsolateRef>>,
}

impl IsolateGroup {
    /// Creates a group without isolates.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(Arc::new(Group {
            name: name.into(),
            isolates: Mutex::new(BTreeMap::new()),
        }))
    }

    /// Returns the group's name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    pub(crate) fn shared_name(&self) -> Arc<str> {
        self.0.name.clone()
    }

    /// Returns the isolates that have not ended, in the order in which they were spawned.
    pub fn isolates(&self) -> Vec<Isolate> {
        let isolates = self.0.isolates.lock();
        isolates
            .values()
            .cloned()
            .map(Isolate::with_all_rights)
            .collect()
    }

    /// Kills the group's current isolates, without waiting for their end.
    pub fn kill_all(&self) {
        for isolate in self.isolates() {
            isolate.kill();
        }
    }

    pub(super) fn join(&self, isolate: IsolateRef) {
        self.0.isolates.lock().insert(isolate.id, isolate);
    }

    pub(crate) fn leave(&self, id: u64) {
        // Two statements: the last reference frees the isolate, and that must not happen under the
        // lock.
        let left = self.0.isolates.lock().remove(&id);
        drop(left);
    }
}

impl PartialEq for IsolateGroup {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for IsolateGroup {}

impl Hash for IsolateGroup {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).hash(state);
    }
}

impl fmt::Debug for IsolateGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("IsolateGroup").field(&self.0.name).finish()
    }
}
