//! Risk: a value is lost or kept, the end waits for itself, or a destructor takes the thread along.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, ThreadId};
use std::time::Duration;

use super::Reaper;

/// Tells the thread that drops it.
struct Tells(Sender<ThreadId>);

impl Drop for Tells {
    fn drop(&mut self) {
        let _ = self.0.send(thread::current().id());
    }
}

/// Runs a closure when it is dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Keeps the reaper's thread busy, from the return of this function until the sender is dropped.
fn occupy(reaper: &Reaper) -> Sender<()> {
    let (end, until): (_, Receiver<()>) = channel();
    let (begins, begun) = channel();
    reaper.drop_later(OnDrop(move || {
        begins.send(()).unwrap();
        let _ = until.recv();
    }));
    begun.recv().unwrap();
    end
}

#[test]
fn a_value_is_dropped_on_the_thread_of_the_reaper() {
    let (tell, told) = channel();
    let reaper = Reaper::new(8).unwrap();
    reaper.drop_later(Tells(tell));
    assert_ne!(told.recv().unwrap(), thread::current().id());
}

#[test]
fn the_end_waits_for_all_values_in_their_order() {
    let (tell, told) = channel();
    let reaper = Reaper::new(1_000).unwrap();
    let busy = occupy(&reaper);
    for number in 0..1_000 {
        let tell = tell.clone();
        reaper.drop_later(OnDrop(move || tell.send(number).unwrap()));
    }
    assert!(told.try_recv().is_err());
    drop(busy);
    drop(reaper);
    let order: Vec<i32> = told.try_iter().collect();
    assert_eq!(order, (0..1_000).collect::<Vec<_>>());
}

#[test]
fn a_full_queue_leaves_the_drop_to_the_caller() {
    let here = thread::current().id();
    for bound in 0..3 {
        let (tell, told) = channel();
        let reaper = Reaper::new(bound).unwrap();
        // With no room at all, this value would be dropped here, and wait for ever.
        let busy = (bound > 0).then(|| occupy(&reaper));
        for _ in 0..bound + 2 {
            reaper.drop_later(Tells(tell.clone()));
        }
        let by_caller: Vec<_> = told.try_iter().collect();
        assert_eq!(by_caller, [here; 2]);
        drop(busy);
        drop(reaper);
        let by_reaper: Vec<_> = told.try_iter().collect();
        assert_eq!(by_reaper.len(), bound);
        assert!(!by_reaper.contains(&here));
    }
}

#[test]
fn a_panic_in_a_drop_is_contained() {
    let (tell, told) = channel();
    let reaper = Reaper::new(8).unwrap();
    reaper.drop_later(OnDrop(|| panic!("in a destructor")));
    // The payload panics as well, and so does its payload.
    reaper.drop_later(OnDrop(|| {
        panic_any(OnDrop(|| {
            panic_any(OnDrop(|| panic!("in a payload's payload")))
        }))
    }));
    reaper.drop_later(Tells(tell));
    assert_ne!(told.recv().unwrap(), thread::current().id());
    // A caller that drops a value itself is spared too.
    let busy = Reaper::new(0).unwrap();
    busy.drop_later(OnDrop(|| panic!("in a destructor, on the caller")));
}

#[test]
fn a_value_that_owns_the_reaper_ends_it_without_waiting_for_itself() {
    let (tell, told) = channel();
    let reaper = Arc::new(Reaper::new(8).unwrap());
    let busy = occupy(&reaper);
    let (ended, end) = channel();
    let mut owned = Some(Arc::clone(&reaper));
    reaper.drop_later(OnDrop(move || {
        let owned = owned.take();
        // A thread that waits for itself panics, which the reaper would contain.
        let result = catch_unwind(AssertUnwindSafe(|| drop(owned)));
        ended.send(result.is_ok()).unwrap();
    }));
    reaper.drop_later(Tells(tell));
    drop(reaper);
    drop(busy);
    assert!(end.recv().unwrap());
    let dropped_by = told.recv_timeout(Duration::from_secs(10)).unwrap();
    assert_ne!(dropped_by, thread::current().id());
    // The last sender is gone with the value.
    assert!(told.recv().is_err());
}

#[test]
fn a_destructor_may_use_the_reaper_itself() {
    let (tell, told) = channel();
    let reaper = Arc::new(Reaper::new(1).unwrap());
    let (inner, of_value) = (tell.clone(), Arc::clone(&reaper));
    reaper.drop_later(OnDrop(move || {
        // More than there is room for.
        for _ in 0..4 {
            of_value.drop_later(Tells(inner.clone()));
        }
    }));
    drop((tell, reaper));
    let dropped_by: Vec<_> = told.iter().collect();
    assert_eq!(dropped_by.len(), 4);
    assert!(!dropped_by.contains(&thread::current().id()));
}

type AtEnd = OnDrop<Box<dyn FnMut()>>;

thread_local! {
    static AT_END: RefCell<Option<AtEnd>> = const { RefCell::new(None) };
}

#[test]
fn values_may_come_and_the_reaper_may_end_at_the_end_of_a_thread() {
    let (tell, told) = channel();
    let there = thread::spawn(move || {
        let mut reaper = Some(Reaper::new(8).unwrap());
        AT_END.set(Some(OnDrop(Box::new(move || {
            let reaper = reaper.take().unwrap();
            reaper.drop_later(Tells(tell.clone()));
        }))));
        thread::current().id()
    });
    let there = there.join().unwrap();
    assert_ne!(told.recv().unwrap(), there);
}

#[test]
fn many_threads_lose_nothing() {
    let (tell, told) = channel();
    let reaper = Reaper::new(4).unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..1_000 {
                    reaper.drop_later(Tells(tell.clone()));
                }
            });
        }
    });
    drop(reaper);
    assert_eq!(told.try_iter().count(), 4_000);
}
