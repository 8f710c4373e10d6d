//! A loom model of what workers and the dispatch tell each other without the lock, through all
//! interleavings within the preemption bound. It runs the real code. `cargo xtask test` runs it; to
//! run it alone:
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release -p insula-pool --lib loom`

use std::sync::Arc;

use loom::thread;

use insula_core::Instant;
use insula_rpc::{Priority, Share, WorkType};
use insula_sync::Mutex;
use insula_sync::atomic::{AtomicUsize, Ordering};

use crate::balance::Balance;
use crate::config::Queue;
use crate::dispatch::{Dispatch, Fate, Job, Next, Place, Submitted, Target};
use crate::error::WorkerFault;
use crate::health::Heartbeat;
use crate::stats::samples::{Sample, Samples};

struct Call(Option<Target>);

impl Job for Call {
    type Handle = ();
    fn handle(&self) {}
    fn deadline(&self) -> Option<Instant> {
        None
    }
    fn pin(&self) -> Option<Target> {
        self.0
    }
    fn identity(&self) -> Option<u64> {
        None
    }
    fn share(&self) -> Option<Share> {
        None
    }
    fn work(&self) -> WorkType {
        WorkType::Balanced
    }
    fn priority(&self) -> Priority {
        Priority::Normal
    }
    fn came_at(&self) -> Option<Instant> {
        None
    }
    fn bytes(&self) -> u64 {
        0
    }
}

/// A place where loom is to try each order of the threads that pass it. Where one thread loads a value and
/// another one loads and then stores it, loom 0.7 tries one order only: it keeps the last access to an
/// object, and that is the load of the thread that stores.
#[derive(Clone, Default)]
struct Moment(Arc<AtomicUsize>);

impl Moment {
    fn pass(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Risk: a slice ends just as its worker is given up. Both leave it, or none does, and the worker looks
/// inside for ever, or outside though it is not; or a call waits beside its next state.
#[test]
fn a_slice_that_ends_while_its_worker_is_given_up_is_left_once() {
    loom::model(|| {
        let dispatch = Dispatch::<Call>::new(1, 1, Queue::default(), Balance::default());
        let (signs, heartbeat) = (dispatch.signs(), Arc::new(Heartbeat::default()));
        let slices = (Arc::clone(&signs), Arc::clone(&heartbeat));
        let inside = Moment::default();
        let there = inside.clone();
        let isolate = thread::spawn(move || {
            let (signs, heartbeat) = slices;
            for _ in 0..2 {
                heartbeat.begins(&signs, 0);
                there.pass();
                heartbeat.ends(&signs, 0);
            }
        });
        inside.pass();
        let found = heartbeat.inside();
        if let Some(count) = found
            && heartbeat.give_up(count)
        {
            signs.leave(0);
        }
        isolate.join().unwrap();
        assert!(
            !signs.is_inside(0),
            "it is left once too seldom, or too often"
        );
    });
}

/// Risk: a call comes just as a worker's slice ends. The submission sees the worker inside and
/// wakes no lane, the worker sees no call, and the call waits beside a worker with room.
#[test]
fn a_call_that_comes_while_a_slice_ends_wakes_a_lane() {
    loom::model(|| {
        let mut dispatch = Dispatch::<Call>::new(1, 1, Queue::default(), Balance::default());
        assert_eq!(dispatch.ready(0, 0, Instant::now()).0, Some(vec![0]));
        let signs = dispatch.signs();
        let dispatch = Arc::new(Mutex::new(dispatch));
        let at = Place { worker: 0, lane: 0 };

        let submitting = Arc::clone(&dispatch);
        let caller = thread::spawn(move || {
            let submitted = submitting.lock().submit(Call(None), true, Instant::now);
            match submitted {
                Submitted::Queued { unpark, .. } => unpark.is_some(),
                Submitted::Refused { .. } => panic!("there is room"),
            }
        });
        signs.enter(0);
        let next = dispatch.lock().next(at);
        let is_run = matches!(next, Next::Run(..));
        let is_offered = signs.leave(0) && dispatch.lock().offer(0).is_some();
        let is_woken = caller.join().unwrap();
        assert!(is_run || is_offered || is_woken, "the call waits for ever");
    });
}

/// Risk: a call of a key has begun just as its key moves to another worker, which asks. That worker sees
/// that it has not begun and parks, the other one sees no fence, and the next call waits for ever.
#[test]
fn a_call_that_begins_while_its_key_moves_lets_the_next_one_start() {
    loom::model(|| {
        let mut dispatch = Dispatch::<Call>::new(2, 1, Queue::default(), Balance::default());
        for worker in 0..2 {
            assert!(dispatch.ready(worker, 0, Instant::now()).0.is_some());
        }
        for _ in 0..2 {
            let call = Call(Some(Target::Key(7)));
            let _submitted = dispatch.submit(call, true, Instant::now);
        }
        let lane = |worker| Place { worker, lane: 0 };
        let took = |next: &Next<Call>| matches!(next, Next::Run(..));
        let home = usize::from(!took(&dispatch.next(lane(0))));
        if home == 1 {
            assert!(took(&dispatch.next(lane(1))));
        }
        let signs = dispatch.signs();
        let dispatch = Arc::new(Mutex::new(dispatch));

        let beginning = Arc::clone(&dispatch);
        let begins = thread::spawn(move || {
            signs.begin(home) && !beginning.lock().pass_fences().unpark.is_empty()
        });
        let other = 1 - home;
        let fault = Arc::new(WorkerFault::Ended);
        let lost = dispatch.lock().lose(home, 0, &fault, Fate::Lost);
        drop(lost);
        let is_run = took(&dispatch.lock().next(lane(other)));
        let is_woken = begins.join().unwrap();
        let is_run = is_run || (is_woken && took(&dispatch.lock().next(lane(other))));
        assert!(is_run, "the next call waits for ever");
    });
}

/// The isolate of a worker writes more samples than the ring has room for, while another thread
/// reads the histograms. Each sample is seen once, whole and in its turn.
#[test]
fn each_sample_comes_once_whichever_side_drains() {
    loom::model(|| {
        let samples = Arc::new(Samples::new(2));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sample = |number: u64| Sample {
            method: number as usize,
            queue_wait: number,
            run_time: (number != 1).then_some(number),
        };
        let (writing, full) = (Arc::clone(&samples), Arc::clone(&seen));
        let writer = thread::spawn(move || {
            for number in 0..3 {
                if !writing.push(sample(number)) {
                    let mut seen = full.lock();
                    writing.drain(|it| seen.push(it));
                    drop(seen);
                    assert!(writing.push(sample(number)));
                }
            }
        });
        let mut reading = seen.lock();
        samples.drain(|it| reading.push(it));
        drop(reading);
        writer.join().unwrap();
        let mut seen = seen.lock();
        samples.drain(|it| seen.push(it));
        assert_eq!(*seen, [0, 1, 2].map(sample));
    });
}
