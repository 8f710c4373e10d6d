//! Bars: how many, how much.

use super::{Frame, MARGIN, escape, number, put, range, shortened};
use crate::Bin;

/// Draws a histogram.
pub(crate) fn histogram(title: &str, bins: &[Bin]) -> String {
    let x = range(bins.iter().flat_map(|bin| [bin.from, bin.to]));
    let most = bins.iter().map(|bin| bin.count).max().unwrap_or(0) as f64;
    let mut frame = Frame::new((360.0, 150.0), title, x, (0.0, most));
    frame.y_axis();
    frame.x_axis();
    for bin in bins {
        let (left, right) = (frame.x.at(bin.from), frame.x.at(bin.to));
        let (top, base) = (frame.y.at(bin.count as f64), frame.y.at(0.0));
        let (width, height) = ((right - left - 1.0).max(0.5), base - top);
        let (from, to, count) = (number(bin.from), number(bin.to), bin.count);
        frame.put(format_args!(
            "<rect class=\"bar\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" \
             height=\"{height:.1}\"><title>{from} to {to}: {count}</title></rect>"
        ));
    }
    frame.end()
}

/// Draws thin bars over steps from one on, up and down from zero, with a band around it.
pub(crate) fn stems(title: &str, values: &[f64], band: f64) -> String {
    let (low, high) = range(values.iter().copied().chain([-band, band, 0.0]));
    let last = values.len().max(2) as f64;
    let mut frame = Frame::new((360.0, 150.0), title, (1.0, last), (low, high));
    frame.y_axis();
    frame.x_axis();
    let (top, bottom) = (frame.y.at(band), frame.y.at(-band));
    let (left, width) = (frame.x.at(1.0), frame.x.at(last) - frame.x.at(1.0));
    let height = bottom - top;
    frame.put(format_args!(
        "<rect class=\"band\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" \
         height=\"{height:.1}\"/>"
    ));
    let base = frame.y.at(0.0);
    let mut path = String::new();
    for (index, value) in values.iter().enumerate() {
        let (x, y) = (frame.x.at(index as f64 + 1.0), frame.y.at(*value));
        put(&mut path, format_args!("M{x:.1} {base:.1}V{y:.1}"));
    }
    frame.put(format_args!("<path class=\"stem\" d=\"{path}\"/>"));
    frame.end()
}

/// Draws a column for each name.
pub(crate) fn columns(title: &str, values: &[(String, f64)]) -> String {
    let numbers = values.iter().map(|(_, value)| *value).chain([0.0]);
    let count = values.len().max(1) as f64;
    let mut frame = Frame::new((540.0, 320.0), title, (0.0, count), range(numbers));
    frame.y_axis();
    let base = frame.y.at(0.0);
    for (index, (name, value)) in values.iter().enumerate() {
        let (left, right) = (frame.x.at(index as f64), frame.x.at(index as f64 + 1.0));
        let (y, middle) = (frame.y.at(*value), f64::midpoint(left, right));
        let (x, top) = (left + 0.15 * (right - left), y.min(base));
        let (width, height) = (0.7 * (right - left), (y - base).abs());
        let (name, value, label) = (escape(name), number(*value), frame.height - 6.0);
        frame.put(format_args!(
            "<rect class=\"bar\" x=\"{x:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" \
             height=\"{height:.1}\"><title>{name}: {value}</title></rect>\
             <text class=\"label\" x=\"{middle:.1}\" y=\"{label}\" text-anchor=\"middle\">{name}</text>"
        ));
    }
    frame.end()
}

/// Draws a row for each name, with its value behind it.
pub(crate) fn rows(title: &str, values: &[(String, f64)]) -> String {
    const ROW: f64 = 26.0;
    const NAMES: f64 = 150.0;
    const NUMBERS: f64 = 60.0;
    let (width, height) = (540.0, ROW * values.len() as f64 + MARGIN);
    let mut svg = String::new();
    put(
        &mut svg,
        format_args!(
            "<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\">",
            escape(title)
        ),
    );
    let most = values
        .iter()
        .map(|(_, value)| value.abs())
        .fold(f64::MIN_POSITIVE, f64::max);
    for (index, (name, value)) in values.iter().enumerate() {
        let y = ROW * index as f64;
        let length = value.abs() / most * (width - NAMES - NUMBERS);
        // Where the sign matters, it is in the number.
        let class = if *value < 0.0 { "bar s2" } else { "bar" };
        let (name, value) = (escape(&shortened(name, 20)), number(*value));
        put(
            &mut svg,
            format_args!(
                "<text class=\"name\" x=\"{names}\" y=\"{text}\" text-anchor=\"end\">{name}</text>\
                 <rect class=\"{class}\" x=\"{NAMES}\" y=\"{top}\" width=\"{length:.1}\" height=\"16\"/>\
                 <text class=\"label\" x=\"{behind:.1}\" y=\"{text}\">{value}</text>",
                names = NAMES - 8.0,
                text = y + 17.0,
                top = y + 5.0,
                behind = NAMES + length + 6.0,
            ),
        );
    }
    svg.push_str("</svg>");
    svg
}
