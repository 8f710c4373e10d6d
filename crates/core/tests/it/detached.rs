//! Risk: a question is asked in an isolate and awaited under `block_on`, while the isolate handles
//! no records: its answer is lost, or another record is, or the order of the others changes.

use std::future::{Future, poll_fn};
use std::sync::mpsc;
use std::task::Poll;
use std::time::Duration;

use insula_core::{
    Ask, AskError, Handled, Isolate, NativePort, Priority, ReceivePort, ReplyTo, RootIsolate,
    Runtime, SendPort, block_on, one_shot, sleep, yield_now,
};

use crate::watchdog::ends;

type Question<R> = (R, ReplyTo<R>);

/// Answers at once with what it gets.
fn echo<R: Send + 'static>() -> SendPort<Question<R>> {
    Isolate::spawn_with_port(|port: ReceivePort<Question<R>>| {
        port.listen(|(value, reply)| reply.send(value));
    })
}

/// Polls a future once.
async fn once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(std::pin::Pin::new(&mut *future).poll(cx))).await
}

#[test]
fn every_question_may_be_awaited_under_block_on() {
    ends(|| {
        let answers = Isolate::run(|| {
            let other = Isolate::spawn_with_port(|port: ReceivePort<()>| port.listen(drop));
            let native = |(n, reply): Question<u64>| reply.send(n);
            let native = NativePort::new("native", native, 1);
            let isolate = Isolate::spawn(async |()| sleep(Duration::from_secs(3600)).await, ());
            let ping = block_on(isolate.ping(Priority::Immediate));
            isolate.kill();
            drop(other);
            (
                block_on(echo().ask(|reply| (7u64, reply))),
                block_on(echo().ask(|reply| ([7u64; 20], reply))),
                block_on(native.ask(|reply| (7, reply))),
                ping,
            )
        });
        let expected = (Ok(7), Ok([7; 20]), Ok(7), Ok(()));
        assert_eq!(answers.wait(), Ok(expected));
        // In a task, in a callback of a timer, and in the isolate of a host.
        let in_task = Isolate::run_async(async || {
            yield_now().await;
            block_on(echo().ask(|reply| (7u64, reply)))
        });
        assert_eq!(in_task.wait(), Ok(Ok(7)));
        let mut root = RootIsolate::builder("root").create();
        let in_root = root.enter(|_| block_on(echo().ask(|reply| (7u64, reply))));
        assert_eq!(in_root, Some(Ok(7)));
        while root.handle_message() == Handled::More {}
    });
}

/// The answer has come before the wait, or comes later; behind it, before it and between several
/// of them lie other messages, large and small, of which each has its turn afterwards.
#[test]
fn answers_go_ahead_and_everything_else_keeps_its_order() {
    ends(|| {
        let many = if cfg!(miri) { 10 } else { 2000 };
        for (before, after) in [(0, 0), (1, 0), (0, 1), (3, 5), (many, many)] {
            let result = Isolate::run_async(async move || {
                let mut numbers = ReceivePort::<u64>::new();
                let mut large = ReceivePort::<[u64; 5]>::new();
                let (to_numbers, to_large) = (numbers.send_port(), large.send_port());
                let (asked, questions) = mpsc::channel::<ReplyTo<u64>>();
                let (told, answered) = mpsc::channel();
                let answerer = std::thread::spawn(move || {
                    let send = |range: std::ops::Range<u64>| {
                        for n in range {
                            to_numbers.send(n).unwrap();
                            to_large.send([n; 5]).unwrap();
                        }
                    };
                    let first = questions.recv().unwrap();
                    let second = questions.recv().unwrap();
                    let late = questions.recv().unwrap();
                    send(0..before);
                    first.send(1);
                    send(before..before + after);
                    second.send(2);
                    told.send(()).unwrap();
                    // Most often it is waited for by then; it is answered either way.
                    std::thread::sleep(Duration::from_millis(5));
                    late.send(3);
                });
                let inbox = Isolate::spawn_with_port(move |port: ReceivePort<ReplyTo<u64>>| {
                    port.listen(move |reply| asked.send(reply).unwrap());
                });
                let mut asks: Vec<Ask<u64>> = (0..3).map(|_| inbox.ask(|reply| reply)).collect();
                let late = asks.pop().unwrap();
                let second = asks.pop().unwrap();
                let first = asks.pop().unwrap();
                answered.recv().unwrap();
                let answers = (block_on(second), block_on(first), block_on(late));
                let mut all = Vec::new();
                for _ in 0..before + after {
                    let (n, of_large) = (numbers.recv().await, large.recv().await);
                    assert_eq!(of_large, n.map(|n| [n; 5]));
                    all.extend(n);
                }
                answerer.join().unwrap();
                (answers, all, numbers.recv().await)
            });
            let (answers, all, end) = result.wait().unwrap();
            assert_eq!(answers, (Ok(2), Ok(1), Ok(3)));
            assert_eq!(all, (0..before + after).collect::<Vec<_>>());
            assert_eq!(end, None);
        }
    });
}

#[test]
fn a_question_that_is_dropped_ends_the_wait() {
    ends(|| {
        let (early, late) = (
            Isolate::spawn_with_port(|port: ReceivePort<ReplyTo<u32>>| port.listen(drop)),
            Isolate::spawn_with_port(|port: ReceivePort<ReplyTo<u32>>| {
                port.listen(|reply| {
                    insula_core::Timer::after(Duration::from_millis(5), move || drop(reply));
                });
            }),
        );
        let answers = Isolate::run(move || {
            let dropped = early.ask(|reply| reply);
            // Behind the question's end.
            let _ = early.ask_blocking(|reply| reply, None);
            (block_on(dropped), block_on(late.ask(|reply| reply)))
        });
        let none = Err(AskError::NoReply);
        assert_eq!(answers.wait(), Ok((none, none)));
    });
}

/// Polled under `block_on` without an answer, then awaited in the isolate, or given up.
#[test]
fn a_detached_question_is_as_any_other() {
    ends(|| {
        let counted = std::sync::Arc::new(());
        let value = counted.clone();
        let result = Isolate::run_async(async move || {
            let (to, questions) = one_shot::<SendPort<ReplyTo<std::sync::Arc<()>>>>();
            let (go, wait) = mpsc::channel::<()>();
            Isolate::spawn(
                move |()| {
                    let port = ReceivePort::<ReplyTo<std::sync::Arc<()>>>::new();
                    to.send(port.send_port());
                    port.listen(move |reply| {
                        let _ = wait.recv();
                        reply.send(value.clone());
                    });
                },
                (),
            );
            let port = questions.await.unwrap();
            let mut asks: Vec<_> = (0..2).map(|_| port.ask(|reply| reply)).collect();
            for ask in &mut asks {
                assert!(block_on(once(ask)).is_pending());
            }
            let (kept, given_up) = (asks.remove(0), asks.remove(0));
            drop(given_up);
            go.send(()).unwrap();
            go.send(()).unwrap();
            let answer = kept.await.is_ok();
            drop((port, go));
            answer
        });
        assert_eq!(result.wait(), Ok(true));
        while std::sync::Arc::strong_count(&counted) != 1 {
            std::thread::yield_now();
        }
    });
}

/// The answer comes when the isolate that asked is no more, to the thread that got the question.
#[test]
fn a_detached_question_outlives_its_isolate() {
    ends(|| {
        let (to, questions) = one_shot::<ReplyTo<u32>>();
        let ask = Isolate::run(move || {
            let inbox = Isolate::spawn_with_port(move |port: ReceivePort<ReplyTo<u32>>| {
                let mut to = Some(to);
                port.listen(move |reply| {
                    if let Some(to) = to.take() {
                        to.send(reply);
                    }
                });
            });
            let mut ask = inbox.ask(|reply| reply);
            assert!(block_on(once(&mut ask)).is_pending());
            ask
        });
        let ask = ask.wait().unwrap();
        let reply = questions.wait().unwrap();
        let mut ask = ask;
        assert!(block_on(once(&mut ask)).is_pending());
        std::thread::spawn(move || reply.send(7));
        assert_eq!(block_on(ask), Ok(7));
    });
}

/// Answers race with the registration: none is lost.
#[test]
fn no_answer_is_lost_between_two_looks() {
    ends(|| {
        let runtime = Runtime::builder().threads(3).build();
        let _entered = runtime.enter();
        let port = echo::<u64>();
        let isolates: Vec<_> = (0..2)
            .map(|_| {
                let port = port.clone();
                Isolate::run(move || {
                    (0..crate::MANY)
                        .map(|n| block_on(port.ask(|reply| (n, reply))).unwrap())
                        .sum::<u64>()
                })
            })
            .collect();
        for isolate in isolates {
            assert_eq!(isolate.wait(), Ok((0..crate::MANY).sum()));
        }
        drop(port);
        runtime.shut_down();
    });
}
