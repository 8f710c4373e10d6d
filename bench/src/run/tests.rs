//! Risk: rows that mix repetitions, count the warm-up, or hide the order of systems.

use std::cell::RefCell;
use std::rc::Rc;

use super::run;
use crate::case::{Case, Kind, Metric, Scale};

const QUICK: Scale = Scale { quick: true };

#[test]
fn systems_take_turns_and_the_warm_up_does_not_count() {
    let order = Rc::new(RefCell::new(Vec::new()));
    let mut case = Case::new("test", "turns", &[Metric::lower("time", "ns")]);
    for name in ["a", "b"] {
        let order = Rc::clone(&order);
        let mut value = 100.0;
        case.add(name, Kind::Actor, "1.0.0", move |_| {
            order.borrow_mut().push(name);
            value -= 10.0;
            value
        });
    }
    let rows = run(&mut case, QUICK, None).unwrap();
    assert_eq!(*order.borrow(), ["a", "b", "a", "b", "a", "b", "a", "b"]);
    assert_eq!(rows.len(), 2);
    assert_eq!(
        (rows[0].median, rows[0].min, rows[0].max),
        (70.0, 60.0, 80.0)
    );
    assert_eq!((rows[0].runs, rows[0].best()), (3, 60.0));
    assert_eq!(rows[0].values, [80.0, 70.0, 60.0]);
    let rows = run(&mut case, QUICK, Some(1)).unwrap();
    assert_eq!(rows[0].values, [50.0]);
}

#[test]
fn a_system_with_a_note_has_a_row_without_numbers() {
    let metrics = [Metric::lower("time", "ns"), Metric::higher("rate", "M/s")];
    let mut case = Case::new("test", "notes", &metrics).max_runs(1);
    case.add("a", Kind::Actor, "1.0.0", |_| Vec::<f64>::new());
    case.systems[0].note = Some("not installed".to_owned());
    let rows = run(&mut case, QUICK, None).unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].note.as_deref(), Some("not installed"));
    assert!(rows[0].median.is_nan());
}

#[test]
fn a_metric_that_a_system_cannot_give_makes_no_row() {
    let metrics = [Metric::lower("time", "ns"), Metric::higher("rate", "M/s")];
    let mut case = Case::new("test", "gaps", &metrics).max_runs(1);
    case.add("a", Kind::Actor, "1.0.0", |_| [1.0, f64::NAN]);
    case.add("b", Kind::Actor, "1.0.0", |_| [2.0, 3.0]);
    let rows = run(&mut case, QUICK, None).unwrap();
    let names: Vec<_> = rows
        .iter()
        .map(|row| (row.system.as_str(), row.metric))
        .collect();
    assert_eq!(names, [("a", "time"), ("b", "time"), ("b", "rate")]);
}
