//! A matrix of correlations.

use super::{escape, put, shortened};

/// Draws correlations, each as strong as its color.
pub(crate) fn heat_map(names: &[String], values: &[Vec<Option<f64>>]) -> String {
    const NAMES: f64 = 130.0;
    const CELL: (f64, f64) = (74.0, 32.0);
    let count = names.len() as f64;
    let (width, height) = (NAMES + CELL.0 * count, CELL.1 * (count + 1.0));
    let mut svg = String::new();
    put(
        &mut svg,
        format_args!(
            "<svg class=\"heat\" style=\"max-width:{width}px\" viewBox=\"0 0 {width} {height}\" \
             role=\"img\" aria-label=\"Correlations\">"
        ),
    );
    for (index, name) in names.iter().enumerate() {
        let (x, y) = (
            NAMES + CELL.0 * (index as f64 + 0.5),
            CELL.1 * (index as f64 + 1.6),
        );
        let (row, column) = (escape(&shortened(name, 18)), escape(&shortened(name, 10)));
        put(
            &mut svg,
            format_args!(
                "<text class=\"name\" x=\"{x}\" y=\"20\" text-anchor=\"middle\">{column}</text>\
                 <text class=\"name\" x=\"{end}\" y=\"{y:.1}\" text-anchor=\"end\">{row}</text>",
                end = NAMES - 8.0
            ),
        );
    }
    for (row, values) in values.iter().enumerate() {
        for (column, value) in values.iter().enumerate() {
            let (x, y) = (NAMES + CELL.0 * column as f64, CELL.1 * (row as f64 + 1.0));
            let (class, strength, text) = match value {
                Some(value) => {
                    let class = if *value < 0.0 { "s2" } else { "s1" };
                    (class, value.abs() * 0.6, format!("{value:.2}"))
                }
                None => ("s1", 0.0, "–".to_owned()),
            };
            put(
                &mut svg,
                format_args!(
                    "<rect class=\"cell {class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" \
                     height=\"{height}\" fill-opacity=\"{strength:.2}\"/>\
                     <text class=\"value\" x=\"{middle}\" y=\"{base:.1}\" text-anchor=\"middle\">{text}</text>",
                    width = CELL.0 - 2.0,
                    height = CELL.1 - 2.0,
                    middle = x + CELL.0 / 2.0 - 1.0,
                    base = y + CELL.1 / 2.0 + 3.0,
                ),
            );
        }
    }
    svg.push_str("</svg>");
    svg
}
