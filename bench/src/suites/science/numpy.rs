//! NumPy beside the kernels for matrices: the same matrices, from files of its format.

use std::cell::OnceCell;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::rc::Rc;

use science::matrices::{Complex, Matrix, Values, read, write_npy};

use super::{solve, tasks};
use crate::case::Case;
use crate::peers::python::{Input, Peer, Python, assert_near};

/// The operations on each matrix.
const OPERATIONS: usize = 4;

/// What a result may differ by, relative to its largest number. The matrices are not so well
/// conditioned that two libraries agree in all digits.
const TOLERANCE: f64 = 1e-8;

/// LAPACK with a thread per core for one operation after the other, and operations side by side as
/// a pool has them.
const PEERS: [Peer; 2] = [
    Peer {
        name: "numpy",
        package: "numpy",
        key: "matrices",
        threads: "threads of BLAS",
    },
    Peer {
        name: "numpy, in threads",
        package: "numpy",
        key: "matrices-in-threads",
        threads: "threads of Python, 1 of BLAS in each",
    },
];

/// Adds the rows. `expected` has the results of the other systems.
pub(super) fn add_to(case: &mut Case, expected: &Rc<OnceCell<Vec<(usize, Values)>>>) {
    let python = Python::find();
    let input = Input::new(|folder| {
        for (index, task) in tasks().iter().step_by(OPERATIONS).enumerate() {
            let matrix = task.matrices()[0].clone();
            let file = File::create(folder.join(format!("matrix-{index}.npy")))?;
            write_npy(&mut BufWriter::new(file), &Values::Matrix(matrix))?;
        }
        Ok(())
    });
    for peer in &PEERS {
        let expected = Rc::clone(expected);
        let count = tasks().len() as f64;
        python.add_to(case, peer, count, &input, move |folder, _| {
            // Only the rows of NumPy may have been chosen.
            let solve_all = || tasks().into_iter().map(solve).enumerate().collect();
            for (index, values) in expected.get_or_init(solve_all) {
                compare(*index, values, folder);
            }
        });
    }
}

/// Asserts that NumPy has left the same result in the folder.
fn compare(index: usize, ours: &Values, folder: &Path) {
    let theirs = read(&folder.join(format!("result-{index}.npy")));
    let theirs = theirs.unwrap_or_else(|error| panic!("the results of NumPy: {error}"));
    // Before a difference, in which NaN would be lost.
    assert!(theirs.is_finite(), "NumPy has finite results");
    let difference = match ours {
        Values::Matrix(ours) => {
            let shapes = [ours, &theirs].map(|it| (it.rows(), it.columns()));
            assert_eq!(shapes[0], shapes[1], "the shape of a result of NumPy");
            ours.difference(&theirs)
        }
        Values::Real(ours) => {
            let ours = Matrix::from_fn(ours.len(), 1, |row, _| ours[row]);
            assert_eq!(ours.rows(), theirs.rows(), "singular values of NumPy");
            ours.difference(&theirs)
        }
        Values::Complex(ours) => {
            assert_eq!(ours.len(), theirs.rows(), "eigenvalues of NumPy");
            from_nearest(ours, &theirs)
        }
    };
    let operation = ["product", "inverse", "eigenvalues", "singular values"][index % OPERATIONS];
    let matrix = index / OPERATIONS;
    let what = format!("{operation} of matrix {matrix}, their relative difference");
    assert_near(&what, Some(difference), 0.0, TOLERANCE);
}

/// Returns the largest distance of an eigenvalue from the nearest one of NumPy, relative to the
/// largest. The order says nothing: pairs have equal real parts up to rounding.
fn from_nearest(ours: &[Complex], theirs: &Matrix) -> f64 {
    let distance = |it: &Complex, row| (it.re - theirs.at(row, 0)).hypot(it.im - theirs.at(row, 1));
    let nearest = |it: &Complex| {
        let distances = (0..theirs.rows()).map(|row| distance(it, row));
        distances.fold(f64::INFINITY, f64::min)
    };
    let most = ours.iter().map(nearest).fold(0.0, f64::max);
    most / ours.iter().map(|it| it.re.hypot(it.im)).fold(0.0, f64::max)
}
