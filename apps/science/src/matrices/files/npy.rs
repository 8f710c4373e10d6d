//! The format of NumPy: a magic number, a version, a header that is a Python dictionary, and the
//! values. Its specification is the document of `numpy.lib.format`.

use std::io::{self, Write};

use super::Problem;
use crate::matrices::{Complex, Matrix, Values};

const MAGIC: &[u8] = b"\x93NUMPY";

/// The header of a file.
struct Header<'a> {
    kind: &'a str,
    is_column_major: bool,
    shape: Vec<usize>,
}

/// Reads a matrix of real numbers, or a vector as a matrix with one column.
pub(super) fn parse(bytes: &[u8]) -> Result<Matrix, Problem> {
    let cut = || Problem::new("the file is cut off: write it again with numpy.save");
    if !bytes.starts_with(MAGIC) {
        return Err(Problem::new(
            "not a file of NumPy: write it with numpy.save, not with numpy.savez or savetxt",
        ));
    }
    let rest = &bytes[MAGIC.len()..];
    let (version, rest) = rest.split_first_chunk::<2>().ok_or_else(cut)?;
    let (length, rest) = match version[0] {
        1 => {
            let (length, rest) = rest.split_first_chunk::<2>().ok_or_else(cut)?;
            (u16::from_le_bytes(*length) as usize, rest)
        }
        2 | 3 => {
            let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(cut)?;
            (u32::from_le_bytes(*length) as usize, rest)
        }
        other => {
            let text = format!("version {other} of the format is unknown: use 1, 2 or 3");
            return Err(Problem::new(text));
        }
    };
    let (header, data) = rest.split_at_checked(length).ok_or_else(cut)?;
    let header = std::str::from_utf8(header).ok().and_then(Header::parse);
    let header = header.ok_or_else(|| Problem::new("the header cannot be read"))?;
    let (rows, columns) = match header.shape[..] {
        [rows, columns] => (rows, columns),
        [rows] => (rows, 1),
        _ => {
            let text = format!(
                "the array has {} dimensions, and a matrix has 2: use numpy.reshape",
                header.shape.len()
            );
            return Err(Problem::new(text));
        }
    };
    let count = super::values(rows, columns)
        .ok_or_else(|| Problem::new(format!("{rows}x{columns} is too large")))?;
    let values = decode(header.kind, data, count)?;
    let is_column_major = header.is_column_major || columns == 1;
    if let Some(index) = values.iter().position(|value| !value.is_finite()) {
        let (row, column) = match is_column_major {
            true => (index % rows, index / rows),
            false => (index / columns, index % columns),
        };
        // As NumPy counts them.
        let text = format!(
            "the value at [{row}, {column}] is {}, so the matrix has no results: replace such values \
             with numpy.nan_to_num",
            values[index]
        );
        return Err(Problem::new(text));
    }
    Ok(match is_column_major {
        true => Matrix::from_fn(rows, columns, |row, column| values[column * rows + row]),
        false => Matrix::from_fn(rows, columns, |row, column| values[row * columns + column]),
    })
}

impl<'a> Header<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let after = |key: &str| {
            let at = text.find(&format!("'{key}':"))?;
            Some(text[at + key.len() + 3..].trim_start())
        };
        let kind = after("descr")?.strip_prefix('\'')?;
        let shape = after("shape")?.strip_prefix('(')?;
        let shape = shape[..shape.find(')')?].split(',').map(str::trim);
        let shape = shape.filter(|number| !number.is_empty());
        Some(Self {
            kind: &kind[..kind.find('\'')?],
            is_column_major: after("fortran_order")?.starts_with("True"),
            shape: shape
                .map(|number| number.parse().ok())
                .collect::<Option<_>>()?,
        })
    }
}

/// Returns `count` values of a type of NumPy.
fn decode(kind: &str, data: &[u8], count: usize) -> Result<Vec<f64>, Problem> {
    let values: Vec<f64> = match kind {
        "<f8" => numbers(data, count, f64::from_le_bytes),
        ">f8" => numbers(data, count, f64::from_be_bytes),
        "<f4" => numbers(data, count, |bytes| f64::from(f32::from_le_bytes(bytes))),
        ">f4" => numbers(data, count, |bytes| f64::from(f32::from_be_bytes(bytes))),
        "<i4" => numbers(data, count, |bytes| f64::from(i32::from_le_bytes(bytes))),
        // Exact up to 2⁵³, as in NumPy.
        "<i8" => numbers(data, count, |bytes| i64::from_le_bytes(bytes) as f64),
        other => {
            let text = format!(
                "values of type '{other}' are not supported: use array.astype(float) before saving"
            );
            return Err(Problem::new(text));
        }
    };
    if values.len() < count {
        let text = format!(
            "the file is cut off: it has {} values, and its header says {count}",
            values.len()
        );
        return Err(Problem::new(text));
    }
    Ok(values)
}

fn numbers<const SIZE: usize>(
    data: &[u8],
    count: usize,
    number: impl Fn([u8; SIZE]) -> f64,
) -> Vec<f64> {
    let (chunks, _) = data.as_chunks::<SIZE>();
    chunks
        .iter()
        .take(count)
        .map(|bytes| number(*bytes))
        .collect()
}

/// Writes a result as a file of NumPy: a matrix, or a vector of real or complex numbers.
///
/// # Errors
/// Returns the error of the writer.
pub fn write_npy(to: &mut impl Write, values: &Values) -> io::Result<()> {
    match values {
        Values::Matrix(matrix) => {
            let shape = format!("{}, {}", matrix.rows(), matrix.columns());
            write_header(to, "<f8", &shape)?;
            write_numbers(to, matrix.values().iter().copied())
        }
        Values::Real(values) => {
            write_header(to, "<f8", &format!("{},", values.len()))?;
            write_numbers(to, values.iter().copied())
        }
        Values::Complex(values) => {
            write_header(to, "<c16", &format!("{},", values.len()))?;
            let parts = |value: &Complex| [value.re, value.im];
            write_numbers(to, values.iter().flat_map(parts))
        }
    }
}

fn write_header(to: &mut impl Write, kind: &str, shape: &str) -> io::Result<()> {
    let header = format!("{{'descr': '{kind}', 'fortran_order': True, 'shape': ({shape}), }}");
    // The values begin at a multiple of 64, and the header ends with a new line.
    let length = (MAGIC.len() + 4 + header.len() + 1).next_multiple_of(64) - MAGIC.len() - 4;
    to.write_all(MAGIC)?;
    to.write_all(&[1, 0])?;
    // A header has less than 128 bytes.
    to.write_all(&(length as u16).to_le_bytes())?;
    writeln!(to, "{header:<0$}", length - 1)
}

fn write_numbers(to: &mut impl Write, values: impl Iterator<Item = f64>) -> io::Result<()> {
    for value in values {
        to.write_all(&value.to_le_bytes())?;
    }
    Ok(())
}
