//! Reads tables in an isolate of their own: a read of standard input may take for ever, and a request
//! to stop has to be seen meanwhile.

use std::io;
use std::path::Path;

use command::Progress;
use data::{BadRows, Chunk, Extent, Layout, Source, SourceError};
use insula::Isolate;
use insula::runtime::blocking;

use crate::NAME;
use crate::cli::{Fields, is_stdin};
use crate::failure::Failure;

/// The bytes of a block of standard input. Short, so that what comes slowly is processed as it comes.
const BLOCK: usize = 64 << 10;

/// Opens a table, and reads its first records.
///
/// # Errors
/// Returns a message for the user.
pub(crate) async fn open(path: &Path, fields: &Fields, chunks: usize) -> Result<Source, Failure> {
    let (format, wanted) = (fields.format(path)?, fields.wanted());
    let file = path.to_owned();
    let open = move || match is_stdin(&file) {
        true => Source::text(Box::new(io::stdin()), format, &wanted, BLOCK),
        false => Source::open(&file, format, &wanted, chunks),
    };
    let source = Isolate::run(move || blocking(open)).await;
    let source = source.unwrap_or_else(|error| Err(SourceError::Read(io::Error::other(error))));
    source.map_err(|error| Failure::open(path, &error))
}

/// What comes next in a table.
pub(crate) struct Next {
    pub(crate) source: Source,
    /// The rows before the chunk that are in none, because their end could not be found.
    pub(crate) bad: BadRows,
    /// `None` at the end.
    pub(crate) chunk: Option<Chunk>,
}

/// Reads the next chunk.
///
/// # Errors
/// Returns the error of the reader.
pub(crate) async fn next(mut source: Source) -> io::Result<Next> {
    let read = move || -> io::Result<Next> {
        let chunk = source.next_chunk()?;
        let bad = source.take_bad();
        Ok(Next { source, bad, chunk })
    };
    let read = Isolate::run(move || blocking(read)).await;
    read.map_err(io::Error::other)?
}

/// Shows the progress of reading so much.
pub(crate) fn progress(extent: Extent, title: &'static str) -> Progress {
    match extent {
        Extent::Bytes(bytes) => Progress::new(NAME, bytes, "bytes", title),
        Extent::Rows(rows) => Progress::new(NAME, rows, "rows", title),
        Extent::Unknown => Progress::endless(NAME, "bytes", title),
    }
}

/// Names the rows that could not be processed, from the number `from` of those that are kept on.
pub(crate) fn report_bad(progress: &Progress, path: &Path, bad: &BadRows, from: usize) {
    for row in bad.first.iter().skip(from) {
        progress.report(&format_args!("{}:{row}", path.display()));
    }
}

/// Says how many bad rows there are that have no names.
pub(crate) fn report_more(progress: &Progress, path: &Path, bad: &BadRows) {
    let more = bad.count - bad.first.len() as u64;
    if more > 0 {
        progress.report(&format_args!("{}: {more} more bad rows", path.display()));
    }
}

/// Says which field has the numbers, where the user has not named it and no table shows it.
pub(crate) fn report_field(path: &Path, fields: &Fields, layout: &Layout) {
    if fields.wanted().value.is_none() {
        let (path, name) = (path.display(), &layout.value.name);
        let message =
            format_args!("{path}: the numbers are those of `{name}`; --value FIELD takes others");
        Progress::hidden(NAME).report(&message);
    }
}
