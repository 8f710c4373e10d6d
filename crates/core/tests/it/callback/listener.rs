use std::sync::{Arc, Barrier};
use std::thread;

use insula_core::{
    ExitReason, Isolate, IsolateCell, ListenerCallback, ReceivePort, Runtime, SendError, block_on,
    one_shot, schedule_microtask,
};

use super::make_in_isolate;
use crate::MANY;

/// Rule 37: calls and messages of one thread are one queue, and each call is a turn with its own
/// microtasks.
#[test]
fn calls_are_in_order_with_messages_and_have_turns_of_their_own() {
    let runtime = Runtime::builder().threads(2).build();
    let _entered = runtime.enter();
    let log = Isolate::run_async(async || {
        let log = IsolateCell::new(Vec::new());
        let (done, end) = one_shot();
        let mut done = Some(done);
        let port = ReceivePort::<u32>::new();
        let sender = port.send_port();
        let seen = log.clone();
        port.listen(move |n| {
            seen.with(|log| log.push(format!("message {n}")));
            let after = seen.clone();
            schedule_microtask(move || after.with(|log| log.push(format!("after {n}"))));
        });
        let seen = log.clone();
        let callback = ListenerCallback::new(move |n: u32| {
            seen.with(|log| log.push(format!("call {n}")));
            let after = seen.clone();
            let done = (n == 5).then(|| done.take().unwrap());
            schedule_microtask(move || {
                after.with(|log| log.push(format!("after {n}")));
                if let Some(done) = done {
                    done.send(());
                }
            });
        });
        thread::spawn(move || {
            for n in [0, 2, 4] {
                sender.send(n).unwrap();
                callback.call(n + 1).unwrap();
            }
        });
        end.await.unwrap();
        log.with(std::mem::take)
    });
    let expected: Vec<_> = (0..6)
        .flat_map(|n| {
            let kind = if n % 2 == 0 { "message" } else { "call" };
            [format!("{kind} {n}"), format!("after {n}")]
        })
        .collect();
    assert_eq!(log.wait(), Ok(expected));
}

#[test]
fn nothing_is_lost_among_many_threads() {
    const THREADS: u64 = 8;
    let runtime = Runtime::builder().threads(2).build();
    let (done, sum) = one_shot();
    let (isolate, callback) = make_in_isolate(&runtime, move || {
        let (mut sum, mut calls, mut done) = (0, 0, Some(done));
        let mut last = [None; THREADS as usize];
        ListenerCallback::new(move |(thread, n): (usize, u64)| {
            assert!(last[thread].is_none_or(|last| last + 1 == n));
            last[thread] = Some(n);
            sum += n;
            calls += 1;
            if calls == THREADS * MANY {
                done.take().unwrap().send(sum);
            }
        })
    });
    let threads: Vec<_> = (0..THREADS as usize)
        .map(|thread| {
            let callback = callback.clone();
            thread::spawn(move || (0..MANY).for_each(|n| callback.call((thread, n)).unwrap()))
        })
        .collect();
    threads.into_iter().for_each(|it| it.join().unwrap());
    assert_eq!(sum.wait(), Ok(THREADS * MANY * (MANY - 1) / 2));
    drop(callback);
    block_on(isolate.exited());
}

/// Calls that were made before the last handle was dropped still run.
#[test]
fn dropping_the_last_handle_loses_no_call() {
    let runtime = Runtime::builder().threads(1).build();
    let gate = Arc::new(Barrier::new(2));
    let held = gate.clone();
    let (done, seen) = one_shot();
    let (isolate, callback) = make_in_isolate(&runtime, move || {
        let (mut seen, mut done) = (Vec::new(), Some(done));
        ListenerCallback::new(move |n: u32| {
            if n == 0 {
                held.wait();
            }
            seen.push(n);
            if n == 9 {
                done.take().unwrap().send(std::mem::take(&mut seen));
            }
        })
    });
    for n in 0..10 {
        callback.call(n).unwrap();
    }
    drop(callback);
    gate.wait();
    assert_eq!(seen.wait(), Ok((0..10).collect()));
    block_on(isolate.exited());
}

/// A panic is an error of the isolate like any other: this one ends it, and later calls fail.
#[test]
fn a_panic_ends_the_isolate_and_closes_the_callback() {
    let runtime = Runtime::builder().threads(1).build();
    let (isolate, callback) = make_in_isolate(&runtime, || {
        ListenerCallback::new(|n: u32| assert_ne!(n, 1, "on purpose"))
    });
    callback.call(0).unwrap();
    callback.call(1).unwrap();
    assert!(matches!(
        block_on(isolate.exited()),
        ExitReason::Panicked(_)
    ));
    assert!(callback.is_closed());
    assert!(matches!(callback.call(2), Err(SendError::Closed(2))));
}
