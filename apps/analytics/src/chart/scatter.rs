//! Points of two numbers.

use super::{Frame, put, range};

/// The most points of a chart, evenly taken.
const POINTS: usize = 1_500;

/// Points of one color.
pub(crate) struct Group {
    pub(crate) points: Vec<(f64, f64)>,
    pub(crate) class: String,
}

/// Draws predictions over the numbers that they should be, with the line on which both are equal.
pub(crate) fn against(title: &str, actual: &[f64], predicted: &[f64]) -> String {
    let both = range(actual.iter().chain(predicted).copied());
    let mut frame = Frame::new((540.0, 320.0), title, both, both);
    frame.y_axis();
    frame.x_axis();
    let [x1, x2] = [both.0, both.1].map(|it| frame.x.at(it));
    let [y1, y2] = [both.0, both.1].map(|it| frame.y.at(it));
    frame.put(format_args!(
        "<path class=\"line muted\" d=\"M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}\"/>"
    ));
    let points: Vec<_> = actual
        .iter()
        .copied()
        .zip(predicted.iter().copied())
        .collect();
    let path = dots(&frame, &points);
    frame.put(format_args!("<path class=\"dots s1\" d=\"{path}\"/>"));
    frame.end()
}

/// Draws groups of points. The names of the axes are for readers that cannot see them.
pub(crate) fn groups(title: &str, (x, y): (&str, &str), groups: &[Group]) -> String {
    let points = || groups.iter().flat_map(|group| &group.points);
    let (xs, ys) = (
        range(points().map(|it| it.0)),
        range(points().map(|it| it.1)),
    );
    let label = format!("{title}: {y} over {x}");
    let mut frame = Frame::new((540.0, 320.0), &label, xs, ys);
    frame.y_axis();
    frame.x_axis();
    for group in groups {
        let path = dots(&frame, &group.points);
        let class = &group.class;
        frame.put(format_args!("<path class=\"dots {class}\" d=\"{path}\"/>"));
    }
    frame.end()
}

/// Lines without a length, whose round ends are the points: one element for all of them.
fn dots(frame: &Frame, points: &[(f64, f64)]) -> String {
    let mut path = String::new();
    for (x, y) in points.iter().step_by(points.len().div_ceil(POINTS).max(1)) {
        put(
            &mut path,
            format_args!("M{:.1} {:.1}h0", frame.x.at(*x), frame.y.at(*y)),
        );
    }
    path
}
