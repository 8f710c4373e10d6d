//! Lines over steps.

use super::scale::Scale;
use super::{Frame, escape, number, range};

/// A line, of which NaN is a gap.
pub(crate) struct Line<'a> {
    pub(crate) values: Vec<f64>,
    /// Its color.
    pub(crate) class: &'a str,
    pub(crate) name: &'a str,
}

/// The parts of a line of which only the extremes are drawn. A line has two points in each.
const PARTS: usize = 600;

/// How large a chart is.
#[derive(Clone, Copy)]
pub(crate) enum Size {
    /// As wide as two others.
    Wide,
    Small,
}

/// Draws lines over the same steps. Each tick has a step and its label.
pub(crate) fn lines(
    title: &str,
    size: Size,
    lines: &[Line<'_>],
    ticks: &[(f64, String)],
) -> String {
    let length = lines
        .iter()
        .map(|line| line.values.len())
        .max()
        .unwrap_or(0);
    let values = lines.iter().flat_map(|line| line.values.iter().copied());
    let last = length.saturating_sub(1).max(1) as f64;
    let size = match size {
        Size::Wide => (760.0, 260.0),
        Size::Small => (360.0, 150.0),
    };
    let mut frame = Frame::new(size, title, (0.0, last), range(values));
    frame.y_axis();
    frame.labels(ticks);
    for line in lines {
        let path = path(&frame, &line.values);
        let (class, name) = (line.class, escape(line.name));
        frame.put(format_args!(
            "<path class=\"line {class}\" d=\"{path}\"><title>{name}</title></path>"
        ));
    }
    frame.end()
}

/// Returns ticks at round steps, with their numbers.
pub(crate) fn steps(length: usize) -> Vec<(f64, String)> {
    let last = length.saturating_sub(1).max(1) as f64;
    let scale = Scale::new((0.0, last), (0.0, 1.0));
    let ticks = scale.ticks(5).into_iter();
    ticks.map(|tick| (tick, number(tick))).collect()
}

fn path(frame: &Frame, values: &[f64]) -> String {
    let mut path = String::new();
    let mut command = 'M';
    let size = values.len().div_ceil(PARTS).max(1);
    for (part, some) in values.chunks(size).enumerate() {
        let steps: Vec<usize> = match size {
            1 | 2 => (0..some.len()).collect(),
            _ => extremes(some),
        };
        if steps.iter().all(|step| some[*step].is_nan()) {
            command = 'M';
            continue;
        }
        for step in steps {
            if some[step].is_nan() {
                command = 'M';
                continue;
            }
            let (x, y) = (
                frame.x.at((part * size + step) as f64),
                frame.y.at(some[step]),
            );
            path.push_str(&format!("{command}{x:.1} {y:.1}"));
            command = 'L';
        }
    }
    path
}

/// Returns the places of the least and the greatest value, in their order.
fn extremes(values: &[f64]) -> Vec<usize> {
    let present = || {
        values
            .iter()
            .enumerate()
            .filter(|(_, value)| !value.is_nan())
    };
    let by = |(_, a): &(usize, &f64), (_, b): &(usize, &f64)| a.total_cmp(b);
    let mut places: Vec<usize> = [present().min_by(by), present().max_by(by)]
        .into_iter()
        .flatten()
        .map(|(place, _)| place)
        .collect();
    places.sort_unstable();
    places.dedup();
    places
}
