//! Risk: a wait for a result, an answer or room never ends, because the parties that could end it
//! wait for the waiter.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use insula_core::{
    AskBlockingError, ExitReason, Isolate, IsolateId, NoReply, ReceivePort, Reply, ReplyTo,
    RunError, Runtime, SendBlockingError, SendPort, WaitError, block_on, block_on_by, catch_panic,
    one_shot, sleep,
};
use insula_sync::Mutex;

use crate::mailbox::{names, run_in};
use crate::watchdog;

/// The number of tries where the outcome depends on a race; fewer under Miri.
const TIMES: u32 = if cfg!(miri) { 2 } else { 50 };

const FOREVER: Duration = Duration::from_secs(1 << 20);

/// The second wait is refused, be it that of the computation for its question or that of its
/// parent.
#[test]
fn a_computation_and_its_parent_never_wait_for_each_other() {
    let runtime = Runtime::builder().threads(2).build();
    for _ in 0..TIMES {
        let (_, ended) = run_in(&runtime, "parent", || {
            let port = ReceivePort::<ReplyTo<u8>>::new();
            let parent = port.send_port();
            Isolate::run(move || parent.ask_blocking(|reply| reply, None)).wait()
        });
        match ended.wait().expect("nobody is killed") {
            Ok(Err(AskBlockingError::Wait(WaitError::Deadlock(deadlock)))) => {
                assert_eq!(names(&deadlock)[1..], ["parent"]);
            }
            Err(RunError::Wait(WaitError::Deadlock(deadlock))) => {
                assert_eq!(names(&deadlock)[..1], ["parent"]);
            }
            other => panic!("{other:?}"),
        }
    }
    runtime.shut_down();
}

#[test]
fn a_computation_that_waits_for_nobody_is_waited_for() {
    let runtime = Runtime::builder().threads(1).build();
    let (_, ended) = run_in(&runtime, "parent", || {
        Isolate::run(|| Isolate::run(|| 5).wait()).wait()
    });
    assert_eq!(ended.wait(), Ok(Ok(Ok(5))));
    runtime.shut_down();
}

#[test]
fn a_kill_ends_the_wait_for_a_computation_and_the_computation() {
    let runtime = Runtime::builder().threads(2).build();
    let (answer, computation) = one_shot();
    let (parent, _ended) = run_in(&runtime, "parent", || {
        let run = Isolate::run_async(async || insula_core::sleep(FOREVER).await);
        answer.send(run.isolate().clone());
        run.wait()
    });
    let computation = computation.wait().expect("the parent tells");
    parent.kill();
    assert_eq!(runtime.block_on(parent.exited()), ExitReason::Killed);
    assert_eq!(runtime.block_on(computation.exited()), ExitReason::Killed);
    runtime.shut_down();
}

#[test]
fn two_who_fill_each_others_ports_are_not_both_let_wait() {
    let runtime = Runtime::builder().threads(2).build();
    for _ in 0..TIMES {
        let sides = ["left", "right"].map(|name| {
            let (answer, port) = one_shot();
            let (other, others) = one_shot::<SendPort<u32>>();
            let (_, ended) = run_in(&runtime, name, move || {
                let port = ReceivePort::<u32>::bounded(1);
                answer.send(port.send_port());
                let other = others.wait().expect("the test tells");
                let sent = (other.send_blocking(1), other.send_blocking(2));
                drop(port);
                sent
            });
            (port.wait().expect("the side tells"), other, ended)
        });
        let [(left, to_left, left_ended), (right, to_right, right_ended)] = sides;
        to_left.send(right);
        to_right.send(left);
        let mut refused = Vec::new();
        for ended in [left_ended, right_ended] {
            match ended.wait().expect("nobody is killed") {
                (Ok(()), Err(SendBlockingError::Wait(2, WaitError::Deadlock(who)))) => {
                    refused.push(who.names.len());
                }
                // A refused isolate ends, and its port closes.
                (Ok(()), Err(SendBlockingError::Closed(2))) => {}
                (Err(SendBlockingError::Closed(1)), _) => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(refused, [2]);
    }
    runtime.shut_down();
}

#[test]
fn who_fills_the_own_port_gets_the_message_back() {
    let runtime = Runtime::builder().threads(1).build();
    let (_, ended) = run_in(&runtime, "hermit", || {
        let port = ReceivePort::<u32>::bounded(1);
        let own = port.send_port();
        (own.send_blocking(1), own.send_blocking(2), port)
    });
    let (first, second, _port) = ended.wait().expect("nobody is killed");
    assert_eq!(first, Ok(()));
    let error = second.expect_err("nobody could make room");
    assert_eq!(
        error.to_string(),
        "the port is full: the wait would never end: hermit waits for hermit"
    );
    assert_eq!(error.into_inner(), 2);
    runtime.shut_down();
}

/// No thread runs the isolate that is waited for on a seeded runtime.
#[test]
fn a_seeded_runtime_refuses() {
    let runtime = Runtime::builder().seeded(1).build();
    let result =
        runtime.block_on(async { Isolate::run_async(async || Isolate::run(|| 1).wait()).await });
    assert_eq!(result, Ok(Err(RunError::Wait(WaitError::Seeded))));
    runtime.shut_down();
}

/// Nothing of it is left behind for the isolate that was to be asked.
#[test]
fn a_question_that_a_seeded_runtime_refuses_is_not_asked() {
    let runtime = Runtime::builder().seeded(1).build();
    let entered = runtime.enter();
    let port = Isolate::spawn_with_port(|port: ReceivePort<ReplyTo<u8>>| {
        port.listen(|reply| reply.send(1));
    });
    let mut is_asked = false;
    let question = |reply| (is_asked = true, reply).1;
    let refused = port.ask_blocking(question, None);
    assert_eq!(refused, Err(AskBlockingError::Wait(WaitError::Seeded)));
    assert!(!is_asked);
    drop(entered);
    runtime.shut_down();
    // What needs no wait is not refused.
    let _entered = runtime.enter();
    let ended = port.ask_blocking(|reply| reply, None);
    assert!(matches!(ended, Err(AskBlockingError::Ask(_))));
}

/// The text of the panic by which a wait on a seeded runtime is refused.
fn refusal<R>(wait: impl FnOnce() -> R) -> Option<String> {
    let report = catch_panic(wait).err()?;
    Some(report.message().to_owned())
}

#[test]
fn a_seeded_runtime_refuses_to_block_on_a_future() {
    let seen = watchdog::ends(|| {
        let runtime = Runtime::builder().seeded(1).build();
        let refusals = || {
            vec![
                refusal(|| block_on(sleep(FOREVER))),
                refusal(|| block_on(Isolate::run(|| 1))),
                refusal(|| {
                    let (answer, reply) = one_shot();
                    Isolate::spawn(move |()| answer.send(1), ());
                    reply.wait()
                }),
            ]
        };
        let inside = runtime.block_on(async move { Isolate::run(refusals).await });
        let mut seen = inside.expect("it catches the panics");
        seen.extend(runtime.block_on(async { refusals() }));
        let entered = runtime.enter();
        seen.extend(refusals());
        drop(entered);
        runtime.shut_down();
        seen
    });
    let text = WaitError::Seeded.to_string();
    assert!(text.contains("await instead"));
    assert_eq!(seen, vec![Some(text); 9]);
}

/// A future that is ready needs no wait.
#[test]
fn a_seeded_runtime_blocks_on_what_is_ready() {
    let runtime = Runtime::builder().seeded(1).build();
    let ready = || {
        let (answer, reply) = one_shot();
        answer.send(1);
        let mut polls = 0;
        let busy = std::future::poll_fn(|cx| {
            polls += 1;
            cx.waker().wake_by_ref();
            if polls < 3 {
                Poll::Pending
            } else {
                Poll::Ready(polls)
            }
        });
        (reply.wait(), block_on(busy))
    };
    let inside = runtime.block_on(async move { Isolate::run(ready).await });
    assert_eq!(inside, Ok((Ok(1), 3)));
    assert_eq!(runtime.block_on(async { ready() }), (Ok(1), 3));
    runtime.shut_down();
}

/// A panic would abort there.
#[test]
fn a_reply_ends_in_an_unwinding_on_a_seeded_runtime() {
    struct Waits(Option<Reply<u8>>, Arc<Mutex<Option<Result<u8, NoReply>>>>);

    impl Drop for Waits {
        fn drop(&mut self) {
            *self.1.lock() = self.0.take().map(Reply::wait);
        }
    }

    let seen = watchdog::ends(|| {
        let runtime = Runtime::builder().seeded(1).build();
        let seen = Arc::new(Mutex::new(None));
        let told = seen.clone();
        let run = async move || {
            let (answer, reply) = one_shot();
            Isolate::spawn(move |()| answer.send(1), ());
            let _waits = Waits(Some(reply), told);
            panic!("on purpose");
        };
        let result: Result<(), _> = runtime.block_on(async { Isolate::run_async(run).await });
        assert!(matches!(result, Err(RunError::Panicked(_))));
        runtime.shut_down();
        *seen.lock()
    });
    assert_eq!(seen, Some(Err(NoReply)));
}

/// They run on threads of their own, whether or not a seeded runtime does.
#[test]
fn a_seeded_runtime_lets_a_runtime_with_threads_be_waited_for() {
    watchdog::ends(|| {
        let seeded = Runtime::builder().seeded(1).build();
        let threaded = Runtime::builder().threads(1).build();
        let outer = threaded.clone();
        // Awaited, from an isolate; and blocked on, outside of isolates.
        let inside = threaded.clone();
        let awaited = async move || {
            let spawned = Isolate::builder().runtime(&inside).spawn(|()| (), ());
            spawned.exited().await
        };
        let reason = seeded.block_on(async { Isolate::run_async(awaited).await });
        assert_eq!(reason, Ok(ExitReason::Finished));
        let blocked = async move { outer.block_on(async { Isolate::run(|| 1).await }) };
        assert_eq!(seeded.block_on(blocked), Ok(1));
        // The end of a runtime with threads depends on no other one.
        let sleeping = Isolate::builder()
            .runtime(&threaded)
            .spawn(async |()| sleep(FOREVER).await, ());
        let closing = threaded.clone();
        let closed = async { Isolate::run(move || closing.shut_down()).await };
        assert_eq!(seeded.block_on(closed), Ok(()));
        assert_eq!(threaded.isolate_count(), 0);
        assert_eq!(seeded.block_on(sleeping.exited()), ExitReason::Killed);
        seeded.shut_down();
    });
}

/// A future that is woken all the time, until at last for a reason.
#[derive(Clone, Default)]
struct Nervous(Arc<Mutex<(bool, Option<Waker>)>>);

impl Nervous {
    fn wake(&self, is_done: bool) {
        let waker = {
            let mut state = self.0.lock();
            state.0 |= is_done;
            state.1.clone()
        };
        waker.into_iter().for_each(Waker::wake);
    }
}

impl Future for Nervous {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let new = Some(cx.waker().clone());
        let mut state = self.0.lock();
        let before = std::mem::replace(&mut state.1, new);
        let is_done = state.0;
        drop(state);
        drop(before);
        if is_done {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

/// While it is woken it seems not to wait, so that the other one does not see it; then it has to
/// see the other one.
#[test]
fn who_was_woken_for_nothing_looks_again() {
    let runtime = Runtime::builder().threads(2).build();
    for _ in 0..TIMES {
        let future = Nervous::default();
        let (other, others) = one_shot::<IsolateId>();
        let (answer, port) = one_shot();
        let (_, waited) = run_in(&runtime, "nervous", {
            let future = future.clone();
            move || {
                let port = ReceivePort::<ReplyTo<u8>>::new();
                answer.send(port.send_port());
                let other = others.wait().expect("the test tells");
                block_on_by(future, other, None)
            }
        });
        let port = port.wait().expect("it tells");
        let is_over = Arc::new(AtomicBool::new(false));
        let disturber = std::thread::spawn({
            let (future, is_over) = (future.clone(), is_over.clone());
            move || {
                while !is_over.load(Ordering::Relaxed) {
                    future.wake(false);
                }
            }
        });
        let (calm, asked) = run_in(&runtime, "calm", move || {
            let asked = port.ask_blocking(|reply| reply, None);
            future.wake(true);
            asked
        });
        other.send(calm.id());
        let ends = (waited.wait(), asked.wait());
        is_over.store(true, Ordering::Relaxed);
        disturber.join().expect("it only wakes");
        match ends {
            (Ok(Err(WaitError::Deadlock(_))), Ok(Err(AskBlockingError::Ask(_)))) => {}
            (Ok(Ok(())), Ok(Err(AskBlockingError::Wait(WaitError::Deadlock(_))))) => {}
            other => panic!("{other:?}"),
        }
    }
    runtime.shut_down();
}

/// A time-out is an end, and so is refused only where it would close a circle.
#[test]
fn a_limited_wait_ends_in_time() {
    let runtime = Runtime::builder().threads(1).build();
    let (_, waited) = run_in(&runtime, "patient", || {
        let never = Nervous::default();
        let idle = Isolate::spawn(async |()| insula_core::sleep(FOREVER).await, ());
        block_on_by(never, idle.id(), Some(Duration::from_millis(5)))
    });
    assert_eq!(waited.wait(), Ok(Err(WaitError::TimedOut)));
    runtime.shut_down();
}

/// A result that comes between the last look and the end of the time is not lost.
#[test]
fn a_result_that_comes_when_the_time_is_over_is_returned() {
    let idle = Isolate::spawn(async |()| insula_core::sleep(FOREVER).await, ());
    let mut is_there = false;
    let late = std::future::poll_fn(|_| {
        if std::mem::replace(&mut is_there, true) {
            Poll::Ready(7)
        } else {
            Poll::Pending
        }
    });
    let waited = block_on_by(late, idle.id(), Some(Duration::ZERO));
    assert_eq!(waited, Ok(7));
    idle.kill();
}
