//! The part about machine learning.

use super::Html;
use crate::chart::{Group, against, columns, escape, groups, number, rows};
use crate::{Clusters, Features, Learning, Part, Report, Scores, Table, all_features};

/// The colors of clusters; later ones are gray.
const COLORS: usize = 6;

pub(super) fn section(html: &mut Html, report: &Report, table: &Table) {
    html.heading("Machine learning");
    let Some(learning) = report.learning.get() else {
        html.reason("Not possible", &report.learning);
        return;
    };
    let (target, names) = (
        escape(&learning.target),
        escape(&learning.features.join(", ")),
    );
    let (train, test) = (learning.train_rows, learning.test_rows);
    html.put(format_args!(
        "<p>Predicted: <b>{target}</b>, from {names}. Learned from {train} rows, tested with {test} \
         others.</p>\n"
    ));
    scores(html, learning);
    html.put(format_args!(
        "<div class=\"grid-2\" style=\"margin-top:14px\">\n"
    ));
    let actual = &learning.actual;
    if let Some(linear) = learning.linear.get() {
        let chart = against("Linear regression", actual, &linear.predictions);
        html.card("linear regression: predicted over actual", chart);
        let weights = linear.coefficients.iter();
        let weights: Vec<_> = weights
            .map(|it| (it.feature.clone(), it.per_deviation))
            .collect();
        let mut formula = format!("{} = {}", learning.target, number(linear.intercept));
        for coefficient in &linear.coefficients {
            let sign = if coefficient.value < 0.0 { '-' } else { '+' };
            let value = number(coefficient.value.abs());
            formula.push_str(&format!(" {sign} {value} · {}", coefficient.feature));
        }
        let chart = rows("Weights of the features", &weights);
        let formula = escape(&formula);
        html.card(
            "change with one deviation more",
            format_args!("{chart}<p class=\"note\">{formula}</p>"),
        );
    }
    if let Some(forest) = learning.forest.get() {
        let chart = against("Random forest", actual, &forest.predictions);
        html.card("random forest: predicted over actual", chart);
        let chart = rows("Importance of the features", &forest.importances);
        html.card("importance in the forest", chart);
    }
    html.put(format_args!("</div>\n"));
    clusters(html, learning, table);
}

fn scores(html: &mut Html, learning: &Learning) {
    let row = |name: &str, scores: Option<Scores>| {
        let score = |of: fn(&Scores) -> f64| {
            scores
                .as_ref()
                .map_or_else(String::new, |it| number(of(it)))
        };
        [
            name.to_owned(),
            score(|it| it.r2),
            score(|it| it.rmse),
            score(|it| it.mae),
        ]
    };
    let mut all = vec![row("always the mean", learning.baseline)];
    if let Part::Known(linear) = &learning.linear {
        all.push(row("linear regression", linear.test));
    }
    if let Part::Known(forest) = &learning.forest {
        all.push(row(
            &format!("random forest, {} trees", forest.trees),
            forest.test,
        ));
    }
    html.table(
        [
            "model",
            "R²",
            "root mean square error",
            "mean absolute error",
        ],
        &all,
    );
    if let Some(linear) = learning.linear.get()
        && !linear.left_out.is_empty()
    {
        let names = escape(&linear.left_out.join(", "));
        html.put(format_args!(
            "<p class=\"note\">Left out of the linear regression, since each is constant in the rows \
             that it has learned from, or a weighted sum of the features before it: {names}.</p>\n"
        ));
    }
    html.reason("Linear regression", &learning.linear);
    html.reason("Random forest", &learning.forest);
}

fn clusters(html: &mut Html, learning: &Learning, table: &Table) {
    html.heading("Clusters");
    let Some(found) = learning.clusters.get() else {
        html.reason("Not possible", &learning.clusters);
        return;
    };
    let count = found.clusters.len();
    html.put(format_args!(
        "<p>{count} groups of rows that are alike in all columns, with a silhouette of {:.2}. Of all numbers that were tried, it is \
         the one with the best silhouette.</p>\n<div class=\"grid-2\">\n",
        found.silhouette
    ));
    if let Ok(features) = all_features(table) {
        scatter(html, found, &features);
    }
    let silhouettes = learning.silhouettes.iter();
    let silhouettes: Vec<_> = silhouettes
        .map(|it| (it.clusters.to_string(), it.silhouette))
        .collect();
    html.card(
        "silhouette by number of clusters",
        columns("Silhouettes", &silhouettes),
    );
    html.put(format_args!("</div>\n"));
    centers(html, learning, found);
}

/// Draws the rows by the two features whose centers are the furthest apart.
fn scatter(html: &mut Html, found: &Clusters, features: &Features) {
    let apart = |feature: usize| {
        let values = (0..features.rows()).map(|row| features.row(row)[feature]);
        let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), it| {
            (low.min(it), high.max(it))
        });
        let centers = found.clusters.iter().map(|it| it.center[feature]);
        let ends = centers.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), it| {
            (low.min(it), high.max(it))
        });
        (ends.1 - ends.0) / (high - low)
    };
    let mut order: Vec<usize> = (0..features.names.len()).collect();
    order.sort_by(|a, b| apart(*b).total_cmp(&apart(*a)));
    let [x, y] = match order[..] {
        [] => return,
        [only] => [only, only],
        [x, y, ..] => [x, y],
    };
    let group = |cluster: usize| {
        let own = (0..features.rows()).filter(|row| found.assignment[*row] == cluster);
        Group {
            points: own
                .map(|row| (features.row(row)[x], features.row(row)[y]))
                .collect(),
            class: format!("s{}", color(cluster)),
        }
    };
    let all: Vec<_> = (0..found.clusters.len()).map(group).collect();
    let names = (features.names[x].as_str(), features.names[y].as_str());
    let keys: String = (0..found.clusters.len())
        .map(|it| format!("<span class=\"key c{}\"></span>{}", color(it), it + 1))
        .collect();
    html.card(
        &format!("{} over {}", names.1, names.0),
        format_args!(
            "{}<p class=\"note\">{keys}</p>",
            groups("Clusters", names, &all)
        ),
    );
}

fn color(cluster: usize) -> usize {
    if cluster < COLORS { cluster + 1 } else { 0 }
}

fn centers(html: &mut Html, learning: &Learning, found: &Clusters) {
    html.put(format_args!("<div class=\"card scroll\" style=\"margin-top:14px\"><table><tr><th>cluster</th><th>rows</th>"));
    for name in &learning.clustered {
        html.put(format_args!(
            "<th scope=\"col\">mean of {}</th>",
            escape(name)
        ));
    }
    html.put(format_args!("</tr>\n"));
    for (index, cluster) in found.clusters.iter().enumerate() {
        html.put(format_args!(
            "<tr><td><span class=\"key c{}\"></span>{}</td><td>{}</td>",
            color(index),
            index + 1,
            cluster.size
        ));
        for value in &cluster.center {
            html.put(format_args!("<td>{}</td>", number(*value)));
        }
        html.put(format_args!("</tr>\n"));
    }
    html.put(format_args!("</table></div>\n"));
}
