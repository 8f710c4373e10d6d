//! Risk: figures that lose digits. The certified values are those of the Statistical Reference
//! Datasets of NIST (univariate summary statistics), which were computed with 500 digits.
//!
//! The data of NumAcc1 to NumAcc4 follow a rule. Those of Michelso are the measurements of the speed
//! of light that Michelson made in 1879, in thousands of km/s, in their order (the data set `morley`
//! of R).

use data::{Operation, Statistics};

use crate::support::assert_close;

/// The last three digits in km/s above 299,000.
const MICHELSON: [u16; 100] = [
    850, 740, 900, 1070, 930, 850, 950, 980, 980, 880, 1000, 980, 930, 650, 760, 810, 1000, 1000,
    960, 960, 960, 940, 960, 940, 880, 800, 850, 880, 900, 840, 830, 790, 810, 880, 880, 830, 800,
    790, 760, 800, 880, 880, 880, 860, 720, 720, 620, 860, 970, 950, 880, 910, 850, 870, 840, 840,
    850, 840, 840, 840, 890, 810, 810, 820, 800, 770, 760, 740, 750, 760, 910, 920, 890, 860, 880,
    720, 840, 850, 850, 780, 890, 840, 780, 810, 760, 810, 790, 810, 820, 850, 870, 870, 810, 740,
    810, 940, 950, 800, 810, 870,
];

/// The numbers of NumAcc2, 3 and 4: one, then two others in turn.
fn alternating(first: f64, pair: [f64; 2]) -> Vec<f64> {
    let rest = pair.into_iter().cycle().take(1_000);
    [first].into_iter().chain(rest).collect()
}

/// Checks the kernels within `tolerance`, and the statistics of a stream within `streaming`.
#[track_caller]
fn check(numbers: &[f64], certified: [f64; 3], tolerance: f64, streaming: f64) {
    let [mean, deviation, correlation] = certified;
    let compute = |operation: Operation| operation.compute(numbers).unwrap();
    assert_close(compute(Operation::Mean), mean, 1e-15);
    assert_close(compute(Operation::Deviation), deviation, tolerance);
    assert_close(
        compute(Operation::Autocorrelation(1)),
        correlation,
        tolerance,
    );

    // In parts, as chunks of a file are.
    let mut whole = Statistics::default();
    for part in numbers.chunks(7) {
        let mut some = Statistics::default();
        part.iter().for_each(|number| some.push(*number));
        whole.merge(&some);
    }
    assert_eq!(whole.count(), numbers.len() as u64);
    assert_close(whole.mean().unwrap(), mean, streaming);
    assert_close(whole.standard_deviation().unwrap(), deviation, streaming);
}

#[test]
fn michelso() {
    let numbers = MICHELSON.map(|it| (299_000.0 + f64::from(it)) / 1_000.0);
    let certified = [299.852400000000, 0.0790105478190518, 0.535199668621283];
    check(&numbers, certified, 1e-12, 1e-12);
}

#[test]
fn num_acc_1() {
    let numbers = [10_000_001.0, 10_000_003.0, 10_000_002.0];
    check(&numbers, [10_000_002.0, 1.0, -0.5], 1e-15, 1e-15);
}

#[test]
fn num_acc_2() {
    let certified = [1.2, 0.1, -0.999];
    check(&alternating(1.2, [1.1, 1.3]), certified, 1e-14, 1e-13);
}

/// The numbers of this set and the next have no exact binary form, so that no program that keeps
/// them in double precision has more digits: the spacing of the numbers is 1.2e-9 of the deviation
/// here, and 1.9e-8 there.
#[test]
fn num_acc_3() {
    let certified = [1_000_000.2, 0.1, -0.999];
    check(
        &alternating(1_000_000.2, [1_000_000.1, 1_000_000.3]),
        certified,
        1e-9,
        1e-8,
    );
}

#[test]
fn num_acc_4() {
    let certified = [10_000_000.2, 0.1, -0.999];
    check(
        &alternating(10_000_000.2, [10_000_000.1, 10_000_000.3]),
        certified,
        1e-7,
        1e-7,
    );
}

#[test]
fn no_numbers_have_no_statistics() {
    let mut nothing = Statistics::default();
    nothing.merge(&Statistics::default());
    assert_eq!(
        (nothing.mean(), nothing.min(), nothing.max()),
        (None, None, None)
    );
    nothing.push(-3.0);
    assert_eq!(nothing.standard_deviation(), None);
    assert_eq!((nothing.min(), nothing.max()), (Some(-3.0), Some(-3.0)));
}
