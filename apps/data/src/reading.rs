//! Reads tables in an isolate of their own: a read of standard input may take for ever, and a request
//! to stop has to be seen meanwhile.

use std::io;
use std::path::Path;

use data::{Chunk, Source, SourceError};
use insula::Isolate;
use insula::runtime::blocking;

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

/// Returns the source with its next chunk, or with `None` at its end.
///
/// # Errors
/// Returns the error of the reader.
pub(crate) async fn next(mut source: Source) -> io::Result<(Source, Option<Chunk>)> {
    let read = Isolate::run(move || blocking(|| source.next_chunk().map(|chunk| (source, chunk))));
    read.await.map_err(io::Error::other)?
}
