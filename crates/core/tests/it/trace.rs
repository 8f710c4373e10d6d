//! A log that isolates write and a test reads.

use std::sync::{Arc, Mutex};

use insula_core::{Isolate, RunError, Runtime};

use crate::SEEDS;

const UNPOISONED: &str = "nobody panics while writing a line";

/// Shared lines, in the order in which they were written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(crate) fn line(&self, line: impl ToString) {
        self.0.lock().expect(UNPOISONED).push(line.to_string());
    }

    pub(crate) fn text(&self) -> String {
        self.0.lock().expect(UNPOISONED).join(" ")
    }
}

/// Runs `body` as the entry of an isolate until it has nothing left to wait for, once for each
/// seed on virtual time, and checks what it logged. Then once more on threads.
pub(crate) fn expect_trace(expected: &str, body: fn(Log)) {
    for seed in SEEDS {
        let runtime = Runtime::builder().seeded(seed).build();
        assert_eq!(trace_on(&runtime, body), expected, "seed {seed}");
    }
    let runtime = Runtime::builder().threads(2).build();
    assert_eq!(trace_on(&runtime, body), expected, "on threads");
}

/// As [`expect_trace`], on virtual time alone, for bodies that let time pass.
pub(crate) fn expect_virtual_trace<F>(expected: &str, body: F)
where
    F: Fn(Log) + Clone + Send + 'static,
{
    for seed in SEEDS {
        let runtime = Runtime::builder().seeded(seed).build();
        assert_eq!(trace_on(&runtime, body.clone()), expected, "seed {seed}");
    }
}

/// Returns what `body`, as the entry of an isolate of `runtime`, has logged.
pub(crate) fn trace_on(runtime: &Runtime, body: impl Fn(Log) + Send + 'static) -> String {
    let log = Log::default();
    let isolate = Isolate::builder().runtime(runtime).spawn(body, log.clone());
    runtime.block_on(isolate.exited());
    runtime.shut_down();
    log.text()
}

/// Runs an async body in an isolate of a seeded runtime, for each seed.
pub(crate) fn for_each_seed<R, Fut>(body: fn() -> Fut, check: impl Fn(Result<R, RunError>))
where
    R: Send + 'static,
    Fut: Future<Output = R> + Send + 'static,
{
    for seed in SEEDS {
        let runtime = Runtime::builder().seeded(seed).build();
        check(runtime.block_on(async { Isolate::run_async(body).await }));
        runtime.shut_down();
    }
}
