//! The tables for people, and the file for programs.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::case::Better;
use crate::measure::median;
use crate::run::Row;

/// The name of this project's rows.
pub(crate) const PROJECT: &str = "insula";

const COLUMNS: usize = 9;

const HEADINGS: [&str; COLUMNS] = [
    "system",
    "kind",
    "metric",
    "median",
    "best",
    "unit",
    "runs",
    "insula ahead",
    "note",
];

/// Prints one table for the rows of a suite, case by case.
///
/// # Errors
/// If the output cannot be written.
pub(crate) fn print_suite(out: &mut impl Write, suite: &str, rows: &[Row]) -> io::Result<()> {
    let cells: Vec<[String; COLUMNS]> = rows.iter().map(|row| cells(row, rows)).collect();
    let mut widths = HEADINGS.map(str::len);
    for row in &cells {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    writeln!(out, "\n== {suite} ==")?;
    let mut headings = HEADINGS.map(str::to_owned);
    if rows.iter().all(|row| row.note.is_none()) {
        // A column that is empty needs no name.
        headings[COLUMNS - 1].clear();
    }
    print_line(out, &headings, widths)?;
    let mut case = None;
    for (row, cells) in rows.iter().zip(&cells) {
        if case != Some(&row.case) {
            writeln!(out, "-- {}", row.case)?;
            case = Some(&row.case);
        }
        print_line(out, cells, widths)?;
    }
    out.flush()
}

fn cells(row: &Row, rows: &[Row]) -> [String; COLUMNS] {
    [
        row.system.clone(),
        row.kind.label().to_owned(),
        row.metric.to_owned(),
        number(row.median),
        number(row.best()),
        row.unit.to_owned(),
        row.runs.to_string(),
        ahead(row, rows).map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}x")),
        row.note.clone().unwrap_or_default(),
    ]
}

/// Returns how many times better this project is than the row, in the same case of this run: the median
/// over the repetitions, of which each is compared with the one that took its turn beside it. The ratio
/// of the medians would compare repetitions of different moments, and a shared machine changes its
/// speed meanwhile.
pub(crate) fn ahead(row: &Row, rows: &[Row]) -> Option<f64> {
    let own = rows.iter().find(|own| {
        own.system == PROJECT
            && (own.suite, &own.case, own.metric) == (row.suite, &row.case, row.metric)
    })?;
    let ratio = |(own, other): (&f64, &f64)| match row.better {
        Better::Higher => own / other,
        Better::Lower => other / own,
    };
    let ratios = own.values.iter().zip(&row.values).map(ratio);
    // A value of 0 has no ratio.
    let ratios: Vec<_> = ratios.filter(|ratio| ratio.is_finite()).collect();
    let median = median(&ratios);
    median.is_finite().then_some(median)
}

fn print_line(
    out: &mut impl Write,
    cells: &[String; COLUMNS],
    widths: [usize; COLUMNS],
) -> io::Result<()> {
    let mut line = String::from(" ");
    for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
        // Numbers (median, best, runs, ratio) are right-aligned.
        let padded = match column {
            3 | 4 | 6 | 7 => format!(" {cell:>width$} "),
            _ => format!(" {cell:<width$} "),
        };
        line.push_str(&padded);
    }
    writeln!(out, "{}", line.trim_end())
}

/// Formats at most four significant digits, with separators of thousands.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        // The median and the best of no values.
        size if !size.is_finite() => "-".to_owned(),
        size if size >= 1000.0 => grouped(value.round() as i64),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.1 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

fn grouped(value: i64) -> String {
    let digits = value.unsigned_abs().to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if value < 0 { format!("-{text}") } else { text }
}

/// Writes one object per row and line.
///
/// # Errors
/// If the file cannot be written.
pub(crate) fn write_json(path: &Path, rows: &[Row]) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for row in rows {
        serde_json::to_writer(&mut file, row)?;
        file.write_all(b"\n")?;
    }
    file.flush()
}

#[cfg(test)]
mod tests;
