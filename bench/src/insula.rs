//! This project in the workloads: the natural use of its interface, in the shapes of the peers.
//!
//! The code for a message is written as a program would write it: a closure for each message
//! (`listen`), or, in systems whose name contains `recv`, a loop that awaits each. A workload runs
//! in an isolate of a fresh runtime, as those of the peers run in a task of one.

pub(crate) mod actor;
pub(crate) mod calls;
pub(crate) mod control;
pub(crate) mod frames;
pub(crate) mod io;
pub(crate) mod mailbox;
pub(crate) mod native;
pub(crate) mod pool;
pub(crate) mod ports;
pub(crate) mod snapshots;
pub(crate) mod timers;

use std::future::Future;

use insula::{Isolate, Runtime};

use crate::drivers::executor::THREADS;
use crate::report::PROJECT;

/// The number of threads of the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// As many as the peers have.
    Multi,
    /// One, beside the peers on tokio's `current_thread`.
    One,
}

impl Shape {
    pub(crate) const ALL: [Self; 2] = [Self::Multi, Self::One];

    /// Returns this project's name with the variant of the row, and the pool's shape.
    pub(crate) fn name(self, variant: &str) -> String {
        let space = if variant.is_empty() { "" } else { " " };
        let threads = match self {
            Self::Multi => "",
            Self::One => "-1t",
        };
        format!("{PROJECT}{space}{variant}{threads}")
    }

    pub(crate) fn runtime(self) -> Runtime {
        let threads = match self {
            Self::Multi => THREADS,
            Self::One => 1,
        };
        Runtime::builder().threads(threads).build()
    }

    /// Runs `root` as an isolate of a fresh runtime and waits for it on the calling thread.
    pub(crate) fn run<F>(self, root: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.run_beside(|| {
            Isolate::run_async(|| root)
                .wait()
                .expect("the root does not panic")
        })
    }

    /// Runs `root` on the calling thread, with the isolates that it spawns on a fresh runtime.
    pub(crate) fn run_beside<R>(self, root: impl FnOnce() -> R) -> R {
        let runtime = self.runtime();
        let output = {
            let _entered = runtime.enter();
            root()
        };
        runtime.shut_down();
        output
    }
}
