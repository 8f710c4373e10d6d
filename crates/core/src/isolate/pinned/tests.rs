//! Risk: a pinned isolate ends before its last sender has woken its thread, and the sender then
//! wakes a home that has been freed.
//!
//! A pinned isolate's thread also looks at the lane without being woken, so it may run the isolate
//! as soon as a sender has scheduled it, before the sender has called `wake`. Here the isolate has
//! a home with a notify callback, which stops the sender inside of `wake`: the callback lets the
//! thread run the isolate to its end and returns when the thread has dropped what it held.

use std::future::poll_fn;
use std::sync::{Arc, OnceLock, Weak, mpsc};
use std::task::{Poll, Waker};

use insula_sync::Mutex;
use insula_sync::atomic::{AtomicBool, Ordering};

use super::{Current, Home, Isolate, New, Pinned, ReceivePort, Runtime, Settings, run_scheduled};
use crate::port::reply::ask_by;
use crate::{ReplyTo, SendPort};

/// Starts an isolate with `make` and, once it is idle, ends it with `last`. Checks that this wakes
/// it once, and that the home still exists after the isolate has ended.
fn the_home_outlasts_the_wake_up<T: Send + 'static>(
    make: impl FnOnce(Pinned) -> T + Send + 'static,
    last: impl FnOnce(T),
) {
    let runtime = Runtime::builder().threads(1).build();
    let is_last = Arc::new(AtomicBool::new(false));
    let place = Arc::new(OnceLock::<Weak<Home>>::new());
    let homes = {
        let place = place.clone();
        move || place.get().map_or(0, Weak::strong_count)
    };
    let (mark, marks) = mpsc::channel();
    let (ends, ended) = mpsc::channel::<()>();
    let (saw, seen) = mpsc::channel();
    let notify = {
        let (is_last, homes, ended) = (is_last.clone(), homes.clone(), Mutex::new(ended));
        move || {
            mark.send(()).expect("the isolate has not ended");
            if is_last.load(Ordering::SeqCst) {
                assert!(ended.lock().recv().is_err());
                saw.send(homes()).expect("the test waits for it");
            }
        }
    };
    let home = Arc::new(Home::embedder(Box::new(notify)));
    place.set(Arc::downgrade(&home)).expect("set once");
    let new = New::create(&runtime, Some(home.clone()), Settings::default());
    let isolate = new.handle();
    let driven = isolate.0.clone();
    let thread = std::thread::spawn(move || {
        while !driven.lane.is_dead() {
            marks.recv().expect("it has not ended");
            run_scheduled(&driven, &home);
        }
        drop((driven, home));
        drop(ends);
    });
    let (made, thing) = mpsc::channel();
    new.start(move |_: Current<'_>| {
        made.send(make(Pinned::here()))
            .expect("the test waits for it");
    });
    let thing = thing.recv().expect("the entry makes it");
    while isolate.0.lane.peek_scheduled() != Some(false) {
        std::thread::yield_now();
    }
    drop(isolate);
    is_last.store(true, Ordering::SeqCst);
    last(thing);
    thread.join().expect("it drives an isolate");
    let homes_then = seen.recv().expect("it was woken");
    assert_ne!(homes_then, 0, "the home was freed while it was woken");
    assert_eq!(homes(), 0, "the home is kept");
    runtime.shut_down();
}

fn open_port(_: Pinned) -> SendPort<u8> {
    let port = ReceivePort::new();
    let sender = port.send_port();
    port.listen(|_| ());
    sender
}

/// Makes the isolate wait for an answer, and for nothing else. Returns the right to answer.
fn ask(here: Pinned) -> ReplyTo<u8> {
    let (asked, question) = mpsc::channel();
    let ask = ask_by(
        |answer| answer,
        0,
        |answer| {
            asked.send(answer).expect("the channel is open");
            Ok(())
        },
    );
    here.spawn_local(async move { _ = ask.await });
    question.recv().expect("it was asked")
}

/// Spawns a task that waits only for its waker.
fn wait_to_be_woken(here: Pinned) -> mpsc::Receiver<Waker> {
    let (waits, wakers) = mpsc::channel();
    let mut is_woken = false;
    here.spawn_local(poll_fn(move |cx| {
        if std::mem::replace(&mut is_woken, true) {
            return Poll::Ready(());
        }
        waits
            .send(cx.waker().clone())
            .expect("the test has the other end");
        Poll::Pending
    }));
    wakers
}

#[test]
fn the_last_sender_that_goes_wakes_a_home_that_is_there() {
    the_home_outlasts_the_wake_up(open_port, drop);
}

#[test]
fn an_answer_wakes_a_home_that_is_there() {
    the_home_outlasts_the_wake_up(ask, |question| question.send(1));
}

#[test]
fn a_question_that_is_dropped_wakes_a_home_that_is_there() {
    the_home_outlasts_the_wake_up(ask, drop);
}

/// Wakers, handles and receivers keep the home by keeping the isolate.
#[test]
fn wakers_and_handles_wake_a_home_that_is_there() {
    let waker = |wakers: mpsc::Receiver<Waker>| wakers.recv().expect("it waits");
    the_home_outlasts_the_wake_up(wait_to_be_woken, |wakers| waker(wakers).wake());
    the_home_outlasts_the_wake_up(wait_to_be_woken, |wakers| drop(waker(wakers)));
    let with_handle = |here| (open_port(here), Isolate::current());
    the_home_outlasts_the_wake_up(with_handle, |(_port, isolate)| {
        isolate.expect("it is there").kill();
    });
    let with_receiver = |_| {
        let port = ReceivePort::<u8>::new();
        (port.send_port(), port)
    };
    the_home_outlasts_the_wake_up(with_receiver, |(_sender, port)| drop(port));
}
