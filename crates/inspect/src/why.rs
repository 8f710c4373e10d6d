//! Answers in sentences: why an isolate is alive and waits, why a pool is slow, and what to do next.
//!
//! They follow from the plain data alone, so that a client of a recording could make them as well.

use crate::model::{IsolateDetail, IsolateKind, IsolateState, Latency, PoolDetail, Wait};

/// A turn that goes on for so many milliseconds is worth a word.
const LONG_TURN_MS: u64 = 100;

/// So many events in a queue are worth a word.
const LONG_QUEUE: u64 = 1_000;

/// So many senders of one port, or ports of one isolate, look like a leak.
const MANY: u64 = 1_000;

/// The median of fewer timed calls says little.
const FEW_SAMPLES: u64 = 10;

/// A call that runs for so many milliseconds is worth a word.
const LONG_CALL_MS: u64 = 5_000;

/// Returns why an isolate does what it does.
pub(crate) fn of_isolate(detail: &IsolateDetail) -> Vec<String> {
    let mut why = Vec::new();
    state(detail, &mut why);
    waits(detail, &mut why);
    if detail.has_answered {
        alive(detail, &mut why);
        ports(detail, &mut why);
    }
    why
}

fn state(detail: &IsolateDetail, why: &mut Vec<String>) {
    let isolate = &detail.isolate;
    let queue = isolate.queued;
    match isolate.state {
        IsolateState::Idle => why.push("It is idle: its queue is empty.".to_owned()),
        IsolateState::Runnable => why.push(format!(
            "It waits for a thread, with {}. If that lasts, all threads are busy: look at the \
             threads.",
            events(queue)
        )),
        IsolateState::Running => match isolate.turn_ms {
            Some(age) if age >= LONG_TURN_MS && isolate.is_blocked => why.push(format!(
                "It is inside of one turn for {age} ms, and blocks its thread in a wait; {} are \
                 behind it.",
                events(queue)
            )),
            Some(age) if age >= LONG_TURN_MS => why.push(format!(
                "It is inside of one turn for {age} ms: it computes, or calls something that blocks; \
                 {} are behind it. Divide the work, call `yield_now`, or move it to a pool. A kill \
                 has effect at its next `checkpoint`.",
                events(queue)
            )),
            _ => why.push(format!("It runs, with {}.", events(queue))),
        },
        IsolateState::Paused if detail.pauses == 1 => why.push(format!(
            "It is paused, with {}. One resume is missing.",
            events(queue)
        )),
        IsolateState::Paused => why.push(format!(
            "It is paused, with {}. {} resumes are missing.",
            events(queue),
            detail.pauses
        )),
        IsolateState::Ended => why.push("It has ended.".to_owned()),
    }
    let is_long = isolate.turn_ms.is_some_and(|age| age >= LONG_TURN_MS);
    if is_long && isolate.kind == IsolateKind::Pooled {
        let id = &isolate.id;
        why.push(format!(
            "`insula stack {id}` shows where it is, if a debugger may read the program."
        ));
    }
    if queue >= LONG_QUEUE && isolate.state != IsolateState::Paused {
        why.push(
            "Its queue is long: messages come faster than it handles them. Bound the port \
             (`ReceivePort::bounded`), so that senders wait, or share the work among several isolates."
                .to_owned(),
        );
    }
    if !detail.has_answered && isolate.state != IsolateState::Ended {
        why.push(
            "It has not answered within 300 ms, so its ports, timers and tasks are not known."
                .to_owned(),
        );
    }
}

fn waits(detail: &IsolateDetail, why: &mut Vec<String>) {
    let own = &detail.isolate.id;
    let is_own = |wait: &&Wait| wait.waiter.id == *own;
    for wait in detail.waits.iter().filter(is_own) {
        wait_of(wait, "It", why);
    }
    cycle(detail, why);
    for wait in detail.waits.iter().filter(|wait| !is_own(wait)) {
        wait_of(wait, &wait.waiter.name, why);
    }
}

fn wait_of(wait: &Wait, who: &str, why: &mut Vec<String>) {
    let names: Vec<_> = wait.holders.iter().map(|it| it.name.as_str()).collect();
    let holders = match names.as_slice() {
        [] => "something outside of the program's knowledge".to_owned(),
        names => names.join(" and "),
    };
    let how = match wait.kind.as_str() {
        "blocked" => "blocks its thread until it is released by",
        _ => "awaits an answer of",
    };
    match &wait.call {
        Some(call) => why.push(format!("{who} waits for a call: {call}.")),
        None => why.push(format!("{who} {how} {holders}.")),
    }
}

/// Tells of the cycle that the isolate is in, or waits for.
fn cycle(detail: &IsolateDetail, why: &mut Vec<String>) {
    let own = &detail.isolate.id;
    let mut waits = detail.waits.iter();
    let cycle = if waits.any(|wait| wait.is_in_cycle && wait.waiter.id == *own) {
        "This wait is part of a cycle".to_owned()
    } else if detail.cycle.is_empty() {
        return;
    } else {
        // The first one again, which shows that it is a cycle.
        let parties = detail.cycle.iter().chain(detail.cycle.first());
        let names: Vec<_> = parties.map(|it| it.name.as_str()).collect();
        format!("It waits for a cycle, {}", names.join(" -> "))
    };
    why.push(format!(
        "{cycle}: none of its parties can answer before another one does. Do not await an answer \
         inside of the handler that others ask, or give the question a deadline; to go on now, kill \
         one of them."
    ));
}

fn alive(detail: &IsolateDetail, why: &mut Vec<String>) {
    let mut reasons = Vec::new();
    for port in detail.ports.iter().filter(|port| port.keeps_alive).take(5) {
        reasons.push(format!(
            "{} (opened at {}) has {}",
            port.name.as_ref().unwrap_or(&port.id),
            port.opened_at,
            count(port.senders, "sender")
        ));
    }
    let more = detail.ports.iter().filter(|it| it.keeps_alive).count();
    if more > 5 {
        reasons.push(format!("{} more ports have senders", more - 5));
    }
    if detail.timers != 0 {
        let next = detail.next_timer_ms;
        let next = next.map_or(String::new(), |next| format!(", the next in {next} ms"));
        reasons.push(format!("it has {}{next}", count(detail.timers, "timer")));
    }
    if detail.awaited_tasks != 0 {
        let tasks = count(detail.awaited_tasks, "task");
        reasons.push(format!("something outside can wake {tasks} of it"));
    }
    if !detail.questions.is_empty() {
        let questions = count(detail.questions.len() as u64, "question");
        reasons.push(format!("it has {questions} without an answer"));
    }
    if detail.isolate.kind == IsolateKind::Root {
        reasons.push("its host has not dropped it".to_owned());
    }
    match reasons.is_empty() {
        true => why.push("Nothing keeps it alive: it ends when its queue is empty.".to_owned()),
        false => why.push(format!("It is alive because {}.", reasons.join("; "))),
    }
}

fn ports(detail: &IsolateDetail, why: &mut Vec<String>) {
    if detail.ports.len() as u64 >= MANY {
        let place = detail.ports.last().map_or("", |port| &port.opened_at);
        why.push(format!(
            "It has {} open ports, the newest opened at {place}. If they are not needed, close \
             them: a port stays open until its `ReceivePort` is dropped or its `Listener` closed.",
            detail.ports.len()
        ));
    }
    for port in &detail.ports {
        let name = port.name.as_ref().unwrap_or(&port.id);
        if port.senders >= MANY {
            why.push(format!(
                "{name} has {} senders. Clones that are kept and not used keep the isolate alive.",
                port.senders
            ));
        }
        if port.buffered >= LONG_QUEUE {
            why.push(format!(
                "{name} holds {} messages that nothing has asked for: a `recv` loop has ended or is \
                 slow.",
                port.buffered
            ));
        }
        if port.waiting_senders != 0 {
            why.push(format!(
                "{} for room in {name}, which is full: its isolate is slower than its senders.",
                match port.waiting_senders {
                    1 => "One sender waits".to_owned(),
                    senders => format!("{senders} senders wait"),
                }
            ));
        }
    }
}

/// Returns why a pool is slow, if it is.
pub(crate) fn of_pool(detail: &PoolDetail) -> Vec<String> {
    let mut why = Vec::new();
    let pool = &detail.pool;
    match pool.phase.as_str() {
        "failed" => why.push("It has no worker left, and rejects all calls.".to_owned()),
        "degraded" => why.push("It goes on with fewer workers, since some were lost.".to_owned()),
        "draining" => {
            why.push("It takes no more calls, and finishes those that it has.".to_owned());
        }
        "closed" => why.push("It takes no calls.".to_owned()),
        _ => {}
    }
    for worker in &detail.workers {
        if let Some(fault) = &worker.fault {
            why.push(format!("Worker {} was lost: {fault}.", worker.index));
        }
    }
    let paused = detail.workers.iter().filter(|it| it.is_paused).count() as u64;
    if paused != 0 {
        why.push(match paused {
            1 => "1 worker is paused: calls that wait for it go on only once it is resumed.".to_owned(),
            _ => format!(
                "{paused} workers are paused: calls that wait for them go on only once they are resumed."
            ),
        });
    } else {
        queue(detail, &mut why);
    }
    slow_calls(detail, &mut why);
    lost_calls(detail, &mut why);
    if why.is_empty() {
        why.push("It serves, and no call waits.".to_owned());
    }
    why
}

fn queue(detail: &PoolDetail, why: &mut Vec<String>) {
    let pool = &detail.pool;
    let queued = pool.queued + pool.waiting;
    if queued == 0 || pool.ready == 0 {
        return;
    }
    let idle = detail.workers.iter();
    let idle = idle.filter(|it| it.condition == "ready" && it.running == 0);
    let idle = idle.count();
    if idle != 0 {
        why.push(format!(
            "{} in the queue although {} idle: the calls have keys or a worker of \
             their own, and wait for one that is busy.",
            count_of(queued, "call waits", "calls wait"),
            count_of(idle as u64, "worker is", "workers are")
        ));
        return;
    }
    why.push(format!(
        "{} in the queue, and all workers are busy.{} More workers help as long as there are cores; \
         otherwise the calls must become shorter or fewer.",
        count_of(queued, "call waits", "calls wait"),
        compared(&pool.queue_wait, &pool.run_time)
    ));
    long_turns(detail, why);
}

/// Names the workers of which a handler keeps its isolate from everything else.
fn long_turns(detail: &PoolDetail, why: &mut Vec<String>) {
    let turns = detail.workers.iter().filter_map(|worker| worker.turn_ms);
    let turns: Vec<_> = turns.filter(|age| *age >= LONG_TURN_MS).collect();
    let Some(longest) = turns.iter().max() else {
        return;
    };
    let who = match turns.len() {
        1 => format!("1 worker is inside of one turn for {longest} ms"),
        number => format!("{number} workers are inside of one turn, the longest for {longest} ms"),
    };
    why.push(format!(
        "{who}: a handler computes or blocks there. If it blocks, await in its place, or move what blocks \
         into an isolate of its own (`Isolate::run(..).await`), and let a worker run several calls \
         (`concurrency_per_worker`)."
    ));
}

/// Returns what share of the time calls wait. A pool times one call in many, and the first ones, which
/// found its queue empty, are not what its callers see.
fn compared(wait: &Latency, run: &Latency) -> String {
    if wait.samples < FEW_SAMPLES || run.samples < FEW_SAMPLES {
        return String::new();
    }
    format!(
        " So far they waited {:.1} ms and ran {:.1} ms, by the median.",
        wait.p50_us / 1e3,
        run.p50_us / 1e3
    )
}

fn slow_calls(detail: &PoolDetail, why: &mut Vec<String>) {
    let slow = |call: &&crate::model::Call| !call.is_waiting && call.seen_ms >= LONG_CALL_MS;
    for call in detail.calls.iter().filter(slow).take(5) {
        why.push(format!(
            "A call of {} runs for {:.1} s on worker {}. If it should have ended, give it a deadline, \
             and set `Health::stuck_after`, so that a stuck worker is replaced.",
            call.method,
            call.seen_ms as f64 / 1e3,
            call.worker
        ));
    }
    let waiting = detail.calls.iter().filter(|call| call.is_waiting).count();
    if waiting != 0 {
        why.push(format!(
            "{} for readers that take no items.",
            count_of(waiting as u64, "stream waits", "streams wait")
        ));
    }
}

fn lost_calls(detail: &PoolDetail, why: &mut Vec<String>) {
    let ends = &detail.pool.outcomes;
    let rows = [
        (
            ends.rejected_total,
            "ended in a rejection: the queue was full, or the pool took no calls",
        ),
        (
            ends.shed_total,
            "ended in the queue, which dropped what waited too long",
        ),
        (ends.expired_total, "ended at a deadline"),
        (ends.panicked_total, "ended with a panic of the handler"),
        (ends.died_total, "ended with the worker"),
    ];
    for (number, what) in rows {
        if number != 0 {
            why.push(format!("{} {what}.", count(number, "call")));
        }
    }
}

fn events(number: u64) -> String {
    count(number, "event")
}

/// Returns a number with its noun.
fn count(number: u64, noun: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{ending}")
}

/// Returns a number with the first text if it is one, else with the second.
fn count_of(number: u64, one: &str, many: &str) -> String {
    let what = if number == 1 { one } else { many };
    format!("{number} {what}")
}

#[cfg(test)]
mod tests;
