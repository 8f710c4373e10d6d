use std::cell::Cell;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;

use insula_core::{
    CallbackError, GroupBoundCallback, Isolate, IsolateCell, IsolateLocalCallback, Runtime,
    isolate_local,
};

use super::{in_other_isolate, make_in_isolate};

#[test]
fn a_local_callback_runs_inside_of_the_turn_and_may_be_called_by_itself() {
    let runtime = Runtime::builder().threads(1).build();
    let steps = in_other_isolate(&runtime, || {
        let steps = IsolateCell::new(Vec::new());
        let own = IsolateCell::new(None::<IsolateLocalCallback<u32, u32>>);
        let (log, inner) = (steps.clone(), own.clone());
        let sum = IsolateLocalCallback::new(move |n: u32| {
            log.with(|steps| steps.push(n));
            match inner.with(|own| own.clone()) {
                Some(own) if n > 0 => n + own.call(n - 1).unwrap_or(1000),
                _ => n,
            }
        });
        own.with(|own| *own = Some(sum.clone()));
        let result = sum.call(3);
        own.with(|own| *own = None);
        (result, steps.with(std::mem::take))
    });
    assert_eq!(steps, (Ok(6), vec![3, 2, 1, 0]));
}

/// DART.md 1.7: where the VM aborts the process, an error.
#[test]
fn a_local_callback_refuses_other_threads_and_other_isolates() {
    let runtime = Runtime::builder().threads(2).build();
    let (_isolate, callback) =
        make_in_isolate(&runtime, || IsolateLocalCallback::new(|n: u32| n + 1));
    assert_eq!(callback.call(1), Err(CallbackError::NotOnIsolateThread(1)));
    let other = callback.clone();
    let there = in_other_isolate(&runtime, move || other.call(2));
    assert_eq!(there, Err(CallbackError::NotOnIsolateThread(2)));
}

#[test]
fn a_panic_in_place_is_the_callers() {
    let runtime = Runtime::builder().threads(1).build();
    let messages = in_other_isolate(&runtime, || {
        let local = IsolateLocalCallback::new(|n: u32| assert_eq!(n, 0, "local"));
        let bound = GroupBoundCallback::new((), |&(), n: u32| assert_eq!(n, 0, "bound"));
        [local.call(1), bound.call(1), local.call(0), bound.call(0)].map(|result| match result {
            Err(CallbackError::Panicked(report)) => report.message().contains("left"),
            other => other != Ok(()),
        })
    });
    assert_eq!(messages, [true, true, false, false]);
}

isolate_local! {
    static OWN: Cell<u32> = Cell::new(0);
}

#[test]
fn a_group_bound_callback_runs_on_the_callers_thread_without_an_isolate() {
    let runtime = Runtime::builder().threads(1).build();
    let (_isolate, where_am_i) = make_in_isolate(&runtime, || {
        GroupBoundCallback::new((), |&(), ()| {
            (thread::current().id(), Isolate::current().is_some())
        })
    });
    assert_eq!(where_am_i.call(()), Ok((thread::current().id(), false)));
    let there = in_other_isolate(&runtime, move || {
        let own = (thread::current().id(), false);
        where_am_i.call(()) == Ok(own) && Isolate::current().is_some()
    });
    assert!(there);
}

/// A static that the type cannot refuse, since it is named by a path, is refused when it is used.
#[test]
fn a_group_bound_callback_reaches_no_isolate_local() {
    let runtime = Runtime::builder().threads(1).build();
    let refused = in_other_isolate(&runtime, || {
        OWN.with(|own| own.set(1));
        let callback = GroupBoundCallback::new((), |&(), ()| OWN.with(Cell::get));
        matches!(callback.call(()), Err(CallbackError::Panicked(_)))
    });
    assert!(refused);
}

#[test]
fn group_bound_callbacks_run_on_several_threads_at_once() {
    struct Shared {
        calls: AtomicU32,
        all: Barrier,
    }
    impl insula_core::GroupShared for Shared {}
    let runtime = Runtime::builder().threads(1).build();
    let shared = Arc::new(Shared {
        calls: AtomicU32::new(0),
        all: Barrier::new(4),
    });
    let in_isolate = shared.clone();
    let (_isolate, callback) = make_in_isolate(&runtime, move || {
        GroupBoundCallback::new(in_isolate, |shared, n: u32| {
            // Passes only with all four inside.
            shared.all.wait();
            shared.calls.fetch_add(n, Ordering::SeqCst);
        })
    });
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let callback = callback.clone();
            thread::spawn(move || callback.call(2))
        })
        .collect();
    for thread in threads {
        assert_eq!(thread.join().unwrap(), Ok(()));
    }
    assert_eq!(shared.calls.load(Ordering::SeqCst), 8);
}
