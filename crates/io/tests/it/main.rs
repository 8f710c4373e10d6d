//! Files, folders, sockets and look-ups from outside, as isolates and threads see them.
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod blocked;
mod directories;
mod examples;
mod faults;
mod files;
mod operations;
mod paths;
mod sockets;
#[cfg(feature = "tls")]
mod tls;

use std::path::PathBuf;

/// A folder that is gone when the test is over.
fn folder() -> tempfile::TempDir {
    tempfile::Builder::new()
        .prefix("insula-io-")
        .tempdir()
        .expect("a temporary folder")
}

/// Runs a test's body in an isolate, so that it is served by the pool and the event loop.
fn isolated<F: Future<Output = ()> + Send + 'static>(
    body: impl FnOnce(PathBuf) -> F + Send + 'static,
) {
    let folder = folder();
    let path = folder.path().to_owned();
    let run = insula_core::Isolate::run_async(async move || body(path).await);
    if let Err(error) = run.wait() {
        panic!("{error}");
    }
}
