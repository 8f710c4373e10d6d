//! Risk: the bits of a sum depend on its threads, or its error is larger than the docs say.

use std::panic::catch_unwind;

use insula_compute::{Compute, Scalar};

use crate::dice::Dice;
use crate::{WIDTHS, wide};

const UNIT_32: f64 = 1.0 / (1_u64 << 24) as f64;
const UNIT_64: f64 = 1.0 / (1_u64 << 53) as f64;

fn doubles(dice: &mut Dice, len: usize) -> Vec<f64> {
    let number = |dice: &mut Dice| {
        let digits = dice.next() as i64 as f64;
        digits * 2_f64.powi(dice.below(200) as i32 - 100)
    };
    (0..len).map(|_| number(dice)).collect()
}

fn singles(dice: &mut Dice, len: usize) -> Vec<f32> {
    let small = |it: f64| (it * 2_f64.powi(-64)) as f32;
    doubles(dice, len).into_iter().map(small).collect()
}

/// The bits of each sum.
fn all_sums(compute: &Compute, (a, b): (&[f64], &[f64]), (c, d): (&[f32], &[f32])) -> [u64; 9] {
    [
        compute.sum(a).to_bits(),
        compute.sum_compensated(a).to_bits(),
        compute.dot(a, b).to_bits(),
        compute.dot_mixed(a, b).to_bits(),
        compute.sum(c).to_bits().into(),
        compute.sum_mixed(c).to_bits(),
        compute.sum_compensated(c).to_bits().into(),
        compute.dot(c, d).to_bits().into(),
        compute.dot_mixed(c, d).to_bits(),
    ]
}

#[test]
fn the_bits_of_a_sum_are_the_same_for_each_width() {
    let mut dice = Dice::new(3);
    // A thread sums up to 65,536 numbers alone.
    for len in [1, 127, 1000, 65_536, 65_537, 140_001] {
        let (a, b) = (doubles(&mut dice, len), doubles(&mut dice, len));
        let (c, d) = (singles(&mut dice, len), singles(&mut dice, len));
        let alone = all_sums(&wide(1), (&a, &b), (&c, &d));
        for width in WIDTHS {
            let sums = all_sums(&wide(width), (&a, &b), (&c, &d));
            assert_eq!(sums, alone, "{len} numbers, {width} wide");
        }
    }
}

/// The model of the order: blocks of 128 numbers in eight lanes, neighbors combined in pairs.
fn plain_sum<S: Scalar>(values: &[S]) -> S {
    let pairwise = |mut level: Vec<S>| {
        while level.len() > 1 {
            let pairs = level.chunks(2);
            level = pairs
                .map(|pair| pair[1..].iter().fold(pair[0], |a, &b| a + b))
                .collect();
        }
        level.pop().unwrap_or_default()
    };
    let lane = |block: &[S], lane: usize| {
        let numbers = block.iter().skip(lane).step_by(8);
        numbers.fold(-S::default(), |sum, &value| sum + value)
    };
    let block = |block: &[S]| pairwise((0..8).map(|it| lane(block, it)).collect());
    pairwise(values.chunks(128).map(block).collect())
}

#[test]
fn a_sum_has_the_order_of_the_model() {
    let mut dice = Dice::new(4);
    for round in 0..36 {
        let len = if round < 24 { round } else { dice.length() };
        let (a, c) = (doubles(&mut dice, len), singles(&mut dice, len));
        let products: Vec<f64> = a.iter().zip(&c).map(|(a, &c)| a * f64::from(c)).collect();
        let factors: Vec<f64> = c.iter().map(|&it| f64::from(it)).collect();
        for width in [1, 3] {
            let compute = wide(width);
            assert_eq!(compute.sum(&a).to_bits(), plain_sum(&a).to_bits(), "{len}");
            assert_eq!(compute.sum(&c).to_bits(), plain_sum(&c).to_bits(), "{len}");
            let dot = compute.dot(&a, &factors);
            assert_eq!(dot.to_bits(), plain_sum(&products).to_bits(), "{len}");
            let mixed = compute.sum_mixed(&c);
            assert_eq!(mixed.to_bits(), plain_sum(&factors).to_bits(), "{len}");
        }
    }
}

/// The bound of the docs: γ(k).
fn gamma(k: f64, unit: f64) -> f64 {
    k * unit / (1.0 - k * unit)
}

/// The most additions that one of so many numbers passes through.
fn height(len: usize) -> f64 {
    18.0 + (len.div_ceil(128).max(1) as f64).log2().ceil()
}

/// Whole numbers, whose sums and partial sums are whole too, so that `i128` has them exactly.
fn whole(dice: &mut Dice, len: usize) -> Vec<i128> {
    let mut values: Vec<i128> = (0..len).map(|_| dice.whole()).collect();
    // Half of them cancel the other half, so that the sum is small beside the numbers.
    if dice.below(2) == 0 {
        for index in 0..len / 2 {
            values[len - 1 - index] = -values[index];
        }
    }
    values
}

#[test]
fn the_error_of_a_sum_is_within_the_bound_of_the_docs() {
    let mut dice = Dice::new(5);
    let compute = wide(3);
    for _ in 0..25 {
        let len = dice.length();
        let exact = whole(&mut dice, len);
        let sum: i128 = exact.iter().sum();
        let size = exact.iter().map(|it| it.abs()).sum::<i128>() as f64;
        let check = |what: &str, result: i128, bound: f64| {
            let error = (result - sum).abs() as f64;
            assert!(error <= bound, "{what} of {len}: {error} is above {bound}");
        };
        let h = height(len);
        let compensated = |unit: f64| unit * sum.abs() as f64 + gamma(2.0 * h, unit).powi(2) * size;

        let values: Vec<f64> = exact.iter().map(|&it| it as f64).collect();
        check(
            "sum",
            compute.sum(&values) as i128,
            gamma(h, UNIT_64) * size,
        );
        let result = compute.sum_compensated(&values) as i128;
        check("compensated sum", result, compensated(UNIT_64));

        let values: Vec<f32> = exact.iter().map(|&it| it as f32).collect();
        check(
            "f32",
            compute.sum(&values) as i128,
            gamma(h, UNIT_32) * size,
        );
        check(
            "mixed",
            compute.sum_mixed(&values) as i128,
            gamma(h, UNIT_64) * size,
        );
        let result = compute.sum_compensated(&values) as i128;
        check("compensated f32", result, compensated(UNIT_32));
    }
}

#[test]
fn the_error_of_a_dot_product_is_within_the_bound_of_the_docs() {
    let mut dice = Dice::new(6);
    let compute = wide(3);
    for _ in 0..25 {
        let len = dice.length();
        let (a, b) = (whole(&mut dice, len), whole(&mut dice, len));
        let products = || a.iter().zip(&b).map(|(a, b)| a * b);
        let sum: i128 = products().sum();
        let size = products().map(i128::abs).sum::<i128>() as f64;
        let single = |it: &[i128]| it.iter().map(|&it| it as f32).collect::<Vec<_>>();
        let double = |it: &[i128]| it.iter().map(|&it| it as f64).collect::<Vec<_>>();
        let check = |what: &str, result: i128, bound: f64| {
            let error = (result - sum).abs() as f64;
            assert!(error <= bound, "{what} of {len}: {error} is above {bound}");
        };
        let h = height(len);
        let result = compute.dot(&single(&a), &single(&b)) as i128;
        check("f32", result, gamma(h + 1.0, UNIT_32) * size);
        let result = compute.dot(&double(&a), &double(&b)) as i128;
        check("f64", result, gamma(h + 1.0, UNIT_64) * size);
        let result = compute.dot_mixed(&single(&a), &single(&b)) as i128;
        check("mixed", result, gamma(h, UNIT_64) * size);
    }
}

#[test]
fn the_compensation_gives_back_what_the_sum_has_lost() {
    let compute = wide(2);
    // Too small beside the first number to change it, one by one; the halves of an ulp add up.
    let mut values = vec![2_f64.powi(-54); 1 << 17];
    values[0] = 1.0;
    let exact = 1.0 + 2_f64.powi(-54) * ((1 << 17) - 1) as f64;
    assert_eq!(compute.sum_compensated(&values), exact);
    let values = [1e30_f32, 1.0, -1e30, 1.0];
    assert_eq!(compute.sum(&values), 0.0);
    assert_eq!(compute.sum_compensated(&values), 2.0);
    // 2²⁴ + 1 is no f32.
    let values = [16_777_216.0_f32, 1.0, 1.0];
    assert_eq!(compute.sum_mixed(&values), 16_777_218.0);
}

#[test]
fn a_sum_of_nothing_is_zero() {
    for width in WIDTHS {
        let compute = wide(width);
        let zeros = all_sums(&compute, (&[], &[]), (&[], &[]));
        assert_eq!(zeros, [0; 9], "and not a negative zero");
        assert_eq!(compute.sum(&[-0.0_f64]).to_bits(), (-0.0_f64).to_bits());
    }
}

#[test]
fn infinities_and_nan_propagate() {
    let sums = |values: &[f64]| {
        let compute = wide(2);
        let ones = vec![1.0; values.len()];
        let dot = compute.dot(values, &ones);
        [compute.sum(values), compute.sum_compensated(values), dot]
    };
    let mut values = vec![1.0; 200_000];
    for place in [0, 7, 199_999] {
        values[place] = f64::INFINITY;
        assert_eq!(sums(&values), [f64::INFINITY; 3]);
        values[100] = f64::NEG_INFINITY;
        assert!(sums(&values).iter().all(|it| it.is_nan()));
        values[100] = f64::NAN;
        assert!(sums(&values).iter().all(|it| it.is_nan()));
        (values[place], values[100]) = (1.0, 1.0);
    }
    assert_eq!(sums(&[f64::MAX, f64::MAX]), [f64::INFINITY; 3]);
    assert_eq!(sums(&[f64::MAX, -f64::MAX]), [0.0; 3]);
    assert_eq!(sums(&[f64::MAX, f64::MIN_POSITIVE]), [f64::MAX; 3]);
    let least = f64::from_bits(1);
    assert_eq!(sums(&[least, least]), [f64::from_bits(2); 3]);
    // Wide enough for each product of two f32.
    let (most, least) = (f32::MAX, f32::from_bits(1));
    let wide = wide(1);
    let most_squared = f64::from(most) * f64::from(most);
    assert_eq!(wide.dot_mixed(&[most], &[most]), most_squared);
    assert_eq!(wide.dot_mixed(&[least], &[least]), 2_f64.powi(-298));
    assert_eq!(wide.dot(&[most], &[most]), f32::INFINITY);
}

#[test]
fn slices_of_different_lengths_have_no_dot_product() {
    let message = |dot: fn(&Compute) -> f64| {
        let payload = catch_unwind(|| dot(&wide(1))).unwrap_err();
        payload.downcast_ref::<String>().unwrap().clone()
    };
    let plain = message(|compute| compute.dot(&[1.0, 2.0], &[1.0]));
    assert!(plain.ends_with("different lengths, 2 and 1"), "{plain}");
    let mixed = message(|compute| compute.dot_mixed(&[1.0_f32], &[]));
    assert!(mixed.ends_with("different lengths, 1 and 0"), "{mixed}");
}
