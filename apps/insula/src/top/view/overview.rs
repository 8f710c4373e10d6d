//! The numbers of the whole program, with their course.

use std::collections::VecDeque;

use insula_inspect::model::{Sample, Severity};

use super::Toned;
use crate::table::Tone;
use crate::text::{bytes, clean, count, fit, instant, micros, pad, rate};
use crate::top::model::Model;

/// The columns of a name and of its value.
const NAME: usize = 12;
const VALUE: usize = 10;

/// The most columns of a course, which is a second each.
const COURSE: usize = 120;

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Returns a line for each number, and the newest event that deserves a look.
pub(super) fn lines(model: &Model, columns: usize) -> Vec<Toned> {
    let samples = &model.samples;
    let now = model.vm.now;
    let level = |of: fn(&Sample) -> u64| -> Vec<f64> {
        samples.iter().map(|sample| of(sample) as f64).collect()
    };
    let turns = rates(samples, |sample| sample.turns_total);
    let spawned = rates(samples, |sample| sample.spawned_total);
    let calls = rates(samples, |sample| sample.calls_ended_total);
    let lost = rates(samples, |sample| sample.calls_lost_total);
    let per_second = |rates: &[f64]| rate(rates.last().copied().unwrap_or(0.0));
    let line =
        |name: &str, value: String, course: &[f64]| row(name, &value, course, columns, Tone::Plain);
    let mut lines = vec![
        line("isolates", count(now.isolates), &level(|it| it.isolates)),
        line("running", count(now.running), &level(|it| it.running)),
        line("runnable", count(now.runnable), &level(|it| it.runnable)),
        line("queued", count(now.queued), &level(|it| it.queued)),
        line("turns/s", per_second(&turns), &turns),
        line("spawned/s", per_second(&spawned), &spawned),
        alarm("paused", now.paused, &level(|it| it.paused), columns),
        alarm("waits", now.waits, &level(|it| it.waits), columns),
        line("threads", count(now.threads), &level(|it| it.threads)),
        alarm(
            "stuck",
            now.stuck_threads,
            &level(|it| it.stuck_threads),
            columns,
        ),
        line("calls/s", per_second(&calls), &calls),
        line(
            "in queues",
            count(now.calls_queued),
            &level(|it| it.calls_queued),
        ),
        alarm("lost calls", now.calls_lost_total, &lost, columns),
    ];
    lines.extend(process(model, columns));
    lines.extend(newest(model, columns));
    lines
}

/// Returns the lines of what only some systems can tell, and of the cost of the inspector.
fn process(model: &Model, columns: usize) -> Vec<Toned> {
    let samples = &model.samples;
    let now = model.vm.now;
    let mut lines = Vec::new();
    if now.cpu_total_ms.is_some() {
        // A thousand milliseconds in a second are one core.
        let cores = rates(samples, |sample| sample.cpu_total_ms.unwrap_or(0));
        let percent: Vec<_> = cores.iter().map(|ms| ms / 10.0).collect();
        let value = format!("{:.0} %", percent.last().copied().unwrap_or(0.0));
        lines.push(row("cpu", &value, &percent, columns, Tone::Plain));
    }
    if let Some(memory) = now.memory_bytes {
        let level = samples.iter().map(|it| it.memory_bytes.unwrap_or(0) as f64);
        let level: Vec<_> = level.collect();
        lines.push(row("memory", &bytes(memory), &level, columns, Tone::Plain));
    }
    let cost: Vec<_> = samples.iter().map(|it| it.cost_us as f64).collect();
    let value = micros(now.cost_us as f64);
    lines.push(row("sample", &value, &cost, columns, Tone::Dim));
    lines
}

fn newest(model: &Model, columns: usize) -> Option<Toned> {
    let event = model.log.iter().rev();
    let event = event.into_iter().find(|it| it.severity > Severity::Info)?;
    let tone = match event.severity {
        Severity::Error => Tone::Bad,
        Severity::Info | Severity::Warning => Tone::Warning,
    };
    let text = format!("{} {}", instant(event.at_ms), clean(&event.text));
    Some((tone, fit(&text, columns)))
}

/// Returns the line of a number that should be zero.
fn alarm(name: &str, value: u64, course: &[f64], columns: usize) -> Toned {
    let tone = match value {
        0 => Tone::Plain,
        _ => Tone::Warning,
    };
    row(name, &count(value), course, columns, tone)
}

fn row(name: &str, value: &str, course: &[f64], columns: usize, tone: Tone) -> Toned {
    let name = pad(name, NAME, false);
    let value = pad(value, VALUE, true);
    let room = columns.saturating_sub(NAME + VALUE + 2).min(COURSE);
    (tone, format!("{name}{value}  {}", bars(course, room)))
}

/// Returns the last values as bars, whose highest is the largest of them.
fn bars(values: &[f64], room: usize) -> String {
    let values = &values[values.len().saturating_sub(room)..];
    let largest = values.iter().copied().fold(0.0, f64::max);
    let bar = |value: &f64| {
        let share = if largest > 0.0 { value / largest } else { 0.0 };
        // A conversion saturates, and so does one of what is no number.
        let index = (share * 7.0).round() as usize;
        BARS[index.min(BARS.len() - 1)]
    };
    values.iter().map(bar).collect()
}

/// Returns the growth of a counter in a second, between each two samples.
fn rates(samples: &VecDeque<Sample>, of: fn(&Sample) -> u64) -> Vec<f64> {
    let pairs = samples.iter().zip(samples.iter().skip(1));
    let rate = |(before, after): (&Sample, &Sample)| {
        let ms = after.at_ms.saturating_sub(before.at_ms).max(1);
        of(after).saturating_sub(of(before)) as f64 * 1_000.0 / ms as f64
    };
    pairs.map(rate).collect()
}
