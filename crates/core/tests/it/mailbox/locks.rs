//! Mutual exclusion and notifications between isolates and threads.

use std::sync::Arc;

use insula_core::{
    ConditionVariable, Isolate, LockError, Mailbox, Mutex, NotHeld, RawMutex, Runtime, WaitError,
    block_on, catch_panic,
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
    assert_eq!(late.join().unwrap(), Some(WaitError::TimedOut.into()));
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
        changed.notify_one();
        while row.lock().unwrap().len() != notified {
            std::thread::yield_now();
        }
    }
    for waiter in waiters {
        waiter.join().unwrap();
    }
    assert_eq!(*row.lock().unwrap(), [0, 1, 2]);
    // Without a waiter a notification is not kept.
    changed.notify_one();
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
            changed.notify_one();
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
        changed.notify_one();
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
    shared.1.notify_one();
    block_on(isolate.exited());
    // Killed before or after it was notified: in both cases the second one is next.
    if never.wait().is_ok() {
        shared.1.notify_one();
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
    changed.notify_one();
    assert!(waiter.join().unwrap());
}

/// However the kill and the hand-over meet, the next one gets the lock.
#[test]
fn a_waiter_that_is_killed_when_it_gets_the_lock_hands_it_on() {
    let runtime = Runtime::builder().threads(2).build();
    for _ in 0..super::super::MANY / 30 {
        let mutex = RawMutex::new();
        mutex.lock().unwrap();
        let other = mutex.clone();
        let (isolate, first) = run_in(&runtime, "killed", move || {
            other.lock().unwrap();
            other.unlock().unwrap();
        });
        until_shown(&mutex, "waiting: 1");
        let other = mutex.clone();
        let (_, second) = run_in(&runtime, "second", move || other.lock_timeout(LONG));
        until_shown(&mutex, "waiting: 2");
        let killer = std::thread::spawn(move || isolate.kill());
        mutex.unlock().unwrap();
        assert_eq!(second.wait(), Ok(Ok(())));
        killer.join().unwrap();
        let _ = first.wait();
    }
    runtime.shut_down();
}

/// However the kill and the hand-over meet, a message that was accepted is taken.
#[test]
fn a_taker_that_is_killed_when_it_gets_a_message_loses_none() {
    let runtime = Runtime::builder().threads(2).build();
    for n in 0..super::super::MANY / 30 {
        let mailbox = Mailbox::new();
        let (taker, next) = (mailbox.clone(), mailbox.clone());
        let (isolate, taken) = run_in(&runtime, "killed", move || taker.take().unwrap());
        until_shown(&mailbox, "takers: 1");
        let killer = std::thread::spawn(move || isolate.kill());
        mailbox.put(n).unwrap();
        killer.join().unwrap();
        match taken.wait() {
            Ok(taken) => assert_eq!(taken, n),
            Err(_) => assert_eq!(next.try_take(), Ok(n)),
        }
    }
    runtime.shut_down();
}

#[test]
fn a_closed_lock_refuses_all_but_its_holder() {
    let mutex = Arc::new(Mutex::new(1));
    let mut guard = mutex.lock().unwrap();
    let other = mutex.clone();
    let thread = std::thread::spawn(move || other.lock().map(drop));
    until_shown(&mutex, "waiting: 1");
    assert!(!mutex.is_closed());
    mutex.close();
    assert_eq!(thread.join().unwrap(), Err(LockError::Closed));
    assert!(mutex.is_closed());
    *guard += 1;
    drop(guard);
    assert_eq!(mutex.lock().map(drop), Err(LockError::Closed));
    assert_eq!(mutex.lock_timeout(SHORT).map(drop), Err(LockError::Closed));
    assert!(mutex.try_lock().is_none());
    let mutex = Arc::into_inner(mutex).unwrap();
    assert_eq!(mutex.into_inner(), 2);
}

#[test]
fn a_closed_condition_variable_wakes_all_with_an_error() {
    let shared = Arc::new((RawMutex::new(), ConditionVariable::new()));
    let waiters: Vec<_> = [None, Some(LONG)]
        .map(|timeout| {
            let other = shared.clone();
            std::thread::spawn(move || {
                other.0.lock().unwrap();
                let waited = other.1.wait_raw(&other.0, timeout);
                (waited, other.0.unlock())
            })
        })
        .into();
    let (lock, changed) = &*shared;
    until_shown(changed, "waiting: 2");
    assert!(!changed.is_closed());
    changed.close();
    assert!(changed.is_closed());
    for waiter in waiters {
        let waited = waiter.join().unwrap();
        assert_eq!(waited, (Err(LockError::Closed), Err(NotHeld)));
    }
    // A later wait is refused, and releases the lock all the same.
    lock.lock().unwrap();
    assert_eq!(changed.wait_raw(lock, None), Err(LockError::Closed));
    assert!(lock.try_lock());
    changed.notify_one();
    changed.notify_all();
}

#[test]
fn a_notified_waiter_whose_lock_is_closed_passes_its_notification_on() {
    let (closed, open) = (RawMutex::new(), RawMutex::new());
    let shared = Arc::new((closed, open, ConditionVariable::new()));
    let wait_with = |lock: fn(&(RawMutex, RawMutex, ConditionVariable)) -> &RawMutex| {
        let other = shared.clone();
        std::thread::spawn(move || {
            lock(&other).lock().unwrap();
            other.2.wait_raw(lock(&other), Some(LONG))
        })
    };
    let first = wait_with(|shared| &shared.0);
    until_shown(&shared.2, "waiting: 1");
    let second = wait_with(|shared| &shared.1);
    until_shown(&shared.2, "waiting: 2");
    shared.0.close();
    shared.2.notify_one();
    assert_eq!(first.join().unwrap(), Err(LockError::Closed));
    assert_eq!(second.join().unwrap(), Ok(true));
}

/// Otherwise its waiters, and all that come, wait for ever.
#[test]
fn a_lock_whose_holder_ended_refuses_its_waiters_until_it_is_recovered() {
    let runtime = Runtime::builder().threads(2).build();
    for is_killed in [false, true] {
        let lock = RawMutex::new();
        let other = lock.clone();
        let (go_on, goes_on) = insula_core::one_shot::<()>();
        let (isolate, _) = run_in(&runtime, "holder", move || {
            other.lock().unwrap();
            goes_on.wait()
        });
        super::until(|| !lock.try_lock() || lock.unlock().is_err());
        let other = lock.clone();
        let waiter = std::thread::spawn(move || other.lock());
        let other = lock.clone();
        let (_, waits) = run_in(&runtime, "waiter", move || other.lock_timeout(LONG));
        until_shown(&lock, "waiting: 2");
        if is_killed {
            isolate.kill();
        }
        go_on.send(());
        assert_eq!(waiter.join().unwrap(), Err(LockError::HolderEnded));
        assert_eq!(waits.wait(), Ok(Err(LockError::HolderEnded)));
        block_on(isolate.exited());
        assert_eq!(lock.lock(), Err(LockError::HolderEnded));
        assert_eq!(lock.lock_timeout(SHORT), Err(LockError::HolderEnded));
        assert!(!lock.try_lock());
        assert_eq!(lock.unlock(), Err(NotHeld));
        assert!(lock.recover());
        assert!(!lock.recover());
        assert_eq!(lock.lock(), Ok(()));
        assert_eq!(lock.unlock(), Ok(()));
    }
    runtime.shut_down();
}

/// The first to come finds out, if no other waited before.
#[test]
fn a_lock_whose_holder_ended_before_anybody_waited_refuses_all() {
    let runtime = Runtime::builder().threads(1).build();
    let lock = RawMutex::new();
    let other = lock.clone();
    let (isolate, locked) = run_in(&runtime, "holder", move || other.lock());
    assert_eq!(locked.wait(), Ok(Ok(())));
    block_on(isolate.exited());
    assert_eq!(lock.lock_timeout(LONG), Err(LockError::HolderEnded));
    assert!(lock.recover() && lock.try_lock());
    // And a thread's end is as good as an isolate's.
    let other = lock.clone();
    lock.unlock().unwrap();
    assert_eq!(
        std::thread::spawn(move || other.lock()).join().unwrap(),
        Ok(())
    );
    assert_eq!(lock.lock_timeout(LONG), Err(LockError::HolderEnded));
    runtime.shut_down();
}

/// Those that poll never wait, and would be told for ever that the lock is held.
#[test]
fn the_end_of_a_holder_is_found_without_waiting() {
    let runtime = Runtime::builder().threads(1).build();
    let lock = RawMutex::new();
    for looks_first in [true, false] {
        let other = lock.clone();
        let (go_on, goes_on) = insula_core::one_shot::<()>();
        let (isolate, holder) = run_in(&runtime, "holder", move || {
            other.lock().unwrap();
            goes_on.wait()
        });
        super::until(|| !lock.try_lock() || lock.unlock().is_err());
        assert!(!lock.is_abandoned() && !lock.recover());
        go_on.send(());
        assert_eq!(holder.wait(), Ok(Ok(())));
        block_on(isolate.exited());
        assert!(!lock.try_lock());
        assert!(!looks_first || lock.is_abandoned());
        assert!(lock.recover());
        assert!(!lock.is_abandoned() && !lock.recover());
        assert!(lock.try_lock());
        assert!(!lock.is_abandoned() && !lock.recover());
        lock.unlock().unwrap();
    }
    runtime.shut_down();
}

/// The end of each holder is told, not only of the one that was waited for first.
#[test]
fn a_lock_that_was_handed_to_an_isolate_which_ends_refuses_the_others() {
    let runtime = Runtime::builder().threads(2).build();
    let lock = RawMutex::new();
    lock.lock().unwrap();
    let other = lock.clone();
    let (isolate, next) = run_in(&runtime, "next", move || other.lock());
    until_shown(&lock, "waiting: 1");
    let other = lock.clone();
    let last = std::thread::spawn(move || other.lock());
    until_shown(&lock, "waiting: 2");
    lock.unlock().unwrap();
    assert_eq!(next.wait(), Ok(Ok(())));
    assert_eq!(last.join().unwrap(), Err(LockError::HolderEnded));
    block_on(isolate.exited());
    runtime.shut_down();
}

/// The end of a party that held the lock once, and released it, is nothing to it.
#[test]
fn the_end_of_a_former_holder_changes_nothing() {
    let runtime = Runtime::builder().threads(2).build();
    let lock = RawMutex::new();
    let other = lock.clone();
    let (go_on, goes_on) = insula_core::one_shot::<()>();
    let (isolate, _) = run_in(&runtime, "former", move || {
        other.lock().unwrap();
        let _ = goes_on.wait();
        other.unlock().unwrap();
    });
    super::until(|| !lock.try_lock() || lock.unlock().is_err());
    let (hold, holds) = std::sync::mpsc::channel::<()>();
    let other = lock.clone();
    let waiter = std::thread::spawn(move || {
        let locked = other.lock();
        let _ = holds.recv();
        (locked, other.unlock())
    });
    until_shown(&lock, "waiting: 1");
    go_on.send(());
    block_on(isolate.exited());
    let other = lock.clone();
    let last = std::thread::spawn(move || other.lock().map(|()| other.unlock()));
    until_shown(&lock, "waiting: 1");
    drop(hold);
    assert_eq!(waiter.join().unwrap(), (Ok(()), Ok(())));
    assert_eq!(last.join().unwrap(), Ok(Ok(())));
    assert!(!lock.recover());
    runtime.shut_down();
}

#[test]
fn a_guard_that_leaked_in_an_isolate_or_thread_that_ended_refuses_all() {
    let runtime = Runtime::builder().threads(1).build();
    for is_isolate in [false, true] {
        let mutex: &'static Mutex<u8> = Box::leak(Box::new(Mutex::new(1)));
        let leak = || Box::leak(Box::new(mutex.lock().unwrap())).wrapping_add(1);
        if is_isolate {
            let (isolate, leaked) = run_in(&runtime, "leaks", leak);
            assert_eq!(leaked.wait(), Ok(2));
            block_on(isolate.exited());
        } else {
            assert_eq!(std::thread::spawn(leak).join().unwrap(), 2);
        }
        assert_eq!(mutex.lock().map(drop), Err(LockError::HolderEnded));
        assert!(mutex.try_lock().is_none());
    }
    runtime.shut_down();
}

#[test]
fn a_seeded_runtime_refuses_to_wait() {
    let runtime = Runtime::builder().seeded(1).build();
    let mutex = Arc::new(Mutex::new(()));
    let held = mutex.clone();
    let guard = held.lock().unwrap();
    let refused = runtime.block_on(async { Isolate::run(move || mutex.lock().err()).await });
    drop(guard);
    assert_eq!(refused, Ok(Some(WaitError::Seeded.into())));
    runtime.shut_down();
}
