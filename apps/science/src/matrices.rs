//! Operations on dense matrices of real numbers: products, inverses, eigenvalues, singular values.
//!
//! The kernels are those of the crate `faer`. Each result comes with a *residual*, which is
//! computed from the result and the input alone, and is compared with a bound that a
//! backward-stable algorithm keeps. So a result that is wrong does not look right.
//!
//! # Precision
//! [`Precision::High`] refines what the kernels return. Residuals are summed up in twice the
//! precision (the method of Ogita, Rump and Oishi, 2005), and correct the result: a product is
//! rounded once, an inverse is improved by the iteration of Newton and Schulz, and eigenvalues and
//! singular values by the quotient of Rayleigh. The result says how much that has changed.

mod compensated;
mod eigen;
mod error;
mod files;
mod generate;
mod invert;
mod matrix;
mod multiply;
mod request;
mod service;
mod singular;

pub use error::{MatrixError, ReadError};
pub use files::{read, write_npy};
pub use generate::{Generate, ParseGenerateError};
pub use matrix::{Complex, Matrix};
pub use request::{Operation, Precision, Refinement, Residual, Solution, Task, Values};
pub use service::{
    Matrices, MatricesCaller, MatricesRequest, MatricesResponder, MatrixPool, MatrixWorker, serve,
    start_matrix_pool, start_matrix_pool_of,
};
