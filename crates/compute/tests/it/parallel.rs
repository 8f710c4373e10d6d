//! Risk: a closure has other threads than its width says, a panic is lost or ends more than its
//! call, and nested calls wait for each other.

use std::cell::Cell;
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::thread::{self, ThreadId};

use insula_compute::{Compute, Parallel};
use rayon::prelude::*;

use crate::{WIDTHS, wide};

/// Returns the number of threads that run code of rayon where this is called.
fn threads() -> usize {
    // Once on each thread of the current pool.
    let seen = rayon::broadcast(|_| thread::current().id());
    HashSet::<ThreadId>::from_iter(seen).len()
}

#[test]
fn a_closure_has_as_many_threads_as_the_width() {
    for width in WIDTHS {
        let compute = wide(width);
        for _ in 0..3 {
            assert_eq!(compute.parallel(rayon::current_num_threads), width);
            assert_eq!(compute.parallel(threads), width);
        }
    }
}

#[test]
fn iterators_of_rayon_give_their_result() {
    for width in WIDTHS {
        let text = wide(width).parallel(|| {
            let numbers = (0..1000).into_par_iter();
            numbers.map(|it: u32| it.to_string()).collect::<String>()
        });
        assert!(text.starts_with("0123456789101112") && text.ends_with("997998999"));
    }
}

#[test]
fn threads_have_names() {
    let name = wide(2).parallel(|| thread::current().name().map(str::to_owned));
    assert!(name.unwrap().starts_with("compute-"));
}

#[test]
fn a_closure_finds_the_thread_locals_of_another_thread() {
    thread_local!(static MARK: Cell<u32> = const { Cell::new(0) });
    MARK.set(7);
    assert_eq!(wide(1).parallel(|| MARK.get()), 0);
    assert_eq!(wide(3).parallel(|| MARK.get()), 0);
    assert_eq!(MARK.get(), 7);
}

#[test]
fn a_panic_reaches_the_caller_and_harms_no_later_call() {
    for width in WIDTHS {
        let compute = wide(width);
        let fails = |op: &(dyn Fn() + Sync)| {
            let failed = catch_unwind(AssertUnwindSafe(|| compute.parallel(op)));
            assert_eq!(failed.unwrap_err().downcast_ref(), Some(&"broken"));
            assert_eq!(compute.parallel(threads), width);
        };
        fails(&|| panic_any("broken"));
        fails(&|| {
            (0..100).into_par_iter().for_each(|it| {
                if it == 63 {
                    panic_any("broken");
                }
            });
        });
    }
}

#[test]
fn a_nested_call_stays_on_the_threads_of_the_outer_one() {
    for width in WIDTHS {
        let compute = wide(width);
        let (outer, inner) = compute.parallel(|| {
            let outer = thread::current().id();
            (outer, compute.parallel(|| thread::current().id()))
        });
        assert_eq!(outer, inner);
        // From each thread at once, three deep.
        let counts = compute.parallel(|| {
            let inner = || compute.parallel(|| compute.parallel(rayon::current_num_threads));
            rayon::broadcast(|_| inner())
        });
        assert_eq!(counts, vec![width; width]);
    }
}

#[test]
fn a_nested_call_keeps_its_threads_when_others_take_cores() {
    let taken = |cores| Compute::builder().cores(4).taken(move || cores).build();
    let inner = taken(3);
    assert_eq!(inner.width(), 1);
    let counted = taken(0).parallel(|| inner.parallel(rayon::current_num_threads));
    assert_eq!(counted, 4);
}

#[test]
fn a_nested_call_is_not_wider_than_its_own_handle_says() {
    let off = Compute::builder().parallel(Parallel::Off).build();
    let counts = wide(3).parallel(|| {
        let of = |compute: &Compute| compute.parallel(threads);
        [
            of(&off),
            of(&wide(1)),
            of(&wide(2)),
            of(&wide(3)),
            of(&wide(8)),
        ]
    });
    assert_eq!(counts, [1, 1, 2, 3, 3]);
}

#[test]
fn a_panic_of_a_nested_call_passes_both() {
    for inner in [wide(1), wide(3)] {
        let nested = AssertUnwindSafe(|| wide(3).parallel(|| inner.parallel(|| panic_any(5))));
        let failed = catch_unwind(nested);
        assert_eq!(failed.unwrap_err().downcast_ref(), Some(&5));
    }
}

#[test]
fn a_call_in_a_foreign_pool_of_rayon_has_its_own_width() {
    let foreign = rayon::ThreadPoolBuilder::new().num_threads(2).build();
    let foreign = foreign.unwrap();
    for width in WIDTHS {
        assert_eq!(foreign.install(|| wide(width).parallel(threads)), width);
    }
}

#[test]
fn calls_of_many_threads_at_once_all_end() {
    let compute = wide(2);
    thread::scope(|scope| {
        for seed in 0..8_u64 {
            let compute = &compute;
            scope.spawn(move || {
                for round in 0..20 {
                    let sum = compute.parallel(|| (0..seed + round).into_par_iter().sum::<u64>());
                    assert_eq!(sum, (0..seed + round).sum::<u64>());
                }
            });
        }
    });
}

#[test]
fn a_handle_may_be_used_by_many_threads() {
    fn is_shared<T: Send + Sync + Clone + 'static>() {}
    is_shared::<Compute>();
}
