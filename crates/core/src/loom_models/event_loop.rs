//! Risk: a control message arrives while an isolate checks for the last time before it sleeps or
//! ends, and neither side sees it.
//!
//! The models use whole isolates on a seeded runtime, which one model thread drives while others
//! send: they model the event loop itself.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use loom::thread;

use insula_sync::atomic::{AtomicUsize, Ordering};

use crate::{Isolate, Priority, ReceivePort, Runtime, SendPort};

struct Model {
    runtime: Runtime,
    handled: Arc<AtomicUsize>,
}

impl Model {
    fn new() -> Self {
        Self {
            runtime: Runtime::builder().seeded(1).build(),
            handled: Arc::new(AtomicUsize::new(0)),
        }
    }

    /// Spawns an isolate that adds up what it gets, and runs it until it is idle.
    fn spawn_adder(&self) -> (Isolate, SendPort<usize>) {
        let handled = self.handled.clone();
        let builder = Isolate::builder().runtime(&self.runtime);
        let spawned = builder.spawn_pair(move |port: ReceivePort<usize>| {
            port.listen(move |n| _ = handled.fetch_add(n, Ordering::Relaxed))
        });
        self.run();
        spawned
    }

    fn handled(&self) -> usize {
        self.handled.load(Ordering::Relaxed)
    }

    /// Runs everything that can run.
    fn run(&self) {
        self.runtime.run_until_idle();
    }
}

fn check(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(model);
}

/// kill vs idle: an isolate that is killed while it goes idle ends.
#[test]
fn kill_vs_idle() {
    check(|| {
        let model = Model::new();
        let (isolate, port) = model.spawn_adder();
        assert!(port.send(1).is_ok());
        let killer = thread::spawn(move || isolate.kill());
        model.run();
        killer.join().unwrap();
        model.run();
        assert_eq!(model.runtime.isolate_count(), 0);
        assert!(model.handled() <= 1);
        drop(port);
    });
}

/// ping vs send vs idle: an out-of-band message and a normal one arrive while the isolate goes
/// idle. Both are handled, and the isolate is scheduled for them once.
#[test]
fn ping_vs_send_vs_idle() {
    check(|| {
        let model = Model::new();
        let (isolate, port) = model.spawn_adder();
        assert!(port.send(1).is_ok());
        let pinger = thread::spawn(move || isolate.ping(Priority::Immediate));
        let sender = {
            let port = port.clone();
            thread::spawn(move || assert!(port.send(10).is_ok()))
        };
        model.run();
        let pong = pinger.join().unwrap();
        sender.join().unwrap();
        model.run();
        assert_eq!(model.handled(), 11);
        let answer = pin!(pong).poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(answer, Poll::Ready(Ok(()))));
        model.runtime.kill_all();
        model.run();
    });
}

/// ping vs exit: a ping arrives while the isolate finds that nothing can wake it any more. It is
/// answered before the end, or with an error.
#[test]
fn ping_vs_exit() {
    check(|| {
        let model = Model::new();
        let (isolate, port) = model.spawn_adder();
        let pinger = thread::spawn(move || isolate.ping(Priority::Immediate));
        drop(port);
        model.run();
        let pong = pinger.join().unwrap();
        model.run();
        assert_eq!(model.runtime.isolate_count(), 0);
        let answer = pin!(pong).poll(&mut Context::from_waker(Waker::noop()));
        assert!(answer.is_ready());
    });
}

/// pause vs resume vs send: a pause and its resume arrive one after the other while the isolate
/// goes idle, paused or not. It goes on, and handles what was sent meanwhile.
#[test]
fn pause_vs_resume_vs_idle() {
    check(|| {
        let model = Model::new();
        let (isolate, port) = model.spawn_adder();
        let pause = isolate.pause();
        assert!(port.send(1).is_ok());
        let resumer = {
            let port = port.clone();
            thread::spawn(move || {
                isolate.resume(pause);
                assert!(port.send(10).is_ok());
            })
        };
        model.run();
        resumer.join().unwrap();
        model.run();
        assert_eq!(model.handled(), 11);
        model.runtime.kill_all();
        model.run();
    });
}
