//! Risk: figures that another library would not agree with. The references are NumPy's.

use data::{Format, Operation, ResultFormat, Results, Source, Step};

use crate::support::{
    assert_close, assert_statistics, expected, items, read_all, reference, wanted,
};

fn source() -> Source {
    let path = reference("measurements.csv");
    Source::open(&path, Format::CSV, &wanted("name", "reading"), 5).unwrap()
}

fn readings() -> Vec<f64> {
    let rows = read_all(source(), &[], ResultFormat::Items);
    items(&rows).iter().map(|(_, value)| *value).collect()
}

#[test]
fn steps_have_the_results_of_numpy() {
    for (steps, statistics) in expected()["steps"].as_object().unwrap() {
        let steps: Vec<Step> = steps.split(' ').map(|step| step.parse().unwrap()).collect();
        let rows = read_all(source(), &steps, ResultFormat::Columns);
        assert_statistics(&rows.results, statistics);
        let Results::Columns(columns) = rows.output else {
            panic!("columns were asked for")
        };
        assert_eq!(columns.results.len(), columns.items.len());
    }
}

#[test]
fn computations_have_the_results_of_numpy() {
    let (expected, readings) = (expected(), readings());
    for (name, result) in expected["computed"].as_object().unwrap() {
        let operation: Operation = name.parse().unwrap();
        assert_eq!(operation.to_string(), *name);
        assert_close(
            operation.compute(&readings).unwrap(),
            result.as_f64().unwrap(),
            1e-13,
        );
    }
    let positive: Vec<f64> = readings.iter().map(|it| it.abs() + 1.0).collect();
    for (name, result) in expected["positive"].as_object().unwrap() {
        let numbers = if name == "product" {
            &positive[..20]
        } else {
            &positive[..]
        };
        let found = name.parse::<Operation>().unwrap().compute(numbers).unwrap();
        assert_close(found, result.as_f64().unwrap(), 1e-13);
    }
}

#[test]
fn rounding_is_that_of_decimal_numbers() {
    let round = |value: f64, places| Step::Round(places).of(value);
    assert_eq!(round(2.5, 0), 3.0);
    assert_eq!(round(-2.5, 0), -3.0);
    assert_eq!(round(1.23456, 3), 1.235);
    assert_eq!(round(1e300, 15), 1e300);
    assert_eq!(round(4_503_599_627_370_497.0, 3), 4_503_599_627_370_497.0);
}

#[test]
fn texts_of_steps_and_operations_are_read_back() {
    let steps = [
        "scale:-1.5",
        "offset:0.25",
        "power:2",
        "log",
        "exp",
        "sqrt",
        "abs",
        "round:3",
        "clamp:-1:1",
    ];
    for text in steps {
        assert_eq!(text.parse::<Step>().unwrap().to_string(), text);
    }
    let wrong = [
        "",
        "scale",
        "scale:",
        "scale:x",
        "scale:inf",
        "scale:1:2",
        "log:1",
        "round:1.5",
        "round:16",
        "clamp:2:1",
        "Scale:1",
    ];
    for text in wrong {
        assert!(text.parse::<Step>().is_err(), "{text}");
    }
    for text in [
        "",
        "average",
        "percentile",
        "percentile:101",
        "percentile:NaN",
        "mean:1",
        "autocorrelation:-1",
    ] {
        assert!(text.parse::<Operation>().is_err(), "{text}");
    }
}

#[test]
fn computations_that_are_not_possible_say_why() {
    let message = |name: &str, numbers: &[f64]| {
        let operation: Operation = name.parse().unwrap();
        operation.compute(numbers).unwrap_err().to_string()
    };
    assert_eq!(
        message("mean", &[]),
        "this needs at least 1 numbers, and there are 0"
    );
    assert_eq!(
        message("deviation", &[1.0]),
        "this needs at least 2 numbers, and there are 1"
    );
    assert_eq!(
        message("autocorrelation:5", &[1.0; 5]),
        "this needs at least 6 numbers, and there are 5"
    );
    assert_eq!(
        message("autocorrelation:1", &[1.0; 5]),
        "the result is not a finite number"
    );
    assert_eq!(
        message("geometric-mean", &[2.0, -1.0]),
        "this needs positive numbers, and -1 is none"
    );
    assert_eq!(
        message("product", &[1e200, 1e200]),
        "the result is not a finite number"
    );
    assert_eq!(
        message("max", &[1.0, f64::NAN]),
        "the result is not a finite number"
    );
}

#[test]
fn large_and_small_numbers_lose_nothing_on_the_way() {
    let compute = |operation: Operation, numbers: &[f64]| operation.compute(numbers).unwrap();
    assert_close(compute(Operation::Norm, &[3e200, 4e200]), 5e200, 1e-15);
    assert_eq!(compute(Operation::Norm, &[0.0, 0.0]), 0.0);
    assert_eq!(compute(Operation::Sum, &[1.0, 1e100, 1.0, -1e100]), 2.0);
    assert_eq!(compute(Operation::Median, &[5.0]), 5.0);
    assert_eq!(
        compute(Operation::Autocorrelation(0), &[1.0, 2.0, 4.0]),
        1.0
    );
}
