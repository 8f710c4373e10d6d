//! Groups finished pictures into batch updates.

use crate::{BatchUpdate, Failure, ProcessedImage};

/// Collects results into updates of a fixed number of pictures.
#[derive(Debug)]
pub struct Batches {
    total: usize,
    length: usize,
    processed: usize,
    batch: Vec<Result<ProcessedImage, Failure>>,
}

impl Batches {
    /// Creates a collector for a run of `total` pictures, with `length` of them (at least one) per
    /// update.
    pub fn new(total: usize, length: usize) -> Self {
        Self {
            total,
            // With none, no batch would be complete before the end of the run.
            length: length.max(1),
            processed: 0,
            batch: Vec::new(),
        }
    }

    /// Takes one result. Returns an update if the result completes a batch or the run.
    pub fn push(&mut self, result: Result<ProcessedImage, Failure>) -> Option<BatchUpdate> {
        self.processed += 1;
        self.batch.push(result);
        // The last result completes a batch of any length, so the last update says that all is
        // done.
        if self.batch.len() == self.length || self.processed == self.total {
            self.flush()
        } else {
            None
        }
    }

    /// Returns an update with the remaining results of an interrupted run, if there are any.
    pub fn flush(&mut self) -> Option<BatchUpdate> {
        if self.batch.is_empty() {
            return None;
        }
        Some(BatchUpdate {
            processed: self.processed,
            total: self.total,
            progress: self.processed as f64 / self.total.max(1) as f64,
            batch: std::mem::take(&mut self.batch),
        })
    }
}

#[cfg(test)]
mod tests;
