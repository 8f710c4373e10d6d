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
mod tests;
