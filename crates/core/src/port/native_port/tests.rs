//! Risk: messages are lost or wait forever where handlers block or panic, threads cannot be
//! started, or the port closes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use insula_sync::atomic::{AtomicUsize, Ordering};
use insula_sync::{Condvar, Mutex};

use super::NativePort;
use super::state::{Call, State};
use crate::inspect::{NativePortSnapshot, native_ports};
use crate::{Runtime, SendError};

/// Posts of one thread; fewer under Miri, which is slow.
const MANY: usize = if cfg!(miri) { 50 } else { 5000 };

/// Blocks handlers until it is opened.
#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    changed: Condvar,
}

impl Gate {
    fn pass(&self) {
        let mut open = self.open.lock();
        while !*open {
            open = self.changed.wait(open);
        }
    }

    fn open(&self) {
        *self.open.lock() = true;
        self.changed.notify_all();
    }
}

/// Waits for a condition that other threads must make true.
fn until(what: &str, condition: impl Fn() -> bool) {
    let patience = Duration::from_secs(if cfg!(miri) { 600 } else { 20 });
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < patience, "never: {what}");
        std::thread::yield_now();
    }
}

#[test]
fn messages_start_in_the_order_in_which_they_were_posted() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (log, port) = (seen.clone(), "order");
    let port = NativePort::new(port, move |n: usize| log.lock().push(n), 1);
    for n in 0..MANY {
        assert_eq!(port.post(n), Ok(()));
    }
    until("all are handled", || seen.lock().len() == MANY);
    assert!(seen.lock().iter().copied().eq(0..MANY));
}

#[test]
fn a_port_that_closes_calls_the_threads_that_sleep() {
    let mut state = State::new(2, 2);
    for number in 1..=2 {
        assert_eq!(state.post(number), Ok(Call::NewThread(number)));
        assert!(state.take().is_some_and(|(_, call)| call == Call::Nobody));
    }
    for _ in 0..2 {
        state.handled(Duration::ZERO);
        assert!(state.take().is_none() && state.sleep());
    }
    assert_eq!(state.threads(), 2);
    assert!(!state.is_called());
    assert!(state.close() && !state.close());
    for _ in 0..2 {
        assert!(state.is_called(), "it sleeps on");
        assert!(state.wake_up() && state.take().is_none() && !state.sleep());
    }
    assert_eq!(state.threads(), 0);
}

#[test]
fn a_thread_that_could_not_be_started_leaves_its_place() {
    let mut state = State::new(1, 1);
    for number in 1..=3 {
        assert_eq!(state.post(number), Ok(Call::NewThread(number)));
        assert_eq!(state.start_failed(), [number]);
        assert_eq!((state.threads(), state.waiting()), (0, 0));
    }
    // The message waits if another thread can take it.
    let mut state = State::new(2, 2);
    assert_eq!(state.post(1), Ok(Call::NewThread(1)));
    assert!(state.take().is_some());
    assert_eq!(state.post(2), Ok(Call::NewThread(2)));
    assert!(state.start_failed().is_empty());
    assert_eq!((state.threads(), state.waiting()), (1, 1));
    state.handled(Duration::ZERO);
    assert!(state.take().is_some_and(|(message, _)| message == 2));
}

#[test]
fn as_many_as_allowed_run_at_once_and_the_others_wait() {
    let gate = Arc::new(Gate::default());
    let held = gate.clone();
    let port = NativePort::new("limit", move |_: u32| held.pass(), 3);
    for n in 0..5 {
        assert_eq!(port.post(n), Ok(()));
    }
    until("three run", || port.running() == 3);
    assert_eq!((port.waiting(), port.threads()), (2, 3));
    gate.open();
    until("nothing is left", || {
        port.running() == 0 && port.waiting() == 0
    });
    assert!(port.threads() <= 3);
}

#[test]
fn a_closed_port_handles_what_it_has_and_gives_the_rest_back() {
    let gate = Arc::new(Gate::default());
    let handled = Arc::new(AtomicUsize::new(0));
    let (held, count) = (gate.clone(), handled.clone());
    let handler = move |_: u32| {
        held.pass();
        count.fetch_add(1, Ordering::SeqCst);
    };
    let port = NativePort::new("close", handler, 2);
    for n in 0..8 {
        assert_eq!(port.post(n), Ok(()));
    }
    assert!(port.close());
    assert!(!port.close());
    assert_eq!(port.post(9), Err(SendError::Closed(9)));
    gate.open();
    until("all eight are handled", || {
        handled.load(Ordering::SeqCst) == 8
    });
    until("the threads end", || port.threads() == 0);
}

#[test]
fn the_last_handle_closes_the_port() {
    let handled = Arc::new(AtomicUsize::new(0));
    let count = handled.clone();
    let handler = move |n: usize| {
        count.fetch_add(n, Ordering::SeqCst);
    };
    let port = NativePort::new("handles", handler, 2);
    let other = port.clone();
    drop(port);
    assert_eq!(other.post(7), Ok(()));
    drop(other);
    // The last thread drops the handler, and with it the second reference.
    until("the port is gone", || Arc::strong_count(&handled) == 1);
    assert_eq!(handled.load(Ordering::SeqCst), 7);
}

#[test]
fn a_panic_ends_its_message_alone() {
    let handled = Arc::new(AtomicUsize::new(0));
    let count = handled.clone();
    let handler = move |n: u32| {
        assert!(n != 1, "on purpose");
        count.fetch_add(1, Ordering::SeqCst);
    };
    let port = NativePort::new("panic", handler, 1);
    for n in 0..3 {
        assert_eq!(port.post(n), Ok(()));
    }
    until("the others are handled", || {
        handled.load(Ordering::SeqCst) == 2
    });
}

#[test]
fn short_messages_do_not_hide_one_that_blocks() {
    let gate = Arc::new(Gate::default());
    let held = gate.clone();
    let handled = Arc::new(AtomicUsize::new(0));
    let count = handled.clone();
    let handler = move |blocks: bool| {
        if blocks {
            held.pass();
        }
        count.fetch_add(1, Ordering::SeqCst);
    };
    let port = NativePort::new("mixed", handler, 16);
    let between = if cfg!(miri) { 5 } else { 100 };
    let all = 20 * between;
    for n in 1..=all {
        // Fifteen messages block; the sixteenth thread takes the others.
        assert_eq!(port.post(n % between == 0 && n <= 15 * between), Ok(()));
    }
    until("all short ones are handled", || {
        handled.load(Ordering::SeqCst) == all - 15
    });
    // Waits, because a message is counted as running for a moment after it has been handled.
    until("only those that block run", || {
        (port.running(), port.waiting()) == (15, 0)
    });
    gate.open();
    until("all are handled", || handled.load(Ordering::SeqCst) == all);
}

#[test]
fn posts_from_many_threads_are_all_handled() {
    let sum = Arc::new(AtomicUsize::new(0));
    let total = sum.clone();
    let handler = move |n: usize| {
        total.fetch_add(n, Ordering::SeqCst);
    };
    let port = NativePort::new("many", handler, 4);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..MANY).for_each(|n| port.post(n).expect("open")));
        }
    });
    let expected = 4 * (0..MANY).sum::<usize>();
    until("the sum is right", || {
        sum.load(Ordering::SeqCst) == expected
    });
}

/// Returns what is listed of a port.
fn listed(name: &str) -> Option<NativePortSnapshot> {
    let mut ports = native_ports(usize::MAX).into_iter();
    ports.find(|port| &*port.name == name)
}

#[test]
fn a_port_is_listed_with_its_messages_until_it_is_dropped() {
    let gate = Arc::new(Gate::default());
    let handler = {
        let gate = gate.clone();
        move |()| gate.pass()
    };
    let port = NativePort::new("listed", handler, 2);
    let new = listed("listed").expect("it is there");
    assert!(new.is_open);
    assert_eq!((new.waiting, new.running, new.threads), (0, 0, 0));
    assert_eq!((new.max_concurrent, new.started_total), (2, 0));
    for _ in 0..5 {
        port.post(()).expect("it is open");
    }
    until("two messages run", || port.running() == 2);
    let busy = listed("listed").expect("it is there");
    assert_eq!(
        (busy.number, busy.waiting, busy.threads),
        (new.number, 3, 2)
    );
    assert_eq!((busy.running, busy.started_total), (2, 2));
    // One that is closed is there as long as its messages are handled.
    port.close();
    drop(port);
    assert!(!listed("listed").expect("it is there").is_open);
    gate.open();
    until("it is gone", || listed("listed").is_none());
}

#[test]
fn messages_on_virtual_time_are_counted() {
    let runtime = Runtime::builder().seeded(1).build();
    let port = NativePort::new("counted", |()| (), 1);
    runtime.block_on(async {
        for _ in 0..3 {
            port.post(()).expect("it is open");
        }
    });
    assert_eq!(listed("counted").map(|port| port.started_total), Some(3));
    runtime.shut_down();
}

#[test]
fn ports_are_listed_while_others_are_opened_and_dropped() {
    let rounds = MANY / 10;
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..rounds {
                    drop(NativePort::new("brief", |()| (), 1));
                }
            });
        }
        for _ in 0..rounds {
            // The list may be the last that holds one of them, and drops it.
            let numbers: Vec<_> = native_ports(usize::MAX)
                .iter()
                .map(|it| it.number)
                .collect();
            assert!(numbers.is_sorted());
            assert!(native_ports(1).len() <= 1);
        }
    });
    // Another test may hold one for a moment.
    until("they are gone", || listed("brief").is_none());
}
