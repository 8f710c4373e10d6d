//! Risk: a value is in no chunk or in two, or results come in another order.

use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::thread;

use insula_compute::Compute;

use crate::dice::Dice;
use crate::{WIDTHS, wide};

/// What `map_chunks` has to give: the chunks of `std`, each with the index of its first value.
fn plain(values: &[u64], chunk_len: usize) -> Vec<(usize, Vec<u64>)> {
    let chunks = values.chunks(chunk_len);
    let numbered = chunks.enumerate();
    numbered
        .map(|(index, it)| (index * chunk_len, it.to_vec()))
        .collect()
}

#[test]
fn chunks_are_those_of_std_whatever_the_width_is() {
    let mut dice = Dice::new(1);
    for _ in 0..60 {
        let len = dice.below(200);
        let values: Vec<u64> = (0..len).map(|_| dice.next()).collect();
        let chunk_len = 1 + dice.below(50);
        for width in WIDTHS {
            let compute = wide(width);
            let parts = compute.map_chunks(&values, chunk_len, |start, it| (start, it.to_vec()));
            assert_eq!(parts, plain(&values, chunk_len));

            let mut changed = values.clone();
            compute.for_each_chunk_mut(&mut changed, chunk_len, |start, chunk| {
                let len = chunk.len() as u64;
                for (index, value) in (start..).zip(chunk) {
                    *value = value.wrapping_mul(3) ^ (index as u64) ^ (len << 32);
                }
            });
            let expected = plain(&values, chunk_len)
                .into_iter()
                .flat_map(|(start, it)| {
                    let len = it.len() as u64;
                    let each = (start as u64..).zip(it);
                    each.map(move |(index, value)| value.wrapping_mul(3) ^ index ^ (len << 32))
                });
            assert!(changed.into_iter().eq(expected));
        }
    }
}

#[test]
fn an_empty_slice_has_no_chunk() {
    for width in WIDTHS {
        for chunk_len in [0, 1, usize::MAX] {
            let compute = wide(width);
            let none = compute.map_chunks(&[0_u8; 0], chunk_len, |start, _| start);
            assert_eq!(none, [0_usize; 0]);
            compute.for_each_chunk_mut(&mut [0_u8; 0], chunk_len, |_, _| unreachable!());
        }
    }
}

#[test]
fn a_chunk_length_of_zero_is_one() {
    for width in WIDTHS {
        let compute = wide(width);
        let parts = compute.map_chunks(&[5, 6, 7], 0, |start, chunk| (start, chunk.to_vec()));
        assert_eq!(parts, [(0, vec![5]), (1, vec![6]), (2, vec![7])]);
        let mut values = [5, 6, 7];
        compute.for_each_chunk_mut(&mut values, 0, |start, chunk| chunk[0] += start);
        assert_eq!(values, [5, 7, 9]);
    }
}

#[test]
fn a_chunk_longer_than_the_slice_is_the_slice() {
    for width in WIDTHS {
        let parts =
            wide(width).map_chunks(&[1, 2, 3], usize::MAX, |start, chunk| (start, chunk.len()));
        assert_eq!(parts, [(0, 3)]);
    }
}

#[test]
fn values_without_a_size_are_counted() {
    for width in WIDTHS {
        let most = vec![(); usize::MAX];
        let half = usize::MAX / 2;
        let parts = wide(width).map_chunks(&most, half, |start, chunk| (start, chunk.len()));
        assert_eq!(parts, [(0, half), (half, half), (2 * half, 1)]);
    }
}

#[test]
fn one_thread_alone_is_that_of_the_caller() {
    let caller = thread::current().id();
    let here = |compute: &Compute, chunk_len| {
        let threads = compute.map_chunks(&[1, 2, 3], chunk_len, |_, _| thread::current().id());
        threads.into_iter().all(|thread| thread == caller)
    };
    assert!(here(&wide(1), 1), "the width is 1");
    assert!(here(&wide(8), 3), "there is one chunk");
    assert!(!here(&wide(8), 1));
}

#[test]
fn chunks_inside_of_chunks_use_the_same_threads() {
    for width in WIDTHS {
        let compute = wide(width);
        let values: Vec<u64> = (0..1000).collect();
        let sums = compute.map_chunks(&values, 100, |_, outer| {
            let inner = compute.map_chunks(outer, 7, |_, chunk| chunk.iter().sum::<u64>());
            (inner.iter().sum::<u64>(), rayon::current_thread_index())
        });
        let total: u64 = sums.iter().map(|(sum, _)| sum).sum();
        assert_eq!(total, 499_500);
        assert!(
            sums.iter()
                .all(|(_, index)| index.is_some_and(|it| it < width) == (width > 1))
        );
    }
}

#[test]
fn a_panic_in_a_chunk_reaches_the_caller() {
    for width in WIDTHS {
        let compute = wide(width);
        let mut values = [1, 2, 3, 4];
        let mapped = catch_unwind(AssertUnwindSafe(|| {
            compute.map_chunks(&values, 1, |start, _| assert_ne!(start, 2, "third"))
        }));
        let message = mapped.unwrap_err();
        assert!(message.downcast_ref::<String>().unwrap().contains("third"));
        let changed = catch_unwind(AssertUnwindSafe(|| {
            compute.for_each_chunk_mut(&mut values, 1, |_, _| panic_any(9));
        }));
        assert_eq!(changed.unwrap_err().downcast_ref(), Some(&9));
        assert_eq!(compute.map_chunks(&values, 2, |_, it| it.len()), [2, 2]);
    }
}
