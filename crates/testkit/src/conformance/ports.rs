//! Ports and messages. Cases 58 to 80.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use insula_core::{
    Capability, Isolate, IsolateCell, Listener, Priority, ReceivePort, SendPort, Timer,
    catch_panic, schedule_microtask, sleep, spawn_local,
};

use super::stage::{Lines, child, lines, ms, say, saying};
use super::{Case, Check, Verdict};
use crate::Log;

const MOVES: &str = "messages are not copied: they move, whatever they are. What is to be shared is an `Arc`, what is \
     to be kept is cloned first, and the compiler holds that";
const COMPILES: &str = "what must not go to another thread is refused by the compiler, with the reason, and never at run time";

pub(super) const CASES: &[Case] = &[
    Case::as_vm(
        "58",
        "c29_closed_port_queued",
        "a port closes itself at 2 of 0 to 4",
        &[Check::new("0, 1, 2, closed", a_port_closes_itself)],
    )
    .note("A send to a closed port harms nothing, but its result says so and gives the message back."),
    Case::new(
        "59",
        "c29_closed_port_queued",
        "a stream port is closed at the first of two messages, twice",
        Verdict::Different("there is no event for the end of a port: whoever closes it knows"),
        &[Check::new("got 1, closed", closed_at_the_first).vm("got 1, onDone")],
    ),
    Case::as_vm(
        "60",
        "c29_closed_port_queued",
        "a port without a handler; a handler for a closed port",
        &[Check::new("late", a_port_without_a_handler)],
    )
    .note("A new port buffers as in case 61; one without a handler is made with `Listener::clear`."),
    Case::as_vm(
        "61",
        "c29_closed_port_queued",
        "a stream port: two messages before anybody listens, one while it is paused",
        &[Check::new("buffered 1, buffered 2, resume, while paused, closed", a_port_buffers)],
    )
    .note("A port is listened to once, since `listen` takes it: a second time does not compile."),
    Case::as_vm(
        "62",
        "c58_handler_swap_and_throw",
        "a handler puts another in its place, and that none",
        &[Check::new("h1 0, h2 1, nobody drops, h3 z", handlers_in_turn)],
    ),
    Case::new(
        "63",
        "c74_receiveport_first_closes",
        "the first message alone; a port that ends before any; two listeners",
        Verdict::Different("a port has one listener. Who wants several sends on"),
        &[
            Check::new("a, closed", the_first_message).part("first"),
            Check::new("None", no_message).part("none").vm("StateError"),
        ],
    ),
    Case::as_vm(
        "64",
        "c50_await_for_backpressure",
        "a loop over a stream with a slow body, left after three messages",
        &[Check::timed(
            "start 0, end 0, start 1, end 1, start 2, end 2, closed",
            a_slow_body,
        )],
    ),
    Case::as_vm(
        "65",
        "c77_sync_vs_async_handlers_exception_drops_message",
        "a listener whose error is caught",
        &[Check::new("got 0, got 1, caught e1, got 2", a_listener_that_catches)],
    ),
    Case::as_vm(
        "66",
        "c32_order_across_ports",
        "3,000 messages over three ports; four senders with 2,000 messages each",
        &[
            Check::new("3000 in order, exit last", one_sender_three_ports).part("one sender"),
            Check::new("8000 with 0 out of order", four_senders).part("four senders"),
        ],
    ),
    Case::new(
        "67",
        "c28_copy_identity",
        "what is copied, and what is shared, when a message is sent",
        Verdict::NotApplicable(MOVES),
        &[Check::new("same vector, same arc, equal capability", moved_and_shared)],
    ),
    Case::new(
        "68",
        "c60_identity_map_rehash",
        "maps by identity, enums, types; globals",
        Verdict::NotApplicable(MOVES),
        &[Check::new("map has it, locals are fresh", maps_and_locals)],
    ),
    Case::new(
        "69",
        "c59_deep_message",
        "a list of a million nodes",
        Verdict::NotApplicable(MOVES),
        &[Check::new("1000000 nodes", a_long_list)],
    ),
    Case::new(
        "70",
        "c27_unsendable",
        "32 kinds of values, 15 of which cannot be sent",
        Verdict::NotApplicable(COMPILES),
        &[],
    )
    .note("Shown by the documentation tests of `insula_testkit::unsendable`. A `ReceivePort` may move with its future, but panics where it does not belong.")
    .tests(&["a_receive_port_is_of_no_use_elsewhere"]),
    Case::new(
        "70b",
        "c84_shared_without_copy",
        "which kinds of values are shared without a copy",
        Verdict::NotApplicable(MOVES),
        &[Check::new("same vector, same arc, equal capability", moved_and_shared)],
    ),
    Case::new(
        "71",
        "c33_transferable",
        "transferable bytes: sent once, opened once",
        Verdict::NotApplicable(
            "every value is transferable, and that it is used once only the compiler holds. A send that fails gives it back",
        ),
        &[Check::new("same bytes, back again", bytes_that_come_back)],
    )
    .note("Sending twice is refused in the documentation tests of `insula_testkit::unsendable`."),
    Case::as_vm(
        "72",
        "c35_sendport_equality",
        "equality and hash of send ports, also after a round trip and after the end",
        &[Check::new("equal, same hash, others differ, found, equal after close", equal_ports)],
    ),
    Case::new(
        "73",
        "c36_zones",
        "in which zone handlers run",
        Verdict::NotApplicable("there are no zones: what a callback needs it captures"),
        &[],
    ),
    Case::new(
        "74",
        "c44_exit_transfers_ownership",
        "a big list, sent with `exit` and with `send`",
        Verdict::Different("every message moves, not just the last one"),
        &[Check::new("exit: same true, send: same true", exit_and_send_move)
            .vm("exit: same true, send: same false")],
    ),
    Case::as_vm(
        "75",
        "c55_spawn_future_before_first_message",
        "200 spawned isolates: handle or message first",
        &[Check::new("200 before, 0 after", handles_before_messages)],
    )
    .note("`spawn` returns the handle at once; there is nothing to wait for."),
    Case::as_vm(
        "76",
        "c68_run_on_many_and_exit_order",
        "100 children, paused until they have a listener, send 50 messages each",
        &[Check::new("0 of 100 too early", ends_behind_messages)],
    ),
    Case::new(
        "77",
        "c37_spawn_errors",
        "errors of spawning; names",
        Verdict::Different("a name without a given one is `isolate-` and a number, and an isolate that ended keeps its name"),
        &[Check::new("worker-7, isolate-, after the end worker-7", names)
            .vm("worker-7, child, after the end null")],
    )
    .note("What cannot be sent does not compile. `spawn_uri` is to come."),
    Case::new(
        "78",
        "c62_unsendable_control_responses",
        "what cannot be sent, as an answer to a ping or as an exit message",
        Verdict::NotApplicable(COMPILES),
        &[Check::new("resp [1, 2]", a_list_as_an_answer)],
    ),
    Case::as_vm(
        "79",
        "c31_exit_no_live_ports",
        "what keeps an isolate alive",
        &[
            Check::new("micro chain 3 done, exit", chain_of_three).part("microtasks"),
            Check::timed("fired, exit after 60 ms", |log| {
                lifetime(log, |to| drop(Timer::after(ms(60), saying(&to, "fired"))));
            })
            .part("timer"),
            Check::timed("cancelled 5s timer, exit after 20 ms", cancelled_timer)
                .part("cancelled timer"),
            Check::timed("pending, exit after 0 ms", |log| {
                lifetime(log, |to| {
                    say(&to, "pending");
                    spawn_local(std::future::pending());
                });
            })
            .part("pending future"),
            Check::timed("port closed, exit after 150 ms", open_port).part("open port"),
            Check::new("recv self, exit, external refused", a_weak_port).part("weak port"),
            Check::timed("closing, exit after 50 ms", weak_and_back).part("weak port and back"),
            Check::new("q got it, exit", queued_for_a_weak_port).part("queued for a weak port"),
        ],
    )
    .note("A port to which nobody has a sender cannot wake its isolate, and does not keep it alive."),
    Case::as_vm(
        "80",
        "c64_queue_drained_before_exit_check",
        "all ports are closed or weak, a zero timer and T(30) are pending",
        &[Check::timed("a 1, b 2, zero, thirty, exit", timers_without_ports)],
    ),
];

type OwnListener<T> = IsolateCell<Option<Listener<T>>>;

fn own<T: Send + 'static>(listener: &OwnListener<T>) -> Listener<T> {
    listener.with(|listener| listener.expect("set when the port was opened"))
}

fn a_port_closes_itself(log: Log) {
    let port = ReceivePort::new();
    let sender = port.send_port();
    // All five are queued before there is a listener, so that the close finds two of them.
    (0..5).for_each(|i| drop(sender.send(i)));
    let listener = OwnListener::new(None);
    let me = listener.clone();
    let opened = port.listen(move |i: u32| {
        log.line(i);
        if i == 2 {
            own(&me).close();
            let refused = sender.send(9).is_err_and(|error| error.into_inner() == 9);
            log.line(if refused { "closed" } else { "open" });
        }
    });
    listener.with(|place| *place = Some(opened));
}

fn closed_at_the_first(log: Log) {
    let port = ReceivePort::new();
    let sender = port.send_port();
    (1..3).for_each(|i| drop(sender.send(i)));
    let listener = OwnListener::new(None);
    let me = listener.clone();
    let opened = port.listen(move |i: u32| {
        log.line(format!("got {i}"));
        // Twice, as in the recorded program: the second time must change nothing.
        own(&me).close();
        own(&me).close();
        log.line(if sender.is_closed() { "closed" } else { "open" });
    });
    listener.with(|place| *place = Some(opened));
}

fn a_port_without_a_handler(log: Log) {
    let port = ReceivePort::new();
    let sender = port.send_port();
    let listener = port.listen(|_: &str| unreachable!("it is cleared first"));
    listener.clear();
    drop(sender.send("early"));
    Timer::run(move || {
        listener.replace(move |line| log.line(line));
        drop(sender.send("late"));
        Timer::run(move || {
            listener.close();
            listener.replace(|_| unreachable!("a closed port stays closed"));
            drop(sender.send("after"));
        });
    });
}

fn a_port_buffers(log: Log) {
    let mut port = ReceivePort::new();
    let sender = port.send_port();
    drop(sender.send("buffered 1"));
    drop(sender.send("buffered 2"));
    spawn_local(async move {
        for _ in 0..2 {
            log.line(port.recv().await.unwrap_or("nothing"));
        }
        drop(sender.send("while paused"));
        insula_core::yield_now().await;
        log.line("resume");
        log.line(port.recv().await.unwrap_or("nothing"));
        drop(port);
        log.line(if sender.is_closed() { "closed" } else { "open" });
    });
}

fn handlers_in_turn(log: Log) {
    let port = ReceivePort::new();
    let sender = port.send_port();
    (0..4).for_each(|i| drop(sender.send(i.to_string())));
    let listener = OwnListener::new(None);
    let (me, l) = (listener.clone(), log.clone());
    let opened = port.listen(move |line: String| {
        l.line(format!("h1 {line}"));
        let (second, log) = (me.clone(), l.clone());
        own(&me).replace(move |line| {
            log.line(format!("h2 {line}"));
            own(&second).clear();
        });
    });
    listener.with(|place| *place = Some(opened));
    Timer::run(move || {
        // Behind the four messages, two of which have come to a port without a handler.
        log.line("nobody drops");
        let (me, l) = (listener.clone(), log.clone());
        own(&listener).replace(move |line| {
            l.line(format!("h3 {line}"));
            own(&me).close();
        });
        drop(sender.send("z".to_owned()));
    });
}

fn the_first_message(log: Log) {
    let mut port = ReceivePort::new();
    let sender = port.send_port();
    drop(sender.send("a"));
    drop(sender.send("b"));
    spawn_local(async move {
        log.line(port.recv().await.unwrap_or("nothing"));
        drop(port);
        log.line(if sender.is_closed() { "closed" } else { "open" });
    });
}

fn no_message(log: Log) {
    let mut port = ReceivePort::<u8>::new();
    let sender = port.send_port();
    spawn_local(async move { log.line(format!("{:?}", port.recv().await)) });
    // In a later turn, so that the port waits already when its last sender goes.
    Timer::run(move || drop(sender));
}

fn a_slow_body(log: Log) {
    let mut port = ReceivePort::new();
    let sender = port.send_port();
    (0..5).for_each(|i| drop(sender.send(i)));
    spawn_local(async move {
        while let Some(i) = port.recv().await {
            log.line(format!("start {i}"));
            sleep(ms(5)).await;
            log.line(format!("end {i}"));
            if i == 2 {
                break;
            }
        }
        drop(port);
        log.line(if sender.is_closed() { "closed" } else { "open" });
    });
}

fn a_listener_that_catches(log: Log) {
    let port = ReceivePort::new();
    let sender = port.send_port();
    (0..3).for_each(|i| drop(sender.send(i)));
    port.listen(move |i: u32| {
        log.line(format!("got {i}"));
        if let Err(report) = catch_panic(|| assert!(i != 1, "e1")) {
            log.line(format!("caught {}", report.message()));
        }
    });
}

fn one_sender_three_ports(log: Log) {
    let seen = IsolateCell::new(Vec::new());
    let senders: Vec<_> = (0..3)
        .map(|_| {
            let (port, seen) = (ReceivePort::new(), seen.clone());
            let sender = port.send_port();
            port.listen(move |i: usize| seen.with(|seen| seen.push(i)));
            sender
        })
        .collect();
    let ends = ReceivePort::new();
    let end = ends.send_port();
    ends.listen(move |()| {
        let seen = seen.with(std::mem::take);
        let in_order = seen.iter().copied().eq(0..seen.len());
        log.line(format!(
            "{} {}",
            seen.len(),
            if in_order { "in order" } else { "mixed up" }
        ));
        log.line("exit last");
    });
    let entry = |senders: Vec<SendPort<usize>>| {
        (0..3000).for_each(|i| drop(senders[i * 7 % 3].send(i)));
    };
    Isolate::builder()
        .on_exit(&end, |_| ())
        .spawn(entry, senders);
}

fn four_senders(log: Log) {
    let mut port = ReceivePort::new();
    for sender in 0..4_usize {
        let entry =
            move |to: SendPort<(usize, u32)>| (0..2000).for_each(|i| drop(to.send((sender, i))));
        Isolate::spawn(entry, port.send_port());
    }
    spawn_local(async move {
        let (mut next, mut count, mut wrong) = ([0; 4], 0, 0);
        while let Some((sender, i)) = port.recv().await {
            count += 1;
            wrong += u32::from(i != next[sender]);
            next[sender] = i + 1;
        }
        log.line(format!("{count} with {wrong} out of order"));
    });
}

/// Sends a message to a child that sends it back.
async fn round_trip<T: Send + 'static>(message: T) -> T {
    let mut port = ReceivePort::new();
    let entry = |(to, message): (SendPort<T>, T)| drop(to.send(message));
    Isolate::spawn(entry, (port.send_port(), message));
    port.recv().await.expect("the child sends it back")
}

fn moved_and_shared(log: Log) {
    spawn_local(async move {
        let vector = vec![1, 2];
        let place = vector.as_ptr().addr();
        let back = round_trip(vector).await;
        let same = back.as_ptr().addr() == place;
        log.line(if same {
            "same vector"
        } else {
            "a copied vector"
        });
        let arc = Arc::new(1);
        let same = Arc::ptr_eq(&arc, &round_trip(arc.clone()).await);
        log.line(if same { "same arc" } else { "another arc" });
        let capability = Capability::new();
        let equal = round_trip(capability).await == capability && capability != Capability::new();
        log.line(if equal {
            "equal capability"
        } else {
            "another capability"
        });
    });
}

insula_core::isolate_local! {
    static GLOBAL: std::cell::Cell<u32> = std::cell::Cell::new(0);
}

fn maps_and_locals(log: Log) {
    spawn_local(async move {
        let key = Arc::new(1);
        let map = HashMap::from([(Arc::as_ptr(&key).addr(), "value")]);
        let (map, key) = round_trip((map, key)).await;
        let has = map.contains_key(&Arc::as_ptr(&key).addr());
        log.line(if has { "map has it" } else { "map lacks it" });
        GLOBAL.with(|global| global.set(42));
        let child = Isolate::run(|| GLOBAL.with(std::cell::Cell::get)).await;
        log.line(if child == Ok(0) {
            "locals are fresh"
        } else {
            "locals are shared"
        });
    });
}

struct Node(Option<Box<Node>>);

fn a_long_list(log: Log) {
    spawn_local(async move {
        let mut list = None;
        for _ in 0..1_000_000 {
            list = Some(Box::new(Node(list)));
        }
        let (mut list, mut count) = (round_trip(list).await, 0);
        // Node by node: the drop of the whole list would recurse a million times and overflow the
        // stack.
        while let Some(node) = list {
            count += 1;
            list = node.0;
        }
        log.line(format!("{count} nodes"));
    });
}

fn bytes_that_come_back(log: Log) {
    spawn_local(async move {
        let bytes = vec![7; 1 << 20].into_boxed_slice();
        let place = bytes.as_ptr().addr();
        let bytes = round_trip(bytes).await;
        log.line(if bytes.as_ptr().addr() == place {
            "same bytes"
        } else {
            "a copy"
        });
        let port = ReceivePort::new();
        let sender = port.send_port();
        drop(port);
        let back = sender
            .send(bytes)
            .map_err(insula_core::SendError::into_inner);
        let same = back.is_err_and(|bytes| bytes.as_ptr().addr() == place);
        log.line(if same { "back again" } else { "lost" });
    });
}

fn equal_ports(log: Log) {
    spawn_local(async move {
        let (port, other) = (ReceivePort::<u8>::new(), ReceivePort::<u8>::new());
        let first = port.send_port();
        let back = round_trip(first.clone()).await;
        // One for both, since each has keys of its own.
        let hasher = RandomState::new();
        let words = [
            (back == first && port.send_port() == first, "equal"),
            (
                hasher.hash_one(&back) == hasher.hash_one(&first),
                "same hash",
            ),
            (other.send_port() != first, "others differ"),
            (
                HashMap::from([(first.clone(), 1)]).get(&back) == Some(&1),
                "found",
            ),
        ];
        words
            .iter()
            .for_each(|(holds, word)| log.line(if *holds { word } else { "not so" }));
        drop(port);
        log.line(if back == first {
            "equal after close"
        } else {
            "not so"
        });
    });
}

fn exit_and_send_move(log: Log) {
    // An address, since a pointer cannot be sent.
    type Big = (usize, Vec<f64>);
    fn big() -> Big {
        let list = vec![1.5; 100_000];
        (list.as_ptr().addr(), list)
    }
    async fn is_same(entry: fn(SendPort<Big>)) -> bool {
        let mut port = ReceivePort::new();
        Isolate::spawn(entry, port.send_port());
        let message = port.recv().await;
        message.is_some_and(|(place, list)| list.as_ptr().addr() == place)
    }
    spawn_local(async move {
        let same = is_same(|to| Isolate::exit(&to, big())).await;
        log.line(format!("exit: same {same}"));
        let same = is_same(|to| drop(to.send(big()))).await;
        log.line(format!("send: same {same}"));
    });
}

fn handles_before_messages(log: Log) {
    let mut port = ReceivePort::new();
    let mut handles = HashMap::new();
    for i in 0..200 {
        let entry = |(to, i): (SendPort<u32>, u32)| drop(to.send(i));
        handles.insert(i, Isolate::spawn(entry, (port.send_port(), i)));
    }
    spawn_local(async move {
        let (mut before, mut after) = (0, 0);
        while let Some(i) = port.recv().await {
            *(if handles.contains_key(&i) {
                &mut before
            } else {
                &mut after
            }) += 1;
        }
        log.line(format!("{before} before"));
        log.line(format!("{after} after"));
    });
}

fn ends_behind_messages(log: Log) {
    let mut port = ReceivePort::new();
    for i in 0..100 {
        let entry =
            move |to: SendPort<(usize, bool)>| (0..50).for_each(|_| drop(to.send((i, false))));
        let to = port.send_port();
        let isolate = Isolate::builder().paused().spawn(entry, to.clone());
        isolate.add_exit_listener(&to, move |_| (i, true));
        isolate.resume(
            isolate
                .pause_capability()
                .expect("the spawner's handle has it"),
        );
    }
    spawn_local(async move {
        let (mut counts, mut early) = ([0; 100], 0);
        while let Some((i, is_end)) = port.recv().await {
            if is_end {
                early += u32::from(counts[i] != 50);
            } else {
                counts[i] += 1;
            }
        }
        log.line(format!("{early} of 100 too early"));
    });
}

fn names(log: Log) {
    let named = Isolate::builder().name("worker-7").spawn(|()| (), ());
    let unnamed = Isolate::spawn(|()| (), ());
    spawn_local(async move {
        log.line(named.name());
        let name = unnamed.name();
        // The number depends on the isolates that the process has made before.
        log.line(name.trim_end_matches(|c: char| c.is_ascii_digit()));
        named.exited().await;
        log.line(format!("after the end {}", named.name()));
    });
}

fn a_list_as_an_answer(log: Log) {
    let port = ReceivePort::new();
    let to = port.send_port();
    let (l, isolate) = (log, Isolate::builder().paused().spawn(|()| (), ()));
    port.listen(move |list: Vec<u32>| l.line(format!("resp [{}]", join(&list))));
    isolate.ping_port(&to, vec![1, 2], Priority::Immediate);
    // Before it was ever resumed: an answer to a ping needs no code of the isolate.
    isolate.kill_at(Priority::Immediate);
}

/// Joins numbers for a log line, in which ", " separates lines.
fn join(list: &[u32]) -> String {
    let texts: Vec<_> = list.iter().map(ToString::to_string).collect();
    texts.join(", ")
}

fn chain_of_three(log: Log) {
    fn link(to: Lines, done: u32) {
        if done == 3 {
            say(&to, "micro chain 3 done");
        } else {
            schedule_microtask(move || link(to, done + 1));
        }
    }
    let to = lines(&log);
    child(&log, &to).spawn(|to| link(to, 0), to);
}

/// Logs how long a child lived.
fn lifetime(log: Log, entry: fn(Lines)) {
    let to = lines(&log);
    let begin = insula_core::Instant::now();
    let tell = move |_: &_| {
        let lived = insula_core::Instant::now() - begin;
        format!("exit after {} ms", lived.as_millis())
    };
    Isolate::builder().on_exit(&to, tell).spawn(entry, to);
}

fn cancelled_timer(log: Log) {
    lifetime(log, |to| {
        let long = Timer::after(ms(5000), || unreachable!("it is cancelled"));
        Timer::after(ms(20), move || {
            long.cancel();
            say(&to, "cancelled 5s timer");
        });
    });
}

fn open_port(log: Log) {
    lifetime(log, |to| {
        let port = ReceivePort::<u8>::new();
        let sender = port.send_port();
        Timer::after(ms(150), move || {
            drop(port);
            say(&to, "port closed");
            drop(sender);
        });
    });
}

fn a_weak_port(log: Log) {
    let ports = ReceivePort::new();
    let parent = ports.send_port();
    let to = lines(&log);
    let entry = |(to, parent): (Lines, SendPort<SendPort<&'static str>>)| {
        let port = ReceivePort::new();
        port.let_isolate_end();
        let own = port.send_port();
        drop(own.send("self"));
        drop(parent.send(own));
        port.listen(move |line| say(&to, format!("recv {line}")));
    };
    let isolate = child(&log, &to).spawn(entry, (to, parent));
    ports.listen(move |sender: SendPort<&str>| {
        let (ends, log) = (ReceivePort::new(), log.clone());
        isolate.add_exit_listener(&ends.send_port(), |_| ());
        ends.listen(move |()| {
            let refused = sender.send("external").is_err();
            log.line(if refused {
                "external refused"
            } else {
                "external sent"
            });
        });
    });
}

fn weak_and_back(log: Log) {
    lifetime(log, |to| {
        let port = ReceivePort::<u8>::new();
        let sender = port.send_port();
        port.let_isolate_end();
        port.keep_isolate_alive();
        Timer::after(ms(50), move || {
            say(&to, "closing");
            drop(port);
            drop(sender);
        });
    });
}

fn queued_for_a_weak_port(log: Log) {
    let to = lines(&log);
    let entry = |to: Lines| {
        let (p, q) = (ReceivePort::<()>::new(), ReceivePort::<()>::new());
        let (to_p, to_q) = (p.send_port(), q.send_port());
        q.let_isolate_end();
        let listener = OwnListener::new(None);
        let me = listener.clone();
        let opened = p.listen(move |()| own(&me).close());
        listener.with(|place| *place = Some(opened));
        q.listen(move |()| say(&to, "q got it"));
        drop(to_p.send(()));
        drop(to_q.send(()));
    };
    child(&log, &to).spawn(entry, to);
}

fn timers_without_ports(log: Log) {
    let to = lines(&log);
    let entry = |to: Lines| {
        let (a, b) = (ReceivePort::new(), ReceivePort::new());
        let (to_a, to_b) = (a.send_port(), b.send_port());
        b.let_isolate_end();
        let listener = OwnListener::new(None);
        let (me, out) = (listener.clone(), to.clone());
        let opened = a.listen(move |i: u32| {
            own(&me).close();
            say(&out, format!("a {i}"));
        });
        listener.with(|place| *place = Some(opened));
        let out = to.clone();
        b.listen(move |i: u32| say(&out, format!("b {i}")));
        drop(to_a.send(1));
        drop(to_b.send(2));
        Timer::run(saying(&to, "zero"));
        Timer::after(ms(30), saying(&to, "thirty"));
    };
    child(&log, &to).spawn(entry, to);
}
