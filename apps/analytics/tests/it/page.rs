//! Risk: a page that needs a network, breaks at a name, or shows what is not in the report.

use std::sync::Arc;

use analytics::{Report, Settings, Table, analyze, page, start_pool};
use insula::block_on;
use serde_json::Value;

use crate::support::{reference, sample, table};

fn page_of(title: &str, table: &Arc<Table>) -> String {
    page(title, &report(table), table)
}

fn report(table: &Arc<Table>) -> Report {
    let settings = Settings {
        trees: 5,
        ..Settings::default()
    };
    report_with(table, &settings)
}

fn report_with(table: &Arc<Table>, settings: &Settings) -> Report {
    block_on(async {
        let pool = start_pool(2).await.unwrap();
        analyze(&pool, table, settings, &|| {}).await.unwrap()
    })
}

/// Names and values of all attributes in a page.
fn attributes(page: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    for tag in page.split('<').skip(1) {
        let mut rest = tag.split('>').next().unwrap();
        while let Some((before, after)) = rest.split_once("=\"") {
            let name = before.rsplit([' ', '\n']).next().unwrap();
            let (value, after) = after.split_once('"').unwrap();
            found.push((name, value));
            rest = after;
        }
    }
    found
}

/// Checks that each element is closed in its order, and returns how many there are.
fn assert_balanced(page: &str) -> usize {
    let mut open = Vec::new();
    let mut elements = 0;
    for tag in page.split('<').skip(1) {
        let tag = tag.split('>').next().unwrap();
        let name = tag
            .split([' ', '/', '\n'])
            .find(|it| !it.is_empty())
            .unwrap();
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "near {tag}");
        } else if !tag.ends_with('/') && !["meta", "!DOCTYPE"].contains(&name) {
            open.push(name);
            elements += 1;
        }
    }
    assert!(open.is_empty(), "{open:?}");
    elements
}

#[test]
fn a_page_loads_and_runs_nothing() {
    let table = Arc::new(table(&sample("weather/seattle.csv")));
    let page = page_of("seattle.csv", &table);
    assert!(assert_balanced(&page) > 200);
    for (name, value) in attributes(&page) {
        let is_reference =
            ["src", "href", "xlink:href", "srcset", "data", "action"].contains(&name);
        assert!(!is_reference && !name.starts_with("on"), "{name}={value}");
        assert!(
            !value.contains("//") && !value.contains("url("),
            "{name}={value}"
        );
    }
    for forbidden in [
        "<script", "<link", "<img", "<iframe", "@import", "url(", "http:", "https:",
    ] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    assert!(page.contains("default-src 'none'"));
    assert!(page.contains("prefers-color-scheme: dark"));
}

#[test]
fn a_page_has_the_plots_of_every_part() {
    let table = Arc::new(table(&sample("weather/seattle.csv")));
    let page = page_of("seattle.csv", &table);
    for label in [
        "Histogram of wind",
        "temp_max over time",
        "What recurs in a period",
        "Autocorrelation",
        "Correlations",
        "Linear regression",
        "Random forest",
        "Importance of the features",
        "Clusters: ",
        "Silhouettes",
    ] {
        assert!(page.contains(&format!("aria-label=\"{label}")), "{label}");
    }
    // The figures of the weather, by NumPy.
    for figure in [
        "<td>16.44</td>",
        "<td>7.35</td>",
        "2012-01-01 to 2015-12-31",
    ] {
        assert!(page.contains(figure), "{figure}");
    }
    assert!(!page.contains("NaN") && !page.contains("inf<"));
    assert!(page.len() < 600_000, "{}", page.len());
}

/// The rows of the tables of a page that begin with `name`, without it.
fn rows_of(page: &str, name: &str) -> Vec<Vec<String>> {
    let rows = page.split("<tr>").skip(1);
    let rows = rows.map(|row| {
        let cells = row.split("<td>").skip(1);
        let cells = cells.map(|cell| cell.split("</td>").next().unwrap().to_owned());
        cells.collect::<Vec<_>>()
    });
    let rows = rows.filter(|cells| cells.first().is_some_and(|it| it == name));
    rows.map(|cells| cells[1..].to_vec()).collect()
}

/// Checks that the cells have these figures, with four digits.
#[track_caller]
fn assert_cells(cells: &[String], figures: &[&Value]) {
    assert_eq!(cells.len(), figures.len(), "{cells:?}");
    for (cell, figure) in cells.iter().zip(figures) {
        let (cell, figure): (f64, f64) = (cell.parse().unwrap(), figure.as_f64().unwrap());
        let error = (cell - figure).abs();
        assert!(error <= 5e-4 * figure.abs(), "{cell} is not {figure}");
    }
}

#[test]
fn a_page_has_the_figures_of_the_json() {
    let table = Arc::new(table(&sample("weather/seattle.csv")));
    let report = report(&table);
    let page = page("seattle.csv", &report, &table);
    let json = serde_json::to_value(&report).unwrap();
    for column in json["columns"].as_array().unwrap() {
        let it = &column["statistics"];
        let percentile = |place: usize| &it["percentiles"][place][1];
        let figures = [
            &it["count"],
            &it["missing"],
            &it["mean"],
            &it["standard_deviation"],
            &it["min"],
            percentile(1),
            percentile(2),
            &it["median"],
            percentile(4),
            percentile(5),
            &it["max"],
            &it["skewness"],
            &it["kurtosis"],
        ];
        let name = column["name"].as_str().unwrap();
        assert_cells(&rows_of(&page, name)[0], &figures);
        let bins = it["histogram"].as_array().unwrap();
        let last = &bins[bins.len() - 1]["count"];
        assert!(page.contains(&format!(": {last}</title>")), "{name}");
    }
    let learning = &json["learning"];
    for (model, scores) in [
        ("always the mean", &learning["baseline"]),
        ("linear regression", &learning["linear"]["test"]),
        ("random forest, 5 trees", &learning["forest"]["test"]),
    ] {
        let figures = ["r2", "rmse", "mae"].map(|it| &scores[it]);
        assert_cells(&rows_of(&page, model)[0], &figures);
    }
    let clusters = &learning["clusters"]["clusters"];
    for (index, cluster) in clusters.as_array().unwrap().iter().enumerate() {
        let color = index + 1;
        let name = format!("<span class=\"key c{color}\"></span>{color}");
        let mut figures = vec![&cluster["size"]];
        figures.extend(cluster["center"].as_array().unwrap());
        assert_cells(&rows_of(&page, &name)[0], &figures);
    }
    let (rows, times) = (&json["rows"], &json["times"]);
    let lead = format!(
        "{rows} rows, 4 columns with numbers, {} to {}",
        times[0], times[1]
    );
    assert!(page.contains(&lead.replace('"', "")), "{lead}");
}

/// Its bar would be higher than all others.
#[test]
fn the_correlation_with_itself_is_not_drawn() {
    let table = Arc::new(table(&reference("friedman.csv")));
    let page = page_of("friedman", &table);
    let charts: Vec<&str> = page
        .split("aria-label=\"Autocorrelation\"")
        .skip(1)
        .collect();
    assert_eq!(charts.len(), 7);
    for chart in charts {
        let chart = chart.split("</svg>").next().unwrap();
        assert_eq!(chart.matches('V').count(), 40, "{chart}");
        // Nothing is near one in these random numbers, nor is the scale.
        assert!(!chart.contains(">0.8<"), "{chart}");
    }
}

#[test]
fn features_that_say_nothing_are_named() {
    let mut text = "a,b,c\n".to_owned();
    text.extend((0..40).map(|row| format!("{row},{},{}\n", 2 * row, row * row % 17)));
    let table = Arc::new(Table::read(text.as_bytes(), b',', None).unwrap());
    let settings = Settings {
        target: 2,
        trees: 5,
        ..Settings::default()
    };
    let report = report_with(&table, &settings);
    let linear = report.learning.get().unwrap().linear.get().unwrap();
    assert_eq!(linear.left_out, ["b"]);
    let page = page("t", &report, &table);
    assert!(
        page.contains("a weighted sum of the features before it: b."),
        "{page}"
    );
}

/// With a target that does not vary, no branch of a tree helps.
#[test]
fn a_target_that_does_not_vary_has_a_page_without_nan() {
    let mut text = "a,b\n".to_owned();
    text.extend((0..40).map(|row| format!("7,{row}\n")));
    let table = Arc::new(Table::read(text.as_bytes(), b',', None).unwrap());
    assert!(!page_of("flat", &table).contains("NaN"));
}

#[test]
fn names_of_columns_cannot_break_the_page() {
    let mut text = "\"<script>alert(1)</script>\",\"a\"\" onload=\"\"x\",<b>\n".to_owned();
    for row in 0..40 {
        text.push_str(&format!("{},{},t\n", row * row % 17, row));
    }
    let table = Arc::new(Table::read(text.as_bytes(), b',', None).unwrap());
    let page = page_of("<i>", &table);
    assert_balanced(&page);
    for forbidden in ["<script", "<b>t", "<i>", " onload=\"x"] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
}

#[test]
fn a_table_with_next_to_nothing_has_a_page() {
    for text in [
        "a\n1\n",
        "a,b\n1,\n,2\n",
        "a,b\n1,1\n1,1\n1,1\n1,1\n1,1\n1,1\n1,1\n1,1\n1,1\n",
    ] {
        let table = Arc::new(Table::read(text.as_bytes(), b',', None).unwrap());
        let page = page_of("small", &table);
        assert_balanced(&page);
        assert!(!page.contains("NaN"), "{text}");
    }
}
