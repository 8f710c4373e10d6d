//! Control: ping, pause, kill. Cases 20 to 38.

use insula_core::{
    Capability, ErrorPolicy, Isolate, Priority, ReceivePort, SendPort, Timer, checkpoint,
    schedule_microtask, sleep, spawn_local,
};
use insula_io::File;

use super::stage::{Finally, Lines, Order, child, elsewhere, lines, ms, say, saying, server, tell};
use super::{Case, Check, Verdict};
use crate::Log;

use Priority::{AsEvent, BeforeNextEvent, Immediate};

const DESTRUCTORS_RUN: &str = "what the stack holds is dropped, as everywhere in Rust: memory, locks and files are given \
     back. No other code of the isolate runs, and nothing can catch the end";

pub(super) const CASES: &[Case] = &[
    Case::as_vm(
        "20",
        "c13_ping_priorities",
        "while a child is busy: 1, 2, pings at three priorities, 3, end",
        &[Check::new(
            "PONG imm, busy done, M, PONG before, 1, 2, 3, end, PONG asEvent",
            pings_to_a_busy_child,
        )],
    ),
    Case::as_vm(
        "21",
        "c14_ping_before_next_lifo",
        "two pings before the next event, while 1 is queued",
        &[Check::new("busy done, M, PONG a, PONG b, 1", two_pings_before_the_next_event)],
    ),
    Case::as_vm(
        "22",
        "c72_asEvent_then_beforeNext",
        "a child is busy with 1, 2 and 3 queued: six pings at once",
        &[Check::new(
            "imm, busy done, M, before1, before2, before3, 1, 2, 3, asEvent1, asEvent2",
            six_pings_at_once,
        )],
    ),
    Case::new(
        "23",
        "c73_asEvent_with_empty_queue",
        "the same with nothing queued",
        Verdict::DifferentUnlessDart(
            "an action before the next event goes before one that is an event, whatever else is queued",
        ),
        &[Check::new("busy done, M, before1, before2, asEvent1, asEvent2", pings_with_nothing_queued)
            .vm("busy done, M, asEvent1, before1, asEvent2, before2")],
    ),
    Case::as_vm(
        "24",
        "c15_pause_nesting",
        "pause a, a, b; send 1; pings; resume a, a and a new one, then b",
        &[Check::new("pong, held, PONG before, got 1, exit", nested_pauses)],
    ),
    Case::as_vm(
        "25",
        "c15_pause_nesting",
        "resume a while not paused, pause a, send 2, resume a",
        &[Check::new("held, got 2, exit", no_credit_for_an_early_resume)],
    ),
    Case::as_vm(
        "26",
        "c16_pause_without_capability",
        "handles without capabilities, and with wrong ones: pause, kill, set_errors_fatal, ping",
        &[Check::new(
            "pong without, pong wrong, got 1, error boom, exit",
            handles_without_capabilities,
        )],
    ),
    Case::new(
        "27",
        "c17_kill_immediate_in_loop",
        "a child in an endless loop, with something that catches and something that cleans up",
        Verdict::Different(DESTRUCTORS_RUN),
        &[Check::new("looping, alive, finally, exit", kills_of_an_endless_loop)
            .vm("looping, alive, exit")],
    )
    .note("The loop calls `checkpoint()`. One that never does cannot be stopped: no thread can be killed."),
    Case::as_vm(
        "28",
        "c18_kill_before_next_event_queue",
        "a child is busy with 1 and 2 queued: a kill, then 3",
        &[
            Check::new("exit", |log| kill_a_busy_child(&log, Immediate)).part("immediate"),
            Check::new("busy done, M, exit", |log| kill_a_busy_child(&log, BeforeNextEvent))
                .part("before the next event"),
            Check::new("busy done, M, 1, 2, 3, exit", |log| kill_a_busy_child(&log, AsEvent))
                .part("as event"),
        ],
    ),
    Case::as_vm(
        "29",
        "c19_kill_while_paused",
        "kills of a paused child",
        &[
            Check::new("exit, resume", |log| kill_a_paused_child(&log, Immediate)).part("immediate"),
            Check::new("resume, exit", |log| kill_a_paused_child(&log, BeforeNextEvent))
                .part("before the next event"),
        ],
    ),
    Case::as_vm(
        "30",
        "c26_paused_spawn_kill",
        "children that are spawned paused",
        &[
            Check::new("pong, exit", killed_before_its_start).part("immediate"),
            Check::new("held, resume, exit", killed_at_its_start).part("before the next event"),
            Check::new("still paused, entry ran, exit", paused_by_two).part("another pause"),
        ],
    ),
    Case::as_vm(
        "31",
        "c38_pause_mid_event",
        "a pause in the middle of an event, with a message queued",
        &[Check::new("busy, busy done, M, resume, held, exit", a_pause_in_an_event)],
    ),
    Case::as_vm(
        "32",
        "c42_self_pause_and_current",
        "a child pauses itself and sends handle and capability to its parent",
        &[Check::new("event goes on, M, resume, timer, exit", a_pause_of_itself)],
    )
    .note("Handles of one isolate are equal here; in the VM only their ports and capabilities are."),
    Case::new(
        "33",
        "c43_self_kill",
        "a child kills itself",
        Verdict::Different(
            "a plain statement is no interrupt check: what stands between the kill and the next \
             `checkpoint()`, `await` or end of the event still runs",
        ),
        &[
            Check::new("exit", |log| kill_itself(&log, Immediate, true))
                .part("immediate, with a checkpoint"),
            Check::new("went on, exit", |log| kill_itself(&log, Immediate, false))
                .part("immediate, without")
                .vm("exit"),
            Check::new("went on, M, exit", |log| kill_itself(&log, BeforeNextEvent, true))
                .part("before the next event"),
        ],
    ),
    Case::as_vm(
        "34",
        "c56_oob_order",
        "pause, a message, ping, resume, ping; then a kill",
        &[Check::new("pong1, pong2, busy done, M, got held, exit", pings_around_a_resume)],
    )
    .note("Which of pong2 and the message is first was open in the recording; here all five arrive at once."),
    Case::as_vm(
        "35",
        "c69_kill_then_oob_in_same_batch",
        "in one go: exit listener A, a ping, a kill, a ping, exit listener B",
        &[Check::new("ping1, ping2, exit A, exit B", control_messages_behind_a_kill)],
    ),
    Case::as_vm(
        "36",
        "c75_kill_during_io_and_timers",
        "a kill while files are looked at and a timer of 1 ms repeats",
        &[Check::new("exit is the last message", a_kill_among_io_and_timers)],
    ),
    Case::as_vm(
        "37",
        "c78_pause_drops_nothing_and_backlog_order",
        "100,000 messages to a paused child",
        &[Check::new("nothing yet, 100000 in order, exit", a_backlog)],
    ),
    Case::as_vm(
        "38",
        "c79_resume_before_pause_processed",
        "spawned paused, and paused twice more with its own capability; one resume",
        &[Check::new("entry ran, exit", one_resume)],
    ),
];

/// Spawns a child that follows orders.
fn told(log: &Log) -> (Isolate, SendPort<Order>, Lines) {
    let to = lines(log);
    let (isolate, server) = server(child(log, &to), &to);
    (isolate, server, to)
}

fn ping(isolate: &Isolate, to: &Lines, line: &str, priority: Priority) {
    isolate.ping_port(to, line.to_owned(), priority);
}

fn pings_to_a_busy_child(log: Log) {
    let to = lines(&log);
    let (isolate, port) = server(Isolate::builder(), &to);
    let own = port.clone();
    let busy = Order::busy(move || {
        tell(&own, Order::Say("1"));
        tell(&own, Order::Say("2"));
        ping(&isolate, &to, "PONG asEvent", AsEvent);
        ping(&isolate, &to, "PONG before", BeforeNextEvent);
        ping(&isolate, &to, "PONG imm", Immediate);
        tell(&own, Order::Say("3"));
        tell(&own, Order::Say("end"));
    });
    tell(&port, busy);
}

fn two_pings_before_the_next_event(log: Log) {
    let to = lines(&log);
    let (isolate, port) = server(Isolate::builder(), &to);
    let own = port.clone();
    let busy = Order::busy(move || {
        tell(&own, Order::Say("1"));
        ping(&isolate, &to, "PONG a", BeforeNextEvent);
        ping(&isolate, &to, "PONG b", BeforeNextEvent);
    });
    tell(&port, busy);
}

fn six_pings_at_once(log: Log) {
    let to = lines(&log);
    let (isolate, port) = server(Isolate::builder(), &to);
    let busy = Order::busy(move || {
        ping(&isolate, &to, "asEvent1", AsEvent);
        ping(&isolate, &to, "before1", BeforeNextEvent);
        ping(&isolate, &to, "asEvent2", AsEvent);
        ping(&isolate, &to, "before2", BeforeNextEvent);
        ping(&isolate, &to, "imm", Immediate);
        ping(&isolate, &to, "before3", BeforeNextEvent);
    });
    let own = port.clone();
    tell(
        &port,
        Order::act(move |_| {
            // From an event of the child, so that the three lines are queued before the busy event
            // begins.
            tell(&own, busy);
            for line in ["1", "2", "3"] {
                tell(&own, Order::Say(line));
            }
        }),
    );
}

fn pings_with_nothing_queued(log: Log) {
    let to = lines(&log);
    let (isolate, port) = server(Isolate::builder(), &to);
    // Kept until the end, so that not even the message about the last sender's drop is queued.
    let kept = port.clone();
    let busy = Order::busy(move || {
        for (line, priority) in [
            ("asEvent1", AsEvent),
            ("before1", BeforeNextEvent),
            ("asEvent2", AsEvent),
            ("before2", BeforeNextEvent),
        ] {
            ping(&isolate, &to, line, priority);
        }
    });
    tell(&port, busy);
    Timer::after(ms(50), move || drop(kept));
}

fn nested_pauses(log: Log) {
    let (isolate, port, to) = told(&log);
    let (a, b) = (Capability::new(), Capability::new());
    isolate.pause_with(a);
    isolate.pause_with(a);
    isolate.pause_with(b);
    tell(&port, Order::Say("got 1"));
    ping(&isolate, &to, "pong", Immediate);
    ping(&isolate, &to, "PONG before", BeforeNextEvent);
    spawn_local(async move {
        isolate.resume(a);
        // The answer tells that all that was asked before has been handled.
        let _ = isolate.ping(Immediate).await;
        isolate.resume(a);
        // One that pauses nothing resumes nothing.
        isolate.resume(Capability::new());
        let _ = isolate.ping(Immediate).await;
        say(&to, "held");
        let _ = isolate.ping(Immediate).await;
        isolate.resume(b);
        drop(port);
    });
}

fn no_credit_for_an_early_resume(log: Log) {
    let (isolate, port, to) = told(&log);
    let a = Capability::new();
    isolate.resume(a);
    isolate.pause_with(a);
    tell(&port, Order::Say("got 2"));
    spawn_local(async move {
        let _ = isolate.ping(Immediate).await;
        say(&to, "held");
        isolate.resume(a);
        drop(port);
    });
}

fn handles_without_capabilities(log: Log) {
    let (isolate, port, to) = told(&log);
    let control = isolate.control_port();
    let wrong = Some(Capability::new());
    for (handle, pong) in [
        (
            Isolate::from_control_port(&control, None, None),
            "pong without",
        ),
        (
            Isolate::from_control_port(&control, wrong, wrong),
            "pong wrong",
        ),
    ] {
        handle.pause();
        handle.kill();
        handle.set_error_policy(ErrorPolicy::Continue);
        ping(&handle, &to, pong, Immediate);
    }
    spawn_local(async move {
        let _ = isolate.ping(AsEvent).await;
        tell(&port, Order::Say("got 1"));
        tell(&port, Order::act(|_| panic!("boom")));
        tell(&port, Order::Say("never"));
    });
}

fn kills_of_an_endless_loop(log: Log) {
    let to = lines(&log);
    let entry = |to: Lines| {
        let me = Isolate::current().expect("an entry runs in its isolate");
        let _finally = Finally(to.clone());
        say(&to, "looping");
        let result = insula_core::catch_panic(|| {
            for round in 0_u64.. {
                let me = me.clone();
                match round {
                    // There is no next event, so the loop goes on until the second kill.
                    10 => elsewhere(move || me.kill_at(BeforeNextEvent)),
                    1000 => say(&to, "alive"),
                    1010 => elsewhere(move || me.kill()),
                    _ => {}
                }
                checkpoint();
            }
        });
        say(&to, format!("caught {result:?}"));
    };
    child(&log, &to).spawn(entry, to);
}

fn kill_a_busy_child(log: &Log, priority: Priority) {
    let (isolate, port, _) = told(log);
    let own = port.clone();
    let busy = Order::busy(move || {
        isolate.kill_at(priority);
        tell(&own, Order::Say("3"));
    });
    let own = port.clone();
    tell(
        &port,
        Order::act(move |_| {
            tell(&own, busy);
            tell(&own, Order::Say("1"));
            tell(&own, Order::Say("2"));
        }),
    );
}

fn kill_a_paused_child(log: &Log, priority: Priority) {
    let (isolate, port, to) = told(log);
    let mut end = ReceivePort::new();
    isolate.add_exit_listener(&end.send_port(), |_| ());
    let pause = isolate.pause();
    isolate.kill_at(priority);
    spawn_local(async move {
        if priority == Immediate {
            // A kill that comes at once ends a paused isolate, and no ping would be answered. The
            // other kills wait for the resume.
            end.recv().await;
        } else {
            let _ = isolate.ping(Immediate).await;
        }
        say(&to, "resume");
        isolate.resume(pause);
        drop(port);
    });
}

fn spawn_paused(log: &Log, to: &Lines) -> Isolate {
    let entry = saying(to, "entry ran");
    child(log, to).paused().spawn(|()| entry(), ())
}

fn killed_before_its_start(log: Log) {
    let to = lines(&log);
    let isolate = spawn_paused(&log, &to);
    ping(&isolate, &to, "pong", Immediate);
    isolate.kill();
}

fn killed_at_its_start(log: Log) {
    let to = lines(&log);
    let isolate = spawn_paused(&log, &to);
    isolate.kill_at(BeforeNextEvent);
    spawn_local(async move {
        let _ = isolate.ping(Immediate).await;
        say(&to, "held");
        say(&to, "resume");
        resume_start(&isolate);
    });
}

fn resume_start(isolate: &Isolate) {
    let own = isolate.pause_capability();
    isolate.resume(own.expect("the spawner's handle has it"));
}

fn paused_by_two(log: Log) {
    let to = lines(&log);
    let isolate = spawn_paused(&log, &to);
    let other = isolate.pause();
    resume_start(&isolate);
    spawn_local(async move {
        let _ = isolate.ping(Immediate).await;
        say(&to, "still paused");
        isolate.resume(other);
    });
}

fn a_pause_in_an_event(log: Log) {
    let to = lines(&log);
    let pause = Capability::new();
    let (over, is_over) = insula_core::one_shot();
    let mut over = Some(over);
    let out = to.clone();
    let (isolate, port) = child(&log, &to).spawn_pair(move |inbox: ReceivePort<&str>| {
        let own = inbox.send_port();
        let me = Isolate::current().expect("an entry runs in its isolate");
        inbox.listen(move |line| {
            say(&out, line);
            let Some(over) = over.take() else { return };
            let (me, own) = (me.clone(), own.clone());
            elsewhere(move || {
                me.pause_with(pause);
                let _ = own.send("held");
            });
            checkpoint();
            say(&out, "busy done");
            schedule_microtask(saying(&out, "M"));
            schedule_microtask(move || over.send(()));
        });
    });
    let _ = port.send("busy");
    spawn_local(async move {
        let _ = is_over.await;
        let _ = isolate.ping(Immediate).await;
        say(&to, "resume");
        isolate.resume(pause);
        // After the message. The child holds a sender of its own port, so it has to be killed.
        let _ = isolate.ping(AsEvent).await;
        isolate.kill();
    });
}

fn a_pause_of_itself(log: Log) {
    let to = lines(&log);
    let handles = ReceivePort::new();
    let parent = handles.send_port();
    let entry = move |to: Lines| {
        let me = Isolate::current().expect("an entry runs in its isolate");
        let pause = me.pause();
        schedule_microtask(saying(&to, "M"));
        Timer::run(saying(&to, "timer"));
        say(&to, "event goes on");
        // After the event and its microtasks, because only then the pause is in force.
        schedule_microtask(move || drop(parent.send((me, pause))));
    };
    let isolate = child(&log, &to).spawn(entry, to);
    handles.listen(move |(sent, pause): (Isolate, Capability)| {
        assert_eq!(sent.control_port(), isolate.control_port());
        assert_eq!(sent.pause_capability(), isolate.pause_capability());
        log.line("resume");
        let (isolate, pinged) = (isolate.clone(), isolate.ping(Immediate));
        spawn_local(async move {
            let _ = pinged.await;
            isolate.resume(pause);
        });
    });
}

fn kill_itself(log: &Log, priority: Priority, checks: bool) {
    let to = lines(log);
    let entry = move |to: Lines| {
        schedule_microtask(saying(&to, "M"));
        Timer::run(saying(&to, "timer"));
        let me = Isolate::current().expect("an entry runs in its isolate");
        me.kill_at(priority);
        if checks {
            checkpoint();
        }
        say(&to, "went on");
    };
    child(log, &to).spawn(entry, to);
}

fn pings_around_a_resume(log: Log) {
    let (isolate, port, to) = told(&log);
    let own = port.clone();
    let i = isolate.clone();
    let busy = Order::busy(move || {
        let pause = i.pause();
        tell(&own, Order::Say("got held"));
        ping(&i, &to, "pong1", Immediate);
        i.resume(pause);
        ping(&i, &to, "pong2", Immediate);
    });
    let own = port.clone();
    tell(
        &port,
        Order::act(move |_| {
            tell(&own, busy);
            drop(own);
        }),
    );
    spawn_local(async move {
        // After the busy event, and after what arrived at the child meanwhile.
        let _ = isolate.ping(AsEvent).await;
        let _ = isolate.ping(AsEvent).await;
        let _ = isolate.ping(AsEvent).await;
        isolate.kill();
        drop(port);
    });
}

fn control_messages_behind_a_kill(log: Log) {
    let to = lines(&log);
    let other = lines(&log);
    let (isolate, port) = server(Isolate::builder(), &to);
    let busy = Order::busy(move || {
        isolate.add_exit_listener(&to, |_| "exit A".to_owned());
        ping(&isolate, &to, "ping1", Immediate);
        isolate.kill();
        ping(&isolate, &to, "ping2", Immediate);
        isolate.add_exit_listener(&other, |_| "exit B".to_owned());
    });
    tell(&port, busy);
}

fn a_kill_among_io_and_timers(log: Log) {
    async fn entry(to: SendPort<&'static str>) {
        let out = to.clone();
        Timer::periodic(ms(1), move |_, _| drop(out.send("tick")));
        loop {
            let exists = File::exists(".").await;
            drop(to.send(if exists.is_ok() { "io" } else { "io error" }));
            sleep(ms(1)).await;
        }
    }
    let mut port = ReceivePort::new();
    let to = port.send_port();
    let isolate = Isolate::builder().on_exit(&to, |_| "exit").spawn(entry, to);
    spawn_local(async move {
        for _ in 0..10 {
            port.recv().await;
        }
        isolate.kill();
        let mut last = None;
        while let Some(line) = port.recv().await {
            last = Some(line);
        }
        log.line(format!("{} is the last message", last.unwrap_or("nothing")));
    });
}

fn a_backlog(log: Log) {
    const COUNT: u32 = 100_000;
    let to = lines(&log);
    let out = to.clone();
    let (isolate, port) = child(&log, &to).spawn_pair(move |inbox: ReceivePort<u32>| {
        let mut next = 0;
        inbox.listen(move |i| {
            assert_eq!(i, next);
            next += 1;
            if next == COUNT {
                say(&out, format!("{COUNT} in order"));
            }
        });
    });
    let pause = isolate.pause();
    (0..COUNT).for_each(|i| _ = port.send(i));
    spawn_local(async move {
        let _ = isolate.ping(Immediate).await;
        say(&to, "nothing yet");
        isolate.resume(pause);
        drop(port);
    });
}

fn one_resume(log: Log) {
    let to = lines(&log);
    let isolate = spawn_paused(&log, &to);
    let own = isolate
        .pause_capability()
        .expect("the spawner's handle has it");
    isolate.pause_with(own);
    isolate.pause_with(own);
    isolate.resume(own);
}
