//! Risk: memory is counted twice, for the wrong thread or for the wrong slice, or counting breaks
//! the allocator.
//!
//! A program of its own, since its global allocator counts.
#![cfg(target_os = "linux")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::RefCell;
use std::hint::black_box;
use std::sync::mpsc::channel;
use std::thread;

use insula_memory::{Counts, MemoryMeter, Tracking, thread_counts};

#[global_allocator]
static ALLOCATOR: Tracking = Tracking::new(System);

const KIB: u64 = 1024;

/// A block of one KiB, which the compiler cannot leave out.
fn kib() -> Box<[u8]> {
    black_box(vec![black_box(1); KIB as usize].into_boxed_slice())
}

fn now() -> Counts {
    thread_counts().expect("the allocator of this program counts")
}

/// What the calling thread has counted in `f`.
fn counted(f: impl FnOnce()) -> (u64, u64, u64) {
    let before = now();
    f();
    let Counts {
        allocated,
        freed,
        allocations,
        ..
    } = now().since(before);
    (allocated, freed, allocations)
}

fn in_slice<R>(meter: &MemoryMeter, f: impl FnOnce() -> R) -> R {
    meter.begin();
    let result = f();
    meter.end();
    result
}

#[test]
fn an_allocation_and_its_free_are_counted_once() {
    let mut block = None;
    assert_eq!(counted(|| block = Some(kib())), (KIB, 0, 1));
    assert_eq!(counted(|| drop(block)), (0, KIB, 0));
    assert_eq!(counted(|| ()), (0, 0, 0));
}

#[test]
fn a_reallocation_counts_the_difference() {
    let mut bytes = Vec::<u8>::with_capacity(100);
    let grow = |bytes: &mut Vec<u8>| {
        bytes.reserve_exact(1_000);
        black_box(bytes);
    };
    assert_eq!(counted(|| grow(&mut bytes)), (900, 0, 0));
    bytes.resize(10, 0);
    assert_eq!(counted(|| bytes.shrink_to_fit()), (0, 990, 0));
    assert_eq!(counted(|| drop(bytes)), (0, 10, 0));
}

#[test]
fn zeroed_memory_is_counted_and_zero() {
    let mut bytes = Vec::new();
    assert_eq!(
        counted(|| bytes = black_box(vec![0_u8; 1_000])),
        (1_000, 0, 1)
    );
    assert!(bytes.iter().all(|byte| *byte == 0));
}

#[test]
fn memory_that_is_refused_is_not_counted() {
    let mut bytes = Vec::<u8>::new();
    let most = isize::MAX.unsigned_abs();
    let refused = counted(|| assert!(bytes.try_reserve_exact(most).is_err()));
    assert_eq!(refused, (0, 0, 0));
    let mut bytes = vec![1_u8; 100];
    let refused = counted(|| assert!(bytes.try_reserve_exact(most - 100).is_err()));
    assert_eq!(refused, (0, 0, 0));
    let layout = Layout::from_size_align(most - 4_095, 4_096).unwrap();
    // SAFETY: the layout has a size above zero.
    let refused = counted(|| assert!(unsafe { ALLOCATOR.alloc_zeroed(layout) }.is_null()));
    assert_eq!(refused, (0, 0, 0));
}

#[test]
fn each_thread_counts_what_it_does_itself() {
    let (block, before) = (kib(), now());
    let there = thread::spawn(move || {
        let freed = counted(|| drop(block));
        let blocks: Vec<_> = (0..64).map(|_| kib()).collect();
        (freed, blocks, now())
    });
    let (freed, blocks, counts) = there.join().unwrap();
    assert_eq!(freed, (0, KIB, 0));
    assert!(counts.allocated >= 64 * KIB);
    // What starting a thread allocates is far less.
    let here = now().since(before);
    assert!(here.allocated < 32 * KIB, "{here:?}");
    // The blocks, and the list of them.
    let (allocated, freed, _) = counted(|| drop(blocks));
    let list = 64 * size_of::<Box<[u8]>>() as u64;
    assert_eq!((allocated, freed), (0, 64 * KIB + list));
}

/// Allocates and frees in its destructor, at the end of its thread.
struct AtEnd(std::sync::mpsc::Sender<((u64, u64, u64), Option<u64>)>);

impl Drop for AtEnd {
    fn drop(&mut self) {
        let counts = counted(|| drop(kib()));
        let meter = MemoryMeter::new();
        in_slice(&meter, || drop(kib()));
        let _ = self.0.send((counts, meter.held()));
    }
}

thread_local! {
    // Initialized before the first slice of its thread and after it: the order of destructors is
    // none that a library may depend on.
    static EARLY: RefCell<Option<AtEnd>> = const { RefCell::new(None) };
    static LATE: RefCell<Option<AtEnd>> = const { RefCell::new(None) };
}

#[test]
fn the_end_of_a_thread_is_counted() {
    let (to_here, from_there) = channel();
    let there = thread::spawn(move || {
        EARLY.set(Some(AtEnd(to_here.clone())));
        let meter = MemoryMeter::new();
        in_slice(&meter, || drop(kib()));
        LATE.set(Some(AtEnd(to_here)));
    });
    there.join().unwrap();
    let counts: Vec<_> = from_there.iter().collect();
    assert_eq!(counts, [((KIB, KIB, 1), Some(0)); 2]);
}

#[test]
fn a_meter_counts_only_what_happens_inside_of_slices() {
    let meter = MemoryMeter::new();
    let outside = kib();
    let kept = in_slice(&meter, kib);
    in_slice(&meter, || drop(kib()));
    let _outside = [outside, kib()];
    let counts = meter.counts().unwrap();
    assert_eq!(
        (counts.allocated, counts.freed, counts.allocations),
        (2 * KIB, KIB, 2)
    );
    assert_eq!(meter.held(), Some(KIB));
    // Of the second slice nothing was left at its end.
    assert_eq!(meter.peak(), Some(KIB));
    in_slice(&meter, || drop(kept));
    assert_eq!((meter.held(), meter.peak()), (Some(0), Some(KIB)));
}

#[test]
fn a_slice_inside_of_another_one_counts_once() {
    let (outer, middle, inner) = (MemoryMeter::new(), MemoryMeter::new(), MemoryMeter::new());
    let mut kept = Vec::with_capacity(8);
    in_slice(&outer, || {
        kept.push(kib());
        in_slice(&middle, || {
            kept.extend([kib(), kib()]);
            in_slice(&inner, || kept.extend([kib(), kib(), kib()]));
            in_slice(&inner, || drop(kept.pop()));
        });
    });
    assert_eq!(outer.held(), Some(KIB));
    assert_eq!(middle.held(), Some(2 * KIB));
    assert_eq!(inner.held(), Some(2 * KIB));
    assert_eq!(inner.peak(), Some(3 * KIB));
}

/// The list of slices grows meanwhile.
#[test]
fn slices_may_be_nested_deeply() {
    fn nest(meters: &[MemoryMeter], kept: &mut Vec<Box<[u8]>>) {
        if let Some((first, others)) = meters.split_first() {
            in_slice(first, || {
                kept.push(kib());
                nest(others, kept);
            });
        }
    }
    let meters: Vec<_> = (0..1_000).map(|_| MemoryMeter::new()).collect();
    let mut kept = Vec::with_capacity(meters.len());
    nest(&meters, &mut kept);
    // The list is part of the slice in which it grows, by few bytes on average.
    let held: u64 = meters.iter().filter_map(MemoryMeter::held).sum();
    let exact = meters.iter().filter(|it| it.held() == Some(KIB)).count();
    assert!(exact >= 980, "{exact} of 1000");
    assert!(held < 1_200 * KIB, "{held}");
}

#[test]
fn a_meter_of_several_threads_sums_up() {
    let meter = MemoryMeter::new();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..100 {
                    in_slice(&meter, || drop(kib()));
                }
            });
        }
    });
    let counts = meter.counts().unwrap();
    assert_eq!((counts.allocated, counts.allocations), (400 * KIB, 400));
    assert_eq!(counts.freed, 400 * KIB);
}

/// As a worker that gets messages does.
#[test]
fn an_isolate_that_frees_what_others_allocated_holds_nothing() {
    let (message, meter) = (kib(), MemoryMeter::new());
    in_slice(&meter, || drop(message));
    assert_eq!((meter.held(), meter.peak()), (Some(0), Some(0)));
    let counts = meter.counts().unwrap();
    assert_eq!((counts.allocated, counts.freed), (0, KIB));
}

#[test]
fn an_end_without_a_beginning_counts_nothing() {
    let meter = MemoryMeter::new();
    meter.end();
    drop(kib());
    meter.end();
    assert_eq!(meter.counts(), Some(Counts::default()));
}

#[test]
fn what_the_present_slice_has_used_is_seen_inside_of_it() {
    let (outer, inner) = (MemoryMeter::new(), MemoryMeter::new());
    outer.begin();
    let first = vec![0_u8; 1_000];
    assert_eq!(outer.held(), Some(0));
    assert_eq!(outer.held_inside(), Some(1_000));
    inner.begin();
    let second = vec![0_u8; 500];
    assert_eq!(inner.held_inside(), Some(500));
    inner.end();
    assert_eq!(outer.held_inside(), Some(1_000));
    drop((first, second));
    assert_eq!(outer.held_inside(), Some(0));
    outer.end();
}
