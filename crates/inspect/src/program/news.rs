//! What has happened between two looks: turns and calls that have become too long, the phases of
//! pools, and the events of their workers.

use std::collections::{HashMap, HashSet};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use futures_core::Stream;
use insula_core::ThreadSnapshot;
use insula_pool::{AnyPool, Events, WorkerChange, WorkerEvent};

use super::Limits;
use super::events::{id_of, name_of};
use super::pools::{phase_name, pool_id};
use super::recorder::thread_name;
use super::view::{PoolView, View};
use crate::model::{Event, Severity};

/// What was told of already, and the streams from which the news of the workers come.
#[derive(Default)]
pub(super) struct Told {
    /// By the number of the pool.
    pools: HashMap<u64, ToldPool>,
    /// The calls that are slow, by their identities.
    slow: HashSet<usize>,
    /// The beginnings of the long turns, by the numbers of their threads.
    long: HashMap<usize, u64>,
}

struct ToldPool {
    phase: &'static str,
    events: Events,
    lost: u64,
}

impl Told {
    /// Returns the news of a look.
    pub(super) fn news(
        &mut self,
        view: &View,
        pools: &[AnyPool],
        limits: Limits,
        now: u64,
    ) -> Vec<Event> {
        let mut news = Vec::new();
        self.long_turns(view, limits, now, &mut news);
        self.pools(view, pools, &mut news);
        self.slow_calls(view, limits, now, &mut news);
        news
    }

    fn long_turns(&mut self, view: &View, limits: Limits, now: u64, news: &mut Vec<Event>) {
        let threads = view.runtime.threads.iter().zip(&view.seen.threads);
        for (thread, seen) in threads {
            let long = seen.turn_since_ms.filter(|since| {
                let age = now.saturating_sub(*since);
                u128::from(age) >= limits.stuck.as_millis()
            });
            match long {
                None => drop(self.long.remove(&thread.index)),
                Some(since) if self.long.insert(thread.index, since) != Some(since) => {
                    news.extend(long_turn(view, thread, now.saturating_sub(since)));
                }
                Some(_) => {}
            }
        }
    }

    fn pools(&mut self, view: &View, pools: &[AnyPool], news: &mut Vec<Event>) {
        let present: HashSet<_> = view.pools.iter().map(|it| it.number).collect();
        self.pools.retain(|number, _| present.contains(number));
        for (pool, live) in view.pools.iter().zip(pools) {
            let phase = phase_name(pool.status.phase);
            let told = self.pools.entry(pool.number);
            let told = told.or_insert_with(|| ToldPool {
                phase,
                events: live.events(),
                lost: 0,
            });
            if told.phase != phase {
                let text = format!("is {phase}, and was {}", told.phase);
                let severity = match phase {
                    "failed" => Severity::Error,
                    "degraded" => Severity::Warning,
                    _ => Severity::Info,
                };
                news.push(of_pool(pool, "poolPhase", severity, &text));
                told.phase = phase;
            }
            told.workers(pool, news);
        }
    }

    fn slow_calls(&mut self, view: &View, limits: Limits, now: u64, news: &mut Vec<Event>) {
        let mut slow = HashSet::new();
        for pool in &view.pools {
            for call in pool.calls.iter().filter(|call| !call.is_waiting) {
                let seen = view.seen.calls.get(&call.identity());
                let age = seen.map_or(0, |seen| now.saturating_sub(seen.first_ms));
                if u128::from(age) < limits.slow.as_millis() {
                    continue;
                }
                slow.insert(call.identity());
                if !self.slow.contains(&call.identity()) {
                    let text = format!(
                        "a call of {} runs for {age} ms on worker {}",
                        call.method, call.worker
                    );
                    news.push(of_pool(pool, "slowCall", Severity::Warning, &text));
                }
            }
        }
        self.slow = slow;
    }
}

impl ToldPool {
    /// Adds what has happened to the workers since the last look.
    fn workers(&mut self, pool: &PoolView, news: &mut Vec<Event>) {
        let mut cx = Context::from_waker(Waker::noop());
        while let Poll::Ready(Some(event)) = Pin::new(&mut self.events).poll_next(&mut cx) {
            let severity = severity_of(&event);
            news.push(of_pool(pool, "worker", severity, &event.to_string()));
        }
        let lost = self.events.lost();
        if lost > self.lost {
            let number = lost - self.lost;
            let text = format!("{number} events of workers came too fast to be kept");
            news.push(of_pool(pool, "worker", Severity::Warning, &text));
            self.lost = lost;
        }
    }
}

fn long_turn(view: &View, thread: &ThreadSnapshot, age: u64) -> Option<Event> {
    let isolate = thread.isolate?;
    let mut isolates = view.runtime.isolates.iter();
    let found = isolates.find(|it| it.id == isolate);
    let name = name_of(isolate, found.and_then(|it| it.name.as_ref()));
    // A worker of a pool is there to compute, and a call that takes too long is an event of its own.
    let mut workers = view.pools.iter().flat_map(|pool| &pool.isolates);
    let severity = match workers.any(|worker| worker.1 == isolate) {
        true => Severity::Info,
        false => Severity::Warning,
    };
    Some(Event {
        kind: "isolateStuck".to_owned(),
        severity,
        subject: id_of(isolate),
        text: format!(
            "{name} is inside of one turn for {age} ms, on thread {}",
            thread.index
        ),
        thread: Some(thread_name(thread.index)),
        ..Event::default()
    })
}

fn of_pool(pool: &PoolView, kind: &str, severity: Severity, text: &str) -> Event {
    Event {
        kind: kind.to_owned(),
        severity,
        subject: pool_id(pool.number),
        text: format!("pool {}: {text}", pool.status.name),
        ..Event::default()
    }
}

fn severity_of(event: &WorkerEvent) -> Severity {
    match event.change {
        WorkerChange::Suspect | WorkerChange::Restarting { .. } => Severity::Warning,
        WorkerChange::Lost { .. } | WorkerChange::NotRecycled { .. } => Severity::Error,
        _ => Severity::Info,
    }
}
