//! The functions that the macros `main` and `test` call.

use std::future::{Future, poll_fn};
use std::panic::resume_unwind;
use std::pin::pin;
use std::task::Poll;

use insula_core::{Isolate, PanicReport, Runtime, catch_panic, report_panic};

/// Runs a program's body in an isolate and shuts the runtime down afterwards.
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
    finish(runtime, "main", body)
}

/// Runs a test's body in an isolate of a new runtime. With a seed the runtime is on virtual time.
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
    finish(runtime, "test", body)
}

/// Returns the seed of tests that name none: the value of `INSULA_SEED`, with which other orders
/// of events can be tried, or 1.
///
/// # Panics
/// Panics if the variable's value is no whole number.
pub fn usual_seed() -> Option<u64> {
    let seed = std::env::var("INSULA_SEED").map(|text| match text.trim().parse() {
        Ok(seed) => seed,
        Err(_) => panic!("INSULA_SEED is to be a whole number, not {text:?}"),
    });
    Some(seed.unwrap_or(1))
}

fn finish<R, Fut>(runtime: Runtime, name: &str, body: impl FnOnce() -> Fut + Send + 'static) -> R
where
    R: Send + 'static,
    Fut: Future<Output = R> + Send + 'static,
{
    let run = || reporting(body);
    let result = runtime.block_on(async { Isolate::builder().name(name).run_async(run).await });
    runtime.shut_down();
    match result {
        Ok(Ok(value)) => value,
        // It was reported where it happened.
        Ok(Err(report)) => resume_unwind(Box::new(report.to_string())),
        Err(error) => panic!("the isolate '{name}' has ended without a result: {error}"),
    }
}

/// Runs the body, and reports its panic like that of any isolate.
async fn reporting<R, Fut: Future<Output = R>>(
    body: impl FnOnce() -> Fut,
) -> Result<R, PanicReport> {
    let told = |report: PanicReport| {
        report_panic(&report);
        report
    };
    let mut body = pin!(catch_panic(body).map_err(told)?);
    poll_fn(|cx| match catch_panic(|| body.as_mut().poll(cx)) {
        Ok(polled) => polled.map(Ok),
        Err(report) => Poll::Ready(Err(told(report))),
    })
    .await
}
