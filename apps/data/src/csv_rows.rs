//! Records in CSV.

use std::sync::Arc;

use csv::{ByteRecord, ReaderBuilder};

use crate::layout::{Content, Seen};
use crate::{Block, RowError, Rows};

/// Reads all records of a block.
pub(crate) fn read(block: &Block, delimiter: u8, rows: &mut Rows) {
    let mut reader = ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        // The number of fields is checked below, so that a wrong one costs one row.
        .flexible(true)
        .from_reader(block.bytes.as_ref());
    let mut record = ByteRecord::new();
    // Reading bytes from memory has no errors.
    while let Ok(true) = reader.read_byte_record(&mut record) {
        // The reader counts the lines of the block from one on.
        let line = record.position().map_or(1, csv::Position::line);
        let line = block.line + line - 1;
        if let Err(error) = read_record(&record, line, rows) {
            rows.bad.push(line, error);
        }
    }
}

fn read_record(record: &ByteRecord, line: u64, rows: &mut Rows) -> Result<(), RowError> {
    let layout = rows.layout();
    if record.len() != layout.fields {
        return Err(RowError::Fields {
            found: record.len(),
            expected: layout.fields,
        });
    }
    let text = |field: &crate::Field| {
        str::from_utf8(&record[field.index]).map_err(|_| RowError::NotUtf8 {
            field: Arc::clone(&field.name),
        })
    };
    let (id, value) = (text(&layout.id)?, text(&layout.value)?);
    rows.push_text(line, id, value);
    Ok(())
}

/// Returns the fields of a file whose first record is `header`, and what they have in the records
/// after it.
pub(crate) fn fields(header: &[u8], records: &[(u64, &[u8])], delimiter: u8) -> Vec<Seen> {
    let seen = |name: &[u8]| Seen::new(String::from_utf8_lossy(name).trim().to_owned());
    let mut seen: Vec<_> = record(header, delimiter).iter().map(seen).collect();
    for (_, text) in records {
        for (field, text) in seen.iter_mut().zip(&record(text, delimiter)) {
            field.add(content(text));
        }
    }
    seen
}

fn record(text: &[u8], delimiter: u8) -> ByteRecord {
    let mut reader = ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .from_reader(text);
    let mut record = ByteRecord::new();
    match reader.read_byte_record(&mut record) {
        Ok(true) => record,
        _ => ByteRecord::new(),
    }
}

fn content(text: &[u8]) -> Content {
    match str::from_utf8(text).map(str::trim) {
        Ok("") => Content::Nothing,
        Ok(text) if text.parse().is_ok_and(f64::is_finite) => Content::Number,
        _ => Content::Other,
    }
}
