//! Reads chunks of any format, and processes each record as it is read.

use std::sync::Arc;

use crate::output::Results;
use crate::{BadRows, Chunk, DataError, Format, Layout, RowError, Statistics, Step, apply};
use crate::{csv_rows, json_rows};

/// The longest text of a field that an error quotes.
const QUOTED: usize = 40;

/// The records of a chunk, processed.
#[derive(Debug)]
pub struct Rows {
    steps: Arc<[Step]>,
    layout: Arc<Layout>,
    /// Records without a number.
    pub missing: u64,
    /// Rows that could not be processed.
    pub bad: BadRows,
    /// The statistics of the numbers.
    pub values: Statistics,
    /// Those of their results.
    pub results: Statistics,
    /// The records with their results, in the form that was asked for.
    pub output: Results,
}

impl Rows {
    /// Creates an empty collection that applies `steps` and keeps results as `output` does.
    pub fn new(steps: Arc<[Step]>, layout: Arc<Layout>, output: Results) -> Self {
        Self {
            steps,
            layout,
            missing: 0,
            bad: BadRows::default(),
            values: Statistics::default(),
            results: Statistics::default(),
            output,
        }
    }

    /// Processes a record whose number is known.
    pub(crate) fn push(&mut self, line: u64, id: &str, value: f64) {
        match apply(&self.steps, value) {
            Ok(result) => {
                self.values.push(value);
                self.results.push(result);
                self.output.push(id, value, result);
            }
            Err((step, value)) => self.bad.push(
                line,
                RowError::NoResult {
                    value: value.to_string(),
                    step: step.to_string(),
                },
            ),
        }
    }

    /// Processes a record whose number is a text.
    pub(crate) fn push_text(&mut self, line: u64, id: &str, text: &str) {
        let text = text.trim();
        if text.is_empty() {
            self.missing += 1;
            return;
        }
        match text.parse() {
            Ok(value) if f64::is_finite(value) => self.push(line, id, value),
            _ => {
                let error = self.not_a_number(text);
                self.bad.push(line, error);
            }
        }
    }

    pub(crate) fn not_a_number(&self, text: &str) -> RowError {
        RowError::NotANumber {
            field: Arc::clone(&self.layout.value.name),
            text: shortened(text),
        }
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// Reads all records of a chunk.
///
/// # Errors
/// Returns [`DataError::RowGroup`] if a row group cannot be read. Rows that are wrong are no error:
/// see [`Rows::bad`].
pub fn read(chunk: &Chunk, rows: &mut Rows) -> Result<(), DataError> {
    match (chunk, rows.layout().format) {
        (Chunk::Text(block), Format::Csv { delimiter }) => csv_rows::read(block, delimiter, rows),
        (Chunk::Text(block), _) => json_rows::read(block, rows),
        (Chunk::RowGroup(group), _) => {
            let unreadable = |reason: parquet::errors::ParquetError| DataError::RowGroup {
                number: group.number(),
                reason: reason.to_string(),
            };
            group.read(rows).map_err(unreadable)?;
        }
    }
    Ok(())
}
