//! chili: fork and join, where a thread shares its forks at each heartbeat and not before.

use std::num::NonZero;

use chili::{Config, Scope, ThreadPool};

use crate::drivers::executor::THREADS;
use crate::drivers::pool::Tick;

pub(crate) struct Chili(ThreadPool);

impl Chili {
    pub(crate) fn new() -> Self {
        Self(ThreadPool::with_config(Config {
            // One of them is the calling thread.
            thread_count: NonZero::new(THREADS),
            ..Config::default()
        }))
    }

    /// A tree of `join`s with one job per leaf.
    pub(crate) fn join_all(&self, count: u64, tick: &Tick) {
        halve(&mut self.0.scope(), count, tick);
    }
}

fn halve(scope: &mut Scope<'_>, count: u64, tick: &Tick) {
    match count {
        0 => {}
        1 => tick.tick(),
        _ => {
            let left = count / 2;
            scope.join(
                |scope| halve(scope, left, tick),
                |scope| halve(scope, count - left, tick),
            );
        }
    }
}
