//! Risk: an isolate ends too early, too late or takes others with it; its state leaks or is
//! reached from elsewhere.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use insula_core::{
    CellError, ExitReason, Isolate, IsolateCell, ReceivePort, RunError, Runtime, SliceWatch, Timer,
    block_on, catch_panic, checkpoint, one_shot, schedule_microtask, sleep, spawn_local,
    watch_slices, yield_now,
};

use crate::trace::for_each_seed;

#[test]
fn run_gives_the_result_back() {
    assert_eq!(Isolate::run(|| vec![1; 1000]).wait(), Ok(vec![1; 1000]));
    assert_eq!(
        Isolate::run_async(async || yield_now().await).wait(),
        Ok(())
    );
}

/// An entry that does not lie in a record goes by its box; once this did not compile.
#[test]
fn a_large_entry_starts() {
    let large = [7u64; 100];
    let (answer, question) = insula_core::one_shot();
    Isolate::spawn(
        move |message: [u64; 50]| answer.send(large[99] + message[49]),
        [1; 50],
    );
    assert_eq!(question.wait(), Ok(8));
}

#[test]
fn a_panic_comes_back_with_message_and_place() {
    let result = Isolate::run(|| {
        if true {
            panic!("boom {}", 1)
        }
    })
    .wait();
    let Err(RunError::Panicked(report)) = result else {
        panic!("{result:?}")
    };
    assert_eq!(report.message(), "boom 1");
    assert!(report.location().unwrap().contains("isolates.rs"));
}

/// Part of case 57.
#[test]
fn a_computation_that_waits_for_nothing_ends_without_a_result() {
    let result = Isolate::run_async(async || std::future::pending::<u8>().await).wait();
    assert_eq!(result, Err(RunError::Ended));
    let left_timer = Isolate::run_async(async || {
        Timer::after(Duration::from_secs(20), || ());
        7
    });
    assert_eq!(left_timer.wait(), Ok(7));
}

#[test]
fn an_isolate_ends_when_nothing_can_wake_it() {
    for_each_seed(
        || async {
            let plain = Isolate::spawn(|()| (), ()).exited().await;
            let failed = Isolate::spawn(|()| Err::<(), _>("no luck"), ())
                .exited()
                .await;
            let failed_later = Isolate::builder()
                .name("unlucky")
                .spawn(
                    async |()| {
                        sleep(Duration::from_secs(1)).await;
                        Err::<(), _>("later")
                    },
                    (),
                )
                .exited()
                .await;
            (plain, failed, failed_later)
        },
        |result| {
            let failed = |text: &str| ExitReason::Failed(Arc::from(text));
            let expected = (ExitReason::Finished, failed("no luck"), failed("later"));
            assert_eq!(result, Ok(expected));
        },
    );
}

/// Part of case 79: what keeps an isolate alive.
#[test]
fn an_isolate_lives_while_something_can_wake_it() {
    let runtime = Runtime::builder().seeded(9).build();
    let _entered = runtime.enter();
    let with_port = Isolate::spawn_with_port(|port: ReceivePort<u8>| port.listen(|_| ()));
    let (answer, question) = one_shot::<u8>();
    Isolate::spawn(
        async move |()| {
            let _ = question.await;
        },
        (),
    );
    Isolate::spawn(
        |()| {
            Timer::after(Duration::from_secs(1), || ());
        },
        (),
    );
    Isolate::spawn(|()| spawn_local(std::future::pending()), ());
    runtime.run_until_idle();
    assert_eq!(runtime.isolate_count(), 3);
    runtime.advance(Duration::from_secs(1));
    runtime.run_until_idle();
    assert_eq!(runtime.isolate_count(), 2);
    drop(with_port);
    runtime.run_until_idle();
    assert_eq!(runtime.isolate_count(), 1);
    drop(answer);
    runtime.run_until_idle();
    assert_eq!(runtime.isolate_count(), 0);
}

/// Case 80: timers run though all ports are closed.
/// The waker of a task that has ended wakes nothing, wherever it is kept.
#[test]
fn the_waker_of_a_task_that_ended_keeps_no_isolate_alive() {
    let runtime = Runtime::builder().seeded(1).build();
    let kept = Arc::new(std::sync::Mutex::new(Vec::new()));
    let wakers = kept.clone();
    let body = move |()| {
        let keep = move || {
            let wakers = wakers.clone();
            std::future::poll_fn(move |cx| {
                wakers.lock().unwrap().push(cx.waker().clone());
                std::task::Poll::Ready(())
            })
        };
        insula_core::spawn_local(keep());
        keep()
    };
    Isolate::builder().runtime(&runtime).spawn(body, ());
    runtime.run_until_idle();
    assert_eq!(kept.lock().unwrap().len(), 2);
    assert_eq!(
        runtime.isolate_count(),
        0,
        "it waits for a task that is over"
    );
    drop(kept);
    runtime.shut_down();
}

#[test]
fn pending_timers_run_before_the_end() {
    crate::trace::expect_virtual_trace("zero thirty", |log| {
        ReceivePort::<u8>::new().close();
        let l = log.clone();
        Timer::after(Duration::from_millis(30), move || l.line("thirty"));
        Timer::run(move || log.line("zero"));
    });
}

#[test]
fn a_panic_harms_nobody_else() {
    const COUNT: u32 = if cfg!(miri) { 5 } else { 100 };
    let runtime = Runtime::builder().threads(2).build();
    let _entered = runtime.enter();
    let (answer, question) = one_shot();
    let mut answer = Some(answer);
    let healthy = Isolate::spawn_with_port(move |port: ReceivePort<u32>| {
        let mut count = 0;
        port.listen(move |_| {
            count += 1;
            if count == COUNT {
                answer.take().unwrap().send(count);
            }
        });
    });
    for i in 0..COUNT {
        let healthy = healthy.clone();
        let bad = Isolate::builder().name(format!("bad-{i}")).spawn(
            move |()| {
                healthy.send(i).unwrap();
                schedule_microtask(|| panic!("expected by the test"));
            },
            (),
        );
        assert!(matches!(block_on(bad.exited()), ExitReason::Panicked(_)));
    }
    assert_eq!(question.wait(), Ok(COUNT));
    runtime.shut_down();
}

#[test]
fn a_panicking_destructor_stays_inside() {
    struct Bad;
    impl Drop for Bad {
        fn drop(&mut self) {
            panic!("expected by the test");
        }
    }
    let runtime = Runtime::builder().seeded(2).build();
    let port =
        Isolate::builder()
            .runtime(&runtime)
            .spawn_with_port(|port: ReceivePort<Bad>| async move {
                let _port = port;
                std::future::pending::<()>().await;
            });
    for _ in 0..3 {
        assert!(port.send(Bad).is_ok());
    }
    runtime.kill_all();
    runtime.run_until_idle();
    assert_eq!(runtime.isolate_count(), 0);
}

#[test]
fn a_killed_isolate_runs_nothing_more() {
    for_each_seed(
        || async {
            let ran = Arc::new(AtomicUsize::new(0));
            let count = ran.clone();
            let isolate = Isolate::spawn(
                move |()| {
                    let me = Isolate::current().unwrap();
                    Timer::run({
                        let count = count.clone();
                        move || {
                            count.fetch_add(1, Ordering::SeqCst);
                        }
                    });
                    schedule_microtask(move || {
                        count.fetch_add(1, Ordering::SeqCst);
                    });
                    me.kill();
                },
                (),
            );
            let reason = isolate.exited().await;
            isolate.kill();
            (reason, ran.load(Ordering::SeqCst))
        },
        |result| assert_eq!(result, Ok((ExitReason::Killed, 0))),
    );
}

#[test]
fn names_and_identity() {
    let isolate = Isolate::builder().name("worker").spawn(
        async |()| assert_eq!(&*Isolate::current().unwrap().name(), "worker"),
        (),
    );
    assert_eq!(&*isolate.name(), "worker");
    assert_eq!(isolate, isolate.clone());
    assert_ne!(isolate, Isolate::spawn(|()| (), ()));
    assert!(Isolate::current().is_none());
}

#[test]
fn a_pinned_isolate_keeps_its_thread_and_its_state_there() {
    let (answer, question) = one_shot();
    let isolate = Isolate::builder()
        .name("pinned")
        .spawn_pinned(
            |pinned, ()| async move {
                let thread = std::thread::current().id();
                let state = Rc::new(Cell::new(0));
                let port = ReceivePort::<u32>::new();
                let sender = port.send_port();
                let shared = state.clone();
                let mut answer = Some(answer);
                let listener = pinned.listen(port, move |n| {
                    shared.set(shared.get() + n);
                    assert_eq!(std::thread::current().id(), thread);
                    if n == 99 {
                        answer.take().unwrap().send(shared.get());
                    }
                });
                Isolate::spawn(move |()| (0..100).for_each(|n| sender.send(n).unwrap()), ());
                sleep(Duration::from_millis(1)).await;
                let _ = listener;
                let shared = state.clone();
                pinned.spawn_local(async move { assert!(shared.get() <= 4950) });
            },
            (),
        )
        .unwrap();
    assert_eq!(question.wait(), Ok(4950));
    assert_eq!(block_on(isolate.exited()), ExitReason::Finished);
}

#[test]
fn a_cell_opens_only_at_home_and_once_at_a_time() {
    let cell = Isolate::run(|| {
        let cell = IsolateCell::new(1);
        cell.with(|n| *n += 1);
        let twice = cell.with(|_| cell.try_with(|_| ()));
        assert_eq!(twice, Err(CellError::Open));
        // A panic closes it again.
        assert!(catch_panic(|| cell.with(|_| panic!("expected by the test"))).is_err());
        assert_eq!(cell.with(|n| *n), 2);
        cell
    });
    let cell = cell.wait().unwrap();
    assert_eq!(cell.try_with(|_| ()), Err(CellError::OtherIsolate));
    let elsewhere = cell.clone();
    let result = Isolate::run(move || elsewhere.try_with(|_| ())).wait();
    assert_eq!(result, Ok(Err(CellError::OtherIsolate)));
}

/// Values that know their isolate by number must not take another runtime's isolate for it.
#[test]
fn numbers_are_those_of_the_process() {
    let runtimes = [1, 2].map(|seed| Runtime::builder().seeded(seed).build());
    let [first, second] = runtimes.map(|runtime| {
        let made = runtime.block_on(async {
            let cell = Isolate::run(|| {
                let port = ReceivePort::<u8>::new();
                (Isolate::current(), port.id(), IsolateCell::new(1))
            });
            cell.await.unwrap()
        });
        (runtime, made)
    });
    assert_ne!(first.1.0, second.1.0);
    assert_ne!(first.1.1, second.1.1);
    let cell = first.1.2;
    let opened = second
        .0
        .block_on(async { Isolate::run(move || cell.try_with(|_| ())).await });
    assert_eq!(opened, Ok(Err(CellError::OtherIsolate)));
    first.0.shut_down();
    second.0.shut_down();
}

static DROPPED: AtomicUsize = AtomicUsize::new(0);

struct Local(Cell<u32>);

impl Drop for Local {
    fn drop(&mut self) {
        DROPPED.fetch_add(1, Ordering::SeqCst);
    }
}

insula_core::isolate_local! {
    static LOCAL: Local = Local(Cell::new(0));
}

#[test]
fn each_isolate_has_its_own_local_and_drops_it() {
    let next = || LOCAL.with(|local| local.0.replace(local.0.get() + 1));
    for _ in 0..3 {
        let isolate = Isolate::run(move || [next(), next(), next()]);
        let handle = isolate.isolate().clone();
        assert_eq!(isolate.wait(), Ok([0, 1, 2]));
        block_on(handle.exited());
    }
    assert_eq!(DROPPED.load(Ordering::SeqCst), 3);
}

/// A turn is one event and its microtasks, also for tasks that are woken from outside.
#[test]
fn local_tasks_take_turns() {
    crate::trace::expect_trace("a0 b0 a1 b1 a2 b2", |log| {
        for name in ["a", "b"] {
            let log = log.clone();
            spawn_local(async move {
                for i in 0..3 {
                    log.line(format!("{name}{i}"));
                    yield_now().await;
                }
            });
        }
    });
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = |seed| {
        let runtime = Runtime::builder().seeded(seed).build();
        let order = runtime.block_on(async {
            Isolate::run_async(async || {
                let mut port = ReceivePort::new();
                for id in 0..20 {
                    let sender = port.send_port();
                    Isolate::spawn(
                        async move |()| {
                            for _ in 0..5 {
                                sender.send(id).unwrap();
                                yield_now().await;
                            }
                        },
                        (),
                    );
                }
                let mut order = Vec::new();
                while let Some(id) = port.recv().await {
                    order.push(id);
                }
                order
            })
            .await
        });
        runtime.shut_down();
        order.unwrap()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

/// Plain, `async` and pinned: all that ends them is a kill.
#[test]
fn an_entry_may_loop_for_ever() {
    let runtime = Runtime::builder().threads(1).build();
    let _entered = runtime.enter();
    let isolates = [
        Isolate::spawn(
            |()| {
                loop {
                    checkpoint();
                }
            },
            (),
        ),
        Isolate::spawn(
            async |()| {
                loop {
                    yield_now().await;
                }
            },
            (),
        ),
        Isolate::spawn(|()| panic!("it never returns either"), ()),
        Isolate::builder()
            .spawn_pinned(
                async |_, ()| {
                    loop {
                        yield_now().await;
                    }
                },
                (),
            )
            .unwrap(),
    ];
    let reasons = isolates.map(|isolate| {
        isolate.kill();
        block_on(isolate.exited())
    });
    assert_eq!(reasons[0], ExitReason::Killed);
    assert_eq!(reasons[1], ExitReason::Killed);
    assert_eq!(reasons[3], ExitReason::Killed);
    runtime.shut_down();
}

/// Counts the beginnings and the ends of slices.
#[derive(Default)]
struct Slices {
    begun: AtomicUsize,
    ended: AtomicUsize,
}

impl SliceWatch for Slices {
    fn begins(&self) {
        self.begun.fetch_add(1, Ordering::Relaxed);
    }

    fn ends(&self) {
        self.ended.fetch_add(1, Ordering::Relaxed);
    }
}

/// Also of the slice in which the isolate ends, by a panic.
#[test]
fn a_watch_is_told_of_every_slice_after_the_first() {
    let runtime = Runtime::builder().seeded(1).build();
    let slices = Arc::new(Slices::default());
    let watch = Arc::clone(&slices);
    let count = |slices: &Slices| {
        let [begun, ended] = [&slices.begun, &slices.ended].map(|it| it.load(Ordering::Relaxed));
        (begun, ended)
    };
    let body = async move |mut port: ReceivePort<u32>| {
        watch_slices(Arc::clone(&watch) as _);
        assert_eq!(port.recv().await, Some(1));
        assert_eq!(count(&watch), (1, 0));
        assert_eq!(port.recv().await, Some(2));
        assert_eq!(count(&watch), (2, 1));
        panic!("the end");
    };
    let (isolate, port) = Isolate::builder().runtime(&runtime).spawn_pair(body);
    runtime.run_until_idle();
    for message in [1, 2] {
        port.send(message).unwrap();
        runtime.run_until_idle();
    }
    assert!(matches!(
        runtime.block_on(isolate.exited()),
        ExitReason::Panicked(_)
    ));
    assert_eq!(count(&slices), (2, 2));
    assert_eq!(Arc::strong_count(&slices), 1);
}
