//! Records in the row groups of Parquet files.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::{ConvertedType, LogicalType, Type};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, DataType};
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};
use parquet::schema::types::ColumnDescriptor;
use serde::{Deserialize, Serialize};

use crate::layout::{Content, Seen};
use crate::moment::{Moment, Unit};
use crate::positioned::{Positioned, Version};
use crate::{Format, Layout, LayoutError, RowError, Rows, Wanted};

/// An open Parquet file. Any number of isolates may read its row groups at once.
pub struct ParquetFile {
    reader: SerializedFileReader<Positioned>,
    /// The number of the first row of each row group, from one on.
    first_rows: Vec<u64>,
    origin: Arc<Origin>,
}

/// What another process needs to open the same file.
#[derive(Debug, Serialize, Deserialize)]
struct Origin {
    #[serde(with = "command::portable")]
    path: PathBuf,
    version: Version,
}

/// A row group of a Parquet file. In another process than the one that has opened the file, it is
/// opened by its name again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RowGroup {
    /// `None` in another process.
    #[serde(skip)]
    file: Option<Arc<ParquetFile>>,
    origin: Arc<Origin>,
    number: usize,
    rows: u64,
}

impl RowGroup {
    /// Names a row group by its number, from zero on.
    pub fn new(file: &Arc<ParquetFile>, number: usize) -> Self {
        let group = file.reader.metadata().row_groups().get(number);
        Self {
            file: Some(Arc::clone(file)),
            origin: Arc::clone(&file.origin),
            number,
            rows: group.map_or(0, |group| group.num_rows().max(0) as u64),
        }
    }

    /// Returns the number, from zero on.
    pub fn number(&self) -> usize {
        self.number
    }

    /// Returns the number of its rows.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Reads all its records.
    pub(crate) fn read(&self, rows: &mut Rows) -> Result<()> {
        match &self.file {
            Some(file) => file.read(self.number, rows),
            None => self.origin.open()?.read(self.number, rows),
        }
    }
}

impl Origin {
    fn open(&self) -> Result<ParquetFile> {
        let file = ParquetFile::open(&self.path)?;
        if file.origin.version == self.version {
            Ok(file)
        } else {
            // Its row groups may be others than those of which the number is one.
            Err(ParquetError::General(
                "the file has changed since it was opened".to_owned(),
            ))
        }
    }
}

impl ParquetFile {
    /// Opens a file and reads its footer.
    ///
    /// # Blocking
    /// Waits for the disk, as `read` does.
    ///
    /// # Errors
    /// Returns the reader's error, whose `Display` has no path.
    pub fn open(path: &Path) -> Result<Self> {
        let file = Positioned::open(path)?;
        let origin = Origin {
            path: path.to_owned(),
            version: file.version(),
        };
        let reader = SerializedFileReader::new(file)?;
        let mut first = 1;
        let first_rows = reader.metadata().row_groups().iter().map(|group| {
            let row = first;
            first += group.num_rows().max(0) as u64;
            row
        });
        let first_rows = first_rows.collect();
        Ok(Self {
            reader,
            first_rows,
            origin: Arc::new(origin),
        })
    }

    /// Returns the number of row groups.
    pub fn row_groups(&self) -> usize {
        self.first_rows.len()
    }

    /// Returns the number of rows.
    pub fn rows(&self) -> u64 {
        self.reader.metadata().file_metadata().num_rows().max(0) as u64
    }

    /// Selects the fields to be read.
    pub(crate) fn layout(&self, wanted: &Wanted) -> std::result::Result<Layout, LayoutError> {
        let schema = self.reader.metadata().file_metadata().schema_descr();
        let seen = |column: &Arc<ColumnDescriptor>| {
            // The path, since columns inside of others may have the same name.
            let mut seen = Seen::new(column.path().string());
            seen.add(match kind(column) {
                Some(Kind::Number) => Content::Number,
                Some(Kind::Text) | None => Content::Other,
            });
            seen
        };
        let seen: Vec<_> = schema.columns().iter().map(seen).collect();
        let layout = Layout::select(Format::Parquet, &seen, wanted)?;
        let (id, value) = (layout.id.index, layout.value.index);
        let field = |index: usize| seen[index].name.clone();
        let column = schema.column(value);
        if kind(&column) != Some(Kind::Number) {
            return Err(LayoutError::NotANumber {
                field: field(value),
                kind: type_name(&column),
            });
        }
        let column = schema.column(id);
        if kind(&column).is_none() {
            return Err(LayoutError::NotAName {
                field: field(id),
                kind: type_name(&column),
            });
        }
        Ok(layout)
    }

    /// Reads all records of a row group.
    fn read(&self, number: usize, rows: &mut Rows) -> Result<()> {
        let group = self.reader.get_row_group(number)?;
        let (id, value) = (rows.layout().id.clone(), rows.layout().value.clone());
        let ids = Ids::read(&*group, id.index)?;
        let values = numbers(&*group, value.index)?;
        let mut text = String::new();
        for (index, value) in values.into_iter().enumerate() {
            let line = self.first_rows[number] + index as u64;
            text.clear();
            let field = || Arc::clone(&id.name);
            match (value, ids.write(index, &mut text)) {
                (None, _) => rows.missing += 1,
                (Some(_), Id::Null) => rows.bad.push(line, RowError::NoName { field: field() }),
                (Some(_), Id::NotUtf8) => rows.bad.push(line, RowError::NotUtf8 { field: field() }),
                (Some(value), Id::Written) if value.is_finite() => rows.push(line, &text, value),
                (Some(value), Id::Written) => {
                    let error = rows.not_a_number(&value.to_string());
                    rows.bad.push(line, error);
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for ParquetFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParquetFile")
            .field("row_groups", &self.row_groups())
            .finish_non_exhaustive()
    }
}

/// What a column can be read as.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Finite numbers, or NaN and infinities.
    Number,
    /// Something else that can name a record.
    Text,
}

/// Returns `None` if the column cannot be read.
fn kind(column: &ColumnDescriptor) -> Option<Kind> {
    // A repeated value is no field of a record.
    if column.max_rep_level() > 0 {
        return None;
    }
    match (column.physical_type(), column.converted_type()) {
        // Digits of which some are behind the point.
        (_, ConvertedType::DECIMAL) => None,
        (Type::FLOAT | Type::DOUBLE, _) => Some(Kind::Number),
        (Type::INT32 | Type::INT64, _) if is_whole(column) => Some(Kind::Number),
        (Type::INT32 | Type::INT64, _) => Unit::of(column).map(|_| Kind::Text),
        (Type::BOOLEAN | Type::BYTE_ARRAY, _) => Some(Kind::Text),
        (Type::INT96 | Type::FIXED_LEN_BYTE_ARRAY, _) => None,
    }
}

/// Returns whether the whole numbers of a column are numbers, rather than for example days.
fn is_whole(column: &ColumnDescriptor) -> bool {
    match column.logical_type_ref() {
        Some(logical) => matches!(logical, LogicalType::Integer(_)),
        None => {
            use ConvertedType as Is;
            is_unsigned(column)
                || matches!(
                    column.converted_type(),
                    Is::NONE | Is::INT_8 | Is::INT_16 | Is::INT_32 | Is::INT_64
                )
        }
    }
}

/// Returns whether the whole numbers of a column are unsigned. They are stored as the signed ones of
/// the same bits.
fn is_unsigned(column: &ColumnDescriptor) -> bool {
    use ConvertedType as Is;
    // A logical type comes with the converted one of the same meaning.
    matches!(
        column.converted_type(),
        Is::UINT_8 | Is::UINT_16 | Is::UINT_32 | Is::UINT_64
    )
}

fn type_name(column: &ColumnDescriptor) -> String {
    // Not all of these have a converted type.
    let name = match column.logical_type_ref() {
        _ if column.max_rep_level() > 0 => "LIST",
        Some(LogicalType::Timestamp(_)) => "TIMESTAMP",
        Some(LogicalType::Time(_)) => "TIME",
        Some(LogicalType::Float16) => "FLOAT16",
        Some(LogicalType::Uuid) => "UUID",
        Some(LogicalType::Unknown) => "NULL",
        _ if column.converted_type() == ConvertedType::NONE => {
            return column.physical_type().to_string();
        }
        _ => return column.converted_type().to_string(),
    };
    name.to_owned()
}

/// The names of the records of a row group.
enum Ids {
    Texts(Vec<Option<ByteArray>>),
    Signed(Vec<Option<i64>>),
    Unsigned(Vec<Option<u64>>),
    Moments(Vec<Option<i64>>, Unit),
    Real(Vec<Option<f64>>),
    Flags(Vec<Option<bool>>),
}

/// What became of a name.
enum Id {
    Written,
    Null,
    NotUtf8,
}

impl Ids {
    fn read(group: &dyn RowGroupReader, index: usize) -> Result<Self> {
        let column = group.metadata().column(index).column_descr_ptr();
        let reader = group.get_column_reader(index)?;
        if let Some(unit) = Unit::of(&column) {
            let counts = whole(group, index, reader, |count| count)?;
            return Ok(Self::Moments(counts, unit));
        }
        Ok(match reader {
            ColumnReader::ByteArrayColumnReader(reader) => {
                Self::Texts(values(group, index, reader, |value| value)?)
            }
            ColumnReader::Int32ColumnReader(reader) if is_unsigned(&column) => {
                let unsigned = |value: i32| u64::from(value.cast_unsigned());
                Self::Unsigned(values(group, index, reader, unsigned)?)
            }
            ColumnReader::Int64ColumnReader(reader) if is_unsigned(&column) => {
                Self::Unsigned(values(group, index, reader, i64::cast_unsigned)?)
            }
            reader @ (ColumnReader::Int32ColumnReader(_) | ColumnReader::Int64ColumnReader(_)) => {
                Self::Signed(whole(group, index, reader, |value| value)?)
            }
            ColumnReader::BoolColumnReader(reader) => {
                Self::Flags(values(group, index, reader, |value| value)?)
            }
            _ => Self::Real(numbers(group, index)?),
        })
    }

    /// Writes the name of a record to the end of `text`.
    fn write(&self, index: usize, text: &mut String) -> Id {
        match self {
            Self::Texts(texts) => match texts[index].as_ref().map(ByteArray::as_utf8) {
                None => return Id::Null,
                Some(Err(_)) => return Id::NotUtf8,
                Some(Ok(name)) => text.push_str(name),
            },
            Self::Signed(values) => return show(values[index], text),
            Self::Unsigned(values) => return show(values[index], text),
            Self::Moments(counts, unit) => {
                let moment = |count| Moment { count, unit: *unit };
                return show(counts[index].map(moment), text);
            }
            Self::Real(values) => return show(values[index], text),
            Self::Flags(values) => return show(values[index], text),
        }
        Id::Written
    }
}

fn show(value: Option<impl fmt::Display>, text: &mut String) -> Id {
    match value {
        None => Id::Null,
        Some(value) => {
            // Writing to a string does not fail.
            let _ = fmt::Write::write_fmt(text, format_args!("{value}"));
            Id::Written
        }
    }
}

/// Reads a column of numbers.
fn numbers(group: &dyn RowGroupReader, index: usize) -> Result<Vec<Option<f64>>> {
    let is_unsigned = is_unsigned(group.metadata().column(index).column_descr());
    match group.get_column_reader(index)? {
        ColumnReader::Int32ColumnReader(reader) if is_unsigned => {
            values(group, index, reader, |it| f64::from(it.cast_unsigned()))
        }
        ColumnReader::Int64ColumnReader(reader) if is_unsigned => {
            values(group, index, reader, |it| it.cast_unsigned() as f64)
        }
        ColumnReader::FloatColumnReader(reader) => values(group, index, reader, f64::from),
        ColumnReader::DoubleColumnReader(reader) => values(group, index, reader, |it| it),
        reader => whole(group, index, reader, |it| it as f64),
    }
}

/// Reads a column of signed whole numbers.
fn whole<V>(
    group: &dyn RowGroupReader,
    index: usize,
    reader: ColumnReader,
    to: impl Fn(i64) -> V,
) -> Result<Vec<Option<V>>> {
    match reader {
        ColumnReader::Int32ColumnReader(reader) => {
            values(group, index, reader, |it| to(i64::from(it)))
        }
        ColumnReader::Int64ColumnReader(reader) => values(group, index, reader, to),
        _ => Err(ParquetError::General("a column without numbers".to_owned())),
    }
}

/// Reads a column whose values are not repeated. There are as many as the row group has rows.
fn values<T: DataType, V>(
    group: &dyn RowGroupReader,
    index: usize,
    mut reader: ColumnReaderImpl<T>,
    to: impl Fn(T::T) -> V,
) -> Result<Vec<Option<V>>> {
    let length = group.metadata().num_rows().max(0) as usize;
    let present = group
        .metadata()
        .column(index)
        .column_descr()
        .max_def_level();
    let (mut values, mut levels) = (Vec::new(), Vec::new());
    reader.read_records(length, Some(&mut levels), None, &mut values)?;
    let mut values = values.into_iter().map(to);
    let all: Vec<_> = match present {
        0 => values.map(Some).collect(),
        _ => {
            let value = |level| {
                if level == present {
                    values.next()
                } else {
                    None
                }
            };
            levels.into_iter().map(value).collect()
        }
    };
    if all.len() != length {
        return Err(ParquetError::General(format!(
            "{} values rather than {length}",
            all.len()
        )));
    }
    Ok(all)
}
