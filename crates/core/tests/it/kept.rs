//! Risk: what gave up waiting, or was taken back, stays: memory grows with each round, and so
//! does the time to go through it.
//!
//! Each test does the same round over and over on a seeded runtime, which this thread drives
//! alone, and counts the bytes that this thread has allocated and not freed.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::future::{Future, pending};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Waker};
use std::time::Duration;

use crate::child::in_child;
use insula_core::{
    BlockingCallback, ConditionVariable, Isolate, IsolateGroup, IsolateNameServer, Mailbox,
    Priority, RawMutex, ReceivePort, ReplyTo, Runtime, SendPort, Timer, UncaughtError, one_shot,
    rendezvous, sleep, spawn_local,
};

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
}

/// The system's allocator, which also counts for each thread.
struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

fn count(bytes: isize) {
    // At the end of a thread its count is gone, and of no use.
    let _ = LIVE.try_with(|live| live.set(live.get() + bytes));
}

// SAFETY: the system's allocator does the work; the count has no influence on it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size().cast_signed());
        // SAFETY: by the caller's word.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(-layout.size().cast_signed());
        // SAFETY: by the caller's word.
        unsafe { System.dealloc(memory, layout) }
    }
}

const ROUNDS: usize = if cfg!(miri) { 150 } else { 1000 };

/// Bytes that `ROUNDS` rounds leave behind, once tables have grown to what a round needs.
fn kept(runtime: &Runtime, mut round: impl FnMut()) -> isize {
    let _entered = runtime.enter();
    let mut run = || {
        for _ in 0..ROUNDS {
            round();
            runtime.run_until_idle();
        }
        LIVE.get()
    };
    let before = run();
    run() - before
}

fn runtime() -> Runtime {
    Runtime::builder().seeded(1).build()
}

fn poll_once(future: impl Future) {
    let future = pin!(future);
    drop(future.poll(&mut Context::from_waker(Waker::noop())));
}

/// An isolate that lives for as long as the port does, and drops its messages.
fn sink<T: Send + 'static>(runtime: &Runtime) -> (Isolate, SendPort<T>) {
    let builder = Isolate::builder().runtime(runtime);
    builder.spawn_pair(|port: ReceivePort<T>| {
        port.listen(drop);
    })
}

/// Returns the bytes that an isolate keeps when `round` runs in a turn of it, over and over.
fn kept_in_isolate(round: impl FnMut() + Send + 'static) -> isize {
    let runtime = runtime();
    let mut round = round;
    let port = Isolate::builder()
        .runtime(&runtime)
        .spawn_with_port(move |port: ReceivePort<()>| {
            port.listen(move |()| round());
        });
    let kept = kept(&runtime, || port.send(()).expect("it lives"));
    drop(port);
    runtime.shut_down();
    kept
}

#[test]
fn who_no_longer_waits_for_an_end_is_forgotten() {
    let runtime = runtime();
    let (isolate, _port) = sink::<()>(&runtime);
    assert_eq!(kept(&runtime, || poll_once(isolate.exited())), 0);
    runtime.shut_down();
}

// The tests of names run in processes of their own: a name that another test registers sweeps the
// table, and frees on its own thread what was counted here.

#[test]
fn a_name_that_was_taken_back_is_forgotten() {
    in_child(|| {
        let runtime = runtime();
        let (_isolate, port) = sink::<()>(&runtime);
        let name = "a name that was taken back";
        let register = || {
            IsolateNameServer::register(name, &port).unwrap();
            assert!(IsolateNameServer::remove(name));
        };
        assert_eq!(kept(&runtime, register), 0);
        runtime.shut_down();
    });
}

#[test]
fn a_name_that_passes_from_a_closed_port_to_another_is_kept_once() {
    in_child(|| {
        let name = "a name that passes on";
        let kept = kept_in_isolate(move || {
            let port = ReceivePort::<()>::new();
            IsolateNameServer::register(name, &port.send_port()).unwrap();
        });
        IsolateNameServer::remove(name);
        assert_eq!(kept, 0);
    });
}

/// Nothing would find it, and it would go with its isolate at the earliest.
#[test]
fn a_closed_port_gets_no_name() {
    in_child(|| {
        let mut serial = 0;
        let kept = kept_in_isolate(move || {
            let port = ReceivePort::<()>::new();
            let sender = port.send_port();
            drop(port);
            serial += 1;
            let name = format!("a name of a closed port, {serial}");
            assert_eq!(IsolateNameServer::register(name.as_str(), &sender), Ok(()));
            assert!(!IsolateNameServer::remove(&name));
            let name = format!("another name of a closed port, {serial}");
            assert_eq!(IsolateNameServer::register(name, &sender), Ok(()));
        });
        assert_eq!(kept, 0);
    });
}

#[test]
fn listeners_that_were_taken_back_are_forgotten() {
    let runtime = runtime();
    let (isolate, _port) = sink::<()>(&runtime);
    let (_ends, ends) = sink::<u8>(&runtime);
    let (_errors, errors) = sink::<UncaughtError>(&runtime);
    let round = || {
        isolate.add_exit_listener(&ends, |_| 1);
        isolate.add_exit_listener(&ends, |_| 2);
        isolate.remove_exit_listener(&ends);
        isolate.add_error_listener(&errors);
        isolate.add_error_listener(&errors);
        isolate.remove_error_listener(&errors);
    };
    assert_eq!(kept(&runtime, round), 0);
    runtime.shut_down();
}

/// No code removes such a listener, and the isolate may live as long as the process.
#[test]
fn listeners_whose_ports_are_closed_are_forgotten() {
    let runtime = runtime();
    let (isolate, port) = sink::<()>(&runtime);
    let watched = isolate.clone();
    let builder = Isolate::builder().runtime(&runtime);
    let watcher = builder.spawn_with_port(move |port: ReceivePort<()>| {
        port.listen(move |()| {
            drop(watched.errors());
            let ends = ReceivePort::<u8>::new();
            watched.add_exit_listener(&ends.send_port(), |_| 1);
        });
    });
    let round = || watcher.send(()).expect("it lives");
    assert_eq!(kept(&runtime, round), 0);
    drop(port);
    runtime.shut_down();
}

#[test]
fn names_whose_ports_are_closed_are_forgotten() {
    in_child(|| {
        let mut serial = 0;
        let kept = kept_in_isolate(move || {
            serial += 1;
            let port = ReceivePort::<()>::new();
            let name = format!("a name whose port is closed, {serial}");
            IsolateNameServer::register(name, &port.send_port()).unwrap();
        });
        // How much a sweep has left depends on the round that it came in. Without sweeps the table
        // keeps some hundred bytes for each of the rounds.
        assert!(kept < 16 * ROUNDS.cast_signed(), "{kept} bytes");
    });
}

#[test]
fn a_sender_that_gave_up_is_forgotten() {
    let runtime = runtime();
    let port = Isolate::builder()
        .runtime(&runtime)
        .bounded(1)
        .spawn_with_port(|port: ReceivePort<u8>| async move {
            let _port = port;
            pending::<()>().await;
        });
    port.send(1).unwrap();
    assert_eq!(kept(&runtime, || poll_once(port.send_wait(2))), 0);
    runtime.shut_down();
}

#[test]
fn a_question_that_nobody_waits_for_is_forgotten() {
    let runtime = runtime();
    let (isolate, port) = sink::<ReplyTo<u8>>(&runtime);
    let round = || {
        poll_once(port.ask(|reply| reply));
        poll_once(isolate.ping(Priority::Immediate));
        let (_answer, reply) = one_shot::<u8>();
        poll_once(reply);
    };
    assert_eq!(kept(&runtime, round), 0);
    runtime.shut_down();
    let asks = kept_in_isolate(|| {
        let port = ReceivePort::<ReplyTo<u8>>::new();
        let sender = port.send_port();
        poll_once(sender.ask(|reply| reply));
        let listener = port.listen(|reply| reply.send(1));
        poll_once(sender.ask(|reply| reply));
        listener.close();
    });
    assert_eq!(asks, 0);
}

#[test]
fn time_that_nobody_waits_for_is_forgotten() {
    let runtime = runtime();
    let hour = Duration::from_secs(3600);
    assert_eq!(kept(&runtime, || poll_once(sleep(hour))), 0);
    runtime.shut_down();
    let in_isolate = kept_in_isolate(move || {
        poll_once(sleep(hour));
        assert!(Timer::after(hour, || ()).cancel());
        assert!(Timer::run(|| ()).cancel());
        assert!(Timer::periodic(hour, |_, _| ()).cancel());
    });
    assert_eq!(in_isolate, 0);
    // Each is due before the one that the runtime knew of.
    let mut due = 2 * hour;
    let earlier_and_earlier = kept_in_isolate(move || {
        due -= Duration::from_millis(1);
        assert!(Timer::after(due, || ()).cancel());
    });
    assert_eq!(earlier_and_earlier, 0);
}

#[test]
fn ports_and_tasks_that_ended_are_forgotten() {
    let kept = kept_in_isolate(|| {
        let mut port = ReceivePort::bounded(4);
        port.set_name("short-lived");
        let sender = port.send_port();
        sender.send(1).unwrap();
        poll_once(port.recv());
        spawn_local(async move {
            assert_eq!(port.recv().await, Some(1));
            let second = sender.send_wait(2);
            let _ = sender.send(3);
            drop(second);
        });
        ReceivePort::<()>::new().listen(drop).close();
    });
    assert_eq!(kept, 0);
}

#[test]
fn isolates_that_ended_are_forgotten() {
    let runtime = runtime();
    let group = IsolateGroup::new("round");
    let round = || {
        let isolate = Isolate::builder()
            .runtime(&runtime)
            .group(&group)
            .name("short-lived")
            .spawn(|()| (), ());
        let pause = isolate.pause();
        isolate.resume(pause);
        poll_once(isolate.exited());
        poll_once(isolate.why_alive());
        drop(Isolate::run(|| 1));
        runtime.run_until_idle();
        assert_eq!(runtime.isolate_count(), 0);
    };
    assert_eq!(kept(&runtime, round), 0);
    runtime.shut_down();
}

/// The listener's port may belong to the isolate itself, which it would keep.
#[test]
fn a_listener_for_errors_that_comes_after_the_last_one_is_not_kept() {
    let runtime = runtime();
    let (_isolate, port) = sink::<()>(&runtime);
    let round = || {
        let builder = Isolate::builder().runtime(&runtime);
        let listens = |_: &_| {
            let own = Isolate::current().expect("it is being torn down");
            own.errors().listen(drop);
        };
        builder.on_exit(&port, listens).spawn(|()| (), ());
    };
    assert_eq!(kept(&runtime, round), 0);
    runtime.shut_down();
}

#[test]
fn pauses_that_were_taken_back_are_forgotten() {
    let runtime = runtime();
    let (isolate, _port) = sink::<()>(&runtime);
    let round = || {
        let pause = isolate.pause();
        runtime.run_until_idle();
        isolate.resume(pause);
    };
    assert_eq!(kept(&runtime, round), 0);
    runtime.shut_down();
}

/// The end of the isolate would have to tell them all.
#[test]
fn an_attached_end_that_is_dropped_is_forgotten() {
    let this = Isolate::spawn(|()| (), ());
    let kept = kept_in_isolate(move || {
        let mailbox = Mailbox::<u8>::new();
        let other = mailbox.clone();
        for _ in 0..2 {
            mailbox.attach();
            other.attach();
        }
        let (requester, responder) = rendezvous::<u8, u8>();
        requester.attach();
        requester.peer_is(&this);
        responder.attach();
        responder.peer_is(&this);
    });
    assert_eq!(kept, 0);
}

/// On a seeded runtime each wait is refused, after the waiter has joined the row.
#[test]
fn a_wait_for_a_lock_or_a_mailbox_that_was_given_up_is_forgotten() {
    let (lock, condition, mailbox) = (RawMutex::new(), ConditionVariable::new(), Mailbox::new());
    let other = mailbox.clone();
    let kept = kept_in_isolate(move || {
        lock.lock().expect("it is free");
        assert!(lock.lock().is_err());
        assert!(condition.wait_raw(&lock, Some(Duration::MAX)).is_err());
        assert!(lock.try_lock());
        lock.unlock().expect("it was taken");
        assert!(mailbox.take().is_err());
        mailbox.try_put(1).expect("there is room");
        assert!(other.put(2).is_err());
        assert_eq!(other.try_take(), Ok(1));
    });
    assert_eq!(kept, 0);
}

/// Handles come and go; a mailbox knows those that are there.
#[test]
fn handles_of_a_mailbox_that_are_dropped_are_forgotten() {
    let mailbox = Mailbox::<u8>::new();
    let kept = kept_in_isolate(move || drop(mailbox.clone()));
    assert_eq!(kept, 0);
}

/// The refusal names the isolate; the panic of the argument's destructor must not keep it.
#[test]
fn a_call_that_is_refused_keeps_nothing_if_its_argument_panics_when_dropped() {
    struct Panics;
    impl Drop for Panics {
        fn drop(&mut self) {
            resume_unwind(Box::new(()));
        }
    }
    let callback = Arc::new(OnceLock::new());
    let kept = kept_in_isolate(move || {
        let callback = callback.get_or_init(|| BlockingCallback::new(drop::<Panics>));
        assert!(catch_unwind(AssertUnwindSafe(|| callback.call(Panics))).is_err());
    });
    assert_eq!(kept, 0);
}
