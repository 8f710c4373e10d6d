//! Risk: a date is a day off, or a time loses its digits.

use super::*;

#[track_caller]
fn check(count: i64, unit: Unit, expected: &str) {
    assert_eq!(Moment { count, unit }.to_string(), expected);
}

#[test]
fn days_are_those_of_the_calendar() {
    for (day, date) in [
        (0, "1970-01-01"),
        (-1, "1969-12-31"),
        (11_016, "2000-02-29"),
        (11_017, "2000-03-01"),
        (15_340, "2012-01-01"),
        (47_540, "2100-02-28"),
        (47_541, "2100-03-01"),
        (-719_528, "0000-01-01"),
    ] {
        check(day, Unit::Days, date);
    }
}

#[test]
fn times_have_the_digits_that_they_need() {
    let parts = |per_second, is_utc| Unit::Parts { per_second, is_utc };
    check(0, parts(1_000, true), "1970-01-01T00:00:00Z");
    check(-1, parts(1_000, false), "1969-12-31T23:59:59.999");
    let time = 1_541_186_529_153_123;
    check(time, parts(1_000_000, false), "2018-11-02T19:22:09.153123");
    check(
        time * 1_000 + 7,
        parts(1_000_000_000, true),
        "2018-11-02T19:22:09.153123007Z",
    );
    // The ends of the range are far outside of the calendar, and no reason to end the program.
    for count in [i64::MIN, i64::MAX] {
        let moment = Moment {
            count,
            unit: parts(1_000, true),
        };
        assert!(moment.to_string().ends_with('Z'));
    }
}
