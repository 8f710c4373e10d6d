//! Lists of what exists in the process, for tools.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Weak};

use insula_sync::{Mutex, MutexGuard};

use crate::panic::contain;

/// A list of everything of one kind that was not dropped. Bounded by that: each entry removes itself.
pub(crate) type List<T> = LazyLock<Mutex<Entries<T>>>;

pub(crate) struct Entries<T: ?Sized> {
    /// The number of the last entry.
    last: u64,
    /// By their numbers.
    listed: BTreeMap<u64, Weak<T>>,
}

impl<T: ?Sized> Default for Entries<T> {
    fn default() -> Self {
        Self {
            last: 0,
            listed: BTreeMap::new(),
        }
    }
}

/// The place of a value in a list, which the value keeps. Its drop removes the entry.
pub(crate) struct Listing<T: ?Sized + 'static> {
    list: &'static List<T>,
    number: u64,
}

impl<T: ?Sized> Listing<T> {
    /// Takes the next number of a list, for a value that is entered once it is made.
    pub(crate) fn new(list: &'static List<T>) -> Self {
        let next = |mut entries: MutexGuard<'_, Entries<T>>| {
            entries.last += 1;
            entries.last
        };
        let number = lock(list).map(next).unwrap_or_default();
        Self { list, number }
    }

    /// Enters the value that keeps this.
    pub(crate) fn enter(&self, value: Weak<T>) {
        if let Some(mut entries) = lock(self.list) {
            entries.listed.insert(self.number, value);
        }
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }
}

impl<T: ?Sized> Drop for Listing<T> {
    fn drop(&mut self) {
        let gone = lock(self.list).and_then(|mut entries| entries.listed.remove(&self.number));
        drop(gone);
    }
}

/// Locks a list. There are none in a model: a static outlives each run, but a lock of loom does not.
fn lock<T: ?Sized>(list: &List<T>) -> Option<MutexGuard<'_, Entries<T>>> {
    (!cfg!(loom)).then(|| list.lock())
}

/// Looks at the entries of a list in the order of their numbers, at most `most` of them.
pub(crate) fn look_at<T: ?Sized, R>(list: &List<T>, most: usize, look: impl Fn(&T) -> R) -> Vec<R> {
    let Some(entries) = lock(list) else {
        return Vec::new();
    };
    // Held until the lock is released: the last holder of a value drops it, which takes the lock.
    let held: Vec<Arc<T>> = entries
        .listed
        .values()
        .filter_map(Weak::upgrade)
        .take(most)
        .collect();
    drop(entries);
    let looks = held.iter().map(|value| look(value)).collect();
    for value in held {
        // With a value its messages and its handler are dropped, which are foreign code.
        contain(move || drop(value));
    }
    looks
}
