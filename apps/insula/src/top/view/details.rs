//! The details of an isolate or a pool.

use insula_inspect::model::{IsolateDetail, Latency, Outcomes, PoolDetail};

use super::Toned;
use crate::look::Subject;
use crate::table::{Table, Tone};
use crate::tables;
use crate::text::{clean, count, millis, several, wrap};
use crate::top::model::{Model, Opened};

/// Returns the lines of what is open.
pub(super) fn lines(model: &Model, columns: usize) -> Vec<Toned> {
    let Some(opened) = &model.opened else {
        return Vec::new();
    };
    let mut lines = Vec::new();
    if opened.is_gone {
        lines.push((Tone::Bad, "It has ended.".to_owned()));
    }
    match (&opened.isolate, &opened.pool) {
        (Some(isolate), _) => isolate_lines(isolate, columns, &mut lines),
        (None, Some(pool)) => pool_lines(pool, columns, &mut lines),
        (None, None) if !opened.is_gone => lines.push((Tone::Dim, waiting(opened))),
        (None, None) => {}
    }
    lines
}

fn waiting(opened: &Opened) -> String {
    let (Subject::Isolate(id) | Subject::Pool(id)) = &opened.subject;
    format!("Waiting for the details of {}.", clean(id))
}

fn isolate_lines(detail: &IsolateDetail, columns: usize, lines: &mut Vec<Toned>) {
    lines.extend(facts_of_isolate(detail).map(|text| (Tone::Plain, text)));
    if !detail.has_answered {
        let text = "It has not answered: it computes or blocks, or this is a record.";
        sentences(&[text.to_owned()], columns, Tone::Warning, lines);
    }
    section("WHY", lines);
    sentences(&detail.why, columns, Tone::Plain, lines);
    section("PORTS", lines);
    table(&tables::ports(&detail.ports), columns, lines);
    if detail.ports_total > detail.ports.len() as u64 {
        let text = format!(
            "These are the newest {} of {} ports.",
            detail.ports.len(),
            detail.ports_total
        );
        sentences(&[text], columns, Tone::Plain, lines);
    }
    section("WAITS", lines);
    table(&tables::waits(&detail.waits), columns, lines);
}

/// Returns the facts of an isolate, one line each, which plain output has too.
pub(crate) fn facts_of_isolate(detail: &IsolateDetail) -> impl Iterator<Item = String> {
    let isolate = &detail.isolate;
    let mut first = format!(
        "{} ({})  {}  {}",
        clean(&isolate.name),
        clean(&isolate.id),
        tables::state(isolate.state),
        tables::kind(isolate.kind),
    );
    if isolate.is_blocked {
        first.push_str("  blocks its thread");
    }
    if let Some(group) = &isolate.group {
        first.push_str("  group ");
        first.push_str(&clean(group));
    }
    let mut second = format!(
        "queued {}  control {}  turns {}  seen for {}",
        count(isolate.queued),
        count(isolate.control_queued),
        count(isolate.turns_total),
        millis(isolate.seen_ms)
    );
    if let Some(ms) = isolate.turn_ms {
        second.push_str("  in this turn for ");
        second.push_str(&millis(ms));
    }
    let mut third = several(detail.timers, "timer");
    if let Some(ms) = detail.next_timer_ms {
        third.push_str(", next in ");
        third.push_str(&millis(ms));
    }
    third.push_str(&format!(
        "  {} ({} awaited)  {} left  {}",
        several(detail.tasks, "task"),
        count(detail.awaited_tasks),
        several(detail.microtasks, "microtask"),
        several(detail.pauses, "pause"),
    ));
    let asked = detail.questions.iter().map(|question| {
        let asked = question.asked.as_ref();
        asked.map_or_else(|| "unknown".to_owned(), tables::party)
    });
    let asked: Vec<_> = asked.collect();
    let fourth = (!asked.is_empty()).then(|| format!("no answer yet from {}", asked.join(", ")));
    [first, second, third].into_iter().chain(fourth)
}

fn pool_lines(detail: &PoolDetail, columns: usize, lines: &mut Vec<Toned>) {
    let tone = tables::phase_tone(&detail.pool.phase);
    let facts = facts_of_pool(detail).enumerate();
    lines.extend(facts.map(|(line, text)| match line {
        0 => (tone, text),
        _ => (Tone::Plain, text),
    }));
    section("WHY", lines);
    sentences(&detail.why, columns, Tone::Plain, lines);
    section("WORKERS", lines);
    table(&tables::workers(&detail.workers), columns, lines);
    section("METHODS", lines);
    table(&tables::methods(&detail.methods), columns, lines);
    section("CALLS", lines);
    table(&tables::calls(std::slice::from_ref(detail)), columns, lines);
}

/// Returns the facts of a pool, one line each, which plain output has too.
pub(crate) fn facts_of_pool(detail: &PoolDetail) -> impl Iterator<Item = String> {
    let pool = &detail.pool;
    [
        format!(
            "{} ({})  {}  {} of {} workers ready, at most {}",
            clean(&pool.name),
            clean(&pool.id),
            clean(&pool.phase),
            pool.ready,
            pool.workers,
            pool.most_workers
        ),
        format!(
            "running {}  queued {}  waiting for room {}  submitted {}  stuck {}  rebuilt {}",
            count(pool.running),
            count(pool.queued),
            count(pool.waiting),
            count(pool.submitted_total),
            count(pool.stuck_total),
            count(pool.rebuilt_total)
        ),
        outcomes(&pool.outcomes),
        format!("in queue  {}", latency(&pool.queue_wait)),
        format!("handler   {}", latency(&pool.run_time)),
        format!("together  {}", latency(&pool.latency)),
    ]
    .into_iter()
}

fn outcomes(outcomes: &Outcomes) -> String {
    let all = [
        ("answered", outcomes.answered_total),
        ("failed", outcomes.failed_total),
        ("panicked", outcomes.panicked_total),
        ("cancelled", outcomes.cancelled_total),
        ("expired", outcomes.expired_total),
        ("died", outcomes.died_total),
        ("rejected", outcomes.rejected_total),
        ("shed", outcomes.shed_total),
    ];
    // Answers are the rule, and what never happened is not worth a place.
    let shown = all
        .iter()
        .filter(|(name, total)| *total > 0 || *name == "answered");
    let shown: Vec<_> = shown
        .map(|(name, total)| format!("{name} {}", count(*total)))
        .collect();
    shown.join("  ")
}

fn latency(latency: &Latency) -> String {
    let quantile = |value| tables::quantile(latency, value);
    format!(
        "p50 {}  p90 {}  p99 {}  p99.9 {}  max {}",
        quantile(latency.p50_us),
        quantile(latency.p90_us),
        quantile(latency.p99_us),
        quantile(latency.p999_us),
        quantile(latency.max_us)
    )
}

fn section(title: &str, lines: &mut Vec<Toned>) {
    lines.push((Tone::Plain, String::new()));
    lines.push((Tone::Title, title.to_owned()));
}

fn sentences(sentences: &[String], columns: usize, tone: Tone, lines: &mut Vec<Toned>) {
    if sentences.is_empty() {
        lines.push((Tone::Dim, "nothing to say".to_owned()));
    }
    for sentence in sentences {
        let wrapped = wrap(&clean(sentence), columns);
        lines.extend(wrapped.into_iter().map(|line| (tone, line)));
    }
}

fn table(table: &Table, columns: usize, lines: &mut Vec<Toned>) {
    if table.rows.is_empty() {
        lines.push((Tone::Dim, "none".to_owned()));
    } else {
        lines.extend(table.lines(columns));
    }
}
