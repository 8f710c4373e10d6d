//! A loom model of what workers and the dispatch tell each other without the lock, through all
//! interleavings within the preemption bound. It runs the real code. `cargo xtask test` runs it; to
//! run it alone:
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release -p insula-pool --lib loom`

use std::sync::Arc;

use loom::thread;

use insula_core::Instant;
use insula_rpc::{Priority, WorkType};
use insula_sync::Mutex;

use crate::balance::Balance;
use crate::config::Queue;
use crate::dispatch::{Dispatch, Job, Next, Place, Submitted, Target};

struct Call;

impl Job for Call {
    type Handle = ();
    fn handle(&self) {}
    fn deadline(&self) -> Option<Instant> {
        None
    }
    fn pin(&self) -> Option<Target> {
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
            let submitted = submitting.lock().submit(Call, true, Instant::now);
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
