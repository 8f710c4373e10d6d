//! Risk: work waits while a thread sleeps; more threads are awake than may be; the place of a
//! stuck thread is filled twice.

use std::sync::Arc;

use loom::thread;

use insula_sync::Parker;
use insula_sync::atomic::{AtomicUsize, Ordering};

use crate::thread_pool::sleep::{Injected, Sleep, Wake};

struct Model {
    sleep: Sleep,
    parkers: Vec<Parker>,
    /// Injected work.
    work: AtomicUsize,
    done: AtomicUsize,
}

impl Model {
    fn new(limit: usize, threads: usize) -> Arc<Self> {
        Arc::new(Self {
            sleep: Sleep::new(limit, threads),
            parkers: (0..threads).map(|_| Parker::new()).collect(),
            work: AtomicUsize::new(0),
            done: AtomicUsize::new(0),
        })
    }

    /// As the pool injects. In the models all threads have been started.
    fn inject(&self) {
        self.work.fetch_add(1, Ordering::SeqCst);
        match self.sleep.work_injected() {
            Injected::Wake(wake) => self.wake(Some(wake)),
            Injected::Seen | Injected::AllBusy => {}
        }
    }

    fn wake(&self, wake: Option<Wake>) {
        match wake {
            Some(Wake::Unpark(index)) => self.parkers[index].unpark(),
            Some(Wake::Start(_)) => unreachable!("all threads have been started"),
            None => {}
        }
    }

    fn take(&self) -> bool {
        let mut work = self.work.load(Ordering::SeqCst);
        while work != 0 {
            match self
                .work
                .compare_exchange(work, work - 1, Ordering::SeqCst, Ordering::SeqCst)
            {
                Ok(_) => return true,
                Err(now) => work = now,
            }
        }
        false
    }

    /// As a pool thread that is out of work: returns with work.
    fn find_work(&self, index: usize) {
        self.sleep.start_searching();
        loop {
            if self.take() {
                let last = self.sleep.found_work().0;
                if last && self.work.load(Ordering::SeqCst) != 0 {
                    self.wake(self.sleep.wake_one());
                }
                return;
            }
            self.sleep.park(index);
            let more = self.work.load(Ordering::SeqCst) != 0;
            if !(more && self.sleep.resume(index)) {
                self.parkers[index].park();
            }
        }
    }

    fn start_all(&self, threads: usize) {
        for _ in 0..threads {
            assert!(matches!(self.sleep.wake_one(), Some(Wake::Start(_))));
            self.sleep.found_work();
        }
    }
}

/// park vs wake: a thread goes to sleep while work comes in. A lost wake-up is a deadlock.
#[test]
fn park_vs_wake() {
    loom::model(|| {
        let model = Model::new(1, 1);
        model.start_all(1);
        let worker = {
            let model = model.clone();
            thread::spawn(move || {
                model.find_work(0);
                model.find_work(0);
            })
        };
        model.inject();
        model.inject();
        worker.join().unwrap();
    });
}

/// Two threads go to sleep, two pieces of work come in: each gets one.
#[test]
fn two_park_vs_wake() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(|| {
        let model = Model::new(2, 2);
        model.start_all(2);
        let workers: Vec<_> = (0..2)
            .map(|index| {
                let model = model.clone();
                thread::spawn(move || model.find_work(index))
            })
            .collect();
        model.inject();
        model.inject();
        workers
            .into_iter()
            .for_each(|worker| worker.join().unwrap());
    });
}

/// spare thread hand-over: one place, a stuck thread that comes back, a spare that is woken for
/// its queue. The work is done, and at most one of the two stays awake.
#[test]
fn spare_takes_over() {
    loom::model(|| {
        let model = Model::new(1, 2);
        assert_eq!(model.sleep.wake_one(), Some(Wake::Start(0)));
        model.sleep.found_work();
        // Work comes in while thread 0 is inside a turn: nobody may be woken for it.
        model.work.fetch_add(1, Ordering::SeqCst);
        assert_eq!(model.sleep.work_injected(), Injected::AllBusy);
        let monitor = {
            let model = model.clone();
            thread::spawn(move || {
                if !model.sleep.stick(0) {
                    return;
                }
                if let Some(wake) = model.sleep.wake_one() {
                    assert_eq!(wake, Wake::Start(1));
                    // Thread 1, from here on.
                    let found = model.take();
                    model.sleep.found_work();
                    if found {
                        model.done.fetch_add(1, Ordering::SeqCst);
                    }
                }
            })
        };
        // Thread 0 comes to the end of its turn.
        if model.sleep.unstick(0) && model.take() {
            model.done.fetch_add(1, Ordering::SeqCst);
        }
        monitor.join().unwrap();
        // Whoever is awake finds what is left.
        if model.take() {
            model.done.fetch_add(1, Ordering::SeqCst);
        }
        assert_eq!(model.done.load(Ordering::SeqCst), 1);
        assert!(model.sleep.awake() <= 1 || model.sleep.unstick(0));
    });
}
