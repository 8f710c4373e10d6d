//! Risk: a timer fires early, late, twice or never; a cancelled one fires.

use std::time::Duration;

use insula_core::{Instant, Isolate, Runtime, Timer, block_on, sleep, sleep_until, spawn_local};

use crate::trace::for_each_seed;

/// Case 16, on real time: never early.
#[test]
fn no_sleep_is_short() {
    let results = Isolate::run_async(async || {
        for ms in [1, 2, 3] {
            let start = std::time::Instant::now();
            sleep(Duration::from_millis(ms)).await;
            assert!(start.elapsed() >= Duration::from_millis(ms));
        }
    });
    results.wait().unwrap();
    let start = std::time::Instant::now();
    block_on(sleep(Duration::from_millis(3)));
    assert!(start.elapsed() >= Duration::from_millis(3));
}

#[test]
fn virtual_time_jumps_to_the_next_deadline() {
    let start = std::time::Instant::now();
    for_each_seed(
        || async {
            let begin = Instant::now();
            sleep(Duration::from_secs(3600)).await;
            let hour = Instant::now() - begin;
            sleep_until(begin + Duration::from_secs(7200)).await;
            (hour, Instant::now() - begin)
        },
        |result| {
            let hours = (Duration::from_secs(3600), Duration::from_secs(7200));
            assert_eq!(result, Ok(hours));
        },
    );
    assert!(start.elapsed() < Duration::from_secs(3600));
}

#[test]
fn sleeps_end_in_the_order_of_their_deadlines() {
    crate::trace::expect_virtual_trace("1 2 3 4 5", |log| {
        for ms in [4u64, 2, 5, 1, 3] {
            let log = log.clone();
            spawn_local(async move {
                sleep(Duration::from_millis(ms)).await;
                log.line(ms);
            });
        }
    });
}

#[test]
fn a_cancelled_timer_neither_fires_nor_keeps_its_isolate() {
    let runtime = Runtime::builder().seeded(1).build();
    let isolate = Isolate::builder().runtime(&runtime).spawn(
        |()| {
            let timer = Timer::after(Duration::from_secs(1), || unreachable!("it is cancelled"));
            assert!(timer.is_active());
            assert!(timer.cancel());
            assert!(!timer.cancel());
            assert!(!timer.is_active());
            let zero = Timer::run(|| unreachable!("it is cancelled"));
            assert!(zero.cancel());
        },
        (),
    );
    runtime.run_until_idle();
    assert_eq!(runtime.isolate_count(), 0);
    assert_eq!(
        runtime.block_on(isolate.exited()),
        insula_core::ExitReason::Finished
    );
}

#[test]
fn a_dropped_sleep_takes_its_deadline_back() {
    let runtime = Runtime::builder().seeded(1).build();
    runtime.block_on(async {
        let mut long = std::pin::pin!(sleep(Duration::from_secs(1000)));
        std::future::poll_fn(|cx| {
            assert!(long.as_mut().poll(cx).is_pending());
            std::task::Poll::Ready(())
        })
        .await;
    });
    let begin = runtime.now();
    runtime.block_on(async { sleep(Duration::from_secs(1)).await });
    assert_eq!(runtime.now() - begin, Duration::from_secs(1));
    runtime.shut_down();
}

/// Sleeps of other isolates and of plain futures meet in one order of deadlines.
#[test]
fn sleeps_outside_of_isolates_share_the_clock() {
    let runtime = Runtime::builder().seeded(3).build();
    let elapsed = runtime.block_on(async {
        let begin = Instant::now();
        let isolate = Isolate::spawn(async |()| sleep(Duration::from_secs(2)).await, ());
        sleep(Duration::from_secs(1)).await;
        let one = Instant::now() - begin;
        isolate.exited().await;
        (one, Instant::now() - begin)
    });
    assert_eq!(elapsed, (Duration::from_secs(1), Duration::from_secs(2)));
    runtime.shut_down();
}
