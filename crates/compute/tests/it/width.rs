//! Risk: a computation uses cores that others need, or none at all.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use insula_compute::{Compute, Parallel, Simd};

use crate::wide;

#[test]
fn the_width_follows_the_taken_cores() {
    let taken = Arc::new(AtomicUsize::new(0));
    let now = Arc::clone(&taken);
    let compute = Compute::builder()
        .cores(4)
        .taken(move || now.load(Ordering::Relaxed))
        .build();
    for (others, width) in [
        (0, 4),
        (1, 3),
        (3, 1),
        (4, 1),
        (5, 1),
        (usize::MAX, 1),
        (2, 2),
    ] {
        taken.store(others, Ordering::Relaxed);
        assert_eq!(compute.width(), width, "{others} taken");
        assert_eq!(compute.clone().width(), width, "{others} taken");
        assert_eq!(compute.parallel(rayon::current_num_threads), width);
    }
}

#[test]
fn the_width_is_asked_once_for_each_computation() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let taken = move || counter.fetch_add(1, Ordering::Relaxed) % 2;
    let compute = Compute::builder().cores(3).taken(taken).build();
    let mut values = [0; 100];
    compute.parallel(|| ());
    compute.for_each_chunk_mut(&mut values, 1, |_, _| ());
    compute.map_chunks(&values, 1, |_, _| ());
    compute.reduce(&values, 1, |_, _| (), |(), ()| ());
    assert_eq!(asked.load(Ordering::Relaxed), 4);
    assert_eq!(format!("{compute:?}").matches("taken").count(), 0);
    assert_eq!(
        asked.load(Ordering::Relaxed),
        4,
        "Debug runs no code of a user"
    );
}

#[test]
fn cores_are_those_of_the_machine_unless_they_are_set() {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    assert_eq!(Compute::new().width(), cores.min(1024));
    assert_eq!(Compute::default().width(), cores.min(1024));
    for (set, width) in [
        (0, 1),
        (1, 1),
        (1024, 1024),
        (1025, 1024),
        (usize::MAX, 1024),
    ] {
        let compute = Compute::builder().cores(set).build();
        assert_eq!(compute.width(), width);
    }
}

#[test]
fn off_is_a_width_of_one_that_asks_nothing() {
    let compute = Compute::builder()
        .cores(8)
        .taken(|| unreachable!("one core is always there"))
        .parallel(Parallel::Off)
        .build();
    assert_eq!(compute.width(), 1);
    assert_eq!(compute.parallel(rayon::current_num_threads), 1);
    let on = Compute::builder().cores(8).parallel(Parallel::On).build();
    assert_eq!(on.width(), 8);
}

#[test]
fn a_panic_of_taken_reaches_the_caller() {
    let compute = Compute::builder()
        .cores(2)
        .taken(|| panic!("no pool"))
        .build();
    let panics = |op: &dyn Fn()| {
        let payload = catch_unwind(AssertUnwindSafe(op)).unwrap_err();
        assert_eq!(payload.downcast_ref(), Some(&"no pool"));
    };
    panics(&|| assert_ne!(compute.width(), 0));
    panics(&|| compute.parallel(|| ()));
    panics(&|| drop(compute.map_chunks(&[1, 2], 1, |_, _| ())));
    // One piece needs no width.
    assert_eq!(compute.map_chunks(&[1, 2], 2, |_, chunk| chunk.len()), [2]);
    assert_eq!(compute.sum(&[1.0, 2.0]), 3.0);
}

#[test]
fn the_level_is_that_of_the_cpu_at_most() {
    assert_eq!(wide(1).simd(), Simd::detect());
    for cap in [Simd::Scalar, Simd::Sse2, Simd::Avx512] {
        let compute = Compute::builder().simd(cap).build();
        assert_eq!(compute.simd(), Simd::detect().at_most(cap));
    }
}
