//! What the macros `main` and `test` call.

use std::future::Future;
use std::panic::resume_unwind;

use insula_core::{Isolate, RunError, Runtime};

/// Runs a program's body as the isolate `main` and shuts the runtime down afterwards.
pub fn run_main<R, Fut>(threads: Option<usize>, body: impl FnOnce() -> Fut + Send + 'static) -> R
where
    R: Send + 'static,
    Fut: Future<Output = R> + Send + 'static,
{
    let builder = Runtime::builder();
    let runtime = match threads {
        Some(threads) => builder.threads(threads).build(),
        None => Runtime::global(),
    };
    finish(runtime, body)
}

/// Runs a test's body in an isolate of a runtime of its own: with a seed, on virtual time.
pub fn run_test<R, Fut>(seed: Option<u64>, body: impl FnOnce() -> Fut + Send + 'static) -> R
where
    R: Send + 'static,
    Fut: Future<Output = R> + Send + 'static,
{
    let builder = Runtime::builder().threads(2);
    let runtime = match seed {
        Some(seed) => builder.seeded(seed).build(),
        None => builder.build(),
    };
    finish(runtime, body)
}

/// The seed of tests that leave it open: the one in `INSULA_SEED`, so that other orders of
/// events can be tried.
///
/// # Panics
/// If that is no number.
pub fn usual_seed() -> Option<u64> {
    let seed = std::env::var("INSULA_SEED").map(|text| match text.trim().parse() {
        Ok(seed) => seed,
        Err(_) => panic!("INSULA_SEED is to be a whole number, not {text:?}"),
    });
    Some(seed.unwrap_or(1))
}

fn finish<R, Fut>(runtime: Runtime, body: impl FnOnce() -> Fut + Send + 'static) -> R
where
    R: Send + 'static,
    Fut: Future<Output = R> + Send + 'static,
{
    let result = runtime.block_on(async { Isolate::run_async(body).await });
    runtime.shut_down();
    match result {
        Ok(value) => value,
        Err(RunError::Panicked(report)) => resume_unwind(Box::new(report.to_string())),
        Err(error) => resume_unwind(Box::new(error.to_string())),
    }
}
