//! Points as lines of text.

use std::error::Error;
use std::fmt;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};

use csv::{ReaderBuilder, StringRecord};
use serde_json::Value;

use crate::{DataPoint, time};

/// How points are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PointFormat {
    /// CSV. If the first line has names, these two are looked for; otherwise the first field is the
    /// time and the second one the value.
    Csv {
        /// The name of the field with the time; without it, the first field.
        time: Option<String>,
        /// The name of the field with the value; without it, the second field.
        value: Option<String>,
    },
    /// A JSON object in each line.
    JsonLines {
        /// The key of the time.
        time: String,
        /// The key of the value.
        value: String,
    },
}

/// The points of a text, read as they come.
#[derive(Debug)]
pub struct Points<R> {
    reader: BufReader<R>,
    format: PointFormat,
    /// The fields of CSV with time and value, once the first line was seen.
    fields: Option<(usize, usize)>,
    line: u64,
}

/// A line without a point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadPoint {
    /// The number of the line, from one on.
    pub line: u64,
    /// The reason.
    pub error: PointError,
}

/// The most points that are given at once.
const BATCH: usize = 1_000;

/// The longest line that is looked at.
const LONGEST: usize = 1 << 16;

impl<R: Read> Points<R> {
    /// Creates the points that `reader` gives.
    pub fn new(reader: R, format: PointFormat) -> Self {
        Self {
            reader: BufReader::with_capacity(LONGEST, reader),
            format,
            fields: None,
            line: 0,
        }
    }

    /// Waits for at least one line with something in it, and returns what all lines have that are
    /// there, at most 1,000. Returns `None` at the end.
    ///
    /// # Blocking
    /// Waits for the reader.
    ///
    /// # Errors
    /// Returns the error of the reader, or a [`BadPoint`] of [`ErrorKind::InvalidData`] if the first line
    /// of CSV lacks a field that was asked for: no other line can have a point then.
    pub fn next_points(&mut self) -> io::Result<Option<Vec<Result<DataPoint, BadPoint>>>> {
        let mut points = Vec::new();
        let mut text = Vec::new();
        loop {
            text.clear();
            let mut rest = (&mut self.reader).take(LONGEST as u64);
            if rest.read_until(b'\n', &mut text)? == 0 {
                return Ok((!points.is_empty()).then_some(points));
            }
            self.line += 1;
            let line = self.line;
            let point = match text.len() == LONGEST && text.last() != Some(&b'\n') {
                true => Some(Err(self.skip_line()?)),
                false => self.point(text.trim_ascii()),
            };
            if let Some(Err(error @ PointError::NoField { .. })) = point {
                return Err(io::Error::new(
                    ErrorKind::InvalidData,
                    BadPoint { line, error },
                ));
            }
            points.extend(point.map(|it| it.map_err(|error| BadPoint { line, error })));
            // Another line would have to be waited for.
            let has_more = self.reader.buffer().contains(&b'\n');
            if points.len() == BATCH || !points.is_empty() && !has_more {
                return Ok(Some(points));
            }
        }
    }

    /// Skips the rest of a line that is too long.
    fn skip_line(&mut self) -> io::Result<PointError> {
        loop {
            let buffer = self.reader.fill_buf()?;
            let end = memchr(buffer);
            let length = end.unwrap_or(buffer.len());
            self.reader.consume(length);
            if end.is_some() || length == 0 {
                return Ok(PointError::TooLong);
            }
        }
    }

    /// Returns what a line has: nothing, a point, or an error.
    fn point(&mut self, text: &[u8]) -> Option<Result<DataPoint, PointError>> {
        if text.is_empty() {
            return None;
        }
        let Ok(text) = str::from_utf8(text) else {
            return Some(Err(PointError::NotUtf8));
        };
        match &self.format {
            PointFormat::JsonLines { time, value } => Some(of_json(text, time, value)),
            PointFormat::Csv { time, value } => {
                let record = record(text);
                match self.fields {
                    Some(fields) => Some(of_csv(&record, fields)),
                    None => {
                        let (time, value) = (time.as_deref(), value.as_deref());
                        match header(&record, time, value) {
                            Ok((fields, is_header)) => {
                                self.fields = Some(fields);
                                (!is_header).then(|| of_csv(&record, fields))
                            }
                            Err(error) => Some(Err(error)),
                        }
                    }
                }
            }
        }
    }
}

/// Returns the end of the first line, behind its line break.
fn memchr(text: &[u8]) -> Option<usize> {
    text.iter().position(|byte| *byte == b'\n').map(|at| at + 1)
}

fn record(text: &str) -> StringRecord {
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes());
    let mut record = StringRecord::new();
    // Reading a text from memory has no errors.
    let _ = reader.read_record(&mut record);
    record
}

/// Returns the fields with time and value, and whether this record has their names.
fn header(
    record: &StringRecord,
    time: Option<&str>,
    value: Option<&str>,
) -> Result<((usize, usize), bool), PointError> {
    let find = |name: Option<&str>, place: usize| {
        let Some(name) = name else {
            return Ok(place);
        };
        let found = record.iter().position(|field| field.trim() == name);
        found.ok_or_else(|| PointError::NoField {
            name: name.to_owned(),
            fields: record.iter().map(ToOwned::to_owned).collect(),
        })
    };
    let fields = (find(time, 0)?, find(value, 1)?);
    // A name is neither a time nor a number. A first line with one of them is a point, or a bad one.
    let field = |index| record.get(index).unwrap_or_default();
    let has_none = || time::parse(field(fields.0)).is_none() && number(field(fields.1)).is_none();
    Ok((fields, time.is_some() || value.is_some() || has_none()))
}

fn of_csv(record: &StringRecord, (time, value): (usize, usize)) -> Result<DataPoint, PointError> {
    let field = |index| record.get(index).ok_or(PointError::Fields(record.len()));
    let (time, value) = (field(time)?, field(value)?);
    point(time, value)
}

fn of_json(text: &str, time: &str, value: &str) -> Result<DataPoint, PointError> {
    let record: Value =
        serde_json::from_str(text).map_err(|error| PointError::Json(error.to_string()))?;
    let field = |name: &str| match record.get(name) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(value) => Ok(value.to_string()),
        None => Err(PointError::NoKey(name.to_owned())),
    };
    point(&field(time)?, &field(value)?)
}

fn point(time: &str, value: &str) -> Result<DataPoint, PointError> {
    Ok(DataPoint {
        time: time::parse(time).ok_or_else(|| PointError::Time(shortened(time)))?,
        value: number(value).ok_or_else(|| PointError::Value(shortened(value)))?,
    })
}

fn number(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|it: &f64| it.is_finite())
}

fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

/// Why a line has no point.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PointError {
    /// The line is not UTF-8.
    NotUtf8,
    /// The line is longer than 64 KiB.
    TooLong,
    /// The first line of CSV has no such name.
    NoField {
        /// The name.
        name: String,
        /// What the line has.
        fields: Vec<String>,
    },
    /// The line has only so many fields.
    Fields(usize),
    /// The line is no JSON.
    Json(String),
    /// The object has no such key.
    NoKey(String),
    /// The time is none.
    Time(String),
    /// The value is not a finite number.
    Value(String),
}

impl fmt::Display for PointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotUtf8 => f.write_str("not UTF-8"),
            Self::TooLong => write!(f, "longer than {LONGEST} bytes"),
            Self::NoField { name, fields } => {
                write!(
                    f,
                    "there is no field `{name}` in the first line: {}",
                    fields.join(", ")
                )
            }
            Self::Fields(found) => write!(f, "only {found} fields"),
            Self::Json(reason) => write!(f, "not a JSON object: {reason}"),
            Self::NoKey(name) => write!(f, "there is no key `{name}`"),
            Self::Time(text) => write!(
                f,
                "`{text}` is no time; write seconds, or a date such as 2012-01-31T23:59:59"
            ),
            Self::Value(text) => write!(f, "`{text}` is not a finite number"),
        }
    }
}

impl Error for PointError {}

impl fmt::Display for BadPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.error)
    }
}

impl Error for BadPoint {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}
