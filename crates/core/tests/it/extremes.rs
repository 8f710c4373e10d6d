//! Risk: a setting at the end of its range panics, hangs, or computes for ever.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use insula_core::{
    Instant, Isolate, IsolateGroup, IsolateNameServer, Mailbox, NativePort, ReceivePort, ReplyTo,
    Runtime, RuntimeBuilder, SendError, Timer, WaitError, block_on, block_on_by, catch_panic,
    one_shot, sleep, sleep_until,
};

use crate::watchdog::ends;

const DURATIONS: [Duration; 4] = [
    Duration::ZERO,
    Duration::from_nanos(1),
    Duration::from_secs(u64::MAX),
    Duration::MAX,
];

/// 0, 1, and what no table has room for; Miri takes minutes for a table of 65,536 threads.
const COUNTS: &[usize] = if cfg!(miri) {
    &[0, 1, 2]
} else {
    &[0, 1, usize::MAX - 1, usize::MAX]
};

fn names() -> [String; 4] {
    let long = "x".repeat(if cfg!(miri) { 1 << 10 } else { 1 << 20 });
    [String::new(), "\0".to_owned(), "a\0b".to_owned(), long]
}

/// Checks that a runtime with these settings runs an isolate and ends.
fn works(builder: RuntimeBuilder) {
    let runtime = builder.build();
    let (answer, reply) = one_shot();
    Isolate::builder()
        .runtime(&runtime)
        .spawn(move |()| answer.send(42), ());
    assert_eq!(runtime.block_on(reply), Ok(42));
    runtime.shut_down();
}

#[test]
fn a_runtime_takes_any_number_of_threads() {
    for &count in COUNTS {
        works(Runtime::builder().threads(count));
        works(Runtime::builder().threads(1).spare_threads(count));
    }
    let most = *COUNTS.last().unwrap_or(&0);
    works(Runtime::builder().threads(most).spare_threads(most));
}

#[test]
fn a_runtime_takes_any_search_time() {
    for time in DURATIONS {
        works(Runtime::builder().threads(1).search_time(time));
    }
}

#[test]
fn threads_take_any_name() {
    for name in names() {
        let runtime = Runtime::builder().threads(1).name(name.as_str()).build();
        let builder = || Isolate::builder().runtime(&runtime).name(name.as_str());
        let pooled = builder().spawn(|()| (), ());
        assert_eq!(*pooled.name(), name);
        let pinned = builder().spawn_pinned(async |_, ()| {}, ()).unwrap();
        assert_eq!(*pinned.name(), name);
        block_on(pinned.exited());
        block_on(pooled.exited());
        let port = NativePort::new(name.as_str(), |reply: ReplyTo<u8>| reply.send(1), 1);
        assert_eq!(block_on(port.ask(|reply| reply)), Ok(1));
        assert_eq!(port.name(), name);
        runtime.shut_down();
    }
}

/// If each guard searched all the others this would take minutes.
#[test]
fn any_number_of_entered_runtimes_is_left_in_any_order() {
    const GUARDS: usize = if cfg!(miri) { 100 } else { 200_000 };
    ends(|| {
        let runtimes = [1, 2].map(|seed| Runtime::builder().seeded(seed).build());
        for oldest_first in [false, true] {
            let mut guards: Vec<_> = (0..GUARDS).map(|n| runtimes[n % 2].enter()).collect();
            if !oldest_first {
                guards.reverse();
            }
            let last = guards.split_off(GUARDS - 1);
            guards.into_iter().for_each(drop);
            // Oldest first the newest guard is left, and newest first the oldest.
            let left = &runtimes[usize::from(oldest_first)];
            let before = left.now();
            Runtime::current().advance(Duration::from_secs(1));
            assert_eq!(left.now() - before, Duration::from_secs(1));
            drop(last);
        }
    });
}

#[test]
fn names_that_are_only_told_may_be_anything() {
    for name in names() {
        let group = IsolateGroup::new(name.as_str());
        assert_eq!(group.name(), name);
        let (registered, checked) = (format!("extreme {name}"), name.clone());
        let result = Isolate::run(move || {
            let port = ReceivePort::<u8>::new();
            port.set_name(checked.as_str());
            IsolateNameServer::register(registered.as_str(), &port.send_port()).unwrap();
            let found = IsolateNameServer::look_up::<u8>(&registered);
            assert_eq!(found, Some(port.send_port()));
            IsolateNameServer::remove(&registered)
        });
        assert_eq!(result.wait(), Ok(true));
    }
}

#[test]
fn a_native_port_takes_any_number_of_threads() {
    for &count in COUNTS {
        let port = NativePort::new("extreme", |reply: ReplyTo<u8>| reply.send(1), count);
        assert_eq!(block_on(port.ask(|reply| reply)), Ok(1));
        assert_eq!(port.max_concurrent(), count.max(1));
    }
}

#[test]
fn a_port_has_room_for_at_least_one() {
    let runtime = Runtime::builder().threads(1).build();
    let refused = catch_panic(|| Isolate::builder().bounded(0)).unwrap_err();
    assert!(refused.message().contains("room for one message"));
    let (answer, reply) = one_shot();
    Isolate::builder().runtime(&runtime).spawn(
        move |()| {
            // A refusal leaves nothing behind that the isolate's end trips over.
            answer.send(catch_panic(|| drop(ReceivePort::<u8>::bounded(0))).is_err());
        },
        (),
    );
    assert_eq!(block_on(reply), Ok(true));
    runtime.shut_down();
    assert_eq!(runtime.isolate_count(), 0);
}

#[test]
fn a_bound_may_be_as_large_as_it_likes() {
    let runtime = Runtime::builder().seeded(1).build();
    for limit in [1, usize::MAX - 1, usize::MAX] {
        let result = runtime.block_on(async move {
            Isolate::run_async(move || async move {
                let mut port = ReceivePort::bounded(limit);
                let sender = port.send_port();
                assert_eq!(sender.send(1), Ok(()));
                let second = sender.send(2);
                assert_eq!(second.is_ok(), limit > 1);
                assert!(matches!(second, Ok(()) | Err(SendError::Full(2))));
                (port.recv().await, sender.send_wait(3).await)
            })
            .await
        });
        assert_eq!(result, Ok((Some(1), Ok(()))));
    }
    runtime.shut_down();
}

fn poll_once(future: impl Future) -> bool {
    pin!(future)
        .poll(&mut Context::from_waker(Waker::noop()))
        .is_ready()
}

#[test]
fn any_time_can_be_waited_for() {
    let wait_for_each = || {
        for time in DURATIONS {
            let is_long = time > Duration::from_secs(1);
            assert!(!(is_long && poll_once(sleep(time))));
            assert!(!(is_long && poll_once(sleep_until(Instant::now() + time))));
        }
    };
    wait_for_each();
    Isolate::run(move || {
        wait_for_each();
        for time in DURATIONS {
            assert!(Timer::after(time, || ()).cancel());
            assert!(Timer::periodic(time, |_, _| ()).cancel());
        }
    })
    .wait()
    .unwrap();
    // The handler's thread knows of a far deadline, and still serves a near one.
    let mut far = pin!(sleep(Duration::MAX));
    assert!(!poll_once(far.as_mut()));
    block_on(sleep(Duration::from_millis(1)));
}

#[test]
fn blocking_waits_take_any_time() {
    for time in DURATIONS {
        let mailbox = Mailbox::new();
        let other = mailbox.clone();
        mailbox.put(1u8).unwrap();
        assert_eq!(other.take_timeout(time), Ok(1));
    }
    for time in [Duration::from_secs(u64::MAX), Duration::MAX] {
        let computation = Isolate::run(|| 1);
        let isolate = computation.isolate().id();
        let result = block_on_by(computation, isolate, Some(time));
        assert_eq!(result, Ok(Ok(1)));
    }
    let never = Isolate::run_async(|| sleep(Duration::MAX));
    let isolate = never.isolate().id();
    let result = block_on_by(never, isolate, Some(Duration::ZERO));
    assert_eq!(result, Err(WaitError::TimedOut));
}

#[test]
fn a_runtime_waits_any_time_for_its_end() {
    for time in DURATIONS {
        let runtime = Runtime::builder().threads(1).build();
        assert_eq!(runtime.shut_down_timeout(time), Ok(()));
    }
    let runtime = Runtime::builder().threads(1).build();
    assert!(runtime.stuck(Duration::ZERO).is_empty());
    runtime.shut_down();
}

#[test]
fn virtual_time_goes_to_its_end_and_stops_there() {
    for time in DURATIONS {
        let runtime = Runtime::builder().seeded(1).build();
        runtime.block_on(sleep(time));
        runtime.block_on(sleep(time));
        runtime.advance(time);
        runtime.advance(time);
        let slept = runtime.block_on(async move {
            Isolate::run_async(move || async move {
                sleep(time).await;
                Timer::after(time, || ());
                sleep(time).await;
            })
            .await
        });
        assert_eq!(slept, Ok(()));
        runtime.shut_down();
    }
}

#[test]
fn a_periodic_timer_ends_with_time() {
    // The short one's second call is at the last instant, for all periods that have passed.
    for (period, expected) in [
        (Duration::from_nanos(1), (u64::MAX, 2)),
        (Duration::MAX, (1, 1)),
    ] {
        let runtime = Runtime::builder().seeded(1).build();
        let (ticks, calls) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (last, count) = (ticks.clone(), calls.clone());
        let isolate = Isolate::builder().runtime(&runtime).spawn(
            move |()| {
                Timer::periodic(period, move |_, tick| {
                    last.store(tick, Ordering::Relaxed);
                    count.fetch_add(1, Ordering::Relaxed);
                });
            },
            (),
        );
        runtime.run_until_idle();
        runtime.advance(Duration::MAX);
        runtime.run_until_idle();
        // Nothing is left to wait for, so it has ended.
        runtime.block_on(isolate.exited());
        let counted = (ticks.load(Ordering::Relaxed), calls.load(Ordering::Relaxed));
        assert_eq!(counted, expected);
        runtime.shut_down();
    }
}
