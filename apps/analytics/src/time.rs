//! Times as they are written in tables, in seconds since the beginning of 1970, UTC.

/// Returns the time that a text says: a number of seconds, a date (`2012-01-31` or `2012/01/31`), or a
/// date with a time of day (`2012-01-31T23:59:59.5`, with a space for the `T`, or without seconds). A
/// `Z` at the end changes nothing; other time zones are not read.
pub fn parse(text: &str) -> Option<f64> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return seconds.is_finite().then_some(seconds);
    }
    let text = text.strip_suffix('Z').unwrap_or(text);
    let (date, time) = match text.split_once(['T', ' ']) {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let separator = if date.contains('/') { '/' } else { '-' };
    let mut parts = date.split(separator);
    let year = digits(parts.next()?, 4)?;
    let (month, day) = (digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    if parts.next().is_some() || !(1..=12).contains(&month) {
        return None;
    }
    if !(1..=days_of(year, month)).contains(&day) {
        return None;
    }
    let seconds = time.map_or(Some(0.0), time_of_day)?;
    Some(days_since_1970(year, month, day) as f64 * 86_400.0 + seconds)
}

/// Returns the date of a time, as `2012-01-31`, with the time of day if it is not midnight.
pub fn date(seconds: f64) -> String {
    let days = (seconds / 86_400.0).floor();
    let (year, month, day) = civil(days as i64);
    let rest = seconds - days * 86_400.0;
    let date = format!("{year:04}-{month:02}-{day:02}");
    match rest as u64 {
        0 => date,
        rest => {
            let (hours, minutes, seconds) = (rest / 3_600, rest / 60 % 60, rest % 60);
            format!("{date} {hours:02}:{minutes:02}:{seconds:02}")
        }
    }
}

/// Returns a length of time in its largest unit without a fraction, as `5m`.
pub fn span(seconds: f64) -> String {
    let units = [(86_400.0, "d"), (3_600.0, "h"), (60.0, "m")];
    let is_whole = |(unit, _): &(f64, &str)| seconds >= *unit && seconds % unit == 0.0;
    let (unit, name) = units.into_iter().find(is_whole).unwrap_or((1.0, "s"));
    format!("{}{name}", seconds / unit)
}

/// Returns a number of at most so many digits.
fn digits(text: &str, most: usize) -> Option<i64> {
    let is_number = (1..=most).contains(&text.len()) && text.bytes().all(|it| it.is_ascii_digit());
    is_number.then(|| text.parse().ok())?
}

fn time_of_day(text: &str) -> Option<f64> {
    let mut parts = text.split(':');
    let (hours, minutes) = (digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    let seconds: f64 = match parts.next() {
        Some(text) if text.bytes().all(|it| it.is_ascii_digit() || it == b'.') => {
            text.parse().ok()?
        }
        Some(_) => return None,
        None => 0.0,
    };
    let is_time = hours < 24 && minutes < 60 && seconds < 61.0 && parts.next().is_none();
    is_time.then(|| (hours * 3_600 + minutes * 60) as f64 + seconds)
}

fn days_of(year: i64, month: i64) -> i64 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + i64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Counts in years that begin in March, so that the day that leap years add is the last one.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let month = (month + 9) % 12;
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year
        - 719_468
}

/// Returns year, month and day.
fn civil(days: i64) -> (i64, i64, i64) {
    // A first guess, which is not too late.
    let mut year = 1970 + days.div_euclid(if days < 0 { 365 } else { 366 });
    while days_since_1970(year + 1, 1, 1) <= days {
        year += 1;
    }
    let mut rest = days - days_since_1970(year, 1, 1);
    let mut month = 1;
    while rest >= days_of(year, month) {
        rest -= days_of(year, month);
        month += 1;
    }
    (year, month, rest + 1)
}

#[cfg(test)]
mod tests {
    //! Risk: a point of another day, and text that is taken for a time.

    use super::{date, parse, span};

    #[test]
    fn dates_and_times_are_read_and_written() {
        for (text, seconds, written) in [
            ("1970-01-01", 0.0, "1970-01-01"),
            ("1958/03/29", -371_174_400.0, "1958-03-29"),
            ("2000-02-29T12:00Z", 951_825_600.0, "2000-02-29 12:00:00"),
            (
                "2012-12-31 23:59:59.5",
                1_356_998_399.5,
                "2012-12-31 23:59:59",
            ),
            ("1900-03-01", -2_203_891_200.0, "1900-03-01"),
            ("951825600", 951_825_600.0, "2000-02-29 12:00:00"),
        ] {
            assert_eq!(parse(text), Some(seconds), "{text}");
            assert_eq!(date(seconds), written, "{text}");
        }
    }

    #[test]
    fn lengths_of_time_have_their_largest_unit() {
        for (seconds, text) in [
            (0.0, "0s"),
            (0.5, "0.5s"),
            (90.0, "90s"),
            (300.0, "5m"),
            (5_400.0, "90m"),
            (604_800.0, "7d"),
        ] {
            assert_eq!(span(seconds), text);
        }
    }

    #[test]
    fn every_day_of_four_centuries_comes_back() {
        let first = parse("1800-01-01").unwrap();
        for day in 0..146_097 {
            let seconds = first + f64::from(day) * 86_400.0;
            assert_eq!(parse(&date(seconds)), Some(seconds));
        }
    }

    #[test]
    fn other_texts_are_no_times() {
        for text in [
            "",
            "x",
            "2012-13-01",
            "2012-02-30",
            "1900-02-29",
            "2012-01",
            "2012-01-01-01",
            "2012-1-1T25:00",
            "2012-01-01T1",
            "12-ab-01",
            "2012-01-01T00:00:+1",
            "NaN",
            "inf",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
