//! Risk: models that are worse than those of the field, or scores that flatter them. The references
//! are those of scikit-learn.

use analytics::{
    Algorithm, Clusters, Features, Forest, LearnError, Learned, Linear, Scores, Split, features,
};
use serde_json::Value;

use crate::support::{assert_close, expected, numbers, reference, sample, split_at_end, table};

#[track_caller]
fn assert_scores(found: &Scores, expected: &Value) {
    for (found, name) in [(found.r2, "r2"), (found.rmse, "rmse"), (found.mae, "mae")] {
        assert_close(found, expected[name].as_f64().unwrap(), 1e-12);
    }
}

fn friedman() -> (Features, Split) {
    split_at_end(&table(&reference("friedman.csv")), "y", 200)
}

#[test]
fn a_regression_has_the_weights_and_scores_of_scikit_learn() {
    let (features, split) = friedman();
    let Learned::Linear(found) = features.learn(&split, Algorithm::LinearRegression).unwrap()
    else {
        panic!("a regression was asked for")
    };
    let expected = &expected()["friedman"];
    assert_close(
        found.intercept,
        expected["intercept"].as_f64().unwrap(),
        1e-12,
    );
    for (found, expected) in found
        .coefficients
        .iter()
        .zip(numbers(&expected["coefficients"]))
    {
        assert_close(found.value, expected, 1e-12);
    }
    assert_scores(&found.test.unwrap(), &expected["linear"]);
    assert_eq!(found.predictions.len(), 200);
}

/// Draws a forest in parts, as calls do.
fn forest(features: &Features, split: &Split, parts: u64) -> Forest {
    let part = |seed| match features.learn(split, Algorithm::RandomForest { trees: 20, seed }) {
        Ok(Learned::Trees(trees)) => trees,
        other => panic!("{other:?}"),
    };
    let parts: Vec<_> = (0..parts).map(part).collect();
    Forest::merge(features, split, &parts)
}

#[test]
fn a_forest_is_as_good_as_that_of_scikit_learn() {
    let (features, split) = friedman();
    let found = forest(&features, &split, 10);
    let expected = &expected()["friedman"];
    let scores = found.test.unwrap();
    let r2 = expected["forest"]["r2"].as_f64().unwrap();
    // The trees are others, and so is each score; with 200 trees little is left of the chance.
    assert!(scores.r2 > r2 - 0.02, "{} beside {r2}", scores.r2);
    assert!(scores.r2 < r2 + 0.05, "too good to be true: {}", scores.r2);
    let importances: f64 = found.importances.iter().map(|(_, it)| it).sum();
    assert_close(importances, 1.0, 1e-12);
    for ((name, found), expected) in found
        .importances
        .iter()
        .zip(numbers(&expected["importances"]))
    {
        assert!(
            (found - expected).abs() < 0.06,
            "{name}: {found} beside {expected}"
        );
    }
    assert_eq!(found.trees, 200);
}

#[test]
fn the_same_seed_gives_the_same_trees_and_another_one_does_not() {
    let (features, split) = friedman();
    let learn = |seed| {
        features
            .learn(&split, Algorithm::RandomForest { trees: 3, seed })
            .unwrap()
    };
    assert_eq!(learn(1), learn(1));
    assert_ne!(learn(1), learn(2));
}

fn clusters(features: &Features, clusters: usize) -> Clusters {
    let split = Split::draw(features.rows(), 0.0, 0);
    match features
        .learn(&split, Algorithm::Clustering { clusters, seed: 0 })
        .unwrap()
    {
        Learned::Clusters(clusters) => clusters,
        other => panic!("{other:?}"),
    }
}

#[test]
fn clusters_are_as_tight_as_those_of_scikit_learn() {
    let table = table(&reference("blobs.csv"));
    let features = features(&table, table.column("label").unwrap()).unwrap();
    let expected = &expected()["clusters"];
    for count in 2..=6 {
        let found = clusters(&features, count);
        let expected = &expected[count.to_string()];
        let number = |name: &str| expected[name].as_f64().unwrap();
        // Four is how many there are; for other numbers there are several places to end at.
        let tolerance = if count <= 4 { 1e-9 } else { 0.08 };
        let excess = found.inertia / number("inertia") - 1.0;
        assert!((-1e-9..tolerance).contains(&excess), "{count}: {excess}");
        if count <= 4 {
            assert_close(found.silhouette, number("silhouette"), 1e-9);
        }
        let sizes: Vec<usize> = found.clusters.iter().map(|it| it.size).collect();
        assert_eq!(sizes.iter().sum::<usize>(), 300);
        assert!(sizes.is_sorted_by(|a, b| a >= b), "{sizes:?}");
        for (cluster, size) in sizes.iter().enumerate() {
            assert_eq!(
                found.assignment.iter().filter(|it| **it == cluster).count(),
                *size
            );
        }
    }
}

#[test]
fn rows_that_are_not_whole_are_left_out() {
    let mut table = table(&reference("blobs.csv"));
    for row in 0..10 {
        table.columns[row % 4].values[row] = f64::NAN;
    }
    let target = table.column("label").unwrap();
    assert_eq!(features(&table, target).unwrap().rows(), 290);
    table.columns[0].values.fill(1.0);
    let found = features(&table, target).unwrap();
    assert_eq!(
        found.names,
        ["b", "c"],
        "a column that does not vary says nothing"
    );
    table.columns[1].values.fill(f64::NAN);
    table.columns[2].values.fill(f64::NAN);
    let error = features(&table, target).unwrap_err();
    assert!(matches!(error, LearnError::TooFew { .. }), "{error}");
}

#[test]
fn times_give_the_season_and_the_years() {
    let table = table(&sample("climate/co2.csv"));
    let features = features(&table, 0).unwrap();
    assert_eq!(features.names, ["years", "winter", "spring"]);
    let split = Split::draw(features.rows(), 0.25, 0);
    let Learned::Linear(found) = features.learn(&split, Algorithm::LinearRegression).unwrap()
    else {
        panic!("a regression was asked for")
    };
    assert!(found.test.unwrap().r2 > 0.97);
    // The carbon dioxide rose by about 1.3 parts per million in a year.
    assert!((1.2..1.5).contains(&found.coefficients[0].value));
}

#[test]
fn no_row_is_both_learned_and_tested() {
    let split = Split::draw(1_001, 0.25, 7);
    let mut all = [split.train.clone(), split.test.clone()].concat();
    all.sort_unstable();
    assert!(all.into_iter().eq(0..1_001));
    assert_eq!(split.test.len(), 250);
    assert_eq!(split, Split::draw(1_001, 0.25, 7));
    assert_ne!(split, Split::draw(1_001, 0.25, 8));
    assert!(!split.test.is_sorted(), "the rows are drawn");
}

/// A name of a column, and what makes its value of a row and the number of that row.
type Added<'a> = (&'a str, &'a dyn Fn(&[f64], usize) -> f64);

/// The friedman rows with more columns.
fn with_more(more: &[Added<'_>]) -> (Features, Split) {
    let (features, split) = friedman();
    let row = |row: usize| {
        let values = features.row(row);
        let added = more.iter().map(move |(_, value)| value(values, row));
        added.chain(values.iter().copied())
    };
    let names = more.iter().map(|(name, _)| (*name).to_owned());
    let more = Features {
        values: (0..features.rows()).flat_map(row).collect(),
        names: names.chain(features.names.clone()).collect(),
        targets: features.targets.clone(),
    };
    (more, split)
}

fn regression(features: &Features, split: &Split) -> Result<Linear, LearnError> {
    match features.learn(split, Algorithm::LinearRegression)? {
        Learned::Linear(linear) => Ok(linear),
        other => panic!("{other:?}"),
    }
}

#[test]
fn features_that_others_determine_are_left_out_and_named() {
    let (features, split) = friedman();
    let alone = regression(&features, &split).unwrap();
    assert!(alone.left_out.is_empty());
    // Two sums, of which one has another scale and unit, and what is rounded.
    let (more, split) = with_more(&[
        ("sum", &|row, _| row[0] + row[1]),
        ("degrees", &|row, _| 1.8e6 * (row[2] - 0.3) + 32.0),
    ]);
    let found = regression(&more, &split).unwrap();
    // Columns are taken in their order, so that `x1` is what `sum` and `x0` leave.
    assert_eq!(found.left_out, ["x1", "x2"]);
    for (found, alone) in found.predictions.iter().zip(&alone.predictions) {
        assert_close(*found, *alone, 1e-10);
    }
    let weighed: Vec<_> = found
        .coefficients
        .iter()
        .map(|it| it.feature.as_str())
        .collect();
    assert_eq!(weighed, ["sum", "degrees", "x0", "x3", "x4", "x5"]);
}

#[test]
fn features_that_nearly_depend_on_others_remain() {
    let (more, split) = with_more(&[("noise", &|row, at| row[0] + 1e-4 * (at * at % 7) as f64)]);
    let found = regression(&more, &split).unwrap();
    assert!(found.left_out.is_empty(), "{:?}", found.left_out);
}

/// It varies, but only among the rows of the test. The mean of such numbers is rounded.
#[test]
fn a_feature_that_is_constant_in_the_rows_to_learn_from_is_left_out() {
    let (features, split) = friedman();
    let alone = regression(&features, &split).unwrap();
    for level in [0.0, 0.1, 1e9 + 0.1] {
        let constant = |_: &[f64], row: usize| if row < 600 { level } else { level + 1.0 };
        let (more, split) = with_more(&[("constant", &constant)]);
        let found = regression(&more, &split).unwrap();
        assert_eq!(found.left_out, ["constant"], "{level}");
        assert_eq!(found.predictions, alone.predictions);
    }
}

#[test]
fn too_little_for_a_regression_is_an_error_and_no_nan() {
    let (features, _) = friedman();
    let split = |train: usize| Split {
        train: (0..train).collect(),
        test: (train..features.rows()).collect(),
    };
    let error = regression(&features, &split(7)).unwrap_err();
    let expected = LearnError::FewRows {
        rows: 7,
        features: 6,
    };
    assert_eq!(error, expected);
    assert!(regression(&features, &split(8)).is_ok());
    let flat = Features {
        values: vec![0.1; 30],
        targets: (0..30).map(f64::from).collect(),
        names: vec!["a".to_owned()],
    };
    let all = Split::draw(30, 0.2, 0);
    assert_eq!(regression(&flat, &all).unwrap_err(), LearnError::Constant);
}

#[test]
fn clusters_need_two_rows_each() {
    let rows = 30;
    let features = Features {
        names: vec!["a".to_owned()],
        values: (0..rows).map(f64::from).collect(),
        targets: vec![0.0; 30],
    };
    let split = Split::draw(features.rows(), 0.2, 0);
    let error = features.learn(
        &split,
        Algorithm::Clustering {
            clusters: 16,
            seed: 0,
        },
    );
    assert_eq!(error.unwrap_err(), LearnError::Clusters(16));
}

#[test]
fn scores_of_nothing_and_of_equal_numbers_are_defined() {
    assert_eq!(Scores::of(&[], &[]), None);
    let scores = Scores::of(&[2.0, 2.0], &[1.0, 3.0]).unwrap();
    assert_eq!((scores.r2, scores.rmse, scores.mae), (0.0, 1.0, 1.0));
    assert_eq!(Scores::of(&[1.0, 2.0], &[1.0, 2.0]).unwrap().r2, 1.0);
}
