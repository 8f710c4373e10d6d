//! Tables of numbers, read from CSV.

use std::error::Error;
use std::fmt;
use std::io::Read;

use csv::{ReaderBuilder, StringRecord};
use serde::{Deserialize, Serialize};

use crate::{Spacing, time};

/// A column of numbers. A value that is missing is NaN.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// The name.
    pub name: String,
    /// The values, one for each row.
    pub values: Vec<f64>,
}

/// A table of numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// The columns with numbers, in the order of the file.
    pub columns: Vec<Column>,
    /// The names of the columns with other texts, which are not analyzed.
    pub others: Vec<String>,
    /// The time of each row in seconds since the beginning of 1970, if the table has such a column.
    pub times: Option<Column>,
    /// How evenly the rows are spaced in time, if they have times. They are in the order of these.
    pub spacing: Option<Spacing>,
    /// The first fields of each column of numbers that have something else. They are missing.
    pub bad: Vec<BadField>,
    /// The number of all such fields.
    pub bad_fields: usize,
    rows: usize,
}

/// A field that has no number where it should.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BadField {
    /// The line of the file at which its row begins.
    pub line: u64,
    /// The name of the column.
    pub column: String,
    /// What it has, shortened.
    pub text: String,
}

impl fmt::Display for BadField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, column, text } = self;
        write!(
            f,
            "{line}: `{text}` in the column `{column}` is not a number; it counts as missing"
        )
    }
}

/// The longest text that an error quotes.
const QUOTED: usize = 40;

/// The share of numbers that makes a column one of numbers, in which other texts are mistakes.
const NUMBERS: f64 = 0.9;

/// The texts of a missing value beside none at all, in capitals or not: those of R, spreadsheets, SQL,
/// Python and pandas.
const MISSING: [&str; 7] = ["na", "n/a", "#n/a", "<na>", "nan", "null", "none"];

fn is_missing(text: &str) -> bool {
    text.is_empty() || MISSING.iter().any(|it| text.eq_ignore_ascii_case(it))
}

impl Table {
    /// Reads a table from CSV with names in its first row. `time` is the name of the column with the
    /// times; without it, it is the first column if all its values are dates. The rows are sorted by
    /// their times.
    ///
    /// # Errors
    /// See [`TableError`].
    pub fn read(reader: impl Read, delimiter: u8, time: Option<&str>) -> Result<Self, TableError> {
        let mut reader = ReaderBuilder::new()
            .delimiter(delimiter)
            .from_reader(reader);
        let names: Vec<String> = reader
            .headers()?
            .iter()
            .map(|it| it.trim().to_owned())
            .collect();
        let mut raw = Raw::new(names);
        let mut record = StringRecord::new();
        while reader.read_record(&mut record)? {
            let line = record.position().map_or(0, csv::Position::line);
            raw.push(line, &record);
        }
        raw.table(time)
    }

    /// Returns the number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Returns the place of a column of numbers.
    ///
    /// # Errors
    /// Returns [`TableError::NoColumn`] if there is none of this name.
    pub fn column(&self, name: &str) -> Result<usize, TableError> {
        let found = self.columns.iter().position(|column| column.name == name);
        found.ok_or_else(|| TableError::NoColumn {
            name: name.to_owned(),
            columns: self
                .columns
                .iter()
                .map(|column| column.name.clone())
                .collect(),
        })
    }

    /// Sorts the rows by their times.
    fn sort(&mut self) {
        let Some((spacing, order)) = self.times.as_ref().map(Spacing::of) else {
            return;
        };
        self.spacing = Some(spacing);
        let Some(order) = order else {
            return;
        };
        for column in self.columns.iter_mut().chain(&mut self.times) {
            column.values = order.iter().map(|row| column.values[*row]).collect();
        }
    }

    /// Returns the bytes that the table occupies.
    pub fn bytes(&self) -> usize {
        self.columns.len() * self.rows * size_of::<f64>()
    }
}

/// A table whose columns may yet turn out to have texts.
struct Raw {
    names: Vec<String>,
    values: Vec<Vec<f64>>,
    /// Fields of each column that have something else than a number, or a first part of them.
    bad: Vec<Vec<BadField>>,
    /// The number of such fields.
    texts: Vec<usize>,
    times: Vec<Vec<f64>>,
    /// The line and the text of the first field of each column that is neither a date nor a number.
    no_times: Vec<Option<(u64, String)>>,
    rows: usize,
}

impl Raw {
    fn new(names: Vec<String>) -> Self {
        let columns = names.len();
        Self {
            names,
            values: vec![Vec::new(); columns],
            bad: vec![Vec::new(); columns],
            texts: vec![0; columns],
            times: vec![Vec::new(); columns],
            no_times: vec![None; columns],
            rows: 0,
        }
    }

    fn push(&mut self, line: u64, record: &StringRecord) {
        for (index, field) in record.iter().enumerate() {
            let text = field.trim();
            let number = text.parse().ok().filter(|it: &f64| it.is_finite());
            self.values[index].push(number.unwrap_or(f64::NAN));
            if number.is_some() {
                continue;
            }
            let quoted = || text.chars().take(QUOTED).collect::<String>();
            // As long as each value is a time, the column may be that of the times.
            if self.no_times[index].is_none() {
                match time::parse(text) {
                    Some(time) => self.times[index].push(time),
                    None => self.no_times[index] = Some((line, quoted())),
                }
            }
            if is_missing(text) {
                continue;
            }
            self.texts[index] += 1;
            if self.bad[index].len() < KEPT {
                self.bad[index].push(BadField {
                    line,
                    column: self.names[index].clone(),
                    text: quoted(),
                });
            }
        }
        self.rows += 1;
    }

    fn table(mut self, time: Option<&str>) -> Result<Table, TableError> {
        if self.rows == 0 {
            return Err(TableError::Empty);
        }
        let mut table = Table {
            rows: self.rows,
            ..Table::default()
        };
        let time = self.time_column(time)?;
        for index in 0..self.names.len() {
            let name = std::mem::take(&mut self.names[index]);
            let values = std::mem::take(&mut self.values[index]);
            if time == Some(index) {
                let dates = std::mem::take(&mut self.times[index]);
                let values = if dates.is_empty() { values } else { dates };
                table.times = Some(Column { name, values });
                continue;
            }
            let numbers = values.iter().filter(|it| !it.is_nan()).count();
            let present = numbers + self.texts[index];
            if numbers == 0 || (numbers as f64) < NUMBERS * present as f64 {
                table.others.push(name);
                continue;
            }
            table.bad.append(&mut self.bad[index]);
            table.bad_fields += self.texts[index];
            table.columns.push(Column { name, values });
        }
        table.bad.sort_by_key(|bad| bad.line);
        table.sort();
        match table.columns.is_empty() {
            true => Err(TableError::NoNumbers),
            false => Ok(table),
        }
    }

    /// Returns the column with the times.
    fn time_column(&self, name: Option<&str>) -> Result<Option<usize>, TableError> {
        let Some(name) = name else {
            let is_first = self
                .times
                .first()
                .is_some_and(|times| times.len() == self.rows);
            return Ok(is_first.then_some(0));
        };
        let found = self.names.iter().position(|it| it == name);
        let index = found.ok_or_else(|| TableError::NoColumn {
            name: name.to_owned(),
            columns: self.names.clone(),
        })?;
        let are_dates = self.times[index].len() == self.rows;
        let are_seconds = self.values[index].iter().all(|it| !it.is_nan());
        match are_dates || are_seconds {
            true => Ok(Some(index)),
            false => Err(TableError::NoTimes {
                column: name.to_owned(),
                first: self.no_times[index].clone(),
            }),
        }
    }
}

/// The bad fields of a column that are kept.
const KEPT: usize = 20;

/// Why a table cannot be read.
#[derive(Debug)]
#[non_exhaustive]
pub enum TableError {
    /// The CSV is damaged, or cannot be read; the message has the line.
    Csv(csv::Error),
    /// There are no rows.
    Empty,
    /// No column has numbers.
    NoNumbers,
    /// No column has this name.
    NoColumn {
        /// The name.
        name: String,
        /// The names that there are.
        columns: Vec<String>,
    },
    /// A column does not have times alone.
    NoTimes {
        /// The name of the column.
        column: String,
        /// The line and the text of the first field that is no time. Without it, some fields are dates
        /// and some are numbers.
        first: Option<(u64, String)>,
    },
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Csv(error) => match error.kind() {
                csv::ErrorKind::UnequalLengths {
                    pos,
                    expected_len,
                    len,
                } => write!(
                    f,
                    "line {}: {len} fields, but the first line has {expected_len}; is a separator \
                     or a quote missing?",
                    pos.as_ref().map_or(0, csv::Position::line)
                ),
                csv::ErrorKind::Utf8 { pos, .. } => write!(
                    f,
                    "line {}: not UTF-8",
                    pos.as_ref().map_or(0, csv::Position::line)
                ),
                _ => write!(f, "cannot read: {error}"),
            },
            Self::Empty => f.write_str("there are no rows"),
            Self::NoNumbers => f.write_str("no column has numbers; is the separator right?"),
            Self::NoColumn { name, columns } => write!(
                f,
                "there is no column `{name}`; the columns are {}",
                columns.join(", ")
            ),
            Self::NoTimes { column, first } => {
                if let Some((line, text)) = first {
                    write!(f, "line {line}: `{text}` is no time; ")?;
                }
                write!(
                    f,
                    "the column `{column}` needs a date such as 2012-01-31 in each row, or a number of \
                     seconds in each row"
                )
            }
        }
    }
}

impl Error for TableError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Csv(error) => Some(error),
            _ => None,
        }
    }
}

impl From<csv::Error> for TableError {
    fn from(error: csv::Error) -> Self {
        Self::Csv(error)
    }
}
