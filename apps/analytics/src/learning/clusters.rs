//! Clusters of rows that are alike.

use serde::{Deserialize, Serialize};
use smartcore::cluster::kmeans::{KMeans, KMeansParameters};
use smartcore::linalg::basic::matrix::DenseMatrix;

use super::{Features, LearnError};

/// How often the search begins anew, since it may end at a bad place.
const STARTS: u64 = 5;

/// The most steps of a search.
const STEPS: usize = 300;

/// The most rows whose silhouettes are computed, since each is compared with all others.
const SILHOUETTES: usize = 1_000;

/// Groups of rows that are alike. Rows are compared by features that have a deviation of one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Clusters {
    /// The groups, the largest first.
    pub clusters: Vec<Cluster>,
    /// The group of each row.
    pub assignment: Vec<usize>,
    /// The sum of the squared distances from the centers.
    pub inertia: f64,
    /// How much nearer rows are to their own group than to the next one, from -1 to 1 (Rousseeuw
    /// 1987); of rows evenly spread over the table, if it is long.
    pub silhouette: f64,
}

/// One group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cluster {
    /// Its rows.
    pub size: usize,
    /// The means of its features.
    pub center: Vec<f64>,
}

type Model = KMeans<f64, i32, DenseMatrix<f64>, Vec<i32>>;

impl Clusters {
    pub(super) fn find(features: &Features, count: usize, seed: u64) -> Result<Self, LearnError> {
        let rows: Vec<usize> = (0..features.rows()).collect();
        if count < 2 || rows.len() < 2 * count {
            return Err(LearnError::Clusters(count));
        }
        let scales = features.scales(&rows);
        let matrix = features.standardized(&rows, &scales)?;
        let points: Vec<Vec<f64>> = rows
            .iter()
            .map(|row| {
                let row = features.row(*row).iter().zip(&scales);
                row.map(|(value, (mean, deviation))| (value - mean) / deviation)
                    .collect()
            })
            .collect();
        let mut best: Option<(f64, Vec<usize>)> = None;
        for start in 0..STARTS {
            let mut parameters = KMeansParameters::default()
                .with_k(count)
                .with_max_iter(STEPS);
            parameters.seed = Some(seed.wrapping_mul(STARTS).wrapping_add(start));
            let labels = Model::fit(&matrix, parameters)?.predict(&matrix)?;
            let labels: Vec<usize> = labels.into_iter().map(|it| it.max(0) as usize).collect();
            let inertia = inertia(&points, &labels, count);
            if best.as_ref().is_none_or(|(least, _)| inertia < *least) {
                best = Some((inertia, labels));
            }
        }
        let (inertia, labels) = best.ok_or(LearnError::Clusters(count))?;
        let order = by_size(&labels, count);
        let assignment: Vec<usize> = labels.iter().map(|label| order[*label]).collect();
        let clusters = (0..count).map(|cluster| {
            let own = rows.iter().filter(|row| assignment[**row] == cluster);
            let own: Vec<&[f64]> = own.map(|row| features.row(*row)).collect();
            Cluster {
                size: own.len(),
                center: center(&own, features.names.len()),
            }
        });
        Ok(Self {
            clusters: clusters.collect(),
            silhouette: silhouette(&points, &assignment, count),
            inertia,
            assignment,
        })
    }
}

/// Returns the place of each cluster in the order of their sizes.
fn by_size(labels: &[usize], count: usize) -> Vec<usize> {
    let mut sizes = vec![0; count];
    labels.iter().for_each(|label| sizes[*label] += 1);
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by_key(|label| std::cmp::Reverse(sizes[*label]));
    let place = |label| order.iter().position(|it| *it == label).unwrap_or(label);
    (0..count).map(place).collect()
}

fn center(points: &[&[f64]], width: usize) -> Vec<f64> {
    let mean = |feature: usize| {
        let sum: f64 = points.iter().map(|point| point[feature]).sum();
        // A cluster without rows has no center, and its size says so.
        sum / points.len().max(1) as f64
    };
    (0..width).map(mean).collect()
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

fn inertia(points: &[Vec<f64>], labels: &[usize], count: usize) -> f64 {
    let width = points.first().map_or(0, Vec::len);
    let of = |cluster: usize| {
        let own = points
            .iter()
            .zip(labels)
            .filter(|(_, label)| **label == cluster);
        let own: Vec<&[f64]> = own.map(|(point, _)| point.as_slice()).collect();
        let center = center(&own, width);
        own.iter()
            .map(|point| distance(point, &center))
            .sum::<f64>()
    };
    (0..count).map(of).sum()
}

/// Returns the mean silhouette of at most [`SILHOUETTES`] rows, compared with each other.
pub(super) fn silhouette(points: &[Vec<f64>], labels: &[usize], count: usize) -> f64 {
    let step = points.len().div_ceil(SILHOUETTES).max(1);
    let rows: Vec<usize> = (0..points.len()).step_by(step).collect();
    let mut sizes = vec![0.0; count];
    rows.iter().for_each(|row| sizes[labels[*row]] += 1.0);
    let of = |row: &usize| {
        let own = labels[*row];
        let mut sums = vec![0.0; count];
        for other in &rows {
            sums[labels[*other]] += distance(&points[*row], &points[*other]).sqrt();
        }
        // The row itself is no neighbor of its own.
        let inside = sums[own] / (sizes[own] - 1.0);
        let others = (0..count).filter(|it| *it != own && sizes[*it] > 0.0);
        let outside = others
            .map(|it| sums[it] / sizes[it])
            .fold(f64::INFINITY, f64::min);
        match sizes[own] > 1.0 && outside.is_finite() {
            true => (outside - inside) / outside.max(inside).max(f64::MIN_POSITIVE),
            false => 0.0,
        }
    };
    rows.iter().map(of).sum::<f64>() / rows.len() as f64
}
