//! Risk: a damaged file that is taken for a whole one, or an error that does not say where it is.

use super::{Problem, market, npy};
use crate::matrices::{Matrix, Values, write_npy};

fn market(text: &str) -> Result<Matrix, Problem> {
    market::parse(text.as_bytes())
}

/// The line and the text of a problem.
fn problem(text: &str) -> (Option<usize>, String) {
    let Problem { line, text } = market(text).unwrap_err();
    (line, text)
}

#[test]
fn each_layout_and_symmetry_of_the_matrix_market_is_read() {
    let array = "%%MatrixMarket matrix array real general\n% a comment\n2 3\n1\n2\n3\n4\n5\n6\n";
    let wanted = Matrix::from_fn(2, 3, |row, column| (2 * column + row + 1) as f64);
    assert_eq!(market(array).unwrap(), wanted);
    let symmetric = "%%matrixmarket MATRIX array integer symmetric\n2 2\n1\n2\n3\n";
    let wanted = Matrix::from_fn(2, 2, |row, column| (row + column + 1) as f64);
    assert_eq!(market(symmetric).unwrap(), wanted);
    let skew = "%%MatrixMarket matrix coordinate real skew-symmetric\n2 2 1\n2 1 1.5e0\n";
    let wanted = Matrix::from_fn(2, 2, |row, column| (row as f64 - column as f64) * 1.5);
    assert_eq!(market(skew).unwrap(), wanted);
    let pattern = "%%MatrixMarket matrix coordinate pattern general\n2 2 2\n1 1\n2 2\n";
    assert_eq!(market(pattern).unwrap(), Matrix::identity(2));
    // An upper side, which some programs write, and a zero that need not be listed.
    let upper = "%%MatrixMarket matrix coordinate real skew-symmetric\n2 2 2\n1 1 0\n1 2 -1.5\n";
    assert_eq!(market(upper).unwrap(), wanted);
}

#[test]
fn the_values_of_a_place_that_is_listed_again_are_added() {
    let head = "%%MatrixMarket matrix coordinate";
    let general = format!("{head} real general\n2 2 4\n1 2 0.5\n1 1 1\n1 2 0.25\n1 2 2\n");
    let wanted = Matrix::from_fn(2, 2, |row, column| [[1.0, 2.75], [0.0, 0.0]][row][column]);
    assert_eq!(market(&general).unwrap(), wanted);
    let symmetric = format!("{head} real symmetric\n2 2 4\n2 1 1\n2 1 2\n2 2 4\n2 2 8\n");
    let wanted = Matrix::from_fn(2, 2, |row, column| [[0.0, 3.0], [3.0, 12.0]][row][column]);
    assert_eq!(market(&symmetric).unwrap(), wanted);
    let skew = format!("{head} integer skew-symmetric\n2 2 2\n2 1 1\n2 1 2\n");
    let wanted = Matrix::from_fn(2, 2, |row, column| [[0.0, -3.0], [3.0, 0.0]][row][column]);
    assert_eq!(market(&skew).unwrap(), wanted);
    let pattern = format!("{head} pattern general\n1 1 3\n1 1\n1 1\n1 1\n");
    assert_eq!(market(&pattern).unwrap().at(0, 0), 3.0);
}

#[test]
fn a_mistake_in_a_matrix_market_file_is_named_with_its_line() {
    let head = "%%MatrixMarket matrix coordinate real general\n%\n";
    for (text, line, part) in [
        ("1 2 3\n".to_owned(), 1, "expected `%%MatrixMarket"),
        (
            head.replace("real", "complex"),
            1,
            "`complex` is not supported",
        ),
        (
            format!("{head}2 2\n"),
            3,
            "expected the size: rows, columns, entries",
        ),
        (format!("{head}2 2 1\n1 x 1\n"), 4, "`x` is no column"),
        (
            format!("{head}2 2 1\n3 1 1\n"),
            4,
            "`3` is no row: it has to be from 1 to 2",
        ),
        (format!("{head}2 2 1\n0 1 1\n"), 4, "`0` is no row"),
        (
            format!("{head}2 2 1\n1 1\n"),
            4,
            "expected a row, a column and a value",
        ),
        (format!("{head}2 2 1\n1 1 one\n"), 4, "`one` is no number"),
        (
            format!("{head}2 2 2\n1 1 1\n"),
            4,
            "ends after 1 of 2 entries",
        ),
        (
            format!("{head}2 2 1\n1 1 1\n\n2 2 1\n"),
            6,
            "more entries than the size says",
        ),
        (format!("{head}999999999 999999999 1\n"), 3, "too large"),
    ] {
        let (found, message) = problem(&text);
        assert_eq!(found, Some(line), "{message}");
        assert!(message.contains(part), "{message}");
    }
    let head = "%%MatrixMarket matrix array real symmetric\n";
    assert!(problem(&format!("{head}2 3\n")).1.contains("square"));
    assert!(problem(head).1.contains("size is missing"));
    let (line, message) = problem(&format!("{head}2 2\n1\n2\n"));
    assert_eq!((line, message.contains("row 2, column 2")), (Some(4), true));
}

#[test]
fn a_value_that_is_not_finite_is_named_with_its_line() {
    let head = "%%MatrixMarket matrix coordinate real general\n1 1 1\n";
    for value in ["nan", "-inf", "1e999"] {
        let (line, message) = problem(&format!("{head}\n1 1 {value}\n"));
        assert_eq!(line, Some(4));
        assert!(message.contains(&format!("`{value}` is not finite")));
    }
    let head = "%%MatrixMarket matrix array real symmetric\n2 2\n1\n2\n";
    let (line, message) = problem(&format!("{head}Infinity\n"));
    assert_eq!(line, Some(5));
    assert!(message.contains("`Infinity` is not finite"));
}

#[test]
fn a_symmetric_matrix_has_one_side() {
    let head = "%%MatrixMarket matrix coordinate real";
    let (line, message) = problem(&format!("{head} symmetric\n2 2 3\n1 1 1\n2 1 1\n1 2 1\n"));
    assert_eq!(line, Some(5));
    assert!(message.contains("this entry is on the other one"));
    let (line, message) = problem(&format!("{head} skew-symmetric\n2 2 1\n2 2 1\n"));
    assert_eq!(line, Some(3));
    assert!(message.contains("zero on its diagonal"));
}

#[test]
fn what_is_written_for_numpy_is_read_again() {
    for (rows, columns) in [(1, 1), (3, 2), (2, 70)] {
        let matrix = Matrix::from_fn(rows, columns, |row, column| {
            row as f64 - 0.1 * column as f64
        });
        let mut bytes = Vec::new();
        write_npy(&mut bytes, &Values::Matrix(matrix.clone())).unwrap();
        assert_eq!((bytes.len() - 8 * rows * columns) % 64, 0);
        assert_eq!(npy::parse(&bytes).unwrap(), matrix);
        for cut in [3, 7, 9, 40, bytes.len() - 1] {
            let Problem { text, .. } = npy::parse(&bytes[..cut]).unwrap_err();
            assert!(
                text.contains("cut off") || text.contains("not a file"),
                "{text}"
            );
        }
    }
}

/// Reads a file of NumPy with a header and some data.
fn numpy(header: &str, data: &[u8]) -> Result<Matrix, Problem> {
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    npy::parse(&bytes)
}

#[test]
fn a_value_of_a_numpy_file_that_is_no_number_is_named_by_its_place() {
    let values = [0.0, 1.0, 2.0, 3.0, f64::NEG_INFINITY, f64::NAN];
    let data = values.map(f64::to_le_bytes).concat();
    for (order, wanted) in [("False", "[2, 0] is -inf"), ("True", "[1, 1] is -inf")] {
        let header = format!("{{'descr': '<f8', 'fortran_order': {order}, 'shape': (3, 2), }}\n");
        let Problem { text, .. } = numpy(&header, &data).unwrap_err();
        assert!(text.contains(wanted), "{text}");
        assert!(text.contains("numpy.nan_to_num"), "{text}");
    }
}

#[test]
fn a_numpy_file_of_another_kind_is_refused_with_a_remedy() {
    let file = |header: &str| numpy(header, &[0; 64]);
    let with = |kind: &str, shape: &str| {
        file(&format!(
            "{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n"
        ))
    };
    assert_eq!(with("<f8", "(2, 2)").unwrap(), Matrix::zeros(2, 2));
    assert_eq!(with("<i4", "(3,)").unwrap(), Matrix::zeros(3, 1));
    for (result, part) in [
        (with("<c16", "(2, 2)"), "use array.astype(float)"),
        (with("<f8", "(2, 2, 2)"), "3 dimensions"),
        (with("<f8", "()"), "0 dimensions"),
        (
            with("<f8", "(3, 3)"),
            "it has 8 values, and its header says 9",
        ),
        (with("<f8", "(99999999999, 99999999999)"), "too large"),
        (file("{}\n"), "header cannot be read"),
        (npy::parse(b"PK\x03\x04"), "not with numpy.savez"),
    ] {
        let Problem { text, .. } = result.unwrap_err();
        assert!(text.contains(part), "{text}");
    }
}
