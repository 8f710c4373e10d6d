//! Risk: an isolate waits in a queue while every thread sleeps, is run twice, or is left behind
//! in the queue of a thread whose place has been filled.
//!
//! These models run the pool itself. Only two things differ from a program: the threads are
//! loom's, and isolates are numbers, which are noted instead of run.

use std::ptr;
use std::sync::Arc;

use loom::thread;

use super::*;

/// A pool whose threads run isolates that are numbers.
struct Model {
    pool: ThreadPool,
    limit: usize,
    /// The isolates that have run, as a bit set: each bit is set once.
    ran: AtomicUsize,
    /// The value of `ran` in the end.
    all: usize,
}

impl Model {
    /// A pool whose threads have all been started and are parked, the last one on top. It will run
    /// so many `isolates`.
    fn parked(limit: usize, threads: usize, isolates: usize) -> Self {
        let pool = ThreadPool::new(limit, threads - limit, Duration::ZERO, "model".into());
        for index in 0..threads {
            assert_eq!(pool.sleep.wake_one(), Some(Wake::Start(index)));
            // Stuck, so that there is room to start the next one.
            pool.sleep.stick(index);
        }
        for index in 0..threads {
            pool.sleep.park(index);
        }
        // A program makes the rings behind a `OnceLock`, which loom does not see.
        pool.threads.iter().for_each(|thread| _ = thread.ring());
        pool.started.store(threads, Ordering::SeqCst);
        Self {
            pool,
            limit,
            ran: AtomicUsize::new(0),
            all: (1 << isolates) - 1,
        }
    }

    /// A pool whose thread 0 is awake and inside of a turn, and whose other threads are parked.
    fn inside_of_a_turn(limit: usize, threads: usize, isolates: usize) -> Self {
        let model = Self::parked(limit, threads, isolates);
        assert!(model.pool.sleep.resume(0));
        model.pool.sleep.found_work();
        model.pool.threads[0]
            .meter
            .running
            .store(true, Ordering::Relaxed);
        model
    }

    fn isolate(number: usize) -> Raw {
        NonNull::new(ptr::without_provenance_mut(1 << number)).unwrap()
    }

    /// Runs an isolate. The last one ends the pool.
    fn run(&self, isolate: Raw) {
        let bit = isolate.as_ptr().addr();
        let before = self.ran.fetch_or(bit, Ordering::SeqCst);
        assert_eq!(before & bit, 0, "an isolate ran twice");
        if before | bit == self.all {
            self.pool.stopped.store(true, Ordering::SeqCst);
            for thread in &self.pool.threads {
                thread.parker.unpark();
            }
        }
    }

    /// The loop of a pool thread, as in `run_thread`.
    fn run_all(&self, this: &ThisThread) {
        let pool = &self.pool;
        while !pool.stopped.load(Ordering::Relaxed) {
            let Some(isolate) = pool.next(this).or_else(|| pool.find_work(this)) else {
                break;
            };
            self.run(isolate);
        }
    }

    /// Starts a thread that is parked at first.
    fn start_parked(self: &Arc<Self>, index: usize) -> thread::JoinHandle<()> {
        let model = self.clone();
        thread::spawn(move || {
            let this = ThisThread::new(&model.pool, index);
            model.pool.park(&this);
            model.pool.sleep.found_work();
            model.run_all(&this);
        })
    }

    /// Starts a thread that is awake at first, and out of work.
    fn start_awake(self: &Arc<Self>, index: usize) -> thread::JoinHandle<()> {
        assert!(self.pool.sleep.resume(index));
        self.pool.sleep.found_work();
        let model = self.clone();
        thread::spawn(move || model.run_all(&ThisThread::new(&model.pool, index)))
    }

    fn end(&self, threads: impl IntoIterator<Item = thread::JoinHandle<()>>) {
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(self.ran.load(Ordering::SeqCst), self.all);
        assert!(self.pool.sleep.awake() <= self.limit, "too many are awake");
    }
}

fn check(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

/// park vs wake: the only thread goes to sleep while work comes in, twice. A lost wake-up is a
/// deadlock.
#[test]
fn park_vs_wake() {
    check(3, || {
        let model = Arc::new(Model::parked(1, 1, 2));
        let thread = model.start_awake(0);
        model.pool.inject([Model::isolate(0)]);
        model.pool.inject([Model::isolate(1)]);
        model.end([thread]);
    });
}

/// Two threads go to sleep while two isolates come in at once, for which only one thread is woken.
#[test]
fn two_park_vs_wake() {
    check(2, || {
        let model = Arc::new(Model::parked(2, 2, 2));
        let threads = [model.start_awake(0), model.start_awake(1)];
        model.pool.inject([Model::isolate(0), Model::isolate(1)]);
        model.end(threads);
    });
}

/// come unstuck vs spare: the monitor marks a thread with isolates in its queues as stuck, and
/// fills its place. Meanwhile the thread's turn ends, and it takes its place back or gives its
/// queues away. All isolates run in either case.
#[test]
fn come_unstuck_vs_spare() {
    check(1, || {
        let model = Arc::new(Model::inside_of_a_turn(1, 2, 4));
        let this = ThisThread::new(&model.pool, 0);
        model.pool.schedule_on(&this, Model::isolate(0));
        model.pool.push_to_ring(&this, Model::isolate(1));
        model.pool.threads[0].overflow.push([Model::isolate(2)]);
        let spare = model.start_parked(1);
        let stuck = {
            let model = model.clone();
            thread::spawn(move || {
                let (pool, this) = (&model.pool, ThisThread::new(&model.pool, 0));
                // The end of a turn, as in `ThreadPool::run`; the isolate wants to go on.
                let again = Model::isolate(3);
                if pool.threads[0].stuck.load(Ordering::Relaxed) {
                    pool.come_unstuck(&this, Some(again));
                } else {
                    pool.push_to_ring(&this, again);
                }
                model.run_all(&this);
            })
        };
        // The turn has not ended since the last look.
        model.pool.look(&mut [Some(0), None]);
        model.end([spare, stuck]);
    });
}

/// doze vs inject: an isolate comes in for a pool whose one thread computes, while the monitor is about
/// to doze. The time of a doze does not end in a model, so that an isolate which the monitor does not
/// see is a deadlock.
#[test]
fn doze_vs_inject() {
    check(3, || {
        let model = Arc::new(Model::inside_of_a_turn(1, 1, 1));
        model.pool.monitor.set_awake();
        let monitor = {
            let model = model.clone();
            thread::spawn(move || {
                let _nudged = model.pool.doze();
                assert!(model.pool.work_waits(), "it was woken for nothing");
            })
        };
        model.pool.inject([Model::isolate(0)]);
        monitor.join().unwrap();
        // The turn has ended.
        model.run_all(&ThisThread::new(&model.pool, 0));
        model.end([]);
    });
}
