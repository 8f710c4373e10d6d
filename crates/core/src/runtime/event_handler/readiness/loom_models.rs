//! Risk: a source becomes ready, or its runtime ends, between an attempt and the wait after it,
//! and the wait does not end.
//!
//! The models run the sources of the program, but replace the operating system: no descriptor is
//! registered, the data to read is a number, and a thread of the model reports the edges.

use std::fs::File;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Wake;

use loom::thread;

use insula_sync::Parker;
use insula_sync::atomic::AtomicUsize;

use super::*;

struct Model {
    source: Source,
    /// The amount that can be read.
    data: AtomicUsize,
}

impl Model {
    fn new(poller: &Arc<Poller>) -> Arc<Self> {
        let shared = Arc::new(Shared::default());
        let state = Arc::new(State::default());
        let key = shared.sources.lock().insert(state.clone()).unwrap();
        let source = Source {
            state,
            poller: poller.clone(),
            shared,
            key,
            streak: AtomicU32::new(0),
            handle: File::open("/dev/null").unwrap().into(),
        };
        Arc::new(Self {
            source,
            data: AtomicUsize::new(0),
        })
    }

    /// Adds something to read, and reports the edge.
    fn receive(&self) {
        self.data.fetch_add(1, Ordering::Relaxed);
        self.source.state.notice(Event::readable(self.source.key));
    }

    /// Reads one.
    async fn read(&self) -> io::Result<()> {
        let attempt = || {
            if self.data.load(Ordering::Relaxed) == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            // Not one operation with the load above, since only one thread reads.
            self.data.fetch_sub(1, Ordering::Relaxed);
            Ok(())
        };
        self.source.io(Direction::Read, attempt).await
    }
}

/// A waker that unparks a thread of the model.
struct Unparks(Parker);

impl Wake for Unparks {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future on this thread. A lost wake-up is a deadlock, which loom reports.
fn wait<F: Future>(future: F) -> F::Output {
    let parks = Arc::new(Unparks(Parker::new()));
    let waker = parks.clone().into();
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => parks.0.park(),
        }
    }
}

fn check(model: impl Fn(&Arc<Poller>) + Send + Sync + 'static) {
    let poller = Arc::new(Poller::new().unwrap());
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(move || model(&poller));
}

/// ready vs wait: an edge arrives between any two steps of the reader.
#[test]
fn ready_vs_wait() {
    check(|poller| {
        let model = Model::new(poller);
        let reader = {
            let model = model.clone();
            thread::spawn(move || (0..2).all(|_| wait(model.read()).is_ok()))
        };
        model.receive();
        model.receive();
        assert!(reader.join().unwrap());
    });
}

/// stop vs wait: the runtime is shut down while a reader begins to wait.
#[test]
fn stop_vs_wait() {
    check(|poller| {
        let model = Model::new(poller);
        let reader = {
            let model = model.clone();
            thread::spawn(move || wait(model.read()).map_err(|error| error.kind()))
        };
        model.source.state.stop();
        assert_eq!(reader.join().unwrap(), Err(io::ErrorKind::BrokenPipe));
    });
}

/// give up vs ready: one of two waiters gives up while data arrives, whether it was woken or not.
/// The remaining reader gets the data.
#[test]
fn give_up_vs_ready() {
    check(|poller| {
        let model = Model::new(poller);
        let quitter = {
            let model = model.clone();
            thread::spawn(move || {
                let mut read = pin!(model.source.wait(Direction::Read, 0));
                wait(poll_fn(|cx| {
                    let _ = read.as_mut().poll(cx);
                    Poll::Ready(())
                }));
            })
        };
        let reader = {
            let model = model.clone();
            thread::spawn(move || wait(model.read()).is_ok())
        };
        model.receive();
        quitter.join().unwrap();
        assert!(reader.join().unwrap());
    });
}
