//! Who runs a task while loops are merged, taken apart and ended, through all interleavings that
//! loom finds within its preemption bound. Run by `cargo xtask test`; alone:
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release -p insula-embed --lib loom`

use std::sync::Arc;

use insula_core::Instant;
use insula_sync::Parker;
use insula_sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use loom::thread;

use crate::message_loop::Flush;
use crate::shared::{Shared, Wake};

fn two_loops() -> (Arc<Shared>, Arc<Shared>) {
    let order = Arc::new(AtomicU64::new(0));
    let make = |label: &str| Shared::new(label.into(), order.clone(), Wake::Park(Parker::new()));
    (make("a"), make("b"))
}

/// Counts runs, and that no two overlap.
#[derive(Default)]
struct Ran {
    count: AtomicUsize,
    inside: AtomicUsize,
}

impl Ran {
    fn task(self: &Arc<Self>) -> Box<dyn FnOnce() + Send> {
        let ran = self.clone();
        Box::new(move || {
            assert_eq!(ran.inside.fetch_add(1, Ordering::Relaxed), 0);
            ran.count.fetch_add(1, Ordering::Relaxed);
            ran.inside.fetch_sub(1, Ordering::Relaxed);
        })
    }
}

fn run(it: &Arc<Shared>) -> thread::JoinHandle<()> {
    let it = it.clone();
    let now = Instant::now();
    thread::spawn(move || it.run(&|| now))
}

/// post vs merge vs end: a task is posted to a loop that is merged at this moment. Whoever runs
/// it, it is run, once, before the ends.
#[test]
fn post_vs_merge() {
    loom::model(|| {
        let (a, b) = two_loops();
        let ran = Arc::new(Ran::default());
        let thread = run(&b);
        assert!(a.merge(&b));
        assert!(b.post(Instant::now(), ran.task()));
        let now = Instant::now();
        while ran.count.load(Ordering::Relaxed) == 0 {
            a.flush(Flush::All, &|| now);
            thread::yield_now();
        }
        b.terminate();
        thread.join().unwrap();
        assert_eq!(ran.count.load(Ordering::Relaxed), 1);
    });
}

/// post beside merge: another thread posts to a loop while it is merged, and both loops sleep or
/// are about to. The thread of the loop that is to run the task is woken for it.
#[test]
fn post_beside_merge() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(|| {
        // Before the loops' own, so that the task is due for them.
        let now = Instant::now();
        let (a, b) = two_loops();
        let ran = Arc::new(Ran::default());
        let owner = run(&a);
        let poster = {
            let (task, a, b) = (ran.task(), a.clone(), b.clone());
            let ends = [a, b.clone()];
            thread::spawn(move || {
                let end = move || ends.iter().for_each(Shared::terminate);
                b.post(
                    now,
                    Box::new(move || {
                        task();
                        end();
                    }),
                )
            })
        };
        // It comes too late if the task has ended them.
        let _ = a.merge(&b);
        b.run(&|| now);
        assert!(poster.join().unwrap());
        owner.join().unwrap();
        assert_eq!(ran.count.load(Ordering::Relaxed), 1);
    });
}

/// merge vs run: the old thread runs tasks while the new owner begins to; no two at once.
#[test]
fn merge_vs_run() {
    loom::model(|| {
        let (a, b) = two_loops();
        let ran = Arc::new(Ran::default());
        let now = Instant::now();
        assert!(b.post(now, ran.task()));
        assert!(b.post(now, ran.task()));
        let thread = run(&b);
        assert!(a.merge(&b));
        a.flush(Flush::All, &|| now);
        assert!(a.unmerge(&b));
        b.terminate();
        thread.join().unwrap();
        assert_eq!(ran.count.load(Ordering::Relaxed), 2);
    });
}

/// unmerge vs run: the owner is running a task when the loop gets its others back. Its thread
/// sleeps meanwhile, and is woken.
#[test]
fn unmerge_vs_run() {
    loom::model(|| {
        let (a, b) = two_loops();
        let ran = Arc::new(Ran::default());
        let now = Instant::now();
        assert!(a.merge(&b));
        assert!(b.post(now, ran.task()));
        assert!(b.post(now, ran.task()));
        let ender = b.clone();
        let end = move || ender.terminate();
        assert!(b.post(now, Box::new(end)));
        let owner = {
            let a = a.clone();
            thread::spawn(move || {
                a.flush(Flush::Single, &|| now);
            })
        };
        assert!(a.unmerge(&b));
        b.run(&|| now);
        owner.join().unwrap();
        assert_eq!(ran.count.load(Ordering::Relaxed), 2);
    });
}

/// end vs run: a merged loop is ended while its owner may be running its task.
#[test]
fn end_vs_run() {
    loom::model(|| {
        let (a, b) = two_loops();
        let ran = Arc::new(Ran::default());
        let now = Instant::now();
        assert!(a.merge(&b));
        assert!(b.post(now, ran.task()));
        assert!(b.post(now, ran.task()));
        let thread = run(&b);
        let owner = {
            let a = a.clone();
            thread::spawn(move || {
                a.flush(Flush::All, &|| now);
                a.close();
            })
        };
        b.terminate();
        thread.join().unwrap();
        owner.join().unwrap();
        assert_eq!(ran.count.load(Ordering::Relaxed), 2);
    });
}

/// Two loops that would own each other: one of them gets its way.
#[test]
fn merge_vs_merge() {
    loom::model(|| {
        let (a, b) = two_loops();
        let other = {
            let (a, b) = (a.clone(), b.clone());
            thread::spawn(move || b.merge(&a))
        };
        let here = a.merge(&b);
        let there = other.join().unwrap();
        assert!(here != there);
        a.close();
        b.close();
    });
}
