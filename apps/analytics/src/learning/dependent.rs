//! Features that say nothing beside those before them.

use super::{Features, Split};

/// The share of a feature that no weighted sum of those before it has, below which the feature
/// depends on them. It is that of R's `lm`: rounding leaves less, and a weight learned from less would
/// be noise.
const TOLERANCE: f64 = 1e-7;

/// Returns the features that are neither constant in the rows to learn from, nor a weighted sum of
/// those before them.
///
/// By the method of Gram and Schmidt. What is left of a feature beside those before it is the entry of
/// the diagonal in a QR decomposition, but a decomposition without pivots goes on with the noise that
/// is left of a feature that depends on others.
pub(super) fn independent(features: &Features, split: &Split) -> Vec<usize> {
    let scales = features.scales(&split.train);
    let mut directions: Vec<Vec<f64>> = Vec::new();
    let is_independent = |feature: &usize| {
        let (mean, deviation) = scales[*feature];
        let rows = split.train.iter().map(|row| features.row(*row)[*feature]);
        let mut rest: Vec<f64> = rows.map(|value| (value - mean) / deviation).collect();
        let whole = length(&rest);
        let mut left = whole;
        let is_independent = loop {
            let before = left;
            directions.iter().for_each(|it| remove(&mut rest, it));
            left = length(&rest);
            // Features that are not finite have none that is a number.
            if left.is_nan() || left <= TOLERANCE * whole {
                break false;
            }
            // What is left of a small part has relatively more rounding in it, and is done again.
            if left > before / 2.0 {
                break true;
            }
        };
        if is_independent {
            directions.push(rest.iter().map(|value| value / left).collect());
        }
        is_independent
    };
    (0..features.names.len()).filter(is_independent).collect()
}

/// Subtracts what a vector has of a direction of length one.
fn remove(vector: &mut [f64], direction: &[f64]) {
    let share: f64 = vector.iter().zip(direction).map(|(a, b)| a * b).sum();
    for (value, along) in vector.iter_mut().zip(direction) {
        *value -= share * along;
    }
}

fn length(values: &[f64]) -> f64 {
    values.iter().map(|value| value * value).sum::<f64>().sqrt()
}
