//! Risk: results that are wrong, residuals that hide it, and a high precision that is none.

use std::sync::Arc;

use science::matrices::{
    Complex, Generate, Matrix, MatrixError, Precision, Solution, Task, Values, read,
};
use serde_json::Value;

use crate::support::{assert_close, json, numbers, samples};

fn matrix(value: &Value) -> Arc<Matrix> {
    let (rows, values) = (
        value["rows"].as_u64().unwrap() as usize,
        numbers(&value["values"]),
    );
    let columns = values.len() / rows;
    let matrix = Matrix::from_fn(rows, columns, |row, column| values[column * rows + row]);
    Arc::new(matrix)
}

fn solve(task: Task, precision: Precision) -> Solution {
    let solution = task.solve(precision).unwrap();
    assert!(solution.residual.is_within_bound());
    assert_eq!(solution.refinement.is_some(), precision == Precision::High);
    solution
}

fn real(solution: &Solution) -> &[f64] {
    match &solution.values {
        Values::Real(values) => values,
        other => panic!("{other:?}"),
    }
}

fn complex(solution: &Solution) -> &[Complex] {
    match &solution.values {
        Values::Complex(values) => values,
        other => panic!("{other:?}"),
    }
}

fn whole(solution: &Solution) -> &Matrix {
    match &solution.values {
        Values::Matrix(matrix) => matrix,
        other => panic!("{other:?}"),
    }
}

/// The largest error relative to the largest value, and relative to each value.
fn errors(found: &[f64], wanted: &[f64]) -> (f64, f64) {
    assert_eq!(found.len(), wanted.len());
    let largest = wanted
        .iter()
        .fold(0.0_f64, |most, value| most.max(value.abs()));
    let pairs = || found.iter().zip(wanted);
    let absolute = pairs().map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    let relative = pairs()
        .map(|(a, b)| ((a - b) / b).abs())
        .fold(0.0, f64::max);
    (absolute / largest, relative)
}

#[test]
fn all_operations_give_the_results_of_numpy() {
    let wanted = json("matrices_numpy.json");
    let [general, tall, right] = ["general", "tall", "right"].map(|name| matrix(&wanted[name]));
    for precision in [Precision::Standard, Precision::High] {
        let task = Task::Multiply {
            left: Arc::clone(&general),
            right: Arc::clone(&right),
        };
        let product = solve(task, precision);
        assert!(matrix(&wanted["product"]).difference(whole(&product)) < 1e-15);

        let inverse = solve(Task::Invert(Arc::clone(&general)), precision);
        assert!(matrix(&wanted["inverse"]).difference(whole(&inverse)) < 1e-13);
        assert!(inverse.condition.unwrap() > 1.0);

        let eigenvalues = solve(Task::Eigenvalues(Arc::clone(&general)), precision);
        let found: Vec<_> = complex(&eigenvalues)
            .iter()
            .flat_map(|it| [it.re, it.im])
            .collect();
        let pairs = wanted["eigenvalues"].as_array().unwrap();
        let pairs: Vec<_> = pairs.iter().flat_map(numbers).collect();
        assert!(errors(&found, &pairs).0 < 1e-14);

        let symmetric = Matrix::from_fn(6, 6, |row, column| {
            general.at(row, column) + general.at(column, row)
        });
        let eigenvalues = solve(Task::Eigenvalues(Arc::new(symmetric)), precision);
        let pairs = numbers(&wanted["symmetric_eigenvalues"]);
        assert!(errors(real(&eigenvalues), &pairs).0 < 1e-14);

        for tall in [Arc::clone(&tall), Arc::new(tall.transposed())] {
            let singular = solve(Task::SingularValues(tall), precision);
            assert!(errors(real(&singular), &numbers(&wanted["singular_values"])).0 < 1e-14);
        }
    }
}

#[test]
fn high_precision_has_the_digits_of_a_computation_with_fifty() {
    let wanted = &json("matrices_numpy.json")["exact"];
    let rows = wanted["hilbert_rows"].as_u64().unwrap() as usize;
    let hilbert = Arc::new(Generate::Hilbert(rows).matrix(0));
    // A condition number of 10¹²: the standard inverse has four digits.
    let exact = matrix(&wanted["hilbert_inverse"]);
    let standard = solve(Task::Invert(Arc::clone(&hilbert)), Precision::Standard);
    let high = solve(Task::Invert(Arc::clone(&hilbert)), Precision::High);
    let condition = high.condition.unwrap();
    assert!((1e11..1e13).contains(&condition), "{condition}");
    let [lost, kept] = [&standard, &high].map(|it| exact.difference(whole(it)));
    assert!(lost > 1e-8, "{lost}");
    assert!(kept < 1e-14, "{kept}");
    // The difference that is shown is the error that was there.
    let refinement = high.refinement.unwrap();
    assert_close(refinement.difference / lost, 1.0, 0.01);
    assert!(refinement.before > 0.0 && refinement.rounds > 1);

    let exact = numbers(&wanted["hilbert_eigenvalues"]);
    let eigenvalues = solve(Task::Eigenvalues(hilbert), Precision::High);
    // The smallest is 10⁻¹², so its relative error shows what the refinement gives.
    let (absolute, relative) = errors(real(&eigenvalues), &exact);
    assert!(
        absolute < 3e-16 && relative < 1e-12,
        "{absolute} {relative}"
    );

    let document = json("matrices_numpy.json");
    let singular = Task::SingularValues(matrix(&document["tall"]));
    let singular = solve(singular, Precision::High);
    let (absolute, _) = errors(real(&singular), &numbers(&wanted["singular_values"]));
    assert!(absolute < 3e-16, "{absolute}");

    let eigenvalues = solve(
        Task::Eigenvalues(matrix(&document["general"])),
        Precision::High,
    );
    let found: Vec<_> = complex(&eigenvalues)
        .iter()
        .flat_map(|it| [it.re, it.im])
        .collect();
    let pairs = wanted["eigenvalues"].as_array().unwrap();
    let pairs: Vec<_> = pairs.iter().flat_map(numbers).collect();
    let (absolute, _) = errors(&found, &pairs);
    assert!(absolute < 4e-16, "{absolute}");
}

#[test]
fn a_product_of_high_precision_is_rounded_once() {
    // 10¹⁶ + 1 - 10¹⁶ loses the 1 in double precision, in any order but one.
    let left = Matrix::from_fn(2, 3, |_, column| [1e16, 1.0, -1e16][column]);
    let right = Matrix::from_fn(3, 1, |_, _| 1.0);
    let task = Task::Multiply {
        left: Arc::new(left),
        right: Arc::new(right),
    };
    let high = solve(task, Precision::High);
    assert_eq!(whole(&high).values(), [1.0, 1.0]);
}

#[test]
fn the_eigenvalues_of_the_second_difference_are_those_of_its_formula() {
    let rows = 60_usize;
    let task = Task::Eigenvalues(Arc::new(Generate::Difference(rows).matrix(0)));
    let found = solve(task, Precision::High);
    let angle = |index: usize| std::f64::consts::PI * index as f64 / (rows + 1) as f64;
    let wanted: Vec<_> = (1..=rows)
        .map(|index| 2.0 - 2.0 * angle(index).cos())
        .collect();
    let (absolute, _) = errors(real(&found), &wanted);
    assert!(absolute < 1e-15, "{absolute}");
}

#[test]
fn large_matrices_keep_their_bounds() {
    for generate in [Generate::Random(150), Generate::Positive(120)] {
        let matrix = Arc::new(generate.matrix(3));
        assert_eq!(
            matrix.is_symmetric(),
            matches!(generate, Generate::Positive(_))
        );
        let tasks = [
            Task::Multiply {
                left: Arc::clone(&matrix),
                right: Arc::clone(&matrix),
            },
            Task::Invert(Arc::clone(&matrix)),
            Task::Eigenvalues(Arc::clone(&matrix)),
            Task::SingularValues(matrix),
        ];
        for task in tasks {
            let standard = solve(task.clone(), Precision::Standard);
            assert!(standard.residual.value > 0.0);
            let high = solve(task, Precision::High);
            assert!(high.residual.value <= standard.residual.value);
        }
    }
}

/// The matrix times a factor.
fn times(matrix: &Matrix, factor: f64) -> Arc<Matrix> {
    let value = |row, column| factor * matrix.at(row, column);
    Arc::new(Matrix::from_fn(matrix.rows(), matrix.columns(), value))
}

#[test]
fn values_whose_squares_are_out_of_range_have_results_and_residuals() {
    let wanted = json("matrices_numpy.json");
    let [general, tall] = ["general", "tall"].map(|name| matrix(&wanted[name]));
    let symmetric = Matrix::from_fn(6, 6, |row, column| {
        general.at(row, column) + general.at(column, row)
    });
    let symmetric = Arc::new(symmetric);
    let inverse = matrix(&wanted["inverse"]);
    let scaled = |values: Vec<f64>, factor: f64| -> Vec<f64> {
        values.into_iter().map(|value| factor * value).collect()
    };
    let powers = [600, -600, -1000];
    let both = [Precision::Standard, Precision::High];
    for (power, precision) in powers.iter().flat_map(|it| both.map(|both| (*it, both))) {
        let factor = 2_f64.powi(power);
        // The residual is that of the matrix without the factor, but for roundings of the kernel.
        let solve_both = |task: fn(Arc<Matrix>) -> Task, matrix: &Arc<Matrix>| {
            let usual = solve(task(Arc::clone(matrix)), precision).residual.value;
            let solution = solve(task(times(matrix, factor)), precision);
            let found = solution.residual.value;
            assert!((0.01 * usual..=100.0 * usual).contains(&found), "{found}");
            solution
        };
        let found = solve_both(Task::Invert, &general);
        let difference = times(&inverse, 1.0 / factor).difference(whole(&found));
        assert!(difference < 1e-13, "{difference}");

        let found = solve_both(Task::Eigenvalues, &general);
        let parts = complex(&found).iter().flat_map(|it| [it.re, it.im]);
        let pairs = wanted["eigenvalues"].as_array().unwrap();
        let pairs = scaled(pairs.iter().flat_map(numbers).collect(), factor);
        assert!(errors(&parts.collect::<Vec<_>>(), &pairs).0 < 1e-14);

        let found = solve_both(Task::Eigenvalues, &symmetric);
        let values = scaled(numbers(&wanted["symmetric_eigenvalues"]), factor);
        assert!(errors(real(&found), &values).0 < 1e-14);

        let found = solve_both(Task::SingularValues, &tall);
        let values = scaled(numbers(&wanted["singular_values"]), factor);
        assert!(errors(real(&found), &values).0 < 1e-14);
    }
}

#[test]
fn results_that_double_precision_cannot_hold_are_refused() {
    let matrix = Matrix::from_fn(2, 2, |row, column| [[2.0, 1.0], [1.0, 3.0]][row][column]);
    let [large, small, tiny] = [1e200, 1e-200, 1e-320].map(|factor| times(&matrix, factor));
    let product = |left: &Arc<Matrix>, right: &Arc<Matrix>| Task::Multiply {
        left: Arc::clone(left),
        right: Arc::clone(right),
    };
    for precision in [Precision::Standard, Precision::High] {
        for task in [
            product(&large, &large),
            product(&small, &small),
            Task::Invert(Arc::clone(&tiny)),
        ] {
            let error = task.solve(precision).unwrap_err();
            assert_eq!(error, MatrixError::OutOfRange);
        }
        // Each value of the product is near 1, and none of the factors is.
        let factors = [600, -600].map(|power| {
            let diagonal = [2_f64.powi(power), 2_f64.powi(-power)];
            Arc::new(Matrix::from_fn(2, 2, |row, column| match row == column {
                true => diagonal[row],
                false => 0.0,
            }))
        });
        let found = solve(product(&factors[0], &factors[1]), precision);
        assert_eq!(*whole(&found), Matrix::identity(2));
        let square = Matrix::from_fn(2, 2, |row, column| [[5.0, 5.0], [5.0, 10.0]][row][column]);
        let found = solve(product(&large, &small), precision);
        assert!(square.difference(whole(&found)) < 1e-15);
    }
}

#[test]
fn what_has_no_result_is_refused_with_the_reason() {
    let tall = Arc::new(Matrix::zeros(3, 2));
    let singular = Arc::new(Matrix::from_fn(3, 3, |row, column| (row + column) as f64));
    let nan = Arc::new(Matrix::from_fn(2, 2, |_, _| f64::NAN));
    let hilbert = Arc::new(Generate::Hilbert(14).matrix(0));
    for (task, part) in [
        (
            Task::Invert(Arc::clone(&tall)),
            "needs a square matrix, and has 3x2",
        ),
        (
            Task::Eigenvalues(Arc::clone(&tall)),
            "needs a square matrix",
        ),
        (
            Task::Multiply {
                left: Arc::clone(&tall),
                right: tall,
            },
            "as many columns on the left as rows on the right, and has 3x2 and 3x2",
        ),
        (Task::Invert(singular), "singular"),
        (
            Task::Invert(Arc::new(Matrix::zeros(2, 2))),
            "singular: there is no inverse",
        ),
        (Task::Invert(hilbert), "singular to double precision"),
        (Task::SingularValues(nan), "infinite or no numbers"),
        (
            Task::Eigenvalues(Arc::new(Matrix::zeros(0, 0))),
            "the matrix is empty",
        ),
    ] {
        for precision in [Precision::Standard, Precision::High] {
            let error: MatrixError = task.solve(precision).unwrap_err();
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}

#[test]
fn matrices_at_the_edges_have_results() {
    let one = Arc::new(Matrix::from_fn(1, 1, |_, _| -4.0));
    assert_eq!(
        real(&solve(Task::Eigenvalues(Arc::clone(&one)), Precision::High)),
        [-4.0]
    );
    assert_eq!(
        real(&solve(
            Task::SingularValues(Arc::clone(&one)),
            Precision::High
        )),
        [4.0]
    );
    assert_eq!(
        whole(&solve(Task::Invert(one), Precision::High)).values(),
        [-0.25]
    );
    let zeros = Arc::new(Matrix::zeros(3, 3));
    assert_eq!(
        real(&solve(
            Task::Eigenvalues(Arc::clone(&zeros)),
            Precision::High
        )),
        [0.0; 3]
    );
    assert_eq!(
        real(&solve(Task::SingularValues(zeros), Precision::High)),
        [0.0; 3]
    );
    // It cannot be diagonalized: its vectors depend on each other.
    let block = Matrix::from_fn(3, 3, |row, column| match column as i32 - row as i32 {
        0 => 2.0,
        1 => 1.0,
        _ => 0.0,
    });
    for precision in [Precision::Standard, Precision::High] {
        let found = solve(Task::Eigenvalues(Arc::new(block.clone())), precision);
        for value in complex(&found) {
            assert_close((value - Complex::new(2.0, 0.0)).norm(), 0.0, 1e-4);
        }
    }
    let identity = Arc::new(Matrix::identity(5));
    let inverse = solve(Task::Invert(identity), Precision::High);
    assert_eq!(inverse.refinement.unwrap().rounds, 0);
    assert_eq!(inverse.residual.value, 0.0);
}

#[test]
fn the_shipped_matrices_are_read() {
    let grid = read(&samples().join("grid.mtx")).unwrap();
    assert_eq!((grid.rows(), grid.columns()), (144, 144));
    assert!(grid.is_symmetric());
    assert_eq!(
        (grid.at(0, 0), grid.at(1, 0), grid.at(12, 0), grid.at(2, 0)),
        (4.0, -1.0, -1.0, 0.0)
    );
    // The sum of two second differences: its eigenvalues are the sums of theirs.
    let found = solve(Task::Eigenvalues(Arc::new(grid)), Precision::High);
    let angle = |index: usize| std::f64::consts::PI * index as f64 / 13.0;
    let line: Vec<_> = (1..13)
        .map(|index| 2.0 - 2.0 * angle(index).cos())
        .collect();
    let mut wanted: Vec<_> = line
        .iter()
        .flat_map(|a| line.iter().map(move |b| a + b))
        .collect();
    wanted.sort_by(f64::total_cmp);
    assert!(errors(real(&found), &wanted).0 < 2e-15);
    let ring = read(&samples().join("ring.npy")).unwrap();
    assert_eq!((ring.rows(), ring.at(0, 1), ring.at(1, 0)), (60, 0.6, 0.0));
    let missing = read(&samples().join("missing.npy"))
        .unwrap_err()
        .to_string();
    assert!(missing.contains("missing.npy: cannot read"), "{missing}");
    let other = read(&samples().join("matrix.csv")).unwrap_err().to_string();
    assert!(other.contains("neither a .npy nor a .mtx file"), "{other}");
}
