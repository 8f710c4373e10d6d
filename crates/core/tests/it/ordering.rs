//! Risk: events and microtasks run in another order than the VM's.
//!
//! The cases have the numbers under which they were recorded from a real VM; those that need
//! control messages come with control messages.

use std::time::Duration;

use insula_core::{
    Compat, ErrorPolicy, Isolate, ReceivePort, Runtime, Timer, schedule_microtask, spawn_local,
};

use crate::trace::{Log, expect_trace, expect_virtual_trace};

fn note(log: &Log, line: impl ToString) -> impl FnOnce() + Send + 'static {
    let (log, line) = (log.clone(), line.to_string());
    move || log.line(line)
}

/// Computes for so long.
fn block(duration: Duration) {
    Runtime::current().advance(duration);
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn case_1_a_fresh_program() {
    expect_virtual_trace("body end M1 M then M2 A T0 its-M T0b T0c B T1", |log| {
        let port = ReceivePort::new();
        let sender = port.send_port();
        let (l, s) = (log.clone(), sender.clone());
        let listener = port.listen(move |line: &str| {
            l.line(line);
            let _ = &s;
        });
        log.line("body");
        sender.send("A").unwrap();
        let l = log.clone();
        Timer::run(move || {
            l.line("T0");
            schedule_microtask(note(&l, "its-M"));
        });
        Timer::run(note(&log, "T0b"));
        let l = log.clone();
        Timer::after(ms(1), move || {
            l.line("T1");
            listener.close();
        });
        Timer::run(note(&log, "T0c"));
        sender.send("B").unwrap();
        let l = log.clone();
        schedule_microtask(move || {
            l.line("M1");
            schedule_microtask(note(&l, "M2"));
        });
        schedule_microtask(note(&log, "M"));
        schedule_microtask(note(&log, "then"));
        log.line("end");
    });
}

#[test]
fn case_2_zero_timers_and_messages_share_one_order() {
    expect_trace("p0 t0 p1 t1 p2 t2 p3 t3", |log| {
        let port = ReceivePort::new();
        let sender = port.send_port();
        let l = log.clone();
        port.listen(move |i| l.line(format!("p{i}")));
        for i in 0..4 {
            sender.send(i).unwrap();
            Timer::run(note(&log, format!("t{i}")));
        }
    });
}

#[test]
fn case_3_microtasks_run_between_zero_timers() {
    expect_trace("t0 m0 mm0 t1 m1 mm1 t2 m2 mm2", |log| {
        for i in 0..3 {
            let l = log.clone();
            Timer::run(move || {
                l.line(format!("t{i}"));
                schedule_microtask(move || {
                    l.line(format!("m{i}"));
                    schedule_microtask(note(&l, format!("mm{i}")));
                });
            });
        }
    });
}

#[test]
fn case_4_microtasks_run_between_timers_of_one_batch() {
    expect_virtual_trace("t0 m0 t1 m1 t2 m2", |log| {
        for i in 0..3 {
            let l = log.clone();
            Timer::after(ms(2), move || {
                l.line(format!("t{i}"));
                schedule_microtask(note(&l, format!("m{i}")));
            });
        }
        block(ms(20));
    });
}

#[test]
fn case_5_a_chain_of_microtasks_goes_before_a_timer() {
    fn chain(log: Log, left: u32) {
        if left == 0 {
            log.line("chain");
        } else {
            schedule_microtask(move || chain(log, left - 1));
        }
    }
    expect_trace("chain T0", |log| {
        Timer::run(note(&log, "T0"));
        chain(log, if cfg!(miri) { 100 } else { 10_000 });
    });
}

/// Cases 6, 7, 8 and 9: which timers run before which.
#[test]
fn case_6_equal_deadlines_run_in_order_of_creation() {
    expect_virtual_trace("zero 0.9 3 5a 5b 5c", |log| {
        for name in ["5a", "5b", "5c"] {
            Timer::after(ms(5), note(&log, name));
        }
        Timer::after(ms(3), note(&log, "3"));
        Timer::after(Duration::ZERO, note(&log, "zero"));
        Timer::after(Duration::from_micros(900), note(&log, "0.9"));
    });
}

#[test]
fn case_7_an_expired_timer_goes_before_a_later_zero_timer() {
    expect_virtual_trace("T1 A B T1'", |log| {
        Timer::after(ms(1), note(&log, "T1"));
        block(ms(10));
        Timer::run(note(&log, "A"));
        Timer::after(ms(1), note(&log, "T1'"));
        Timer::run(note(&log, "B"));
    });
}

#[test]
fn case_8_a_zero_timer_goes_before_a_timer_that_expired_later() {
    expect_virtual_trace("a b T1 c", |log| {
        Timer::run(note(&log, "a"));
        Timer::after(ms(1), note(&log, "T1"));
        Timer::run(note(&log, "b"));
        block(ms(10));
        Timer::run(note(&log, "c"));
    });
}

#[test]
fn case_9_a_timer_cancels_others_of_its_batch() {
    expect_virtual_trace("z0 z2 a c", |log| {
        let later = Timer::run({
            let log = log.clone();
            move || log.line("z1")
        });
        // The first to run must be made first: z1 is made again behind it.
        later.cancel();
        let z1 = std::sync::Arc::new(std::sync::Mutex::new(None::<Timer>));
        let (l, victim) = (log.clone(), z1.clone());
        Timer::run(move || {
            l.line("z0");
            assert!(victim.lock().unwrap().unwrap().cancel());
        });
        *z1.lock().unwrap() = Some(Timer::run(note(&log, "z1")));
        Timer::run(note(&log, "z2"));
        let b = std::sync::Arc::new(std::sync::Mutex::new(None::<Timer>));
        let (l, victim) = (log.clone(), b.clone());
        Timer::after(ms(2), move || {
            l.line("a");
            assert!(victim.lock().unwrap().unwrap().cancel());
        });
        *b.lock().unwrap() = Some(Timer::after(ms(2), note(&log, "b")));
        Timer::after(ms(2), note(&log, "c"));
        block(ms(20));
    });
}

#[test]
fn case_17_what_a_handler_sends_goes_behind_what_is_queued() {
    expect_trace("0 1 2 tail T0", |log| {
        let port = ReceivePort::new();
        let sender = port.send_port();
        for i in ["0", "1", "2"] {
            sender.send(i).unwrap();
        }
        let mut sender = Some(sender);
        port.listen(move |line: &str| {
            log.line(line);
            if line == "0"
                && let Some(sender) = sender.take()
            {
                sender.send("tail").unwrap();
                Timer::run(note(&log, "T0"));
            }
        });
    });
}

#[test]
fn case_58_a_port_closes_itself() {
    expect_trace("0 1 2 refused", |log| {
        let port = ReceivePort::new();
        let sender = port.send_port();
        for i in 0..5 {
            sender.send(i).unwrap();
        }
        let listener = std::sync::Arc::new(std::sync::OnceLock::new());
        let own = listener.clone();
        let opened = port.listen(move |i: u32| {
            log.line(i);
            if i == 2 {
                let own: &insula_core::Listener<u32> = own.get().unwrap();
                own.close();
                own.close();
                assert_eq!(sender.send(9).unwrap_err().into_inner(), 9);
                log.line("refused");
            }
        });
        listener.set(opened).unwrap();
    });
}

#[test]
fn case_60_a_port_without_a_handler_drops_what_comes() {
    expect_trace("late", |log| {
        let port = ReceivePort::new();
        let sender = port.send_port();
        let listener = port.listen(|_: &str| unreachable!("it is cleared first"));
        listener.clear();
        sender.send("early").unwrap();
        Timer::run(move || {
            let l = log.clone();
            listener.replace(move |line| l.line(line));
            sender.send("late").unwrap();
            Timer::run(move || {
                listener.close();
                listener.replace(|_| unreachable!("a closed port stays closed"));
                assert!(sender.send("after").is_err());
            });
        });
    });
}

#[test]
fn case_61_a_port_buffers_until_somebody_listens() {
    expect_trace("1 2 3", |log| {
        let port = ReceivePort::new();
        let sender = port.send_port();
        sender.send(1).unwrap();
        sender.send(2).unwrap();
        Timer::run(move || {
            sender.send(3).unwrap();
            port.listen(move |i: u32| log.line(i));
        });
    });
}

#[test]
fn case_62_a_new_handler_gets_what_is_queued() {
    expect_trace("old:1 new:2 new:3", |log| {
        let port = ReceivePort::new();
        let sender = port.send_port();
        (1..=3).for_each(|i| sender.send(i).unwrap());
        let listener = std::sync::Arc::new(std::sync::OnceLock::new());
        let own = listener.clone();
        let opened = port.listen(move |i: u32| {
            log.line(format!("old:{i}"));
            let l = log.clone();
            let own: &insula_core::Listener<u32> = own.get().unwrap();
            own.replace(move |i| l.line(format!("new:{i}")));
        });
        listener.set(opened).unwrap();
    });
}

/// Cases 59 and 63 to 65: the first message alone, a stream with a slow body, a body that
/// fails.
#[test]
fn case_63_first_takes_one_message_and_closes() {
    crate::trace::for_each_seed(
        || async {
            let mut port = ReceivePort::new();
            let sender = port.send_port();
            sender.send("a").unwrap();
            sender.send("b").unwrap();
            let first = port.recv().await;
            drop(port);
            (first, sender.is_closed())
        },
        |result| assert_eq!(result, Ok((Some("a"), true))),
    );
}

#[test]
fn case_64_a_slow_body_gets_messages_one_at_a_time_in_order() {
    crate::trace::for_each_seed(
        || async {
            let mut port = ReceivePort::new();
            let sender = port.send_port();
            (0..5).for_each(|i| sender.send(i).unwrap());
            drop(sender);
            let mut seen = Vec::new();
            while let Some(i) = port.recv().await {
                insula_core::sleep(ms(i * 7 % 3)).await;
                seen.push(i);
            }
            seen
        },
        |result| assert_eq!(result, Ok(vec![0, 1, 2, 3, 4])),
    );
}

#[test]
fn case_65_a_body_that_catches_its_panic_gets_the_next_message() {
    expect_trace("0 caught 2", |log| {
        let port = ReceivePort::new();
        let sender = port.send_port();
        (0..3).for_each(|i| sender.send(i).unwrap());
        port.listen(move |i: u32| {
            let result = insula_core::catch_panic(|| {
                assert_ne!(i, 1);
                log.line(i);
            });
            if result.is_err() {
                log.line("caught");
            }
        });
    });
}

/// A message wakes a task whose turn it would be at once, were it not for older microtasks.
#[test]
fn a_woken_task_goes_behind_what_an_error_has_left_for_the_next_event() {
    let entry = |log: Log| {
        let mut port = ReceivePort::new();
        let sender = port.send_port();
        let l = log.clone();
        spawn_local(async move {
            port.recv().await;
            l.line("task");
        });
        Timer::run(move || {
            sender.send(()).unwrap();
            schedule_microtask(note(&log, "left"));
            panic!("oh");
        });
    };
    let runtime = Runtime::builder().seeded(1).compat(Compat::Dart).build();
    let log = Log::default();
    let isolate = Isolate::builder()
        .runtime(&runtime)
        .error_policy(ErrorPolicy::Continue)
        .spawn(entry, log.clone());
    runtime.block_on(isolate.exited());
    runtime.shut_down();
    assert_eq!(log.text(), "left task");
}
