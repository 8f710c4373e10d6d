//! Risk: an accepted record is lost, handled twice, or handled by two threads at once.

use std::sync::Arc;

use loom::thread;

use insula_sync::Parker;
use insula_sync::atomic::{AtomicUsize, Ordering};

use crate::memory::Current;
use crate::memory::lane::{Burst, Lane};
use crate::memory::record::{Head, RecordVtable, SystemVtable};

/// Never called: the models read records themselves.
static VTABLE: SystemVtable = SystemVtable(&RecordVtable {
    deliver: |_, _, _: Current<'_>| unreachable!(),
    discard: |_, _, _: Current<'_>| unreachable!(),
    settle: None,
});

struct Model {
    lane: Lane,
    /// The number of times that the isolate is in the run queue: at most once.
    queued: AtomicUsize,
    sum: AtomicUsize,
}

impl Model {
    fn new() -> Arc<Self> {
        let zero = || AtomicUsize::new(0);
        Arc::new(Self {
            lane: Lane::new(),
            queued: zero(),
            sum: zero(),
        })
    }

    fn send(&self, value: u64) -> bool {
        let mut lane = self.lane.lock();
        if lane.is_dead() {
            return false;
        }
        // SAFETY: not dead; one payload word.
        unsafe { lane.push(Head::of(&VTABLE, 1), value) };
        let schedule = lane.mark_scheduled();
        drop(lane);
        if schedule {
            assert_eq!(
                self.queued.fetch_add(1, Ordering::AcqRel),
                0,
                "queued twice"
            );
        }
        true
    }

    /// Runs the isolate if it is queued, until it is idle, or dead if `exit` is set.
    fn run(&self, exit: bool) {
        if self
            .queued
            .compare_exchange(1, 0, Ordering::AcqRel, Ordering::Acquire)
            .is_err()
        {
            return;
        }
        let burst = Burst::new();
        // SAFETY: this thread took the isolate out of the run queue.
        let mut first = unsafe { self.lane.take_first() };
        loop {
            // SAFETY: as above.
            while let Some((_, payload)) = first.take().or_else(|| unsafe { burst.next() }) {
                // SAFETY: each record's payload is one word.
                let value = unsafe { payload.read() };
                self.sum.fetch_add(value as usize, Ordering::Relaxed);
            }
            let mut lane = self.lane.lock();
            if lane.take_chain(&burst) {
                continue;
            }
            let spent = burst.take_spent();
            if exit {
                lane.go_dead();
                drop(lane);
                spent.free();
            } else {
                let empty = lane.go_idle(0);
                drop(lane);
                spent.free();
                empty.free();
            }
            return;
        }
    }
}

/// push vs idle: two senders, a thread that runs the isolate whenever it is queued.
#[test]
fn push_vs_idle() {
    loom::model(|| {
        let model = Model::new();
        let senders: Vec<_> = [1, 10]
            .map(|value| {
                let model = model.clone();
                thread::spawn(move || assert!(model.send(value)))
            })
            .into();
        model.run(false);
        senders
            .into_iter()
            .for_each(|sender| sender.join().unwrap());
        model.run(false);
        assert_eq!(model.sum.load(Ordering::Relaxed), 11);
        assert_eq!(model.queued.load(Ordering::Relaxed), 0);
    });
}

/// One sender's records stay in order, wherever in the lane they are stored.
#[test]
fn one_sender_in_a_row() {
    loom::model(|| {
        let model = Model::new();
        let sender = {
            let model = model.clone();
            thread::spawn(move || (1..=3).for_each(|value| assert!(model.send(value))))
        };
        model.run(false);
        sender.join().unwrap();
        model.run(false);
        assert_eq!(model.sum.load(Ordering::Relaxed), 6);
    });
}

/// kill vs wait: a control message wakes an isolate that sleeps, also when another thread holds
/// the lane while the isolate looks for a message.
#[test]
fn kill_vs_wait() {
    loom::model(|| {
        let model = Model::new();
        let parker = Arc::new(Parker::new());
        let killer = thread::spawn({
            let (model, parker) = (model.clone(), parker.clone());
            move || {
                let _schedules = model.lane.lock().mark_oob();
                parker.unpark();
            }
        });
        let other = thread::spawn({
            let model = model.clone();
            move || drop(model.lane.lock())
        });
        while !model.lane.has_oob() {
            parker.park();
        }
        killer.join().unwrap();
        other.join().unwrap();
    });
}

/// exit vs send: a refused record is not handled, an accepted one is.
#[test]
fn exit_vs_send() {
    loom::model(|| {
        let model = Model::new();
        assert!(model.send(1));
        let sender = {
            let model = model.clone();
            thread::spawn(move || model.send(10))
        };
        model.run(true);
        let accepted = sender.join().unwrap();
        let expected = if accepted { 11 } else { 1 };
        assert_eq!(model.sum.load(Ordering::Relaxed), expected);
        assert!(!model.send(100));
    });
}

impl Model {
    /// Posts a resume to the out-of-band lane.
    fn resume(&self, resumed: &AtomicUsize) {
        let mut lane = self.lane.lock();
        resumed.store(1, Ordering::Relaxed);
        let schedule = lane.mark_oob();
        drop(lane);
        if schedule {
            assert_eq!(
                self.queued.fetch_add(1, Ordering::AcqRel),
                0,
                "queued twice"
            );
        }
    }

    /// Runs a paused isolate, which goes on only if the resume has arrived.
    fn run_paused(&self, resumed: &AtomicUsize) {
        if self
            .queued
            .compare_exchange(1, 0, Ordering::AcqRel, Ordering::Acquire)
            .is_err()
        {
            return;
        }
        loop {
            let mut lane = self.lane.lock();
            if lane.take_oob() && resumed.load(Ordering::Relaxed) == 1 {
                drop(lane);
                self.queued.store(1, Ordering::Release);
                return self.run(false);
            }
            if !lane.has_oob() {
                lane.go_paused();
                return;
            }
        }
    }
}

/// pause vs resume vs send: only the thread that resumes a paused isolate schedules it; what was
/// sent meanwhile is handled.
#[test]
fn pause_vs_resume() {
    loom::model(|| {
        let model = Model::new();
        let resumed = Arc::new(AtomicUsize::new(0));
        assert!(model.send(1));
        let resumer = {
            let (model, resumed) = (model.clone(), resumed.clone());
            thread::spawn(move || {
                assert!(model.send(10));
                model.resume(&resumed);
            })
        };
        model.run_paused(&resumed);
        // A paused isolate handles no record.
        let seen = model.sum.load(Ordering::Relaxed);
        assert!(seen == 0 || resumed.load(Ordering::Relaxed) == 1);
        resumer.join().unwrap();
        model.run_paused(&resumed);
        assert_eq!(model.sum.load(Ordering::Relaxed), 11);
        assert_eq!(model.queued.load(Ordering::Relaxed), 0);
    });
}
