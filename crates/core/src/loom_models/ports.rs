//! Risk: a message, a listener or an isolate is dropped twice, never, or while in use, when a
//! port closes, its last sender is dropped, or its isolate ends.
//!
//! The models use whole isolates on a seeded runtime, which one model thread drives, so
//! everything between `send` and the teardown is real.

use std::sync::Arc;

use loom::thread;

use insula_sync::atomic::{AtomicUsize, Ordering};

use crate::{Isolate, IsolateGroup, ReceivePort, Runtime, SendPort};

/// Counts its drops.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

struct Model {
    runtime: Runtime,
    dropped: Arc<AtomicUsize>,
}

impl Model {
    fn new() -> Self {
        let runtime = Runtime::builder().seeded(1).build();
        Self {
            runtime,
            dropped: Arc::new(AtomicUsize::new(0)),
        }
    }

    fn counted(&self) -> Counted {
        Counted(self.dropped.clone())
    }

    fn dropped(&self) -> usize {
        self.dropped.load(Ordering::SeqCst)
    }

    /// Spawns an isolate that closes its port with its first message.
    fn spawn_closer(&self) -> SendPort<Counted> {
        let _entered = self.runtime.enter();
        Isolate::spawn_with_port(|port: ReceivePort<Counted>| async move {
            let mut port = port;
            drop(port.recv().await);
        })
    }

    /// Runs everything that can run.
    fn run(&self) {
        self.runtime.run_until_idle();
    }
}

/// close vs send: each message is dropped once, by its isolate, by the closed port, or by the
/// sender that got it back.
#[test]
fn close_vs_send() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(|| {
        let model = Model::new();
        let port = model.spawn_closer();
        assert!(port.send(model.counted()).is_ok());
        let sender = {
            let message = model.counted();
            thread::spawn(move || drop(port.send(message)))
        };
        model.run();
        sender.join().unwrap();
        model.run();
        assert_eq!(model.dropped(), 2);
        assert_eq!(model.runtime.isolate_count(), 0);
    });
}

/// last sender dropped: two threads drop the two senders while the isolate is idle or runs; it
/// notices and ends, and its listener is dropped once.
#[test]
fn last_sender_dropped() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(|| {
        let model = Model::new();
        let handler = model.counted();
        let port = {
            let _entered = model.runtime.enter();
            Isolate::spawn_with_port(move |port: ReceivePort<u8>| {
                port.listen(move |_| {
                    let _ = &handler;
                })
            })
        };
        let other = port.clone();
        let dropper = thread::spawn(move || drop(other));
        drop(port);
        model.run();
        dropper.join().unwrap();
        model.run();
        assert_eq!(model.runtime.isolate_count(), 0);
        assert_eq!(model.dropped(), 1);
    });
}

/// kill vs send: the message is dropped once, wherever it is by then.
#[test]
fn kill_vs_send() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(|| {
        let model = Model::new();
        let port = {
            let _entered = model.runtime.enter();
            Isolate::spawn_with_port(|port: ReceivePort<Counted>| port.listen(drop))
        };
        model.run();
        let sender = {
            let message = model.counted();
            thread::spawn(move || drop(port.send(message)))
        };
        model.runtime.kill_all();
        model.run();
        sender.join().unwrap();
        model.run();
        assert_eq!(model.runtime.isolate_count(), 0);
        assert_eq!(model.dropped(), 1);
    });
}

/// Starts a thread that spawns an isolate, which drops a counted value.
fn spawner(model: &Model) -> thread::JoinHandle<()> {
    let (runtime, counted) = (model.runtime.clone(), model.counted());
    thread::spawn(move || {
        let _entered = runtime.enter();
        drop(Isolate::spawn(move |()| drop(counted), ()));
    })
}

/// spawn vs shutdown: an isolate that is spawned during the shutdown runs, or is ended by the
/// shutdown, or by the thread that spawned it, and is gone when both are done.
#[test]
fn spawn_vs_shutdown() {
    loom::model(|| {
        let model = Model::new();
        let spawner = spawner(&model);
        model.runtime.shut_down();
        spawner.join().unwrap();
        assert_eq!(model.dropped(), 1);
    });
}

/// spawn vs a kill of all isolates after a shutdown: that kill finds nothing that the thread which
/// spawns has to end, since the threads that run isolates have ended by then.
#[test]
fn spawn_vs_kill_after_shutdown() {
    loom::model(|| {
        let model = Model::new();
        let spawner = spawner(&model);
        model.runtime.shut_down();
        model.runtime.kill_all();
        spawner.join().unwrap();
        // Nothing runs isolates any more.
        assert_eq!(model.runtime.isolate_count(), 0);
        assert_eq!(model.dropped(), 1);
    });
}

/// spawn vs kill of the group: an isolate that is killed as soon as it is found in its group ends
/// once, and is neither in the group nor in the runtime afterwards. The runtime counts it before
/// it counts it out.
#[test]
fn spawn_vs_group_kill() {
    loom::model(|| {
        let model = Model::new();
        let runtime = model.runtime.clone();
        let group = IsolateGroup::new("doomed");
        let (joined, counted) = (group.clone(), model.counted());
        let spawner = thread::spawn(move || {
            let builder = Isolate::builder().runtime(&runtime).group(&joined);
            drop(builder.spawn(move |()| drop(counted), ()));
        });
        group.kill_all();
        model.run();
        spawner.join().unwrap();
        model.run();
        assert_eq!(group.isolates().len(), 0);
        assert_eq!(model.runtime.isolate_count(), 0);
        assert_eq!(model.dropped(), 1);
    });
}
