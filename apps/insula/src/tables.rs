//! What is known of a program, as tables. Each text of the program is cleaned here.

use std::borrow::Borrow;

use insula_inspect::announce::Announcement;
use insula_inspect::model::{
    Event, Isolate, IsolateKind, IsolateState, Latency, Mailbox, Method, NativePort, Outcomes,
    Party, Pool, PoolDetail, Port, Profile, Severity, ThreadState, Threads, Wait, Worker,
};

use crate::table::{Column, Table, Tone};
use crate::text::{bytes, clean, count, instant, micros, millis};

const NONE: &str = "-";

/// Milliseconds after which a turn or a call is worth a look.
const LONG_MS: u64 = 1_000;

pub(crate) fn programs(programs: &[Announcement]) -> Table {
    const COLUMNS: &[Column] = &[
        Column::number("PID", 0),
        Column::flexible("NAME", 0),
        Column::text("ADDRESS", 0),
    ];
    let mut table = Table::new(COLUMNS);
    for program in programs {
        let pid = program.pid.to_string();
        let cells = vec![pid.clone(), clean(&program.name), clean(&program.address)];
        table.push(&pid, Tone::Plain, cells);
    }
    table
}

/// Returns the table of isolates, with their ports if they were asked for.
pub(crate) fn isolates(isolates: impl IntoIterator<Item = impl Borrow<Isolate>>) -> Table {
    const COLUMNS: &[Column] = &[
        Column::number("ID", 0),
        Column::flexible("NAME", 0),
        Column::text("STATE", 1),
        Column::number("QUEUED", 2),
        Column::number("CONTROL", 8),
        Column::number("TURNS", 3),
        Column::number("TURN", 4),
        Column::text("KIND", 6),
        Column::number("SEEN", 5),
        Column::number("CPU", 6),
        Column::number("PORTS", 2),
        Column::flexible("GROUP", 7),
    ];
    let isolates: Vec<_> = isolates.into_iter().collect();
    let mut table = Table::new(COLUMNS);
    if isolates.iter().all(|it| it.borrow().ports.is_none()) {
        table.leave_out("PORTS");
    }
    for isolate in isolates {
        let isolate = isolate.borrow();
        let state = match isolate.is_blocked {
            true => "blocked",
            false => state(isolate.state),
        };
        let is_long = isolate.turn_ms.is_some_and(|ms| ms >= LONG_MS);
        let tone = match isolate.state {
            _ if isolate.is_blocked || is_long => Tone::Warning,
            IsolateState::Idle | IsolateState::Ended => Tone::Dim,
            IsolateState::Paused => Tone::Warning,
            IsolateState::Running => Tone::Good,
            IsolateState::Runnable => Tone::Plain,
        };
        let cells = vec![
            number_of(&isolate.id),
            clean(&isolate.name),
            state.to_owned(),
            count(isolate.queued),
            count(isolate.control_queued),
            count(isolate.turns_total),
            isolate.turn_ms.map_or_else(|| NONE.to_owned(), millis),
            kind(isolate.kind).to_owned(),
            millis(isolate.seen_ms),
            isolate.cpu_total_ms.map_or_else(|| NONE.to_owned(), millis),
            isolate.ports.map_or_else(|| NONE.to_owned(), count),
            optional(isolate.group.as_deref()),
        ];
        table.push(&isolate.id, tone, cells);
    }
    table
}

pub(crate) fn pools(pools: impl IntoIterator<Item = impl Borrow<Pool>>) -> Table {
    const COLUMNS: &[Column] = &[
        Column::number("ID", 0),
        Column::flexible("NAME", 0),
        Column::text("PHASE", 1),
        Column::number("WORKERS", 2),
        Column::number("RUNNING", 3),
        Column::number("QUEUED", 3),
        Column::number("WAITING", 7),
        Column::number("CALLS", 5),
        Column::number("FAILED", 6),
        Column::number("LOST", 4),
        Column::number("P50", 6),
        Column::number("P99", 4),
        Column::number("STUCK", 8),
        Column::number("REBUILT", 9),
    ];
    let mut table = Table::new(COLUMNS);
    for pool in pools {
        let pool = pool.borrow();
        let cells = vec![
            number_of(&pool.id),
            clean(&pool.name),
            clean(&pool.phase),
            format!("{}/{}", pool.ready, pool.workers),
            count(pool.running),
            count(pool.queued),
            count(pool.waiting),
            count(pool.submitted_total),
            count(pool.outcomes.failed_total),
            count(lost(&pool.outcomes)),
            quantile(&pool.latency, pool.latency.p50_us),
            quantile(&pool.latency, pool.latency.p99_us),
            count(pool.stuck_total),
            count(pool.rebuilt_total),
        ];
        table.push(&pool.id, phase_tone(&pool.phase), cells);
    }
    table
}

/// Returns the tone of a pool's phase.
pub(crate) fn phase_tone(phase: &str) -> Tone {
    match phase {
        "serving" => Tone::Plain,
        "failed" => Tone::Bad,
        "closed" => Tone::Dim,
        _ => Tone::Warning,
    }
}

pub(crate) fn workers(workers: &[Worker]) -> Table {
    const COLUMNS: &[Column] = &[
        Column::number("WORKER", 0),
        Column::text("CONDITION", 0),
        Column::number("RUNNING", 1),
        Column::number("CALLS", 2),
        Column::number("PANICS", 4),
        Column::number("P50", 5),
        Column::number("P99", 3),
        Column::number("CPU", 6),
        Column::number("MEMORY", 6),
        Column::number("BUILT", 8),
        Column::flexible("ISOLATE", 7),
        Column::flexible("FAULT", 4),
    ];
    let mut table = Table::new(COLUMNS);
    for worker in workers {
        let tone = match worker.condition.as_str() {
            "ready" => Tone::Plain,
            "lost" => Tone::Bad,
            "retired" | "ended" => Tone::Dim,
            _ => Tone::Warning,
        };
        let cells = vec![
            worker.index.to_string(),
            clean(&worker.condition),
            count(worker.running),
            count(worker.calls_total),
            count(worker.panicked_total),
            quantile(&worker.run_time, worker.run_time.p50_us),
            quantile(&worker.run_time, worker.run_time.p99_us),
            worker.cpu_total_ms.map_or_else(|| NONE.to_owned(), millis),
            worker.memory_bytes.map_or_else(|| NONE.to_owned(), bytes),
            count(worker.incarnation),
            worker
                .isolate
                .as_ref()
                .map_or_else(|| NONE.to_owned(), party),
            optional(worker.fault.as_deref()),
        ];
        table.push(&worker.index.to_string(), tone, cells);
    }
    table
}

pub(crate) fn methods(methods: &[Method]) -> Table {
    const COLUMNS: &[Column] = &[
        Column::flexible("METHOD", 0),
        Column::number("ANSWERED", 1),
        Column::number("FAILED", 3),
        Column::number("LOST", 3),
        Column::number("P50", 5),
        Column::number("P99", 2),
        Column::number("MAX", 4),
        Column::number("WAIT P99", 6),
    ];
    let mut table = Table::new(COLUMNS);
    for method in methods {
        let name = format!("{}.{}", clean(&method.contract), clean(&method.method));
        let cells = vec![
            name.clone(),
            count(method.outcomes.answered_total),
            count(method.outcomes.failed_total),
            count(lost(&method.outcomes)),
            quantile(&method.latency, method.latency.p50_us),
            quantile(&method.latency, method.latency.p99_us),
            quantile(&method.latency, method.latency.max_us),
            quantile(&method.queue_wait, method.queue_wait.p99_us),
        ];
        table.push(&name, Tone::Plain, cells);
    }
    table
}

/// Returns the running calls of the pools, the oldest first.
pub(crate) fn calls(pools: &[PoolDetail]) -> Table {
    const COLUMNS: &[Column] = &[
        Column::number("AGE", 0),
        Column::flexible("METHOD", 0),
        Column::flexible("POOL", 1),
        Column::number("WORKER", 2),
        Column::text("STATE", 3),
    ];
    let mut all: Vec<_> = pools
        .iter()
        .flat_map(|detail| detail.calls.iter().map(move |call| (&detail.pool, call)))
        .collect();
    all.sort_by_key(|(_, call)| std::cmp::Reverse(call.seen_ms));
    let mut table = Table::new(COLUMNS);
    for (pool, call) in all {
        let (state, tone) = match call {
            call if call.is_waiting => ("waits for reader", Tone::Dim),
            call if call.seen_ms >= LONG_MS => ("running", Tone::Warning),
            _ => ("running", Tone::Plain),
        };
        let cells = vec![
            millis(call.seen_ms),
            clean(&call.method),
            clean(&pool.name),
            call.worker.to_string(),
            state.to_owned(),
        ];
        table.push(&pool.id, tone, cells);
    }
    table
}

pub(crate) fn waits(waits: &[Wait]) -> Table {
    const COLUMNS: &[Column] = &[
        Column::flexible("WAITER", 0),
        Column::flexible("WAITS FOR", 0),
        Column::text("KIND", 2),
        Column::number("SEEN", 1),
        Column::text("CYCLE", 1),
    ];
    let mut table = Table::new(COLUMNS);
    for wait in waits {
        let holders = match (wait.holders.as_slice(), &wait.call) {
            ([], None) => "not known".to_owned(),
            (holders, None) => list(holders),
            ([], Some(call)) => clean(call),
            (holders, Some(call)) => format!("{}: {}", list(holders), clean(call)),
        };
        let (cycle, tone) = match wait.is_in_cycle {
            true => ("yes", Tone::Bad),
            false => ("", Tone::Plain),
        };
        let cells = vec![
            party(&wait.waiter),
            holders,
            clean(&wait.kind),
            millis(wait.seen_ms),
            cycle.to_owned(),
        ];
        table.push(&wait.waiter.id, tone, cells);
    }
    table
}

pub(crate) fn threads(threads: &Threads) -> Table {
    const COLUMNS: &[Column] = &[
        Column::number("THREAD", 0),
        Column::text("STATE", 0),
        Column::flexible("ISOLATE", 1),
        Column::number("TURN", 2),
        Column::number("TURNS", 3),
        Column::number("QUEUED", 4),
        Column::number("SLICE", 5),
        Column::number("SYSTEM", 6),
    ];
    let mut table = Table::new(COLUMNS);
    for thread in &threads.threads {
        let (state, tone) = match thread.state {
            ThreadState::Idle => ("idle", Tone::Dim),
            ThreadState::Running => ("running", Tone::Good),
            ThreadState::Stuck => ("stuck", Tone::Warning),
        };
        let isolate = thread.isolate.as_ref();
        let cells = vec![
            thread.index.to_string(),
            state.to_owned(),
            isolate.map_or_else(|| NONE.to_owned(), party),
            thread.turn_ms.map_or_else(|| NONE.to_owned(), millis),
            count(thread.turns_total),
            count(thread.queued),
            micros(thread.mean_slice_ns as f64 / 1e3),
            thread
                .system_id
                .map_or_else(|| NONE.to_owned(), |it| it.to_string()),
        ];
        let key = isolate.map_or_else(
            || format!("threads/{}", thread.index),
            |isolate| isolate.id.clone(),
        );
        table.push(&key, tone, cells);
    }
    table
}

pub(crate) fn native_ports(ports: &[NativePort]) -> Table {
    const COLUMNS: &[Column] = &[
        Column::flexible("NATIVE PORT", 0),
        Column::text("STATE", 1),
        Column::number("WAITING", 0),
        Column::number("RUNNING", 0),
        Column::number("MOST", 2),
        Column::number("THREADS", 3),
        Column::number("STARTED", 4),
        Column::number("MEAN", 5),
    ];
    let mut table = Table::new(COLUMNS);
    for port in ports {
        let (state, tone) = match port.is_closed {
            true => ("closed", Tone::Dim),
            false => ("open", Tone::Plain),
        };
        let cells = vec![
            clean(&port.name),
            state.to_owned(),
            count(port.waiting),
            count(port.running),
            count(port.max_concurrent),
            count(port.threads),
            count(port.started_total),
            micros(port.mean_us),
        ];
        table.push(&port.id, tone, cells);
    }
    table
}

pub(crate) fn mailboxes(mailboxes: &[Mailbox]) -> Table {
    const COLUMNS: &[Column] = &[
        Column::text("MAILBOX", 0),
        Column::text("KIND", 3),
        Column::text("STATE", 1),
        Column::number("PUTTERS", 0),
        Column::number("TAKERS", 0),
        Column::flexible("MESSAGE", 2),
        Column::flexible("MADE AT", 0),
    ];
    let mut table = Table::new(COLUMNS);
    for mailbox in mailboxes {
        let (state, tone) = match (mailbox.is_closed, mailbox.is_full) {
            (true, _) => ("closed", Tone::Dim),
            (false, true) => ("full", Tone::Plain),
            (false, false) => ("empty", Tone::Plain),
        };
        let cells = vec![
            clean(&mailbox.id),
            clean(&mailbox.kind),
            state.to_owned(),
            count(mailbox.putters),
            count(mailbox.takers),
            clean(&mailbox.message),
            clean(&mailbox.opened_at),
        ];
        table.push(&mailbox.id, tone, cells);
    }
    table
}

pub(crate) fn events(events: impl IntoIterator<Item = impl Borrow<Event>>) -> Table {
    const COLUMNS: &[Column] = &[
        Column::number("AT", 0),
        Column::text("SEVERITY", 3),
        Column::text("KIND", 2),
        Column::text("SUBJECT", 1),
        Column::flexible("EVENT", 0),
    ];
    let mut table = Table::new(COLUMNS);
    for event in events {
        let event = event.borrow();
        let (severity, tone) = match event.severity {
            Severity::Info => ("info", Tone::Plain),
            Severity::Warning => ("warning", Tone::Warning),
            Severity::Error => ("error", Tone::Bad),
        };
        let cells = vec![
            instant(event.at_ms),
            severity.to_owned(),
            clean(&event.kind),
            clean(&event.subject),
            clean(&event.text),
        ];
        table.push(&event.number.to_string(), tone, cells);
    }
    table
}

/// Returns the events of the flight recorder.
pub(crate) fn recorded(events: &[Event]) -> Table {
    const COLUMNS: &[Column] = &[
        Column::number("AT", 0),
        Column::flexible("THREAD", 1),
        Column::text("KIND", 2),
        Column::text("SUBJECT", 1),
        Column::flexible("EVENT", 0),
    ];
    let mut table = Table::new(COLUMNS);
    for event in events {
        let tone = match event.severity {
            Severity::Info => Tone::Plain,
            Severity::Warning => Tone::Warning,
            Severity::Error => Tone::Bad,
        };
        let cells = vec![
            instant(event.at_ms),
            optional(event.thread.as_deref()),
            clean(&event.kind),
            clean(&event.subject),
            clean(&event.text),
        ];
        table.push(&event.number.to_string(), tone, cells);
    }
    table
}

pub(crate) fn ports(ports: &[Port]) -> Table {
    const COLUMNS: &[Column] = &[
        Column::number("PORT", 0),
        Column::flexible("NAME", 2),
        Column::text("MODE", 1),
        Column::number("SENDERS", 2),
        Column::number("BUFFERED", 1),
        Column::number("ROOM", 3),
        Column::number("WAITING", 4),
        Column::text("ALIVE", 3),
        Column::flexible("OPENED AT", 0),
    ];
    let mut table = Table::new(COLUMNS);
    for port in ports {
        let room = match (port.used, port.bound) {
            (Some(used), Some(bound)) => format!("{}/{}", count(used), count(bound)),
            (None, Some(bound)) => count(bound),
            (_, None) => NONE.to_owned(),
        };
        let tone = match port.waiting_senders {
            0 => Tone::Plain,
            _ => Tone::Warning,
        };
        let cells = vec![
            number_of(&port.id),
            optional(port.name.as_deref()),
            clean(&port.mode),
            count(port.senders),
            count(port.buffered),
            room,
            count(port.waiting_senders),
            if port.keeps_alive { "yes" } else { "no" }.to_owned(),
            clean(&port.opened_at),
        ];
        table.push(&port.id, tone, cells);
    }
    table
}

/// Returns the stacks of a profile, those that were seen most first.
pub(crate) fn stacks(profile: &Profile) -> Table {
    const COLUMNS: &[Column] = &[
        Column::number("LOOKS", 0),
        Column::number("%", 0),
        Column::flexible("STACK", 0),
    ];
    let mut stacks: Vec<_> = profile.stacks.iter().collect();
    stacks.sort_by_key(|stack| std::cmp::Reverse(stack.looks));
    let mut table = Table::new(COLUMNS);
    for stack in stacks {
        let percent = 100.0 * stack.looks as f64 / profile.looks.max(1) as f64;
        let frames: Vec<_> = stack.frames.iter().map(|frame| clean(frame)).collect();
        let cells = vec![
            stack.looks.to_string(),
            format!("{percent:.1}"),
            frames.join(" > "),
        ];
        table.push("", Tone::Plain, cells);
    }
    table
}

/// Returns the calls that did not end with an answer or an error of their handler.
pub(crate) fn lost(outcomes: &Outcomes) -> u64 {
    [
        outcomes.panicked_total,
        outcomes.cancelled_total,
        outcomes.expired_total,
        outcomes.died_total,
        outcomes.rejected_total,
        outcomes.shed_total,
    ]
    .into_iter()
    .fold(0, u64::saturating_add)
}

/// Returns a party as its name and its number.
pub(crate) fn party(party: &Party) -> String {
    let (name, id) = (clean(&party.name), clean(&party.id));
    match (name.is_empty(), id.is_empty()) {
        (true, true) => "?".to_owned(),
        (true, false) => id,
        (false, true) => name,
        (false, false) => format!("{name} ({id})"),
    }
}

/// Returns the parties with commas between.
pub(crate) fn list(parties: &[Party]) -> String {
    let parties: Vec<_> = parties.iter().map(party).collect();
    parties.join(", ")
}

pub(crate) fn state(state: IsolateState) -> &'static str {
    match state {
        IsolateState::Idle => "idle",
        IsolateState::Runnable => "runnable",
        IsolateState::Running => "running",
        IsolateState::Paused => "paused",
        IsolateState::Ended => "ended",
    }
}

pub(crate) fn kind(kind: IsolateKind) -> &'static str {
    match kind {
        IsolateKind::Pooled => "pooled",
        IsolateKind::Pinned => "pinned",
        IsolateKind::Root => "root",
    }
}

/// Returns a quantile of a distribution that is not empty.
pub(crate) fn quantile(latency: &Latency, value: f64) -> String {
    match latency.samples {
        0 => NONE.to_owned(),
        _ => micros(value),
    }
}

/// Returns the number in an id such as `isolates/12`.
fn number_of(id: &str) -> String {
    let number = id.rsplit_once('/').map_or(id, |(_, number)| number);
    clean(number)
}

fn optional(text: Option<&str>) -> String {
    text.map_or_else(|| NONE.to_owned(), clean)
}
