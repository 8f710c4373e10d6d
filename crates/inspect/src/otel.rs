//! The numbers of the inspector as instruments of OpenTelemetry.
//!
//! The program brings its own meter, and with it the exporter, the interval and the resource: OTLP
//! over gRPC or HTTP, for example. Nothing is read before the exporter asks. The names are those of
//! the text for Prometheus with dots, and without their units, which instruments have apart.

use std::sync::{Arc, Weak};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Meter};

use crate::Inspector;
use crate::model::{Pool, Sample};
use crate::program::Program;

impl Inspector {
    /// Makes instruments for the isolates, threads and pools of the program in `meter`. They show
    /// nothing any more once the inspector has ended.
    ///
    /// For traces, see the feature `tracing` of the calls: a span of `tracing` around each, which
    /// `tracing-opentelemetry` exports.
    pub fn observe(&self, meter: &Meter) {
        let program = Arc::downgrade(self.program());
        isolates(meter, &program);
        gauges(meter, &program);
        counters(meter, &program);
        pools(meter, &program);
        outcomes(meter, program);
    }
}

/// Calls `f` with the newest sample, if there is still an inspector.
fn with_sample(program: &Weak<Program>, f: impl FnOnce(&Sample)) {
    if let Some(program) = program.upgrade() {
        f(&program.newest());
    }
}

fn isolates(meter: &Meter, program: &Weak<Program>) {
    let program = program.clone();
    let observe = move |gauge: &dyn AsyncInstrument<u64>| {
        with_sample(&program, |now| {
            let busy = now.running + now.runnable + now.paused;
            let states = [
                ("idle", now.isolates.saturating_sub(busy)),
                ("runnable", now.runnable),
                ("running", now.running),
                ("paused", now.paused),
            ];
            for (state, number) in states {
                gauge.observe(number, &[KeyValue::new("state", state)]);
            }
        });
    };
    meter
        .u64_observable_gauge("insula.isolates")
        .with_description("Isolates that have not ended, by what they do.")
        .with_callback(observe)
        .build();
}

/// A number of a sample.
type OfSample = fn(&Sample) -> Option<u64>;

/// A number of a pool.
type OfPool = fn(&Pool) -> u64;

/// The name of an instrument, its unit, its description, and its number.
type Instrument<F> = (&'static str, &'static str, &'static str, F);

fn gauges(meter: &Meter, program: &Weak<Program>) {
    let gauges: [Instrument<OfSample>; 5] = [
        (
            "insula.queued_events",
            "{event}",
            "Events in the queues of all isolates.",
            |it| Some(it.queued),
        ),
        (
            "insula.threads",
            "{thread}",
            "Threads that the pool has started.",
            |it| Some(it.threads),
        ),
        (
            "insula.stuck_threads",
            "{thread}",
            "Threads that are inside of one long turn, or blocked.",
            |it| Some(it.stuck_threads),
        ),
        (
            "insula.waits",
            "{wait}",
            "Waits that block a thread.",
            |it| Some(it.waits),
        ),
        (
            "insula.resident_memory",
            "By",
            "Memory of the process that is resident.",
            |it| it.memory_bytes,
        ),
    ];
    for (name, unit, help, of) in gauges {
        let program = program.clone();
        let observe = move |gauge: &dyn AsyncInstrument<u64>| {
            with_sample(&program, |now| {
                if let Some(number) = of(now) {
                    gauge.observe(number, &[]);
                }
            });
        };
        let gauge = meter.u64_observable_gauge(name).with_unit(unit);
        gauge.with_description(help).with_callback(observe).build();
    }
}

fn counters(meter: &Meter, program: &Weak<Program>) {
    let counters: [Instrument<OfSample>; 3] = [
        (
            "insula.isolates_spawned",
            "{isolate}",
            "Isolates that were spawned.",
            |it| Some(it.spawned_total),
        ),
        (
            "insula.isolates_ended",
            "{isolate}",
            "Isolates that have ended.",
            |it| Some(it.ended_total),
        ),
        (
            "insula.turns",
            "{turn}",
            "Turns on threads of the pool.",
            |it| Some(it.turns_total),
        ),
    ];
    for (name, unit, help, of) in counters {
        let program = program.clone();
        let observe = move |counter: &dyn AsyncInstrument<u64>| {
            with_sample(&program, |now| {
                if let Some(number) = of(now) {
                    counter.observe(number, &[]);
                }
            });
        };
        let counter = meter.u64_observable_counter(name).with_unit(unit);
        counter
            .with_description(help)
            .with_callback(observe)
            .build();
    }
}

fn labels(pool: &Pool) -> [KeyValue; 2] {
    [
        KeyValue::new("pool", pool.name.clone()),
        KeyValue::new("id", pool.id.clone()),
    ]
}

fn pools(meter: &Meter, program: &Weak<Program>) {
    let gauges: [Instrument<OfPool>; 4] = [
        (
            "insula.pool.queued_calls",
            "{call}",
            "Calls in the queue, and those that wait for room in it.",
            |it| it.queued + it.waiting,
        ),
        (
            "insula.pool.running_calls",
            "{call}",
            "Calls that workers run.",
            |it| it.running,
        ),
        (
            "insula.pool.workers",
            "{worker}",
            "Workers that are there.",
            |it| it.workers,
        ),
        (
            "insula.pool.ready_workers",
            "{worker}",
            "Workers that take calls.",
            |it| it.ready,
        ),
    ];
    for (name, unit, help, of) in gauges {
        let program = program.clone();
        let observe = move |gauge: &dyn AsyncInstrument<u64>| {
            for pool in program
                .upgrade()
                .into_iter()
                .flat_map(|it| it.pools().pools)
            {
                gauge.observe(of(&pool), &labels(&pool));
            }
        };
        let gauge = meter.u64_observable_gauge(name).with_unit(unit);
        gauge.with_description(help).with_callback(observe).build();
    }
}

fn outcomes(meter: &Meter, program: Weak<Program>) {
    let observe = move |counter: &dyn AsyncInstrument<u64>| {
        for pool in program
            .upgrade()
            .into_iter()
            .flat_map(|it| it.pools().pools)
        {
            for (outcome, number) in pool.outcomes.named() {
                let [name, id] = labels(&pool);
                counter.observe(number, &[name, id, KeyValue::new("outcome", outcome)]);
            }
        }
    };
    meter
        .u64_observable_counter("insula.pool.ended_calls")
        .with_unit("{call}")
        .with_description("Calls that have ended, by how.")
        .with_callback(observe)
        .build();
}

#[cfg(test)]
mod tests;
