//! Risk: an isolate waits in a queue while every thread sleeps, is run twice, or is left behind
//! with the queue of a thread whose place has been filled.
//!
//! These models run the pool itself. Only two things are not as in a program: the threads are
//! loom's, and isolates are numbers, which nobody runs.

use std::ptr;
use std::sync::Arc;

use loom::thread;

use super::*;

/// A pool whose threads run isolates that are numbers.
struct Model {
    pool: ThreadPool,
    limit: usize,
    /// Isolates that have run, by number: each bit is set once.
    ran: AtomicUsize,
    /// What `ran` is in the end.
    all: usize,
}

impl Model {
    /// Threads have been started and wait for work, the last one on top; `isolates` will run.
    fn parked(limit: usize, threads: usize, isolates: usize) -> Self {
        let pool = ThreadPool::new(limit, threads - limit, Duration::ZERO, "model".into());
        for index in 0..threads {
            assert_eq!(pool.sleep.wake_one(), Some(Wake::Start(index)));
            // Those before it are stuck, so that there is room for one more.
            pool.sleep.stick(index);
        }
        for index in 0..threads {
            pool.sleep.park(index);
        }
        // Loom does not see the `OnceLock` behind which a program makes them.
        pool.threads.iter().for_each(|thread| _ = thread.ring());
        pool.started.store(threads, Ordering::SeqCst);
        Self {
            pool,
            limit,
            ran: AtomicUsize::new(0),
            all: (1 << isolates) - 1,
        }
    }

    /// Thread 0 is awake and inside of a turn; all others are parked.
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

    /// What a thread of the pool does for as long as there is one, in `run_thread`.
    fn run_all(&self, worker: &Worker) {
        let pool = &self.pool;
        while !pool.stopped.load(Ordering::Relaxed) {
            let Some(isolate) = pool.next(worker).or_else(|| pool.find_work(worker)) else {
                break;
            };
            self.run(isolate);
        }
    }

    /// A thread that was parked at first.
    fn start_parked(self: &Arc<Self>, index: usize) -> thread::JoinHandle<()> {
        let model = self.clone();
        thread::spawn(move || {
            let worker = Worker::new(&model.pool, index);
            model.pool.park(&worker);
            model.pool.sleep.found_work();
            model.run_all(&worker);
        })
    }

    /// A thread that is awake at first, and out of work.
    fn start_awake(self: &Arc<Self>, index: usize) -> thread::JoinHandle<()> {
        assert!(self.pool.sleep.resume(index));
        self.pool.sleep.found_work();
        let model = self.clone();
        thread::spawn(move || model.run_all(&Worker::new(&model.pool, index)))
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

/// Two threads go to sleep while two isolates come in at once, of which a wake-up speaks only
/// once.
#[test]
fn two_park_vs_wake() {
    check(2, || {
        let model = Arc::new(Model::parked(2, 2, 2));
        let threads = [model.start_awake(0), model.start_awake(1)];
        model.pool.inject([Model::isolate(0), Model::isolate(1)]);
        model.end(threads);
    });
}

/// come unstuck vs spare: the monitor finds a thread stuck that has isolates in its queues, and
/// fills its place; meanwhile its turn ends, and it wants to go on itself. What it leaves behind
/// is run all the same.
#[test]
fn come_unstuck_vs_spare() {
    check(1, || {
        let model = Arc::new(Model::inside_of_a_turn(1, 2, 4));
        let worker = Worker::new(&model.pool, 0);
        model.pool.schedule_on(&worker, Model::isolate(0));
        model.pool.push_to_ring(&worker, Model::isolate(1));
        model.pool.threads[0].overflow.push([Model::isolate(2)]);
        let spare = model.start_parked(1);
        let stuck = {
            let model = model.clone();
            thread::spawn(move || {
                let (pool, worker) = (&model.pool, Worker::new(&model.pool, 0));
                // The end of a turn, as in `ThreadPool::run`; the isolate wants to go on.
                let again = Model::isolate(3);
                if pool.threads[0].stuck.load(Ordering::Relaxed) {
                    pool.come_unstuck(&worker, Some(again));
                } else {
                    pool.push_to_ring(&worker, again);
                }
                model.run_all(&worker);
            })
        };
        // The turn has not ended since the last look.
        model.pool.look(&mut [Some(0), None]);
        model.end([spare, stuck]);
    });
}
