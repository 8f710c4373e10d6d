//! Cuts a text into blocks of whole records.
//!
//! Where a record ends depends on all quotes before it, so the cutting is sequential. It looks only
//! at quotes and line breaks, many times faster than the records are read.

use std::io::{self, Read};

use bytes::Bytes;
use memchr::{memchr, memchr_iter, memchr2, memrchr};
use serde::{Deserialize, Serialize};

use crate::{BadRows, Format, RowError};

/// The most bytes of a block, apart from its last record.
pub const MAX_CHUNK: usize = 1 << 20;

/// The most bytes of a record.
pub const MAX_RECORD: usize = 1 << 20;

/// The bytes in which the first records are looked for, as many as a block of standard input has.
const HEAD: usize = 64 << 10;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Consecutive records of a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// The number of its first line, from one on.
    pub line: u64,
    /// The records, with their line breaks. The last one of the text may have none. A clone shares
    /// them, so that a call can be made again.
    pub bytes: Bytes,
}

/// The blocks of a text.
#[derive(Debug)]
pub struct Blocks<R> {
    reader: R,
    format: Format,
    size: usize,
    /// What was read and is in no block yet. It begins with a record.
    buffer: Vec<u8>,
    /// The number of the first line in `buffer`.
    line: u64,
    is_at_end: bool,
    bad: BadRows,
}

/// The end of the records in a text that may go on.
enum Cut {
    /// Whole records end here.
    At(usize),
    /// There is not one whole record.
    Nowhere {
        /// Whether the text ends inside of quotes.
        in_quotes: bool,
    },
}

impl<R: Read> Blocks<R> {
    /// Cuts what `reader` gives into blocks of about `size` bytes, at least one and at most
    /// [`MAX_CHUNK`].
    ///
    /// # Blocking
    /// Waits for the reader, as all methods do.
    ///
    /// # Errors
    /// Returns the error of the reader.
    pub fn new(reader: R, format: Format, size: usize) -> io::Result<Self> {
        let mut blocks = Self {
            reader,
            format,
            size: size.clamp(1, MAX_CHUNK),
            buffer: Vec::new(),
            line: 1,
            is_at_end: false,
            bad: BadRows::default(),
        };
        blocks.fill(BYTE_ORDER_MARK.len())?;
        if blocks.buffer.starts_with(BYTE_ORDER_MARK) {
            blocks.buffer.drain(..BYTE_ORDER_MARK.len());
        }
        Ok(blocks)
    }

    /// Returns the next block, or `None` at the end of the text.
    ///
    /// # Errors
    /// Returns the error of the reader.
    pub fn next_block(&mut self) -> io::Result<Option<Block>> {
        let mut length = self.size;
        loop {
            self.fill(length)?;
            // The buffer may have more than a block, after a look at the first records.
            let text = &self.buffer[..length.min(self.buffer.len())];
            let is_last = self.is_at_end && text.len() == self.buffer.len();
            match cut(self.format, text, is_last) {
                Cut::At(0) => return Ok(None),
                Cut::At(end) => return Ok(Some(self.take(end))),
                Cut::Nowhere { in_quotes } if is_last || text.len() > MAX_RECORD => {
                    self.refuse_first(in_quotes)?;
                    length = self.size;
                }
                Cut::Nowhere { .. } => length = text.len() + self.size,
            }
        }
    }

    /// Returns the first record, and leaves it where it is. There is none if the text has only white
    /// space. A record before it whose end cannot be found is left out, as by `next_block`.
    ///
    /// # Errors
    /// Returns the error of the reader.
    pub fn peek(&mut self) -> io::Result<Option<&[u8]>> {
        loop {
            // Lines without a record before the first one are of no use to anything.
            while let Some(end) = memchr(b'\n', &self.buffer) {
                if !self.buffer[..end].trim_ascii().is_empty() {
                    break;
                }
                self.buffer.drain(..=end);
                self.line += 1;
            }
            match cut_first(self.format, &self.buffer, self.is_at_end) {
                Cut::At(end) => {
                    let record = &self.buffer[..end];
                    return Ok((!record.trim_ascii().is_empty()).then_some(record));
                }
                Cut::Nowhere { in_quotes } if self.is_at_end || self.buffer.len() > MAX_RECORD => {
                    self.refuse_first(in_quotes)?;
                }
                Cut::Nowhere { .. } => self.fill(self.buffer.len() + HEAD)?,
            }
        }
    }

    /// Returns the first records, at most `most`, each with the number of its first line, and leaves
    /// them where they are. Those after the first one are looked for in the next 64 KiB only.
    ///
    /// # Errors
    /// Returns the error of the reader.
    pub fn head(&mut self, most: usize) -> io::Result<Vec<(u64, &[u8])>> {
        self.peek()?;
        self.fill(HEAD)?;
        let mut ends = Ends::new(&self.buffer, self.format);
        let mut whole: Vec<_> = ends.by_ref().take(most).collect();
        // The last record of a text needs no line break.
        if whole.len() < most && self.is_at_end && !ends.in_quotes {
            whole.push(self.buffer.len());
        }
        let (mut start, mut line) = (0, self.line);
        let mut records = Vec::new();
        for end in whole {
            let record = &self.buffer[start..end];
            if !record.trim_ascii().is_empty() {
                records.push((line, record));
            }
            line += lines(record);
            start = end;
        }
        Ok(records)
    }

    /// Removes the first record, which `peek` has shown.
    pub fn skip_first(&mut self) {
        if let Cut::At(end) = cut_first(self.format, &self.buffer, self.is_at_end) {
            self.take(end);
        }
    }

    /// Returns the number of the next line.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// Returns the rows that are in no block, because their end could not be found.
    pub fn take_bad(&mut self) -> BadRows {
        std::mem::take(&mut self.bad)
    }

    fn take(&mut self, end: usize) -> Block {
        let rest = self.buffer.split_off(end);
        let bytes = std::mem::replace(&mut self.buffer, rest);
        let line = self.line;
        self.line += lines(&bytes);
        Block {
            line,
            bytes: bytes.into(),
        }
    }

    /// Reads until there are so many bytes, or the text ends.
    fn fill(&mut self, length: usize) -> io::Result<()> {
        let missing = length.saturating_sub(self.buffer.len()) as u64;
        if missing > 0 && !self.is_at_end {
            let read = (&mut self.reader)
                .take(missing)
                .read_to_end(&mut self.buffer)?;
            self.is_at_end = (read as u64) < missing;
        }
        Ok(())
    }

    /// Leaves out the first line, since the end of its record cannot be found.
    fn refuse_first(&mut self, in_quotes: bool) -> io::Result<()> {
        let error = match in_quotes {
            true => RowError::OpenQuote,
            false => RowError::TooLong,
        };
        self.bad.push(self.line, error);
        self.skip_line()
    }

    fn skip_line(&mut self) -> io::Result<()> {
        self.line += 1;
        loop {
            if let Some(end) = memchr(b'\n', &self.buffer) {
                self.buffer.drain(..=end);
                return self.fill(self.size);
            }
            self.buffer.clear();
            if self.is_at_end {
                return Ok(());
            }
            self.fill(self.size)?;
        }
    }
}

/// Returns where the last whole record of a text ends.
fn cut(format: Format, text: &[u8], is_at_end: bool) -> Cut {
    let (end, in_quotes) = match format {
        Format::Csv { .. } => last_end(text, format),
        // The same, in one step.
        Format::JsonLines | Format::Parquet => (memrchr(b'\n', text).map_or(0, |it| it + 1), false),
    };
    match end {
        // The last record needs no line break.
        _ if is_at_end && !in_quotes => Cut::At(text.len()),
        0 => Cut::Nowhere { in_quotes },
        end => Cut::At(end),
    }
}

/// Returns where the first record of a text ends.
fn cut_first(format: Format, text: &[u8], is_at_end: bool) -> Cut {
    match Ends::new(text, format).next() {
        Some(end) => Cut::At(end),
        // There is at most one.
        None => cut(format, text, is_at_end),
    }
}

/// Returns the end of the last record, and whether the text ends inside of quotes.
fn last_end(text: &[u8], format: Format) -> (usize, bool) {
    let mut ends = Ends::new(text, format);
    let end = ends.by_ref().last().unwrap_or(0);
    (end, ends.in_quotes)
}

/// Returns how many lines end in a text.
fn lines(text: &[u8]) -> u64 {
    memchr_iter(b'\n', text).count() as u64
}

/// The ends of records, each behind its line break.
struct Ends<'a> {
    text: &'a [u8],
    /// The separator of CSV. Without one, quotes mean nothing.
    delimiter: Option<u8>,
    /// The first byte that was not looked at.
    at: usize,
    in_quotes: bool,
}

impl<'a> Ends<'a> {
    fn new(text: &'a [u8], format: Format) -> Self {
        let delimiter = match format {
            Format::Csv { delimiter } => Some(delimiter),
            Format::JsonLines | Format::Parquet => None,
        };
        Self {
            text,
            delimiter,
            at: 0,
            in_quotes: false,
        }
    }

    /// Returns whether the quote at `at` is the first byte of a field. Others mean themselves.
    fn opens(&self, at: usize) -> bool {
        match at.checked_sub(1) {
            None => true,
            Some(before) => {
                let byte = self.text[before];
                byte == b'\n' || Some(byte) == self.delimiter
            }
        }
    }
}

impl Iterator for Ends<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        loop {
            let rest = &self.text[self.at..];
            if self.in_quotes {
                // Two quotes are one that means itself: it closes the field and opens it again.
                self.at += memchr(b'"', rest)? + 1;
                self.in_quotes = self.text.get(self.at) == Some(&b'"');
                self.at += usize::from(self.in_quotes);
                continue;
            }
            let found = match self.delimiter {
                Some(_) => memchr2(b'"', b'\n', rest)?,
                None => memchr(b'\n', rest)?,
            };
            let found = self.at + found;
            self.at = found + 1;
            match self.text[found] {
                b'\n' => return Some(self.at),
                _ => self.in_quotes = self.opens(found),
            }
        }
    }
}

#[cfg(test)]
mod tests;
