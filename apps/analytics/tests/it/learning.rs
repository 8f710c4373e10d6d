//! Risk: models that are worse than those of the field, or scores that flatter them. The references
//! are those of scikit-learn.

use analytics::{
    Algorithm, Clusters, Features, Forest, LearnError, Learned, Scores, Split, features,
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

#[test]
fn features_that_depend_on_each_other_are_an_error_or_a_model_and_no_nan() {
    let rows = 30;
    let features = Features {
        names: vec!["a".to_owned(), "b".to_owned()],
        values: (0..rows)
            .flat_map(|row| [f64::from(row), 2.0 * f64::from(row)])
            .collect(),
        targets: (0..rows).map(f64::from).collect(),
    };
    let split = Split::draw(features.rows(), 0.2, 0);
    match features.learn(&split, Algorithm::LinearRegression) {
        Ok(Learned::Linear(found)) => assert!(found.predictions.iter().all(|it| it.is_finite())),
        Ok(other) => panic!("{other:?}"),
        Err(error) => assert!(matches!(error, LearnError::Model(_)), "{error}"),
    }
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
