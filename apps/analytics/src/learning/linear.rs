//! Linear regression.

use serde::{Deserialize, Serialize};
use smartcore::linalg::basic::arrays::Array;
use smartcore::linalg::basic::matrix::DenseMatrix;
use smartcore::linear::linear_regression::{
    LinearRegression, LinearRegressionParameters, LinearRegressionSolverName,
};

use super::dependent::independent;
use super::{Features, LearnError, Scores, Split};

/// A weighted sum of the features.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Linear {
    /// The sum where all features are zero.
    pub intercept: f64,
    /// The weights.
    pub coefficients: Vec<Coefficient>,
    /// The features without a weight: each is constant in the rows that were learned from, or a
    /// weighted sum of the features before it, so that any weight would do.
    pub left_out: Vec<String>,
    /// The predictions for the rows of the test, in their order.
    pub predictions: Vec<f64>,
    /// How well the rows of the test were predicted, if there are any.
    pub test: Option<Scores>,
    /// The same of the rows that it has learned from.
    pub train: Option<Scores>,
}

/// The weight of a feature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Coefficient {
    /// The name of the feature.
    pub feature: String,
    /// The change of the prediction with one more of the feature.
    pub value: f64,
    /// The same with one standard deviation more, which can be compared between features.
    pub per_deviation: f64,
}

impl Linear {
    pub(super) fn fit(features: &Features, split: &Split) -> Result<Self, LearnError> {
        let kept = independent(features, split);
        let rows = split.train.len();
        if kept.is_empty() {
            return Err(LearnError::Constant);
        }
        if rows <= kept.len() + 1 {
            let features = features.names.len();
            return Err(LearnError::FewRows { rows, features });
        }
        if kept.len() == features.names.len() {
            return Self::fit_independent(features, split);
        }
        let names = features.names.iter().enumerate();
        let left_out = names.filter(|(feature, _)| !kept.contains(feature));
        Ok(Self {
            left_out: left_out.map(|(_, name)| name.clone()).collect(),
            ..Self::fit_independent(&features.only(&kept), split)?
        })
    }

    fn fit_independent(features: &Features, split: &Split) -> Result<Self, LearnError> {
        let scales = features.scales(&split.train);
        let matrix = features.standardized(&split.train, &scales)?;
        let targets = features.targets_of(&split.train);
        // By QR, since the normal equations would lose half of the digits.
        let parameters =
            LinearRegressionParameters::default().with_solver(LinearRegressionSolverName::QR);
        let model: LinearRegression<f64, f64, DenseMatrix<f64>, Vec<f64>> =
            LinearRegression::fit(&matrix, &targets, parameters)?;
        let mut intercept = *model.intercept();
        let mut coefficients = Vec::new();
        for (index, feature) in features.names.iter().enumerate() {
            let per_deviation = *model.coefficients().get((index, 0));
            let (mean, deviation) = scales[index];
            let value = per_deviation / deviation;
            intercept -= value * mean;
            coefficients.push(Coefficient {
                feature: feature.clone(),
                value,
                per_deviation,
            });
        }
        if !intercept.is_finite() {
            return Err(LearnError::Model("its weights are not finite".to_owned()));
        }
        let predict = |rows: &[usize]| -> Vec<f64> {
            let weighted = |row: &usize| {
                let row = features.row(*row).iter().zip(&scales).zip(&coefficients);
                // Around the means, as it was fitted.
                row.map(|((it, (mean, _)), coefficient)| (it - mean) * coefficient.value)
                    .sum::<f64>()
                    + *model.intercept()
            };
            rows.iter().map(weighted).collect()
        };
        let predictions = predict(&split.test);
        Ok(Self {
            test: Scores::of(&features.targets_of(&split.test), &predictions),
            train: Scores::of(&targets, &predict(&split.train)),
            intercept,
            predictions,
            coefficients,
            left_out: Vec::new(),
        })
    }
}
