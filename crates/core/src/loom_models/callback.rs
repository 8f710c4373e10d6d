//! Risk: a caller sleeps though its answer has arrived, a settlement is dropped twice or never, or
//! a call that meets the close of its callback never ends.

use std::sync::Arc;

use loom::thread;

use insula_sync::atomic::{AtomicUsize, Ordering};

use crate::blocking::Spin;
use crate::blocking::callback::Wait;
use crate::{BlockingCallback, CallbackError, Isolate, ListenerCallback, Runtime, one_shot};

fn check(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(model);
}

/// settle vs wait: the caller always wakes, with the first settlement.
#[test]
fn settle_vs_wait() {
    check(|| {
        let cell = Arc::new(Wait::new(1));
        let caller = {
            let cell = cell.clone();
            thread::spawn(move || cell.wait(&Spin::default(), None))
        };
        cell.settle(1);
        // Too late, so it is dropped.
        cell.settle(2);
        assert_eq!(caller.join().unwrap(), Ok(1));
    });
}

/// settle vs a time-out: one of the two wins, and the settlement is dropped once.
#[test]
fn settle_vs_abandon() {
    check(|| {
        let dropped = Arc::new(AtomicUsize::new(0));
        let cell = Arc::new(Wait::new(1));
        let settler = {
            let (cell, counted) = (cell.clone(), Counted(dropped.clone()));
            thread::spawn(move || cell.settle(counted))
        };
        let settled = cell.abandon();
        let had_it = settled.is_some();
        drop(settled);
        if had_it {
            assert_eq!(dropped.load(Ordering::SeqCst), 1);
        }
        settler.join().unwrap();
        assert_eq!(dropped.load(Ordering::SeqCst), 1);
    });
}

struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn make<C: Send + 'static>(runtime: &Runtime, make: impl FnOnce() -> C + Send + 'static) -> C {
    let (send, made) = one_shot();
    let _entered = runtime.enter();
    Isolate::spawn(move |()| send.send(make()), ());
    runtime.run_until_idle();
    made.wait().unwrap()
}

/// close vs call: a call that the close precedes, or finds in the queue, fails; the isolate ends.
#[test]
fn close_vs_blocking_call() {
    check(|| {
        let runtime = Runtime::builder().seeded(1).build();
        let callback = make(&runtime, || BlockingCallback::new(|n: u32| n + 1));
        let over = Arc::new(AtomicUsize::new(0));
        let caller = {
            let (callback, over) = (callback.clone(), over.clone());
            thread::spawn(move || {
                let result = callback.call(1);
                over.store(1, Ordering::SeqCst);
                result
            })
        };
        callback.close();
        // The isolate may be in no queue yet, if the caller has not completed its post.
        while over.load(Ordering::SeqCst) == 0 {
            runtime.run_until_idle();
            thread::yield_now();
        }
        drop(callback);
        match caller.join().unwrap() {
            Err(CallbackError::Closed(_)) => {}
            other => panic!("{other:?}"),
        }
        runtime.run_until_idle();
        assert_eq!(runtime.isolate_count(), 0);
    });
}

/// call vs the drop of the last other handle: the call is handled, and then the isolate ends.
#[test]
fn drop_vs_listener_call() {
    check(|| {
        let runtime = Runtime::builder().seeded(1).build();
        let handled = Arc::new(AtomicUsize::new(0));
        let count = handled.clone();
        let callback = make(&runtime, move || {
            ListenerCallback::new(move |counted: Counted| {
                count.fetch_add(1, Ordering::SeqCst);
                drop(counted);
            })
        });
        let dropped = Arc::new(AtomicUsize::new(0));
        let caller = {
            let (callback, counted) = (callback.clone(), Counted(dropped.clone()));
            thread::spawn(move || callback.call(counted).is_ok())
        };
        drop(callback);
        runtime.run_until_idle();
        assert!(caller.join().unwrap());
        runtime.run_until_idle();
        assert_eq!(handled.load(Ordering::SeqCst), 1);
        assert_eq!(dropped.load(Ordering::SeqCst), 1);
        assert_eq!(runtime.isolate_count(), 0);
    });
}
