//! Results, in the forms in which they are written.

use std::fmt;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use command::OutputFile;
use memchr::{memchr, memchr3};
use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::Type;
use serde::{Deserialize, Serialize};

use crate::{Format, Items, Texts};

/// The rows of a row group, about as many as make 100 of ten million.
const ROW_GROUP: usize = 100_000;

/// The form of results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ResultFormat {
    /// Only their statistics are wanted.
    None,
    /// Lines of CSV.
    Csv {
        /// The separator.
        delimiter: u8,
    },
    /// JSON objects, one in each line.
    JsonLines,
    /// Records and results as columns.
    Columns,
    /// Records as columns, without results.
    Items,
}

impl ResultFormat {
    /// Returns the form for a file of this format.
    pub fn of(format: Format) -> Self {
        match format {
            Format::Csv { delimiter } => Self::Csv { delimiter },
            Format::JsonLines => Self::JsonLines,
            Format::Parquet => Self::Columns,
        }
    }
}

/// Records with their results.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Results {
    /// Nothing was kept.
    None,
    /// Lines of CSV: name, number, result.
    Csv {
        /// The separator.
        delimiter: u8,
        /// The lines.
        #[serde(with = "serde_bytes")]
        text: Vec<u8>,
    },
    /// JSON objects, one in each line.
    JsonLines(#[serde(with = "serde_bytes")] Vec<u8>),
    /// Columns.
    Columns(Columns),
    /// Columns without results.
    Items(Items),
}

/// Records with their results as columns.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Columns {
    /// The records.
    pub items: Items,
    /// Their results, as many.
    pub results: Vec<f64>,
}

impl Results {
    /// Creates results without records, for a chunk of `bytes` bytes.
    pub fn new(format: ResultFormat, bytes: usize) -> Self {
        // Results are mostly a little longer than the fields that they come from.
        match format {
            ResultFormat::None => Self::None,
            ResultFormat::Csv { delimiter } => Self::Csv {
                delimiter,
                text: Vec::with_capacity(bytes),
            },
            ResultFormat::JsonLines => Self::JsonLines(Vec::with_capacity(bytes)),
            ResultFormat::Columns => Self::Columns(Columns::default()),
            ResultFormat::Items => Self::Items(Items::default()),
        }
    }

    /// Returns the bytes that the results occupy.
    pub fn bytes(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Csv { text, .. } | Self::JsonLines(text) => text.len(),
            Self::Columns(columns) => {
                columns.items.bytes() + size_of_val(columns.results.as_slice())
            }
            Self::Items(items) => items.bytes(),
        }
    }

    pub(crate) fn push(&mut self, id: &str, value: f64, result: f64) {
        match self {
            Self::None => {}
            Self::Csv { delimiter, text } => csv_line(text, *delimiter, id, &[value, result]),
            Self::JsonLines(text) => json_line(text, id, &[value, result]),
            Self::Columns(columns) => {
                columns.items.push(id, value);
                columns.results.push(result);
            }
            Self::Items(items) => items.push(id, value),
        }
    }
}

/// Writes a record with its number, and its result if there is one.
fn csv_line(text: &mut Vec<u8>, delimiter: u8, id: &str, numbers: &[f64]) {
    csv_field(id, delimiter, text);
    for number in numbers {
        text.push(delimiter);
        json(text, number);
    }
    text.push(b'\n');
}

/// Writes a record with its number, and its result if there is one.
fn json_line(text: &mut Vec<u8>, id: &str, numbers: &[f64]) {
    text.extend_from_slice(b"{\"id\":");
    json(text, id);
    for (name, number) in NAMES[1..].iter().zip(numbers) {
        text.extend_from_slice(b",\"");
        text.extend_from_slice(name.as_bytes());
        text.extend_from_slice(b"\":");
        json(text, number);
    }
    text.extend_from_slice(b"}\n");
}

/// Writes a text or a finite number, which CSV and JSON write alike: the shortest digits that give
/// the same number.
fn json(to: &mut Vec<u8>, value: &(impl serde::Serialize + ?Sized)) {
    // Writing to memory does not fail.
    let _ = serde_json::to_writer(to, value);
}

/// Writes a field, in quotes if it would not be read back without.
fn csv_field(field: &str, delimiter: u8, to: &mut Vec<u8>) {
    let bytes = field.as_bytes();
    if memchr3(b'"', b'\n', b'\r', bytes).is_none() && memchr(delimiter, bytes).is_none() {
        to.extend_from_slice(bytes);
        return;
    }
    to.push(b'"');
    to.extend_from_slice(field.replace('"', "\"\"").as_bytes());
    to.push(b'"');
}

/// A file of results that gets its name when it is complete.
#[must_use = "without `finish` there is no file"]
pub struct Output {
    sink: Sink,
}

enum Sink {
    Text {
        file: OutputFile,
        format: Format,
    },
    Parquet {
        writer: Box<SerializedFileWriter<OutputFile>>,
        /// What is in no row group yet.
        columns: Columns,
    },
}

/// What a file of records has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contents {
    /// The fields `id` and `value`.
    Records,
    /// The fields `id`, `value` and `result`.
    Results,
}

impl Output {
    /// Creates a temporary file beside `path`.
    ///
    /// # Blocking
    /// Waits for the disk, as all methods do.
    ///
    /// # Errors
    /// Returns the error of the operating system.
    pub fn create(path: &Path, format: Format, contents: Contents) -> io::Result<Self> {
        let mut file = OutputFile::create(path)?;
        let names = match contents {
            Contents::Records => &NAMES[..2],
            Contents::Results => &NAMES,
        };
        if format == Format::Parquet {
            let sink = parquet(file, names)?;
            return Ok(Self { sink });
        }
        if let Format::Csv { delimiter } = format {
            let names: Vec<_> = names.iter().map(|name| name.as_bytes()).collect();
            file.write_all(&names.join(&delimiter))?;
            file.write_all(b"\n")?;
        }
        let sink = Sink::Text { file, format };
        Ok(Self { sink })
    }

    /// Writes results behind those before. They have to be of the format of the file.
    ///
    /// # Errors
    /// Returns the error of the operating system, or one of the kind `InvalidInput` for results of
    /// another format.
    pub fn write(&mut self, results: &Results) -> io::Result<()> {
        match (&mut self.sink, results) {
            (_, Results::None) => Ok(()),
            (Sink::Text { file, .. }, Results::Csv { text, .. } | Results::JsonLines(text)) => {
                file.write_all(text)
            }
            (Sink::Parquet { writer, columns }, Results::Columns(more)) => {
                columns.items.append(&more.items);
                columns.results.extend_from_slice(&more.results);
                flush(writer, columns, ROW_GROUP)
            }
            (_, Results::Items(items)) => self.write_items(items),
            (Sink::Text { .. } | Sink::Parquet { .. }, _) => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "results of another format",
            )),
        }
    }

    /// Writes records behind those before, to a file of any format with [`Contents::Records`].
    ///
    /// # Errors
    /// Returns the error of the operating system.
    pub fn write_items(&mut self, items: &Items) -> io::Result<()> {
        let (file, format) = match &mut self.sink {
            Sink::Text { file, format } => (file, *format),
            Sink::Parquet { writer, columns } => {
                columns.items.append(items);
                return flush(writer, columns, ROW_GROUP);
            }
        };
        let mut line = Vec::new();
        for (id, value) in items.ids.iter().zip(&items.values) {
            line.clear();
            match format {
                Format::Csv { delimiter } => csv_line(&mut line, delimiter, id, &[*value]),
                Format::JsonLines | Format::Parquet => json_line(&mut line, id, &[*value]),
            }
            file.write_all(&line)?;
        }
        Ok(())
    }

    /// Gives the file its name. A file of that name is replaced.
    ///
    /// # Errors
    /// Returns the error of the operating system; the temporary file is removed then.
    pub fn finish(self) -> io::Result<()> {
        match self.sink {
            Sink::Text { file, .. } => file.finish(),
            Sink::Parquet {
                mut writer,
                mut columns,
            } => {
                flush(&mut writer, &mut columns, 1)?;
                let file = writer.into_inner().map_err(io::Error::other)?;
                file.finish()
            }
        }
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").finish_non_exhaustive()
    }
}

/// The names of the fields.
const NAMES: [&str; 3] = ["id", "value", "result"];

fn parquet(file: OutputFile, names: &[&str]) -> io::Result<Sink> {
    let field = |name: &&str| match *name {
        "id" => "required binary id (UTF8);".to_owned(),
        name => format!("required double {name};"),
    };
    let fields: String = names.iter().map(field).collect();
    let schema =
        parquet::schema::parser::parse_message_type(&format!("message items {{{fields}}}"));
    let schema: Arc<Type> = Arc::new(schema.map_err(io::Error::other)?);
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .build();
    let writer = SerializedFileWriter::new(file, schema, Arc::new(properties));
    Ok(Sink::Parquet {
        writer: Box::new(writer.map_err(io::Error::other)?),
        columns: Columns::default(),
    })
}

/// Writes a row group if there are so many rows, and forgets them.
fn flush(
    writer: &mut SerializedFileWriter<OutputFile>,
    columns: &mut Columns,
    least: usize,
) -> io::Result<()> {
    if columns.items.len() < least {
        return Ok(());
    }
    let columns = std::mem::take(columns);
    let mut group = writer.next_row_group().map_err(io::Error::other)?;
    let written = write_ids(&mut group, &columns.items.ids)
        .and_then(|()| write_numbers(&mut group, &columns.items.values))
        .and_then(|()| write_numbers(&mut group, &columns.results))
        .and_then(|()| group.close());
    written.map(|_| ()).map_err(io::Error::other)
}

fn write_ids(
    group: &mut SerializedRowGroupWriter<'_, OutputFile>,
    ids: &Texts,
) -> ParquetResult<()> {
    let (text, ends) = ids.whole();
    // All names share one piece of memory.
    let whole = ByteArray::from(text.as_bytes().to_vec());
    let mut start = 0;
    let names = ends.iter().map(|&end| {
        let name = whole.slice(start, end - start);
        start = end;
        name
    });
    let names: Vec<_> = names.collect();
    let mut column = group.next_column()?.ok_or_else(no_column)?;
    column
        .typed::<ByteArrayType>()
        .write_batch(&names, None, None)?;
    column.close()
}

/// Writes the next column, if the file has one more.
fn write_numbers(
    group: &mut SerializedRowGroupWriter<'_, OutputFile>,
    numbers: &[f64],
) -> ParquetResult<()> {
    let Some(mut column) = group.next_column()? else {
        return Ok(());
    };
    column
        .typed::<DoubleType>()
        .write_batch(numbers, None, None)?;
    column.close()
}

fn no_column() -> ParquetError {
    ParquetError::General("a file without columns".to_owned())
}
