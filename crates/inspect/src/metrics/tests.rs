//! The risk: a name breaks the text, or a metric changes its name.

use super::text;
use crate::model::{Latency, Pool, Sample, Vm};

fn example() -> String {
    let vm = Vm {
        name: "a \"mill\"\nwith \\".to_owned(),
        version: "0.1.0".to_owned(),
        now: Sample {
            isolates: 5,
            running: 1,
            cpu_total_ms: Some(1_500),
            ..Sample::default()
        },
        ..Vm::default()
    };
    let pool = Pool {
        id: "pools/1".to_owned(),
        name: "mill".to_owned(),
        submitted_total: 7,
        run_time: Latency {
            samples: 4,
            mean_us: 500_000.0,
            p50_us: 250_000.0,
            ..Latency::default()
        },
        ..Pool::default()
    };
    text(&vm, &[pool])
}

#[test]
fn names_are_escaped() {
    let text = example();
    let line = r#"insula_info{name="a \"mill\"\nwith \\",version="0.1.0"} 1"#;
    assert!(text.lines().any(|it| it == line), "{text}");
}

#[test]
fn values_are_in_base_units() {
    let text = example();
    for line in [
        r#"insula_isolates{state="idle"} 4"#,
        r#"insula_isolates{state="running"} 1"#,
        "insula_cpu_seconds_total 1.5",
        r#"insula_pool_submitted_calls_total{pool="mill",id="pools/1"} 7"#,
        r#"insula_pool_run_seconds{pool="mill",id="pools/1",quantile="0.5"} 0.25"#,
        r#"insula_pool_run_seconds_sum{pool="mill",id="pools/1"} 2"#,
        r#"insula_pool_run_seconds_count{pool="mill",id="pools/1"} 4"#,
    ] {
        assert!(text.lines().any(|it| it == line), "{line} in\n{text}");
    }
}

#[test]
fn each_family_has_one_help_and_one_type_before_its_values() {
    let text = example();
    let mut families = Vec::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let name = rest.split(' ').next().expect("there is a name");
            assert!(!families.contains(&name), "{name} twice");
            families.push(name);
        } else if !line.starts_with('#') {
            let newest = families.last().expect("a help comes first");
            assert!(line.starts_with(newest), "{line} behind {newest}");
        }
    }
    assert!(families.len() > 15, "{families:?}");
}
