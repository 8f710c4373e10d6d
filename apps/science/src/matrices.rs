//! Operations on dense matrices of real numbers: products, inverses, eigenvalues, singular values.
//!
//! The kernels are those of the crate `faer`. Each result comes with a *residual*, which is
//! computed from the result and the input alone, and is compared with a bound that a
//! backward-stable algorithm keeps. So a result that is wrong does not look right, also with values
//! whose squares are outside of the range of double precision.
//!
//! # Precision
//! [`Precision::High`] refines what the kernels return. Residuals are summed up in twice the
//! precision (the method of Ogita, Rump and Oishi, 2005), and correct the result: a product is
//! rounded once, an inverse is improved by the iteration of Newton and Schulz, and eigenvalues and
//! singular values by the quotient of Rayleigh. The result says how much that has changed.
//!
//! # One call for one operation
//! [`Matrices::solve`] does one operation on one matrix, and tells its time. Several matrices and
//! operations are several calls, so that each has a worker as soon as one is free, and an error of its
//! own. A product has two matrices, since one has none with itself unless it is square. Of a singular
//! value decomposition the result has the values: the vectors are used for the check, and are no part
//! of the answer, which would be three times as large as the matrix. The worker that has served a
//! call is in the report that [`detailed`](insula::Call::detailed) adds to any answer.

mod compensated;
mod eigen;
mod error;
mod files;
mod generate;
mod invert;
mod matrix;
mod multiply;
mod request;
mod scale;
mod service;
mod singular;

pub use error::{MatrixError, ReadError};
pub use files::{read, write_npy};
pub use generate::{Generate, ParseGenerateError};
pub use matrix::{Complex, Matrix};
pub use request::{Operation, Precision, Refinement, Residual, Solution, Task, Values};
pub use service::{
    MOST_BYTES, Matrices, MatricesCaller, MatricesRequest, MatricesResponder, MatrixPool,
    MatrixWorker, serve, start_matrix_pool, start_matrix_pool_of,
};
