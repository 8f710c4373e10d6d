//! The risk: what tools see of a runtime is wrong, or looking disturbs it.

use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread;

use insula_core::{
    Deadlock, ExitReason, Isolate, IsolateId, IsolateKind, IsolateObserver, IsolateSnapshot,
    IsolateState, Mailbox, PartySnapshot, PortMode, Priority, ReceivePort, ReplyTo, Runtime,
    SendPort, Timer, UncaughtError, block_on, checkpoint, waits,
};

use crate::MANY;

fn runtime() -> Runtime {
    Runtime::builder().threads(2).build()
}

fn snapshot_of(runtime: &Runtime, id: IsolateId) -> Option<IsolateSnapshot> {
    let isolates = runtime.snapshot().isolates;
    isolates.into_iter().find(|it| it.id == id)
}

/// Waits until a snapshot of the isolate is as it should be.
fn until(
    runtime: &Runtime,
    id: IsolateId,
    is_so: impl Fn(&IsolateSnapshot) -> bool,
) -> IsolateSnapshot {
    loop {
        match snapshot_of(runtime, id) {
            Some(snapshot) if is_so(&snapshot) => return snapshot,
            _ => thread::yield_now(),
        }
    }
}

#[test]
fn an_isolate_is_seen_idle_running_with_its_queue_and_paused() {
    let runtime = runtime();
    let (started, has_started) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let builder = Isolate::builder().name("mill").runtime(&runtime);
    let (isolate, port) = builder.spawn_pair(move |port: ReceivePort<u32>| {
        port.listen(move |number| {
            if number == 0 {
                started.send(()).expect("the test waits");
                released.recv().expect("the test goes on");
            }
        });
    });
    let idle = until(&runtime, isolate.id(), |it| it.state == IsolateState::Idle);
    assert_eq!(idle.name.as_deref(), Some("mill"));
    assert_eq!((idle.kind, idle.queued), (IsolateKind::Pooled, 0));
    let before = idle.turns;
    // All of them arrive in one burst or behind the first; what was taken still counts.
    for number in [0, 1, 2, 3, 4] {
        port.send(number).expect("it is open");
    }
    has_started.recv().expect("the listener runs");
    let running = until(&runtime, isolate.id(), |it| {
        it.state == IsolateState::Running
    });
    assert_eq!(running.queued, 4);
    release.send(()).expect("the listener waits");
    let idle = until(&runtime, isolate.id(), |it| it.state == IsolateState::Idle);
    assert_eq!(idle.turns.wrapping_sub(before), 5);
    let capability = isolate.pause();
    until(&runtime, isolate.id(), |it| {
        it.state == IsolateState::Paused
    });
    port.send(5).expect("it is open");
    let paused = until(&runtime, isolate.id(), |it| it.queued == 1);
    assert_eq!(paused.state, IsolateState::Paused);
    isolate.resume(capability);
    until(&runtime, isolate.id(), |it| it.state == IsolateState::Idle);
    drop(port);
    runtime.shut_down();
    assert_eq!(runtime.snapshot().isolates.len(), 0);
    assert_eq!(runtime.snapshot().spawned_total, 1);
    assert_eq!(runtime.snapshot().ended_total, 1);
}

#[test]
fn the_queue_of_an_isolate_that_gets_many_messages_never_looks_longer_than_it_is() {
    let runtime = runtime();
    let (isolate, port) =
        Isolate::builder()
            .runtime(&runtime)
            .spawn_pair(|port: ReceivePort<u64>| {
                port.listen(|_| {});
            });
    for number in 0..MANY {
        port.send(number).expect("it is open");
        if let Some(snapshot) = snapshot_of(&runtime, isolate.id()) {
            assert!(u64::from(snapshot.queued) <= number + 2, "{snapshot:?}");
        }
    }
    let idle = until(&runtime, isolate.id(), |it| it.state == IsolateState::Idle);
    assert_eq!(u64::from(idle.turns), MANY + 1);
    runtime.shut_down();
}

#[test]
fn an_isolate_tells_its_ports_timers_tasks_and_questions() {
    let runtime = runtime();
    let silent =
        Isolate::builder()
            .runtime(&runtime)
            .spawn_with_port(|port: ReceivePort<ReplyTo<()>>| {
                let mut kept = Vec::new();
                port.listen(move |question| kept.push(question));
            });
    let asked = silent.isolate_id();
    let (isolate, port) =
        Isolate::builder()
            .runtime(&runtime)
            .spawn_pair(move |port: ReceivePort<u32>| async move {
                let other = ReceivePort::<u32>::bounded(3);
                let sender = other.send_port();
                sender.send(1).expect("it is open");
                sender.send(2).expect("it is open");
                let mut listener = ReceivePort::<()>::new();
                let _heard = listener.send_port();
                Timer::after(std::time::Duration::from_secs(3600), || {});
                let question = silent.ask(|reply| reply);
                let _ = question.await;
                drop((port, other));
                listener.recv().await;
            });
    let told = loop {
        let told = block_on(isolate.inspect()).expect("it lives");
        if told.questions.len() == 1 && told.ports.iter().any(|port| port.buffered == 2) {
            break told;
        }
    };
    assert_eq!(told.questions, [Some(asked)]);
    assert_eq!((told.timers, told.tasks, told.pauses), (1, 1, 0));
    assert!(told.next_timer.is_some());
    let bounded = told.ports.iter().find(|port| port.bound.is_some());
    let bounded = bounded.expect("there is one");
    assert_eq!(bounded.mode, PortMode::Buffered);
    assert_eq!(bounded.bound, Some((3, 2, 0)));
    assert!(bounded.opened_at.file().ends_with("inspect.rs"));
    let first = told.ports.first().expect("there is one");
    assert_eq!((first.senders, first.keeps_alive), (1, true));
    drop(port);
    runtime.shut_down();
}

#[test]
fn an_isolate_counts_its_open_ports() {
    let runtime = runtime();
    let (isolate, port) =
        Isolate::builder()
            .runtime(&runtime)
            .spawn_pair(|port: ReceivePort<bool>| async move {
                let (mut port, mut kept) = (port, Vec::new());
                while let Some(opens) = port.recv().await {
                    match opens {
                        true => kept.push(ReceivePort::<()>::new()),
                        false => kept.clear(),
                    }
                }
            });
    let counted = |number| {
        // A message may come later than the question, which is urgent.
        while block_on(isolate.count_ports()) != Ok(number) {
            thread::yield_now();
        }
    };
    counted(1);
    port.send(true).expect("it is open");
    port.send(true).expect("it is open");
    counted(3);
    port.send(false).expect("it is open");
    counted(1);
    drop(port);
    block_on(isolate.exited());
    assert!(block_on(isolate.count_ports()).is_err());
    runtime.shut_down();
}

#[test]
fn an_isolate_that_has_ended_tells_nothing() {
    let runtime = runtime();
    let isolate = Isolate::builder().runtime(&runtime).spawn(|()| {}, ());
    block_on(isolate.exited());
    assert!(block_on(isolate.inspect()).is_err());
    // Its memory is still held by the handle, and the runtime forgets it a moment after its end.
    while runtime.isolate(isolate.id()).is_some() {
        thread::yield_now();
    }
    runtime.shut_down();
}

#[test]
fn threads_show_what_they_run() {
    let runtime = runtime();
    let (started, has_started) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let own = runtime.clone();
    let entry = move |()| {
        let link = std::fs::read_link("/proc/thread-self").unwrap_or_default();
        let seen = (own.thread_index(), link);
        started.send(seen).expect("the test waits");
        released.recv().expect("the test goes on");
    };
    let isolate = Isolate::builder().runtime(&runtime).spawn(entry, ());
    let (index, link) = has_started.recv().expect("it runs");
    assert_eq!(
        runtime.thread_index(),
        None,
        "this is no thread of the pool"
    );
    let threads = runtime.threads();
    let thread = threads.iter().find(|it| it.isolate == Some(isolate.id()));
    let thread = thread.expect("one runs it");
    assert_eq!(index, Some(thread.index));
    assert_eq!(thread.last_isolate, Some(isolate.id()));
    if cfg!(target_os = "linux") && !cfg!(miri) {
        let number = thread.system_id.map(|it| it.to_string());
        assert!(link.ends_with(number.expect("it is known")), "{link:?}");
    }
    let runs = |runtime: &Runtime| {
        let threads = runtime.threads();
        threads.iter().any(|it| it.isolate == Some(isolate.id()))
    };
    assert!(runs(&runtime));
    release.send(()).expect("it waits");
    block_on(isolate.exited());
    while runs(&runtime) {
        thread::yield_now();
    }
    runtime.shut_down();
}

#[test]
fn a_wait_is_listed_with_those_that_can_end_it() {
    let runtime = runtime();
    let mutex = Arc::new(insula_core::Mutex::new(()));
    let held = mutex.clone();
    let (holds, is_held) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let holder = move |()| {
        let _guard = held.lock().expect("it is free");
        holds.send(()).expect("the test waits");
        released.recv().expect("the test goes on");
    };
    let holder = Isolate::builder().runtime(&runtime).spawn(holder, ());
    is_held.recv().expect("it is held");
    let wanted = mutex.clone();
    let waiter = Isolate::builder().name("waiter").runtime(&runtime).spawn(
        move |()| {
            let _guard = wanted.lock().expect("it is released");
        },
        (),
    );
    let wait = loop {
        let own = PartySnapshot::Isolate(waiter.id());
        if let Some(wait) = waits().into_iter().find(|wait| wait.waiter == own) {
            break wait;
        }
        thread::yield_now();
    };
    assert_eq!(&*wait.waiter_name, "waiter");
    assert_eq!(wait.holders, [PartySnapshot::Isolate(holder.id())]);
    until(&runtime, waiter.id(), |it| it.is_blocked);
    release.send(()).expect("it waits");
    block_on(waiter.exited());
    let own = PartySnapshot::Isolate(waiter.id());
    assert!(waits().iter().all(|wait| wait.waiter != own));
    runtime.shut_down();
}

/// Collects what it is told.
#[derive(Default)]
struct Diary(Mutex<Vec<String>>);

impl IsolateObserver for Diary {
    fn spawned(&self, _: IsolateId, name: Option<Arc<str>>) {
        self.write(format!("spawned {name:?}"));
    }

    fn ended(&self, _: IsolateId, name: Option<Arc<str>>, reason: &ExitReason) {
        self.write(format!(
            "ended {name:?} {}",
            matches!(reason, ExitReason::Finished)
        ));
    }

    fn failed(&self, error: &UncaughtError) {
        self.write(format!("failed {}", error.name));
    }

    fn refused(&self, waiter: Option<IsolateId>, deadlock: &Deadlock) {
        self.write(format!("refused {} {deadlock}", waiter.is_some()));
    }
}

impl Diary {
    fn write(&self, text: String) {
        self.0.lock().expect("it is not poisoned").push(text);
    }
}

#[test]
fn an_observer_is_told_of_lives_and_errors_until_it_is_taken_back() {
    insula_core::set_error_hook(|_| {});
    let runtime = runtime();
    let diary = Arc::new(Diary::default());
    let observer: Arc<dyn IsolateObserver> = diary.clone();
    runtime.observe(observer.clone());
    let named = |name: &str| Isolate::builder().name(name).runtime(&runtime);
    block_on(named("a").spawn(|()| {}, ()).exited());
    block_on(named("b").spawn(|()| panic!("b is broken"), ()).exited());
    runtime.unobserve(&observer);
    block_on(named("c").spawn(|()| {}, ()).exited());
    let lines = diary.0.lock().expect("it is not poisoned").clone();
    assert_eq!(
        lines,
        [
            "spawned Some(\"a\")",
            "ended Some(\"a\") true",
            "spawned Some(\"b\")",
            "failed b",
            "ended Some(\"b\") false",
        ]
    );
    runtime.shut_down();
}

#[test]
fn an_observer_is_told_of_a_wait_that_is_refused() {
    let runtime = runtime();
    let diary = Arc::new(Diary::default());
    let mutex = Arc::new(insula_core::Mutex::new(()));
    let observer: Arc<dyn IsolateObserver> = diary.clone();
    runtime.observe(observer.clone());
    let builder = Isolate::builder().name("eager").runtime(&runtime);
    let eager = builder.spawn(
        move |()| {
            let _held = mutex.lock().expect("it is free");
            assert!(mutex.lock().is_err(), "the isolate has it");
        },
        (),
    );
    assert!(matches!(block_on(eager.exited()), ExitReason::Finished));
    runtime.unobserve(&observer);
    let lines = diary.0.lock().expect("it is not poisoned").clone();
    let text = "refused true the wait would never end: eager waits for eager";
    assert!(lines.iter().any(|line| line == text), "{lines:?}");
    runtime.shut_down();
}

/// Panics whenever it is told something.
struct Panics;

impl IsolateObserver for Panics {
    fn spawned(&self, _: IsolateId, _: Option<Arc<str>>) {
        panic!("told of a spawn");
    }

    fn ended(&self, _: IsolateId, _: Option<Arc<str>>, _: &ExitReason) {
        panic!("told of an end");
    }

    fn failed(&self, _: &UncaughtError) {
        panic!("told of an error");
    }
}

#[test]
fn an_observer_that_panics_harms_nothing() {
    insula_core::set_error_hook(|_| {});
    let runtime = runtime();
    let observer: Arc<dyn IsolateObserver> = Arc::new(Panics);
    runtime.observe(observer.clone());
    let isolate = Isolate::builder().runtime(&runtime);
    let isolate = isolate.spawn(|()| panic!("it is broken"), ());
    assert!(matches!(
        block_on(isolate.exited()),
        ExitReason::Panicked(_)
    ));
    runtime.unobserve(&observer);
    runtime.shut_down();
}

#[test]
fn no_isolate_is_missed_or_seen_twice_while_others_come_and_go() {
    let runtime = runtime();
    let keep = |_| {
        let builder = Isolate::builder().runtime(&runtime);
        builder.spawn_with_port(|port: ReceivePort<()>| {
            port.listen(|()| {});
        })
    };
    let kept: Vec<SendPort<()>> = (0..MANY / 3).map(keep).collect();
    let mut ids: Vec<_> = kept.iter().map(SendPort::isolate_id).collect();
    ids.sort_unstable();
    let (stop, is_over) = mpsc::channel::<()>();
    let spawner = runtime.clone();
    let churn = thread::spawn(move || {
        while is_over.try_recv() == Err(mpsc::TryRecvError::Empty) {
            let builder = Isolate::builder().runtime(&spawner);
            block_on(builder.spawn(|()| checkpoint(), ()).exited());
        }
    });
    let mut before = [0, 0];
    for _ in 0..if cfg!(miri) { 2 } else { 50 } {
        let snapshot = runtime.snapshot();
        let now = [snapshot.spawned_total, snapshot.ended_total];
        assert!(
            now[0] >= before[0] && now[1] >= before[1],
            "{before:?} {now:?}"
        );
        before = now;
        let isolates = snapshot.isolates;
        let mut seen: Vec<_> = isolates.iter().map(|it| it.id).collect();
        seen.sort_unstable();
        let all = seen.len();
        seen.dedup();
        assert_eq!(seen.len(), all, "one was seen twice");
        seen.retain(|id| ids.binary_search(id).is_ok());
        assert_eq!(seen, ids, "one was missed");
        let mut found: Vec<_> = runtime.isolates(&ids).iter().map(Isolate::id).collect();
        found.sort_unstable();
        assert_eq!(found, ids, "one was not found, or twice");
    }
    drop(stop);
    churn.join().expect("it has not panicked");
    drop(kept);
    runtime.shut_down();
}

#[test]
fn a_seeded_runtime_is_seen_too() {
    let runtime = Runtime::builder().seeded(7).build();
    let builder = Isolate::builder().runtime(&runtime);
    let (isolate, port) = builder.spawn_pair(|port: ReceivePort<()>| {
        port.listen(|()| {});
    });
    assert_eq!(
        snapshot_of(&runtime, isolate.id()).map(|it| it.state),
        Some(IsolateState::Runnable)
    );
    runtime.run_until_idle();
    assert_eq!(
        snapshot_of(&runtime, isolate.id()).map(|it| it.state),
        Some(IsolateState::Idle)
    );
    assert!(runtime.threads().is_empty());
    runtime.block_on(async { isolate.ping(Priority::AsEvent).await.expect("it lives") });
    drop(port);
    runtime.shut_down();
}

#[test]
fn a_pinned_isolate_is_seen_on_its_own_thread() {
    let runtime = runtime();
    let mailbox = Mailbox::new();
    let taken = mailbox.clone();
    let builder = Isolate::builder().runtime(&runtime);
    let isolate = builder.spawn_pinned(
        move |_, ()| async move {
            let _ = taken.take();
        },
        (),
    );
    let isolate = isolate.expect("there is a thread");
    let running = until(&runtime, isolate.id(), |it| it.is_blocked);
    assert_eq!(running.kind, IsolateKind::Pinned);
    assert_eq!(running.state, IsolateState::Running);
    let is_known = cfg!(target_os = "linux") && !cfg!(miri);
    assert_eq!(running.system_id.is_some(), is_known);
    mailbox.put(()).expect("it is empty");
    block_on(isolate.exited());
    runtime.shut_down();
}
