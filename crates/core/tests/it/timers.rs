//! Risk: a timer fires early, late, twice or never; a cancelled one fires.

use std::time::Duration;

use insula_core::{
    Compat, ErrorPolicy, Instant, Isolate, Runtime, Timer, block_on, schedule_microtask, sleep,
    sleep_until, spawn_local,
};

use crate::trace::for_each_seed;
use crate::watchdog::ends;

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

/// The runtime's thread sleeps until the first deadline it knows. One that is earlier wakes it.
#[test]
fn a_deadline_that_comes_later_and_is_due_earlier_is_met() {
    let runtime = Runtime::builder().threads(1).build();
    runtime.block_on(async {
        let mut long = std::pin::pin!(sleep(Duration::from_secs(30)));
        std::future::poll_fn(|cx| {
            assert!(long.as_mut().poll(cx).is_pending());
            std::task::Poll::Ready(())
        })
        .await;
        for _ in 0..3 {
            // Meanwhile it goes to sleep for the long one.
            std::thread::sleep(Duration::from_millis(10));
            let start = std::time::Instant::now();
            sleep(Duration::from_millis(1)).await;
            assert!(start.elapsed() < Duration::from_secs(10), "it overslept");
        }
    });
    runtime.shut_down();
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

/// Case 11: periods that were missed are counted, not made up for; nothing drifts.
#[test]
fn a_periodic_timer_counts_what_it_missed() {
    crate::trace::expect_virtual_trace("10:1 20:2 75:7 80:8 90:9 gone", |log| {
        let (begin, busy) = (Instant::now(), Duration::from_millis(55));
        Timer::periodic(Duration::from_millis(10), move |timer, tick| {
            let passed = (Instant::now() - begin).as_millis();
            log.line(format!("{passed}:{tick}"));
            assert_eq!(timer.tick(), Some(tick));
            match tick {
                2 => Runtime::current().advance(busy),
                9 => {
                    assert!(timer.is_active() && timer.cancel() && !timer.is_active());
                    log.line("gone");
                }
                _ => {}
            }
        });
    });
}

/// Cancelled in its own callback it has no place among those that wait, and takes none away:
/// neither then nor when another one is cancelled.
#[test]
fn a_periodic_timer_that_cancels_itself_leaves_the_others_alone() {
    for another in [false, true] {
        let runtime = Runtime::builder().seeded(1).build();
        let log = crate::trace::Log::default();
        let l = log.clone();
        let body = move |()| {
            let once = l.clone();
            Timer::after(Duration::from_millis(50), move || once.line(50));
            let cancelled = Timer::after(Duration::from_millis(90), || unreachable!("cancelled"));
            assert!(another || cancelled.cancel());
            Timer::periodic(Duration::from_millis(10), move |timer, tick| {
                l.line(10 * tick);
                if tick == 2 {
                    assert!(timer.cancel());
                    assert_eq!(cancelled.cancel(), another);
                }
            });
        };
        Isolate::builder().runtime(&runtime).spawn(body, ());
        runtime.block_on(async { sleep(Duration::from_secs(1)).await });
        assert_eq!(log.text(), "10 20 50");
        assert_eq!(runtime.isolate_count(), 0);
        runtime.shut_down();
    }
}

/// Case 10: the others of a batch run although one panics, and so do all microtasks.
#[test]
fn a_panic_in_a_timer_loses_nothing() {
    let expected = |compat, order: &str| {
        for seed in crate::SEEDS {
            let runtime = Runtime::builder().seeded(seed).compat(compat).build();
            let log = crate::trace::Log::default();
            let l = log.clone();
            let isolate = Isolate::builder()
                .runtime(&runtime)
                .error_policy(ErrorPolicy::Continue)
                .spawn(move |()| batch(&l), ());
            runtime.block_on(isolate.exited());
            assert_eq!(log.text(), order, "seed {seed}");
        }
    };
    expected(Compat::Insula, "t0 m0 t1 m1 t2 m2 t3 m3");
    expected(Compat::Dart, "t0 m0 t1 t2 m1 m2 t3 m3");
}

fn batch(log: &crate::trace::Log) {
    for i in 0..4 {
        let log = log.clone();
        Timer::after(Duration::from_millis(2), move || {
            log.line(format!("t{i}"));
            schedule_microtask(move || log.line(format!("m{i}")));
            assert_ne!(i, 1, "as expected");
        });
    }
    Runtime::current().advance(Duration::from_millis(20));
}

/// Case 13: a periodic timer without delay takes turns with messages.
#[test]
fn a_periodic_zero_timer_takes_turns_with_messages() {
    crate::trace::expect_virtual_trace("port tick port tick port tick port", |log| {
        let port = insula_core::ReceivePort::new();
        let sender = port.send_port();
        sender.send(0).unwrap();
        let l = log.clone();
        Timer::periodic(Duration::ZERO, move |timer, tick| {
            l.line("tick");
            if tick == 3 {
                timer.cancel();
            }
        });
        let mut sender = Some(sender);
        port.listen(move |i| {
            log.line("port");
            if i < 3 {
                sender.as_ref().unwrap().send(i + 1).unwrap();
            } else {
                // Without a sender the port keeps nothing alive.
                sender = None;
            }
        });
    });
}

/// On threads, since virtual time stands still while a zero timer runs.
#[test]
fn a_periodic_zero_timer_lets_timers_with_a_delay_run() {
    let told = ends(|| {
        let told = Isolate::run_async(async || {
            Timer::periodic(Duration::ZERO, |_, _| {});
            sleep(Duration::from_millis(5)).await;
        });
        told.wait()
    });
    assert_eq!(told, Ok(()));
}

/// Cancelled timers leave no trace, however many there are.
#[test]
fn cancelled_timers_in_the_thousands() {
    crate::trace::expect_virtual_trace("900 5", |log| {
        let mut timers = Vec::new();
        for i in 0..crate::MANY {
            timers.push(Timer::after(
                Duration::from_millis(1 + i * 7919 % crate::MANY),
                || unreachable!("cancelled"),
            ));
        }
        let l = log.clone();
        Timer::after(Duration::from_micros(900), move || l.line("900"));
        Timer::after(Duration::from_secs(5), move || log.line("5"));
        assert!(timers.into_iter().all(Timer::cancel));
    });
}

/// Microtasks run between two timers of one batch also if a control message has come meanwhile,
/// and a kill among the control messages leaves the rest of the batch alone.
#[test]
fn control_messages_within_a_batch() {
    let batch = |first: fn(&Isolate)| {
        move |log: crate::trace::Log| {
            for i in 0..3 {
                let log = log.clone();
                Timer::after(Duration::from_millis(2), move || {
                    log.line(format!("t{i}"));
                    insula_core::schedule_microtask(move || log.line(format!("m{i}")));
                    if i == 0 {
                        first(&Isolate::current().unwrap());
                    }
                });
            }
            Runtime::current().advance(Duration::from_millis(20));
        }
    };
    let ping = batch(|me| drop(me.ping(insula_core::Priority::Immediate)));
    crate::trace::expect_virtual_trace("t0 m0 t1 m1 t2 m2", ping);
    crate::trace::expect_virtual_trace("t0", batch(Isolate::kill));
}
