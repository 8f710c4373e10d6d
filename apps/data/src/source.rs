//! The chunks of a file.

use std::error::Error;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use parquet::errors::ParquetError;

use crate::{
    BadRows, Blocks, Chunk, Format, Layout, LayoutError, ParquetFile, RowGroup, Wanted, csv_rows,
    json_rows,
};

/// The least bytes of a block, below which a call costs more than its work.
const LEAST_CHUNK: u64 = 4 << 10;

/// The records of a text that are looked at to find its fields, as far as [`Blocks::head`] has so many.
const FIRST: usize = 100;

/// A text of unknown length, such as standard input.
type Text = Box<dyn Read + Send>;

/// A file that is open for reading, as chunks.
#[derive(Debug)]
pub struct Source {
    layout: Arc<Layout>,
    chunks: Chunks,
    extent: Extent,
}

enum Chunks {
    Text(Blocks<Text>),
    RowGroups { file: Arc<ParquetFile>, next: usize },
}

/// How much a source has, for a display of progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// A text of so many bytes.
    Bytes(u64),
    /// So many rows.
    Rows(u64),
    /// As much as will come.
    Unknown,
}

impl Source {
    /// Opens a file and reads its first records. A text is cut into about `chunks` blocks, or into
    /// more if these would be longer than [`MAX_CHUNK`](crate::MAX_CHUNK).
    ///
    /// # Blocking
    /// Waits for the disk, as `next_chunk` does.
    ///
    /// # Errors
    /// See [`SourceError`].
    pub fn open(
        path: &Path,
        format: Format,
        wanted: &Wanted,
        chunks: usize,
    ) -> Result<Self, SourceError> {
        if format == Format::Parquet {
            return Self::row_groups(ParquetFile::open(path)?, wanted);
        }
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        let size = length.div_ceil(chunks.max(1) as u64).max(LEAST_CHUNK);
        let mut source = Self::text(Box::new(file), format, wanted, size as usize)?;
        source.extent = Extent::Bytes(length);
        Ok(source)
    }

    /// Reads a text, such as standard input, in blocks of at most `size` bytes.
    ///
    /// # Errors
    /// See [`SourceError`].
    pub fn text(
        reader: Text,
        format: Format,
        wanted: &Wanted,
        size: usize,
    ) -> Result<Self, SourceError> {
        let mut blocks = Blocks::new(reader, format, size)?;
        let layout = match format {
            Format::Csv { delimiter } => csv_layout(&mut blocks, delimiter, wanted)?,
            Format::JsonLines => json_layout(&mut blocks, wanted)?,
            Format::Parquet => return Err(SourceError::NotAFile),
        };
        Ok(Self {
            layout: Arc::new(layout),
            chunks: Chunks::Text(blocks),
            extent: Extent::Unknown,
        })
    }

    fn row_groups(file: ParquetFile, wanted: &Wanted) -> Result<Self, SourceError> {
        let layout = Arc::new(file.layout(wanted)?);
        let extent = Extent::Rows(file.rows());
        let file = Arc::new(file);
        Ok(Self {
            layout,
            chunks: Chunks::RowGroups { file, next: 0 },
            extent,
        })
    }

    /// Returns the shape of the records.
    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// Returns how much there is.
    pub fn extent(&self) -> Extent {
        self.extent
    }

    /// Returns the next chunk, or `None` at the end.
    ///
    /// # Errors
    /// Returns the error of the reader.
    pub fn next_chunk(&mut self) -> io::Result<Option<Chunk>> {
        match &mut self.chunks {
            Chunks::Text(blocks) => Ok(blocks.next_block()?.map(Chunk::Text)),
            Chunks::RowGroups { file, next } => {
                let number = *next;
                if number == file.row_groups() {
                    return Ok(None);
                }
                *next += 1;
                Ok(Some(Chunk::RowGroup(RowGroup::new(file, number))))
            }
        }
    }

    /// Returns the rows that are in no chunk, because their end could not be found. They come before
    /// the chunk that [`next_chunk`](Self::next_chunk) has returned last, and behind the one before.
    pub fn take_bad(&mut self) -> BadRows {
        match &mut self.chunks {
            Chunks::Text(blocks) => blocks.take_bad(),
            Chunks::RowGroups { .. } => BadRows::default(),
        }
    }
}

fn csv_layout(
    blocks: &mut Blocks<Text>,
    delimiter: u8,
    wanted: &Wanted,
) -> Result<Layout, SourceError> {
    let header = blocks.peek()?.unwrap_or_default().to_vec();
    // What comes next are no names.
    refuse_bad(blocks)?;
    blocks.skip_first();
    let seen = csv_rows::fields(&header, &blocks.head(FIRST)?, delimiter);
    Ok(Layout::select(Format::Csv { delimiter }, &seen, wanted)?)
}

fn json_layout(blocks: &mut Blocks<Text>, wanted: &Wanted) -> Result<Layout, SourceError> {
    let seen = json_rows::fields(&blocks.head(FIRST)?)?;
    if seen.is_empty() {
        refuse_bad(blocks)?;
    }
    Ok(Layout::select(Format::JsonLines, &seen, wanted)?)
}

/// Fails if there is a row whose end could not be found.
fn refuse_bad(blocks: &mut Blocks<Text>) -> Result<(), LayoutError> {
    match blocks.take_bad().first.into_iter().next() {
        Some(row) => Err(LayoutError::First(row)),
        None => Ok(()),
    }
}

impl fmt::Debug for Chunks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => f.write_str("Text(..)"),
            Self::RowGroups { file, next } => write!(f, "RowGroups({next} of {file:?})"),
        }
    }
}

/// The reason why a file cannot be opened as a table.
#[derive(Debug)]
#[non_exhaustive]
pub enum SourceError {
    /// The file cannot be read.
    Read(io::Error),
    /// The file is no Parquet file, or a damaged one.
    Parquet(ParquetError),
    /// The first records do not say what to read.
    Layout(LayoutError),
    /// Parquet is read from its end, so it has to be in a file.
    NotAFile,
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(error) => write!(f, "cannot read: {error}"),
            Self::Parquet(error) => write!(f, "not a readable Parquet file: {error}"),
            Self::Layout(error) => error.fmt(f),
            Self::NotAFile => f.write_str("Parquet cannot come from standard input; name a file"),
        }
    }
}

impl Error for SourceError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Read(error) => Some(error),
            Self::Parquet(error) => Some(error),
            Self::Layout(error) => Some(error),
            Self::NotAFile => None,
        }
    }
}

impl From<io::Error> for SourceError {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

impl From<ParquetError> for SourceError {
    fn from(error: ParquetError) -> Self {
        // An error of the system speaks for itself.
        match error {
            ParquetError::External(error) => match error.downcast::<io::Error>() {
                Ok(error) => Self::Read(*error),
                Err(error) => Self::Parquet(ParquetError::External(error)),
            },
            error => Self::Parquet(error),
        }
    }
}

impl From<LayoutError> for SourceError {
    fn from(error: LayoutError) -> Self {
        Self::Layout(error)
    }
}
