//! Risk: a wait for an answer never ends, or gets the answer to another question.

use std::sync::Arc;
use std::time::Duration;

use insula_core::{
    Ask, AskError, Isolate, NoReply, ReceivePort, ReplyTo, Runtime, SendPort, block_on, one_shot,
    sleep, spawn_local, yield_now,
};

use crate::trace::for_each_seed;

struct Question(u64, ReplyTo<u64>);

fn doubler() -> SendPort<Question> {
    Isolate::spawn_with_port(|port: ReceivePort<Question>| {
        port.listen(|Question(n, reply)| reply.send(2 * n))
    })
}

#[test]
fn an_answer_comes_back_to_isolates_and_to_threads() {
    let port = doubler();
    assert_eq!(block_on(port.ask(|reply| Question(4, reply))), Ok(8));
    let sum = Isolate::run_async(async move || {
        let mut sum = 0;
        for n in 0..1000 {
            sum += port.ask(|reply| Question(n, reply)).await.unwrap();
        }
        sum
    });
    assert_eq!(sum.wait(), Ok(999_000));
}

#[test]
fn many_questions_at_once_get_each_its_own_answer() {
    for_each_seed(
        || async {
            let port = doubler();
            let mut done = ReceivePort::new();
            for n in 0..200 {
                let (port, done) = (port.clone(), done.send_port());
                spawn_local(async move {
                    let answer = port.ask(|reply| Question(n, reply)).await;
                    done.send(answer == Ok(2 * n)).unwrap();
                });
            }
            let mut right = 0;
            while let Some(true) = done.recv().await {
                right += 1;
            }
            right
        },
        |right| assert_eq!(right, Ok(200)),
    );
}

#[test]
fn a_large_answer_moves_too() {
    struct Fetch(ReplyTo<[u64; 64]>);
    let port = Isolate::spawn_with_port(|port: ReceivePort<Fetch>| {
        port.listen(|Fetch(reply)| reply.send(std::array::from_fn(|i| i as u64)))
    });
    let last = Isolate::run_async(async move || port.ask(Fetch).await.unwrap()[63]);
    assert_eq!(last.wait(), Ok(63));
}

#[test]
fn a_question_that_is_dropped_ends() {
    for_each_seed(
        || async {
            let dropper = Isolate::spawn_with_port(|port: ReceivePort<Question>| port.listen(drop));
            let dropped = dropper.ask(|reply| Question(1, reply)).await;
            let panicker = Isolate::spawn_with_port(|port: ReceivePort<Question>| {
                port.listen(|_| panic!("expected by the test"))
            });
            let panicked = panicker.ask(|reply| Question(1, reply)).await;
            // Its isolate is dead by now, or dies with this one in its queue.
            let later = panicker.ask(|reply| Question(2, reply)).await;
            (dropped, panicked, later.is_err())
        },
        |result| {
            assert_eq!(
                result,
                Ok((Err(AskError::NoReply), Err(AskError::NoReply), true))
            );
        },
    );
}

#[test]
fn a_full_port_refuses_a_question() {
    let runtime = Runtime::builder().seeded(1).build();
    let port = Isolate::builder()
        .runtime(&runtime)
        .bounded(1)
        .spawn_with_port(|port: ReceivePort<Question>| async move {
            sleep(Duration::from_secs(1)).await;
            drop(port);
        });
    let first = port.ask(|reply| Question(1, reply));
    let second = port.ask(|reply| Question(2, reply));
    assert_eq!(runtime.block_on(second), Err(AskError::Full));
    assert_eq!(runtime.block_on(first), Err(AskError::NoReply));
    runtime.shut_down();
}

#[test]
fn nobody_minds_an_answer_that_comes_too_late() {
    for_each_seed(
        || async {
            let slow = Isolate::spawn_with_port(|mut port: ReceivePort<Question>| async move {
                while let Some(Question(n, reply)) = port.recv().await {
                    yield_now().await;
                    reply.send(n);
                }
            });
            for n in 0..50 {
                let ask: Ask<u64> = slow.ask(|reply| Question(n, reply));
                if n % 2 == 0 {
                    drop(ask);
                } else {
                    assert_eq!(ask.await, Ok(n));
                }
            }
        },
        |result| assert_eq!(result, Ok(())),
    );
}

/// An answer counts on the isolate that waits for it. One that comes to an isolate that ends
/// gives that count back, and with it the isolate's memory and its hold on the runtime.
#[test]
fn an_answer_that_is_discarded_frees_its_isolate() {
    let witness = Arc::new(());
    let held = witness.clone();
    let runtime = Runtime::builder()
        .seeded(1)
        .around_threads(move |run| {
            let _held = &held;
            run();
        })
        .build();
    let asker = Isolate::builder().runtime(&runtime).spawn(
        async |()| {
            let mut port = ReceivePort::new();
            let sender = port.send_port();
            let _small = sender.ask(|reply| Question(1, reply));
            let Some(Question(_, reply)) = port.recv().await else {
                unreachable!("it was sent");
            };
            Isolate::current().unwrap().kill();
            // Behind the kill, which comes first.
            reply.send(2);
        },
        (),
    );
    runtime.block_on(asker.exited());
    runtime.shut_down();
    drop((asker, runtime));
    assert_eq!(Arc::strong_count(&witness), 1, "something is left");
}

#[test]
#[expect(
    clippy::async_yields_async,
    reason = "the question leaves its isolate unanswered"
)]
fn a_question_that_leaves_its_isolate_is_forgotten() {
    let runtime = Runtime::builder().seeded(4).build();
    let ask = runtime.block_on(async {
        Isolate::run_async(async || {
            let silent = Isolate::spawn_with_port(|mut port: ReceivePort<Question>| async move {
                let _kept = port.recv().await;
                std::future::pending::<()>().await;
            });
            silent.ask(|reply| Question(1, reply))
        })
        .await
    });
    drop(ask);
    runtime.run_until_idle();
    runtime.shut_down();
    assert_eq!(runtime.isolate_count(), 0);
}

#[test]
fn one_shot_between_threads() {
    let (answer, question) = one_shot();
    let thread = std::thread::spawn(move || question.wait());
    answer.send("hello");
    assert_eq!(thread.join().unwrap(), Ok("hello"));
    let (answer, question) = one_shot::<u8>();
    drop(answer);
    assert_eq!(question.wait(), Err(NoReply));
    let (answer, question) = one_shot();
    drop(question);
    answer.send(1);
}
