//! The text for Prometheus, in its exposition format 0.0.4.
//!
//! The names are stable. Units are seconds and bytes; what only grows ends in `_total`. Isolates are
//! not listed one by one, since there may be any number of them.

pub(crate) mod catalog;

use std::fmt::Write;

use crate::model::{Pool, Vm};
use catalog::{Metric, TimesOfPool};

/// A family of the text: its name, its help, its type, and its values.
struct Family<'a> {
    text: &'a mut String,
    name: String,
}

impl<'a> Family<'a> {
    fn new(text: &'a mut String, name: String, kind: &str, help: &str) -> Self {
        // Writing to a `String` never fails, here and below.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        Self { text, name }
    }

    fn gauge<F>(text: &'a mut String, metric: &Metric<F>) -> Self {
        Self::new(text, name_of(metric), "gauge", metric.help)
    }

    fn counter<F>(text: &'a mut String, metric: &Metric<F>) -> Self {
        Self::new(text, name_of(metric) + "_total", "counter", metric.help)
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

/// Returns the name of a metric with its unit, as Prometheus writes them.
fn name_of<F>(metric: &Metric<F>) -> String {
    let unit = match metric.unit {
        "By" => "_bytes",
        "s" => "_seconds",
        _ => "",
    };
    metric.name.replace('.', "_") + unit
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
    numbers_of_pools(&mut text, pools);
    for metric in catalog::POOL_TIMES {
        summary(&mut text, pools, &metric);
    }
    text
}

fn program(text: &mut String, vm: &Vm) {
    let (now, help) = (&vm.now, "The program; always 1.");
    let mut info = Family::new(text, "insula_info".to_owned(), "gauge", help);
    info.value(&[("name", &vm.name), ("version", &vm.version)], 1.0);
    let mut isolates = Family::gauge(text, &catalog::ISOLATES);
    for (state, number) in (catalog::ISOLATES.of)(now) {
        isolates.value(&[("state", state)], number as f64);
    }
    for metric in catalog::GAUGES {
        if let Some(value) = (metric.of)(now) {
            Family::gauge(text, &metric).value(&[], value as f64);
        }
    }
    for metric in catalog::COUNTERS {
        if let Some(value) = (metric.of)(now) {
            Family::counter(text, &metric).value(&[], value as f64);
        }
    }
    if let Some(millis) = (catalog::CPU.of)(now) {
        Family::counter(text, &catalog::CPU).value(&[], millis as f64 / 1e3);
    }
}

/// The labels of a pool. Names need not be unique, numbers are.
fn labels(pool: &Pool) -> [(&'static str, &str); 2] {
    [("pool", &pool.name), ("id", &pool.id)]
}

fn numbers_of_pools(text: &mut String, pools: &[Pool]) {
    for metric in catalog::POOL_GAUGES {
        let mut family = Family::gauge(text, &metric);
        for pool in pools {
            family.value(&labels(pool), (metric.of)(pool) as f64);
        }
    }
    for metric in catalog::POOL_COUNTERS {
        let mut family = Family::counter(text, &metric);
        for pool in pools {
            family.value(&labels(pool), (metric.of)(pool) as f64);
        }
    }
    let mut family = Family::counter(text, &catalog::ENDED_CALLS);
    for pool in pools {
        for (outcome, number) in pool.outcomes.named() {
            let [name, id] = labels(pool);
            family.value(&[name, id, ("outcome", outcome)], number as f64);
        }
    }
}

fn summary(text: &mut String, pools: &[Pool], metric: &Metric<TimesOfPool>) {
    let mut family = Family::new(text, name_of(metric), "summary", metric.help);
    for pool in pools {
        let times = (metric.of)(pool);
        let [name, id] = labels(pool);
        for (quantile, seconds) in catalog::quantiles(&times) {
            family.value(&[name, id, ("quantile", quantile)], seconds);
        }
        let sum = times.mean_us * times.samples as f64 / 1e6;
        family.suffixed("_sum", &[name, id], sum);
        family.suffixed("_count", &[name, id], times.samples as f64);
    }
}

#[cfg(test)]
mod tests;
