//! Mutual exclusion and notifications between isolates and threads.

use std::sync::Arc;

use insula_core::{
    ConditionVariable, Isolate, Mutex, NotHeld, RawMutex, Runtime, WaitError, block_on, catch_panic,
};

use super::{LONG, SHORT, run_in, until_shown};

#[test]
fn one_holder_at_a_time() {
    let count = super::super::MANY;
    let runtime = Runtime::builder().threads(2).build();
    let sum = Arc::new(Mutex::new(0));
    let replies: Vec<_> = (0..4)
        .map(|_| {
            let sum = sum.clone();
            let add = move || {
                for _ in 0..count {
                    sum.run_locked(|sum| *sum += 1).unwrap();
                }
            };
            run_in(&runtime, "adder", add).1
        })
        .collect();
    for _ in 0..count {
        *sum.lock().unwrap() += 1;
    }
    for reply in replies {
        reply.wait().unwrap();
    }
    assert_eq!(*sum.lock().unwrap(), 5 * count);
    runtime.shut_down();
}

#[test]
fn a_panic_unlocks() {
    let mutex = Mutex::new(1);
    assert!(catch_panic(|| mutex.run_locked(|_| panic!("on purpose"))).is_err());
    assert_eq!(mutex.try_lock().map(|guard| *guard), Some(1));
    assert_eq!(mutex.into_inner(), 1);
}

#[test]
fn a_lock_is_handed_over_in_the_order_of_waiting() {
    let mutex = Arc::new(Mutex::new(Vec::new()));
    let guard = mutex.lock().unwrap();
    let waiters: Vec<_> = (0..3)
        .map(|n| {
            let other = mutex.clone();
            let waiter = std::thread::spawn(move || other.run_locked(|row| row.push(n)));
            until_shown(&mutex, &format!("waiting: {}", n + 1));
            waiter
        })
        .collect();
    assert!(mutex.try_lock().is_none());
    drop(guard);
    for waiter in waiters {
        waiter.join().unwrap().unwrap();
    }
    assert_eq!(*mutex.lock().unwrap(), [0, 1, 2]);
}

#[test]
fn waiting_for_a_lock_times_out_and_can_be_killed() {
    let runtime = Runtime::builder().threads(1).build();
    let mutex = Arc::new(Mutex::new(()));
    let guard = mutex.lock().unwrap();
    let other = mutex.clone();
    let late = std::thread::spawn(move || other.lock_timeout(SHORT).err());
    assert_eq!(late.join().unwrap(), Some(WaitError::TimedOut));
    let other = mutex.clone();
    let (isolate, never) = run_in(&runtime, "waiter", move || other.lock().is_ok());
    until_shown(&mutex, "waiting: 1");
    isolate.kill();
    block_on(isolate.exited());
    assert!(never.wait().is_err());
    drop(guard);
    assert!(mutex.try_lock().is_some());
    runtime.shut_down();
}

#[test]
fn a_raw_lock_is_given_back_by_its_holder_only() {
    let lock = RawMutex::new();
    assert_eq!(lock.unlock(), Err(NotHeld));
    assert!(lock.try_lock());
    assert!(!lock.try_lock());
    let other = lock.clone();
    let stranger = std::thread::spawn(move || other.unlock());
    assert_eq!(stranger.join().unwrap(), Err(NotHeld));
    assert_eq!(lock.unlock(), Ok(()));
}

#[test]
fn notifications_come_in_the_order_of_waiting() {
    let shared = Arc::new((Mutex::new(Vec::new()), ConditionVariable::new()));
    let waiters: Vec<_> = (0..3)
        .map(|n| {
            let other = shared.clone();
            let waiter = std::thread::spawn(move || {
                let (row, changed) = &*other;
                let mut row = changed.wait(row.lock().unwrap()).unwrap();
                row.push(n);
            });
            until_shown(&shared.1, &format!("waiting: {}", n + 1));
            waiter
        })
        .collect();
    let (row, changed) = &*shared;
    // One at a time, so that it is also alone at the lock.
    for notified in 1..=3 {
        changed.notify();
        while row.lock().unwrap().len() != notified {
            std::thread::yield_now();
        }
    }
    for waiter in waiters {
        waiter.join().unwrap();
    }
    assert_eq!(*row.lock().unwrap(), [0, 1, 2]);
    // Nobody waits: it is not kept for later.
    changed.notify();
    let (_, notified) = changed.wait_timeout(row.lock().unwrap(), SHORT).unwrap();
    assert!(!notified);
}

#[test]
fn all_can_be_notified_at_once() {
    let shared = Arc::new((Mutex::new((0, 0)), ConditionVariable::new()));
    let waiters: Vec<_> = (0..3)
        .map(|_| {
            let shared = shared.clone();
            std::thread::spawn(move || {
                let (counts, changed) = &*shared;
                let mut guard = counts.lock().unwrap();
                guard.0 += 1;
                changed.wait(guard).unwrap().1 += 1;
            })
        })
        .collect();
    let (counts, changed) = &*shared;
    while counts.lock().unwrap().0 != 3 {
        std::thread::yield_now();
    }
    changed.notify_all();
    for waiter in waiters {
        waiter.join().unwrap();
    }
    assert_eq!(counts.lock().unwrap().1, 3);
}

#[test]
fn a_notification_between_unlocking_and_waiting_is_not_lost() {
    let shared = Arc::new((Mutex::new(0), ConditionVariable::new()));
    let other = shared.clone();
    let rounds = super::super::MANY;
    let notifier = std::thread::spawn(move || {
        let (number, changed) = &*other;
        for n in 0..rounds {
            let mut guard = number.lock().unwrap();
            while *guard != 2 * n + 1 {
                guard = changed.wait(guard).unwrap();
            }
            *guard += 1;
            drop(guard);
            changed.notify();
        }
    });
    let (number, changed) = &*shared;
    for n in 0..rounds {
        let mut guard = number.lock().unwrap();
        while *guard != 2 * n {
            guard = changed.wait(guard).unwrap();
        }
        *guard += 1;
        drop(guard);
        changed.notify();
    }
    notifier.join().unwrap();
}

#[test]
fn a_killed_waiter_passes_its_notification_on() {
    let runtime = Runtime::builder().threads(2).build();
    let shared = Arc::new((RawMutex::new(), ConditionVariable::new()));
    let other = shared.clone();
    let (isolate, never) = run_in(&runtime, "first in the row", move || {
        other.0.lock().unwrap();
        other.1.wait_raw(&other.0, None).unwrap();
        other.0.unlock().unwrap();
    });
    until_shown(&shared.1, "waiting: 1");
    let other = shared.clone();
    let (_, notified) = run_in(&runtime, "second", move || {
        other.0.lock().unwrap();
        let notified = other.1.wait_raw(&other.0, Some(LONG));
        other.0.unlock().unwrap();
        notified
    });
    until_shown(&shared.1, "waiting: 2");
    isolate.kill();
    shared.1.notify();
    block_on(isolate.exited());
    // Killed before or after it was notified: in both cases the second one is next.
    if never.wait().is_ok() {
        shared.1.notify();
    }
    assert_eq!(notified.wait(), Ok(Ok(true)));
    runtime.shut_down();
}

/// It was told nothing, so there is nothing that it could pass on.
#[test]
fn a_waiter_whose_time_is_over_wakes_no_other() {
    let shared = Arc::new((Mutex::new(()), ConditionVariable::new()));
    let other = shared.clone();
    let waiter = std::thread::spawn(move || {
        let (lock, changed) = &*other;
        let (_guard, notified) = changed.wait_timeout(lock.lock().unwrap(), LONG).unwrap();
        notified
    });
    let (lock, changed) = &*shared;
    until_shown(changed, "waiting: 1");
    for _ in 0..3 {
        let (_guard, notified) = changed.wait_timeout(lock.lock().unwrap(), SHORT).unwrap();
        assert!(!notified);
    }
    until_shown(changed, "waiting: 1");
    changed.notify();
    assert!(waiter.join().unwrap());
}

#[test]
fn a_seeded_runtime_refuses_to_wait() {
    let runtime = Runtime::builder().seeded(1).build();
    let mutex = Arc::new(Mutex::new(()));
    let held = mutex.clone();
    let guard = held.lock().unwrap();
    let refused = runtime.block_on(async { Isolate::run(move || mutex.lock().err()).await });
    drop(guard);
    assert_eq!(refused, Ok(Some(WaitError::Seeded)));
    runtime.shut_down();
}
