//! Tables to test with, and ways to compare numbers.

use std::fs::File;
use std::path::{Path, PathBuf};

use analytics::{Features, Split, Table, features};
use serde_json::Value;

/// A file of the references.
pub(crate) fn reference(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/references");
    folder.join(name)
}

/// A file of the samples.
pub(crate) fn sample(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples");
    folder.join(name)
}

/// What other libraries have found.
pub(crate) fn expected() -> Value {
    let text = std::fs::read(reference("expected.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

pub(crate) fn table(path: &Path) -> Table {
    Table::read(File::open(path).unwrap(), b',', None).unwrap()
}

/// The features of a table, of which the last `test` rows are to test with.
pub(crate) fn split_at_end(table: &Table, target: &str, test: usize) -> (Features, Split) {
    let features = features(table, table.column(target).unwrap()).unwrap();
    let train = features.rows() - test;
    let split = Split {
        train: (0..train).collect(),
        test: (train..features.rows()).collect(),
    };
    (features, split)
}

pub(crate) fn numbers(value: &Value) -> Vec<f64> {
    let numbers = value.as_array().unwrap().iter();
    numbers.map(|it| it.as_f64().unwrap_or(f64::NAN)).collect()
}

/// Checks two numbers that should differ by rounding only.
#[track_caller]
pub(crate) fn assert_close(found: f64, expected: f64, tolerance: f64) {
    let error = (found - expected).abs() / expected.abs().max(1.0);
    assert!(
        error <= tolerance,
        "{found} differs from {expected} by {error:e}"
    );
}

/// Checks two numbers in proportion to their size.
#[track_caller]
pub(crate) fn assert_digits(found: f64, expected: f64, tolerance: f64) {
    let error = (found - expected).abs() / expected.abs();
    assert!(
        error <= tolerance,
        "{found} differs from {expected} by {error:e}"
    );
}
