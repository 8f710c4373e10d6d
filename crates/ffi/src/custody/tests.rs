//! Risk: a call that fails has freed something, or one that succeeds frees it twice or never.

use std::ffi::c_void;
use std::ptr::null_mut;
use std::thread;

use insula_sync::atomic::{AtomicU32, Ordering};

use super::{Custody, Duty, Share};
use crate::raw::Address;

/// A finalizer with a counter of its own for each test.
macro_rules! finalizer {
    ($calls:ident) => {{
        extern "C" fn finalizer(_peer: *mut c_void) {
            $calls.fetch_add(1, Ordering::SeqCst);
        }
        Duty::free(Some(finalizer), Address(null_mut()), || {})
    }};
}

/// A thing that was handed over, with one finalizer.
struct Thing(Share, Option<Duty>);

impl Drop for Thing {
    fn drop(&mut self) {
        self.1
            .take()
            .into_iter()
            .for_each(|duty| self.0.settle(duty));
    }
}

#[test]
fn what_is_dropped_in_a_call_that_fails_is_not_freed() {
    static FREED: AtomicU32 = AtomicU32::new(0);
    let custody = Custody::default();
    drop(Thing(custody.share(), Some(finalizer!(FREED))));
    let late = Thing(custody.share(), Some(finalizer!(FREED)));
    drop(custody);
    drop(late);
    assert_eq!(FREED.load(Ordering::SeqCst), 0);
}

#[test]
fn what_is_dropped_in_a_call_that_succeeds_is_freed_at_its_end() {
    static FREED: AtomicU32 = AtomicU32::new(0);
    let custody = Custody::default();
    let share = custody.share();
    thread::spawn(move || drop(Thing(share, Some(finalizer!(FREED)))))
        .join()
        .unwrap();
    assert_eq!(FREED.load(Ordering::SeqCst), 0, "it may fail yet");
    custody.accept();
    drop(custody);
    assert_eq!(FREED.load(Ordering::SeqCst), 1);
}

#[test]
fn what_has_arrived_cannot_be_taken_back() {
    static FREED: AtomicU32 = AtomicU32::new(0);
    let custody = Custody::default();
    let thing = Thing(custody.share(), Some(finalizer!(FREED)));
    thing.0.accept();
    drop(custody);
    drop(thing);
    assert_eq!(FREED.load(Ordering::SeqCst), 1);
}

#[test]
fn the_books_are_closed_whatever_becomes_of_a_thing() {
    static GONE: AtomicU32 = AtomicU32::new(0);
    for is_accepted in [false, true] {
        let custody = Custody::default();
        let gone = || {
            GONE.fetch_add(1, Ordering::SeqCst);
        };
        let duty = || Duty::free(None, Address(null_mut()), gone);
        custody.share().settle(duty());
        let late = custody.share();
        if is_accepted {
            custody.accept();
        }
        drop(custody);
        late.settle(duty());
    }
    assert_eq!(GONE.load(Ordering::SeqCst), 4);
}
