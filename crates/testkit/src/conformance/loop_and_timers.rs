//! The event loop: turns, microtasks, timers. Cases 1 to 19.

use insula_core::{
    ErrorPolicy, Instant, Isolate, IsolateCell, Priority, ReceivePort, Timer, one_shot,
    schedule_microtask, sleep, spawn_local,
};
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use super::stage::{child, compute, lines, ms, say, saying};
use super::{Case, Check, Verdict};
use crate::Log;

const NO_TICK: &str = "a `Timer` is a number that can be copied; of one that is cancelled or has fired nothing is \
     left that could tell its ticks. The callback is told them";

pub(super) const CASES: &[Case] = &[
    Case::as_vm(
        "1",
        "c01_order_basic",
        "a fresh program: synchronous code, microtasks, messages to itself, timers",
        &[Check::timed(
            "sync body, end, M1, M, then, sync.then, M2, A, T0#1, its M, Future, T0, delayed0, B, T1",
            a_fresh_program,
        )],
    ),
    Case::as_vm(
        "2",
        "c02_timer0_vs_port_fifo",
        "messages to itself and zero timers in turn",
        &[Check::new("p0, t0, p1, t1, p2, t2, p3, t3", messages_and_zero_timers)],
    ),
    Case::as_vm(
        "3",
        "c03_microtask_between_timers",
        "three zero timers, each with a microtask that has one of its own",
        &[Check::new("t0, m0, mm0, t1, m1, mm1, t2, m2, mm2", microtasks_of_zero_timers)],
    ),
    Case::as_vm(
        "4",
        "c04_microtask_between_expired_timers",
        "three timers of 2 ms with a microtask each, all due at once",
        &[Check::timed("t0, m0, t1, m1, t2, m2", microtasks_within_a_batch)],
    ),
    Case::as_vm(
        "5",
        "c05_microtask_starvation",
        "a zero timer, then a chain of 100,000 microtasks",
        &[Check::new("chain of 100000, T0", a_chain_of_microtasks)],
    ),
    Case::as_vm(
        "6",
        "c06_timer_fifo_same_deadline",
        "ten timers of 5 ms, then one each of 3 ms, 0 and 0.9 ms",
        &[Check::timed("0, 0.9, T3, T5a, T5b, T5c, T5d, T5e, T5f, T5g, T5h, T5i, T5j", equal_deadlines)],
    )
    .note("A `Duration` is never negative. The clock counts nanoseconds, so 0.9 ms are 0.9 ms, not 0."),
    Case::as_vm(
        "7",
        "c07_expired_heap_before_zero",
        "T(1), computing for 10 ms, a zero timer, T(1), a zero timer",
        &[Check::timed("T1, A, B, T1'", expired_before_zero)],
    ),
    Case::as_vm(
        "8",
        "c07b_zero_before_pending_heap",
        "a zero timer, T(1), a zero timer, computing for 10 ms, a zero timer",
        &[Check::timed("a, b, T1, c", zero_before_pending)],
    ),
    Case::as_vm(
        "9",
        "c11_cancel_inside_batch",
        "timers that cancel others which are due at the same time",
        &[Check::timed("z0, z2, a, c", cancelling_in_a_batch)],
    ),
    Case::new(
        "10",
        "c12_timer_throw_keeps_batch",
        "errors are not fatal; of four timers that are due at once the second throws",
        Verdict::DifferentUnlessDart(
            "no microtask waits for an event that may never come: what an error left behind runs at once",
        ),
        &[Check::timed("t0, m0, t1, error boom1, m1, t2, m2, t3, m3, exit", an_error_in_a_batch)
            .vm("t0, m0, t1, error boom1, t2, m1, m2, t3, m3, exit")],
    ),
    Case::new(
        "11",
        "c08_periodic_missed_ticks",
        "a period of 10 ms; the second callback computes for 55 ms",
        Verdict::Different(NO_TICK),
        &[Check::timed(
            "tick 1 at 10 ms, tick 2 at 20 ms, tick 7 at 75 ms, tick 8 at 80 ms, tick 9 at 90 ms, \
             active false, tick None",
            missed_ticks,
        )
        .vm(
            "tick 1 at 10 ms, tick 2 at 20 ms, tick 7 at 75 ms, tick 8 at 80 ms, tick 9 at 90 ms, \
             active false, tick 9",
        )],
    )
    .note("The ticks are the VM's: one callback counts all periods that were missed."),
    Case::as_vm(
        "12",
        "c09_periodic_no_drift",
        "25 periods of 20 ms, each callback computes for 7 ms",
        &[Check::timed("25 callbacks, mean period 20 ms", no_drift)],
    ),
    Case::as_vm(
        "13",
        "c10_periodic_zero",
        "a period of zero, beside a port that sends to itself",
        &[Check::new(
            "tick 1, port 1, tick 2, port 2, tick 3, port 3, tick 4",
            a_period_of_zero,
        )],
    ),
    Case::as_vm(
        "14",
        "c39_timer_while_paused",
        "T(30) and a period of 20 ms; paused from 8 to 200 ms",
        &[Check::timed(
            "start, resume after 200 ms, tick 10, one-shot, tick 11, tick 12, exit",
            timers_of_a_paused_isolate,
        )],
    )
    .note("Recorded as \"a tick of 8 or more\"; on virtual time it is the tenth."),
    Case::new(
        "15",
        "c65_timer_cancel_self_and_tick",
        "a timer cancelled twice, a one-shot in its own callback, a period of less than a millisecond",
        Verdict::Different(NO_TICK),
        &[Check::timed(
            "tick 1 active true, tick 2 active true, cancelled active false, \
             inside one-shot active false tick None, fired tick None",
            cancelled_timers,
        )
        .vm(
            "tick 1 active true, tick 2 active true, cancelled active false, \
             inside one-shot active false tick 1, fired tick 1",
        )],
    )
    .note("A `Duration` is never negative."),
    Case::as_vm(
        "16",
        "c66_timer_early_fire",
        "200 timers of 1 to 5 ms",
        &[Check::new("200 fired, 0 early", never_early)],
    ),
    Case::as_vm(
        "17",
        "c53_self_send_in_handler",
        "with 1 and 2 queued, the handler of 0 sends another and makes a zero timer",
        &[Check::new("0, 1, 2, tail, T0", what_a_handler_sends)],
    ),
    Case::new(
        "18",
        "c67_future_chain_order",
        "microtasks, chains of futures, an async function, completers",
        Verdict::Different(
            "a future of Rust does nothing before it is polled, and a task is polled as a microtask: \
             so an async function does not begin inside its caller, and nobody's code runs inside of `complete`",
        ),
        &[Check::new(
            "1, 2, m1, f1, f1b, m2, a1, a2, a3, t, after complete, after async complete, \
             sync completer callback, async completer callback",
            futures_and_microtasks,
        )
        .vm(
            "1, a1, 2, m1, f1, f1b, m2, a2, a3, t, sync completer callback, after complete, \
             after async complete, async completer callback",
        )],
    )
    .note("The order of microtasks, and one microtask per `await`, are the VM's."),
    Case::as_vm(
        "19",
        "c81_kill_not_catchable_in_microtask_loop",
        "an endless chain of microtasks, pinged and killed at different priorities",
        &[Check::new("started, pong immediate, still running, exit", an_endless_chain)],
    ),
];

fn a_fresh_program(log: Log) {
    let port = ReceivePort::new();
    let sender = port.send_port();
    let l = log.clone();
    let listener = port.listen(move |line: &str| l.line(line));
    log.line("sync body");
    let _ = sender.send("A");
    let l = log.clone();
    Timer::run(move || {
        l.line("T0#1");
        schedule_microtask(l.later("its M"));
    });
    Timer::run(log.later("Future"));
    Timer::after(Duration::ZERO, log.later("T0"));
    let l = log.clone();
    Timer::after(ms(1), move || {
        l.line("T1");
        listener.close();
    });
    Timer::after(Duration::ZERO, log.later("delayed0"));
    let _ = sender.send("B");
    let l = log.clone();
    schedule_microtask(move || {
        l.line("M1");
        schedule_microtask(l.later("M2"));
    });
    schedule_microtask(log.later("M"));
    for line in ["then", "sync.then"] {
        let l = log.clone();
        spawn_local(async move { l.line(line) });
    }
    log.line("end");
}

fn messages_and_zero_timers(log: Log) {
    let port = ReceivePort::new();
    let sender = port.send_port();
    let l = log.clone();
    port.listen(move |i: u32| l.line(format!("p{i}")));
    for i in 0..4 {
        let _ = sender.send(i);
        Timer::run(log.later(format!("t{i}")));
    }
}

fn microtasks_of_zero_timers(log: Log) {
    for i in 0..3 {
        let log = log.clone();
        Timer::run(move || {
            log.line(format!("t{i}"));
            schedule_microtask(move || {
                log.line(format!("m{i}"));
                schedule_microtask(log.later(format!("mm{i}")));
            });
        });
    }
}

fn microtasks_within_a_batch(log: Log) {
    for i in 0..3 {
        let log = log.clone();
        Timer::after(ms(2), move || {
            log.line(format!("t{i}"));
            schedule_microtask(log.later(format!("m{i}")));
        });
    }
    // All three expire meanwhile, so that they run in one batch.
    compute(ms(20));
}

fn a_chain_of_microtasks(log: Log) {
    fn link(log: Log, done: u32) {
        if done == 100_000 {
            log.line(format!("chain of {done}"));
        } else {
            schedule_microtask(move || link(log, done + 1));
        }
    }
    Timer::run(log.later("T0"));
    link(log, 0);
}

fn equal_deadlines(log: Log) {
    for name in 'a'..='j' {
        Timer::after(ms(5), log.later(format!("T5{name}")));
    }
    Timer::after(ms(3), log.later("T3"));
    Timer::after(Duration::ZERO, log.later("0"));
    Timer::after(Duration::from_micros(900), log.later("0.9"));
}

fn expired_before_zero(log: Log) {
    Timer::after(ms(1), log.later("T1"));
    compute(ms(10));
    Timer::run(log.later("A"));
    Timer::after(ms(1), log.later("T1'"));
    Timer::run(log.later("B"));
}

fn zero_before_pending(log: Log) {
    Timer::run(log.later("a"));
    Timer::after(ms(1), log.later("T1"));
    Timer::run(log.later("b"));
    compute(ms(10));
    Timer::run(log.later("c"));
}

fn cancelling_in_a_batch(log: Log) {
    for (delay, names) in [(ms(0), ["z0", "z1", "z2"]), (ms(2), ["a", "b", "c"])] {
        // In a cell, since the timer that cancels is made before the one that it cancels, to run
        // before it.
        let victim = IsolateCell::new(None::<Timer>);
        let (l, v) = (log.clone(), victim.clone());
        Timer::after(delay, move || {
            l.line(names[0]);
            v.with(|timer| timer.take().map(|timer| timer.cancel()));
        });
        let timer = Timer::after(delay, log.later(names[1]));
        victim.with(|place| *place = Some(timer));
        Timer::after(delay, log.later(names[2]));
    }
    compute(ms(20));
}

fn an_error_in_a_batch(log: Log) {
    let to = lines(&log);
    let entry = |to: super::stage::Lines| {
        for i in 0..4 {
            let to = to.clone();
            Timer::after(ms(2), move || {
                say(&to, format!("t{i}"));
                schedule_microtask(saying(&to, format!("m{i}")));
                assert!(i != 1, "boom1");
            });
        }
        compute(ms(20));
    };
    child(&log, &to)
        .error_policy(ErrorPolicy::Continue)
        .spawn(entry, to);
}

fn missed_ticks(log: Log) {
    let begin = Instant::now();
    Timer::periodic(ms(10), move |timer, tick| {
        let passed = Instant::now() - begin;
        log.line(format!("tick {tick} at {} ms", passed.as_millis()));
        if tick == 2 {
            compute(ms(55));
        }
        if tick == 9 {
            timer.cancel();
            log.line(format!("active {}", timer.is_active()));
            log.line(format!("tick {:?}", timer.tick()));
        }
    });
}

fn no_drift(log: Log) {
    let begin = Instant::now();
    Timer::periodic(ms(20), move |timer, tick| {
        let mean = (Instant::now() - begin).as_millis() / u128::from(tick);
        // A callback that takes its time must not move the later ones.
        compute(ms(7));
        if tick == 25 {
            timer.cancel();
            log.line("25 callbacks");
            log.line(format!("mean period {mean} ms"));
        }
    });
}

fn a_period_of_zero(log: Log) {
    let port = ReceivePort::new();
    let sender = port.send_port();
    let l = log.clone();
    Timer::periodic(Duration::ZERO, move |timer, tick| {
        l.line(format!("tick {tick}"));
        if tick == 4 {
            timer.cancel();
        }
    });
    drop(sender.send(1));
    port.listen(move |i: u32| {
        log.line(format!("port {i}"));
        if i < 3 {
            drop(sender.send(i + 1));
        } else {
            Isolate::current()
                .expect("it runs in one")
                .kill_at(Priority::AsEvent);
        }
    });
}

fn timers_of_a_paused_isolate(log: Log) {
    let to = lines(&log);
    let entry = |to: super::stage::Lines| {
        say(&to, "start");
        Timer::after(ms(30), saying(&to, "one-shot"));
        Timer::periodic(ms(20), move |timer, tick| {
            say(&to, format!("tick {tick}"));
            if tick == 12 {
                timer.cancel();
            }
        });
    };
    let isolate = child(&log, &to).spawn(entry, to.clone());
    spawn_local(async move {
        sleep(ms(8)).await;
        let pause = isolate.pause();
        sleep(ms(192)).await;
        say(&to, "resume after 200 ms");
        isolate.resume(pause);
    });
}

fn cancelled_timers(log: Log) {
    let l = log.clone();
    Timer::periodic(ms(3), move |timer, tick| {
        l.line(format!("tick {tick} active {}", timer.is_active()));
        if tick == 2 {
            timer.cancel();
            timer.cancel();
            l.line(format!("cancelled active {}", timer.is_active()));
        }
    });
    let own = IsolateCell::new(None::<Timer>);
    let (l, inside) = (log.clone(), own.clone());
    let timer = Timer::after(ms(10), move || {
        let timer = inside.with(|timer| timer.expect("set below"));
        let (active, tick) = (timer.is_active(), timer.tick());
        l.line(format!("inside one-shot active {active} tick {tick:?}"));
    });
    own.with(|own| *own = Some(timer));
    Timer::after(ms(20), move || {
        log.line(format!("fired tick {:?}", timer.tick()));
    });
}

fn never_early(log: Log) {
    let early = IsolateCell::new(0);
    let left = IsolateCell::new(200);
    for i in 0..200 {
        let (delay, made) = (ms(1 + i % 5), Instant::now());
        let (log, early, left) = (log.clone(), early.clone(), left.clone());
        Timer::after(delay, move || {
            early.with(|early| *early += u32::from(Instant::now() < made + delay));
            left.with(|left| *left -= 1);
            if left.with(|left| *left == 0) {
                log.line(format!("200 fired, {} early", early.with(|early| *early)));
            }
        });
    }
}

fn what_a_handler_sends(log: Log) {
    let port = ReceivePort::new();
    let sender = port.send_port();
    for line in ["0", "1", "2"] {
        let _ = sender.send(line);
    }
    let mut sender = Some(sender);
    port.listen(move |line: &str| {
        log.line(line);
        // For the first message only. The sender goes with it, so that the port ends after the last
        // one.
        if let Some(sender) = sender.take() {
            let _ = sender.send("tail");
            Timer::run(log.later("T0"));
        }
    });
}

/// Awaits one microtask.
async fn hop() {
    let mut hopped = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut hopped, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

fn futures_and_microtasks(log: Log) {
    log.line("1");
    schedule_microtask(log.later("m1"));
    let l = log.clone();
    spawn_local(async move {
        l.line("f1");
        l.line("f1b");
    });
    schedule_microtask(log.later("m2"));
    let (complete, completed) = one_shot();
    let l = log.clone();
    spawn_local(async move {
        let _ = completed.await;
        l.line("sync completer callback");
    });
    let l = log.clone();
    Timer::run(move || {
        l.line("t");
        complete.send(());
        l.line("after complete");
        let (complete, completed) = one_shot();
        let log = l.clone();
        spawn_local(async move {
            let _ = completed.await;
            log.line("async completer callback");
        });
        complete.send(());
        l.line("after async complete");
    });
    let l = log.clone();
    spawn_local(async move {
        l.line("a1");
        hop().await;
        l.line("a2");
        hop().await;
        l.line("a3");
    });
    log.line("2");
}

fn an_endless_chain(log: Log) {
    fn link(to: super::stage::Lines, count: u32) {
        let me = Isolate::current().expect("a microtask runs in its isolate");
        match count {
            10 => me.ping_port(&to, "pong immediate".to_owned(), Priority::Immediate),
            // There is no next event while the chain goes on: neither this nor the kill after it is
            // handled.
            20 => me.ping_port(&to, "never".to_owned(), Priority::BeforeNextEvent),
            30 => me.kill_at(Priority::BeforeNextEvent),
            1000 => say(&to, "still running"),
            1010 => me.kill(),
            _ => {}
        }
        schedule_microtask(move || link(to, count + 1));
    }
    let to = lines(&log);
    let entry = |to: super::stage::Lines| {
        say(&to, "started");
        link(to, 0);
    };
    child(&log, &to).spawn(entry, to);
}
