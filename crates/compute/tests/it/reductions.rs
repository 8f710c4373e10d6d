//! Risk: the order of a reduction depends on its threads, so its result does too.

use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};

use crate::dice::Dice;
use crate::{WIDTHS, wide};

/// The model: all results of one level are combined with their neighbors, until one is left.
fn plain(values: &[u16], chunk_len: usize) -> Option<String> {
    let chunks = values.chunks(chunk_len).enumerate();
    let mut level: Vec<_> = chunks
        .map(|(index, it)| format!("{}:{it:?}", index * chunk_len))
        .collect();
    while level.len() > 1 {
        let pairs = level.chunks(2);
        level = pairs
            .map(|pair| match pair {
                [left, right] => format!("({left}+{right})"),
                alone => alone.concat(),
            })
            .collect();
    }
    level.pop()
}

#[test]
fn a_reduction_has_the_order_of_the_model() {
    let mut dice = Dice::new(2);
    for round in 0..80 {
        // Every small length, and some larger ones.
        let len = if round < 40 { round } else { dice.below(400) };
        let values: Vec<u16> = (0..len).map(|_| dice.next() as u16).collect();
        let chunk_len = 1 + dice.below(9);
        let expected = plain(&values, chunk_len);
        for width in WIDTHS {
            let reduced = wide(width).reduce(
                &values,
                chunk_len,
                |start, chunk| format!("{start}:{chunk:?}"),
                |left, right| format!("({left}+{right})"),
            );
            assert_eq!(
                reduced, expected,
                "{len} values, {chunk_len} each, {width} wide"
            );
        }
    }
}

#[test]
fn the_extremes_of_the_chunk_length_are_accepted() {
    for width in WIDTHS {
        let count = |values: &[u8], chunk_len| {
            let compute = wide(width);
            compute.reduce(
                values,
                chunk_len,
                |_, it| (1, it.len()),
                |a, b| (a.0 + b.0, a.1 + b.1),
            )
        };
        assert_eq!(count(&[], 0), None);
        assert_eq!(count(&[], usize::MAX), None);
        assert_eq!(count(&[1, 2, 3], 0), Some((3, 3)));
        assert_eq!(count(&[1, 2, 3], usize::MAX), Some((1, 3)));
        let most = vec![(); usize::MAX];
        let chunk = usize::MAX / 2;
        let starts = wide(width).reduce(&most, chunk, |start, _| start, |a, b| a ^ b);
        assert_eq!(starts, Some(chunk ^ (2 * chunk)));
    }
}

#[test]
fn a_panic_of_either_closure_reaches_the_caller() {
    let values: Vec<u32> = (0..20).collect();
    for width in WIDTHS {
        let compute = wide(width);
        let mapped = catch_unwind(AssertUnwindSafe(|| {
            compute.reduce(&values, 1, |_, _| panic_any(1), |(), ()| ())
        }));
        assert_eq!(mapped.unwrap_err().downcast_ref(), Some(&1));
        let combined = catch_unwind(AssertUnwindSafe(|| {
            compute.reduce(&values, 1, |_, _| (), |(), ()| panic_any(2))
        }));
        assert_eq!(combined.unwrap_err().downcast_ref(), Some(&2));
        let sum = compute.reduce(&values, 3, |_, it| it.iter().sum::<u32>(), |a, b| a + b);
        assert_eq!(sum, Some(190));
    }
}

#[test]
fn a_reduction_inside_of_another_one_has_the_same_result() {
    let values: Vec<u16> = (0..50).collect();
    for width in WIDTHS {
        let compute = wide(width);
        let inner = |_: usize, chunk: &[u16]| {
            let text = |_: usize, it: &[u16]| format!("{it:?}");
            compute.reduce(chunk, 2, text, |a, b| format!("({a}{b})"))
        };
        let outer = compute.reduce(&values, 10, inner, |a, b| Some(format!("<{}{}>", a?, b?)));
        let alone = wide(1);
        let same = alone.reduce(
            &values,
            10,
            |_, it| alone.reduce(it, 2, |_, it| format!("{it:?}"), |a, b| format!("({a}{b})")),
            |a, b| Some(format!("<{}{}>", a?, b?)),
        );
        assert_eq!(outer, same);
        assert!(outer.is_some());
    }
}
