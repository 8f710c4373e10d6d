//! Risk: a kill, a wait or an error that reaches an isolate while its stack unwinds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use insula_core::{
    AskBlockingError, BlockingCallback, CallbackError, CallbackReply, ErrorPolicy, ExitReason,
    Isolate, LockError, Mailbox, MailboxError, Mutex, NoReply, Priority, ReceivePort, ReplyTo,
    RunError, Runtime, SendBlockingError, Timer, WaitError, checkpoint, one_shot, rendezvous,
    schedule_microtask, sleep, spawn_local, try_checkpoint,
};

use super::{Join, LONG, OnDrop, end_of, ignore, shut_down, until};
use crate::child::in_child;

/// Spawns an isolate that panics, and whose destructor waits for a computation that never ends.
/// Returns when it waits.
fn waits_while_it_unwinds(runtime: &Runtime) -> Isolate {
    let (started, starts) = one_shot();
    let isolate = Isolate::builder().runtime(runtime).spawn(
        move |()| {
            let computation = Isolate::run_async(async move || {
                started.send(());
                sleep(LONG * 1000).await;
            });
            let _join = Join(Some(computation));
            if true {
                panic!("bug");
            }
        },
        (),
    );
    assert_eq!(starts.wait(), Ok(()));
    isolate
}

#[test]
fn a_kill_ends_a_wait_of_a_destructor_while_the_stack_unwinds() {
    in_child(|| {
        let runtime = Runtime::builder().threads(2).build();
        let isolate = waits_while_it_unwinds(&runtime);
        isolate.kill();
        assert!(matches!(end_of(&isolate), ExitReason::Panicked(_)));
        shut_down(&runtime);
    });
}

#[test]
fn a_shutdown_ends_a_wait_of_a_destructor_while_the_stack_unwinds() {
    in_child(|| {
        let runtime = Runtime::builder().threads(2).build();
        let isolate = waits_while_it_unwinds(&runtime);
        shut_down(&runtime);
        assert!(matches!(end_of(&isolate), ExitReason::Panicked(_)));
    });
}

#[test]
fn control_messages_are_handled_while_the_stack_unwinds() {
    in_child(|| {
        let runtime = Runtime::builder().threads(2).build();
        let isolate = waits_while_it_unwinds(&runtime);
        let pong = insula_core::block_on(isolate.ping(Priority::Immediate));
        assert_eq!(pong, Ok(()));
        let _alive = insula_core::block_on(isolate.why_alive());
        let capability = isolate.pause();
        isolate.resume(capability);
        let two = isolate.run_at(Priority::Immediate, || 2);
        assert_eq!(two.wait(), Ok(2));
        let exits = isolate.run_at(Priority::Immediate, || Isolate::exit_silently());
        assert!(matches!(exits.wait(), Err(NoReply)));
        assert!(matches!(end_of(&isolate), ExitReason::Panicked(_)));
        shut_down(&runtime);
    });
}

/// Such a function's panic has a stack under it that unwinds already.
#[test]
fn a_posted_function_that_panics_while_the_stack_unwinds_is_an_error_of_the_isolate() {
    in_child(|| {
        let runtime = Runtime::builder().threads(2).build();
        let isolate = waits_while_it_unwinds(&runtime);
        let bug = isolate.run_at(Priority::Immediate, || panic!("second bug"));
        assert_eq!(bug.wait(), Err(NoReply));
        assert!(matches!(end_of(&isolate), ExitReason::Panicked(_)));
        shut_down(&runtime);
    });
}

/// As above, where errors do not end the isolate: it goes on with its next event.
#[test]
fn an_isolate_that_survives_errors_survives_them_while_its_stack_unwinds() {
    in_child(|| {
        let runtime = Runtime::builder().threads(2).build();
        let (mailbox, there) = (Mailbox::<()>::new(), Mailbox::<()>::new());
        let (other, is_there) = (mailbox.clone(), there.clone());
        let (isolate, port) = Isolate::builder()
            .runtime(&runtime)
            .error_policy(ErrorPolicy::Continue)
            .spawn_pair(move |port: ReceivePort<ReplyTo<u8>>| {
                port.listen(|reply| reply.send(5));
                schedule_microtask(move || {
                    let _wait = OnDrop::new(move || {
                        is_there.put(()).expect("there is room");
                        other.take().expect("there will be a message");
                    });
                    panic!("bug");
                });
            });
        there.take().expect("the destructor tells");
        let bug = isolate.run_at(Priority::Immediate, || panic!("second bug"));
        assert_eq!(bug.wait(), Err(NoReply));
        mailbox.put(()).expect("there is room");
        assert_eq!(port.ask_blocking(|reply| reply, Some(LONG)), Ok(5));
        shut_down(&runtime);
    });
}

/// Everything that begins when the isolate is ending already, while its stack unwinds.
#[test]
#[expect(clippy::too_many_lines, reason = "one of each kind")]
fn waits_of_a_killed_isolate_end_with_an_error_while_its_stack_unwinds() {
    in_child(|| {
        let runtime = Runtime::builder().threads(2).build();
        let done = Arc::new(AtomicBool::new(false));
        let is_done = done.clone();
        let (tell_mutex, mutex) = one_shot();
        let locked = Arc::new(Mutex::new(()));
        let held = locked.clone();
        let holder = std::thread::spawn(move || {
            let _guard = held.lock().expect("it is free");
            tell_mutex.send(());
            until("the others are done", || is_done.load(Ordering::SeqCst));
        });
        mutex.wait().expect("it is told");
        let to_end = done.clone();
        let isolate = Isolate::builder().runtime(&runtime).spawn(
            move |()| {
                let silent =
                    Isolate::builder().spawn_with_port(|port: ReceivePort<ReplyTo<()>>| {
                        let mut all = Vec::new();
                        port.listen(move |reply| all.push(reply));
                    });
                let full = Isolate::builder()
                    .bounded(1)
                    .spawn_with_port(async |_port: ReceivePort<u8>| sleep(LONG * 1000).await);
                full.send(1).expect("there is room for one");
                let (answer, callback) = one_shot();
                Isolate::spawn(
                    move |()| {
                        let mut kept = Vec::new();
                        let wait = move |(), reply: CallbackReply<()>| kept.push(reply);
                        answer.send(BlockingCallback::<(), ()>::with_reply(wait));
                    },
                    (),
                );
                let callback = callback.wait().expect("it is made");
                let _waits = OnDrop::new(move || {
                    checkpoint();
                    assert!(try_checkpoint().is_err());
                    assert!(try_checkpoint().is_err());
                    let run = Isolate::run_async(async || sleep(LONG * 1000).await).wait();
                    assert_eq!(run, Err(RunError::Wait(WaitError::Ending)));
                    let answer = silent.ask_blocking(|reply| reply, None);
                    assert_eq!(answer, Err(AskBlockingError::Wait(WaitError::Ending)));
                    let sent = full.send_blocking(2);
                    assert_eq!(sent, Err(SendBlockingError::Wait(2, WaitError::Ending)));
                    let (_answer, question) = one_shot::<()>();
                    assert_eq!(question.wait(), Err(NoReply));
                    assert_eq!(
                        callback.call(()),
                        Err(CallbackError::Wait(WaitError::Ending))
                    );
                    let mailbox = Mailbox::<u8>::new();
                    let _peer = mailbox.clone();
                    assert_eq!(mailbox.take(), Err(MailboxError::Wait(WaitError::Ending)));
                    let (requester, responder) = rendezvous::<u8, u8>();
                    assert_eq!(
                        responder.receive(),
                        Err(MailboxError::Wait(WaitError::Ending))
                    );
                    let unanswered = requester.request(1).expect_err("nobody answers");
                    assert_eq!(unanswered.error, MailboxError::Wait(WaitError::Ending));
                    assert_eq!(
                        locked.lock().err(),
                        Some(LockError::Wait(WaitError::Ending))
                    );
                    drop(Isolate::spawn(|()| {}, ()));
                    spawn_local(async {});
                    schedule_microtask(|| {});
                    Timer::run(|| {});
                    drop(ReceivePort::<u8>::new());
                    to_end.store(true, Ordering::SeqCst);
                });
                Isolate::current().expect("this is one").kill();
                checkpoint();
            },
            (),
        );
        assert_eq!(end_of(&isolate), ExitReason::Killed);
        assert!(
            done.load(Ordering::SeqCst),
            "an assertion of the destructor failed"
        );
        holder.join().expect("it does not panic");
        shut_down(&runtime);
    });
}

/// There is no error that it could return, so it lasts as long as its future.
#[test]
fn block_on_in_a_destructor_of_a_killed_isolate_waits_for_its_future() {
    in_child(|| {
        let runtime = Runtime::builder().threads(2).build();
        let (answer, question) = one_shot();
        let waits = Arc::new(AtomicUsize::new(0));
        let waiting = waits.clone();
        let isolate = Isolate::builder().runtime(&runtime).spawn(
            move |()| {
                let _wait = OnDrop::new(move || {
                    waiting.fetch_add(1, Ordering::SeqCst);
                    assert_eq!(insula_core::block_on(question), Ok(3));
                    waiting.fetch_add(1, Ordering::SeqCst);
                });
                if true {
                    Isolate::exit_silently();
                }
            },
            (),
        );
        until("it waits", || waits.load(Ordering::SeqCst) == 1);
        isolate.kill();
        answer.send(3);
        assert_eq!(end_of(&isolate), ExitReason::Exited);
        assert_eq!(waits.load(Ordering::SeqCst), 2);
        shut_down(&runtime);
    });
}

/// The hook for panics cannot be installed by a thread that unwinds.
#[test]
fn the_library_may_be_used_for_the_first_time_while_a_thread_unwinds() {
    in_child(|| {
        let (sender, results) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let _first = OnDrop::new(move || {
                let caught = insula_core::catch_panic(|| panic!("caught"));
                let panicked = Isolate::run(|| panic!("in an isolate")).wait();
                let sum = Isolate::run(|| 1 + 1).wait();
                ignore(sender.send((caught, panicked, sum)));
            });
            panic!("bug");
        });
        let (caught, panicked, sum): (Result<(), _>, Result<(), _>, _) =
            results.recv_timeout(LONG).expect("it ends");
        assert_eq!(
            caught.map_err(|report| report.message().to_owned()),
            Err("caught".into())
        );
        match panicked {
            Err(RunError::Panicked(report)) => {
                assert_eq!(report.message(), "in an isolate");
                let place = report.location().expect("the hook was there by then");
                assert!(place.contains("unwinding.rs"), "{place}");
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(sum, Ok(2));
        assert!(thread.join().is_err());
    });
}

#[test]
fn a_shutdown_by_a_destructor_of_an_isolate_that_unwinds_is_begun_and_not_waited_for() {
    in_child(|| {
        let runtime = Runtime::builder().threads(2).build();
        let (own, (answer, result)) = (runtime.clone(), one_shot());
        let isolate = Isolate::builder().runtime(&runtime).name("last").spawn(
            move |()| {
                let _shut_down = OnDrop::new(move || {
                    own.shut_down();
                    let result = own.shut_down_timeout(LONG);
                    answer.send(result.map_err(|running| running.names));
                });
                if true {
                    panic!("bug");
                }
            },
            (),
        );
        assert_eq!(result.wait(), Ok(Err(vec!["last".into()])));
        assert!(matches!(end_of(&isolate), ExitReason::Panicked(_)));
        shut_down(&runtime);
    });
}

/// Elsewhere than on its driver's thread, and in an isolate, such a shutdown panics.
#[test]
fn a_shutdown_of_a_seeded_runtime_by_a_destructor_that_cannot_drive_it_is_only_begun() {
    fn unwind(shut_down: impl FnMut()) {
        let _shut_down = OnDrop::new(shut_down);
        if true {
            panic!("bug");
        }
    }
    in_child(|| {
        let seeded = Runtime::builder().seeded(1).build();
        let last = Isolate::builder().runtime(&seeded).name("last");
        let _last = last.spawn(async |()| sleep(LONG).await, ());
        seeded.run_until_idle();
        let begin = {
            let seeded = seeded.clone();
            move || {
                seeded.shut_down();
                let result = seeded.shut_down_timeout(LONG);
                let named = result.is_err_and(|running| running.names == ["last".into()]);
                assert!(named && seeded.is_shut_down());
            }
        };
        let isolate = Isolate::run({
            let begin = begin.clone();
            move || unwind(begin)
        });
        assert!(matches!(isolate.wait(), Err(RunError::Panicked(_))));
        assert!(std::thread::spawn(move || unwind(begin)).join().is_err());
        assert_eq!(seeded.isolate_count(), 1);
        shut_down(&seeded);
    });
}
