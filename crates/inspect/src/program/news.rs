//! What has happened between two looks: turns and calls that have become too long, the phases of
//! pools, and the events of their workers.

use std::collections::{HashMap, HashSet};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use futures_core::Stream;
use insula_core::{IsolateId, IsolateKind};
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
    /// The beginnings of the long turns, by the numbers of their isolates.
    long: HashMap<u64, u64>,
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
        let on_threads = threads.filter_map(|(thread, seen)| {
            let name = thread_name(thread.index);
            let place = format!("on {name}");
            Some((thread.isolate?, seen.turn_since_ms?, place, Some(name)))
        });
        let isolates = view.runtime.isolates.iter();
        let at_home = isolates.filter_map(|isolate| {
            let place = match isolate.kind {
                IsolateKind::Pinned => "on its own thread",
                IsolateKind::Root => "in the loop of its host",
                _ => return None,
            };
            let seen = view.seen.isolates.get(&isolate.id.number())?;
            Some((isolate.id, seen.turn_since_ms?, place.to_owned(), None))
        });
        let mut long = HashMap::new();
        for (isolate, since, place, thread) in on_threads.chain(at_home) {
            let age = now.saturating_sub(since);
            if u128::from(age) < limits.stuck.as_millis() {
                continue;
            }
            let number = isolate.number();
            if self.long.get(&number) != Some(&since) {
                news.push(Event {
                    thread,
                    ..long_turn(view, isolate, &place, age)
                });
            }
            long.insert(number, since);
        }
        self.long = long;
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

fn long_turn(view: &View, isolate: IsolateId, place: &str, age: u64) -> Event {
    let name = view.isolate(isolate).and_then(|it| it.name.as_ref());
    let name = name_of(isolate, name);
    // A worker of a pool is there to compute, and a call that takes too long is an event of its own.
    let mut workers = view.pools.iter().flat_map(|pool| &pool.isolates);
    let severity = match workers.any(|worker| worker.1 == isolate) {
        true => Severity::Info,
        false => Severity::Warning,
    };
    Event {
        kind: "isolateStuck".to_owned(),
        severity,
        subject: id_of(isolate),
        text: format!("{name} is inside of one turn for {age} ms, {place}"),
        ..Event::default()
    }
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

#[cfg(test)]
mod tests;
