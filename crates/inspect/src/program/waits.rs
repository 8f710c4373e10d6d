//! Who waits for whom.
//!
//! Three kinds of waits are known. A wait that blocks a thread is in the runtime's own graph, which
//! refuses one that would close a cycle. A question that a task awaits is known to its isolate alone,
//! which is asked; these can form cycles, and then none of them ends. A call of a pool knows the
//! isolate that awaits it, alone or among others; it waits for a worker, or for a place in front of
//! the queue. A worker that runs several calls may finish one while it waits for
//! the sake of another, so only a worker with a single call can be part of a cycle.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Instant;

use insula_core::{Isolate, IsolateDetail, IsolateId, PartySnapshot};
use insula_pool::{InFlight, Queued};

use super::Program;
use super::events::id_of;
use super::isolates::{PATIENCE, ask_all};
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

/// An isolate, and those whose answers it awaits.
type Asking = (IsolateId, Vec<IsolateId>);

impl Program {
    /// Answers `getWaits`.
    pub(crate) fn waits(&self) -> Waits {
        self.waits_and(Vec::new())
    }

    /// Returns the waits in which an isolate waits or is waited for, and a cycle that it is in or
    /// waits for. `told` is what it has told.
    pub(super) fn waits_of(
        &self,
        isolate: IsolateId,
        told: Option<&IsolateDetail>,
    ) -> (Vec<Wait>, Vec<Party>) {
        let asked = told.and_then(|told| asked_by(&told.questions));
        let (mut waits, cycles) = match asked {
            // It may be in a cycle with any isolate, and not only with those that all are asked.
            Some(asked) => {
                let along = self.asked_along((isolate, asked));
                let all = self.waits_and(along);
                (all.waits, all.cycles)
            }
            None => {
                let mut waits = self.blocked();
                let cycles = self.add_calls(&mut waits);
                (waits, cycles)
            }
        };
        let id = id_of(isolate);
        let cycle = cycle_ahead(&id, &waits, &cycles);
        waits.retain(|wait| wait.waiter.id == id || wait.holders.iter().any(|it| it.id == id));
        (waits, cycle)
    }

    /// Returns whom an isolate awaits, whom those await, and so on, within a time.
    fn asked_along(&self, first: Asking) -> Vec<Asking> {
        let deadline = Instant::now() + PATIENCE;
        let mut known = HashSet::from([first.0]);
        let mut to_ask = first.1.clone();
        let mut found = vec![first];
        loop {
            to_ask.retain(|isolate| known.insert(*isolate));
            let left = deadline.saturating_duration_since(Instant::now());
            if to_ask.is_empty() || known.len() > ASKED || left.is_zero() {
                return found;
            }
            let handles = self.runtime.isolates(&to_ask);
            to_ask.clear();
            let told = ask_all(&handles, left, Isolate::questions);
            for (handle, told) in handles.iter().zip(told) {
                if let Some(holders) = told.and_then(|told| asked_by(&told)) {
                    to_ask.extend(&holders);
                    found.push((handle.id(), holders));
                }
            }
        }
    }

    /// Returns all waits that are known, with some that were asked for already.
    fn waits_and(&self, mut asking: Vec<Asking>) -> Waits {
        let view = self.recent();
        let (mut idle, more) = view.idle(ASKED);
        idle.retain(|id| !asking.iter().any(|known| known.0 == *id));
        let handles = self.runtime.isolates(&idle);
        let told = ask_all(&handles, PATIENCE, Isolate::questions);
        let unanswered = told.iter().filter(|told| told.is_none()).count() as u64;
        for (handle, told) in handles.iter().zip(told) {
            let holders = told.and_then(|told| asked_by(&told));
            asking.extend(holders.map(|holders| (handle.id(), holders)));
        }
        asking.sort_unstable();
        let mut waits = self.blocked();
        waits.extend(self.remember(&view, &idle, &asking));
        let cycles = self.add_calls(&mut waits);
        Waits {
            waits,
            cycles,
            unanswered,
            not_asked: more as u64,
        }
    }

    /// Returns the waits for answers, and keeps when each was seen first. `idle` were asked as well.
    fn remember(&self, view: &View, idle: &[IsolateId], asking: &[Asking]) -> Vec<Wait> {
        let now = self.now_ms();
        let mut known = self.asked.lock();
        let before = known.clone();
        // What was not asked about this time may wait as before.
        known.retain(|(number, _), _| {
            let id = IsolateId::from_number(*number);
            let is_told = asking.iter().any(|asking| asking.0 == id);
            view.isolate(id).is_some() && !is_told && idle.binary_search(&id).is_err()
        });
        let mut first_seen = |(waiter, holders): &Asking| {
            let numbers = holders.iter().map(|it| it.number()).collect();
            let key = (waiter.number(), numbers);
            let first = before.get(&key).copied().unwrap_or(now);
            known.insert(key, first);
            first
        };
        let firsts: Vec<_> = asking.iter().map(&mut first_seen).collect();
        drop(known);
        let waits = asking.iter().zip(firsts);
        waits
            .map(|((waiter, holders), first)| Wait {
                waiter: self.party(*waiter),
                holders: holders.iter().map(|it| self.party(*it)).collect(),
                kind: "asked".to_owned(),
                seen_ms: now.saturating_sub(first),
                ..Wait::default()
            })
            .collect()
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
fn asked_by(questions: &[Option<IsolateId>]) -> Option<Vec<IsolateId>> {
    let mut asked: Vec<_> = questions.iter().flatten().copied().collect();
    asked.sort_unstable();
    asked.dedup();
    (!asked.is_empty()).then_some(asked)
}

/// Marks the waits that are part of a cycle, and returns one cycle of each group of parties of which
/// each waits, perhaps by way of others, for each other one: a shortest one, in which each party waits
/// for the next, and the last for the first.
fn mark_cycles(waits: &mut [Wait]) -> Vec<Vec<Party>> {
    let edges = edges_of(waits);
    let waiters = waits.iter().map(|wait| &wait.waiter);
    let parties: HashMap<_, _> = waiters.map(|it| (it.id.clone(), it.clone())).collect();
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
        // Those that lead back are in the same group. Each of them waits, and so is a party.
        let together = reached.into_iter();
        done.extend(together.filter(|other| reached_from(other, &edges).contains(start)));
        let path = cycle_of(start, &edges).into_iter();
        cycles.push(path.filter_map(|id| parties.get(&id).cloned()).collect());
    }
    for wait in waits {
        wait.is_in_cycle = done.contains(&wait.waiter.id);
    }
    cycles
}

/// Returns the cycle that a party is in, or else one that it waits for.
fn cycle_ahead(id: &str, waits: &[Wait], cycles: &[Vec<Party>]) -> Vec<Party> {
    let reached = reached_from(id, &edges_of(waits));
    let is_own = |cycle: &&Vec<Party>| cycle.iter().any(|it| it.id == id);
    let is_ahead = |cycle: &&Vec<Party>| cycle.iter().any(|it| reached.contains(&it.id));
    let found = cycles.iter().find(is_own);
    let found = found.or_else(|| cycles.iter().find(is_ahead));
    found.cloned().unwrap_or_default()
}

/// Returns the ids of those that each party waits for.
fn edges_of(waits: &[Wait]) -> HashMap<String, Vec<String>> {
    let mut edges: HashMap<String, Vec<String>> = HashMap::new();
    for wait in waits {
        let holders = wait.holders.iter().map(|it| it.id.clone());
        edges
            .entry(wait.waiter.id.clone())
            .or_default()
            .extend(holders);
    }
    edges
}

/// Returns a shortest way from `start` back to it, which exists, without its end.
fn cycle_of(start: &str, edges: &HashMap<String, Vec<String>>) -> Vec<String> {
    let mut came_from: HashMap<&str, &str> = HashMap::new();
    let mut to_visit = VecDeque::from([start]);
    while let Some(party) = to_visit.pop_front() {
        for next in edges.get(party).into_iter().flatten() {
            if next == start {
                let before = |party: &&str| came_from.get(party).copied();
                let back = std::iter::successors(Some(party), before);
                let mut path: Vec<_> = back.map(str::to_owned).collect();
                path.reverse();
                return path;
            }
            if !came_from.contains_key(next.as_str()) {
                came_from.insert(next, party);
                to_visit.push_back(next);
            }
        }
    }
    Vec::new()
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
