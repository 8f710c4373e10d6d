//! Risk: a page that needs a network, breaks at a name, or shows what is not in the report.

use std::sync::Arc;

use analytics::{Settings, Table, analyze, page, start_pool};
use insula::block_on;

use crate::support::{sample, table};

fn page_of(title: &str, table: &Arc<Table>) -> String {
    block_on(async {
        let pool = start_pool(2).await.unwrap();
        let settings = Settings {
            trees: 5,
            ..Settings::default()
        };
        let report = analyze(&pool, table, &settings).await.unwrap();
        page(title, &report, table)
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
