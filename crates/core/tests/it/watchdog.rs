//! A bound for what may hang.

use std::sync::mpsc;
use std::time::Duration;

/// Seconds in which everything here ends; interpreted, it takes far longer.
const LIMIT: u64 = if cfg!(miri) { 600 } else { 30 };

/// Runs `f` on a thread of its own.
///
/// # Panics
/// If it panics, or has not ended after [`LIMIT`].
#[track_caller]
pub(crate) fn ends<R: Send + 'static>(f: impl FnOnce() -> R + Send + 'static) -> R {
    let (done, end) = mpsc::channel();
    std::thread::spawn(move || drop(done.send(f())));
    match end.recv_timeout(Duration::from_secs(LIMIT)) {
        Ok(result) => result,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("this has not ended"),
        Err(mpsc::RecvTimeoutError::Disconnected) => panic!("this has panicked"),
    }
}
