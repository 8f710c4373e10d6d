//! A profile by isolates: which isolate each thread of the pool runs, and for a worker of a pool
//! which method.
//!
//! A thousand looks a second at the numbers that threads keep anyway. No thread is stopped, and no
//! stack is read: inside of an isolate, a profiler of the operating system is the better tool.

use std::collections::HashMap;
use std::thread;
use std::time::{Duration, Instant};

use insula_core::IsolateId;
use insula_pool::pools;

use super::{Program, millis};
use crate::model::{Profile, Stack};

/// The time between two looks at the threads.
const LOOK: Duration = Duration::from_millis(1);

/// Looks at the threads between two looks at the calls of the pools, which take locks.
const LOOKS_PER_CALLS: u64 = 10;

impl Program {
    /// Answers `profile`: watches for so long.
    pub(crate) fn profile(&self, time: Duration, is_over: impl Fn() -> bool) -> Profile {
        let begun = Instant::now();
        let mut counts: HashMap<(usize, IsolateId, &'static str), u64> = HashMap::new();
        let (mut methods, mut looks) = (HashMap::new(), 0);
        while begun.elapsed() < time && !is_over() {
            if looks % LOOKS_PER_CALLS == 0 {
                methods = running_methods();
            }
            for thread in self.runtime.threads() {
                if let Some(isolate) = thread.isolate {
                    let method = methods.get(&isolate).copied().unwrap_or_default();
                    *counts.entry((thread.index, isolate, method)).or_default() += 1;
                }
            }
            looks += 1;
            thread::sleep(LOOK);
        }
        let mut stacks: Vec<_> = counts
            .into_iter()
            .map(|((thread, isolate, method), looks)| {
                let mut frames = vec![format!("thread {thread}"), self.party(isolate).name];
                if !method.is_empty() {
                    frames.push(method.to_owned());
                }
                Stack { frames, looks }
            })
            .collect();
        stacks.sort_by(|a, b| a.frames.cmp(&b.frames));
        Profile {
            duration_ms: millis(begun.elapsed()),
            looks,
            stacks,
        }
    }
}

/// Returns the method that each isolate of a worker runs. One that runs several calls at a time is
/// left out, since it is not known which of them has the thread.
fn running_methods() -> HashMap<IsolateId, &'static str> {
    let mut methods = HashMap::new();
    for pool in pools() {
        let isolates = pool.worker_isolates();
        let mut calls: HashMap<_, Vec<&'static str>> = HashMap::new();
        for call in pool.in_flight() {
            calls.entry(call.worker).or_default().push(call.method);
        }
        for (worker, isolate) in isolates {
            if let Some([method]) = calls.get(&worker).map(Vec::as_slice) {
                methods.insert(isolate, *method);
            }
        }
    }
    methods
}
