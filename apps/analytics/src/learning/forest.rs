//! Random forests.

use serde::{Deserialize, Serialize};
use smartcore::ensemble::random_forest_regressor::{
    RandomForestRegressor, RandomForestRegressorParameters,
};
use smartcore::linalg::basic::matrix::DenseMatrix;

use super::{Features, LearnError, Scores, Split};

/// The least rows at the end of a branch.
const LEAF: usize = 3;

/// A part of a forest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trees {
    /// How many trees there are.
    pub count: u16,
    /// The mean of their predictions, for the rows of the test in their order.
    pub predictions: Vec<f64>,
    /// How much each feature has helped the trees to decide; the sum is one.
    pub importances: Vec<f64>,
}

/// A whole forest.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Forest {
    /// How many trees there are.
    pub trees: u32,
    /// The features, with how much each has helped the trees to decide; the sum is one.
    pub importances: Vec<(String, f64)>,
    /// The predictions for the rows of the test, in their order.
    pub predictions: Vec<f64>,
    /// How well the rows of the test were predicted, if there are any.
    pub test: Option<Scores>,
}

impl Trees {
    pub(super) fn fit(
        features: &Features,
        split: &Split,
        trees: u16,
        seed: u64,
    ) -> Result<Self, LearnError> {
        let width = features.names.len();
        let matrix = |rows: &[usize]| {
            let values = rows.iter().flat_map(|row| features.row(*row)).copied();
            DenseMatrix::new(rows.len(), width, values.collect(), false)
        };
        let parameters = RandomForestRegressorParameters {
            n_trees: trees.into(),
            seed,
            min_samples_leaf: LEAF,
            // A third of the features at each branch, as Breiman (2001) recommends.
            m: Some(width.div_ceil(3).max(width.min(2))),
            ..Default::default()
        };
        let train = matrix(&split.train)?;
        let targets = features.targets_of(&split.train);
        let forest: RandomForestRegressor<f64, f64, DenseMatrix<f64>, Vec<f64>> =
            RandomForestRegressor::fit(&train, &targets, parameters)?;
        let predictions = match split.test.is_empty() {
            true => Vec::new(),
            false => forest.predict(&matrix(&split.test)?)?,
        };
        Ok(Self {
            count: trees,
            predictions,
            importances: forest.compute_feature_importances()?,
        })
    }
}

impl Forest {
    /// Makes one forest of several parts, which have learned from the same rows.
    pub fn merge(features: &Features, split: &Split, parts: &[Trees]) -> Self {
        let trees: u32 = parts.iter().map(|part| u32::from(part.count)).sum();
        let mean = |of: fn(&Trees) -> &[f64]| -> Vec<f64> {
            let length = parts.iter().map(|part| of(part).len()).min().unwrap_or(0);
            let sum = |index: usize| -> f64 {
                let part = |part: &Trees| of(part)[index] * f64::from(part.count);
                parts.iter().map(part).sum()
            };
            (0..length)
                .map(|index| sum(index) / f64::from(trees))
                .collect()
        };
        let predictions = mean(|part| &part.predictions);
        let importances = mean(|part| &part.importances);
        Self {
            trees,
            importances: features.names.iter().cloned().zip(importances).collect(),
            test: Scores::of(&features.targets_of(&split.test), &predictions),
            predictions,
        }
    }
}
