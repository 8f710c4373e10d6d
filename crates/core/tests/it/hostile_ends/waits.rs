//! Each wait that the documentation calls synchronous, and a kill or a shutdown that meets it.

use std::sync::Arc;

use insula_core::{
    BlockingCallback, CallbackReply, ConditionVariable, ExitReason, GroupBoundCallback, Isolate,
    Mailbox, Mutex, ReceivePort, ReplyTo, Runtime, block_on, block_on_by, one_shot, rendezvous,
    sleep,
};

use super::{LONG, OnDrop, end_of, ignore, shut_down, until};
use crate::child::in_child;

/// The code of an isolate that waits for ever.
type Waits = Box<dyn FnOnce() + Send>;

fn wait(f: impl FnOnce() + Send + 'static) -> Waits {
    Box::new(f)
}

/// One of each kind, with a name. `helper` runs the isolates that are waited for.
#[expect(clippy::too_many_lines, reason = "one of each kind")]
fn all_waits(helper: &Runtime) -> Vec<(&'static str, Waits)> {
    let silent =
        Isolate::builder()
            .runtime(helper)
            .spawn_with_port(|port: ReceivePort<ReplyTo<()>>| {
                let mut all = Vec::new();
                port.listen(move |reply| all.push(reply));
            });
    let full = Isolate::builder()
        .runtime(helper)
        .bounded(1)
        .spawn_with_port(async |_port: ReceivePort<u8>| sleep(LONG * 1000).await);
    full.send(1).expect("there is room for one");
    let (answer, callback) = one_shot();
    Isolate::builder().runtime(helper).spawn(
        move |()| {
            let mut all = Vec::new();
            let keep = move |(), reply: CallbackReply<()>| all.push(reply);
            answer.send(BlockingCallback::<(), ()>::with_reply(keep));
        },
        (),
    );
    let callback = callback.wait().expect("it is made");
    let (asked, by) = (silent.clone(), silent.isolate_id());
    let shuts_down = Runtime::builder().threads(1).build();
    let stuck = Isolate::builder()
        .runtime(&shuts_down)
        .spawn(|()| std::thread::sleep(LONG * 1000), ());
    vec![
        ("block_on", wait(|| block_on(std::future::pending()))),
        (
            "Runtime::block_on",
            wait(|| Runtime::current().block_on(std::future::pending())),
        ),
        (
            "Reply::wait",
            wait(|| {
                let (_answer, question) = one_shot::<()>();
                ignore(question.wait());
            }),
        ),
        (
            "Run::wait",
            wait(move || {
                let run = Isolate::run_async(async || sleep(LONG * 1000).await);
                drop(run.wait());
                // A shutdown ends the computation too, and maybe first.
                block_on(std::future::pending::<()>());
            }),
        ),
        (
            "ask_blocking",
            wait(move || drop(silent.ask_blocking(|reply| reply, None))),
        ),
        (
            "ask_blocking with a time-out",
            wait(move || drop(asked.ask_blocking(|reply| reply, Some(LONG * 1000)))),
        ),
        ("send_blocking", wait(move || drop(full.send_blocking(2)))),
        (
            "block_on_by",
            wait(move || {
                let never = std::future::pending::<()>();
                drop(block_on_by(never, by, Some(LONG * 1000)));
            }),
        ),
        (
            "BlockingCallback::call",
            wait(move || drop(callback.call(()))),
        ),
        (
            "Mailbox::take",
            wait(|| {
                let mailbox = Mailbox::<u8>::new();
                let _peer = mailbox.clone();
                drop(mailbox.take());
            }),
        ),
        (
            "Mailbox::put",
            wait(|| {
                let mailbox = Mailbox::<u8>::new();
                let _peer = mailbox.clone();
                mailbox.put(1).expect("there is room");
                drop(mailbox.put(2));
            }),
        ),
        (
            "Requester::request",
            wait(|| {
                let (requester, _responder) = rendezvous::<u8, u8>();
                drop(requester.request(1));
            }),
        ),
        (
            "Responder::receive",
            wait(|| {
                let (_requester, responder) = rendezvous::<u8, u8>();
                drop(responder.receive());
            }),
        ),
        (
            "Mutex::lock",
            wait(|| {
                let mutex = Arc::new(Mutex::new(()));
                let held = mutex.clone();
                let (locked, is_locked) = one_shot();
                std::thread::spawn(move || {
                    let _guard = held.lock();
                    locked.send(());
                    std::thread::sleep(LONG * 1000);
                });
                is_locked.wait().expect("it is told");
                drop(mutex.lock());
            }),
        ),
        (
            "ConditionVariable::wait",
            wait(|| {
                let (mutex, changed) = (Mutex::new(()), ConditionVariable::new());
                let guard = mutex.lock().expect("it is free");
                drop(changed.wait(guard));
            }),
        ),
        (
            "a wait in a future under block_on",
            wait(|| {
                block_on(async {
                    let (_answer, question) = one_shot::<()>();
                    ignore(question.wait());
                });
            }),
        ),
        (
            "a wait in a group-bound callback",
            wait(|| {
                let waits = GroupBoundCallback::new((), |(), ()| {
                    let (_answer, question) = one_shot::<()>();
                    ignore(question.wait());
                });
                drop(waits.call(()));
            }),
        ),
        (
            "shut_down of another runtime",
            wait(move || {
                let _stuck = stuck;
                shuts_down.shut_down();
                unreachable!("it takes longer than this test");
            }),
        ),
    ]
}

/// Lets each wait begin in an isolate, and ends the isolates by `end`.
fn expect_all_to_end(end: fn(&Runtime, &[(&str, Isolate)])) {
    let helper = Runtime::builder().threads(2).build();
    let runtime = Runtime::builder().threads(4).build();
    let started: Vec<_> = all_waits(&helper)
        .into_iter()
        .map(|(name, wait)| {
            let (begun, begins) = one_shot();
            let isolate = Isolate::builder().runtime(&runtime).name(name).spawn(
                move |()| {
                    begun.send(());
                    wait();
                    // It must not come back by itself: that would prove nothing.
                    if true {
                        panic!("the wait has ended by itself");
                    }
                },
                (),
            );
            assert_eq!(begins.wait(), Ok(()), "{name}");
            (name, isolate)
        })
        .collect();
    // Each is inside of its wait by now, or will come to it: both must work.
    until("all wait", || runtime.thread_count() >= 4);
    end(&runtime, &started);
    for (name, isolate) in &started {
        assert_eq!(end_of(isolate), ExitReason::Killed, "{name}");
    }
    shut_down(&helper);
}

#[test]
fn a_kill_ends_every_synchronous_wait() {
    in_child(|| {
        expect_all_to_end(|runtime, isolates| {
            for (_, isolate) in isolates {
                isolate.kill();
            }
            shut_down(runtime);
        });
    });
}

#[test]
fn a_shutdown_ends_every_synchronous_wait() {
    in_child(|| expect_all_to_end(|runtime, _| shut_down(runtime)));
}

/// It would wait for its own end.
#[test]
fn an_isolate_that_blocks_on_its_runtimes_shutdown_panics() {
    let runtime = Runtime::builder().threads(2).build();
    let own = runtime.clone();
    let isolate = Isolate::builder()
        .runtime(&runtime)
        .spawn(move |()| block_on(async move { own.shut_down() }), ());
    match end_of(&isolate) {
        ExitReason::Panicked(report) => {
            let text = report.message();
            assert!(text.contains("its own runtime"), "{text}");
        }
        other => panic!("{other}"),
    }
    shut_down(&runtime);
}

#[test]
fn a_callback_outside_of_its_isolate_cannot_wait_for_the_isolates_runtime_either() {
    let runtime = Runtime::builder().threads(2).build();
    let own = runtime.clone();
    let (answer, result) = one_shot();
    Isolate::builder().runtime(&runtime).spawn(
        move |()| {
            let shut_down = GroupBoundCallback::new((), |(), runtime: Runtime| runtime.shut_down());
            answer.send(shut_down.call(own).is_err());
        },
        (),
    );
    assert_eq!(result.wait(), Ok(true));
    shut_down(&runtime);
}

/// Those that a pool does not run are inside of their runtime as well.
#[test]
fn a_pinned_isolate_and_a_seeded_one_cannot_block_on_their_runtimes_shutdown() {
    let runtime = Runtime::builder().threads(1).build();
    let own = runtime.clone();
    let pinned = Isolate::builder()
        .runtime(&runtime)
        .spawn_pinned(async move |_, ()| block_on(async { own.shut_down() }), ())
        .expect("there is a thread");
    assert!(matches!(end_of(&pinned), ExitReason::Panicked(_)));
    shut_down(&runtime);
    let seeded = Runtime::builder().seeded(1).build();
    let own = seeded.clone();
    let isolate = Isolate::builder()
        .runtime(&seeded)
        .spawn(move |()| block_on(async move { own.shut_down() }), ());
    let reason = seeded.block_on(isolate.exited());
    assert!(matches!(reason, ExitReason::Panicked(_)), "{reason}");
    seeded.shut_down();
}

#[test]
fn a_root_isolate_cannot_block_on_its_runtimes_shutdown() {
    let runtime = Runtime::builder().threads(1).build();
    let own = runtime.clone();
    let mut root = insula_core::RootIsolate::builder("root")
        .runtime(&runtime)
        .create();
    let entered = root.enter(|_| block_on(async { own.shut_down() }));
    assert_eq!(entered, None);
    drop(root);
    shut_down(&runtime);
}

/// A wait that a function of a control message begins inside of another one ends both.
#[test]
fn a_kill_ends_a_wait_inside_of_a_wait() {
    let runtime = Runtime::builder().threads(2).build();
    let isolate = Isolate::builder()
        .runtime(&runtime)
        .spawn(|()| block_on(std::future::pending::<()>()), ());
    let (begun, begins) = one_shot();
    let inner = isolate.run_at(insula_core::Priority::Immediate, move || {
        begun.send(());
        block_on(std::future::pending::<()>());
    });
    assert_eq!(begins.wait(), Ok(()));
    isolate.kill();
    assert_eq!(end_of(&isolate), ExitReason::Killed);
    assert!(inner.wait().is_err());
    shut_down(&runtime);
}

/// In the teardown nothing reaches the isolate any more, so nothing could end its waits.
#[test]
fn a_wait_in_the_teardown_ends_at_once() {
    in_child(|| {
        let runtime = Runtime::builder().threads(2).build();
        let (answer, ends) = std::sync::mpsc::channel();
        let isolate = Isolate::builder().runtime(&runtime).spawn(
            move |()| {
                let waits = OnDrop::new(move || {
                    let mailbox = Mailbox::<u8>::new();
                    let _peer = mailbox.clone();
                    ignore(answer.send(mailbox.take().is_err()));
                    ignore(answer.send(insula_core::try_checkpoint().is_err()));
                    insula_core::checkpoint();
                    // A future that is ready does not wait.
                    ignore(answer.send(block_on(async { true })));
                    let _unwound = OnDrop::new(move || ignore(answer.send(true)));
                    block_on(std::future::pending::<()>());
                });
                let later = OnDrop::new(|| block_on(std::future::pending()));
                insula_core::spawn_local(async move {
                    let _held = waits;
                    std::future::pending::<()>().await;
                });
                insula_core::spawn_local(async move {
                    let _held = later;
                    std::future::pending::<()>().await;
                });
            },
            (),
        );
        assert_eq!(end_of(&isolate), ExitReason::Finished);
        let all: Vec<bool> = ends.try_iter().collect();
        assert_eq!(all, [true; 4]);
        shut_down(&runtime);
    });
}

/// The newest guard says which runtime is the current one, whichever goes first.
#[test]
fn guards_of_entered_runtimes_may_be_dropped_in_any_order() {
    let (open, over) = (
        Runtime::builder().threads(1).build(),
        Runtime::builder().threads(1).build(),
    );
    shut_down(&over);
    let is_over = || Runtime::current().is_shut_down();
    let first = open.enter();
    let second = over.enter();
    let third = open.enter();
    assert!(!is_over());
    drop(first);
    assert!(!is_over());
    drop(third);
    assert!(is_over());
    let fourth = open.enter();
    drop(second);
    assert!(!is_over());
    drop(fourth);
    assert!(!is_over());
    shut_down(&open);
    assert!(!is_over(), "the thread has left it");
}
