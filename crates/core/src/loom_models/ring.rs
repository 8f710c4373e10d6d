//! Risk: an isolate is taken out of a run queue by two threads, or by none.

use std::ptr::NonNull;
use std::sync::Arc;

use loom::thread;

use crate::runtime::thread_pool::Ring;

type Item = u8;

fn item(value: usize) -> NonNull<Item> {
    NonNull::new(std::ptr::without_provenance_mut(value)).unwrap()
}

/// The ring is shared as in the pool; its items are never followed.
struct Shared(Ring<Item>);

// SAFETY: the ring is meant to be shared.
unsafe impl Sync for Shared {}
// SAFETY: as above.
unsafe impl Send for Shared {}

/// schedule vs steal: the owner pushes and pops while another steals half.
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

/// publish vs steal: what the owner has just pushed a thief either does not see at all or takes
/// as it is.
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
