//! Risk: a result lost at the end of a run, or progress that does not end at one.

use std::path::PathBuf;

use super::Batches;
use crate::{Failure, FileError};

fn failure() -> Failure {
    Failure {
        path: PathBuf::from("x.txt"),
        error: FileError::Extension,
    }
}

#[test]
fn updates_come_per_batch_and_at_the_end() {
    let mut batches = Batches::new(25, 10);
    let updates: Vec<_> = (0..25)
        .filter_map(|_| batches.push(Err(failure())))
        .collect();
    let seen: Vec<_> = updates
        .iter()
        .map(|u| (u.processed, u.batch.len(), u.progress))
        .collect();
    assert_eq!(seen, [(10, 10, 0.4), (20, 10, 0.8), (25, 5, 1.0)]);
    assert!(updates.iter().all(|update| update.total == 25));
    assert!(batches.flush().is_none());
}

#[test]
fn flush_hands_out_what_is_left() {
    let mut batches = Batches::new(5, 0);
    assert_eq!(
        batches
            .push(Err(failure()))
            .map(|update| update.batch.len()),
        Some(1)
    );
    let mut batches = Batches::new(5, 3);
    assert!(batches.push(Err(failure())).is_none());
    let rest = batches.flush().unwrap();
    assert_eq!((rest.processed, rest.batch.len()), (1, 1));
}
