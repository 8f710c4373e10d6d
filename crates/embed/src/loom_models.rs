//! Models of tasks that run while loops are merged, unmerged and ended, in all interleavings
//! that loom finds within its preemption bound. Run by `cargo xtask test`; alone:
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

/// Counts the runs of tasks, and checks that no two overlap.
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

/// post vs merge vs end: a task is posted to a loop that has just been merged and still runs on
/// its own thread. It runs once, before the loop ends.
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

/// post beside merge: a third thread posts to a loop while it is being merged, and both loops
/// sleep or are about to. The thread of the loop that has to run the task is woken.
#[test]
fn post_beside_merge() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(|| {
        // Taken before the loops take theirs, so that the task is due for them.
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
        // Fails if the task has ended the loops already.
        let _ = a.merge(&b);
        b.run(&|| now);
        assert!(poster.join().unwrap());
        owner.join().unwrap();
        assert_eq!(ran.count.load(Ordering::Relaxed), 1);
    });
}

/// merge vs run: the old thread runs tasks while the new owner begins to. No two run at once.
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

/// unmerge vs run: the owner is running a task when the loop gets its other tasks back. The
/// loop's thread sleeps until the owner's task has ended, and is woken.
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

/// end vs run: a merged loop is ended while its owner may be running one of its tasks.
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

/// merge vs merge: two loops try to own each other. Exactly one succeeds.
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
