//! Risk: a source is looked at after its end, not at all, or ends fewer times than it has begun.

use std::sync::Arc;
use std::time::{Duration, Instant};

use insula_sync::atomic::{AtomicU32, AtomicUsize};

use super::*;
use crate::{Isolate, ReceivePort, ReplyTo, Runtime, SendPort};

/// Has input once for each that is put there.
#[derive(Default)]
struct Source {
    lookers: AtomicUsize,
    input: AtomicU32,
    handled: AtomicU32,
    to: Mutex<Option<SendPort<()>>>,
    panics: AtomicBool,
}

impl Source {
    fn take(&self) -> bool {
        let taken = self.input.swap(0, Ordering::SeqCst);
        let to = self.to.lock().clone();
        for _ in 0..taken {
            self.handled.fetch_add(1, Ordering::SeqCst);
            if let Some(to) = &to {
                let _ = to.send(());
            }
        }
        taken != 0
    }
}

impl Poller for Source {
    fn begin(&self) {
        self.lookers.fetch_add(1, Ordering::SeqCst);
    }

    fn poll(&self) -> bool {
        assert!(!self.panics.load(Ordering::SeqCst), "as the test wants it");
        self.take()
    }

    fn end(&self) {
        self.lookers.fetch_sub(1, Ordering::SeqCst);
        self.take();
    }
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < Duration::from_secs(10), "not yet: {what}");
        std::thread::yield_now();
    }
}

fn dyn_weak(source: &Arc<Source>) -> Weak<dyn Poller> {
    let weak: Weak<Source> = Arc::downgrade(source);
    weak
}

#[test]
fn a_source_is_looked_at_while_a_thread_searches_and_not_while_all_sleep() {
    let search = Duration::from_millis(50);
    let runtime = Runtime::builder().threads(2).search_time(search).build();
    let source = Arc::new(Source::default());
    let (isolate, port) =
        Isolate::builder()
            .runtime(&runtime)
            .spawn_pair(
                |mut port: ReceivePort<()>| async move { while port.recv().await.is_some() {} },
            );
    *source.to.lock() = Some(port.clone());
    runtime.add_poller(dyn_weak(&source));
    // Each message is followed by a search.
    for number in 1..=100 {
        let _ = port.send(());
        wait_until("a thread looks", || {
            source.lookers.load(Ordering::SeqCst) > 0
        });
        source.input.fetch_add(1, Ordering::SeqCst);
        wait_until(
            "the input is handled, at the end of the search at the latest",
            || source.handled.load(Ordering::SeqCst) == number,
        );
    }
    wait_until("all threads sleep", || {
        source.lookers.load(Ordering::SeqCst) == 0
            && runtime.threads().iter().all(|it| it.queued == 0)
    });
    isolate.kill();
    runtime.shut_down();
    assert_eq!(source.lookers.load(Ordering::SeqCst), 0);
}

#[test]
fn a_source_that_panics_harms_nothing_and_one_that_is_dropped_is_forgotten() {
    let runtime = Runtime::builder().threads(1).build();
    let source = Arc::new(Source::default());
    source.panics.store(true, Ordering::SeqCst);
    runtime.add_poller(dyn_weak(&source));
    let builder = Isolate::builder().runtime(&runtime);
    let port = builder.spawn_with_port(|port: ReceivePort<ReplyTo<u32>>| {
        port.listen(|reply| reply.send(2));
    });
    for _ in 0..100 {
        let answer = runtime.block_on(port.ask(|reply| reply));
        assert_eq!(answer, Ok(2));
    }
    wait_until("the thread sleeps", || {
        source.lookers.load(Ordering::SeqCst) == 0
    });
    let gone = Arc::downgrade(&source);
    drop(source);
    wait_until("nothing keeps it", || gone.strong_count() == 0);
    let other = Arc::new(Source::default());
    runtime.add_poller(dyn_weak(&other));
    let pool = runtime.core().thread_pool().unwrap();
    assert_eq!(pool.pollers().list.lock().len(), 1, "the other one alone");
    runtime.shut_down();
}
