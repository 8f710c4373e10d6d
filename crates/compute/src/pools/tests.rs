//! Risk: calls that share threads wait for each other, a pool is lost by a panic, and idle threads
//! pile up.

use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::{Barrier, mpsc};
use std::thread::{self, ThreadId};

use insula_sync::Mutex;

use super::{Idle, Lent, Place, Pool, current_width, run, run_in, start};

fn pool(width: usize) -> Pool {
    let threads = start(width).unwrap();
    Pool { width, threads }
}

fn widths(pools: &[Pool]) -> Vec<usize> {
    pools.iter().map(|pool| pool.width).collect()
}

fn thread_of(lent: &Lent<'_>) -> ThreadId {
    let threads = lent.threads().unwrap();
    threads.install(|| thread::current().id())
}

#[test]
fn two_pools_that_are_lent_at_once_share_no_thread() {
    let idle = Mutex::new(Idle::new(8));
    let take = |_| Lent::take(&idle, 1, start).unwrap();
    let lent: Vec<_> = (0..3).map(take).collect();
    let threads: Vec<_> = lent.iter().map(thread_of).collect();
    assert_ne!(threads[0], threads[1]);
    assert_ne!(threads[1], threads[2]);
    assert_ne!(threads[0], threads[2]);
}

#[test]
fn calls_of_width_one_run_beside_each_other() {
    // Each waits inside of its pool for the others, which one thread could not let them do.
    let all_run = Barrier::new(3);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| run(1, |_| all_run.wait()));
        }
    });
}

#[test]
fn a_pool_is_used_again_also_after_a_panic() {
    let idle = Mutex::new(Idle::new(8));
    let run = |op: fn() -> u32| run_in(Lent::take(&idle, 2, start), |_| op());
    assert_eq!(run(|| 7), 7);
    let used = |width| Lent::take(&idle, width, |_| None);
    let pool = used(2).expect("the pool was given back");
    assert!(used(2).is_none(), "there is one, and it is in use");
    assert!(used(1).is_none(), "there is none of another width");
    drop(pool);
    let panic = catch_unwind(AssertUnwindSafe(|| run(|| panic_any("lost"))));
    assert_eq!(panic.unwrap_err().downcast_ref(), Some(&"lost"));
    let pool = used(2).expect("the pool was given back by the panic");
    assert_eq!(pool.threads().unwrap().install(|| 8), 8);
}

#[test]
fn without_threads_the_caller_runs_the_computation() {
    let caller = thread::current().id();
    let idle = Mutex::new(Idle::new(8));
    let here = run_in(Lent::take(&idle, 2, |_| None), |place| {
        (place, thread::current().id())
    });
    assert_eq!(here, (Place::Caller, caller));
    let failed = AssertUnwindSafe(|| run_in(None, |_| panic_any(3)));
    assert_eq!(catch_unwind(failed).unwrap_err().downcast_ref(), Some(&3));
}

#[test]
fn the_width_is_known_on_threads_of_the_pools_alone() {
    assert_eq!(current_width(), None);
    assert_eq!(run(2, |_| current_width()), Some(2));
    let foreign = rayon::ThreadPoolBuilder::new().num_threads(2).build();
    assert_eq!(foreign.unwrap().install(current_width), None);
}

#[test]
fn a_detached_task_that_panics_ends_no_process() {
    let (done, is_done) = mpsc::channel::<()>();
    run(2, |_| {
        rayon::spawn(move || {
            let _done = done;
            panic!("reported by the hook, and nothing else");
        });
    });
    // Ends when the task has dropped its sender.
    is_done.recv().unwrap_err();
    assert_eq!(run(2, |_| 1), 1);
}

#[test]
fn the_longest_unused_pools_are_ended_first() {
    let mut idle = Idle::new(4);
    assert!(idle.take(1).is_none());
    for width in [1, 2, 1] {
        assert!(idle.put(pool(width)).is_empty());
    }
    assert_eq!(widths(&idle.pools), [1, 2, 1]);
    assert_eq!(widths(&idle.put(pool(1))), [1]);
    assert_eq!(widths(&idle.pools), [2, 1, 1]);
    let used = idle.take(2).unwrap();
    assert!(idle.put(used).is_empty());
    assert_eq!(widths(&idle.put(pool(2))), [1, 1]);
    assert_eq!(widths(&idle.pools), [2, 2]);
}

#[test]
fn the_pool_that_was_used_last_is_kept_whatever_its_width_is() {
    let mut idle = Idle::new(2);
    assert!(idle.put(pool(3)).is_empty());
    assert_eq!(widths(&idle.pools), [3]);
    assert_eq!(widths(&idle.put(pool(1))), [3]);
    assert_eq!(widths(&idle.pools), [1]);
}
