//! The format of the Matrix Market (Boisvert, Pozo and Remington, 1996): a header, comments, a line
//! with the size, and one value or one place with its value in each line.
//!
//! The values of a place that is listed several times are added up. The paper does not say so, but the
//! reader that NIST ships (`mmread.m`) does, since it makes its matrix with `sparse` of Matlab, and so
//! does `scipy.io.mmread`: the entries of a matrix that is assembled from parts come this way. A
//! symmetric matrix lists one side of its diagonal, where the paper has the lower one. With both
//! sides it would be doubled by these readers, and is refused here.

use std::cmp::Ordering;

use super::Problem;
use crate::matrices::Matrix;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// All values, column after column.
    Array,
    /// Places and their values; all others are zero.
    Coordinate,
}

/// What is said of the values above the diagonal.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Symmetry {
    General,
    Symmetric,
    Skew,
}

#[derive(Clone, Copy)]
struct Header {
    layout: Layout,
    symmetry: Symmetry,
    /// Without values: each place holds a 1.
    is_pattern: bool,
}

/// Reads a matrix of real numbers.
pub(super) fn parse(bytes: &[u8]) -> Result<Matrix, Problem> {
    let text = std::str::from_utf8(bytes);
    let text = text.map_err(|_| Problem::new("not a text file: write it with scipy.io.mmwrite"))?;
    let mut lines = text.lines().zip(1..).map(|(line, number)| (number, line));
    let header = Header::parse(lines.next().map_or("", |(_, line)| line))?;
    let mut lines = lines.filter(|(_, line)| !line.starts_with('%') && !line.trim().is_empty());
    let (number, size) = lines
        .next()
        .ok_or_else(|| Problem::new("the line with the size is missing"))?;
    let wanted = if header.layout == Layout::Array { 2 } else { 3 };
    let size: Option<Vec<usize>> = size.split_whitespace().map(|it| it.parse().ok()).collect();
    let size = size.filter(|size| size.len() == wanted).ok_or_else(|| {
        let names = ["rows", "columns", "entries"][..wanted].join(", ");
        Problem::in_line(number, format!("expected the size: {names}"))
    })?;
    let (rows, columns) = (size[0], size[1]);
    if super::values(rows, columns).is_none() {
        return Err(Problem::in_line(
            number,
            format!("{rows}x{columns} is too large for a dense matrix"),
        ));
    }
    if header.symmetry != Symmetry::General && rows != columns {
        let text = format!("a symmetric matrix is square, and this is {rows}x{columns}");
        return Err(Problem::in_line(number, text));
    }
    let mut reader = Reader {
        header,
        matrix: Matrix::zeros(rows, columns),
        side: Ordering::Equal,
        last: number,
    };
    match header.layout {
        Layout::Array => reader.read_array(&mut lines)?,
        Layout::Coordinate => reader.read_places(&mut lines, size[2])?,
    }
    Ok(reader.matrix)
}

impl Header {
    fn parse(line: &str) -> Result<Self, Problem> {
        let words: Vec<_> = line.split_whitespace().map(str::to_lowercase).collect();
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let ["%%matrixmarket", "matrix", layout, field, symmetry] = words[..] else {
            return Err(Problem::in_line(
                1,
                "expected `%%MatrixMarket matrix LAYOUT FIELD SYMMETRY`",
            ));
        };
        let unknown = |what: &str, word: &str, known: &str| {
            Problem::in_line(
                1,
                format!("the {what} `{word}` is not supported: use {known}"),
            )
        };
        let layout = match layout {
            "array" => Layout::Array,
            "coordinate" => Layout::Coordinate,
            _ => return Err(unknown("layout", layout, "array or coordinate")),
        };
        let is_pattern = match field {
            "real" | "integer" | "double" => false,
            "pattern" if layout == Layout::Coordinate => true,
            _ => return Err(unknown("field", field, "real or integer")),
        };
        let symmetry = match symmetry {
            "general" => Symmetry::General,
            "symmetric" => Symmetry::Symmetric,
            "skew-symmetric" => Symmetry::Skew,
            _ => {
                let known = "general, symmetric or skew-symmetric";
                return Err(unknown("symmetry", symmetry, known));
            }
        };
        Ok(Self {
            layout,
            symmetry,
            is_pattern,
        })
    }

    /// Returns whether an array has a value for this place.
    fn lists(self, row: usize, column: usize) -> bool {
        match self.symmetry {
            Symmetry::General => true,
            Symmetry::Symmetric => row >= column,
            Symmetry::Skew => row > column,
        }
    }
}

/// A line and its number.
type Numbered<'a> = (usize, &'a str);

struct Reader {
    header: Header,
    matrix: Matrix,
    /// The side of the diagonal on which a symmetric matrix has its entries, once there is one: how
    /// their rows compare with their columns.
    side: Ordering,
    /// The line that was read last.
    last: usize,
}

impl Reader {
    fn read_array(&mut self, lines: &mut dyn Iterator<Item = Numbered<'_>>) -> Result<(), Problem> {
        for column in 0..self.matrix.columns() {
            for row in 0..self.matrix.rows() {
                if !self.header.lists(row, column) {
                    continue;
                }
                let Some((number, line)) = lines.next() else {
                    let text = format!(
                        "the file ends before the value of row {}, column {}",
                        row + 1,
                        column + 1
                    );
                    return Err(Problem::in_line(self.last, text));
                };
                self.last = number;
                self.add(row, column, value(number, line.trim())?);
            }
        }
        self.end(lines)
    }

    fn read_places(
        &mut self,
        lines: &mut dyn Iterator<Item = Numbered<'_>>,
        count: usize,
    ) -> Result<(), Problem> {
        for entry in 0..count {
            let Some((number, line)) = lines.next() else {
                let text = format!("the file ends after {entry} of {count} entries");
                return Err(Problem::in_line(self.last, text));
            };
            self.last = number;
            let words: Vec<_> = line.split_whitespace().collect();
            let (row, column, value) = match (&words[..], self.header.is_pattern) {
                ([row, column], true) => (row, column, 1.0),
                ([row, column, text], false) => (row, column, value(number, text)?),
                (_, true) => return Err(Problem::in_line(number, "expected a row and a column")),
                (_, false) => {
                    let text = "expected a row, a column and a value";
                    return Err(Problem::in_line(number, text));
                }
            };
            let row = index(number, "row", row, self.matrix.rows())?;
            let column = index(number, "column", column, self.matrix.columns())?;
            self.check_side(number, row.cmp(&column), value)?;
            self.add(row, column, value);
        }
        self.end(lines)
    }

    /// Checks that an entry of a symmetric matrix is on the side of the entries before it.
    fn check_side(&mut self, line: usize, side: Ordering, value: f64) -> Result<(), Problem> {
        match (self.header.symmetry, side) {
            (Symmetry::General, _) => {}
            (Symmetry::Skew, Ordering::Equal) if value != 0.0 => {
                let text = "a skew-symmetric matrix is zero on its diagonal: leave the entry out, or \
                            write `general` in the first line";
                return Err(Problem::in_line(line, text));
            }
            (_, Ordering::Equal) => {}
            _ if self.side == side.reverse() => {
                let text = "a symmetric matrix lists one side of its diagonal, and this entry is on \
                            the other one: leave one side out, or write `general` in the first line";
                return Err(Problem::in_line(line, text));
            }
            _ => self.side = side,
        }
        Ok(())
    }

    fn add(&mut self, row: usize, column: usize, value: f64) {
        self.matrix.column_mut(column)[row] += value;
        match self.header.symmetry {
            Symmetry::Symmetric if row != column => self.matrix.column_mut(row)[column] += value,
            Symmetry::Skew => self.matrix.column_mut(row)[column] -= value,
            Symmetry::General | Symmetry::Symmetric => {}
        }
    }

    fn end(&self, lines: &mut dyn Iterator<Item = Numbered<'_>>) -> Result<(), Problem> {
        match lines.next() {
            Some((number, _)) => Err(Problem::in_line(number, "more entries than the size says")),
            None => Ok(()),
        }
    }
}

fn value(line: usize, text: &str) -> Result<f64, Problem> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        Ok(_) => {
            let text = format!("`{text}` is not finite, so the matrix has no results");
            Err(Problem::in_line(line, text))
        }
        Err(_) => Err(Problem::in_line(line, format!("`{text}` is no number"))),
    }
}

/// Returns an index from zero on. In the file they begin with 1.
fn index(line: usize, what: &str, text: &str, count: usize) -> Result<usize, Problem> {
    match text.parse::<usize>() {
        Ok(index) if (1..=count).contains(&index) => Ok(index - 1),
        _ => {
            let text = format!("`{text}` is no {what}: it has to be from 1 to {count}");
            Err(Problem::in_line(line, text))
        }
    }
}
