use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex};
use std::thread;

use insula_core::{
    BlockingCallback, CallbackError, GroupBoundCallback, Isolate, IsolateLocalCallback,
    ListenerCallback, NotOnIsolateThread, Runtime, SendError, block_on, one_shot,
};

use super::make_in_isolate;
use crate::MANY;

#[test]
fn a_closed_callback_gives_the_argument_back() {
    let runtime = Runtime::builder().threads(1).build();
    let (_, listener) = make_in_isolate(&runtime, || ListenerCallback::new(|_: u32| {}));
    assert!(listener.close());
    assert!(!listener.close());
    assert!(matches!(listener.call(7), Err(SendError::Closed(7))));
    let (_, blocking) = make_in_isolate(&runtime, || BlockingCallback::new(|n: u32| n));
    assert!(blocking.close());
    assert_eq!(blocking.call(7), Err(CallbackError::Closed(Some(7))));
    let (_, local) = make_in_isolate(&runtime, || IsolateLocalCallback::new(|n: u32| n));
    assert!(local.close());
    assert_eq!(local.call(7), Err(CallbackError::Closed(Some(7))));
    let (_, bound) = make_in_isolate(&runtime, || GroupBoundCallback::new((), |&(), n: u32| n));
    assert!(bound.close());
    assert_eq!(bound.call(7), Err(CallbackError::Closed(Some(7))));
}

/// One call runs, two wait in the queue: the one is answered, the others are told.
#[test]
fn closing_answers_what_runs_and_drops_what_waits() {
    let runtime = Runtime::builder().threads(1).build();
    let gate = Arc::new(Barrier::new(2));
    let held = gate.clone();
    let ran = Arc::new(Mutex::new(Vec::new()));
    let log = ran.clone();
    let (isolate, callback) = make_in_isolate(&runtime, move || {
        BlockingCallback::new(move |n: u32| {
            log.lock().unwrap().push(n);
            held.wait();
            held.wait();
            n
        })
    });
    let call = |n| {
        let callback = callback.clone();
        thread::spawn(move || callback.call(n))
    };
    let running = call(0);
    gate.wait();
    // These two wait for the turn of the first to end, or have not called yet.
    let waiting = [call(1), call(2)];
    assert!(callback.close());
    gate.wait();
    assert_eq!(running.join().unwrap(), Ok(0));
    for waiting in waiting {
        let answer = waiting.join().unwrap();
        assert!(
            matches!(answer, Err(CallbackError::Closed(_))),
            "{answer:?}"
        );
    }
    assert_eq!(*ran.lock().unwrap(), [0]);
    block_on(isolate.exited());
}

#[test]
fn a_listener_runs_no_call_after_it_was_closed() {
    let runtime = Runtime::builder().threads(1).build();
    let gate = Arc::new(Barrier::new(2));
    let held = gate.clone();
    let ran = Arc::new(AtomicUsize::new(0));
    let count = ran.clone();
    let (isolate, callback) = make_in_isolate(&runtime, move || {
        ListenerCallback::new(move |_: u32| {
            count.fetch_add(1, Ordering::SeqCst);
            held.wait();
        })
    });
    for n in 0..5 {
        callback.call(n).unwrap();
    }
    while ran.load(Ordering::SeqCst) == 0 {
        thread::yield_now();
    }
    assert!(callback.close());
    gate.wait();
    // The handle still exists: it is the close that lets the isolate end.
    block_on(isolate.exited());
    assert_eq!(ran.load(Ordering::SeqCst), 1);
}

#[test]
fn a_callback_may_close_itself_while_it_runs() {
    let runtime = Runtime::builder().threads(1).build();
    let _entered = runtime.enter();
    let (send, made) = one_shot();
    let isolate = Isolate::spawn(
        move |()| {
            let own = Arc::new(Mutex::new(None::<BlockingCallback<u32, u32>>));
            let inner = own.clone();
            let callback = BlockingCallback::new(move |n: u32| {
                assert!(inner.lock().unwrap().take().unwrap().close());
                n
            });
            *own.lock().unwrap() = Some(callback.clone());
            send.send(callback);
        },
        (),
    );
    let callback = made.wait().unwrap();
    assert_eq!(callback.call(1), Ok(1));
    assert_eq!(callback.call(2), Err(CallbackError::Closed(Some(2))));
    block_on(isolate.exited());
}

/// Calls and a close race; every call ends, with an answer or without.
#[test]
fn every_call_ends_when_a_close_gets_in_between() {
    let runtime = Runtime::builder().threads(2).build();
    for _ in 0..MANY / 20 {
        let (isolate, callback) = make_in_isolate(&runtime, || BlockingCallback::new(|n: u32| n));
        let start = Arc::new(Barrier::new(3));
        let callers: Vec<_> = (0..2)
            .map(|n| {
                let (callback, start) = (callback.clone(), start.clone());
                thread::spawn(move || {
                    start.wait();
                    callback.call(n)
                })
            })
            .collect();
        start.wait();
        callback.close();
        for (n, caller) in callers.into_iter().enumerate() {
            match caller.join().unwrap() {
                Ok(answer) => assert_eq!(answer as usize, n),
                Err(error) => assert!(matches!(error, CallbackError::Closed(_)), "{error:?}"),
            }
        }
        block_on(isolate.exited());
    }
}

macro_rules! keeps_alive {
    ($($name:ident: $make:expr;)*) => {$(
        #[test]
        fn $name() {
            let runtime = Runtime::builder().threads(1).build();
            // An open one keeps its isolate alive ...
            let (isolate, callback) = make_in_isolate(&runtime, || $make);
            let reasons = block_on(isolate.why_alive());
            assert_eq!(reasons.len(), 1, "{reasons:?}");
            // ... which only the isolate can change ...
            assert_eq!(callback.let_isolate_end(), Err(NotOnIsolateThread));
            // ... until it is closed ...
            assert!(callback.close());
            block_on(isolate.exited());
            // ... or was told not to.
            let (isolate, callback) = make_in_isolate(&runtime, || {
                let callback = $make;
                assert_eq!(callback.let_isolate_end(), Ok(()));
                callback
            });
            block_on(isolate.exited());
            assert!(callback.is_closed());
            assert!(!callback.close());
        }
    )*};
}

keeps_alive! {
    a_listener_keeps_its_isolate_alive: ListenerCallback::new(|_: u32| {});
    a_blocking_one_keeps_its_isolate_alive: BlockingCallback::new(|n: u32| n);
    a_local_one_keeps_its_isolate_alive: IsolateLocalCallback::new(|n: u32| n);
    a_group_bound_one_keeps_its_isolate_alive: GroupBoundCallback::new((), |&(), n: u32| n);
}
