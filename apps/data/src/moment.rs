//! Dates and times in Parquet, as texts.

use std::fmt;

use parquet::basic::{ConvertedType, LogicalType, TimeUnit};
use parquet::schema::types::ColumnDescriptor;

/// What the whole numbers of a column count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Days since 1970.
    Days,
    /// Parts of a second since 1970.
    Parts {
        per_second: i64,
        /// Whether that is the time of Greenwich, rather than of an unknown place.
        is_utc: bool,
    },
}

impl Unit {
    /// Returns `None` if the column has no dates, and no times with a date.
    pub(crate) fn of(column: &ColumnDescriptor) -> Option<Self> {
        let parts = |per_second, is_utc| Self::Parts { per_second, is_utc };
        // Old files have converted types only.
        Some(match (column.logical_type_ref(), column.converted_type()) {
            (Some(LogicalType::Timestamp(time)), _) => {
                parts(per_second(time.unit), time.is_adjusted_to_u_t_c)
            }
            (_, ConvertedType::DATE) => Self::Days,
            (_, ConvertedType::TIMESTAMP_MILLIS) => parts(1_000, true),
            (_, ConvertedType::TIMESTAMP_MICROS) => parts(1_000_000, true),
            _ => return None,
        })
    }
}

fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::MILLIS => 1_000,
        TimeUnit::MICROS => 1_000_000,
        TimeUnit::NANOS => 1_000_000_000,
    }
}

/// A date or a time. Its `Display` is that of ISO 8601.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) count: i64,
    pub(crate) unit: Unit,
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DAY: i64 = 86_400;
        let Unit::Parts { per_second, is_utc } = self.unit else {
            return date(self.count, f);
        };
        let seconds = self.count.div_euclid(per_second);
        date(seconds.div_euclid(DAY), f)?;
        let second = seconds.rem_euclid(DAY);
        let (minute, second) = (second / 60, second % 60);
        write!(f, "T{:02}:{:02}:{second:02}", minute / 60, minute % 60)?;
        let part = self.count.rem_euclid(per_second);
        if part > 0 {
            let digits = per_second.ilog10() as usize;
            write!(f, ".{part:0digits$}")?;
        }
        f.write_str(if is_utc { "Z" } else { "" })
    }
}

/// Writes the date of a day, which counts from 1970: the algorithm of Hinnant (2013).
fn date(day: i64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    const DAYS_OF_400_YEARS: i64 = 146_097;
    // From March of the year 0 on, so that a leap day is the last of its year.
    let day = day + 719_468;
    let era = day.div_euclid(DAYS_OF_400_YEARS);
    let day = day.rem_euclid(DAYS_OF_400_YEARS);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (year, month) = match month {
        0..10 => (year, month + 3),
        _ => (year + 1, month - 9),
    };
    write!(f, "{:04}-{month:02}-{day:02}", 400 * era + year)
}

#[cfg(test)]
mod tests {
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
}
