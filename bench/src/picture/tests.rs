//! Risk: a bar beside the wrong peer, or a picture that cannot be read on a dark page.

use super::*;

fn row(system: &str, kind: Kind, median: Option<f64>) -> Drawn {
    Drawn {
        suite: "ports".into(),
        case: "ping-pong".into(),
        system: system.into(),
        kind,
        metric: "round trip".into(),
        unit: "ns".into(),
        better: Better::Lower,
        median,
    }
}

#[test]
fn the_peer_is_the_best_one_and_neither_a_limit_nor_a_variant_nor_without_a_number() {
    let rows = [
        row("slow", Kind::Actor, Some(400.0)),
        row("insula", Kind::Actor, Some(100.0)),
        row("insula-1t", Kind::Actor, Some(50.0)),
        row("insula recv", Kind::Actor, Some(60.0)),
        row("good", Kind::AsyncChannel, Some(250.0)),
        row("hardware", Kind::Limit, Some(10.0)),
        row("missing", Kind::Runtime, None),
    ];
    let pairs = pairs(&rows);
    let [pair] = &pairs[..] else {
        panic!("one case: {pairs:?}");
    };
    assert_eq!(
        (pair.name.as_str(), pair.peer, pair.ahead),
        ("good", 250.0, 2.5)
    );
}

#[test]
fn a_case_without_a_peer_or_without_this_project_is_left_out() {
    let own = row("insula", Kind::Actor, Some(100.0));
    let peer = row("good", Kind::Actor, Some(100.0));
    assert_eq!(pairs(&[own]), []);
    assert_eq!(pairs(&[peer]), []);
}

#[test]
fn the_scale_holds_all_bars() {
    let pair = |ahead| Pair {
        label: "",
        unit: String::new(),
        own: 1.0,
        peer: 1.0,
        name: String::new(),
        ahead,
    };
    assert_eq!(range(&[pair(1.0)]), (0.5, 2.0));
    assert_eq!(range(&[pair(0.3), pair(7.0)]), (0.125, 16.0));
    assert_eq!(
        ticks(0.25, 4.0).collect::<Vec<_>>(),
        [0.25, 0.5, 1.0, 2.0, 4.0]
    );
}

#[test]
fn small_ratios_keep_their_digits() {
    let all = [0.0042, 0.016, 0.25, 1.0, 3.456, 10.0, 123.4].map(ratio);
    assert_eq!(
        all,
        [
            "0.0042x", "0.016x", "0.25x", "1.00x", "3.46x", "10.0x", "123x"
        ]
    );
    assert_eq!([0.125, 1.0, 8.0].map(tick_name), ["1/8", "1x", "8x"]);
}

#[test]
fn each_color_has_one_for_dark_pages() {
    let pairs = pairs(&[
        row("insula", Kind::Actor, Some(100.0)),
        row("good", Kind::Actor, Some(50.0)),
    ]);
    let svg = svg(&pairs).expect("it is drawn");
    let (head, body) = svg.split_once("</style>").expect("it has a style");
    for attribute in ["fill=\"#", "stroke=\"#"] {
        for (at, _) in body.match_indices(attribute) {
            let used = &body[at..at + attribute.len() + 7];
            assert!(head.contains(&format!("[{used}]")), "{used} in the dark");
        }
    }
    assert!(body.contains("good"));
}

/// The names of the cases are those of the suites, or the picture would lack a bar.
#[test]
fn every_shown_case_is_one_of_its_suite() {
    for shown in SHOWN {
        let suite = crate::suites::ALL.iter().find(|it| it.name == shown.suite);
        let suite = suite.expect("the suite is there");
        let cases = (suite.cases)(None, &crate::peers::runtimes::Runtimes::none());
        let is_there = cases.iter().any(|case| {
            case.name == shown.case && case.metrics.iter().any(|it| it.name == shown.metric)
        });
        assert!(
            is_there,
            "{}: {}: {}",
            shown.suite, shown.case, shown.metric
        );
    }
}

#[test]
fn a_line_that_is_no_row_is_named() {
    let error = parse("{}").expect_err("no row").to_string();
    assert!(error.starts_with("line 1: missing field"), "{error}");
}
