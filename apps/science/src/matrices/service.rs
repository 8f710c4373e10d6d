//! The service behind the program: its contract, its worker, and the pool.

use std::time::Instant;

use command::{KindOptions, Services, StartError, Started};
use insula::pool::{BuildError, FactoryError, Measure, PoolBuilder, WorkerContext};
use insula::{Context, WorkerPool, contract};

use super::eigen::eigenvalues;
use super::invert::invert;
use super::multiply::multiply;
use super::scale::scaled;
use super::singular::singular_values;
use super::{Matrix, MatrixError, Precision, Solution, Task};

/// A service that computes with matrices.
#[contract(wire)]
pub trait Matrices {
    /// Does one operation, and checks its result.
    ///
    /// # Cancellation
    /// A call that waits for a worker is removed. A call that runs continues to the end of its
    /// operation, whose result is discarded.
    ///
    /// # Errors
    /// See [`MatrixError`].
    #[work(cpu)]
    #[idempotent]
    async fn solve(
        &self,
        cx: &Context,
        task: Task,
        precision: Precision,
    ) -> Result<Solution, MatrixError>;
}

/// The service. It has no state.
#[derive(Clone, Copy, Debug, Default)]
pub struct MatrixWorker;

impl Task {
    /// Does the operation, and checks its result.
    ///
    /// # Blocking
    /// Computes for a time that grows with the third power of the number of rows.
    ///
    /// # Errors
    /// See [`MatrixError`].
    pub fn solve(&self, precision: Precision) -> Result<Solution, MatrixError> {
        let start = Instant::now();
        for matrix in self.matrices() {
            if matrix.values().is_empty() {
                return Err(MatrixError::Empty);
            }
            if !matrix.is_finite() {
                return Err(MatrixError::NotFinite);
            }
        }
        let computed = match self {
            Self::Multiply { left, right } => multiply(left, right, precision),
            Self::Invert(matrix) => scaled(matrix, -1, |it| invert(it, precision)),
            Self::Eigenvalues(matrix) => scaled(matrix, 1, |it| eigenvalues(it, precision)),
            Self::SingularValues(matrix) => scaled(matrix, 1, |it| singular_values(it, precision)),
        }?;
        if !computed.residual.is_within_bound() {
            return Err(match computed.values.is_in_range() {
                true => MatrixError::Inaccurate {
                    residual: computed.residual.value,
                    bound: computed.residual.bound,
                },
                false => MatrixError::OutOfRange,
            });
        }
        Ok(Solution {
            values: computed.values,
            residual: computed.residual,
            refinement: computed.refinement,
            condition: computed.condition,
            time: start.elapsed(),
        })
    }
}

impl Matrices for MatrixWorker {
    async fn solve(
        &self,
        _cx: &Context,
        task: Task,
        precision: Precision,
    ) -> Result<Solution, MatrixError> {
        // A long computation without an announcement: the runtime detects it and keeps other
        // isolates running.
        task.solve(precision)
    }
}

/// Workers that compute with matrices, each with one operation at a time.
pub type MatrixPool = WorkerPool<MatricesRequest>;

/// Starts a pool of `workers` (at least one) that times every call.
///
/// # Errors
/// See [`BuildError`].
pub async fn start_matrix_pool(workers: usize) -> Result<MatrixPool, BuildError> {
    let builder = builder(workers).service::<MatricesResponder<_>>(factory);
    builder.build().await
}

/// As [`start_matrix_pool`], with workers of some kind. Those in other processes have what [`serve`]
/// serves there.
///
/// # Errors
/// See [`StartError`].
pub async fn start_matrix_pool_of(
    kind: &KindOptions,
    workers: usize,
) -> Result<Started<MatricesRequest>, StartError> {
    let builder = builder(workers);
    let started = kind.start::<MatricesResponder<_>>(builder, MOST_BYTES, factory);
    started.await
}

fn builder(workers: usize) -> PoolBuilder {
    WorkerPool::builder()
        .name("matrices")
        .workers(workers)
        // An operation takes milliseconds, beside which the two looks at the clock are nothing.
        .measure(Measure::All)
}

/// The most bytes of a task that goes to another process: two of the largest matrices, and what is
/// beside their values.
pub const MOST_BYTES: usize = (2 * size_of::<f64>())
    .saturating_mul(Matrix::MOST_VALUES)
    .saturating_add(1 << 10);

/// Computes with matrices, where a worker is not in the process of its pool.
pub fn serve(services: &mut impl Services) {
    services.serve::<MatricesResponder<_>>(factory);
}

async fn factory(_cx: WorkerContext) -> Result<MatrixWorker, FactoryError> {
    Ok(MatrixWorker)
}
