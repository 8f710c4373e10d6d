//! The part about time series.

use super::Html;
use crate::chart::{Line, Size, lines, number, stems, steps};
use crate::{Report, Series, Table, time};

/// The periods of which the autocorrelation is shown, and the least lags.
const PERIODS: usize = 2;
const LAGS: usize = 40;

pub(super) fn section(html: &mut Html, report: &Report, table: &Table) {
    html.heading("Time series");
    if let Some(spacing) = report.spacing.as_ref().filter(|it| !it.is_even()) {
        html.put(format_args!("<p class=\"note\">Times: {spacing}.</p>\n"));
    }
    let ticks = ticks(table);
    for (column, values) in report.columns.iter().zip(&table.columns) {
        match column.series.get() {
            Some(series) => one(html, &column.name, &values.values, series, &ticks),
            None => html.reason(&column.name, &column.series),
        }
    }
}

fn one(html: &mut Html, name: &str, values: &[f64], series: &Series, ticks: &[(f64, String)]) {
    html.put(format_args!(
        "<div class=\"series\">\n<div class=\"stack\">"
    ));
    let trend = (0..values.len()).map(|step| series.intercept + series.slope * step as f64);
    let mut all = vec![Line {
        values: values.to_vec(),
        class: "faint",
        name: "values",
    }];
    let season = series.season.as_ref();
    if let Some(season) = season {
        all.push(Line {
            values: season
                .trend
                .iter()
                .map(|it| it.unwrap_or(f64::NAN))
                .collect(),
            class: "s2 wide",
            name: "moving average",
        });
    }
    all.push(Line {
        values: trend.collect(),
        class: "muted",
        name: "trend",
    });
    let chart = lines(&format!("{name} over time"), Size::Wide, &all, ticks);
    html.card(name, format_args!("{chart}{}", facts(series)));
    html.put(format_args!("</div>\n<div class=\"stack\">\n"));
    if let Some(season) = season {
        let pattern = Line {
            values: season.pattern.clone(),
            class: "s3 wide",
            name: "season",
        };
        let chart = lines(
            "What recurs in a period",
            Size::Small,
            &[pattern],
            &steps(season.period),
        );
        html.card(&format!("season of {} steps", season.period), chart);
    }
    let lags = LAGS.max(season.map_or(0, |season| PERIODS * season.period));
    // Without that of no step, which is always one and would leave little room for the others.
    let shown = series.autocorrelation.get(1..).unwrap_or_default();
    let shown = &shown[..shown.len().min(lags)];
    html.card(
        "autocorrelation by steps",
        stems("Autocorrelation", shown, series.chance),
    );
    html.put(format_args!("</div>\n</div>\n"));
}

/// Returns the ticks of the horizontal axis: years if the table has some, otherwise dates or steps.
fn ticks(table: &Table) -> Vec<(f64, String)> {
    let Some(times) = &table.times else {
        return steps(table.rows());
    };
    let date = |step: usize| time::date(times.values[step]);
    let year = |step: usize| date(step).get(..4).unwrap_or_default().to_owned();
    let years: Vec<usize> = (1..table.rows())
        .filter(|it| year(*it) != year(it - 1))
        .collect();
    let shown: Vec<(usize, String)> = match years.len() {
        0 | 1 => {
            let last = table.rows() - 1;
            (0..5)
                .map(|it| it * last / 4)
                .map(|step| (step, date(step)))
                .collect()
        }
        count => {
            let every = count.div_ceil(YEARS);
            years
                .into_iter()
                .step_by(every)
                .map(|step| (step, year(step)))
                .collect()
        }
    };
    shown
        .into_iter()
        .map(|(step, label)| (step as f64, label))
        .collect()
}

/// The most years of an axis.
const YEARS: usize = 12;

fn facts(series: &Series) -> String {
    let mut facts = vec![format!(
        "Trend: {} in each step, which explains {:.1} % of the variance",
        number(series.slope),
        100.0 * series.explained
    )];
    if let Some(season) = &series.season {
        facts.push(format!(
            "strength of the trend {:.2}, of the season {:.2}",
            season.trend_strength, season.season_strength
        ));
    }
    let peaks = series.peaks.iter().take(3);
    let peaks: Vec<_> = peaks
        .map(|it| format!("{} ({:.0} %)", number(it.period), 100.0 * it.share))
        .collect();
    if !peaks.is_empty() {
        facts.push(format!("strongest periods {} steps", peaks.join(", ")));
    }
    if series.bridged > 0 {
        facts.push(format!("{} missing values were bridged", series.bridged));
    }
    format!("<p class=\"note\">{}.</p>", facts.join("; "))
}
