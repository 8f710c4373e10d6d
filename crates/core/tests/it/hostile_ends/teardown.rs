//! Destructors in the teardown.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};

use insula_core::{
    ExitReason, Isolate, LocalError, Priority, ReceivePort, ReplyTo, Runtime, Timer, checkpoint,
    isolate_local, one_shot, schedule_microtask, spawn_local,
};

use super::{LONG, OnDrop, end_of, ignore, leak, shut_down};
use crate::child::in_child;

/// Counts itself when it is dropped, and panics.
#[derive(Clone)]
struct PanicsInDrop(Arc<AtomicUsize>);

impl Drop for PanicsInDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
        panic!("bug in a destructor");
    }
}

/// A payload of a panic whose destructor panics in turn.
impl std::fmt::Debug for PanicsInDrop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PanicsInDrop")
    }
}

/// A waker that panics whatever is done with it.
struct PanicsInWake(#[expect(dead_code, reason = "dropped")] Option<PanicsInDrop>);

impl Wake for PanicsInWake {
    fn wake(self: Arc<Self>) {
        panic!("bug in a waker");
    }
}

/// Runs `f` in an isolate, gives it a counter for values that panic when they are dropped, kills
/// the isolate, and returns how many were dropped by its end.
fn dropped_by_the_end(f: impl FnOnce(&dyn Fn() -> PanicsInDrop) + Send + 'static) -> usize {
    let runtime = Runtime::builder().threads(2).build();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    let (done, is_done) = one_shot();
    let isolate = Isolate::builder().runtime(&runtime).spawn(
        move |()| {
            // So that it does not end by itself.
            Timer::after(LONG * 1000, || {});
            f(&|| PanicsInDrop(counted.clone()));
            done.send(());
        },
        (),
    );
    is_done.wait().expect("it panicked before");
    isolate.kill();
    assert_eq!(end_of(&isolate), ExitReason::Killed);
    shut_down(&runtime);
    count.load(Ordering::SeqCst)
}

#[test]
fn tasks_whose_destructors_panic_are_all_dropped() {
    in_child(|| {
        let dropped = dropped_by_the_end(|value| {
            for _ in 0..3 {
                let held = value();
                spawn_local(async move {
                    let _held = held;
                    std::future::pending::<()>().await;
                });
            }
        });
        assert_eq!(dropped, 3);
    });
}

#[test]
fn timers_and_microtasks_whose_destructors_panic_are_all_dropped() {
    in_child(|| {
        let dropped = dropped_by_the_end(|value| {
            for _ in 0..2 {
                let (held, again) = (value(), value());
                Timer::after(LONG * 1000, move || drop(held));
                Timer::periodic(LONG * 1000, move |_, _| {
                    let _held = &again;
                });
            }
            for _ in 0..2 {
                let (held, zero) = (value(), value());
                // The kill comes before it runs.
                schedule_microtask(move || drop(held));
                Timer::run(move || drop(zero));
            }
            Isolate::current().expect("this is one").kill();
        });
        assert_eq!(dropped, 8);
    });
}

#[test]
fn messages_whose_destructors_panic_are_all_dropped_wherever_they_are() {
    in_child(|| {
        let dropped = dropped_by_the_end(|value| {
            let (buffered, bounded) = (ReceivePort::new(), ReceivePort::bounded(9));
            for port in [buffered.send_port(), bounded.send_port()] {
                for _ in 0..3 {
                    port.send(value()).expect("it is open");
                }
            }
            // When the kill comes, they wait in the lane or in the ports.
            spawn_local(async move {
                let _held = (buffered, bounded);
                std::future::pending::<()>().await;
            });
        });
        assert_eq!(dropped, 6);
    });
}

#[test]
fn handlers_locals_and_cells_whose_destructors_panic_are_all_dropped() {
    isolate_local! {
        static FIRST: Cell<Option<PanicsInDrop>> = Cell::new(None);
        static SECOND: Cell<Option<PanicsInDrop>> = Cell::new(None);
    }
    in_child(|| {
        let dropped = dropped_by_the_end(|value| {
            FIRST.with(|place| place.set(Some(value())));
            SECOND.with(|place| place.set(Some(value())));
            for _ in 0..2 {
                let held = value();
                let port = ReceivePort::<u8>::new();
                let sender = port.send_port();
                port.listen(move |_| {
                    let _held = (&held, &sender);
                });
            }
        });
        assert_eq!(dropped, 4);
    });
}

#[test]
fn answers_and_control_messages_whose_destructors_panic_are_all_dropped() {
    in_child(|| {
        let runtime = Runtime::builder().threads(2).build();
        let count = Arc::new(AtomicUsize::new(0));
        let value = |count: &Arc<AtomicUsize>| PanicsInDrop(count.clone());
        let answers = value(&count);
        let answerer = Isolate::builder().runtime(&runtime).spawn_with_port(
            move |port: ReceivePort<ReplyTo<PanicsInDrop>>| {
                port.listen(move |reply| reply.send(answers.clone()));
            },
        );
        let (begun, begins) = one_shot();
        let (isolate, _port) =
            Isolate::builder()
                .runtime(&runtime)
                .spawn_pair(async move |_port: ReceivePort<u8>| {
                    for _ in 0..2 {
                        let question = answerer.ask(|reply| reply);
                        spawn_local(async move {
                            std::future::pending::<()>().await;
                            drop(question);
                        });
                    }
                    // Asked behind the others, it is answered behind them.
                    leak(answerer.ask(|reply| reply).await);
                    begun.send(());
                    std::future::pending::<()>().await;
                });
        begins.wait().expect("it begins");
        let _paused = isolate.pause();
        for _ in 0..2 {
            let (held, later) = (value(&count), value(&count));
            drop(isolate.run_at(Priority::AsEvent, move || drop(held)));
            drop(isolate.run_at(Priority::BeforeNextEvent, move || drop(later)));
        }
        isolate.kill();
        let behind = value(&count);
        drop(isolate.run_at(Priority::BeforeNextEvent, move || drop(behind)));
        assert_eq!(end_of(&isolate), ExitReason::Killed);
        // Behind a kill, control messages are still taken, so the last may or may not be there:
        // what was sent is dropped in any case.
        shut_down(&runtime);
        assert_eq!(count.load(Ordering::SeqCst), 2 + 5 + 1);
    });
}

/// Without regard to the moment: the test above meets a dead isolate once in many runs only.
#[test]
fn a_control_message_for_an_isolate_that_has_ended_is_dropped_and_its_panic_contained() {
    in_child(|| {
        let runtime = Runtime::builder().threads(1).build();
        let count = Arc::new(AtomicUsize::new(0));
        let isolate = Isolate::builder().runtime(&runtime).spawn(|()| {}, ());
        assert_eq!(end_of(&isolate), ExitReason::Finished);
        let value = PanicsInDrop(count.clone());
        drop(isolate.run_at(Priority::AsEvent, move || drop(value)));
        assert_eq!(count.load(Ordering::SeqCst), 1);
        shut_down(&runtime);
    });
}

#[test]
fn those_who_are_told_of_an_end_may_panic() {
    in_child(|| {
        let runtime = Runtime::builder().threads(2).build();
        let isolate = Isolate::builder()
            .runtime(&runtime)
            .spawn(|()| ignore(Timer::after(LONG * 1000, || {})), ());
        let inbox = Isolate::builder()
            .runtime(&runtime)
            .spawn_with_port(|port: ReceivePort<u8>| port.listen(drop));
        isolate.add_exit_listener(&inbox, |_| panic!("bug in a response"));
        let mut exits: Vec<_> = (0..3).map(|_| isolate.exited()).collect();
        for exited in &mut exits {
            let waker = Waker::from(Arc::new(PanicsInWake(None)));
            let poll = std::pin::Pin::new(exited).poll(&mut Context::from_waker(&waker));
            assert!(poll.is_pending());
        }
        isolate.kill();
        assert_eq!(end_of(&isolate), ExitReason::Killed);
        drop(inbox);
        shut_down(&runtime);
    });
}

/// A foreign waker that waits for room, or for an answer, does no harm to the code that wakes it.
#[test]
fn a_waker_that_panics_harms_neither_the_port_nor_the_answerer() {
    in_child(|| {
        let runtime = Runtime::builder().threads(2).build();
        // Its first turn lasts until all have asked, so that no message makes room before.
        let (begin, begun) = std::sync::mpsc::channel::<()>();
        let (isolate, port) = Isolate::builder().runtime(&runtime).bounded(1).spawn_pair(
            move |port: ReceivePort<ReplyTo<u8>>| {
                let _ = begun.recv();
                port.listen(|reply| reply.send(1));
            },
        );
        let mut waits = Vec::new();
        let (reply, question) = one_shot();
        assert!(port.send(reply).is_ok());
        let waker = Waker::from(Arc::new(PanicsInWake(None)));
        let cx = &mut Context::from_waker(&waker);
        let mut question = Box::pin(question);
        assert!(question.as_mut().poll(cx).is_pending());
        for _ in 0..2 {
            let mut wait = Box::pin(port.send_wait(one_shot().0));
            assert!(wait.as_mut().poll(cx).is_pending());
            waits.push(wait);
        }
        drop(begin);
        // Asked by another thread, it still answers.
        let answer = insula_core::block_on(async {
            drop(waits);
            let (reply, question) = one_shot();
            drop(port.send_wait(reply).await);
            question.await
        });
        assert_eq!(answer, Ok(1));
        drop(port);
        assert_eq!(end_of(&isolate), ExitReason::Finished);
        shut_down(&runtime);
    });
}

/// The payload of a panic is a value of the user's as well.
#[test]
fn a_panic_whose_payload_panics_when_it_is_dropped_ends_its_isolate_alone() {
    in_child(|| {
        let runtime = Runtime::builder().threads(2).build();
        let count = Arc::new(AtomicUsize::new(0));
        let payload = PanicsInDrop(count.clone());
        let isolate = Isolate::builder().runtime(&runtime).spawn(
            move |()| {
                if true {
                    std::panic::panic_any(payload);
                }
            },
            (),
        );
        assert!(matches!(end_of(&isolate), ExitReason::Panicked(_)));
        let caught =
            insula_core::catch_panic(|| std::panic::panic_any(PanicsInDrop(count.clone())));
        assert!(caught.is_err());
        assert_eq!(count.load(Ordering::SeqCst), 2);
        shut_down(&runtime);
    });
}

/// The rest of a future is dropped when a poll has panicked: at that moment the stack unwinds.
#[test]
fn a_future_that_panics_in_its_poll_and_in_its_drop_is_an_error_of_its_isolate() {
    struct Future(#[expect(dead_code, reason = "dropped")] PanicsInDrop);
    impl std::future::Future for Future {
        type Output = ();
        fn poll(self: std::pin::Pin<&mut Self>, _: &mut Context<'_>) -> std::task::Poll<()> {
            panic!("bug in a poll");
        }
    }
    in_child(|| {
        let runtime = Runtime::builder().threads(2).build();
        let count = Arc::new(AtomicUsize::new(0));
        let held = PanicsInDrop(count.clone());
        let isolate = Isolate::builder()
            .runtime(&runtime)
            .spawn(move |()| spawn_local(Future(held)), ());
        match end_of(&isolate) {
            ExitReason::Panicked(report) => assert_eq!(report.message(), "bug in a poll"),
            other => panic!("{other}"),
        }
        assert_eq!(count.load(Ordering::SeqCst), 1);
        shut_down(&runtime);
    });
}

/// A future may use its isolate when it is dropped because it is ready.
#[test]
fn what_a_finished_task_still_holds_may_use_the_isolate() {
    struct Ready(#[expect(dead_code, reason = "dropped")] OnDrop<fn()>);
    impl std::future::Future for Ready {
        type Output = ();
        fn poll(self: std::pin::Pin<&mut Self>, _: &mut Context<'_>) -> std::task::Poll<()> {
            std::task::Poll::Ready(())
        }
    }
    let runtime = Runtime::builder().threads(2).build();
    let isolate = Isolate::builder().runtime(&runtime).spawn(
        |()| spawn_local(Ready(OnDrop::new(|| spawn_local(async {})))),
        (),
    );
    assert_eq!(end_of(&isolate), ExitReason::Finished);
    shut_down(&runtime);
}

/// A way for a destructor to make something that has the same destructor.
type Remake = fn(Remade);

/// Makes itself anew whenever it is dropped.
struct Remade(Arc<AtomicUsize>, Remake);

impl Drop for Remade {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
        self.1(Self(self.0.clone(), self.1));
    }
}

#[test]
fn a_destructor_that_starts_itself_anew_does_not_keep_the_teardown_from_its_end() {
    const REMAKES: [(&str, Remake); 6] = [
        ("task", |it| {
            spawn_local(async move {
                let _it = it;
                std::future::pending::<()>().await;
            });
        }),
        ("microtask", |it| schedule_microtask(move || leak(it))),
        ("timer", |it| {
            Timer::after(LONG * 1000, move || leak(it));
        }),
        ("zero timer", |it| {
            Timer::run(move || leak(it));
        }),
        ("periodic timer", |it| {
            Timer::periodic(LONG * 1000, move |_, _| {
                let _it = &it;
            });
        }),
        ("port", |it| {
            let port = ReceivePort::<u8>::new();
            let sender = port.send_port();
            assert!(sender.is_closed());
            port.listen(move |_| {
                let _it = &it;
            });
        }),
    ];
    in_child(|| {
        for (name, remake) in REMAKES {
            let runtime = Runtime::builder().threads(2).build();
            let count = Arc::new(AtomicUsize::new(0));
            let first = Remade(count.clone(), remake);
            let isolate = Isolate::builder().runtime(&runtime).spawn(
                move |()| {
                    spawn_local(async move {
                        let _first = first;
                        std::future::pending::<()>().await;
                    });
                },
                (),
            );
            assert_eq!(end_of(&isolate), ExitReason::Finished, "{name}");
            let count = count.load(Ordering::SeqCst);
            assert!(
                count > 1,
                "{name}: what is started in a teardown is dropped"
            );
            assert!(count < 100, "{name}: {count}");
            shut_down(&runtime);
        }
    });
}

/// As above, for what is made of several kinds in turn, and for a message to itself.
#[test]
fn what_destructors_start_in_a_teardown_is_dropped_and_never_runs() {
    in_child(|| {
        let runtime = Runtime::builder().threads(2).build();
        let (sender, events) = std::sync::mpsc::channel();
        let isolate = Isolate::builder().runtime(&runtime).spawn(
            move |()| {
                let outer = OnDrop::new(move || {
                    let tell = sender.clone();
                    let dropped = OnDrop::new(move || ignore(tell.send("task dropped")));
                    let run = sender.clone();
                    spawn_local(async move {
                        ignore(run.send("task ran"));
                        let _dropped = dropped;
                        std::future::pending::<()>().await;
                    });
                    let tell = sender.clone();
                    let dropped = OnDrop::new(move || ignore(tell.send("timer dropped")));
                    Timer::run(move || {
                        ignore(sender.send("timer ran"));
                        drop(dropped);
                    });
                });
                spawn_local(async move {
                    let _outer = outer;
                    std::future::pending::<()>().await;
                });
            },
            (),
        );
        assert_eq!(end_of(&isolate), ExitReason::Finished);
        let events: Vec<_> = events.try_iter().collect();
        assert_eq!(events, ["task dropped", "timer dropped"]);
        shut_down(&runtime);
    });
}

/// A destructor that uses what it is the destructor of.
#[test]
fn an_isolate_local_is_not_made_again_in_the_teardown() {
    struct UsesItself;
    impl Drop for UsesItself {
        fn drop(&mut self) {
            DROPS.fetch_add(1, Ordering::SeqCst);
            assert_eq!(ITSELF.try_with(|_| ()), Err(LocalError::Dropped));
            ITSELF.with(|_| ());
        }
    }
    static DROPS: AtomicUsize = AtomicUsize::new(0);
    isolate_local! {
        static ITSELF: UsesItself = UsesItself;
    }
    in_child(|| {
        let runtime = Runtime::builder().threads(2).build();
        let isolate = Isolate::builder()
            .runtime(&runtime)
            .spawn(|()| ITSELF.with(|_| ()), ());
        assert_eq!(end_of(&isolate), ExitReason::Finished);
        assert_eq!(DROPS.load(Ordering::SeqCst), 1);
        assert_eq!(ITSELF.try_with(|_| ()), Err(LocalError::NoIsolate));
        shut_down(&runtime);
    });
}

/// Tasks, timers and handlers may use locals in their destructors, as may newer locals.
#[test]
fn isolate_locals_go_last_and_the_newest_first() {
    isolate_local! {
        static LOG: std::cell::RefCell<Vec<&'static str>> = std::cell::RefCell::default();
        static OLD: OnDrop<Box<dyn FnOnce() + Send>> = OnDrop::new(Box::new(|| {
            assert_eq!(NEW.try_with(|_| ()).err(), Some(LocalError::Dropped));
            LOG.with(|log| {
                log.borrow_mut().push("old");
                let log = log.take().join(" ");
                TELL.with(|tell| tell.take().expect("it is told once").send(log));
            });
        }));
        static NEW: OnDrop<Box<dyn FnOnce() + Send>> = OnDrop::new(Box::new(|| {
            OLD.with(|_| LOG.with(|log| log.borrow_mut().push("new")));
        }));
        static TELL: Cell<Option<ReplyTo<String>>> = Cell::new(None);
    }
    in_child(|| {
        let runtime = Runtime::builder().threads(2).build();
        let (answer, log) = one_shot();
        Isolate::builder().runtime(&runtime).spawn(
            move |()| {
                TELL.with(|tell| tell.set(Some(answer)));
                LOG.with(|_| ());
                OLD.with(|_| ());
                NEW.with(|_| ());
                let held = OnDrop::new(|| LOG.with(|log| log.borrow_mut().push("task")));
                spawn_local(async move {
                    let _held = held;
                    std::future::pending::<()>().await;
                });
                let port = ReceivePort::<u8>::new();
                let held =
                    OnDrop::new(|| NEW.with(|_| LOG.with(|log| log.borrow_mut().push("port"))));
                port.listen(move |_| {
                    let _held = &held;
                });
            },
            (),
        );
        assert_eq!(log.wait().as_deref(), Ok("task port new old"));
        shut_down(&runtime);
    });
}

/// An isolate that never started is torn down by its spawner.
#[test]
fn an_isolate_that_comes_too_late_to_start_drops_what_it_would_have_run() {
    in_child(|| {
        let runtime = Runtime::builder().threads(2).build();
        shut_down(&runtime);
        let count = Arc::new(AtomicUsize::new(0));
        let (first, second) = (PanicsInDrop(count.clone()), PanicsInDrop(count.clone()));
        let (isolate, port) = Isolate::builder().runtime(&runtime).spawn_pair(
            move |port: ReceivePort<PanicsInDrop>| {
                drop(first);
                port.listen(drop);
            },
        );
        assert!(port.send(second).is_err_and(|refused| {
            leak(refused);
            true
        }));
        assert_eq!(end_of(&isolate), ExitReason::Killed);
        assert_eq!(count.load(Ordering::SeqCst), 1);
    });
}

/// No code is left that could be told, so the check returns and the thread goes on.
#[test]
fn a_checkpoint_in_the_teardown_returns() {
    let runtime = Runtime::builder().threads(2).build();
    let ((answer, returned), (begun, begins)) = (one_shot(), one_shot());
    let isolate = Isolate::builder().runtime(&runtime).spawn(
        move |()| {
            let held = OnDrop::new(move || {
                checkpoint();
                answer.send(());
            });
            Timer::after(LONG * 1000, move || drop(held));
            begun.send(());
        },
        (),
    );
    assert_eq!(begins.wait(), Ok(()));
    isolate.kill();
    assert_eq!(returned.wait(), Ok(()));
    shut_down(&runtime);
}
