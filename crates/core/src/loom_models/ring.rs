//! Risk: two threads take the same isolate out of a run queue, or no thread takes it.

use std::ptr::NonNull;
use std::sync::Arc;

use loom::thread;

use crate::runtime::thread_pool::Ring;

type Item = u8;

fn item(value: usize) -> NonNull<Item> {
    NonNull::new(std::ptr::without_provenance_mut(value)).unwrap()
}

/// A ring shared as in the pool; its items are never dereferenced.
struct Shared(Ring<Item>);

// SAFETY: the model uses the ring as the pool does: one owner pushes and pops, others steal.
unsafe impl Sync for Shared {}
// SAFETY: as above.
unsafe impl Send for Shared {}

/// schedule vs steal: the owner pushes and pops while a thief steals half.
#[test]
fn schedule_vs_steal() {
    loom::model(|| {
        let shared = Arc::new(Shared(Ring::new()));
        shared.0.push(item(1)).unwrap();
        shared.0.push(item(2)).unwrap();
        let thief = {
            let shared = shared.clone();
            thread::spawn(move || {
                let mut taken = Vec::new();
                shared.0.take_half(|item| taken.push(item.as_ptr().addr()));
                taken
            })
        };
        let mut taken = Vec::new();
        taken.extend(shared.0.pop().map(|item| item.as_ptr().addr()));
        shared.0.push(item(3)).unwrap();
        while let Some(item) = shared.0.pop() {
            taken.push(item.as_ptr().addr());
        }
        taken.extend(thief.join().unwrap());
        taken.extend(shared.0.pop().map(|item| item.as_ptr().addr()));
        taken.sort_unstable();
        assert_eq!(taken, [1, 2, 3]);
    });
}

/// publish vs steal: a thief either does not see an item that was just pushed, or takes it whole.
#[test]
fn publish_vs_steal() {
    loom::model(|| {
        let shared = Arc::new(Shared(Ring::new()));
        let thief = {
            let shared = shared.clone();
            thread::spawn(move || {
                let mut taken = Vec::new();
                let count = shared.0.take_half(|item| taken.push(item.as_ptr().addr()));
                assert_eq!(taken.len(), count, "a place was seen before its item");
                taken
            })
        };
        shared.0.push(item(1)).unwrap();
        shared.0.push(item(2)).unwrap();
        let mut taken = thief.join().unwrap();
        while let Some(item) = shared.0.pop() {
            taken.push(item.as_ptr().addr());
        }
        taken.sort_unstable();
        assert_eq!(taken, [1, 2]);
    });
}

/// The ring wraps while a thief holds an old head.
#[test]
fn wrap_vs_steal() {
    loom::model(|| {
        let shared = Arc::new(Shared(Ring::new()));
        (1..=3).for_each(|value| shared.0.push(item(value)).unwrap());
        let thief = {
            let shared = shared.clone();
            thread::spawn(move || {
                let mut taken = Vec::new();
                shared.0.take_half(|item| taken.push(item.as_ptr().addr()));
                taken
            })
        };
        let mut taken = Vec::new();
        for value in 4..=6 {
            taken.extend(shared.0.pop().map(|item| item.as_ptr().addr()));
            shared.0.push(item(value)).unwrap();
        }
        taken.extend(thief.join().unwrap());
        while let Some(item) = shared.0.pop() {
            taken.push(item.as_ptr().addr());
        }
        taken.sort_unstable();
        assert_eq!(taken, [1, 2, 3, 4, 5, 6]);
    });
}
