//! Tables to test with, and ways to read them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use data::{Format, Layout, ResultFormat, Results, Rows, Source, Statistics, Step, Wanted, read};
use serde_json::Value;

/// The program with some arguments.
pub(crate) fn data(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_data"));
    command.args(arguments);
    command
}

/// A file that another program has written.
pub(crate) fn reference(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/references");
    folder.join(name)
}

/// What NumPy has found in those files.
pub(crate) fn expected() -> Value {
    let text = std::fs::read(reference("expected.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

pub(crate) fn weather() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples/weather/seattle.csv")
}

pub(crate) fn wanted(id: &str, value: &str) -> Wanted {
    Wanted {
        id: Some(id.to_owned()),
        value: Some(value.to_owned()),
    }
}

/// Reads a whole source in this thread.
pub(crate) fn read_all(mut source: Source, steps: &[Step], format: ResultFormat) -> Rows {
    let layout: Arc<Layout> = Arc::clone(source.layout());
    let mut rows = Rows::new(steps.into(), layout, Results::new(format, 0));
    while let Some(chunk) = source.next_chunk().unwrap() {
        read(&chunk, &mut rows).unwrap();
    }
    rows.bad.merge(source.take_bad());
    rows
}

/// Reads a text in this thread, cut into blocks of `size` bytes.
pub(crate) fn read_text(text: &str, format: Format, wanted: &Wanted, size: usize) -> Rows {
    let reader = Box::new(std::io::Cursor::new(text.to_owned()));
    let source = Source::text(reader, format, wanted, size).unwrap();
    read_all(source, &[], ResultFormat::Items)
}

/// The records that were read.
pub(crate) fn items(rows: &Rows) -> Vec<(&str, f64)> {
    let Results::Items(items) = &rows.output else {
        panic!("records were not kept")
    };
    items.ids.iter().zip(items.values.iter().copied()).collect()
}

/// Checks two numbers that should differ by rounding only.
#[track_caller]
pub(crate) fn assert_close(found: f64, expected: f64, tolerance: f64) {
    let error = (found - expected).abs() / expected.abs().max(1e-300);
    assert!(
        error <= tolerance || found == expected,
        "{found} differs from {expected} by {error:e}"
    );
}

/// Checks statistics against those of NumPy.
#[track_caller]
pub(crate) fn assert_statistics(found: &Statistics, expected: &Value) {
    assert_eq!(found.count(), expected["count"].as_u64().unwrap());
    for (found, name) in [
        (found.mean(), "mean"),
        (found.standard_deviation(), "deviation"),
        (found.min(), "min"),
        (found.max(), "max"),
    ] {
        assert_close(found.unwrap(), expected[name].as_f64().unwrap(), 1e-13);
    }
}
