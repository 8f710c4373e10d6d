//! Runs the body of a check to its end, or finds that it does not end.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use insula_core::{Compat, Isolate, Runtime, sleep};

use crate::Log;

/// The place where a body runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum On {
    /// On two threads, in real time.
    Threads,
    /// On virtual time, in the order that this seed determines.
    Seeded(u64),
}

impl fmt::Display for On {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Threads => f.write_str("threads"),
            Self::Seeded(seed) => write!(f, "seed {seed}"),
        }
    }
}

impl On {
    fn runtime(self, compat: Compat) -> Runtime {
        let builder = Runtime::builder().compat(compat);
        match self {
            Self::Threads => builder.threads(2).build(),
            Self::Seeded(seed) => builder.seeded(seed).build(),
        }
    }

    /// Returns the time after which a body counts as hung: much more than any body needs.
    fn patience(self) -> Duration {
        match self {
            Self::Threads => Duration::from_secs(20),
            // Virtual hours take no time, and a body may sleep for long.
            Self::Seeded(_) => Duration::from_secs(3600),
        }
    }
}

/// Runs `body` as the entry of an isolate until that isolate and all others have ended. Returns
/// what was logged; the last line is `HANGS` if the body does not end.
pub fn trace_of(on: On, compat: Compat, body: impl FnOnce(Log) + Send + 'static) -> String {
    let runtime = on.runtime(compat);
    let log = Log::default();
    let builder = Isolate::builder().runtime(&runtime).name("body");
    let isolate = builder.spawn(body, log.clone());
    let all_ended = async {
        isolate.exited().await;
        // Children may outlive the body, and no event tells that the last of them has ended.
        while runtime.isolate_count() > 0 {
            sleep(Duration::from_millis(1)).await;
        }
    };
    if !runtime.block_on(ends_within(on.patience(), all_ended)) {
        log.line("HANGS");
    }
    // With a limit: a body that blocks a thread cannot be ended, and the case must be reported all
    // the same.
    if runtime.shut_down_timeout(Duration::from_secs(5)).is_err() {
        log.line("RUNS ON");
    }
    log.text()
}

async fn ends_within(limit: Duration, future: impl Future<Output = ()>) -> bool {
    let (mut future, mut limit) = (pin!(future), pin!(sleep(limit)));
    poll_fn(|cx| {
        if future.as_mut().poll(cx).is_ready() {
            return Poll::Ready(true);
        }
        limit.as_mut().poll(cx).map(|()| false)
    })
    .await
}
