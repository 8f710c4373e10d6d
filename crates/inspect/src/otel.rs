//! The numbers of the inspector as instruments of OpenTelemetry.
//!
//! The program brings its own meter, and with it the exporter, the interval and the resource: OTLP
//! over gRPC or HTTP, for example. Nothing is read before the exporter asks. The names are those of
//! the text for Prometheus with dots, and without their units, which instruments have apart.

use std::sync::{Arc, Weak};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, AsyncInstrumentBuilder, Meter};

use crate::Inspector;
use crate::metrics::catalog::{self, Metric, OfPool, OfSample, TimesOfPool};
use crate::model::{Pool, Sample};
use crate::program::Program;

impl Inspector {
    /// Makes instruments for the isolates, threads and pools of the program in `meter`. They show
    /// nothing any more once the inspector has ended.
    ///
    /// Times of calls are gauges with a `quantile`, in seconds: a pool counts in ranges how long its
    /// calls take, so that there is no histogram to which single times could be added.
    ///
    /// For traces, see the feature `tracing` of the calls: a span of `tracing` around each, which
    /// `tracing-opentelemetry` exports.
    pub fn observe(&self, meter: &Meter) {
        let program = Arc::downgrade(self.program());
        isolates(meter, &program);
        for metric in catalog::GAUGES {
            let gauge = described(meter.u64_observable_gauge(metric.name), &metric);
            gauge.with_callback(of_sample(metric.of, &program)).build();
        }
        for metric in catalog::COUNTERS {
            let counter = described(meter.u64_observable_counter(metric.name), &metric);
            counter
                .with_callback(of_sample(metric.of, &program))
                .build();
        }
        cpu(meter, &program);
        for metric in catalog::POOL_GAUGES {
            let gauge = described(meter.u64_observable_gauge(metric.name), &metric);
            gauge.with_callback(of_pools(metric.of, &program)).build();
        }
        for metric in catalog::POOL_COUNTERS {
            let counter = described(meter.u64_observable_counter(metric.name), &metric);
            counter.with_callback(of_pools(metric.of, &program)).build();
        }
        outcomes(meter, &program);
        for metric in catalog::POOL_TIMES {
            times(meter, &metric, &program);
        }
    }
}

/// Gives an instrument the unit and the description of its metric.
fn described<'a, I, M, F>(
    instrument: AsyncInstrumentBuilder<'a, I, M>,
    metric: &Metric<F>,
) -> AsyncInstrumentBuilder<'a, I, M> {
    instrument
        .with_unit(metric.unit)
        .with_description(metric.help)
}

/// Calls `f` with the newest sample, if there is still an inspector.
fn with_sample(program: &Weak<Program>, f: impl FnOnce(&Sample)) {
    if let Some(program) = program.upgrade() {
        f(&program.newest());
    }
}

/// Calls `f` with each pool, if there is still an inspector.
fn each_pool(program: &Weak<Program>, f: impl FnMut(Pool)) {
    let pools = program.upgrade().map(|program| program.pools().pools);
    pools.into_iter().flatten().for_each(f);
}

fn of_sample(
    of: OfSample,
    program: &Weak<Program>,
) -> impl Fn(&dyn AsyncInstrument<u64>) + Send + Sync + use<> {
    let program = program.clone();
    move |instrument| {
        with_sample(&program, |now| {
            if let Some(number) = of(now) {
                instrument.observe(number, &[]);
            }
        });
    }
}

fn of_pools(
    of: OfPool,
    program: &Weak<Program>,
) -> impl Fn(&dyn AsyncInstrument<u64>) + Send + Sync + use<> {
    let program = program.clone();
    move |instrument| {
        each_pool(&program, |pool| {
            instrument.observe(of(&pool), &labels(&pool));
        });
    }
}

fn labels(pool: &Pool) -> [KeyValue; 2] {
    [
        KeyValue::new("pool", pool.name.clone()),
        KeyValue::new("id", pool.id.clone()),
    ]
}

fn isolates(meter: &Meter, program: &Weak<Program>) {
    let (metric, program) = (catalog::ISOLATES, program.clone());
    let gauge = described(meter.u64_observable_gauge(metric.name), &metric);
    let observe = move |gauge: &dyn AsyncInstrument<u64>| {
        with_sample(&program, |now| {
            for (state, number) in (metric.of)(now) {
                gauge.observe(number, &[KeyValue::new("state", state)]);
            }
        });
    };
    gauge.with_callback(observe).build();
}

fn cpu(meter: &Meter, program: &Weak<Program>) {
    let (metric, program) = (catalog::CPU, program.clone());
    let counter = described(meter.f64_observable_counter(metric.name), &metric);
    let observe = move |counter: &dyn AsyncInstrument<f64>| {
        with_sample(&program, |now| {
            if let Some(millis) = (metric.of)(now) {
                counter.observe(millis as f64 / 1e3, &[]);
            }
        });
    };
    counter.with_callback(observe).build();
}

fn outcomes(meter: &Meter, program: &Weak<Program>) {
    let (metric, program) = (catalog::ENDED_CALLS, program.clone());
    let counter = described(meter.u64_observable_counter(metric.name), &metric);
    let observe = move |counter: &dyn AsyncInstrument<u64>| {
        each_pool(&program, |pool| {
            for (outcome, number) in pool.outcomes.named() {
                let [name, id] = labels(&pool);
                counter.observe(number, &[name, id, KeyValue::new("outcome", outcome)]);
            }
        });
    };
    counter.with_callback(observe).build();
}

fn times(meter: &Meter, metric: &Metric<TimesOfPool>, program: &Weak<Program>) {
    let (of, program) = (metric.of, program.clone());
    let gauge = described(meter.f64_observable_gauge(metric.name), metric);
    let observe = move |gauge: &dyn AsyncInstrument<f64>| {
        each_pool(&program, |pool| {
            for (quantile, seconds) in catalog::quantiles(&of(&pool)) {
                let [name, id] = labels(&pool);
                gauge.observe(seconds, &[name, id, KeyValue::new("quantile", quantile)]);
            }
        });
    };
    gauge.with_callback(observe).build();
}

#[cfg(test)]
mod tests;
