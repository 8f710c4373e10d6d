//! Who waits for whom.
//!
//! Three kinds of waits are known. A wait that blocks a thread is in the runtime's own graph, which
//! refuses one that would close a cycle. A question that a task awaits is known to its isolate alone,
//! which is asked; these can form cycles, and then none of them ends. A call of a pool knows the
//! isolate that awaits it, alone or among others; it waits for a worker, or for a place in front of
//! the queue. A worker that runs several calls may finish one while it waits for
//! the sake of another, so only a worker with a single call can be part of a cycle.

use std::collections::{HashMap, HashSet};

use insula_core::{IsolateDetail, IsolateId, PartySnapshot};
use insula_pool::{InFlight, Queued};

use super::Program;
use super::events::id_of;
use super::pools::pool_id;
use super::view::{PoolView, View};
use crate::model::{Party, Wait, Waits};

/// Isolates that are asked what they wait for.
const ASKED: usize = 1_000;

/// Calls of one pool whose waits are listed.
const CALLS: usize = 1_000;

/// Returns the id of a party in the protocol.
pub(super) fn party_id(party: &PartySnapshot) -> String {
    match party {
        PartySnapshot::Thread(number) => format!("threads/{number}"),
        PartySnapshot::Isolate(isolate) => id_of(*isolate),
    }
}

impl Program {
    /// Answers `getWaits`.
    pub(crate) fn waits(&self) -> Waits {
        let idle = self.recent().idle(ASKED);
        let handles: Vec<_> = idle
            .into_iter()
            .filter_map(|id| self.runtime.isolate(id))
            .collect();
        let told = self.ask(&handles);
        let unanswered = told.iter().filter(|told| told.is_none()).count() as u64;
        let mut waits = self.blocked();
        let mut asked = HashMap::new();
        let now = self.now_ms();
        let before = self.asked.lock().clone();
        for (handle, told) in handles.iter().zip(told) {
            let Some(holders) = told.and_then(|told| asked_by(&told)) else {
                continue;
            };
            let numbers = holders.iter().map(|it| it.number()).collect();
            let key = (handle.id().number(), numbers);
            let first = before.get(&key).copied().unwrap_or(now);
            waits.push(Wait {
                waiter: self.party(handle.id()),
                holders: holders.iter().map(|it| self.party(*it)).collect(),
                kind: "asked".to_owned(),
                seen_ms: now.saturating_sub(first),
                ..Wait::default()
            });
            asked.insert(key, first);
        }
        *self.asked.lock() = asked;
        let cycles = self.add_calls(&mut waits);
        Waits {
            waits,
            cycles,
            unanswered,
        }
    }

    /// Returns the waits in which an isolate waits or is waited for. `told` is what it has told.
    pub(super) fn waits_of(&self, isolate: IsolateId, told: Option<&IsolateDetail>) -> Vec<Wait> {
        let has_questions = told.is_some_and(|told| !told.questions.is_empty());
        // What others ask of it is known to them alone, so all are asked if it may be in a cycle.
        let mut waits = match has_questions {
            true => self.waits().waits,
            false => {
                let mut waits = self.blocked();
                self.add_calls(&mut waits);
                waits
            }
        };
        let id = id_of(isolate);
        waits.retain(|wait| wait.waiter.id == id || wait.holders.iter().any(|it| it.id == id));
        waits
    }

    /// Adds the waits for calls of pools, and marks and returns the cycles.
    fn add_calls(&self, waits: &mut Vec<Wait>) -> Vec<Vec<Party>> {
        let view = self.recent();
        let now = self.now_ms();
        let (mut certain, mut others) = (Vec::new(), Vec::new());
        for pool in &view.pools {
            for call in pool.calls.iter().take(CALLS) {
                let of_worker = pool.calls.iter().filter(|it| it.worker == call.worker);
                let list = match of_worker.count() {
                    1 => &mut certain,
                    _ => &mut others,
                };
                list.extend(self.running_call(pool, call, &view, now));
            }
            let queued = pool.queued.iter();
            others.extend(queued.filter_map(|call| self.queued_call(pool, call, &view, now)));
        }
        waits.extend(certain);
        let cycles = mark_cycles(waits);
        waits.extend(others);
        cycles
    }

    fn running_call(
        &self,
        pool: &PoolView,
        call: &InFlight,
        view: &View,
        now: u64,
    ) -> Option<Wait> {
        let worker = call.worker.index();
        let mut isolates = pool.isolates.iter().rev();
        let isolate = isolates.find(|it| it.0 == worker).map(|it| it.1);
        let first = view.seen.calls.get(&call.identity()).map(|it| it.first_ms);
        let (name, method) = (&pool.status.name, pool.full_name(call.method));
        Some(Wait {
            waiter: self.party(call.caller?),
            holders: isolate
                .map(|isolate| self.party(isolate))
                .into_iter()
                .collect(),
            kind: "call".to_owned(),
            call: Some(format!("{method} of pool {name}, on worker {worker}")),
            seen_ms: first.map_or(0, |first| now.saturating_sub(first)),
            is_in_cycle: false,
        })
    }

    fn queued_call(&self, pool: &PoolView, call: &Queued, view: &View, now: u64) -> Option<Wait> {
        let first = view.seen.queued.get(&call.identity()).map(|it| it.0);
        let (name, method) = (&pool.status.name, pool.full_name(call.method));
        let holder = Party {
            id: pool_id(pool.number),
            name: name.clone(),
        };
        Some(Wait {
            waiter: self.party(call.caller?),
            holders: vec![holder],
            kind: "call".to_owned(),
            call: Some(format!("{method} of pool {name}, in its queue")),
            seen_ms: first.map_or(0, |first| now.saturating_sub(first)),
            is_in_cycle: false,
        })
    }

    /// Returns the waits that block threads.
    fn blocked(&self) -> Vec<Wait> {
        let now = self.now_ms();
        let view = self.recent();
        let wait = |wait: &insula_core::WaitSnapshot| {
            let id = party_id(&wait.waiter);
            let first = view.seen.waits.get(&id).copied().unwrap_or(now);
            Wait {
                waiter: Party {
                    id,
                    name: wait.waiter_name.to_string(),
                },
                holders: wait.holders.iter().map(|it| self.named(it)).collect(),
                kind: "blocked".to_owned(),
                seen_ms: now.saturating_sub(first),
                ..Wait::default()
            }
        };
        view.waits.iter().map(wait).collect()
    }

    fn named(&self, party: &PartySnapshot) -> Party {
        match party {
            PartySnapshot::Isolate(isolate) => self.party(*isolate),
            PartySnapshot::Thread(_) => Party {
                id: party_id(party),
                name: "a thread outside of isolates".to_owned(),
            },
        }
    }
}

/// Returns the isolates whose answers an isolate awaits, if there are any.
fn asked_by(told: &IsolateDetail) -> Option<Vec<IsolateId>> {
    let mut asked: Vec<_> = told.questions.iter().flatten().copied().collect();
    asked.sort_unstable();
    asked.dedup();
    (!asked.is_empty()).then_some(asked)
}

/// Marks the waits that are part of a cycle, and returns the cycles: groups of parties of which each
/// waits, perhaps by way of others, for each other one.
fn mark_cycles(waits: &mut [Wait]) -> Vec<Vec<Party>> {
    let mut edges: HashMap<String, Vec<String>> = HashMap::new();
    for wait in waits.iter() {
        let holders = wait.holders.iter().map(|it| it.id.clone());
        edges
            .entry(wait.waiter.id.clone())
            .or_default()
            .extend(holders);
    }
    let mut cycles = Vec::new();
    let mut done = HashSet::new();
    for wait in waits.iter() {
        let start = &wait.waiter.id;
        if done.contains(start) {
            continue;
        }
        let reached = reached_from(start, &edges);
        if !reached.contains(start) {
            continue;
        }
        // Those that lead back are in the same cycle.
        let together: HashSet<_> = reached
            .into_iter()
            .filter(|other| reached_from(other, &edges).contains(start))
            .collect();
        let mut cycle: Vec<_> = waits.iter().map(|wait| wait.waiter.clone()).collect();
        cycle.retain(|party| together.contains(&party.id));
        cycle.dedup();
        done.extend(together);
        cycles.push(cycle);
    }
    for wait in waits {
        wait.is_in_cycle = done.contains(&wait.waiter.id);
    }
    cycles
}

/// Returns everything that can be reached by at least one wait.
fn reached_from(start: &str, edges: &HashMap<String, Vec<String>>) -> HashSet<String> {
    let mut reached = HashSet::new();
    let mut to_visit = vec![start];
    while let Some(party) = to_visit.pop() {
        for next in edges.get(party).into_iter().flatten() {
            if reached.insert(next.clone()) {
                to_visit.push(next);
            }
        }
    }
    reached
}

#[cfg(test)]
mod tests;
