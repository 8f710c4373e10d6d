//! Risk: a regression that loses digits. The certified values are those of the Statistical Reference
//! Datasets of NIST, which were computed with 500 digits.

use analytics::{Algorithm, Features, Learned, Linear, Split};

use crate::support::{assert_digits, reference, table};

/// Fits all rows.
fn fit(features: &Features) -> Linear {
    let split = Split {
        train: (0..features.rows()).collect(),
        test: Vec::new(),
    };
    match features.learn(&split, Algorithm::LinearRegression).unwrap() {
        Learned::Linear(linear) => linear,
        other => panic!("{other:?}"),
    }
}

/// All columns of a table but the first, which is to be predicted.
fn features(name: &str) -> Features {
    let table = table(&reference(name));
    let (target, others) = table.columns.split_first().unwrap();
    let row = |row: usize| others.iter().map(move |column| column.values[row]);
    Features {
        names: others.iter().map(|column| column.name.clone()).collect(),
        values: (0..table.rows()).flat_map(row).collect(),
        targets: target.values.clone(),
    }
}

/// Compares with the certified coefficients, of which the intercept is the first, the residual
/// standard deviation and R squared.
#[track_caller]
fn check(features: &Features, certified: &[f64], residual: f64, r2: f64, tolerance: f64) {
    let found = fit(features);
    assert_digits(found.intercept, certified[0], tolerance);
    for (found, certified) in found.coefficients.iter().zip(&certified[1..]) {
        assert_digits(found.value, *certified, tolerance);
    }
    let train = found.train.unwrap();
    assert_digits(train.r2, r2, 1e-12);
    // The residual deviation divides by the degrees of freedom.
    let freedom = features.rows() - certified.len();
    let scale = (features.rows() as f64 / freedom as f64).sqrt();
    if residual > 0.0 {
        assert_digits(train.rmse * scale, residual, tolerance);
    }
    assert!(found.test.is_none() && found.predictions.is_empty());
}

#[test]
fn norris() {
    let certified = [-0.262323073774029, 1.00211681802045];
    check(
        &features("norris.csv"),
        &certified,
        0.884796396144373,
        0.999993745883712,
        1e-12,
    );
}

/// Sixteen years with six features that nearly depend on each other.
#[test]
fn longley() {
    let certified = [
        -3482258.63459582,
        15.0618722713733,
        -0.358191792925910e-01,
        -2.02022980381683,
        -1.03322686717359,
        -0.511041056535807e-01,
        1829.15146461355,
    ];
    check(
        &features("longley.csv"),
        &certified,
        304.854073561965,
        0.995479004577296,
        1e-10,
    );
}

/// A polynomial of the fifth degree, whose powers nearly depend on each other.
#[test]
fn wampler_1() {
    let powers = |x: i32| (1..=5).map(move |power| f64::from(x).powi(power));
    let features = Features {
        names: (1..=5).map(|power| format!("x{power}")).collect(),
        values: (0..=20).flat_map(powers).collect(),
        targets: (0..=20).map(|x| 1.0 + powers(x).sum::<f64>()).collect(),
    };
    check(&features, &[1.0; 6], 0.0, 1.0, 1e-8);
}
