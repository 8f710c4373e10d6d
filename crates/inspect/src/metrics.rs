//! The text for Prometheus, in its exposition format 0.0.4.
//!
//! The names are stable. Units are seconds and bytes; what only grows ends in `_total`. Isolates are
//! not listed one by one, since there may be any number of them.

use std::fmt::Write;

use crate::model::{Latency, Pool, Sample, Vm};

/// What a metric shows of a pool.
type OfPool<T> = fn(&Pool) -> T;

/// A family of the text: its help, its type, and its values.
struct Family<'a> {
    text: &'a mut String,
    name: &'static str,
}

impl<'a> Family<'a> {
    fn new(text: &'a mut String, name: &'static str, kind: &str, help: &str) -> Self {
        // Writing to a `String` never fails, here and below.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        Self { text, name }
    }

    fn gauge(text: &'a mut String, name: &'static str, help: &str) -> Self {
        Self::new(text, name, "gauge", help)
    }

    fn counter(text: &'a mut String, name: &'static str, help: &str) -> Self {
        Self::new(text, name, "counter", help)
    }

    fn value(&mut self, labels: &[(&str, &str)], value: f64) {
        self.suffixed("", labels, value);
    }

    fn suffixed(&mut self, suffix: &str, labels: &[(&str, &str)], value: f64) {
        let _ = write!(self.text, "{}{suffix}", self.name);
        for (index, (label, text)) in labels.iter().enumerate() {
            let before = if index == 0 { '{' } else { ',' };
            let _ = write!(self.text, "{before}{label}=\"{}\"", escaped(text));
        }
        let end = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.text, "{end} {value}");
    }
}

/// Escapes the value of a label.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

/// Writes the metrics of a program and its pools.
pub(crate) fn text(vm: &Vm, pools: &[Pool]) -> String {
    let mut text = String::new();
    program(&mut text, vm);
    pool_gauges(&mut text, pools);
    pool_counters(&mut text, pools);
    let times: [(&'static str, &str, OfPool<Latency>); 3] = [
        (
            "insula_pool_queue_wait_seconds",
            "Time from the submission of a call to its start.",
            |it| it.queue_wait,
        ),
        (
            "insula_pool_run_seconds",
            "Time of a call in its handler.",
            |it| it.run_time,
        ),
        (
            "insula_pool_latency_seconds",
            "Time from the submission of a call to its end.",
            |it| it.latency,
        ),
    ];
    for (name, help, of) in times {
        summary(Family::new(&mut text, name, "summary", help), pools, of);
    }
    text
}

fn program(text: &mut String, vm: &Vm) {
    let now = &vm.now;
    let mut info = Family::gauge(text, "insula_info", "The program; always 1.");
    info.value(&[("name", &vm.name), ("version", &vm.version)], 1.0);
    let mut isolates = Family::gauge(
        text,
        "insula_isolates",
        "Isolates that have not ended, by what they do.",
    );
    let idle = now
        .isolates
        .saturating_sub(now.running + now.runnable + now.paused);
    let states = [
        ("idle", idle),
        ("runnable", now.runnable),
        ("running", now.running),
        ("paused", now.paused),
    ];
    for (state, number) in states {
        isolates.value(&[("state", state)], number as f64);
    }
    numbers(text, now);
}

fn numbers(text: &mut String, now: &Sample) {
    let gauges = [
        (
            "insula_queued_events",
            "Events in the queues of all isolates.",
            Some(now.queued),
        ),
        (
            "insula_threads",
            "Threads that the pool has started.",
            Some(now.threads),
        ),
        (
            "insula_stuck_threads",
            "Threads that are inside of one long turn, or blocked.",
            Some(now.stuck_threads),
        ),
        (
            "insula_waits",
            "Waits that block a thread.",
            Some(now.waits),
        ),
        (
            "insula_resident_memory_bytes",
            "Memory of the process that is resident.",
            now.memory_bytes,
        ),
    ];
    for (name, help, value) in gauges {
        if let Some(value) = value {
            Family::gauge(text, name, help).value(&[], value as f64);
        }
    }
    let counters = [
        (
            "insula_isolates_spawned_total",
            "Isolates that were spawned.",
            now.spawned_total,
        ),
        (
            "insula_isolates_ended_total",
            "Isolates that have ended.",
            now.ended_total,
        ),
        (
            "insula_turns_total",
            "Turns on threads of the pool.",
            now.turns_total,
        ),
    ];
    for (name, help, value) in counters {
        Family::counter(text, name, help).value(&[], value as f64);
    }
    if let Some(cpu) = now.cpu_total_ms {
        let help = "Time that the process has spent on the CPU.";
        Family::counter(text, "insula_cpu_seconds_total", help).value(&[], cpu as f64 / 1e3);
    }
}

/// The labels of a pool. Names need not be unique, numbers are.
fn labels(pool: &Pool) -> [(&'static str, &str); 2] {
    [("pool", &pool.name), ("id", &pool.id)]
}

fn pool_gauges(text: &mut String, pools: &[Pool]) {
    let gauges: [(&'static str, &str, OfPool<u64>); 4] = [
        (
            "insula_pool_queued_calls",
            "Calls in the queue, and those that wait for room in it.",
            |it| it.queued + it.waiting,
        ),
        (
            "insula_pool_running_calls",
            "Calls that workers run.",
            |it| it.running,
        ),
        ("insula_pool_workers", "Workers that are there.", |it| {
            it.workers
        }),
        (
            "insula_pool_ready_workers",
            "Workers that take calls.",
            |it| it.ready,
        ),
    ];
    for (name, help, of) in gauges {
        let mut family = Family::gauge(text, name, help);
        for pool in pools {
            family.value(&labels(pool), of(pool) as f64);
        }
    }
}

fn pool_counters(text: &mut String, pools: &[Pool]) {
    let counters: [(&'static str, &str, OfPool<u64>); 3] = [
        (
            "insula_pool_submitted_calls_total",
            "Calls that were submitted.",
            |it| it.submitted_total,
        ),
        (
            "insula_pool_stuck_workers_total",
            "Workers that were given up because they were stuck.",
            |it| it.stuck_total,
        ),
        (
            "insula_pool_rebuilt_workers_total",
            "Times that the services of a worker were built again.",
            |it| it.rebuilt_total,
        ),
    ];
    for (name, help, of) in counters {
        let mut family = Family::counter(text, name, help);
        for pool in pools {
            family.value(&labels(pool), of(pool) as f64);
        }
    }
    let help = "Calls that have ended, by how.";
    let mut family = Family::counter(text, "insula_pool_ended_calls_total", help);
    for pool in pools {
        for (outcome, number) in pool.outcomes.named() {
            let [name, id] = labels(pool);
            family.value(&[name, id, ("outcome", outcome)], number as f64);
        }
    }
}

fn summary(mut family: Family<'_>, pools: &[Pool], of: fn(&Pool) -> Latency) {
    for pool in pools {
        let times = of(pool);
        let [name, id] = labels(pool);
        let quantiles = [
            ("0.5", times.p50_us),
            ("0.9", times.p90_us),
            ("0.99", times.p99_us),
            ("0.999", times.p999_us),
        ];
        for (quantile, micros) in quantiles {
            let labels = [name, id, ("quantile", quantile)];
            family.value(&labels, micros / 1e6);
        }
        let sum = times.mean_us * times.samples as f64 / 1e6;
        family.suffixed("_sum", &[name, id], sum);
        family.suffixed("_count", &[name, id], times.samples as f64);
    }
}

#[cfg(test)]
mod tests;
