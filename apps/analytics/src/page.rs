//! A report as one HTML page, which loads nothing.

mod learned;
mod series;

use std::fmt::{Display, Write};

use crate::chart::{escape, heat_map, histogram, number};
use crate::{ColumnReport, Description, Part, Processing, Report, Table};

/// The style sheet. Its colors follow the reader's choice of light or dark.
const STYLE: &str = include_str!("page/style.css");

/// Nothing may be loaded or run, whatever the names of the columns have in them.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// Returns the page of a report on `table`, which came from a file called `title`.
pub fn page(title: &str, report: &Report, table: &Table) -> String {
    let mut html = Html::default();
    let title = escape(title);
    html.put(format_args!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <h1>{title}</h1>\n"
    ));
    html.lead(report);
    html.statistics(&report.columns);
    series::section(&mut html, report, table);
    html.correlations(report);
    learned::section(&mut html, report, table);
    html.processing(&report.processing);
    html.put(format_args!("</main>\n</body>\n</html>\n"));
    html.0
}

/// A page that is being written.
#[derive(Default)]
struct Html(String);

impl Html {
    fn put(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        let _ = self.0.write_fmt(text);
    }

    fn heading(&mut self, text: &str) {
        self.put(format_args!("<h2>{text}</h2>\n"));
    }

    /// A box with a heading, which is a name of the user.
    fn card(&mut self, heading: &str, content: impl Display) {
        let heading = escape(heading);
        self.put(format_args!(
            "<div class=\"card\"><h3>{heading}</h3>{content}</div>\n"
        ));
    }

    /// A table with names above its columns. All cells are escaped.
    fn table<const N: usize>(&mut self, names: [&str; N], rows: &[[String; N]]) {
        self.put(format_args!("<div class=\"card scroll\"><table><tr>"));
        for name in names {
            self.put(format_args!("<th scope=\"col\">{name}</th>"));
        }
        self.put(format_args!("</tr>\n"));
        for row in rows {
            self.put(format_args!("<tr>"));
            for cell in row {
                self.put(format_args!("<td>{}</td>", escape(cell)));
            }
            self.put(format_args!("</tr>\n"));
        }
        self.put(format_args!("</table></div>\n"));
    }

    /// Says why a part is not there.
    fn reason<T>(&mut self, what: &str, part: &Part<T>) {
        if let Part::Unknown { reason } = part {
            let (what, reason) = (escape(what), escape(reason));
            self.put(format_args!("<p class=\"note\">{what}: {reason}.</p>\n"));
        }
    }

    fn lead(&mut self, report: &Report) {
        let Report {
            rows, generated_at, ..
        } = report;
        let columns = report.columns.len();
        let times = match &report.times {
            Some((first, last)) => format!(", {first} to {last}"),
            None => String::new(),
        };
        self.put(format_args!(
            "<p class=\"lead\">{rows} rows, {columns} columns with numbers{times}. Made on \
             {generated_at} UTC.</p>\n"
        ));
        if report.bad_fields > 0 {
            let fields = report.bad_fields;
            self.put(format_args!(
                "<p class=\"note\">Fields of these columns that are not numbers, and count as missing: \
                 {fields}.</p>\n"
            ));
        }
        if !report.other_columns.is_empty() {
            let names = escape(&report.other_columns.join(", "));
            self.put(format_args!(
                "<p class=\"note\">Without numbers, and left out: {names}.</p>\n"
            ));
        }
    }

    fn statistics(&mut self, columns: &[ColumnReport]) {
        self.heading("Statistics");
        let described = || {
            let all = columns.iter();
            all.filter_map(|column| Some((&column.name, column.statistics.as_ref()?)))
        };
        let rows: Vec<_> = described()
            .map(|(name, it)| statistics_row(name, it))
            .collect();
        let names = [
            "column",
            "values",
            "missing",
            "mean",
            "deviation",
            "min",
            "5 %",
            "25 %",
            "median",
            "75 %",
            "95 %",
            "max",
            "skewness",
            "kurtosis",
        ];
        self.table(names, &rows);
        self.put(format_args!(
            "<div class=\"grid-3\" style=\"margin-top:14px\">\n"
        ));
        for (name, description) in described() {
            let label = format!("Histogram of {name}");
            self.card(name, histogram(&label, &description.histogram));
        }
        self.put(format_args!("</div>\n"));
    }

    fn correlations(&mut self, report: &Report) {
        let correlations = &report.correlations;
        if correlations.columns.len() < 2 {
            return;
        }
        self.heading("Correlations");
        let chart = heat_map(&correlations.columns, &correlations.values);
        self.put(format_args!("<div class=\"card scroll\">{chart}</div>\n"));
    }

    fn processing(&mut self, processing: &Processing) {
        self.heading("Processing");
        let calls = processing.calls_of_workers.iter();
        let calls: Vec<_> = calls.map(ToString::to_string).collect();
        let ms = |seconds: f64| format!("{:.1} ms", seconds * 1e3);
        let speed_up = match processing.speed_up {
            Some(factor) => format!("{factor:.2} times one worker"),
            None => "not measured".to_owned(),
        };
        let rows = [
            [
                "calls".to_owned(),
                format!("{} on {} workers", processing.calls, processing.workers),
            ],
            ["calls of each worker".to_owned(), calls.join(", ")],
            ["time".to_owned(), ms(processing.seconds)],
            [
                "computing, all workers".to_owned(),
                ms(processing.computing_seconds),
            ],
            [
                "median wait in the queue".to_owned(),
                ms(processing.queue_median_seconds),
            ],
            ["speed-up".to_owned(), speed_up],
            [
                "bytes copied between workers".to_owned(),
                processing.bytes_copied.to_string(),
            ],
        ];
        self.table(["", ""], &rows);
    }
}

fn statistics_row(name: &str, it: &Description) -> [String; 14] {
    let percentile = |percent: f64| {
        let found = it.percentiles.iter().find(|(it, _)| *it == percent);
        found.map_or_else(String::new, |(_, value)| number(*value))
    };
    [
        name.to_owned(),
        it.count.to_string(),
        it.missing.to_string(),
        number(it.mean),
        number(it.standard_deviation),
        number(it.min),
        percentile(5.0),
        percentile(25.0),
        number(it.median),
        percentile(75.0),
        percentile(95.0),
        number(it.max),
        number(it.skewness),
        number(it.kurtosis),
    ]
}
