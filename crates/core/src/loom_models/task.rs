//! Risk: the last waker of a task is dropped on another thread while the isolate checks whether
//! anything can still wake it. If neither side sees the other, the isolate never ends.
//!
//! The models use whole isolates on a seeded runtime, which one model thread drives.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Waker;

use loom::thread;

use insula_sync::Mutex;

use crate::{Isolate, ReceivePort, Runtime, SendPort};

/// An isolate whose task waits for a message, and has left a waker outside.
struct Model {
    runtime: Runtime,
    waker: Arc<Mutex<Option<Waker>>>,
    port: SendPort<()>,
}

impl Model {
    fn new() -> Self {
        let runtime = Runtime::builder().seeded(1).build();
        let waker = Arc::new(Mutex::new(None));
        let slot = waker.clone();
        let builder = Isolate::builder().runtime(&runtime);
        let port = builder.spawn_with_port(move |mut port: ReceivePort<()>| async move {
            port.let_isolate_end();
            let mut first = true;
            poll_fn(|cx| {
                if std::mem::take(&mut first) {
                    *slot.lock() = Some(cx.waker().clone());
                }
                port.poll_recv(cx).map(|_| ())
            })
            .await;
        });
        runtime.run_until_idle();
        Self {
            runtime,
            waker,
            port,
        }
    }

    /// Calls `f` with the waker on another thread while the isolate runs, and checks that the
    /// isolate ends.
    fn check(self, f: fn(Waker)) {
        self.check_after(f, || ());
    }

    /// As [`check`](Self::check), but calls `join` before the last run.
    fn check_after(self, f: fn(Waker), join: impl FnOnce()) {
        let waker = self.waker.lock().take().unwrap();
        let other = thread::spawn(move || f(waker));
        self.runtime.run_until_idle();
        other.join().unwrap();
        join();
        self.runtime.run_until_idle();
        assert_eq!(self.runtime.isolate_count(), 0, "it never ends");
    }
}

fn check(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(model);
}

/// drop vs idle: a waker is dropped while the isolate goes idle.
#[test]
fn drop_vs_idle() {
    check(|| {
        let model = Model::new();
        model.port.send(()).unwrap();
        model.check(drop);
    });
}

/// wake vs idle: a waker is used and dropped while the isolate handles the wake-up. The task goes
/// on waiting.
#[test]
fn wake_vs_idle() {
    check(|| Model::new().check(Waker::wake));
}

/// wake vs end: a waker is used and dropped while its task ends, because of a message that came
/// before the wake-up.
#[test]
fn wake_vs_end() {
    check(|| {
        let model = Model::new();
        model.port.send(()).unwrap();
        model.check(Waker::wake);
    });
}

/// wake vs wake: two wakers are used and dropped at once.
#[test]
fn wake_vs_wake() {
    check(|| {
        let model = Model::new();
        let other = model.waker.lock().clone().unwrap();
        let other = thread::spawn(move || other.wake());
        model.check_after(Waker::wake, || other.join().unwrap());
    });
}
